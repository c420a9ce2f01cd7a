"""Of a LoRA one block alone: on names as files have them, and on the starter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from extensions.diffusion.adapters.lora_blocks import of_blocks
from webui.testing import make_studio, run_pipeline

MODELS = Path(__file__).resolve().parents[3] / "models"
NAMES = ("watercolour", "style", "content")
LORA = MODELS / "starter" / "lora" / "watercolour" / "pytorch_lora_weights.safetensors"


@pytest.mark.parametrize(
    ("style", "content"),
    [
        (
            "unet.up_blocks.0.attentions.1.proj_in.lora.down.weight",
            "unet.up_blocks.0.attentions.0.proj_in.lora.up.weight",
        ),
        ("lora_unet_up_blocks_0_attentions_1_proj_in.alpha", "lora_unet_up_blocks_0_attentions_0_proj_in.alpha"),
        ("lora_unet_output_blocks_1_1_proj_in.alpha", "lora_unet_output_blocks_0_1_proj_in.alpha"),
    ],
)
def test_blocks_by_every_name(style: str, content: str) -> None:
    tensors = {style: 1, content: 2, "lora_unet_output_blocks_11_1_proj_in.alpha": 3}
    assert of_blocks(tensors, "style") == {style: 1}
    assert of_blocks(tensors, "content") == {content: 2}
    assert of_blocks(tensors, "all") == tensors
    with pytest.raises(ValueError, match="block of style"):
        of_blocks({content: 2}, "style")


def test_a_block_draws_as_a_file_of_it_alone(tmp_path: Path) -> None:
    whole = load_file(LORA)
    for blocks in ("style", "content"):
        target = tmp_path / "models" / "loras" / f"{blocks}.safetensors"
        target.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: torch.clone(value) for name, value in of_blocks(whole, blocks).items()}, target)
    studio = make_studio(tmp_path / "data", models_dirs=[MODELS, tmp_path / "models"], offline=True)

    def drawn(lora: str, blocks: str = "all") -> bytes:
        asked: dict[str, Any] = {"model": "starter/avatar", "seed": 1, "steps": 2, "lora_1": lora, "lora_1_weight": 3.0}
        outcome = run_pipeline("diffusion.txt2img", {**asked, "lora_blocks": blocks}, tmp_path, studio=studio)
        assert outcome.state == "done", outcome.error
        return outcome.images[0].tobytes()

    refs = {name: one.ref for one in studio.catalog.entries("lora") for name in NAMES if name in one.ref}
    style, content = (drawn(refs["watercolour"], blocks) for blocks in ("style", "content"))
    assert style == drawn(refs["style"])
    assert content == drawn(refs["content"])
    assert style != content
