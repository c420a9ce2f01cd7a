"""Methods of guidance: as diffusers' guiders compute them, and as a job draws with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image

from extensions.diffusion.compute.guiding import Guided, Way
from extensions.diffusion.params import GUIDANCE_METHODS
from webui.testing import Outcome

Generate = Callable[..., Outcome]
METHODS = [name for name in GUIDANCE_METHODS if name != "plain"]


def pixels(outcome: Outcome, index: int = 0) -> bytes:
    assert outcome.state == "done", outcome.error
    return outcome.images[index].tobytes()


class _Denoiser(torch.nn.Module):
    """Answers with what it was given."""

    def forward(self, answer: torch.Tensor) -> tuple[torch.Tensor]:
        return (answer,)


@pytest.mark.parametrize("method", METHODS)
def test_it_is_what_the_guider_answers(method: str) -> None:
    from diffusers import guiders
    from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer

    made: dict[str, Callable[[], Any]] = {
        "zero": lambda: guiders.ClassifierFreeZeroStarGuidance(guidance_scale=5.0, zero_init_steps=0),
        "projected": lambda: guiders.AdaptiveProjectedGuidance(
            guidance_scale=5.0,
            adaptive_projected_guidance_momentum=-0.5,
            adaptive_projected_guidance_rescale=15.0,
            eta=0.0,
        ),
        "tangential": lambda: guiders.TangentialClassifierFreeGuidance(guidance_scale=5.0),
    }
    guider = made[method]()
    if method == "projected":
        guider.momentum_buffer = MomentumBuffer(-0.5)  # which preparing a pipeline's inputs does
    guided = Guided(_Denoiser(), Way(method, 5.0), 2, flow=False)
    for step in range(3):
        guider.set_state(step=step, num_inference_steps=3, timestep=torch.tensor(step))
        rows = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(step))
        answer = guided(rows)[0]
        negative, positive = answer.chunk(2)
        expected = guider.forward(rows[2:], rows[:2]).pred
        assert torch.allclose(negative + 5.0 * (positive - negative), expected, atol=1e-4)
    alone = rows[:2]
    assert guided(alone)[0] is alone


@pytest.mark.parametrize("method", ["plain", *METHODS])
def test_rescaling_is_the_librarys_and_goes_with_every_method(method: str) -> None:
    from diffusers.guiders.guider_utils import rescale_noise_cfg

    rows = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(4))
    plain = Guided(_Denoiser(), Way(method, 5.0), 2, flow=False)(rows)[0][:2]
    scaled = Guided(_Denoiser(), Way(method, 5.0, rescale=0.7), 2, flow=False)(rows)[0]
    expected = rescale_noise_cfg(plain, rows[2:], 0.7)
    if method == "plain":
        expected = rescale_noise_cfg(rows[:2] + 5.0 * (rows[2:] - rows[:2]), rows[2:], 0.7)
    assert torch.equal(*scaled.chunk(2))
    assert torch.allclose(scaled[:2], expected, atol=1e-5)


def test_a_job_rescales_where_the_pipeline_does_not(generate: Generate) -> None:
    for family, asked in (("sd3", {}), ("sd1", {"guidance_method": "zero"})):
        rescaled = generate(family, **asked, guidance_rescale=0.7)
        assert rescaled.warnings == []
        assert pixels(rescaled) != pixels(generate(family, **asked))
    assert any("no guidance rescale" in words for words in generate("flux", guidance_rescale=0.7).warnings)


@pytest.mark.parametrize("family", ["sd1", "sdxl", "sd3"])
def test_a_job_draws_by_every_method(generate: Generate, family: str) -> None:
    plain = pixels(generate(family))
    assert pixels(generate(family, guidance_method="plain")) == plain
    made = {pixels(generate(family, guidance_method=method)) for method in METHODS}
    assert len(made | {plain}) == len(METHODS) + 1
    without = pixels(generate(family, guidance_scale=1.0))
    assert pixels(generate(family, guidance_scale=1.0, guidance_method="zero")) == without
    assert pixels(generate(family)) == plain


def test_batches_compositions_and_the_record(generate: Generate) -> None:
    asked = {"prompt": "a [cat|dog] AND hat :0.5", "guidance_method": "projected", "steps": 3}
    batch = generate("sd1", **asked, batch_size=2)
    assert pixels(batch, 1) == pixels(generate("sd1", **asked, seed=6))
    with Image.open(batch.paths[0]) as image:
        assert "Guidance method: projected" in image.info["parameters"]
    ignored = generate("flux", guidance_method="zero")
    assert any("the method was ignored" in words for words in ignored.warnings)
