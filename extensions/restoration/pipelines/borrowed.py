"""Beside the chain: steps that other extensions do, by the ids of their pipelines: finding faces, making larger."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image

from extensions.restoration.networks.foreign import FACE_SIDE, Foreign, better_face
from extensions.restoration.pictures.arrays import Pixels, to_picture
from webui.api import Artifact, Context, JobFailed

FIND_FACES, UPSCALE = "faces.find", "diffusion.upscale"
_FACE_MARGIN = 0.35
"""Of a face's longer side, on each side of its box: what face networks were trained to see."""


def boxes_of_faces(pixels: Pixels, context: Context) -> list[Sequence[float]]:
    """Left, top, right, bottom of each face, in pixels. Raises JobFailed where nobody finds faces."""
    told: list[Mapping[str, Any]] = []
    _run(context, FIND_FACES, {"image": _reference(to_picture(pixels))}, 3, told.append, "scalar")
    return [face["box"] for row in told for face in row["faces"]]


def larger(picture: Image.Image, scale: int, upscaler: str, tile: int, context: Context) -> Image.Image:
    """By the upscaling pipeline, with all its networks. Raises JobFailed."""
    made: list[Image.Image] = []
    params = {"image": _reference(picture), "scale": scale, "tile": tile, "upscaler": upscaler}
    _run(context, UPSCALE, params, 1, made.append, "image")
    return made[0]


def with_better_face(network: Foreign, pixels: Pixels, box: Sequence[float], strength: float) -> Pixels:
    """The picture with one face restored, and faded into its surroundings."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = box
    side = max(right - left, bottom - top) * (1 + 2 * _FACE_MARGIN)
    centre = ((left + right) / 2, (top + bottom) / 2)
    there = np.float32([[1, 0, side / 2 - centre[0]], [0, 1, side / 2 - centre[1]]]) * np.float32(FACE_SIDE / side)
    face = cv2.warpAffine(
        pixels, there, (FACE_SIDE, FACE_SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    made = better_face(network, np.clip(face, 0, 1))
    ramp = np.clip(np.minimum(np.arange(FACE_SIDE), np.arange(FACE_SIDE)[::-1]) / (FACE_SIDE * 0.12), 0, 1)
    fade = np.minimum(ramp[:, None], ramp[None]).astype(np.float32) * np.float32(strength)
    back = {"flags": cv2.INTER_AREA | cv2.WARP_INVERSE_MAP, "borderMode": cv2.BORDER_CONSTANT, "borderValue": 0}
    pasted = cv2.warpAffine(made, there, (width, height), **back)
    share = cv2.warpAffine(fade, there, (width, height), **back)[..., None]
    return np.clip(pixels * (1 - share) + pasted * share, 0, 1).astype(np.float32)


def _run(context: Context, pipeline: str, params: Mapping[str, Any], count: int, take: Any, kind: str) -> None:
    """Raises JobFailed where the extension is not there or makes nothing of this kind."""
    if pipeline not in context.pipelines:
        extension = pipeline.partition(".")[0]
        raise JobFailed(
            f"this step is done by {pipeline}, which is not there.",
            hint=f"Enable the extension {extension}, or turn the step off.",
        )
    taken: list[Artifact] = []
    context.run(pipeline, params, count=count, take=taken.append)
    found = [one.data for one in taken if one.kind == kind]
    if not found:
        raise JobFailed(f"{pipeline} answered nothing of the kind {kind}.")
    for data in found:
        take(data)


def _reference(picture: Image.Image) -> str:
    """A picture as a data URL, which a run within a run takes as its parameter."""
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
