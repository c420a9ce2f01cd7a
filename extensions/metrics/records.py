"""The record of a score: the number with all that decided it, one line of JSON each."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

FORMAT = 1
LIBRARIES = ("torch", "numpy", "scipy", "pillow", "transformers")


def versions(extension: str) -> dict[str, str]:
    """Of what computed the number. ``extension``: this one's own."""
    told = {"metrics": extension, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            told[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return told


def lines(rows: Sequence[Mapping[str, Any]], protocol: Mapping[str, Any]) -> str:
    """A line for each score. It holds no time: the same pictures give the same bytes."""
    return "".join(json.dumps({"format": FORMAT, **row, **protocol}, ensure_ascii=False) + "\n" for row in rows)


def keep(folder: Path, text: str, **said: Any) -> None:
    """Add the lines to ``folder``/scores.jsonl, each with the time and ``said``. One write a call: jobs never mix."""
    folder.mkdir(parents=True, exist_ok=True)
    now = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **said}
    stamped = "".join(json.dumps({**now, **json.loads(line)}, ensure_ascii=False) + "\n" for line in text.splitlines())
    place = os.open(folder / "scores.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(place, stamped.encode())
    finally:
        os.close(place)


def device_words(device: torch.device) -> str:
    """Class and name."""
    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type


def shortest(values: Iterable[float]) -> list[float]:
    """Numbers for people: six digits."""
    return [float(f"{value:.6g}") for value in values]
