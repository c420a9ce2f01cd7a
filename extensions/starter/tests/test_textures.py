"""Textures: the same bytes for a seed, what their names say, and crops with their labels for style transfer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from extensions.starter.config import load_config
from extensions.starter.params import TexturesParams
from extensions.starter.style_data import HEADS, MANNERS, make_pool
from extensions.starter.style_networks import Decoder, Encoder, normal, read_network, statistics, write_network
from extensions.starter.world.textures import DIRECTIONS, FAMILIES, SCALES, draw_texture, sample_texture
from webui.api import describe
from webui.testing import run_pipeline

TINY = load_config(Path(__file__).resolve().parents[1] / "configs" / "tiny.toml")


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_texture_is_its_seed(family: str) -> None:
    one, other = sample_texture(3, family), sample_texture(4, family)
    picture = draw_texture(one, 48)
    assert picture.size == (48, 48)
    assert picture.tobytes() == draw_texture(one, 48).tobytes()
    assert picture.tobytes() != draw_texture(other, 48).tobytes()
    assert np.asarray(picture, dtype=float).std() > 5
    assert bool(one.direction) == FAMILIES[family][1]
    assert 3 <= len(one.colours) <= 5


def test_a_coarser_texture_has_fewer_edges() -> None:
    """The mean difference of neighbours over seeds of one family."""
    roughness = []
    for scale in SCALES:
        pictures = [np.asarray(draw_texture(sample_texture(s, "cells", scale), 96), dtype=float) for s in range(6)]
        spread = [np.abs(np.diff(p, axis=1)).mean() / p.std() for p in pictures]
        roughness.append(np.mean(spread))
    assert roughness[0] > roughness[1] > roughness[2]


def test_the_form_lists_every_family() -> None:
    row = next(row for row in describe(TexturesParams) if row.name == "family")
    assert {value for value, _ in row.options} == {"any", *FAMILIES}


def test_the_pipeline_draws_seeds(tmp_path: Path) -> None:
    asked = {"samples": 2, "family": "waves", "width": 32, "seed": 5}
    made = run_pipeline("starter.textures", asked, tmp_path)
    assert made.state == "done", made.error
    assert [image.tobytes() for image in made.images] == [
        draw_texture(sample_texture(seed, "waves"), 32).tobytes() for seed in (5, 6)
    ]


def test_crops_have_their_labels() -> None:
    part = TINY.style_encoder
    pool = make_pool(part, 64)
    assert pool.pixels.shape == (2 * part.pool, 64, 64, 3)
    for place in (0, 1, part.pool, part.pool + 1):
        manner, scale, direction = pool.rows[place].tolist()
        seed = place % part.pool
        if place < part.pool:
            texture = sample_texture(seed)
            assert (MANNERS[manner], SCALES[scale]) == (texture.family, texture.scale)
            assert (DIRECTIONS[direction] if direction >= 0 else "") == texture.direction
        else:
            assert MANNERS[manner].startswith("drawn ")
            assert (scale, direction) == (-1, -1)
    generator = torch.Generator().manual_seed(0)
    places = pool.some(40, 0.5, generator)
    crops = pool.crops(places, part.crop, generator)
    assert crops.shape == (40, 3, part.crop, part.crop)
    assert crops.min() >= -1
    assert crops.max() <= 1
    assert 5 < int((places < part.pool).sum()) < 35
    assert set(HEADS) == {"manner", "scale", "direction"}


def test_equalised_activations_are_the_same_up_to_factors(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = Encoder(TINY.style_encoder.channels)
    pictures = torch.rand(4, 3, 32, 32) * 2 - 1
    before = encoder(pictures)
    factors = encoder.equalise(pictures)
    after = encoder(pictures)
    assert torch.allclose(after[-1] * factors[None, :, None, None], before[-1], atol=1e-5)
    for activations in after:
        alive = activations.square().mean(dim=(0, 2, 3))
        assert torch.allclose(alive[alive > 0.01], torch.ones_like(alive[alive > 0.01]), atol=1e-3)
    write_network(tmp_path / "encoder.safetensors", encoder)
    read = read_network(tmp_path / "encoder.safetensors")
    assert isinstance(read, Encoder)
    assert torch.allclose(read(pictures)[-1], after[-1], rtol=0.05, atol=0.02)


def test_adain_gives_statistics_and_the_decoder_a_picture() -> None:
    torch.manual_seed(0)
    content, style = torch.randn(2, 16, 4, 4), torch.rand(2, 16, 4, 4)
    its = statistics(style)
    made = normal(content, statistics(content)) * its.deviations + its.means
    again = statistics(made)
    assert torch.allclose(again.means, its.means, atol=1e-4)
    assert torch.allclose(again.deviations, its.deviations, rtol=2e-2)
    assert Decoder(TINY.style.channels)(made).shape == (2, 3, 32, 32)
