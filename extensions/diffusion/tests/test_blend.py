"""Blending as a job runs it: latents of two pictures are mixed under a mask, and the rest stays bit by bit."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from extensions.diffusion.pipelines.blend import MixingVae
from extensions.diffusion.tests.test_inpaint import Paint, changed, inside, paint
from webui.testing import Outcome, Studio, run_pipeline

__all__ = ["paint"]


@pytest.fixture
def mix(paint: Paint, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paint:
    """Run blend as ``paint`` runs inpaint, with a red picture as the other."""
    Image.new("RGB", (72, 64), (230, 20, 20)).save(tmp_path / "red.png")

    def run(family: str, **params: Any) -> Outcome:
        def blended(_: str, asked: dict[str, Any], *args: Any, **kwargs: Any) -> Outcome:
            return run_pipeline(
                "diffusion.blend", {"other": str(tmp_path / "red.png"), "strength": 0.5, **asked}, *args, **kwargs
            )

        with monkeypatch.context() as patch:
            patch.setattr("extensions.diffusion.tests.test_inpaint.run_pipeline", blended)
            return paint(family, **params)

    return run


@pytest.mark.parametrize("family", ["sd1", "sd3", "flux", "qwen_image"])
def test_the_other_counts_under_the_mask_and_nowhere_else(mix: Paint, tmp_path: Path, family: str) -> None:
    full, none = mix(family), mix(family, amount=0.0)
    assert not changed(full, tmp_path)[~inside()].any()
    made, without = (np.asarray(one.images[0]).astype(int) for one in (full, none))
    assert (made != without).any(2)[inside()].mean() > 0.5


def test_none_of_the_other_is_inpainting(mix: Paint, paint: Paint) -> None:
    assert mix("sd1", amount=0.0).images[0].tobytes() == paint("sd1", strength=0.5).images[0].tobytes()


def test_a_picture_is_the_same_alone_and_in_a_batch(mix: Paint) -> None:
    batch, alone = mix("sd1", batch_size=2), mix("sd1", seed=6)
    assert batch.images[0].tobytes() != batch.images[1].tobytes() == alone.images[0].tobytes()


def test_only_masked_takes_the_same_region_of_both(mix: Paint, tmp_path: Path) -> None:
    assert not changed(mix("sd1", only_masked=True, padding=8), tmp_path)[~inside()].any()


def test_models_made_for_something_else_are_refused(mix: Paint) -> None:
    outcome = mix("pixart_sigma")
    assert outcome.error is not None
    assert "no image-to-image form" in outcome.error.message
    unmasked = mix("sd1", mask=None)
    assert unmasked.error is not None
    assert unmasked.error.hint == "Paint over what should change, or give a mask."


def test_latents_are_mixed_by_the_share_of_the_mask() -> None:
    class Halving(torch.nn.Module):
        config: ClassVar = {"scaling_factor": 2.0}

        def encode(self, pixels: torch.Tensor) -> Any:
            return SimpleNamespace(latents=torch.nn.functional.avg_pool2d(pixels, 2))

    where = Image.new("L", (8, 4))
    where.paste(255, (4, 0, 8, 4))
    vae = MixingVae(Halving(), Image.new("RGB", (8, 4), "white"), where, 0.25)
    latents = vae.encode(torch.zeros(2, 3, 4, 8)).latents
    assert torch.equal(latents[..., :2], torch.zeros(2, 3, 2, 2))
    assert torch.allclose(latents[..., 2:], torch.full((2, 3, 2, 2), 0.25))
    assert vae.config["scaling_factor"] == 2.0
