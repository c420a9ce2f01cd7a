"""The pictures that a person named, for the scores of single pictures; and the protocol that they make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from extensions.metrics import records
from extensions.metrics.comparing import VERSION
from extensions.metrics.inputs.pictures import PictureSet, Prepare
from extensions.metrics.inputs.refs import Asked, open_set
from extensions.metrics.sets.frechet import Moments
from webui.api import Context, JobFailed

from .params import PictureParams


def opened(asked: Asked, context: Context, threads: int = 0) -> PictureSet:
    """The set that was asked for. Raises JobFailed, ParameterError, NotFound."""
    found = open_set(asked, context, threads)
    if isinstance(found, Moments):
        raise JobFailed("statistics hold no pictures.", hint="Give a folder or a .zip of pictures.")
    return found


def pictures_of(params: PictureParams, context: Context, threads: int = 0) -> PictureSet:
    """The pictures of a form."""
    asked = Asked("pictures", params.pictures, params.pictures_file, params.images, count=params.samples)
    return opened(asked, context, threads)


def said_of(pictures: PictureSet, context: Context) -> dict[str, Any]:
    """What a record says of the set and of where it was scored."""
    return {
        "set": pictures.title,
        "n": len(pictures),
        "format": pictures.file_format,
        "device": records.device_words(context.device),
        "versions": records.versions(VERSION),
    }


def pixels(picture: Image.Image) -> NDArray[np.uint8]:
    """RGB -> uint8 [H,W,3]."""
    return np.asarray(picture.convert("RGB"))


def chunks(pictures: PictureSet, start: int, prepare: Prepare, size: int) -> Iterator[tuple[int, list[Any]]]:
    """(number of the first, at most ``size`` prepared pictures) from picture ``start`` on."""
    held: list[Any] = []
    for index, one in enumerate(pictures.read(start, prepare), start=start):
        held.append(one)
        if len(held) == size:
            yield index + 1 - size, held
            held = []
    if held:
        yield len(pictures) - len(held), held


Protocol = Mapping[str, Any]
