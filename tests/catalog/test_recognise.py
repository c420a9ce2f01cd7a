"""What a file is, from the names and shapes of its tensors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.catalog.conftest import SD1, SDXL
from webui.catalog.headers import Header
from webui.catalog.recognise import recognise

UNET = "model.diffusion_model."
CONV_IN = UNET + "input_blocks.0.0.weight"
ATTENDS = UNET + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
SD2 = {**SD1, ATTENDS: (320, 1024), "cond_stage_model.model.token_embedding.weight": (8, 1024)}


def header(shapes: dict[str, tuple[int, ...]], dtypes: tuple[str, ...] = ("F16",), **metadata: str) -> Header:
    return Header(shapes, frozenset(dtypes), metadata)


def without(shapes: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {key: value for key, value in shapes.items() if not key.startswith(prefix)}


@pytest.mark.parametrize(
    ("shapes", "kind", "family"),
    [
        (SD1, "text_to_image", "sd1"),
        (SDXL, "text_to_image", "sdxl"),
        ({**SDXL, CONV_IN: (320, 9, 3, 3)}, "inpaint", "sdxl"),
        ({**SD1, CONV_IN: (320, 9, 3, 3)}, "inpaint", "sd1"),
        ({**SD1, CONV_IN: (320, 8, 3, 3)}, "image_to_image", "sd1"),
        (SD2, "text_to_image", "sd2"),
        (
            {CONV_IN: (384, 4, 3, 3), "conditioner.embedders.0.model.ln_final.weight": (1280,)},
            "image_to_image",
            "sdxl_refiner",
        ),
        ({"double_blocks.0.img_attn.qkv.weight": (9, 3)}, "text_to_image", "flux"),
        ({UNET + "joint_blocks.0.context_block.attn.qkv.weight": (9, 3)}, "text_to_image", "sd3"),
        ({"lora_unet_x_attn2_to_k.lora_down.weight": (4, 768)}, "lora", "sd1"),
        ({"unet.a.attn2.to_k.lora_A.weight": (4, 2048)}, "lora", "sdxl"),
        ({"lora_te2_text_model_a.lora_down.weight": (4, 1280)}, "lora", "sdxl"),
        ({"lora_unet_double_blocks_0_a.lora_down.weight": (4, 3072)}, "lora", "flux"),
        ({"lora_unet_a.hada_w1_a": (4, 8)}, "lora", ""),
        ({"control_model.input_hint_block.0.weight": (16, 3, 3, 3)}, "controlnet", ""),
        (
            {"controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3), "d.attn2.to_k.weight": (320, 768)},
            "controlnet",
            "sd1",
        ),
        ({"decoder.conv_in.weight": (8, 4, 3, 3), "decoder.conv_out.weight": (3, 8, 3, 3)}, "vae", ""),
        ({"emb_params": (4, 768)}, "embedding", "sd1"),
        ({"clip_l": (4, 768), "clip_g": (4, 1280)}, "embedding", "sdxl"),
        ({"conv_in.weight": (320, 4, 3, 3), "down_blocks.0.a": (1,), "time_embedding.b": (1,)}, "unet", ""),
        ({"text_model.encoder.layers.0.mlp.fc1.weight": (8, 8)}, "text_encoder", ""),
        ({"something": (3, 3)}, "unknown", ""),
        ({}, "unknown", ""),
    ],
)
def test_kind_and_family(shapes: dict[str, tuple[int, ...]], kind: str, family: str) -> None:
    found = recognise(header(shapes))
    assert (found.kind, found.family) == (kind, family)


@pytest.mark.parametrize(("shapes", "size"), [(SD1, 512), (SD2, 768), (SDXL, 1024)])
def test_the_size_a_family_was_trained_at(shapes: dict[str, tuple[int, ...]], size: int) -> None:
    assert recognise(header(shapes)).recommended == {"width": size, "height": size}


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        (without(SD1, "first_stage"), "without its VAE"),
        (without(without(SD1, "first_stage"), "cond_stage"), "without its text encoder and VAE"),
        ({**SD1, CONV_IN: (320, 5, 3, 3)}, "takes 5 channels"),
        (SD2, "Single files of sd2 cannot be loaded"),
        ({"double_blocks.0.img_attn.qkv.weight": (9, 3)}, "Single files of flux"),
        ({"something": (3, 3)}, "no kind of model"),
    ],
)
def test_what_cannot_be_used_says_why(shapes: dict[str, tuple[int, ...]], words: str) -> None:
    assert words in recognise(header(shapes)).problem


def test_eight_bit_weights_are_refused() -> None:
    assert "8 bits" in recognise(header(SD1, dtypes=("F16", "F8_E4M3"))).problem


def test_v_prediction_is_seen_in_marks_and_metadata() -> None:
    assert recognise(header({**SDXL, "v_pred": ()})).variant == "v_prediction"
    assert recognise(header(SDXL, **{"modelspec.prediction_type": "v"})).variant == "v_prediction"
    assert recognise(header(SDXL)).variant == ""


def test_whole_checkpoints_have_no_problem() -> None:
    assert recognise(header(SD1)).problem == ""
    assert recognise(header(SDXL)).problem == ""
