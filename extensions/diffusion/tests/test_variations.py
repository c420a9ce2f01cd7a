"""What changes a picture's noise, guidance, VAE and edges: laws of each, as a job draws with them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from extensions.diffusion.drawing import seamless
from extensions.diffusion.drawing.variation import Varied, slerp
from extensions.diffusion.tests import tiny_models
from webui.testing import Outcome

Generate = Callable[..., Outcome]


def pixels(outcome: Outcome, index: int = 0) -> bytes:
    assert outcome.state == "done", outcome.error
    return outcome.images[index].tobytes()


@given(seeds=st.tuples(st.integers(0, 2**32), st.integers(0, 2**32)), share=st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_laws_of_slerp(seeds: tuple[int, int], share: float) -> None:
    a, b = (torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in seeds)
    assert torch.equal(slerp(a, b, 0.0), a)
    assert torch.equal(slerp(a, b, 1.0), b)
    mixed = slerp(a, b, share)
    assert float(mixed.norm()) == pytest.approx(float(a.norm() + (b.norm() - a.norm()) * share), rel=0.15)
    assert torch.allclose(slerp(b, a, 1 - share), mixed, atol=1e-5)


def test_only_the_generators_of_a_run_are_turned() -> None:
    own, twin, other = (torch.Generator().manual_seed(seed) for seed in (1, 2, 1))
    with Varied({own: twin}, 0.5):
        turned, plain = torch.randn(3, generator=own), torch.randn(3, generator=other)
    assert not torch.equal(turned, plain)
    assert torch.equal(plain, torch.randn(3, generator=torch.Generator().manual_seed(1)))


def test_variations_go_from_the_seed_to_the_variations_seed(generate: Generate) -> None:
    own, other = pixels(generate("sd1", seed=5)), pixels(generate("sd1", seed=9))
    assert pixels(generate("sd1", seed=5, variation_seed=9, variation_strength=1.0)) == other
    assert pixels(generate("sd1", seed=5, variation_seed=9, variation_strength=0.0)) == own
    half = generate("sd1", seed=5, variation_seed=9, variation_strength=0.5, batch_size=2, sampler="Euler a")
    assert [record.seed for record in half.records] == [5, 5]
    second = generate("sd1", seed=5, variation_seed=10, variation_strength=0.5, sampler="Euler a")
    assert pixels(half, 1) == pixels(second) != pixels(half)
    with Image.open(half.paths[1]) as image:
        assert "Variation seed: 10" in image.info["parameters"]


def test_families_that_pack_their_latents_vary_too(generate: Generate) -> None:
    assert pixels(generate("flux", seed=5, variation_seed=9, variation_strength=1.0)) == pixels(
        generate("flux", seed=9)
    )


def test_guidance_is_rescaled_or_said_to_be_ignored(generate: Generate) -> None:
    assert pixels(generate("sd1", guidance_rescale=0.7)) != pixels(generate("sd1"))
    assert any("guidance rescale" in words for words in generate("flux", guidance_rescale=0.7).warnings)


@pytest.fixture(scope="module")
def vaes(tiny: Any, models_dir: Path) -> Path:
    """Another VAE of SD 1.x as a folder and as a file without a configuration, and one with other latents."""
    folder = models_dir / "vae"
    torch.manual_seed(7)
    own = tiny_models.vae()
    with torch.no_grad():
        own.decoder.conv_out.bias += 0.5
    own.save_pretrained(str(folder / "brighter"))
    (folder / "bare").mkdir()
    shutil.copy(folder / "brighter" / "diffusion_pytorch_model.safetensors", folder / "bare" / "bare.safetensors")
    tiny_models.vae(latent_channels=8).save_pretrained(str(folder / "eight"))
    return folder


def test_another_vae_decodes(generate: Generate, vaes: Path) -> None:
    plain, brighter = generate("sd1"), generate("sd1", vae="brighter")
    assert np.asarray(brighter.images[0]).mean() > np.asarray(plain.images[0]).mean() + 20
    assert pixels(generate("sd1", vae="bare")) == pixels(brighter)
    outcome = generate("sd1", vae="eight")
    assert outcome.error is not None
    assert "8 latent channels" in outcome.error.message
    assert pixels(generate("sd1")) == pixels(plain)


def test_convolutions_wrap_for_a_run_alone() -> None:
    layer = torch.nn.Conv2d(1, 1, 3, padding=1)
    inputs = torch.randn(1, 1, 6, 5)
    before = layer(inputs)
    with seamless.wrapped([layer], "both"):
        wrapped = layer(inputs)
        assert torch.allclose(layer(inputs.roll((2, 1), (2, 3))), wrapped.roll((2, 1), (2, 3)), atol=1e-6)
    with seamless.wrapped([layer], "x"):
        assert torch.allclose(layer(inputs.roll(1, 3)), layer(inputs).roll(1, 3), atol=1e-6)
        assert not torch.allclose(layer(inputs.roll(1, 2)), layer(inputs).roll(1, 2), atol=1e-6)
    assert torch.equal(layer(inputs), before)


def test_a_seamless_picture_is_another_and_leaves_the_model_as_it_was(generate: Generate) -> None:
    plain = pixels(generate("sd1"))
    assert pixels(generate("sd1", seamless="both")) != plain
    assert pixels(generate("sd1")) == plain
