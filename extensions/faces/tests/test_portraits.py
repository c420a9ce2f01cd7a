"""Portraits that move: the formulas against small computations of their own, LivePortrait's networks in small in the
layouts of the exports that people use, and both forms as jobs.
"""

from __future__ import annotations

import json
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.spatial.transform import Rotation

pytest.importorskip("torch")
pytest.importorskip("cv2")
pytest.importorskip("onnxruntime")

from extensions.faces.finding.face import Face, read_face
from extensions.faces.finding.photographs import with_oval
from extensions.faces.portraits.animating import Animated, SpeakingPortrait, driving_motion, head_turns
from extensions.faces.portraits.files import (
    accepted_portrait,
    portrait_acceptances,
    portrait_names,
    read_folder,
    role_of,
)
from extensions.faces.portraits.motion import (
    EYE_POINTS,
    MOUTH_POINTS,
    Motion,
    Transfer,
    degrees,
    eye_ratios,
    lip_ratio,
    motion_of,
    rotation_of,
    taken_over,
)
from extensions.faces.portraits.network import Portrait
from extensions.faces.portraits.squares import Return, cut_square, driving_square_of, square_of
from extensions.faces.talking.track import MouthTrack
from extensions.faces.tests import portrait_files
from extensions.faces.tests.portrait_files import EYES, LICENCE, LIPS, MOTION_SIZES, STITCHING, put_portrait
from webui.api import ModelError, ParameterError
from webui.testing import make_studio, run_pipeline


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return put_portrait(tmp_path_factory.mktemp("models") / "faces" / "liveportrait")


@pytest.fixture(scope="module")
def portrait(folder: Path) -> Portrait:
    return Portrait(read_folder(folder))


def some_motion(seed: int) -> Motion:
    random = np.random.RandomState(seed)
    return Motion(
        random.randn(21, 3), 0.1 * random.randn(21, 3), rotation_of(*random.uniform(-30, 30, 3)), 1.3, random.randn(3)
    )


def face_at(x: float, y: float, size: float, picture: int = 200) -> Face:
    return with_oval(read_face({"box": [x, y, x + size, y + size]}, (picture, picture)), (picture, picture))


def drawn_face(face: Face, colour: tuple[int, int, int], open_mouth: bool = False) -> Image.Image:
    picture = Image.new("RGB", (200, 200), (120, 140, 160))
    draw = ImageDraw.Draw(picture)
    draw.ellipse(face.box, fill=colour)
    for name in ("left pupil", "right pupil"):
        x, y = face.landmarks[name]
        draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=(0, 0, 0))
    if open_mouth:
        x, y = face.landmarks["lower lip"]
        draw.ellipse((x - 12, y - 8, x + 12, y + 8), fill=(90, 20, 30))
    return picture


# Formulas.


def test_an_angle_is_the_mean_of_its_bins() -> None:
    for bin_ in (0, 32, 65):
        logits = np.full((1, 66), -50.0)
        logits[0, bin_] = 50
        assert degrees(logits) == pytest.approx(3 * bin_ - 97.5)
    logits = np.log(np.arange(1, 67) / 10.0)
    expected = sum((i + 1) * (3 * i - 97.5) for i in range(66)) / sum(range(1, 67))
    assert degrees(logits) == pytest.approx(expected)
    assert degrees(np.array([[12.5]])) == 12.5
    with pytest.raises(ValueError, match="66"):
        degrees(np.zeros((1, 5)))


@pytest.mark.parametrize("angles", [(0, 0, 0), (20, -35, 10), (-80, 5, 60)])
def test_heads_turn_about_x_then_y_then_z(angles: tuple[float, float, float]) -> None:
    points = np.random.RandomState(0).randn(21, 3)
    expected = Rotation.from_euler("xyz", angles, degrees=True).apply(points)
    assert np.allclose(points @ rotation_of(*angles), expected)


def test_key_points_are_scaled_turned_moved() -> None:
    motion = some_motion(3)
    placed = motion.placed()
    for k in range(21):
        for axis in range(3):
            turned = sum(motion.points[k, j] * motion.rotation[j, axis] for j in range(3))
            shift = motion.shift[axis] if axis < 2 else 0.0
            assert placed[k, axis] == pytest.approx(motion.scale * (turned + motion.expression[k, axis]) + shift)


