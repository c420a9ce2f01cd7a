"""Models that do not fit on the device are drawn by stages, block by block, and over every measure against running out
of memory: the pictures are those of a device with room for all.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from extensions.diffusion.compute import attention, intercept, rows
from extensions.diffusion.tests import families, tiny_models
from webui.testing import Outcome, Studio, run_pipeline, simulated_device

GIB = 2**30
Draw = Callable[..., Outcome]


def pixels(outcome: Outcome) -> np.ndarray:
    assert outcome.state == "done", outcome.error
    return np.stack([np.asarray(image).astype(int) for image in outcome.images])


@pytest.fixture
def draw(models_dir: Path, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Draw:
    """Draw with a family's tiny model on a simulated device: ``draw("sd1", device)``."""
    monkeypatch.setattr("webui.engine.device.usable_cores", lambda: 1)

    def run(family: str, device: Any = None, **params: Any) -> Outcome:
        folder = models_dir / "diffusers" / family
        if not folder.exists():
            own = families.FAMILIES.get(family) or getattr(tiny_models, family)
            families.prepare()
            own(folder)
        studio.catalog.refresh()
        asked = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "seed": 5, "model": f"diffusers/{family}"}
        return run_pipeline("diffusion.txt2img", {**asked, **params}, tmp_path, studio=studio, device=device)

    return run


@pytest.fixture(scope="module")
def drawn() -> dict[str, Outcome]:
    return {}


@pytest.fixture
def undisturbed(draw: Draw, drawn: dict[str, Outcome]) -> Draw:
    """The same on a device with room for all; drawn once."""

    def run(family: str, **params: Any) -> Outcome:
        name = f"{family} {params}"
        if name not in drawn:
            drawn[name] = draw(family, simulated_device(GIB), **params)
        return drawn[name]

    return run


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny models compute in less than the formulas for real ones say by far."""
    monkeypatch.setattr("webui.engine.work.formula", lambda work, dtype_bytes: 0)


FAMILIES = """sd1 sdxl sd3 flux pixart_sigma sana z_image qwen_image hunyuan_dit chroma lumina2 kandinsky22 kandinsky3
stable_cascade"""


@pytest.mark.parametrize("family", FAMILIES.split())
def test_a_model_that_fits_by_stages_alone_draws_the_same_picture(
    draw: Draw, undisturbed: Draw, no_work: None, family: str
) -> None:
    size = 128 if family == "stable_cascade" else 64
    plain = undisturbed(family, width=size, height=size)
    assert plain.memory is not None
    assert plain.memory.evictions == 0, "what fits is never staged"
    sizes = sorted(row.device_bytes for row in plain.memory.entries)
    staged_on = simulated_device(sizes[-1])
    staged = draw(family, staged_on, width=size, height=size)
    assert (pixels(staged) == pixels(plain)).all()
    assert staged.warnings == plain.warnings
    assert staged_on.most <= sizes[-1]
    assert staged.memory is not None
    assert (staged.memory.ooms, staged.memory.loads) == (0, plain.memory.loads)


@pytest.mark.parametrize("family", ["sd1", "sd3", "flux", "z_image", "sana"])
def test_a_component_larger_than_the_device_is_computed_block_by_block(
    draw: Draw, undisturbed: Draw, no_work: None, family: str
) -> None:
    plain = undisturbed(family)
    assert plain.memory is not None
    largest = max(row.device_bytes for row in plain.memory.entries)
    small = simulated_device(int(largest * 0.8))
    assert (pixels(draw(family, small)) == pixels(plain)).all()
    assert 0 < small.most < largest


@pytest.mark.parametrize("share", [1.0, 0.8])
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_the_language_of_prompts_is_told_over_stages_too(
    draw: Draw, undisturbed: Draw, no_work: None, family: str, share: float
) -> None:
    """By stages, and block by block: conditions, schedules, chunks and the norm that clip skip calls by itself."""
    said = {"prompt": "a (cat:1.3) BREAK red AND [dog:hat:0.5] :0.6", "negative_prompt": "rain", "clip_skip": 2}
    plain = undisturbed(family, **said)
    assert plain.memory is not None
    largest = max(row.device_bytes for row in plain.memory.entries)
    assert (pixels(draw(family, simulated_device(int(largest * share)), **said)) == pixels(plain)).all()


@pytest.fixture
def taken() -> Iterator[list[str]]:
    """The measures against running out of memory, as the cache's ladder tells of them."""
    told: list[str] = []

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(str(record.args[0]) if record.args else "")

    handler = Told()
    logging.getLogger("webui.engine.ladder").addHandler(handler)
    yield told
    logging.getLogger("webui.engine.ladder").removeHandler(handler)


