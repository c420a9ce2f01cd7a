"""Two pictures with a face each: opened, compared, and given to a network that a person supplied."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from extensions.faces.backends.running import FaceNetwork
from extensions.faces.backends.supplied import accepted
from extensions.faces.finding.choosing import the_face
from extensions.faces.finding.face import Face
from extensions.faces.judging.judge import likeness, read_all
from extensions.faces.params_mixing import ExpressionParams, SwapParams
from extensions.faces.pixels.blending import blend
from extensions.faces.pixels.cutting import around, cut
from extensions.faces.pixels.laying import taken_mask
from extensions.faces.pixels.sheets import row_of
from webui.api import Context, JobFailed, ModelUse

MARGIN = 0.55
"""What is shown beside a face, as a share of its height."""


def both_faces(params: SwapParams | ExpressionParams, context: Context) -> tuple[Image.Image, Face, Image.Image, Face]:
    """The picture and its face, the other picture and its face."""
    picture = context.open_image(params.image).convert("RGB")
    other = context.open_image(params.source).convert("RGB")
    ours = the_face(params, picture, context).completed()
    asked = params.model_copy(update={"faces": params.source_faces, "face": params.source_face})
    return picture, ours, other, the_face(asked, other, context).completed()


def measured(
    context: Context, judge: str, pictures: Mapping[str, tuple[Image.Image, Face]], result: Image.Image, face: Face
) -> dict[str, float]:
    """How alike the result's face is to each of others."""
    views = [cut(p, around(f, p.size, MARGIN), 256) for p, f in (*pictures.values(), (result, face))]
    read, _ = read_all(context, judge, views)
    return {f"likeness_to_{n}": round(likeness(one, read[-1]), 4) for n, one in zip(pictures, read[:-1], strict=True)}


def by_network(
    params: SwapParams | ExpressionParams,
    parts: str,
    picture: Image.Image,
    ours: Face,
    other: Image.Image,
    theirs: Face,
    context: Context,
) -> Image.Image:
    """By the network that the person supplied, blended in. Raises ParameterError that shows its licence, ModelError."""
    one = accepted(params.network.strip(), params.licence, context.folders("faces"))
    context.use_model(ModelUse(ref=one.name, sha256=_sha256(one.path)))
    before = np.asarray(picture)
    placed, inside = FaceNetwork(one).placed(before, ours, np.asarray(other), theirs)
    mask = taken_mask(ours, parts, before.shape[:2]) * inside
    if not mask.any():
        raise JobFailed("Nothing of the face is in sight.")
    made = blend(before, placed, mask, way="feather", feather=0.06 * ours.height, match=False)
    strength = min(1.0, params.strength)
    return Image.fromarray(
        (before + strength * (made.astype(np.float32) - before)).round().clip(0, 255).astype(np.uint8)
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def compared(picture: Image.Image, other: Image.Image, result: Image.Image, relation: str) -> Image.Image:
    """All three side by side; ``relation``: what the other picture is to the result."""
    return row_of([picture, _fitted(other, picture.size), result], ["picture", relation, "result"])


def _fitted(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Whole on a white sheet of ``size``."""
    scale = min(size[0] / picture.width, size[1] / picture.height)
    small = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    sheet = Image.new("RGB", size, "white")
    sheet.paste(small, ((size[0] - small.width) // 2, (size[1] - small.height) // 2))
    return sheet
