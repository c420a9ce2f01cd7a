"""What each picture was to show: given for all, in a file, beside the pictures, or in what the picture's file says."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from extensions.metrics.inputs.made import PipelinePictures, texts_in
from extensions.metrics.inputs.pictures import PictureFiles, PictureSet
from extensions.metrics.inputs.refs import First
from webui.api import Context, FieldError, JobFailed, ParameterError

MOST_SHOWN = 3


def prompts_of(pictures: PictureSet, given: str, file: str | None, context: Context) -> list[str]:
    """A prompt for each picture, in their order: ``given``, else of ``file``, else what each was made with.

    Raises ParameterError where a file does not fit, JobFailed where pictures do not say what they were made with.
    """
    if given.strip():
        return [given.strip()] * len(pictures)
    if file:
        return _of_file(pictures, context.open_file(file))
    whole = pictures.whole if isinstance(pictures, First) else pictures
    if isinstance(whole, PipelinePictures):
        return _of_run(whole, len(pictures))
    if isinstance(whole, PictureFiles):
        return _of_files(pictures, whole, context)
    raise ParameterError([FieldError("prompt", "is required: these pictures do not say what they show")])


def _of_run(made: PipelinePictures, count: int) -> list[str]:
    if made.prompts:
        return [made.prompts[index % len(made.prompts)] for index in range(count)]
    prompt = str(made.params.get("prompt", "")).strip()
    if not prompt:
        raise ParameterError([FieldError("prompt", "is required: what these pictures are made from has none")])
    return [prompt] * count


def _of_file(pictures: PictureSet, path: Path) -> list[str]:
    named = _captions(path)
    if named is not None:
        return _by_name(pictures, named, path.name)
    texts = texts_in(path)
    if len(texts) < len(pictures):
        raise ParameterError(
            [FieldError("prompts", f"expected a line for each of {len(pictures)} pictures", f"{len(texts)} lines")]
        )
    return texts[: len(pictures)]


def _captions(path: Path) -> dict[str, str] | None:
    """``file_name`` -> ``text`` of each line of JSON, as data sets keep captions; None for other texts."""
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return {str(row["file_name"]): str(row["text"]) for row in rows} or None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _by_name(pictures: PictureSet, named: Mapping[str, str], where: str) -> list[str]:
    short = {os.path.basename(name): text for name, text in named.items()}
    names = [pictures.name(index) for index in range(len(pictures))]
    found = [named.get(name, short.get(os.path.basename(name))) for name in names]
    _complain([name for name, text in zip(names, found, strict=True) if text is None], f"{where} names no caption for")
    return [text for text in found if text is not None]


def _of_files(pictures: PictureSet, files: PictureFiles, context: Context) -> list[str]:
    """Of a metadata.jsonl beside the pictures, else of each picture's own file."""
    if files.folder is not None and (named := _captions(files.folder / "metadata.jsonl")) is not None:
        return _by_name(pictures, named, "metadata.jsonl")
    found = [str(context.made_with(files.data(index)).get("prompt", "")).strip() for index in range(len(pictures))]
    _complain([pictures.name(index) for index, text in enumerate(found) if not text], "no prompt was found in")
    return found


def _complain(missing: Sequence[str], words: str) -> None:
    if missing:
        more = f" and {len(missing) - MOST_SHOWN} more" if len(missing) > MOST_SHOWN else ""
        raise JobFailed(
            f"{words} {', '.join(missing[:MOST_SHOWN])}{more}.", hint="Give a prompt, or a file of prompts."
        )
