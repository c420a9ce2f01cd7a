"""What was found out by measuring on this device with these versions of the libraries, kept in a file for the next
time.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


class FindingsFile:
    """``webui.api.Findings`` in one JSON file, which is as none where it cannot be read. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        # Guards the values and the file.
        self._values: dict[str, Any] | None = None

    def get(self, key: str) -> Any:
        with self._lock:
            return self._read().get(key)

    def keep(self, key: str, value: Any) -> None:
        """Write it at once, the whole file or nothing. Raises TypeError for what JSON cannot hold."""
        with self._lock:
            values = {**self._read(), key: value}
            text = json.dumps(values, sort_keys=True)
            self._values = values
            half = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                half.write_text(text, encoding="utf-8")
                os.replace(half, self._path)
            except OSError as error:
                log.warning("what was measured cannot be kept in %s: %s", self._path, error)

    def all(self) -> dict[str, Any]:
        """Everything, by key."""
        with self._lock:
            return dict(self._read())

    def _read(self) -> dict[str, Any]:
        if self._values is None:
            try:
                body = json.loads(self._path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                body = {}
            self._values = body if isinstance(body, dict) else {}
        return self._values


def findings_path(estimates: Path, topic: str) -> Path:
    """Beside the estimates of the same device and versions."""
    return estimates.with_name(f"{estimates.stem}.{topic}.json")
