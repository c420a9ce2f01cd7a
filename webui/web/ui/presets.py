"""Named sets of parameters, one JSON file a pipeline in the data folder, behind the preset bar of each form."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from webui.core.errors import Conflict, NotFound

MAX_NAME = 80
MAX_PRESETS = 500

_PIPELINE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class PresetStore:
    """Presets below ``root``, in the folder there that ``whose`` names: of who asks. Threads may share one: its lock
    guards a file between reading and replacing it.
    """

    def __init__(self, root: Path, whose: Callable[[], str] = lambda: "") -> None:
        self._root = root
        self._whose = whose
        self._lock = threading.Lock()

    def names(self, pipeline: str) -> list[str]:
        return sorted(self._read(pipeline), key=str.casefold)

    def get(self, pipeline: str, name: str) -> dict[str, Any]:
        """The parameters saved as ``name``. Raises NotFound."""
        try:
            return dict(self._read(pipeline)[name])
        except KeyError:
            raise NotFound(f"There is no preset {name!r}.") from None

    def save(self, pipeline: str, name: str, params: Mapping[str, Any]) -> str:
        """Store ``params`` under ``name``, in place of what had it. Answers the name as it is kept. Raises Conflict."""
        name = " ".join(name.split())
        if not name or len(name) > MAX_NAME:
            raise Conflict(f"A preset's name has 1 to {MAX_NAME} characters.")
        with self._lock:
            presets = self._read(pipeline)
            if name not in presets and len(presets) >= MAX_PRESETS:
                raise Conflict(f"There are {MAX_PRESETS} presets already.", hint="Delete one first.")
            presets[name] = dict(params)
            self._write(pipeline, presets)
        return name

    def delete(self, pipeline: str, name: str) -> None:
        """Raises NotFound."""
        with self._lock:
            presets = self._read(pipeline)
            if presets.pop(name, None) is None:
                raise NotFound(f"There is no preset {name!r}.")
            self._write(pipeline, presets)

    def _path(self, pipeline: str) -> Path:
        if not _PIPELINE.fullmatch(pipeline):
            raise NotFound(f"{pipeline!r} is no pipeline.")
        return self._root / self._whose() / f"{pipeline}.json"

    def _read(self, pipeline: str) -> dict[str, dict[str, Any]]:
        """Nothing where there is no file; what cannot be read is set aside under another name, not overwritten."""
        path = self._path(pipeline)
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            os.replace(path, path.with_suffix(".broken.json"))
            return {}
        return {str(name): params for name, params in stored.items() if isinstance(params, dict)}

    def _write(self, pipeline: str, presets: Mapping[str, Any]) -> None:
        path = self._path(pipeline)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps(presets, indent=1, ensure_ascii=False), encoding="utf-8")
        os.replace(temporary, path)
