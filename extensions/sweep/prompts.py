"""A file of prompts -> its texts, one for each picture of a cell."""

from __future__ import annotations

import json
from pathlib import Path

from webui.api import JobFailed


def texts_in(path: Path) -> list[str]:
    """The lines of a text, or ``text`` of each line of JSON, as data sets keep captions. Raises JobFailed."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        if lines and all(line.startswith("{") for line in lines):
            return [str(json.loads(line)["text"]) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JobFailed(f"{path.name} holds no prompts: {error}", hint="Expected a prompt a line.") from error
    if not lines:
        raise JobFailed(f"{path.name} holds no prompts.", hint="Expected a prompt a line.")
    return lines
