"""The drawing: cells are the pictures themselves, labels fit, and no letter is a box."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from extensions.sweep.grid import (
    FAILED_GROUND,
    GROUND,
    Grid,
    Headings,
    Look,
    Tile,
    beside,
    fit_cell,
    flattened,
)
from extensions.sweep.lettering import ELLIPSIS, Lettering, system_fonts

PLAIN = Lettering(14, [])


def noise(number: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    return Image.effect_noise(size, 90 + number).convert("RGB")


def test_a_cell_is_its_picture_bit_by_bit() -> None:
    pictures = {(x, y): noise(x + 3 * y) for x in range(3) for y in range(2)}
    tiles = {place: Tile(open=picture.copy) for place, picture in pictures.items()}
    headings = Headings("Model: a", "Steps", ["1", "2", "3"], "Prompt", ["a cat", "a dog " * 40])
    grid = Grid(3, 2, headings, Look((40, 30), 5))
    drawn = grid.draw(tiles)
    assert drawn.size == grid.size
    for place, picture in pictures.items():
        assert ImageChops.difference(drawn.crop(grid.box(place)), picture).getbbox() is None
    _, top, right, bottom = grid.box((1, 1))
    assert drawn.crop((right, top, right + 5, bottom)).getcolors() == [(5 * 30, GROUND)]


def test_without_labels_there_are_margins_alone() -> None:
    grid = Grid(2, 1, Headings(), Look((40, 30), 4))
    assert grid.size == (4 + 40 + 4 + 40 + 4, 4 + 30 + 4)
    assert grid.draw({}).getpixel((0, 0)) == GROUND


def test_labels_stay_within_their_bands() -> None:
    long = "a very long label of a column that goes on and on " * 8
    grid = Grid(2, 2, Headings("", "X" * 300, [long, "1"], "Y", [long, "2"]), Look((64, 48), 8))
    drawn = grid.draw(
        {(x, y): Tile(open=lambda: Image.new("RGB", (64, 48), (9, 9, 9))) for x in (0, 1) for y in (0, 1)}
    )
    for x in (0, 1):
        for y in (0, 1):
            assert drawn.crop(grid.box((x, y))).getcolors() == [(64 * 48, (9, 9, 9))]
    edge = [drawn.crop(box).getcolors() for box in ((0, 0, 1, drawn.height), (drawn.width - 1, 0, *drawn.size))]
    assert all(colours is not None and len(colours) == 1 for colours in edge)


def test_a_failed_cell_shows_its_reason() -> None:
    grid = Grid(1, 1, Headings(), Look((120, 80), 0))
    drawn = grid.draw({(0, 0): Tile(words="Failed: the device ran out of memory", failed=True)})
    colours = {colour: count for count, colour in drawn.getcolors(10_000) or ()}
    assert colours[FAILED_GROUND] > 120 * 80 / 2
    assert len(colours) > 2


@given(st.text(max_size=200) | st.text(alphabet="ab 长字", max_size=200), st.integers(20, 300), st.integers(1, 5))
def test_wrapped_lines_fit(text: str, width: int, most: int) -> None:
    lines = PLAIN.wrapped(PLAIN.readable(text, "#1"), width, most)
    assert len(lines) <= most
    assert all(PLAIN.width(line) <= width or len(line) <= 1 or line == ELLIPSIS for line in lines)


def test_what_does_not_fit_ends_in_dots() -> None:
    assert PLAIN.wrapped("one two three four five six", 60, 2)[-1].endswith(ELLIPSIS)
    assert PLAIN.wrapped("one two", 200, 1) == ["one two"]


def test_letters_that_no_font_has_are_left_out() -> None:
    assert PLAIN.readable("红色头发", "#3") == "#3"
    assert PLAIN.readable("emoji \U0001f98a fox", "#3") == "emoji fox"
    assert PLAIN.width("红色") == 0.0


@pytest.mark.skipif(not system_fonts(), reason="no font with Chinese letters on this machine")
def test_chinese_labels_are_no_boxes() -> None:
    lettering = Lettering(20, system_fonts())
    assert lettering.readable("红色头发", "#1") == "红色头发"
    shapes = set()
    for letter in "红色头发":
        canvas = Image.new("L", (40, 40))
        from PIL import ImageDraw

        lettering.draw(ImageDraw.Draw(canvas), 4, 4, letter, 255)
        shapes.add(canvas.tobytes())
    assert len(shapes) == 4


def test_a_damaged_font_is_passed_over(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("fonts")
    (folder / "simhei.ttf").write_bytes(b"no font")
    (folder / "msyh.ttc").write_bytes(b"")
    fonts = system_fonts([folder, folder / "none"])
    assert [file.rpartition("/")[2] for file, _ in fonts] == ["msyh.ttc", "simhei.ttf"]
    assert Lettering(14, fonts).readable("红", "#1") == "#1"


@given(
    st.tuples(st.integers(16, 4096), st.integers(16, 4096)),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 64),
)
def test_a_grid_stays_within_its_limit(size: tuple[int, int], columns: int, rows: int, margin: int) -> None:
    width, height = fit_cell(size, columns, rows, longest=0, margin=margin, most_pixels=4_000_000)
    assert width <= max(size[0], 8)
    assert (width * height * columns * rows <= 4_000_000) or min(width, height) == 8
    assert fit_cell((64, 32), 2, 2, longest=0, margin=8, most_pixels=10**6) == (64, 32)
    assert fit_cell((64, 32), 2, 2, longest=16, margin=8, most_pixels=10**6) == (16, 8)


def test_pictures_of_any_mode_are_flattened_on_white() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert flattened(clear, (8, 8)).getcolors() == [(64, GROUND)]
    for mode in ("L", "P", "CMYK", "1", "LA"):
        assert flattened(Image.new(mode, (20, 10)), (10, 10)).size == (10, 5)


def test_grids_beside_each_other_are_nearly_square() -> None:
    assert beside([noise(1, (100, 20))] * 4).size == (100, 80)
    assert beside([noise(1, (50, 50))] * 4).size == (100, 100)
