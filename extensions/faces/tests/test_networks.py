"""Networks of faces: layouts as they were published, with random weights; finders on drawn pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("cv2")

from safetensors.torch import save_file  # noqa: E402

from extensions.faces.finding.detailed import peaks, with_landmarks, with_parts  # noqa: E402
from extensions.faces.finding.drawn import cut_out, distinct, find_drawn  # noqa: E402
from extensions.faces.finding.face import Face  # noqa: E402
from extensions.faces.finding.photographs import find_yunet, from_yunet  # noqa: E402
from extensions.faces.networks import bisenet, fan  # noqa: E402
from extensions.faces.networks.drawn import DrawnFaces, load_drawn, places  # noqa: E402
from extensions.faces.networks.files import recognise  # noqa: E402
from extensions.faces.vocabulary import LANDMARKS, PARTS  # noqa: E402
from webui.api import ModelError  # noqa: E402

CPU = torch.device("cpu")


def test_2dfan_has_the_published_layout() -> None:
    with torch.device("meta"):
        network = fan.Fan()
    names = network.state_dict()
    assert {
        "m0.b1_4.bn1.weight",
        "m3.b2_plus_1.conv3.weight",
        "conv4.downsample.2.weight",
        "bl2.bias",
        "al0.weight",
    } <= set(names)
    assert "bl3.weight" not in names
    assert sum(p.numel() for p in network.parameters()) == FAN_PARAMETERS
    assert [len(points) > 0 for points in fan.IN_OURS.values()] == [True] * len(LANDMARKS)
    assert set(fan.IN_OURS) == set(LANDMARKS)


FAN_PARAMETERS = 23_820_176
BISENET_PARAMETERS = 13_300_416


def test_2dfan_loads_and_places_landmarks() -> None:
    torch.manual_seed(0)
    small = fan.Fan(modules=1, width=32, points=68)
    again = fan.load_fan({f"module.{n}": t for n, t in small.state_dict().items()})
    picture = Image.fromarray(np.random.RandomState(0).randint(0, 255, (90, 120, 3)).astype(np.uint8))
    with torch.no_grad():
        heat = again(torch.rand(1, 3, 256, 256))
        face = with_landmarks(again, picture, Face((30, 20, 80, 75)), CPU)
    assert heat.shape == (1, 68, 64, 64)
    assert set(face.landmarks) == set(LANDMARKS)
    with pytest.raises(ModelError, match="no 2DFAN"):
        fan.load_fan({"a": torch.zeros(1)})


def test_peaks_lean_to_the_hotter_neighbour() -> None:
    heat = torch.zeros(1, 64, 64)
    heat[0, 10, 20], heat[0, 10, 21] = 1.0, 0.5
    assert peaks(heat)[0] == pytest.approx([(20.25 + 0.5) * 4, (10 + 0.5) * 4])


def test_bisenet_has_the_published_layout_and_labels_parts() -> None:
    torch.manual_seed(0)
    network = bisenet.load_bisenet(bisenet.BiSeNet().state_dict())
    names = set(network.state_dict())
    assert {
        "cp.resnet.layer4.1.bn2.running_var",
        "cp.arm32.bn_atten.weight",
        "ffm.conv2.weight",
        "conv_out32.conv_out.weight",
    } <= names
    assert sum(p.numel() for p in network.parameters()) == BISENET_PARAMETERS
    assert len(bisenet.IN_OURS) == bisenet.CLASSES
    assert set(bisenet.IN_OURS) <= set(PARTS)
    with torch.no_grad():
        face = with_parts(network, Image.new("RGB", (60, 50), (90, 80, 70)), Face((20, 10, 40, 36)), CPU)
    assert face.parts is not None
    assert face.parts.shape == (50, 60)
    with pytest.raises(ModelError, match="no BiSeNet"):
        bisenet.load_bisenet({"a": torch.zeros(1)})


def test_places_are_the_middle_of_a_bell() -> None:
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(40.0), indexing="ij")
    heat = -((x - 20.3) ** 2 + (y - 8.6) ** 2) / 2
    assert places(heat[None])[0].tolist() == pytest.approx([20.3, 8.6], abs=0.02)


def test_a_network_is_read_as_it_was_written(tmp_path: Path) -> None:
    network = DrawnFaces((8, 8, 16), PARTS, LANDMARKS, 64)
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    about = {"architecture": "lifelike-faces", "channels": [8, 8, 16], "size": 64, "title": "Mine"}
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**about, "parts": PARTS, "landmarks": LANDMARKS}))
    assert recognise(tmp_path / "model.safetensors") == {"family": "drawn", "title": "Mine"}
    again = load_drawn(config, network.state_dict())
    picture = Image.fromarray(np.random.RandomState(1).randint(0, 255, (50, 90, 3)).astype(np.uint8))
    with torch.no_grad():
        assert isinstance(find_drawn(again, picture, CPU), list)
    config.write_text(json.dumps(about))
    with pytest.raises(ModelError, match="cannot be read"):
        load_drawn(config, network.state_dict())


def test_files_are_told_by_header_or_name(tmp_path: Path) -> None:
    save_file({"m0.b1_4.bn1.weight": torch.zeros(1)}, tmp_path / "a.safetensors")
    save_file({"cp.arm16.conv_atten.weight": torch.zeros(1)}, tmp_path / "b.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "c.safetensors")
    (tmp_path / "79999_iter.pth").write_bytes(b"")
    told = {p.name: (recognise(p) or {}).get("family") for p in tmp_path.iterdir()}
    assert told == {
        "a.safetensors": "fan",
        "b.safetensors": "bisenet",
        "c.safetensors": None,
        "79999_iter.pth": "bisenet",
    }


def test_a_cut_out_goes_on_beyond_the_edge() -> None:
    picture = Image.new("RGB", (20, 20), (10, 200, 30))
    assert np.asarray(cut_out(picture, -30, -30, 80, 16)).reshape(-1, 3).tolist() == [[10, 200, 30]] * 256


def test_one_box_a_face() -> None:
    kept = distinct([(0.5, (0, 0, 10, 10)), (0.9, (1, 1, 11, 11)), (0.4, (40, 40, 50, 50))])
    assert kept == [(0.9, (1, 1, 11, 11)), (0.4, (40, 40, 50, 50))]


def test_rows_of_yunet() -> None:
    row = [10, 20, 40, 50, 22, 40, 40, 41, 31, 52, 24, 60, 38, 61, 0.93]
    face = from_yunet(np.array([row], np.float32), 0.5, (200, 160))[0]
    assert face.box == (20, 40, 100, 140)
    assert face.landmarks["left pupil"] == (44, 80)
    assert face.landmarks["mouth right"] == (76, 122)
    assert "chin" in face.estimated
    assert face.parts is not None


def test_what_is_no_yunet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wrong.onnx"
    path.write_bytes(b"\x08\x01no")
    with pytest.raises(ModelError, match=r"wrong\.onnx"):
        find_yunet(Image.new("RGB", (64, 64)), path)
