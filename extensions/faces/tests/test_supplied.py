"""Networks that a person supplies: read, run by onnxruntime and by OpenCV, and used by nobody who has not accepted
their licence.
"""

from __future__ import annotations

import builtins
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

pytest.importorskip("torch")
pytest.importorskip("cv2")

from hypothesis import given, settings
from hypothesis import strategies as st

from extensions.faces.backends.graph import inputs_of
from extensions.faces.backends.running import FaceNetwork, Network, aligned
from extensions.faces.backends.supplied import acceptances, accepted, supplied_names
from extensions.faces.finding.face import Face, read_face
from extensions.faces.finding.photographs import with_oval
from extensions.faces.tests.onnx_files import coloured_by_vector, mean_colour, mean_of_both
from webui.api import ModelError, ParameterError
from webui.testing import make_studio, run_pipeline

LICENCE = "Swapper's licence\n\nFor tests alone.\n"


@pytest.fixture(params=["onnxruntime", "opencv"])
def runtime(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way to run a file; OpenCV where onnxruntime is not to be found."""
    if request.param == "onnxruntime":
        pytest.importorskip("onnxruntime")
        return "onnxruntime"
    imported = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "onnxruntime":
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    return "opencv"


def put_network(folder: Path) -> Path:
    folder.mkdir(parents=True)
    path = mean_of_both(folder / "swap.onnx")
    (folder / "swap.license.txt").write_text(LICENCE)
    return path


def put_vector_network(folder: Path) -> Path:
    folder.mkdir(parents=True)
    path = coloured_by_vector(folder / "tint.onnx")
    mean_colour(folder / "recogniser.onnx")
    (folder / "tint.json").write_text(json.dumps({"embedder": "recogniser.onnx", "embedder_range": [0, 1]}))
    (folder / "LICENSE").write_text("The folder's licence")
    return path


def face_at(x: float, y: float, size: float) -> Face:
    return with_oval(read_face({"box": [x, y, x + size, y + size]}, (200, 200)), (200, 200))


def plain(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((200, 200, 3), colour, np.uint8)


def test_a_file_tells_its_inputs(tmp_path: Path) -> None:
    assert inputs_of(mean_of_both(tmp_path / "a.onnx")) == {"target": (1, 3, 128, 128), "source": (1, 3, 128, 128)}
    (tmp_path / "b.onnx").write_bytes(b"no graph at all")
    with pytest.raises(ModelError, match=r"b\.onnx"):
        inputs_of(tmp_path / "b.onnx")


@settings(max_examples=40)
@given(st.binary(max_size=80))
def test_bytes_that_are_no_graph_are_refused_or_read(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.onnx"
    path.write_bytes(raw)
    with suppress(ModelError):
        assert isinstance(inputs_of(path), dict)


def test_both_faces_reach_the_network(runtime: str, tmp_path: Path) -> None:
    put_network(tmp_path / "faces")
    one = accepted("swap.onnx", acceptances(lambda _: [tmp_path / "faces"])[0], [tmp_path / "faces"])
    ours, theirs = face_at(50, 50, 100), face_at(20, 30, 80)
    placed, inside = FaceNetwork(one).placed(plain((200, 100, 50)), ours, plain((100, 200, 150)), theirs)
    assert np.abs(placed[inside > 0].astype(int) - (150, 150, 100)).max() <= 1
    assert 0.2 < inside.mean() < 0.9
    assert inside[100, 100] == 1


def test_a_vector_is_made_by_the_embedder(runtime: str, tmp_path: Path) -> None:
    put_vector_network(tmp_path / "faces")
    places = [tmp_path / "faces"]
    assert supplied_names(lambda _: places) == ["tint.onnx"]
    one = accepted("tint.onnx", acceptances(lambda _: places)[0], places)
    face = face_at(50, 50, 100)
    placed, inside = FaceNetwork(one).placed(plain((250, 250, 250)), face, plain((200, 100, 0)), face)
    expected = 250 * np.array((200, 100, 0)) / np.hypot(200, 100)
    assert np.abs(placed[inside > 0] - expected).max() <= 2


def test_what_does_not_fit_is_told(runtime: str, tmp_path: Path) -> None:
    put_vector_network(tmp_path / "faces")
    places = [tmp_path / "faces"]
    (tmp_path / "faces" / "tint.json").unlink()
    lone = accepted("tint.onnx", next(a for a in acceptances(lambda _: places) if a.startswith("tint")), places)
    with pytest.raises(ModelError, match="vector"):
        FaceNetwork(lone)
    one_input = accepted(
        "recogniser.onnx", next(a for a in acceptances(lambda _: places) if a.startswith("recogniser")), places
    )
    with pytest.raises(ModelError, match="two inputs"):
        FaceNetwork(one_input)
    network = Network(tmp_path / "faces" / "recogniser.onnx")
    with pytest.raises(ModelError, match="recogniser"):
        network({"face": np.zeros((1, 5), np.float32)})


def test_points_come_to_the_template(tmp_path: Path) -> None:
    picture = plain((255, 255, 255))
    face = face_at(50, 50, 100)
    x, y = (round(v) for v in face.landmarks["nose"])
    picture[y - 2 : y + 3, x - 2 : x + 3] = 0
    square, _ = aligned(picture, face, 112)
    row, column = np.unravel_index(square.sum(2).argmin(), (112, 112))
    assert abs(column - 56) < 6
    assert abs(row - 72) < 8


def test_nobody_uses_a_network_whose_licence_was_not_accepted(tmp_path: Path) -> None:
    path = put_network(tmp_path / "faces")
    places = [tmp_path / "faces"]
    (sentence,) = acceptances(lambda _: places)
    assert sentence.startswith("swap.onnx: Swapper's licence (")
    with pytest.raises(ParameterError) as caught:
        accepted("swap.onnx", "", places)
    assert caught.value.fields[0].name == "licence"
    assert caught.value.hint == LICENCE.strip()
    assert accepted("swap.onnx", sentence, places).path == path
    # Another text is another licence.
    (tmp_path / "faces" / "swap.license.txt").write_text(LICENCE + "And no Sundays.")
    with pytest.raises(ParameterError):
        accepted("swap.onnx", sentence, places)
    (tmp_path / "faces" / "swap.license.txt").unlink()
    assert "no licence lies beside it" in acceptances(lambda _: places)[0]
    path.rename(path.with_name("inswapper_128.onnx"))
    assert "non-commercial" in acceptances(lambda _: places)[0]
    with pytest.raises(ParameterError) as caught:
        accepted("../swap.onnx", sentence, places)
    assert caught.value.fields[0].name == "network"


def test_a_supplied_network_swaps_as_a_job(tmp_path: Path) -> None:
    put_network(tmp_path / "models" / "faces")
    ours, theirs = face_at(60, 50, 90), face_at(30, 30, 70)
    for name, face, colour in (("a", ours, (240, 190, 150)), ("b", theirs, (140, 90, 50))):
        picture = Image.new("RGB", (200, 200), (120, 120, 120))
        ImageDraw.Draw(picture).ellipse(face.box, fill=colour)
        picture.save(tmp_path / f"{name}.png")
    studio = make_studio(tmp_path / "data", models_dirs=[tmp_path / "models"])
    asked = {
        "image": str(tmp_path / "a.png"),
        "source": str(tmp_path / "b.png"),
        "faces": json.dumps([{"box": list(ours.box)}]),
        "source_faces": json.dumps([{"box": list(theirs.box)}]),
        "network": "swap.onnx",
        "consent": True,
    }
    refused = run_pipeline("faces.swap", asked, tmp_path, studio=studio)
    assert refused.state == "failed"
    assert "For tests alone." in str(refused.error)
    (sentence,) = acceptances(lambda _: [tmp_path / "models" / "faces"])
    for pipeline in ("faces.swap", "faces.expression"):
        outcome = run_pipeline(pipeline, {**asked, "licence": sentence}, tmp_path, studio=studio)
        assert outcome.state == "done", outcome.error
        assert outcome.job.params["licence"] == sentence
        x, y = (round(v) for v in ours.landmarks["nose"])
        made = np.asarray(outcome.images[0].convert("RGB"))
        assert np.abs(made[y - 3 : y + 4, x - 3 : x + 4].mean((0, 1)) - (190, 140, 100)).max() < 12
        assert np.abs(made[5:20, 5:20].mean((0, 1)) - 120).max() < 6