@dataclass
class Call:
    """What a call of a component found."""

    rows: int
    attention: str
    tiling: bool
    slicing: bool
    device_bytes: int


def run_out(
    monkeypatch: pytest.MonkeyPatch, owner: str, device: Any, taken: list[str], rung: str, first: int
) -> list[Call]:
    """Have ``owner``, a method of a class of diffusers, run out of the device's memory at its call of number ``first``
    and after until ``rung`` is taken; the calls that went through from then on.
    """
    class_name, method = owner.split(".")
    import diffusers

    cls = getattr(diffusers, class_name)
    real, calls, through = getattr(cls, method), itertools.count(), []

    def failing(module: Any, *args: Any, **kwargs: Any) -> Any:
        of_job = bool(intercept._handlers.get())  # not a preview's
        if of_job and next(calls) >= first:
            if rung not in taken:
                device.fail_next = 1
                device.allocate(1)
            switches = (getattr(module, "use_tiling", False), getattr(module, "use_slicing", False))
            through.append(Call(rows.count(args, kwargs), attention._chosen.get(), *switches, device.allocated()))
        return real(module, *args, **kwargs)

    monkeypatch.setattr(cls, method, failing)
    return through


ENGINE = ["collect", "evict_idle"]
EXACT, ROUNDED = 0, 1


@pytest.mark.parametrize(
    ("family", "owner", "rung", "first", "most"),
    [
        ("sd1", "UNet2DConditionModel.forward", "collect", 2, EXACT),
        ("sd1", "UNet2DConditionModel.forward", "evict_idle", 2, EXACT),
        ("sd1", "UNet2DConditionModel.forward", "drop_idle_stages", 2, EXACT),
        ("sd1", "UNet2DConditionModel.forward", "sliced_attention", 2, ROUNDED),
        ("sd1", "UNet2DConditionModel.forward", "split_guidance", 2, ROUNDED),
        ("sd1", "UNet2DConditionModel.forward", "offload_denoiser", 2, ROUNDED),
        ("sdxl", "UNet2DConditionModel.forward", "offload_denoiser", 2, ROUNDED),
        ("sd3", "SD3Transformer2DModel.forward", "split_guidance", 2, ROUNDED),
        ("flux", "FluxTransformer2DModel.forward", "offload_denoiser", 2, ROUNDED),
        ("sd1", "AutoencoderKL.decode", "drop_idle_stages", 0, EXACT),
        ("sd1", "AutoencoderKL.decode", "vae_tiling", 0, EXACT),
        ("sd1", "AutoencoderKL.decode", "vae_on_cpu", 0, EXACT),
        ("flux", "AutoencoderKL.decode", "vae_tiling", 0, EXACT),
        ("flux", "AutoencoderKL.decode", "vae_on_cpu", 0, EXACT),
    ],
)
def test_what_runs_out_of_memory_in_the_middle_goes_on_to_the_same_picture(
    draw: Draw,
    undisturbed: Draw,
    no_work: None,
    taken: list[str],
    monkeypatch: pytest.MonkeyPatch,
    family: str,
    owner: str,
    rung: str,
    first: int,
    most: int,
) -> None:
    """A sampler that draws noise at each step: a generator that is not where it was would show."""
    how: dict[str, Any] = {"steps": 4, **({"sampler": "Euler a"} if family.startswith("sd1") else {})}
    plain = undisturbed(family, **how)
    assert taken == []
    device = simulated_device(GIB)
    with monkeypatch.context() as patch:
        calls = run_out(patch, owner, device, taken, rung, first)
        disturbed = draw(family, device, **how)
    assert np.abs(pixels(disturbed) - pixels(plain)).max() <= most
    assert disturbed.warnings == plain.warnings
    assert taken[-1] == rung
    assert [name for name in taken if name in ENGINE] == ENGINE[: len(taken)], "each measure once in a job"
    halves = 2 if "split_guidance" in taken else 1
    assert len(calls) == (1 if first == 0 else 2 * halves), "no step is computed twice"
    for call in calls:
        assert (call.attention == attention.SLICED) == ("sliced_attention" in taken)
        assert call.rows == 1 or "split_guidance" not in taken
        assert call.tiling == (rung == "vae_tiling")
    if rung == "offload_denoiser":
        assert max(call.device_bytes for call in calls) < device.most, "not all of it is there"


