"""The small pictures of a choice that declares them: from an extension's folder to addresses that its form shows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from starlette.responses import FileResponse, Response

from webui.core.errors import NotFound
from webui.core.parameters import Parameter, describe
from webui.core.specs import PipelineSpec

from . import routes

PREFIX = f"{routes.PREFIX}/choices"
_TYPES = {".webp": "image/webp", ".png": "image/png", ".jpg": "image/jpeg"}


class ChoicePictures:
    """Every picture that a pipeline's choices have. What is not there is not shown: its name is enough."""

    def __init__(self, pipelines: Mapping[str, PipelineSpec], folders: Mapping[str, Path]) -> None:
        """``folders``: of each extension."""
        self._files: dict[tuple[str, str, str], Path] = {}
        for spec in pipelines.values():
            root = folders.get(spec.extension)
            if root is None:
                continue
            for row in describe(spec.params):
                if row.extra.get("pictures"):
                    found = _pictures(root, row)
                    self._files.update({(spec.id, row.name, value): path for value, path in found.items()})

    def addresses(self, spec: PipelineSpec, row: Parameter) -> dict[str, str]:
        """Value -> where its picture is, below the page; changes with its content, so that browsers may keep it."""
        return {
            value: f"{PREFIX}/{spec.id}/{row.name}?of={quote(value)}&v={routes.digest(path)}"
            for value, _ in row.options
            if (path := self._files.get((spec.id, row.name, value))) is not None
        }

    def answer(self, pipeline: str, name: str, of: str) -> Response:
        """Raises NotFound."""
        path = self._files.get((pipeline, name, of))
        if path is None:
            raise NotFound(f"There is no picture of {of[:80]!r}.")
        return FileResponse(path, media_type=_TYPES[path.suffix], headers=routes.FOR_GOOD)


NO_PICTURES = ChoicePictures({}, {})


def _pictures(root: Path, row: Parameter) -> dict[str, Path]:
    """Those of ``row`` that lie in the folder it names, which is in ``root``."""
    root = root.resolve()
    found = {}
    for value, _ in row.options:
        for ending in _TYPES:
            path = (root / str(row.extra["pictures"]) / f"{value}{ending}").resolve()
            if path.is_relative_to(root) and path.is_file():
                found[value] = path
                break
    return found
