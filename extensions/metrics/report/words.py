"""The words of a report in the language that was asked for, from the extension's own table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

LANGUAGES = {"en": "English", "zh-CN": "简体中文"}
_TABLES = Path(__file__).resolve().parents[1] / "locale"


@dataclass(frozen=True)
class Words:
    """Calling it with an English text gives the text in ``language``, its ``{slots}`` filled; what the table does not
    have stays English.
    """

    language: str = "en"

    def __call__(self, text: str, **slots: Any) -> str:
        return _table(self.language).get(text, text).format(**slots) if slots else _table(self.language).get(text, text)


@lru_cache
def _table(language: str) -> dict[str, str]:
    path = _TABLES / f"{language}.json"
    if language not in LANGUAGES or not path.is_file():
        return {}
    table: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return table