def test_what_is_read_becomes_a_motion() -> None:
    random = np.random.RandomState(1)
    read = {name: random.randn(1, size) for name, size in MOTION_SIZES.items()}
    motion = motion_of(read)
    assert np.allclose(motion.points, read["kp"].reshape(21, 3))
    assert np.allclose(motion.rotation, rotation_of(*(degrees(read[n]) for n in ("pitch", "yaw", "roll"))))
    for wrong in ({**read, "exp": np.zeros((1, 60))}, {**read, "t": np.full((1, 3), np.nan)}):
        with pytest.raises(ValueError, match="expected"):
            motion_of(wrong)


def test_relative_motion_is_measured_from_rest() -> None:
    ours, theirs, rest = (some_motion(seed) for seed in (1, 2, 3))
    moved = taken_over(ours, theirs, Transfer(relative=True, pose=True), rest)
    # Algorithm 1 of the paper, line by line.
    assert np.allclose(moved.expression, ours.expression + (theirs.expression - rest.expression))
    assert np.allclose(moved.rotation, theirs.rotation @ np.linalg.inv(rest.rotation) @ ours.rotation)
    assert moved.scale == pytest.approx(ours.scale * theirs.scale / rest.scale)
    assert np.allclose(moved.shift, ours.shift + theirs.shift - rest.shift)
    still = taken_over(ours, rest, Transfer(relative=True, pose=True), rest)
    assert np.allclose(still.placed(), ours.placed())
    without = taken_over(ours, theirs, Transfer(relative=True))
    assert np.allclose(without.expression, ours.expression + theirs.expression)
    assert without.rotation is ours.rotation


def test_absolute_motion_replaces_what_moves() -> None:
    ours, theirs = some_motion(1), some_motion(2)
    moved = taken_over(ours, theirs, Transfer(pose=True))
    assert np.allclose(moved.rotation, theirs.rotation)
    assert np.allclose(moved.shift, ours.shift)
    same = np.isclose(moved.expression, theirs.expression)
    # 0, 7 and 10 tell one face's shape from another's; of 3, 4, 5, 8 and 9 some coordinates move.
    assert [tuple(np.flatnonzero(~row)) for row in same if not row.all()] == [
        (0, 1, 2), (0, 2), (0, 2), (0, 1), (0, 1, 2), (0, 1), (0,), (0, 1, 2),
    ]  # fmt: skip
    assert np.allclose(moved.expression[~same], ours.expression[~same])


@pytest.mark.parametrize(("eyes", "mouth", "points"), [(True, False, EYE_POINTS), (False, True, MOUTH_POINTS)])
@pytest.mark.parametrize("relative", [True, False])
def test_eyes_and_mouth_move_apart(eyes: bool, mouth: bool, points: tuple[int, ...], relative: bool) -> None:
    ours, theirs = some_motion(1), some_motion(2)
    moved = taken_over(ours, theirs, Transfer(relative, eyes, mouth))
    changed = np.flatnonzero((moved.expression != ours.expression).any(1))
    assert tuple(changed) == tuple(sorted(points))


def test_ratios_are_gaps_by_widths() -> None:
    names = {"mouth left": (10, 50), "mouth right": (40, 50), "upper lip": (25, 45), "lower lip": (25, 60)}
    eyes = {"left eye outer": (0, 10), "left eye inner": (20, 10), "left eye top": (10, 5), "left eye bottom": (10, 13)}
    eyes |= {name.replace("left", "right"): (x + 30, y) for name, (x, y) in eyes.items()}
    face = Face((0, 0, 60, 70), landmarks={**names, **eyes})
    assert lip_ratio(face) == pytest.approx(0.5, rel=1e-5)
    assert eye_ratios(face) == pytest.approx((0.4, 0.4), rel=1e-5)


def test_heads_sway_a_little_and_begin_at_rest() -> None:
    energy = np.clip(np.sin(np.arange(200) / 6), 0, 1)
    track = MouthTrack(energy, energy, np.ones(200), np.zeros(200), ("rest",) * 200)
    turns = head_turns(track, 25, 3)
    assert turns.shape == (200, 3)
    assert (turns[0] == 0).all()
    assert 0.3 < np.abs(turns).max() < 6
    assert np.abs(np.diff(turns, axis=0)).max() < 0.7  # degrees a frame
    assert (turns == head_turns(track, 25, 3)).all()
    assert (turns[1:] != head_turns(track, 25, 4)[1:]).any()


# Squares.