def test_pictures_of_a_batch_are_made_one_by_one_where_memory_runs_out(
    draw: Draw, no_work: None, taken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device with memory of its own draws batches; the processor, whose kernels round by the batch, does not."""
    together = property(lambda drawing: False, lambda drawing, value: None)
    monkeypatch.setattr("extensions.diffusion.drawing.groups.Drawing.alone", together, raising=False)
    plain = draw("sd1", simulated_device(GIB), batch_size=2)
    with monkeypatch.context() as patch:
        calls = run_out(patch, "UNet2DConditionModel.forward", device := simulated_device(GIB), taken, "split_batch", 1)
        disturbed = draw("sd1", device, batch_size=2)
    assert taken[-2:] == ["split_guidance", "split_batch"]
    assert [call.rows for call in calls] == [1] * 4
    assert np.abs(pixels(disturbed) - pixels(plain)).max() <= 1
    taken.clear()
    plain = draw("flux", simulated_device(GIB), batch_size=2)
    with monkeypatch.context() as patch:
        calls = run_out(patch, "AutoencoderKL.decode", device := simulated_device(GIB), taken, "vae_slicing", 0)
        disturbed = draw("flux", device, batch_size=2)
    assert calls[0].slicing
    assert np.abs(pixels(disturbed) - pixels(plain)).max() <= 1


def test_when_nothing_helps_the_error_says_what_was_tried_and_the_next_job_is_not_touched(
    draw: Draw, undisturbed: Draw, no_work: None, taken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = undisturbed("sd1")
    with monkeypatch.context() as patch:
        run_out(patch, "UNet2DConditionModel.forward", device := simulated_device(GIB), taken, "never", 1)
        failed = draw("sd1", device)
    assert failed.error is not None
    for words in (
        "does not fit on a simulated device",
        "are free",
        "models in use",
        "split_guidance, offload_denoiser",
    ):
        assert words in failed.error.message
    assert taken == [*ENGINE, "drop_idle_stages", "sliced_attention", "split_guidance", "offload_denoiser"]
    assert failed.memory is not None
    assert all(row.holders == 0 for row in failed.memory.entries)
    taken.clear()
    assert (pixels(draw("sd1", device)) == pixels(plain)).all()
    assert taken == []


SCALE = 256
"""Bytes of everything here to those of SDXL in half precision at 1024 px: weights, device, and with the picture's area
(64 px) the work.
"""


@pytest.mark.parametrize(
    ("gib", "params", "measures"),
    [
        (6, {}, []),
        (4, {"vae_tiling": True}, []),
        (4, {}, [*ENGINE, "vae_tiling"]),
    ],
)
def test_sdxl_is_drawn_on_a_small_device(
    draw: Draw,
    taken: list[str],
    monkeypatch: pytest.MonkeyPatch,
    gib: int,
    params: dict[str, Any],
    measures: list[str],
) -> None:
    """6 GiB hold the UNet with its work and little else; 4 GiB not even that, nor the work of the VAE on a whole
    picture. What is computed takes what the formulas for real models say.
    """
    from diffusers import UNet2DConditionModel
    from diffusers.models.autoencoders.vae import Decoder

    def working(cls: Any, bytes_of: Callable[..., int]) -> None:
        real = cls.forward

        def forward(module: Any, *args: Any, **kwargs: Any) -> Any:
            if not intercept._handlers.get():  # a preview's
                return real(module, *args, **kwargs)
            need = bytes_of(*args)
            device.allocate(need)
            try:
                return real(module, *args, **kwargs)
            finally:
                device.give_back(need)

        monkeypatch.setattr(cls, "forward", forward)

    def latents(tensor: Any) -> int:
        return int(tensor.shape[-1] * tensor.shape[-2])

    plain = draw("sdxl_scaled", simulated_device(GIB), vae_tiling=gib == 4)
    assert plain.memory is not None
    sizes = {row.component: row.device_bytes for row in plain.memory.entries if row.device_bytes}
    for name, real_bytes in SDXL_BYTES.items():
        assert abs(sizes[name] * SCALE / real_bytes - 1) < 0.1, f"{name} takes {sizes[name]}"
    device = simulated_device(gib * GIB // SCALE)
    working(UNet2DConditionModel, lambda sample, *rest: int(latents(sample) * 2 * 2 * 0.01 * 0.8 * 2**20))
    working(Decoder, lambda sample, *rest: 2178 * 64 * 2 * latents(sample))
    outcome = draw("sdxl_scaled", device, **params)
    assert (pixels(outcome) == pixels(plain)).all()
    assert taken == measures
    assert device.most <= gib * GIB // SCALE < sum(sizes.values()) + 1_000_000


SDXL_BYTES = {
    "text_encoder": 246_144_152,
    "text_encoder_2": 1_389_382_176,
    "unet": 5_135_149_760,
    "vae": 167_335_342,
}
"""fp16 files of stabilityai/stable-diffusion-xl-base-1.0."""
