"""Attention among the rows of one call is what the papers say, and only where it is asked for."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler

from extensions.diffusion.compute import rows
from extensions.diffusion.compute.sharing import (
    Injection,
    SharedAttention,
    coupled,
    finer_upward,
    like,
    like_at_own_strength,
    self_attentions,
)
from extensions.diffusion.drawing.companions import _backwards
from extensions.diffusion.tests import tiny_models

SHAPE = (3, 2, 4, 5, 6)
"""Pictures, rows, heads, positions, dimension."""


def drawn(seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(SHAPE, generator=generator) for _ in range(3)]


def softmaxed(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor | float = 0.0
) -> torch.Tensor:
    return (query @ key.transpose(-1, -2) / math.sqrt(SHAPE[-1]) + bias).softmax(-1) @ value


def test_shared_attention_sees_the_reference_by_its_weight() -> None:
    query, key, value = drawn(0)
    own_query, own_key = like(query[1], query[0], -2), like(key[1], key[0], -2)
    assert torch.allclose(own_key.mean(-2), key[0].mean(-2), atol=1e-5)
    for weight in (1.0, 0.4):
        bias = torch.tensor([math.log(weight)] * SHAPE[3] + [0.0] * SHAPE[3])
        wanted = softmaxed(own_query, torch.cat([key[0], own_key], -2), torch.cat([value[0], value[1]], -2), bias)
        made = SharedAttention(weight).attended(query[:2], key[:2], value[:2])
        assert torch.allclose(made, wanted, atol=1e-5)
    alone = SharedAttention(0.0, normalised=False).attended(query[:2], key[:2], value[:2])
    assert torch.allclose(alone, softmaxed(query[1], key[1], value[1]), atol=1e-5)


def test_injection_reads_the_style_by_the_contents_queries() -> None:
    query, key, value = drawn(1)
    made = Injection(0.75, 1.5).attended(query, key, value)
    wanted = softmaxed(1.5 * (0.75 * query[0] + 0.25 * query[2]), key[1], value[1])
    assert torch.allclose(made, wanted, atol=1e-5)


def test_noise_takes_anothers_means_and_proportions_and_keeps_its_strength() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 4, 16, 16, generator=generator)
    other = 3 * noise.flip(-1) * torch.tensor([1.0, 0.5, 2.0, 1.0])[:, None, None] + 0.7
    made = like_at_own_strength(noise, other)
    assert torch.allclose(made.mean((2, 3)), other.mean((2, 3)), atol=1e-4)
    spreads, theirs = (one.std((2, 3), unbiased=False) for one in (made, other))
    assert torch.allclose(spreads / spreads.mean(), theirs / theirs.mean(), atol=1e-3)
    assert abs(float(spreads.mean() / noise.std((2, 3), unbiased=False).mean()) - 1) < 1e-3
    # Of the same strength it is the paper's.
    alike = other * noise.std((2, 3), unbiased=False).mean() / theirs.mean()
    assert torch.allclose(like_at_own_strength(noise, alike), like(noise, alike, (2, 3)), atol=1e-3)


@pytest.mark.parametrize("answers", ["epsilon", "v_prediction", "sample"])
def test_steps_towards_noise_read_answers_at_their_own_level(answers: str) -> None:
    scheduler = DDIMScheduler(prediction_type=answers, clip_sample=False, timestep_spacing="trailing")
    plain = DDIMInverseScheduler(clip_sample=False, timestep_spacing="trailing")
    back = _backwards(scheduler)
    generator = torch.Generator().manual_seed(0)
    latents, noise = (torch.randn(1, 4, 8, 8, generator=generator) for _ in range(2))
    for one in (back, plain):
        one.set_timesteps(4)
    assert back.timesteps.tolist() == plain.timesteps.tolist()
    for timestep in back.timesteps:
        signal = scheduler.alphas_cumprod[timestep]
        # What a model that believes in this noise says of these latents.
        clean = (latents - (1 - signal) ** 0.5 * noise) / signal**0.5
        told = {"epsilon": noise, "sample": clean, "v_prediction": signal**0.5 * noise - (1 - signal) ** 0.5 * clean}
        made = back.step(told[answers], timestep, latents).prev_sample
        assert torch.allclose(made, plain.step(noise, timestep, latents).prev_sample, atol=1e-4)


def test_the_finer_blocks_on_the_way_up_are_all_but_the_first() -> None:
    names = [f"{side}_blocks.{block}.attentions.0.attn1" for side in ("down", "up") for block in (1, 2, 3)]
    assert finer_upward(names) == frozenset(names[4:])
    assert finer_upward(names[:4]) == frozenset(names[3:4])


@torch.no_grad()
def test_others_compute_what_they_do_alone_and_nothing_stays() -> None:
    unet = tiny_models.unet()
    generator = torch.Generator().manual_seed(2)
    sample = torch.randn(3, 4, 8, 8, generator=generator)
    told = torch.randn(3, 7, 32, generator=generator)
    plain = unet(sample, 5, told).sample
    before = {name: dict(module.__dict__) for name, module in unet.named_modules()}
    layers = frozenset(self_attentions(unet))
    with coupled(unet, Injection(layers=layers), 3):
        made = unet(sample, 5, told).sample
    assert torch.allclose(made[:2], plain[:2], atol=1e-5)
    assert not torch.allclose(made[2], plain[2], atol=1e-3)
    assert torch.equal(unet(sample, 5, told).sample, plain)
    assert {name: dict(module.__dict__).keys() for name, module in unet.named_modules()} == {
        name: kept.keys() for name, kept in before.items()
    }
    with coupled(unet, Injection(layers=frozenset()), 3):
        assert torch.equal(unet(sample, 5, told).sample, plain)


def test_calls_are_merged_where_they_have_rows() -> None:
    one, other = torch.zeros(2, 3), torch.ones(2, 3)
    step = torch.tensor(7)
    made = rows.merged([{"a": (one, step), "b": None}, {"a": (other, step), "b": None}], 2)
    assert torch.equal(made["a"][0], torch.cat([one, other]))
    assert made["a"][1] is step
    assert made["b"] is None