def test_the_square_is_upright_and_holds_the_face() -> None:
    turned = Rotation.from_euler("z", 25, degrees=True).as_matrix()[:2, :2]
    upright = face_at(60, 60, 80)
    middle = np.array([100.0, 100.0])
    landmarks = {n: tuple((turned @ (upright.point(n) - middle) + middle).tolist()) for n in upright.landmarks}
    face = Face(upright.box, landmarks=landmarks)  # type: ignore[arg-type]
    turn = square_of(face)
    placed = {name: turn[:, :2] @ face.point(name) + turn[:, 2] for name in landmarks}
    eyes, mouth = (
        (placed[a] + placed[b]) / 2 for a, b in (("left pupil", "right pupil"), ("mouth left", "mouth right"))
    )
    assert eyes[0] == pytest.approx(mouth[0], abs=1e-6)
    heights = [point[1] for point in placed.values()]
    # The face is 1 / 2.3 of the square, and lies an eighth lower than its middle.
    assert max(heights) - min(heights) <= 512 / 2.3 + 1e-6
    assert (max(heights) + min(heights)) / 2 == pytest.approx(512 * 0.625, abs=1)
    tilt = driving_square_of(face)
    assert tilt[0, 1] == tilt[1, 0] == 0


def test_what_is_not_in_the_square_stays_to_the_bit() -> None:
    picture = np.random.RandomState(0).randint(0, 256, (200, 200, 3)).astype(np.uint8)
    back = Return(picture, square_of(face_at(80, 80, 30)))
    made = back(np.full((512, 512, 3), 255, np.uint8))
    outside = back.mask == 0
    assert 0.1 < outside.mean() < 0.9
    assert (made[outside] == picture[outside]).all()
    assert (made[95, 95] == 255).all()
    # A square of another size comes to the same place.
    smaller = back(np.full((256, 256, 3), 255, np.uint8))
    assert np.abs(smaller.astype(int) - made).max() <= 1


def test_a_square_comes_back_where_it_was() -> None:
    picture = np.asarray(drawn_face(face_at(60, 60, 80), (230, 180, 140)).resize((400, 400)))
    turn = square_of(face_at(120, 120, 160, 400))
    back = Return(picture, turn)(cut_square(picture, turn))
    assert np.abs(back.astype(int) - picture).mean() < 0.6


# Files.


@pytest.mark.parametrize(
    ("stem", "role"),
    [
        ("appearance_feature_extractor", "appearance"), ("motion_extractor-v1.1", "motion"), ("stitching", "stitching"),
        ("stitching_eye", "eyes"), ("stitching_lip", "lips"), ("warping_spade", "whole"),
        ("live_portrait_feature_extractor", "appearance"), ("live_portrait_motion_extractor", "motion"),
        ("live_portrait_stitcher", "stitching"), ("live_portrait_eye_retargeter", "eyes"),
        ("live_portrait_lip_retargeter", "lips"), ("live_portrait_generator", "whole"),
        ("appearance_extractor", "appearance"), ("stitch_network", "stitching"), ("warp_network_ori", "warping"),
        ("decoder", "decoder"), ("spade_generator", "decoder"), ("landmark", ""), ("retinaface_det_static", ""),
    ],
)  # fmt: skip
def test_files_of_published_exports_are_known_by_their_names(stem: str, role: str) -> None:
    assert role_of(stem) == role


def test_a_folder_is_offered_and_used_under_its_licence_alone(folder: Path, tmp_path: Path) -> None:
    places = [folder.parent]
    (folder.parent / "nothing").mkdir(exist_ok=True)
    assert portrait_names(lambda _: places) == ["liveportrait/"]
    assert portrait_names(lambda _: [tmp_path / "missing"]) == []
    (acceptance,) = portrait_acceptances(lambda _: places)
    assert acceptance.startswith("liveportrait/: LivePortrait: MIT")
    with pytest.raises(ParameterError) as caught:
        accepted_portrait("liveportrait/", "", places)
    assert caught.value.fields[0].name == "licence"
    assert caught.value.hint == LICENCE.strip()
    assert accepted_portrait("liveportrait/", acceptance, places).path == folder
    with pytest.raises(ParameterError) as caught:
        accepted_portrait("../liveportrait/", acceptance, places)
    assert caught.value.fields[0].name == "network"


# Networks.


def by_hand(row: np.ndarray, sizes: tuple[int, ...], seed: int, reach: float = 0.02) -> np.ndarray:
    for i, (weights, offset) in enumerate(portrait_files.layers(sizes, seed, reach)):
        row = row @ weights + offset
        row = np.maximum(row, 0) if i < len(sizes) - 2 else row
    return row


