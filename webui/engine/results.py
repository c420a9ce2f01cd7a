"""Between what a pipeline hands over and the library: is it what was promised, what made it, and what went wrong if
not.
"""

from __future__ import annotations

import errno
import importlib.metadata
import json
import math
import os
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import torch
from PIL.Image import Image

import webui
from webui.core.errors import ExtensionError, JobFailed, LifelikeError, NotFound, ParameterError
from webui.core.jobs import ErrorInfo
from webui.core.specs import Artifact, ArtifactKind, PipelineSpec

LIBRARIES = ("torch", "diffusers", "transformers", "numpy", "pillow")
"""Whose versions may change a picture."""
_KINDS = get_args(ArtifactKind)
_TRACEBACK_CHARS = 20_000
_FLAT_PIXELS_MIN = 16


def artifacts_of(result: Any, spec: PipelineSpec) -> Iterator[Artifact]:
    """What a pipeline returned or yielded, one artifact at a time. Raises ExtensionError for what is none."""
    if result is None:
        return
    if isinstance(result, Artifact):
        yield result
        return
    if not isinstance(result, Iterable) or isinstance(result, str | bytes | Mapping):
        raise _broken(spec, f"returned {_what(result)}, expected webui.api.Artifact values, returned or yielded")
    for item in result:
        if not isinstance(item, Artifact):
            raise _broken(spec, f"handed over {_what(item)}, expected a webui.api.Artifact")
        yield item


def checked(artifact: Artifact, spec: PipelineSpec) -> Artifact:
    """``artifact`` if it is what it says. Raises ExtensionError that says what was expected and met."""
    where = f"artifact {artifact.index!r}"
    if artifact.kind not in _KINDS:
        raise _broken(spec, f"made {where} of the kind {artifact.kind!r}, expected one of {', '.join(_KINDS)}")
    if not isinstance(artifact.index, int) or artifact.index < 0:
        raise _broken(spec, f"made {where}, expected an index from 0 on")
    if artifact.kind == "image":
        _check_image(artifact, spec)
    elif artifact.kind in ("video", "audio", "file"):
        _check_file(artifact, spec)
    elif artifact.kind == "table" and not _is_table(artifact.data):
        raise _broken(spec, f"made the table {where} of {_what(artifact.data)}, expected a list of dicts")
    else:
        _check_json(artifact, spec)
    return artifact


def _check_image(artifact: Artifact, spec: PipelineSpec) -> None:
    image = artifact.data
    if not isinstance(image, Image):
        raise _broken(spec, f"made the image {artifact.index} of {_what(image)}, expected a PIL image")
    if not image.width or not image.height:
        raise _broken(spec, f"made an image of {image.width}x{image.height} pixels")
    try:
        image.load()
    except (OSError, ValueError) as error:
        raise _broken(spec, f"made an image that cannot be read: {error}") from error
    if image.mode == "F" and not all(math.isfinite(bound) for bound in _bounds(image)):
        raise _broken(spec, "made an image that holds values that are not finite")


def _check_file(artifact: Artifact, spec: PipelineSpec) -> None:
    data = artifact.data
    expected = "expected the path of a finished file"
    if not isinstance(data, str | os.PathLike):
        raise _broken(spec, f"made the {artifact.kind} {artifact.index} of {_what(data)}, {expected}")
    path = Path(data)
    if not path.is_file() or not path.stat().st_size:
        raise _broken(
            spec, f"made the {artifact.kind} {artifact.index} at {path}, which is missing or empty, {expected}"
        )


def _is_table(data: Any) -> bool:
    return isinstance(data, list | tuple) and all(isinstance(row, Mapping) for row in data)


def _check_json(artifact: Artifact, spec: PipelineSpec) -> None:
    try:
        json.dumps(artifact.data)
    except (TypeError, ValueError) as error:
        problem = f"made the {artifact.kind} {artifact.index} of {_what(artifact.data)}, expected values that JSON has"
        raise _broken(spec, f"{problem}: {error}") from None


def is_flat(image: Image) -> bool:
    """Whether every pixel has one colour, as where a model gave non-finite values. A picture of a few pixels may."""
    if image.width * image.height < _FLAT_PIXELS_MIN:
        return False
    bounds = _bounds(image)
    if image.mode in ("RGBA", "LA", "PA"):
        bounds = bounds[:-2]
    return all(low == high for low, high in zip(bounds[::2], bounds[1::2], strict=True))


def _bounds(image: Image) -> list[float]:
    """Lowest and highest value of each band, one after the other."""
    extrema: Any = image.getextrema()
    return [float(bound) for pair in extrema for bound in pair] if isinstance(extrema[0], tuple) else list(extrema)


def library_versions() -> dict[str, str]:
    """Versions of what shapes a picture, as installed; nothing is imported to tell them."""
    versions = {"lifelike": webui.__version__}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def describe_fault(fault: BaseException, extension: str) -> ErrorInfo:
    """What to tell the user of an exception that ended a job. ``extension`` is whose pipeline ran; empty: none did
    yet.
    """
    message, hint = _words(fault)
    expected = isinstance(
        fault, ParameterError | NotFound | JobFailed
    )  # written for the user: where it was raised says nothing more
    return ErrorInfo(
        kind=type(fault).__name__,
        message=message,
        hint=hint,
        traceback="" if expected else "".join(traceback.format_exception(fault))[-_TRACEBACK_CHARS:],
        extension=fault.extension if isinstance(fault, ExtensionError) else extension,
    )


def _words(fault: BaseException) -> tuple[str, str]:
    """Message and hint."""
    smaller = "Choose a smaller picture, a smaller batch or a smaller model."
    if isinstance(fault, LifelikeError):
        return fault.message, fault.hint
    if isinstance(fault, torch.OutOfMemoryError):
        return f"the device ran out of memory: {_first_line(fault)}", smaller
    if isinstance(fault, MemoryError):
        return "the machine ran out of memory.", smaller
    if isinstance(fault, SystemExit):
        return f"the pipeline tried to end the program (exit status {fault.code!r}).", "It must raise an error instead."
    if isinstance(fault, OSError) and fault.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full: {fault}", "Make room, then run the job again: it goes on where it stopped."
    return str(fault).strip() or type(fault).__name__, ""


def _first_line(fault: BaseException) -> str:
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0]


def _broken(spec: PipelineSpec, what: str) -> ExtensionError:
    return ExtensionError(
        f"extension {spec.extension!r}: the pipeline {spec.id!r} {what}.",
        extension=spec.extension,
        hint="This is a fault of the extension: tell its author.",
    )


def _what(value: Any) -> str:
    """The value's type, for a message."""
    name = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    return f"a {name}" + (f" of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else "")
