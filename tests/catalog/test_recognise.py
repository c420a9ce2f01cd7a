"""What a file is, from the names and shapes of its tensors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.catalog.conftest import SD1, SD2, SDXL
from webui.catalog.headers import Header
from webui.catalog.recognise import recognise

UNET = "model.diffusion_model."
CONV_IN = UNET + "input_blocks.0.0.weight"
ATTENDS = UNET + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"


def header(shapes: dict[str, tuple[int, ...]], dtypes: tuple[str, ...] = ("F16",), **metadata: str) -> Header:
    return Header(shapes, frozenset(dtypes), metadata)


def names(*given: str) -> dict[str, tuple[int, ...]]:
    return dict.fromkeys(given, (2, 2))


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
        (names("single_stream_modulation.lin.weight", "double_blocks.0.img_attn.qkv.weight"), "text_to_image", "flux2"),
        (names("distilled_guidance_layer.in_proj.bias"), "text_to_image", "chroma"),
        (names("transformer_blocks.0.img_mod.1.weight", "txt_norm.weight"), "text_to_image", "qwenimage"),
        (names("layers.0.adaLN_modulation.0.weight", "cap_embedder.1.weight"), "text_to_image", "zimage"),
        (names("blocks.0.cross_attn.q_linear.weight", "y_embedder.y_proj.fc1.weight"), "text_to_image", "pixart"),
        (
            names("blocks.0.cross_attn.q_linear.weight", "blocks.0.mlp.inverted_conv.conv.weight"),
            "text_to_image",
            "sana",
        ),
        (names("head.modulation", "blocks.0.self_attn.q.weight"), "video", "wan"),
        (names("adapter.body.0.resnets.0.block1.weight"), "t2i_adapter", ""),
        (
            names("body.0.in_conv.weight", "body.0.out_conv.weight", "body.0.body.0.block1.weight"),
            "t2i_adapter",
            "",
        ),
        (names("vision_model.encoder.layers.0.mlp.fc1.weight", "visual_projection.weight"), "image_encoder", ""),
        (names("image_proj.proj.weight", "ip_adapter.1.to_k_ip.weight"), "ip_adapter", ""),
        (names("g_ema.style.1.weight", "g_ema.convs.0.conv.weight"), "gan", "stylegan2_rosinality"),
        (names("G_ema.synthesis.b4.const", "G_ema.mapping.fc0.weight"), "gan", "stylegan2"),
        (names("G_ema.synthesis.input.freqs", "G_ema.mapping.fc0.weight"), "gan", "stylegan3"),
        (names("generator.gen_z.weight_orig", "embeddings.weight"), "gan", "biggan_deep"),
        (names("quantize.embedding.weight", "loss.a", "encoder.down.0.block.0.norm1.weight"), "vqgan", "taming"),
        (names("conv_first.weight", "body.0.rdb1.conv1.weight", "conv_last.weight"), "upscaler", "esrgan"),
        (
            names("params_ema.conv_first.weight", "params_ema.body.0.rdb1.conv1.weight", "params_ema.conv_last.weight"),
            "upscaler",
            "esrgan",
        ),
        (names("conv_first.weight", "layers.0.residual_group.blocks.0.norm1.weight"), "upscaler", "swinir"),
        (names("body.0.weight", "body.1.weight", "body.2.weight"), "upscaler", "compact"),
        ({"string_to_param.*": (4, 768)}, "embedding", "sd1"),
        ({"<token>": (1, 1024)}, "embedding", "sd2"),
        (names("lora_unet_a.lokr_w1"), "lora", ""),
        ({"something": (3, 3)}, "unknown", ""),
        ({}, "unknown", ""),
    ],
)
def test_kind_and_family(shapes: dict[str, tuple[int, ...]], kind: str, family: str) -> None:
    found = recognise(header(shapes))
    assert (found.kind, found.family) == (kind, family)


@pytest.mark.parametrize(("shapes", "size"), [(SD1, 512), (SD2, 512), ({**SD2, "v_pred": ()}, 768), (SDXL, 1024)])
def test_the_size_a_family_was_trained_at(shapes: dict[str, tuple[int, ...]], size: int) -> None:
    assert recognise(header(shapes)).recommended == {"width": size, "height": size}


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({**SD1, CONV_IN: (320, 5, 3, 3)}, "takes 5 channels"),
        ({CONV_IN: (320, 4, 3, 3), ATTENDS: (320, 99)}, "belongs to no family"),
        (names("txt_in.individual_token_refiner.blocks.0.a"), "Single files of hunyuan_video"),
        ({"double_blocks.0.img_attn.qkv.weight": (9, 3), "double_blocks.0.img_attn.qkv.weight.absmax": (3,)}, "packed"),
        ({"something": (3, 3)}, "no kind of model"),
    ],
)
def test_what_cannot_be_used_says_why(shapes: dict[str, tuple[int, ...]], words: str) -> None:
    assert words in recognise(header(shapes)).problem


@pytest.mark.parametrize(
    ("shapes", "lacks"),
    [
        (SD1, ()),
        (SDXL, ()),
        (SD2, ()),
        (without(SD1, "first_stage"), ("VAE",)),
        (without(without(SD1, "first_stage"), "cond_stage"), ("text encoder", "VAE")),
        (names("double_blocks.0.img_attn.qkv.weight"), ("text encoder", "VAE")),
        (
            names(
                UNET + "double_blocks.0.img_attn.qkv.weight",
                "vae.decoder.conv_in.weight",
                "text_encoders.t5xxl.transformer.shared.weight",
            ),
            (),
        ),
    ],
)
def test_what_a_file_does_not_hold(shapes: dict[str, tuple[int, ...]], lacks: tuple[str, ...]) -> None:
    found = recognise(header(shapes))
    assert (found.lacks, found.problem) == (lacks, "")


@pytest.mark.parametrize(("dtype", "usable"), [("F8_E4M3", True), ("F8_E5M2", True), ("F4", False), ("F8_E8M0", False)])
def test_which_narrow_weights_can_be_used(dtype: str, usable: bool) -> None:
    assert bool(recognise(header(SD1, dtypes=("F16", dtype))).problem) is not usable


@pytest.mark.parametrize(("channels", "kind"), [(64, "text_to_image"), (384, "inpaint"), (128, "image_to_image")])
def test_the_tasks_of_flux(channels: int, kind: str) -> None:
    found = recognise(header({"double_blocks.0.img_attn.qkv.weight": (9, 3), "img_in.weight": (3072, channels)}))
    assert (found.kind, found.family, found.recommended["steps"]) == (kind, "flux", 4)


def test_v_prediction_is_seen_in_marks_and_metadata() -> None:
    assert recognise(header({**SDXL, "v_pred": ()})).variant == "v_prediction"
    assert recognise(header(SDXL, **{"modelspec.prediction_type": "v"})).variant == "v_prediction"
    assert recognise(header(SDXL)).variant == ""
    assert recognise(header({**SDXL, "v_pred": (), "ztsnr": ()})).variant == "v_prediction_zsnr"


def test_whole_checkpoints_have_no_problem() -> None:
    assert recognise(header(SD1)).problem == ""
    assert recognise(header(SDXL)).problem == ""


@pytest.mark.parametrize(
    ("shapes", "metadata", "kind", "family"),
    [
        ({"lora_unet_x_attn2_to_k.hada_w1_b": (4, 768), "x.hada_w1_a": (320, 4)}, {}, "lora", "sd1"),
        ({"lora_unet_x_attn2_to_k.lokr_w1": (8, 16), "lora_unet_x_attn2_to_k.lokr_w2": (40, 128)}, {}, "lora", "sdxl"),
        (
            {"lora_unet_x_attn2_to_k.lokr_w1": (8, 16), "lora_unet_x_attn2_to_k.lokr_w2_b": (4, 48),
             "lora_unet_x_attn2_to_k.lokr_w2_a": (40, 4)}, {}, "lora", "sd1",
        ),
        ({"lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight": (4, 1024)}, {}, "lora", "sd2"),
        ({"diffusion_model.double_blocks.0.img_attn.qkv.lora_A.weight": (4, 3072)}, {}, "lora", "flux"),
        ({"transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight": (4, 3072)}, {}, "lora", "flux"),
        ({"lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight": (4, 1536)}, {}, "lora", "sd3"),
        ({"transformer.transformer_blocks.0.attn.add_k_proj.lora_A.weight": (4, 1536)}, {}, "lora", "sd3"),
        ({"transformer_blocks.0.attn.add_k_proj.lora_A.default.weight": (4, 3072)}, {}, "lora", "qwenimage"),
        ({"transformer_blocks.0.img_mlp.net.0.proj.lora_A.weight": (4, 3072)}, {}, "lora", "qwenimage"),
        ({"diffusion_model.layers.0.attention.to_q.lora_A.weight": (4, 3840)}, {}, "lora", "zimage"),
        ({"lora_unet_a.lora_down.weight": (4, 9)}, {"ss_base_model_version": "sdxl_base_v1-0"}, "lora", "sdxl"),
        ({"a.lora_A.weight": (4, 9)}, {"modelspec.architecture": "stable-diffusion-v1/lora"}, "lora", "sd1"),
        ({"lora_unet_a.oft_blocks": (4, 9, 9)}, {"modelspec.architecture": "Flux-1-dev/lora"}, "lora", "flux"),
        ({"control_model.input_blocks.1.1.x.attn2.to_k.weight": (320, 1024)}, {}, "controlnet", "sd2"),
        (
            {"controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3), "add_embedding.linear_1.weight": (8, 8)},
            {}, "controlnet", "sdxl",
        ),
        (
            {"controlnet_blocks.0.weight": (8, 8), "single_transformer_blocks.0.proj_mlp.weight": (8, 8)},
            {}, "controlnet", "flux",
        ),
        (
            {"controlnet_blocks.0.weight": (8, 8), "transformer_blocks.0.attn.add_k_proj.weight": (1536, 1536)},
            {}, "controlnet", "sd3",
        ),
        (
            {"controlnet_blocks.0.weight": (8, 8), "transformer_blocks.0.img_mod.1.weight": (8, 8)},
            {}, "controlnet", "qwenimage",
        ),
        (
            {"adapter.body.0.resnets.0.block1.weight": (8, 8), "adapter.conv_in.weight": (320, 192, 3, 3)},
            {}, "t2i_adapter", "sd1",
        ),
        (
            {"body.0.in_conv.weight": (8, 8), "body.0.block1.weight": (8, 8), "conv_in.weight": (320, 768, 3, 3)},
            {}, "t2i_adapter", "sdxl",
        ),
        (
            {"image_proj.proj.weight": (8, 8), "ip_adapter.1.to_k_ip.weight": (640, 2048)},
            {}, "ip_adapter", "sdxl",
        ),
        (
            {
                "ip_adapter_proj_model.proj.weight": (8, 8),
                "double_blocks.0.processor.ip_adapter_double_stream_k_proj.weight": (3072, 4096),
            },
            {}, "ip_adapter", "flux",
        ),
        (
            {"redux_up.weight": (12288, 1152), "redux_down.weight": (4096, 12288)},
            {}, "ip_adapter", "flux",
        ),
        (
            {"image_proj.latents": (1, 8, 8), "ip_adapter.0.norm_ip.linear.weight": (8, 8)},
            {}, "ip_adapter", "sd3",
        ),
        (
            {"vision_model.encoder.layers.0.mlp.fc1.weight": (8, 8), "vision_model.head.probe": (1, 1, 8)},
            {}, "image_encoder", "",
        ),
        (
            {"lora_controlnet": (0,), "input_blocks.4.1.transformer_blocks.0.attn2.to_k.down": (256, 2048)},
            {}, "controlnet", "sdxl",
        ),
        (
            {"lllite_unet_input_blocks_7_1_transformer_blocks_1_attn1_to_q.down.0.weight": (64, 1280)},
            {}, "controlnet", "sdxl",
        ),
    ],
)  # fmt: skip
def test_what_an_add_on_works_with(
    shapes: dict[str, tuple[int, ...]], metadata: dict[str, str], kind: str, family: str
) -> None:
    found = recognise(header(shapes, **metadata))
    assert (found.kind, found.family, found.problem) == (kind, family, "")