def test_stitching_adds_what_its_network_says(tmp_path: Path) -> None:
    folder = put_portrait(tmp_path / "a")
    portrait_files.mlp(folder / "stitching.onnx", STITCHING, 7, 0.1)
    portrait = Portrait(read_folder(folder))
    random = np.random.RandomState(0)
    source, driving = random.randn(21, 3), random.randn(21, 3)
    told = by_hand(np.concatenate([source.ravel(), driving.ravel()]), STITCHING, 7, 0.1)
    expected = driving + told[:63].reshape(21, 3)
    expected[:, 0] += told[63]
    expected[:, 1] += told[64]
    assert np.allclose(portrait.stitched(source, driving), expected, atol=1e-5)
    eyes = by_hand(np.concatenate([source.ravel(), [0.3, 0.4, 0.1]]), EYES, 2)
    assert np.allclose(portrait.retargeted("eyes", source, (0.3, 0.4, 0.1)).ravel(), eyes, atol=1e-5)
    lips = by_hand(np.concatenate([source.ravel(), [0.2, 0.6]]), LIPS, 3, 0.1)
    assert np.allclose(portrait.retargeted("lips", source, (0.2, 0.6)).ravel(), lips, atol=1e-5)


def checked(portrait: Portrait) -> np.ndarray:
    """A square whose key points move by a quarter of it to the right: as it is drawn, checked."""
    square = np.zeros((256, 256, 3), np.uint8)
    square[96:160, 64:128] = (255, 128, 0)
    source = np.random.RandomState(0).randn(21, 3)
    still = portrait.drawn(portrait.appearance(square), source, source)
    moved = portrait.drawn(portrait.appearance(square), source, source + np.array([0.5, 0, 0]))
    assert still.shape == (512, 512, 3)
    assert np.abs(still[224:288, 160:224] - (255.0, 128, 0)).max() <= 1
    assert np.abs(moved[224:288, 288:352] - (255.0, 128, 0)).max() <= 1
    assert moved[224:288, 150:220].max() == 0
    return moved


def test_key_points_move_the_square_in_every_layout(folder: Path, portrait: Portrait, tmp_path: Path) -> None:
    expected = checked(portrait)
    # Warping and decoding apart.
    apart = put_portrait(tmp_path / "apart")
    (apart / "warping_spade.onnx").unlink()
    portrait_files.warping(apart / "warp_network_ori.onnx", decodes=False)
    portrait_files.warping(apart / "warp_network.onnx", decodes=False, operator="GridSample3D", opset=17)
    portrait_files.decoder(apart / "decoder.onnx")
    split = Portrait(read_folder(apart))
    assert (checked(split) == expected).all()
    assert "warp_network_ori.onnx" in [path.name for path in split.used]
    # FaceFusion's names: what moves is the source there.
    renamed = put_portrait(tmp_path / "renamed")
    for old in renamed.glob("*.onnx"):
        old.unlink()
    portrait_files.appearance(renamed / "live_portrait_feature_extractor.onnx", "input")
    names = {"pitch": "a", "yaw": "b", "roll": "c", "scale": "d", "t": "e", "exp": "f", "kp": "g"}
    portrait_files.motion(renamed / "live_portrait_motion_extractor.onnx", "input", names)
    portrait_files.warping(renamed / "live_portrait_generator.onnx", names=("feature_volume", "source", "target"))
    portrait_files.stitcher_that_adds(renamed / "live_portrait_stitcher.onnx")
    other = Portrait(read_folder(renamed))
    assert (checked(other) == expected).all()
    ours, theirs = some_motion(1).placed(), some_motion(2).placed()
    assert np.allclose(other.stitched(ours, theirs), (ours + theirs) / 2, atol=1e-6)
    assert not other.can("lips")


def test_outputs_without_names_are_told_by_their_order(portrait: Portrait, tmp_path: Path) -> None:
    square = np.random.RandomState(0).randint(0, 256, (256, 256, 3)).astype(np.uint8)
    folder = put_portrait(tmp_path / "a")
    new = {"pitch": "518", "yaw": "519", "roll": "520", "t": "521", "exp": "522", "scale": "523", "kp": "524"}
    portrait_files.motion(folder / "motion_extractor.onnx", names=new)
    assert np.allclose(Portrait(read_folder(folder)).motion(square).placed(), portrait.motion(square).placed())


