"""Labels drawn in whatever scripts they hold: Pillow's own font first, then fonts of the system for what that lacks."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_PREFERRED = (
    "notosanscjk-regular",
    "notosanssc-regular",
    "notosanscjksc-regular",
    "sourcehansanssc-regular",
    "sourcehansans-regular",
    "wqy-microhei",
    "wqy-zenhei",
    "droidsansfallbackfull",
    "pingfang",
    "hiragino sans gb",
    "stheiti medium",
    "msyh",
    "simhei",
    "simsun",
    "arialuni",
    "arial unicode",
    "malgun",
    "dejavusans",
    "segoeui",
    "seguisym",
)
"""File names without endings, in the order in which they are asked for a letter."""
_MOST_FILES = 20_000
_NOWHERE = "\U0010fffe"
"""No font has a picture of it: what is drawn for it is what is drawn for any missing letter."""
ELLIPSIS = "..."


def _folders() -> list[Path]:
    home = Path.home()
    if sys.platform == "win32":
        return [Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts", home / "AppData/Local/Microsoft/Windows/Fonts"]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    return [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), home / ".local/share/fonts", home / ".fonts"]


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    seen = 0
    for folder in folders:
        for base, _, names in os.walk(folder):
            for name in names:
                seen += 1
                if seen > _MOST_FILES:
                    return
                if name.lower().endswith((".ttf", ".ttc", ".otf", ".otc")):
                    yield Path(base) / name


def system_fonts(folders: Sequence[Path] | None = None) -> list[tuple[str, int]]:
    """(file, face) of the system's fonts that letters are looked for in, the best first."""
    found: dict[str, str] = {}
    for path in _files(_folders() if folders is None else folders):
        found.setdefault(path.stem.lower(), str(path))
    files = [found[name] for name in _PREFERRED if name in found]
    return [(file, _chinese_face(file)) for file in files]


def _chinese_face(file: str) -> int:
    """Of a collection, the face with the letter forms of simplified Chinese."""
    if not file.lower().endswith((".ttc", ".otc")):
        return 0
    for face in range(16):
        try:
            name = " ".join(filter(None, ImageFont.truetype(file, 12, index=face).getname()))
        except OSError:
            break
        if " SC" in name:
            return face
    return 0


class Lettering:
    """Text of one size. ``fonts``: see ``system_fonts``; they are opened when a letter needs them."""

    def __init__(self, size_px: int, fonts: Sequence[tuple[str, int]]) -> None:
        self.size_px = size_px
        self.line_px = round(size_px * 1.3)
        self._own: Font = ImageFont.load_default(size_px)
        self._fonts = fonts
        self._opened: dict[tuple[str, int], Font | None] = {}
        self._which: dict[str, Font | None] = {}

    def readable(self, text: str, instead: str) -> str:
        """``text`` without letters that no font has; ``instead`` where too little of it is left."""
        kept = "".join(letter for letter in text if letter.isspace() or self._font_of(letter) is not None)
        return " ".join(kept.split()) if len(kept) * 2 > len(text) else instead

    def width(self, text: str) -> float:
        """In pixels."""
        return sum(font.getlength(run) for font, run in self._runs(text))

    def wrapped(self, text: str, width_px: int, lines: int) -> list[str]:
        """At most ``lines`` lines of at most ``width_px``; the last one ends in dots where more would follow."""
        rest, made = text, []
        while rest and len(made) < lines:
            line, rest = self._line(rest, width_px)
            made.append(line)
        if rest:
            made[-1] = self._shortened(f"{made[-1]} {rest}" if " " in text else made[-1] + rest, width_px)
        return made

    def draw(self, draw: ImageDraw.ImageDraw, left: float, top: float, text: str, fill: Any) -> None:
        """One line whose box begins at (left, top)."""
        baseline = top + self.size_px
        for font, run in self._runs(text):
            draw.text((left, baseline), run, fill=fill, font=font, anchor="ls")
            left += font.getlength(run)

    def _line(self, text: str, width_px: int) -> tuple[str, str]:
        """As much as fits, broken at a blank where there is one, and the rest."""
        fits = self._fitting(text, width_px)
        if fits == len(text):
            return text, ""
        blank = text.rfind(" ", 1, fits + 1)
        end = blank if blank > 0 else max(fits, 1)
        return text[:end].rstrip(), text[end:].lstrip()

    def _fitting(self, text: str, width_px: int) -> int:
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.width(text[:middle]) <= width_px else (low, middle - 1)
        return low

    def _shortened(self, text: str, width_px: int) -> str:
        fits = self._fitting(text, max(0, width_px - round(self.width(ELLIPSIS))))
        return text[:fits].rstrip() + ELLIPSIS

    def _runs(self, text: str) -> Iterator[tuple[Font, str]]:
        """Neighbours of one font together; a letter that no font has is left out."""
        run, of = "", None
        for letter in text:
            font = (of or self._own) if letter.isspace() else self._font_of(letter)
            if font is None:
                continue
            if font is not of and run:
                yield of or self._own, run
                run = ""
            run, of = run + letter, font
        if run:
            yield of or self._own, run

    def _font_of(self, letter: str) -> Font | None:
        if letter not in self._which:
            fonts = (self._own, *(font for place in self._fonts if (font := self._open(place)) is not None))
            self._which[letter] = next((font for font in fonts if _has(font, letter)), None)
        return self._which[letter]

    def _open(self, place: tuple[str, int]) -> Font | None:
        if place not in self._opened:
            try:
                self._opened[place] = ImageFont.truetype(place[0], self.size_px, index=place[1])
            except OSError:
                self._opened[place] = None
        return self._opened[place]


@functools.lru_cache(maxsize=64)
def _missing(font: Font) -> bytes:
    return bytes(font.getmask(_NOWHERE))


def _has(font: Font, letter: str) -> bool:
    if not letter.isprintable():
        return False
    try:
        mask = font.getmask(letter)
    except (OSError, UnicodeError, ValueError):
        return False
    return mask.getbbox() is not None and bytes(mask) != _missing(font)
