"""Below ``store``: a file of JSON lines that only grows, each line on disk before anyone is told of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Every whole line. One that a crash or a full disk cut short is passed over; so is what is no object."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    rows = []
    for line in data.split(b"\n"):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def append_line(path: Path, row: Mapping[str, Any]) -> None:
    """Add ``row``, flushed to the disk. A line that was cut short before stays apart from it. Raises OSError."""
    line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    with path.open("ab+") as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":
                line = b"\n" + line
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
