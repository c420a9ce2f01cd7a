"""The invisible mark: not seen, read again after what a picture goes through, and never read where it is not."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image

from extensions.provenance import golay, watermark
from extensions.provenance.tests.extensions.portraits.work import drawn

DATA = 0xBEEF1234


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file)


@given(some.integers(0, 4095), some.sets(some.integers(0, 23), max_size=3))
def test_three_wrong_bits_are_put_right(data: int, wrong: set[int]) -> None:
    word = golay.encode(data).astype(float)
    word[list(wrong)] *= -1
    assert golay.decode(word) == data


def test_code_words_differ_in_eight_places() -> None:
    words = golay.codewords().astype(int)
    distances = (24 - words[:64] @ words.T) // 2
    assert sorted(set(distances.ravel().tolist())) == [0, 8, 12, 16, 24]


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p,
        lambda p: jpeg(p, 50),
        lambda p: p.resize((128, 128)),
        lambda p: p.resize((700, 500)),
        lambda p: jpeg(p.resize((160, 160)), 70),
        lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        lambda p: p.convert("L"),
        lambda p: p.point(lambda v: v * 0.8),
    ],
    ids=["nothing", "jpeg 50", "half", "larger, other sides", "smaller and jpeg", "mirrored", "grey", "darker"],
)
def test_it_is_read_again_after(change: Callable[[Image.Image], Image.Image]) -> None:
    found = watermark.read(change(watermark.embed(drawn(3, 256), DATA)))
    assert found is not None
    assert found.data == DATA


def test_it_is_not_seen() -> None:
    plain = drawn(3, 256)
    marked = watermark.embed(plain, DATA)
    difference = np.asarray(plain, float) - np.asarray(marked, float)
    assert 10 * np.log10(255**2 / np.square(difference).mean()) > 38
    assert np.abs(difference).max() < 16


def test_nothing_is_read_where_nothing_is() -> None:
    pictures = [drawn(seed, 128) for seed in range(30)]
    pictures += [Image.new("RGB", (99, 300), colour) for colour in ("white", "black", "red")]
    assert [watermark.read(one) for one in pictures] == [None] * len(pictures)
    assert watermark.read(Image.new("RGB", (8, 8))) is None


def test_the_same_picture_and_data_give_the_same_bytes_and_alpha_stays() -> None:
    picture = drawn(5, 200)
    picture.putalpha(Image.linear_gradient("L").resize((200, 200)))
    first, second = (watermark.embed(picture, DATA) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert first.getchannel("A").tobytes() == picture.getchannel("A").tobytes()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="96 pixels"):
        watermark.embed(drawn(0, 95), DATA)
    with pytest.raises(ValueError, match="32 bits"):
        watermark.embed(drawn(0, 128), 1 << 32)
