"""Faces of the drawing world, where the truth is known: the bundled network finds them, and sees them speak."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("cv2")

from safetensors.torch import load_file  # noqa: E402

from extensions.faces.finding.drawn import find_drawn, mouth_opening  # noqa: E402
from extensions.faces.networks.drawn import DrawnFaces, load_drawn, places  # noqa: E402
from extensions.faces.talking.mouth import SpeakingFace  # noqa: E402
from extensions.faces.talking.track import correlation, mouth_track  # noqa: E402
from extensions.faces.vocabulary import LANDMARKS as THEIR_LANDMARKS  # noqa: E402
from extensions.faces.vocabulary import PARTS as THEIR_PARTS  # noqa: E402
from extensions.starter.config import FacesConfig  # noqa: E402
from extensions.starter.faces import FaceNetwork, save_faces  # noqa: E402
from extensions.starter.faces import places as trained_places  # noqa: E402
from extensions.starter.world import Avatar, draw, sample_avatar  # noqa: E402
from extensions.starter.world.parts import LANDMARKS, PARTS, face_box, landmarks  # noqa: E402
from webui.core.settings import ROOT  # noqa: E402
from webui.testing import make_studio, run_pipeline  # noqa: E402

BUNDLED = ROOT / "models" / "starter" / "faces"
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def bundled() -> DrawnFaces:
    return load_drawn(BUNDLED / "config.json", load_file(BUNDLED / "model.safetensors"))


def test_both_sides_have_the_same_names() -> None:
    assert THEIR_PARTS == PARTS
    assert set(THEIR_LANDMARKS) == set(LANDMARKS)


def test_what_training_writes_is_what_is_read(tmp_path: Path) -> None:
    torch.manual_seed(0)
    part = FacesConfig(channels=(8, 8, 16), size=64)
    trained = FaceNetwork(part.channels, len(PARTS), len(LANDMARKS)).half().float()
    save_faces(trained, part, tmp_path, {})
    read = load_drawn(tmp_path / "config.json", load_file(tmp_path / "model.safetensors"))
    pictures = torch.rand(2, 3, 64, 96) * 2 - 1
    told = read(pictures)
    for name, ours in zip(("parts", "centre", "size", "landmarks"), trained(pictures), strict=True):
        assert torch.equal(told[name], ours), name
    heat = told["landmarks"]
    assert torch.allclose(places(heat[0]), trained_places(heat)[0])


def test_the_bundled_network_finds_faces_and_their_landmarks(bundled: DrawnFaces) -> None:
    found, errors = 0, []
    for seed in range(24):
        avatar, side = sample_avatar(900 + seed), (96, 160, 224)[seed % 3]
        canvas = Image.new("RGB", (320, 240), (90, 140, 200))
        x, y = 10 + 7 * (seed % 5), 4 + 2 * (seed % 6)
        canvas.paste(draw(avatar, side), (x, y))
        faces = find_drawn(bundled, canvas, CPU)
        left, top, right, bottom = face_box(avatar, side)
        near = [f for f in faces if abs(sum(f.box[::2]) / 2 - x - (left + right) / 2) < 0.2 * (right - left)]
        found += len(near) == 1 and len(faces) == 1
        for face in near[:1]:
            truth = {n: (px + x, py + y) for n, (px, py) in zip(LANDMARKS, landmarks(avatar, side), strict=True)}
            away = [np.hypot(*(face.point(n) - truth[n])) for n in LANDMARKS]
            errors.append(float(np.mean(away)) / (bottom - top))
    assert found >= 22
    assert np.median(errors) < 0.03


def voice() -> np.ndarray:
    t = np.arange(32_000) / 16_000
    envelope = np.clip(np.sin(2 * np.pi * 1.7 * t) * np.sin(2 * np.pi * 0.6 * t + 0.5) + 0.2, 0, None)
    tone = np.sin(2 * np.pi * 140 * t) + 0.5 * np.sin(2 * np.pi * 700 * t) + 0.3 * np.sin(2 * np.pi * 1500 * t)
    return (0.5 * envelope * tone).astype(np.float32)


def test_mouths_are_seen_to_follow_the_sound(bundled: DrawnFaces) -> None:
    track, found = mouth_track(voice(), 16_000, 25), []
    chosen = range(0, 50, 6)
    for seed in range(6):
        avatar: Avatar = sample_avatar(700 + seed).with_(mood=("neutral", "smiling", "laughing")[seed % 3])
        picture = draw(avatar, 192)
        faces = find_drawn(bundled, picture, CPU)
        assert faces
        speaking = SpeakingFace(np.asarray(picture), faces[0])
        frames = [speaking.frame(float(track.opening[i]), float(track.width[i])) for i in chosen]
        seen = np.array([mouth_opening(bundled, Image.fromarray(frame), faces[0], CPU) for frame in frames])
        found.append(correlation(seen, track.energy[list(chosen)]))
    assert min(found) >= 0.6, found


def test_an_attribute_changes_along_a_direction_of_a_stylegan(tmp_path: Path) -> None:
    from extensions.gan.formats.own import write_own
    from extensions.gan.networks.registry import build

    config = {"resolution": 16, "z_dim": 8, "w_dim": 8, "channel_base": 128, "channel_max": 8}
    with torch.enable_grad():
        torch.manual_seed(1)
        network = build("stylegan2", config).eval()
        write_own(tmp_path / "models" / "gan" / "small.safetensors", network, "stylegan2", config)
        draw(sample_avatar(3), 128).save(tmp_path / "in.png")
        studio = make_studio(tmp_path / "data", models_dirs=[tmp_path / "models"])
        found = run_pipeline("gan.directions", {"name": "way", "count": 1, "samples": 1}, tmp_path, studio=studio)
        assert found.state == "done", found.error
        given = {
            "image": str(tmp_path / "in.png"),
            "faces": '[{"box": [34, 27, 94, 97]}]',
            "method": "gan",
            "direction": "way 1",
            "projection_iterations": 2,
            "least_change": 0,
            "seed": 1,
            "consent": True,
        }
        outcome = run_pipeline("faces.attribute", given, tmp_path, studio=studio)
    assert outcome.state == "done", outcome.error
    told = json.loads(outcome.paths[2].read_text())
    assert told["changed_outside_of_the_mask"] == 0
    assert told["changed_share"] > 0.01
    assert told["wanted"] == "avatar.mood=smiling"
    with torch.enable_grad():
        wrong = run_pipeline("faces.attribute", {**given, "direction": ""}, tmp_path, studio=studio)
    assert wrong.state == "failed"
