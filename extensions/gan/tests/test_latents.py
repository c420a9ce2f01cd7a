"""Walks, mixing, drawing: laws, and the text that forms hold."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from extensions.gan.formats.loading import Loaded
from extensions.gan.latents.generator import Generator, Held, seeded, to_uint8
from extensions.gan.latents.mixing import layers_of, mixed
from extensions.gan.latents.reading import chosen_class, numbers, seeds
from extensions.gan.latents.walks import circle, slerp, spline, walk
from extensions.gan.networks.registry import PRESETS, build
from webui.api import ParameterError


def held(preset: str) -> Generator:
    torch.manual_seed(0)
    family, config = PRESETS[preset]
    return Generator(Held(Loaded(build(family, config).eval().requires_grad_(False), family, config)))


@given(seed=st.integers(0, 10_000), t=st.floats(0, 1))
def test_slerp_goes_with_constant_speed_from_end_to_end(seed: int, t: float) -> None:
    a, b = torch.randn((2, 16), generator=seeded(seed), dtype=torch.float64)
    torch.testing.assert_close(slerp(a, b, 0.0), a)
    torch.testing.assert_close(slerp(a, b, 1.0), b)
    there = slerp(a, b, t)
    torch.testing.assert_close(there.norm(), (1 - t) * a.norm() + t * b.norm())
    angle = torch.acos(torch.nn.functional.cosine_similarity(a, b, dim=0))
    gone = torch.acos(torch.nn.functional.cosine_similarity(a, there, dim=0).clamp(-1, 1))
    torch.testing.assert_close(gone, t * angle, atol=1e-5, rtol=1e-5)


def test_slerp_of_equal_and_opposite_directions_is_finite() -> None:
    a = torch.randn(8)
    torch.testing.assert_close(slerp(a, a, 0.3), a)
    assert torch.isfinite(slerp(a, -a, 0.5)).all()


@given(count=st.integers(2, 6), closed=st.booleans(), seed=st.integers(0, 100))
def test_a_spline_passes_its_keys_smoothly(count: int, closed: bool, seed: int) -> None:
    keys = torch.randn((count, 3), generator=seeded(seed), dtype=torch.float64)
    for place in range(count):
        torch.testing.assert_close(spline(keys, float(place), closed=closed), keys[place])
    if count > 2:  # the speed on both sides of a key is one
        step = 1e-5
        at = 1.0
        before = (spline(keys, at, closed=closed) - spline(keys, at - step, closed=closed)) / step
        after = (spline(keys, at + step, closed=closed) - spline(keys, at, closed=closed)) / step
        torch.testing.assert_close(before, after, atol=1e-3, rtol=1e-3)


def test_a_circle_keeps_its_distance_and_passes_its_first_key() -> None:
    a, b, centre = torch.randn((3, 4, 8), generator=seeded(1), dtype=torch.float64)
    torch.testing.assert_close(circle(a, b, centre, 0.0), a)
    torch.testing.assert_close(circle(a, b, centre, 1.0), a)
    for turn in (0.1, 0.4, 0.9):
        torch.testing.assert_close((circle(a, b, centre, turn) - centre).norm(), (a - centre).norm())


@pytest.mark.parametrize("kind", ["linear", "slerp", "spline"])
def test_walks_begin_and_end_where_they_should(kind: str) -> None:
    keys = torch.randn((3, 2, 5), generator=seeded(2))
    loop = walk(keys, 12, kind, loop=True)
    assert loop.shape == (12, 2, 5)
    for place in range(3):
        torch.testing.assert_close(loop[4 * place], keys[place])
    steps = (loop.roll(-1, 0) - loop).flatten(1).norm(dim=1)
    assert float(steps[-1]) < 2 * float(steps[:-1].max())  # the last frame leads to the first as any other to the next
    open_ = walk(keys, 9, kind, loop=False)
    torch.testing.assert_close(open_[0], keys[0])
    torch.testing.assert_close(open_[-1], keys[-1])
    with pytest.raises(ValueError, match="two keyframes"):
        walk(keys[:1], 5, kind, loop=True)


def test_layers_by_name_and_number() -> None:
    assert layers_of("coarse", 18) == [0, 1, 2, 3]
    assert layers_of("middle", 6) == [4, 5]
    assert layers_of("fine", 18) == list(range(8, 18))
    assert layers_of("0-2, 5", 10) == [0, 1, 2, 5]
    for wrong in ("", "a", "3-99", "fine"):
        with pytest.raises(ValueError) if wrong != "fine" else pytest.raises(AssertionError):
            assert layers_of(wrong, 8)
    base, style = torch.zeros(2, 4, 3), torch.ones(2, 4, 3)
    assert mixed(base, style, [1, 3])[0, :, 0].tolist() == [0, 1, 0, 1]
    assert base.sum() == 0


def test_texts_of_forms() -> None:
    assert numbers("0, 0.5；1", "x", most=3) == [0, 0.5, 1]
    assert seeds("", "x", first=7, count=2, most=5) == [7, 8]
    assert seeds("3, 8", "x", first=7, count=2, most=5) == [3, 8]
    for wrong in ("a", "1,2,3,4", "nan", "", "inf"):
        with pytest.raises(ParameterError):
            numbers(wrong, "x", most=3, minimum=0, maximum=9)
    names = ["tench", "goldfish", "great white shark", "tiger shark"]
    assert chosen_class("", 4, names) is None
    assert chosen_class("2", 4, names) == 2
    assert chosen_class("Goldfish", 4, names) == 1
    assert chosen_class("tiger", 4, names) == 3
    for wrong in ("shark", "9", "dog", "-1"):
        with pytest.raises(ParameterError):
            chosen_class(wrong, 4, names)
    with pytest.raises(ParameterError, match="no classes"):
        chosen_class("1", 0, [])


def test_biggan_draws_from_the_cut_off_normal() -> None:
    z = held("biggan-64").draw(4000, seeded(0))
    assert float(z.abs().max()) <= 2.0
    # The variance of a normal variable cut off at 2: 1 - 4 phi(2) / (2 Phi(2) - 1).
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    expected = 1 - 4 * density / math.erf(2 / math.sqrt(2))
    assert abs(float(z.var()) - expected) < 0.01
    assert abs(float(z.mean())) < 0.01


@pytest.mark.parametrize("preset", ["dcgan-64", "stylegan1-64", "stylegan2-64", "stylegan3-64", "biggan-64", "vae-64"])
def test_a_picture_is_its_seeds_in_any_batch(preset: str) -> None:
    generator = held(preset)
    together = generator.z([4, 5, 6])
    assert torch.equal(together[1:2], generator.z([5]))
    condition = generator.condition([None, 3, None], [4, 5, 6]) if generator.classes else None
    if condition is not None:
        assert torch.equal(condition[2:], generator.condition([None], [6]))
    points = generator.points(together, condition, psi=0.7)
    assert points.shape[:2] == (3, generator.layers)
    images = generator.pictures(points, condition, psi=0.7, noise=generator.noise("random", [4, 5, 6]))
    alone = generator.pictures(
        points[1:2], None if condition is None else condition[1:2], psi=0.7, noise=generator.noise("random", [5])
    )
    assert images.shape == (3, 3, 64, 64)
    torch.testing.assert_close(images[1:2], alone, atol=1e-4, rtol=1e-3)
    flat = generator.points(together, condition, psi=0.0)
    torch.testing.assert_close(flat, generator.centre.expand_as(flat))


@pytest.mark.parametrize("preset", ["dcgan-64", "stylegan2-64", "biggan-64"])
def test_the_memory_layout_changes_nothing_but_rounding(preset: str) -> None:
    generator = held(preset)
    condition = generator.condition([1], [4])
    points = generator.points(generator.z([4]), condition)
    before = generator.pictures(points, condition)
    generator.held.to(memory_format=torch.channels_last)
    torch.testing.assert_close(generator.pictures(points, condition), before, atol=1e-4, rtol=1e-3)


def test_pixels_round_and_clip() -> None:
    images = torch.tensor([-9.0, -1.0, 0.0, 1.0, 9.0]).view(1, 1, 1, 5)
    assert to_uint8(images)[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255]
    assert to_uint8(images).shape == (1, 1, 5, 3)
