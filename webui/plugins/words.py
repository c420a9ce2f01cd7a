"""From the locale files of extensions to tables of words, for the page and for what jobs write."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path

_MAX_FILE_BYTES = 2**20

log = logging.getLogger(__name__)


def read_table(path: Path) -> dict[str, str]:
    """A locale file: an object of English text -> translated text. Raises OSError, ValueError."""
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise ValueError(f"{path} is larger than {_MAX_FILE_BYTES} bytes")
    table = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(table, dict) or not all(isinstance(text, str) for text in table.values()):
        raise ValueError(f"{path}: expected an object of texts")
    return table


def words_of(folders: Iterable[Path], tag: str) -> dict[str, str]:
    """The words of extensions, ``<folder>/locale/<tag>.json``; of two for one text the later one counts. A file that is
    no such table is left out, and logged. ``tag`` is one of the page's languages.
    """
    merged: dict[str, str] = {}
    for folder in folders:
        try:
            merged.update(read_table(folder / "locale" / f"{tag}.json"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            log.warning("a locale file is left out: %s", error)
    return merged