@pytest.mark.parametrize("opset", [16, 18, 22])
def test_volumes_are_sampled_in_every_opset(opset: int, tmp_path: Path) -> None:
    """What the docs say of exports that run: GridSample of five dimensions, from opset 16 on."""
    folder = put_portrait(tmp_path / "a")
    (folder / "warping_spade.onnx").unlink()
    portrait_files.warping(folder / "warping_module.onnx", decodes=False, opset=opset)
    portrait_files.decoder(folder / "spade_generator.onnx")
    checked(Portrait(read_folder(folder)))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for name in ("motion_extractor", "appearance_feature_extractor", "stitching"):
        folder = put_portrait(tmp_path / name)
        (folder / f"{name}.onnx").unlink()
        with pytest.raises(ModelError, match=f"has no {name}") as caught:
            Portrait(read_folder(folder))
        assert "warping_spade.onnx" in caught.value.message
        assert "one folder" in str(caught.value.hint)


def test_a_wrong_file_says_what_was_expected(tmp_path: Path) -> None:
    def wrong(name: str) -> Path:
        return put_portrait(tmp_path / name)

    folder = wrong("damaged")
    (folder / "warping_spade.onnx").write_bytes((folder / "warping_spade.onnx").read_bytes()[:200])
    with pytest.raises(ModelError, match=r"warping_spade\.onnx cannot be read"):
        Portrait(read_folder(folder))
    folder = wrong("swapped")
    portrait_files.mlp(folder / "stitching_lip.onnx", EYES, 0)
    with pytest.raises(ModelError, match=r"takes input \[1, 66\]; expected \[1, 65\]"):
        Portrait(read_folder(folder))
    folder = wrong("plugin")
    portrait_files.warping(folder / "warping_spade.onnx", operator="GridSample3D", opset=17)
    with pytest.raises(ModelError, match="TensorRT") as caught:
        Portrait(read_folder(folder))
    assert "GridSample" in str(caught.value.hint)
    folder = wrong("motion")
    sizes = {key: key for key in MOTION_SIZES if key != "kp"}
    portrait_files.motion(folder / "motion_extractor.onnx", names=sizes)
    with pytest.raises(ModelError, match=r"motion_extractor.onnx gave pitch \[1, 66\]") as caught:
        Portrait(read_folder(folder)).motion(np.zeros((256, 256, 3), np.uint8))
    assert "kp" in str(caught.value.hint)
    folder = wrong("volume")
    portrait_files.mlp(folder / "appearance_feature_extractor.onnx", (3, 4), 0)
    with pytest.raises(ModelError, match=r"expected \[1, 3, 256, 256\]"):
        Portrait(read_folder(folder))
    folder = wrong("points")
    portrait_files.mlp(folder / "warping_spade.onnx", (3, 4), 0)
    with pytest.raises(ModelError, match="key points"):
        Portrait(read_folder(folder))


# Pictures and films.


def test_an_expression_moves_the_face_and_nothing_beyond(portrait: Portrait) -> None:
    ours, theirs = face_at(70, 60, 60), face_at(30, 30, 80)
    picture = np.asarray(drawn_face(ours, (230, 180, 140)))
    animated = Animated(portrait, picture, ours)
    motion = driving_motion(portrait, np.asarray(drawn_face(theirs, (90, 60, 40), True)), theirs)
    made = animated.driven(motion, Transfer(), 1.0)
    assert (made[animated.back.mask == 0] == picture[animated.back.mask == 0]).all()
    assert np.abs(made.astype(int) - picture).max() > 20
    still = animated.drawn(animated.points)
    assert (animated.driven(motion, Transfer(), 0.0) == still).all()
    nothing = Transfer(eyes=False, mouth=False)
    assert (animated.driven(motion, nothing, 1.0) == still).all()
    assert (animated.driven(motion, Transfer(pose=True), 1.0) != made).any()


def test_frames_follow_the_track(portrait: Portrait) -> None:
    face = face_at(70, 60, 60)
    animated = Animated(portrait, np.asarray(drawn_face(face, (230, 180, 140))), face)
    opening = np.array([0, 0, 0.5, 1.0, 0, 0])
    blink = np.array([0, 0, 0, 0, 0, 1.0])
    track = MouthTrack(opening, opening, np.ones(6), blink, ("rest",) * 6)
    speaking = SpeakingPortrait(animated, track, 25, strength=1.0, blinking=True, sway=0.0, seed=0)
    frames = [speaking.frame(i) for i in range(6)]
    assert (frames[0] == frames[1]).all()
    assert (frames[0] == frames[4]).all()
    away = [float(np.abs(frame.astype(int) - frames[0]).mean()) for frame in frames]
    assert away[3] > away[2] > 0
    assert away[5] > 0
    # The lips' network moves key points as it says, for a mouth that is as far open as the track.
    told = portrait.retargeted("lips", animated.points, (lip_ratio(face), 0.3))
    assert (frames[2] == animated.drawn(animated.points + told)).all()


