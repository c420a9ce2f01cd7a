"""A job's parameters -> the faces of its picture: which finder is asked, and what a person says instead."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from extensions.faces.networks.bisenet import load_bisenet
from extensions.faces.networks.drawn import DrawnFaces, load_drawn
from extensions.faces.networks.fan import load_fan
from extensions.faces.networks.files import BISENET, DRAWN, FAN, KIND
from extensions.faces.params import Finding
from webui.api import (
    Component,
    ComponentKey,
    Context,
    FieldError,
    JobFailed,
    ModelError,
    ModelUse,
    ParameterError,
    ResolvedModel,
)

from .detailed import with_landmarks, with_parts
from .drawn import find_drawn, look_closer
from .face import Face, read_face
from .photographs import find_haar, find_yunet, with_oval

_SURE = 0.5
"""From which score on a drawn face is taken for one without asking further."""
_LOADERS = {FAN: load_fan, BISENET: load_bisenet}


def find_faces(params: Finding, picture: Image.Image, context: Context) -> list[Face]:
    """The faces of an RGB picture in the order of ``params.order``. Raises ParameterError, ModelError."""
    given = given_faces(params.faces, picture.size)
    if given:
        return [_detailed_given(face, picture, context) for face in given]
    if params.detector == "yunet" and params.detector_file is None:
        raise ParameterError(
            [FieldError("detector_file", "YuNet needs its file")],
            hint="Take face_detection_yunet_2023mar.onnx of OpenCV's model zoo (MIT licence).",
        )
    faces: list[Face] = []
    if params.detector in ("auto", "drawn"):
        faces = [f for f in _drawn(picture, context) if params.detector == "drawn" or f.score >= _SURE]
    if not faces and params.detector_file is not None and params.detector in ("auto", "yunet"):
        faces = find_yunet(picture, context.open_file(params.detector_file))
    elif not faces and params.detector in ("auto", "haar"):
        faces = find_haar(picture)
    if faces and faces[0].by != "drawn":
        faces = _photographed(faces, picture, context)
    return ordered(faces, params.order)


def the_face(params: Finding, picture: Image.Image, context: Context) -> Face:
    """The one that ``params.face`` numbers. Raises JobFailed where there is none, ParameterError for a wrong number."""
    faces = find_faces(params, picture, context)
    if not faces:
        raise JobFailed(
            "No face was found in the picture.",
            hint="Take a picture that shows a face from the front. Or, under Advanced, choose another finder, or say "
            'where the face is in "Faces as JSON": [{"box": [left, top, right, bottom]}], in pixels.',
        )
    if params.face > len(faces):
        raise ParameterError([FieldError("face", f"expected 1 to {len(faces)}: so many faces were found", params.face)])
    return faces[params.face - 1]


def ordered(faces: Sequence[Face], order: str) -> list[Face]:
    """``size``: the largest first; ``left``: from the left; ``score``: the surest first."""
    keys = {"size": lambda f: -f.height * f.width, "left": lambda f: f.box[0], "score": lambda f: -f.score}
    return sorted(faces, key=keys[order])


def given_faces(text: str, size: tuple[int, int]) -> list[Face]:
    """Faces of JSON that a person corrected: a list of them, one, or what faces.find wrote. Raises ParameterError."""
    if not text.strip():
        return []
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"expected JSON: {error}") from None
    if isinstance(read, Mapping):
        read = read.get("faces", [read])
    if not isinstance(read, list) or not all(isinstance(row, Mapping) for row in read) or len(read) > 64:
        raise _wrong('expected a list such as [{"box": [left, top, right, bottom], "landmarks": {"nose": [x, y]}}]')
    faces = []
    for place, row in enumerate(read):
        try:
            faces.append(read_face(row, size))
        except ValueError as error:
            raise _wrong(f"face {place + 1}: {error}") from None
    return faces


def drawn_component(context: Context) -> Component | None:
    """The network for drawn faces, to be leased; None where no catalog has one."""
    model = _listed(context, DRAWN)
    if model is None or model.path is None:
        return None
    path = model.path
    context.use_model(ModelUse(ref=model.ref, sha256=model.sha256))
    key = ComponentKey.of(path, "faces", "float32")
    return Component(key, lambda: load_drawn(path.parent / "config.json", context.models.open_weights(path)))


def _listed(context: Context, family: str) -> ResolvedModel | None:
    return next((m for m in context.models.listed(KIND) if m.family == family and m.path is not None), None)


def _drawn(picture: Image.Image, context: Context) -> list[Face]:
    component = drawn_component(context)
    if component is None:
        return []
    with context.models.lease({"faces": component}) as parts, torch.no_grad():
        return find_drawn(parts["faces"], picture, context.device)


def _detailed_given(face: Face, picture: Image.Image, context: Context) -> Face:
    """What a person said stands; what was not said is looked for in the box."""
    said = {name: point for name, point in face.landmarks.items() if name not in face.estimated}
    component = drawn_component(context)
    if component is None:
        return with_oval(face, picture.size)
    with context.models.lease({"faces": component}) as parts, torch.no_grad():
        network: DrawnFaces = parts["faces"]
        seen = look_closer(network, picture, face.box, face.score, context.device, again=False)
    landmarks = {**(face.landmarks if len(said) >= 2 else seen.landmarks), **said}
    estimated = face.estimated if len(said) >= 2 else seen.estimated - said.keys()
    return Face(face.box, face.score, landmarks, seen.parts, "given", frozenset(estimated))


def _photographed(faces: list[Face], picture: Image.Image, context: Context) -> list[Face]:
    """Landmarks by 2DFAN and parts by BiSeNet, where the catalog has them."""
    for family, detail in ((FAN, with_landmarks), (BISENET, with_parts)):
        model = _listed(context, family)
        if model is None or model.path is None:
            continue
        with context.models.lease({family: _component(context, model.path, family)}) as parts, torch.no_grad():
            faces = [detail(parts[family], picture, face, context.device) for face in faces]
        context.use_model(ModelUse(ref=model.ref, sha256=model.sha256))
    return faces


def _component(context: Context, path: Path, family: str) -> Component:
    def load() -> Any:
        try:
            return _LOADERS[family](context.models.open_weights(path))
        except ModelError as error:
            raise ModelError(f"{path.name}: {error.message}", hint="Its name or header said it was one.") from error

    return Component(ComponentKey.of(path, family, "float32"), load)


def _wrong(message: str) -> ParameterError:
    return ParameterError([FieldError("faces", message)])
