"""The pipeline as a job runs it: batches, seeds, cancel, resume, previews, families, refusals, precision."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from extensions.diffusion.drawing import groups
from extensions.diffusion.drawing.task import Task
from extensions.diffusion.models.sizes import fit_size
from extensions.diffusion.params import Txt2Img
from extensions.diffusion.pipelines.txt2img import Txt2ImgPipeline
from extensions.diffusion.tests import ldm_layout, tiny_models
from webui.testing import Outcome

Generate = Callable[..., Outcome]


def pixels(outcome: Outcome) -> list[bytes]:
    assert outcome.state == "done", outcome.error
    return [image.tobytes() for image in outcome.images]


def test_an_image_is_the_same_alone_and_in_any_batch(generate: Generate) -> None:
    batch = generate("sd1", batch_size=3)
    assert [record.seed for record in batch.records] == [5, 6, 7]
    made = pixels(batch)
    assert len(set(made)) == 3
    assert pixels(generate("sd1", batch_size=1, batch_count=2)) == made[:2]
    assert pixels(generate("sd1", seed=7)) == made[2:]


def test_one_seed_gives_the_same_bytes_twice(generate: Generate) -> None:
    first, second = (generate("sd1", sampler="Euler a").paths[0].read_bytes() for _ in range(2))
    assert first == second


def test_a_cancel_takes_effect_within_one_step(generate: Generate) -> None:
    steps: list[int] = []

    def second_step(outcome: Outcome) -> bool:
        steps.extend(row.step for row in outcome.progress[-1:])
        return bool(steps) and steps[-1] >= 2

    outcome = generate("sd1", steps=30, batch_size=2, how={"cancel_when": second_step})
    assert outcome.state == "cancelled"
    assert outcome.records == []
    reached = max(row.step for row in outcome.progress)
    told_at_once = 12  # progress is told ten times a second: tiny steps pass between two tellings
    assert reached <= 2 + told_at_once


def test_an_interrupted_job_makes_only_what_is_missing(generate: Generate) -> None:
    outcome = generate("sd1", batch_size=3, how={"done_indices": [0, 1]})
    assert [(record.index, record.seed) for record in outcome.records] == [(2, 7)]
    assert pixels(outcome) == pixels(generate("sd1", seed=7))


def test_previews_are_shown_while_it_draws(generate: Generate) -> None:
    assert generate("sd1", steps=6).previews > 0


def test_the_text_for_other_programs_names_sampler_and_model(generate: Generate) -> None:
    outcome = generate("sd1", sampler="Euler", schedule="Karras")
    with Image.open(outcome.paths[0]) as image:
        text, recipe = image.info["parameters"], json.loads(image.info["lifelike"])
    assert "Sampler: Euler, Schedule type: Karras" in text
    assert "Model: sd1" in text
    assert recipe["models"][0]["ref"] == "diffusers/sd1"


@pytest.mark.parametrize("family", ["sdxl", "sd3", "flux"])
def test_other_families_draw(generate: Generate, family: str) -> None:
    outcome = generate(family, batch_size=2)
    first, second = pixels(outcome)
    assert first != second
    assert [(record.width, record.height) for record in outcome.records] == [(64, 64)] * 2
    assert pixels(generate(family, seed=6)) == [second]


def test_what_a_model_ignores_is_said(generate: Generate) -> None:
    outcome = generate("flux", negative_prompt="rain", width=72, prompt="x" * 90)
    assert any("negative prompt" in words for words in outcome.warnings)
    assert any("cut off" in words for words in outcome.warnings)
    assert outcome.records[0].width == 72


def test_a_size_is_rounded_to_what_the_model_draws() -> None:
    assert fit_size(70, 40, 16) == (64, 48)
    assert fit_size(8, 990, 16) == (16, 992)


@pytest.mark.parametrize(("family", "file"), [("sd1", "one.safetensors"), ("sdxl", "xl.safetensors")])
def test_a_single_file_gives_the_pixels_of_its_folder(
    generate: Generate,
    tiny: Any,
    models_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    family: str,
    file: str,
) -> None:
    folder = tiny(family)
    (models_dir / "checkpoints").mkdir(exist_ok=True)
    save_file(checkpoint(folder, family), str(models_dir / "checkpoints" / file))
    shutil.copytree(folder, tmp_path / "configs" / family, ignore=shutil.ignore_patterns("*.safetensors"))
    monkeypatch.setattr(Txt2ImgPipeline, "configs", tmp_path / "configs")
    expected = pixels(generate(family))
    assert pixels(generate(family, model=file)) == expected


def checkpoint(folder: Path, family: str) -> dict[str, torch.Tensor]:
    """The tensors of ``folder`` under their published names, the VAE's in half precision, as mixed files have them."""
    import diffusers

    cls = diffusers.StableDiffusionXLPipeline if family == "sdxl" else diffusers.StableDiffusionPipeline
    pipe = cls.from_pretrained(str(folder), local_files_only=True)
    found = {**ldm_layout.unet(pipe.unet), **ldm_layout.vae(pipe.vae)}
    if family == "sdxl":
        found |= ldm_layout.clip(pipe.text_encoder, "conditioner.embedders.0.transformer.text_model.")
        found |= ldm_layout.openclip(pipe.text_encoder_2)
    else:
        found |= ldm_layout.clip(pipe.text_encoder, "cond_stage_model.transformer.")
    return {key: value.clone().contiguous() for key, value in found.items()}


