"""Saved pieces of prompts under names: read from CSV files, as other programs write them, and put around a prompt."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from webui.api import FieldError, NotFound, ParameterError

FOLDER = "styles"
"""The folder's name in the data folder, where ours are saved, and beside the models."""
OWN_FILE = "styles.csv"
PLACE = "{prompt}"
"""Stands in a style for the prompt it is put around; a style without it is added at the end."""

NAME_CHARS_MAX = 120
TEXT_CHARS_MAX = 20_000
_FILE_BYTES_MAX = 8 * 2**20
_COLUMNS = ("name", "prompt", "negative_prompt")

Folders = Callable[[str], Sequence[Path]]


@dataclass(frozen=True)
class Style:
    """A named piece of a prompt and of a negative prompt."""

    name: str
    prompt: str = ""
    negative_prompt: str = ""

    def around(self, prompt: str, negative_prompt: str) -> tuple[str, str]:
        """Both prompts in this style."""
        return _around(self.prompt, prompt), _around(self.negative_prompt, negative_prompt)


def _around(style: str, prompt: str) -> str:
    if PLACE in style:
        return style.replace(PLACE, prompt)
    return ", ".join(part for part in (prompt.strip(), style.strip()) if part) if style.strip() else prompt


class StyleBook:
    """The styles in the CSV files of ``folders``; of two with one name the first counts. The first folder is where
    ours are saved.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders

    def all(self) -> list[Style]:
        """Every style, by name."""
        found: dict[str, Style] = {}
        for folder in self._folders:
            own = folder / OWN_FILE
            others = sorted(path for path in folder.glob("*.csv") if path != own) if folder.is_dir() else []
            for path in (own, *others):
                for style in read_csv(path):
                    found.setdefault(style.name, style)
        return [found[name] for name in sorted(found, key=str.casefold)]

    def named(self, names: Iterable[str]) -> list[Style]:
        """The styles of these names, in their order. Raises ParameterError, which names those there are."""
        known = {style.name: style for style in self.all()} if names else {}
        wanted = list(names)
        missing = [name for name in wanted if name not in known]
        if missing:
            listed = ", ".join(list(known)[:20]) or "none"
            raise ParameterError(
                [FieldError("styles", f"there is no such style; there are: {listed}", repr(missing[0]))]
            )
        return [known[name] for name in wanted]

    def save(self, style: Style) -> None:
        """Keep ``style`` among ours, in place of what had its name. Raises ParameterError."""
        _check(style)
        own = [row for row in read_csv(self._own) if row.name != style.name]
        self._write([*own, style])

    def rename(self, old: str, new: str) -> Style:
        """Call one of ours otherwise. Raises NotFound, ParameterError for a name that is none or is taken."""
        own = {row.name: row for row in read_csv(self._own)}
        if old not in own:
            raise NotFound(f"There is no style {old!r} in {OWN_FILE} of the data folder.")
        renamed = replace(own[old], name=new)
        if new != old and new in {style.name for style in self.all()}:
            raise ParameterError([FieldError("name", "there is a style of this name already", repr(new[:80]))])
        _check(renamed)
        self._write(renamed if row.name == old else row for row in own.values())
        return renamed

    def own_names(self) -> set[str]:
        """Of those that are ours, and can be changed."""
        return {style.name for style in read_csv(self._own)}

    def delete(self, name: str) -> None:
        """Forget one of ours. Raises NotFound, which says so where it comes from another file."""
        own = read_csv(self._own)
        if name not in {row.name for row in own}:
            raise NotFound(f"There is no style {name!r} in {OWN_FILE} of the data folder.")
        self._write([row for row in own if row.name != name])

    @property
    def _own(self) -> Path:
        return self._folders[0] / OWN_FILE

    def _write(self, styles: Iterable[Style]) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows((row.name, row.prompt, row.negative_prompt) for row in styles)
        self._own.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._own.with_name(f"{self._own.name}.{os.getpid()}.tmp")
        # The byte order mark is how spreadsheets know the encoding; peers write it too.
        temporary.write_text(text.getvalue(), encoding="utf-8-sig")
        os.replace(temporary, self._own)


def _check(style: Style) -> None:
    """Raises ParameterError."""
    if not style.name.strip() or len(style.name) > NAME_CHARS_MAX or not style.name.isprintable():
        raise ParameterError([FieldError("name", f"expected 1 to {NAME_CHARS_MAX} characters", repr(style.name[:80]))])
    for field in ("prompt", "negative_prompt"):
        if len(getattr(style, field)) > TEXT_CHARS_MAX:
            raise ParameterError([FieldError(field, f"expected at most {TEXT_CHARS_MAX} characters")])
    if not style.prompt and not style.negative_prompt:
        raise ParameterError([FieldError("prompt", "expected a prompt or a negative prompt")])


def style_names(folders: Folders) -> list[str]:
    """What a form offers."""
    return [style.name for style in StyleBook(folders(FOLDER)).all()]


def style_texts(folders: Folders) -> dict[str, dict[str, str]]:
    """What each style puts around prompts."""
    book = StyleBook(folders(FOLDER)).all()
    return {style.name: {"prompt": style.prompt, "negative_prompt": style.negative_prompt} for style in book}


def read_csv(path: Path) -> list[Style]:
    """The styles of a file with a column ``name``, and ``prompt`` (``text`` in old files) and ``negative_prompt``;
    none where it is missing or something else.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_FILE_BYTES_MAX).decode("utf-8-sig", errors="replace")
    except OSError:
        return []
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), restval=""))
    except csv.Error:
        return []
    made = (
        Style(
            (row.get("name") or "").strip(),
            row.get("prompt") or row.get("text") or "",
            row.get("negative_prompt") or "",
        )
        for row in rows
    )
    return [style for style in made if style.name and (style.prompt or style.negative_prompt)]
