"""What is said of a prompt at a place in it; made by every stage that reads one, shown by the page and told by jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Remark:
    """``text[start:end]`` of the prompt is meant. ``message`` is a whole sentence in English with ``{names}`` for
    ``values``, so that it can be translated before it is filled in.
    """

    start: int
    end: int
    message: str
    values: Mapping[str, str] = field(default_factory=dict)
    error: bool = False
    """Whether something of the prompt does not do what its form asks for."""

    def __str__(self) -> str:
        return self.message.format_map(dict(self.values))


def shortened(text: str, limit: int = 40) -> str:
    """``text`` on one line and of at most ``limit`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."