def test_speech_needs_lips_and_blinks_need_eyes(tmp_path: Path) -> None:
    folder, face = put_portrait(tmp_path / "a"), face_at(70, 60, 60)
    track = MouthTrack(*(np.zeros(2) for _ in range(4)), ("rest", "rest"))
    (folder / "stitching_eye.onnx").unlink()

    def speaking(blinking: bool) -> SpeakingPortrait:
        animated = Animated(Portrait(read_folder(folder)), np.asarray(drawn_face(face, (230, 180, 140))), face)
        return SpeakingPortrait(animated, track, 25, strength=1.0, blinking=blinking, sway=0.0, seed=0)

    assert speaking(False).frame(0).shape == (200, 200, 3)
    with pytest.raises(ModelError, match=r"no stitching_eye\.onnx"):
        speaking(True)
    (folder / "stitching_lip.onnx").unlink()
    with pytest.raises(ModelError, match=r"no stitching_lip\.onnx"):
        speaking(False)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pictures")
    for name, face, colour in (("a", face_at(70, 60, 60), (240, 190, 150)), ("b", face_at(30, 30, 80), (140, 90, 50))):
        drawn_face(face, colour, name == "b").save(place / f"{name}.png")
    t = np.arange(8000) / 16000
    samples = (0.4 * np.sin(2 * np.pi * 300 * t) * np.clip(np.sin(2 * np.pi * 2 * t), 0, 1) * 32767).astype("<i2")
    with wave.open(str(place / "a.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16000)
        sound.writeframes(samples.tobytes())
    return place


def test_an_expression_is_transferred_as_a_job(folder: Path, pictures: Path, tmp_path: Path) -> None:
    studio = make_studio(tmp_path / "data", models_dirs=[folder.parents[1]])
    asked = {
        "image": str(pictures / "a.png"),
        "source": str(pictures / "b.png"),
        "faces": json.dumps([{"box": list(face_at(70, 60, 60).box)}]),
        "source_faces": json.dumps([{"box": list(face_at(30, 30, 80).box)}]),
        "network": "liveportrait/",
        "consent": True,
    }
    refused = run_pipeline("faces.expression", asked, tmp_path, studio=studio)
    assert refused.state == "failed"
    assert "For tests of motion alone." in str(refused.error)
    (acceptance,) = portrait_acceptances(lambda _: [folder.parent])
    outcome = run_pipeline("faces.expression", {**asked, "licence": acceptance}, tmp_path, studio=studio)
    assert outcome.state == "done", outcome.error
    assert outcome.job.params["licence"] == acceptance
    assert outcome.images[0].size == (200, 200)
    assert b"caBX" in outcome.paths[0].read_bytes()  # its signed mark
    assert (np.asarray(outcome.images[0].convert("RGB")) != np.asarray(Image.open(pictures / "a.png"))).any()
    recipe = outcome.studio.files.describe(outcome.records[0].path).recipe
    models = {use.ref for use in recipe.models}
    assert {"liveportrait/motion_extractor.onnx", "liveportrait/warping_spade.onnx"} <= models


def test_a_portrait_speaks_as_a_job(folder: Path, pictures: Path, tmp_path: Path) -> None:
    studio = make_studio(tmp_path / "data", models_dirs=[folder.parents[1]])
    (acceptance,) = portrait_acceptances(lambda _: [folder.parent])
    asked = {
        "image": str(pictures / "a.png"),
        "audio": str(pictures / "a.wav"),
        "faces": json.dumps([{"box": list(face_at(70, 60, 60).box)}]),
        "network": "liveportrait/",
        "consent": True,
        "fps": 12,
        "size": 200,
    }
    assert run_pipeline("faces.talk", asked, tmp_path, studio=studio).state == "failed"
    outcome = run_pipeline("faces.talk", {**asked, "licence": acceptance}, tmp_path, studio=studio)
    assert outcome.state == "done", outcome.error
    assert b"c2pa" in outcome.paths[0].read_bytes()
    with av.open(str(outcome.paths[0])) as film:
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in film.decode(video=0)]
        assert film.streams.audio
    assert len(frames) == 6
    assert max(np.abs(frame - frames[0]).max() for frame in frames) > 10
    told = json.loads(outcome.paths[2].read_text())
    assert told["opening_asked_and_energy"] > 0.8
