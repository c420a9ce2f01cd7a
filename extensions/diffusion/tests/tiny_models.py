"""Real pipelines of a few thousand random weights, saved as their makers' tools would: what the tests load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from extensions.diffusion.models.clip_vocabulary import END, START, byte_characters
from extensions.diffusion.models.libraries import prepare

SIZE = 64


def write_tokenizer(folder: Path, length: int = 77) -> int:
    """A CLIP tokenizer of single letters; how many tokens it has."""
    characters = byte_characters()
    tokens = [*characters, *(letter + "</w>" for letter in characters), START, END]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: index for index, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": length, "pad_token": END}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return len(tokens)


def make_tokenizer(folder: Path) -> Any:
    from transformers import CLIPTokenizer

    write_tokenizer(folder)
    return CLIPTokenizer.from_pretrained(str(folder))


def text_encoder(cls_name: str = "CLIPTextModel", hidden: int = 32, projection: int = 32, vocabulary: int = 514) -> Any:
    import transformers

    torch.manual_seed(1)
    config = transformers.CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=37,
        projection_dim=projection,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        pad_token_id=vocabulary - 1,
    )
    return getattr(transformers, cls_name)(config).eval()


def vae(latent_channels: int = 4, widths: tuple[int, ...] = (8, 16, 16), tile_px: int = SIZE, **extra: Any) -> Any:
    from diffusers import AutoencoderKL

    torch.manual_seed(2)
    return AutoencoderKL(
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        latent_channels=latent_channels,
        norm_num_groups=4,
        sample_size=tile_px,
        **extra,
    ).eval()


def unet(**extra: Any) -> Any:
    from diffusers import UNet2DConditionModel

    torch.manual_seed(3)
    settings: dict[str, Any] = {
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "sample_size": 16,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": 32,
        "attention_head_dim": 4,
        "norm_num_groups": 4,
    }
    return UNet2DConditionModel(**{**settings, **extra}).eval()


def scheduler(**extra: Any) -> Any:
    from diffusers import DDIMScheduler

    settings: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    return DDIMScheduler(**settings, clip_sample=False, set_alpha_to_one=False, steps_offset=1, **extra)


def sd1(folder: Path, **unet_changes: Any) -> Path:
    """The layout of Stable Diffusion 1.x."""
    prepare()
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline(
        vae=vae(),
        text_encoder=text_encoder(),
        tokenizer=make_tokenizer(folder / "tokenizer"),
        unet=unet(**unet_changes),
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.save_pretrained(str(folder))
    return folder


def sdxl(folder: Path) -> Path:
    """The layout of Stable Diffusion XL."""
    return _sdxl(
        folder,
        vae=vae(force_upcast=True, scaling_factor=0.13025),
        text_encoder=text_encoder(hidden=32),
        text_encoder_2=text_encoder("CLIPTextModelWithProjection", hidden=48, projection=48),
        unet=sdxl_unet(),
    )


def sdxl_scaled(folder: Path) -> Path:
    """SDXL whose components take a 256th of the bytes of the real ones in half precision, within a tenth."""
    prepare()
    return _sdxl(
        folder,
        vae=vae(widths=(4, 8, 16, 32), scaling_factor=0.13025, tile_px=32),
        text_encoder=text_encoder(hidden=132),
        text_encoder_2=text_encoder("CLIPTextModelWithProjection", hidden=352, projection=352),
        unet=sdxl_unet(
            cross_attention_dim=484, projection_class_embeddings_input_dim=352 + 6 * 8, block_out_channels=(56, 112)
        ),
    )


def sdxl_deep(folder: Path) -> Path:
    """SDXL with as many blocks as the real one, and a VAE that shrinks as much."""
    prepare()
    return _sdxl(
        folder,
        vae=vae(widths=(4, 8, 16, 32), scaling_factor=0.13025),
        text_encoder=text_encoder(hidden=32),
        text_encoder_2=text_encoder("CLIPTextModelWithProjection", hidden=48, projection=48),
        unet=sdxl_unet(
            block_out_channels=(16, 32, 32),
            transformer_layers_per_block=(1, 1, 2),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        ),
    )


def _sdxl(folder: Path, **parts: Any) -> Path:
    prepare()
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    pipe = StableDiffusionXLPipeline(
        **parts,
        tokenizer=make_tokenizer(folder / "tokenizer"),
        tokenizer_2=make_tokenizer(folder / "tokenizer_2"),
        scheduler=EulerDiscreteScheduler.from_config(scheduler().config),
        add_watermarker=False,
    )
    pipe.save_pretrained(str(folder))
    return folder


def sdxl_unet(**changes: Any) -> Any:
    settings: dict[str, Any] = {
        "cross_attention_dim": 80,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 48 + 6 * 8,
        "transformer_layers_per_block": (1, 2),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "use_linear_projection": True,
    }
    return unet(**{**settings, **changes})


def sd3_deep(folder: Path) -> Path:
    """SD 3 with a block that is not its last, which ControlNets do not reach."""
    return sd3(folder, layers=2)


def sd3(folder: Path, layers: int = 1) -> Path:
    """Stable Diffusion 3's layout, without T5: a flow-matching transformer."""
    prepare()
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    torch.manual_seed(4)
    transformer = SD3Transformer2DModel(
        sample_size=32,
        patch_size=1,
        in_channels=4,
        num_layers=layers,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=32,
        pooled_projection_dim=64,
        out_channels=4,
        pos_embed_max_size=32,
    ).eval()
    pipe = StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae(shift_factor=0.05, scaling_factor=1.5),
        text_encoder=text_encoder("CLIPTextModelWithProjection", hidden=16),
        text_encoder_2=text_encoder("CLIPTextModelWithProjection", hidden=16),
        text_encoder_3=None,
        tokenizer=make_tokenizer(folder / "tokenizer"),
        tokenizer_2=make_tokenizer(folder / "tokenizer_2"),
        tokenizer_3=None,
    )
    pipe.save_pretrained(str(folder))
    return folder


def flux(folder: Path) -> Path:
    """FLUX's layout with packed latents and guidance embedded; its T5 is a tiny one without a real tokenizer."""
    prepare()
    from diffusers import FluxPipeline

    FluxPipeline(**_flux_parts(folder)).save_pretrained(str(folder))
    return folder


def flux_kontext(folder: Path) -> Path:
    """FLUX Kontext: FLUX's parts, told a picture beside the instruction."""
    prepare()
    from diffusers import FluxKontextPipeline

    FluxKontextPipeline(**_flux_parts(folder)).save_pretrained(str(folder))
    return folder


def _flux_parts(folder: Path) -> dict[str, Any]:
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel
    from transformers import T5Config, T5EncoderModel

    torch.manual_seed(5)
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=[4, 4, 8],
        guidance_embeds=True,
    ).eval()
    t5 = T5Config(vocab_size=514, d_model=32, d_kv=8, d_ff=37, num_layers=1, num_heads=4, pad_token_id=0)
    return {
        "transformer": transformer,
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        "vae": vae(shift_factor=0.05, scaling_factor=1.5),
        "text_encoder": text_encoder(),
        "text_encoder_2": T5EncoderModel(t5).eval(),
        "tokenizer": make_tokenizer(folder / "tokenizer"),
        "tokenizer_2": make_tokenizer(folder / "tokenizer_2"),
    }
