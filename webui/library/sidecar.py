"""Beside ``files``: artifacts that are no pictures as bytes, and the sidecar that holds the recipe they cannot hold
themselves.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from webui.core.errors import JobFailed
from webui.core.recipes import Recipe
from webui.core.specs import Artifact, ArtifactKind

from . import infotext
from .naming import SIDECAR_SUFFIX, media_type

_KIND_BY_MEDIA: Mapping[str, ArtifactKind] = {"image": "image", "video": "video", "audio": "audio"}


def sidecar_of(path: Path) -> Path:
    """Where the recipe of a file lies that cannot hold it."""
    return path.with_name(path.name + SIDECAR_SUFFIX)


def wrong_data(artifact: Artifact, expected: str) -> JobFailed:
    return JobFailed(
        f"artifact {artifact.index} of kind {artifact.kind} holds {type(artifact.data).__name__}, expected {expected}.",
        hint="This is a fault of the pipeline; tell its author.",
    )


def table_or_json(artifact: Artifact) -> tuple[bytes, str]:
    """Bytes and ending: CSV for a table of plain values, JSON for everything else."""
    data = artifact.data
    if artifact.kind == "table":
        if not isinstance(data, list | tuple) or not all(isinstance(row, Mapping) for row in data):
            raise wrong_data(artifact, "a list of flat dicts")
        if all(isinstance(value, str | int | float | bool | None) for row in data for value in row.values()):
            return _csv(data), "csv"
    try:
        return (json.dumps(data, ensure_ascii=False, sort_keys=True, indent=1) + "\n").encode("utf-8"), "json"
    except (TypeError, ValueError) as error:
        raise wrong_data(artifact, f"values that JSON can hold ({error})") from None


def _csv(rows: list[Mapping[str, Any]] | tuple[Mapping[str, Any], ...]) -> bytes:
    columns = list(dict.fromkeys(str(name) for row in rows for name in row))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({str(name): value for name, value in row.items()} for row in rows)
    return out.getvalue().encode("utf-8", "replace")


def sidecar_json(artifact: Artifact, recipe_json: str) -> str:
    body = {"kind": artifact.kind, "recipe": json.loads(recipe_json), "title": infotext.clean_text(artifact.title)}
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def read_sidecar(path: Path) -> tuple[ArtifactKind, str, Recipe | None]:
    """Kind, title and recipe; told from the file's ending where the sidecar is missing or damaged."""
    guess = _KIND_BY_MEDIA.get(media_type(path.suffix[1:]).partition("/")[0], "file")
    try:
        body = json.loads(sidecar_of(path).read_text(encoding="utf-8"))
        kind = body["kind"]
        known = kind in ("image", "video", "audio", "table", "plot", "file", "scalar")
        return kind if known else guess, str(body["title"]), Recipe.model_validate(body["recipe"])
    except (OSError, ValueError, KeyError, TypeError):
        return guess, "", None