def test_an_inpainting_model_is_refused_before_it_is_loaded(generate: Generate, tiny: Any, models_dir: Path) -> None:
    tiny_models.sd1(models_dir / "diffusers" / "nine", in_channels=9)
    with pytest.raises(Exception, match="inpainting model"):
        generate("sd1", model="diffusers/nine")
    shutil.rmtree(models_dir / "diffusers" / "nine")


def test_a_sampler_that_does_not_fit_is_refused(generate: Generate) -> None:
    outcome = generate("sd3", sampler="DDIM")
    assert outcome.state == "failed"
    assert outcome.error is not None
    assert "'DDIM' does not fit" in outcome.error.message
    assert "UniPC" in outcome.error.hint


def test_a_hub_id_is_refused_offline(generate: Generate) -> None:
    outcome = generate("sd1", model="someone/some-model")
    assert outcome.error is not None
    assert "offline" in outcome.error.message


def test_a_vae_that_fails_in_half_precision_is_computed_in_float32(
    generate: Generate, tiny: Any, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = models_dir / "diffusers" / "loud"
    shutil.copytree(tiny("sd1"), folder)
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(str(weights))
    # Within half precision themselves, their products are not; the picture is clipped, but finite in float32.
    tensors["decoder.conv_in.weight"] *= 3e4 / tensors["decoder.conv_in.weight"].abs().max()
    tensors["post_quant_conv.weight"] *= 1e3
    save_file(tensors, str(weights))
    monkeypatch.setattr(groups, "working_dtype", lambda context: torch.float16)
    outcome = generate("sd1", model="diffusers/loud", batch_size=2)
    shutil.rmtree(folder)
    assert outcome.state == "done", outcome.error
    assert outcome.warnings == ["The VAE gave invalid values in float16 and is computed in float32."]
    assert np.asarray(outcome.images[0]).std() > 0


def test_a_model_that_gives_nan_fails_with_words(generate: Generate, tiny: Any, models_dir: Path) -> None:
    folder = models_dir / "diffusers" / "broken"
    shutil.copytree(tiny("sd1"), folder)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(str(weights))
    tensors["conv_out.bias"][:] = float("nan")
    save_file(tensors, str(weights))
    outcome = generate("sd1", model="diffusers/broken")
    shutil.rmtree(folder)
    assert outcome.state == "failed"
    assert outcome.error is not None
    assert "NaN" in outcome.error.message


def test_groups_keep_order_and_size() -> None:
    task = Task(Txt2Img(), SimpleNamespace(folders=lambda name: []))
    assert [list(group) for group in task.groups([1, 2, 4, 7, 8], 2)] == [[1, 2], [4, 7], [8]]
