"""Upscalers: what they leave loads in spandrel and gives the same pictures there."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from extensions.starter.config import UpscalerConfig, load_config  # noqa: E402
from extensions.starter.data import subjects_at  # noqa: E402
from extensions.starter.upscaler import (  # noqa: E402
    CompactUpscaler,
    compare_with_bicubic,
    load_upscaler,
    save_upscaler,
    shrink,
    upscaling_batch,
)
from extensions.starter.world import draw, sample  # noqa: E402

TINY = load_config(Path(__file__).resolve().parents[1] / "configs" / "tiny.toml")


@pytest.mark.parametrize("scale", [2, 4])
def test_spandrel_reads_the_same_network(scale: int, tmp_path: Path) -> None:
    spandrel = pytest.importorskip("spandrel")
    torch.manual_seed(0)
    model = CompactUpscaler(8, 3, scale)
    torch.nn.init.normal_(model.body[-1].weight, std=0.1)
    path = tmp_path / "model.safetensors"
    save_upscaler(model, path)
    theirs, ours = spandrel.ModelLoader().load_from_file(path), load_upscaler(path)
    assert theirs.architecture.id == "Compact"
    assert theirs.scale == ours.scale == scale
    images = torch.rand(2, 3, 12, 10)
    with torch.no_grad():
        assert torch.allclose(theirs.model(images), ours(images), atol=1e-6)
        assert ours(images).shape == (2, 3, 12 * scale, 10 * scale)


def test_an_untrained_upscaler_is_nearest_neighbour() -> None:
    image = torch.rand(1, 3, 5, 5)
    with torch.no_grad():
        assert torch.equal(CompactUpscaler(8, 1, 2)(image), torch.nn.functional.interpolate(image, scale_factor=2))


def test_batches_are_a_function_of_the_step() -> None:
    first, again, next_one = (upscaling_batch(TINY, step, 4) for step in (3, 3, 4))
    assert first[0].shape == (2, 3, 8, 8)
    assert first[1].shape == (2, 3, 32, 32)
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], next_one[0])


def test_shrinking_keeps_the_picture() -> None:
    large = draw(sample(1), 64)
    for seed in range(30):
        small = shrink(large, 2, UpscalerConfig(degraded=1), torch.Generator().manual_seed(seed))
        assert small.size == (32, 32)
        assert small.mode == "RGB"
    scores = compare_with_bicubic(CompactUpscaler(8, 1, 2), subjects_at(0, 4), 64)
    # Nearest neighbour is what an untrained network gives: worse than bicubic, and not by much.
    assert scores["bicubic_psnr_db"] - 6 < scores["psnr_db"] < scores["bicubic_psnr_db"]
