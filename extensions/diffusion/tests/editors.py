"""Tiny pipelines of the families that change a picture as an instruction says, with random weights, as
``save_pretrained`` writes them: Qwen-Image-Edit and its Plus, FLUX.2 and its klein, each with its own processor.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from extensions.diffusion.models.clip_vocabulary import byte_characters
from extensions.diffusion.models.libraries import prepare
from extensions.diffusion.tests.families import byte_tokenizer, flow, language_model, save

_VOCABULARY = 512
"""More than a tokenizer of bytes has: a few further marks have room."""
_MARKS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)


def qwen_tokenizer(folder: Path) -> Any:
    """Qwen's, of single bytes."""
    from transformers import Qwen2Tokenizer

    folder.mkdir(parents=True, exist_ok=True)
    tokens = [*byte_characters(), *_MARKS]
    (folder / "vocab.json").write_text(json.dumps({token: index for index, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return Qwen2Tokenizer.from_pretrained(str(folder), additional_special_tokens=list(_MARKS), model_max_length=2048)


def _qwen_encoder(tokenizer: Any) -> Any:
    import transformers

    torch.manual_seed(31)
    token = tokenizer.convert_tokens_to_ids
    config = transformers.Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "rope_parameters": {"mrope_section": [1, 1, 2], "rope_type": "default", "rope_theta": 1e6},
        },
        vision_config={
            "depth": 2,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 16,
            "fullatt_block_indexes": [1],
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
    )
    return transformers.Qwen2_5_VLForConditionalGeneration(config).eval()


def _qwen_edit(name: str, folder: Path) -> Path:
    prepare()
    import diffusers
    import transformers

    tokenizer = qwen_tokenizer(folder / "tokenizer")
    torch.manual_seed(30)
    transformer = diffusers.QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(8, 4, 4),
    )
    vae = diffusers.AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 1, 2],
        num_res_blocks=1,
        temperal_downsample=[False, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    processor = transformers.Qwen2VLProcessor(
        image_processor=transformers.Qwen2VLImageProcessor(min_pixels=56**2, max_pixels=112**2),
        tokenizer=tokenizer,
        video_processor=transformers.Qwen2VLVideoProcessor(),
    )
    return save(
        folder,
        getattr(diffusers, name)(
            scheduler=flow(use_dynamic_shifting=True),
            vae=vae.eval(),
            text_encoder=_qwen_encoder(tokenizer),
            tokenizer=tokenizer,
            processor=processor,
            transformer=transformer.eval(),
        ),
    )


def qwen_image_edit(folder: Path) -> Path:
    """Reads the picture twice: by its language model, and as latents beside those that are drawn."""
    return _qwen_edit("QwenImageEditPipeline", folder)


def qwen_image_edit_plus(folder: Path) -> Path:
    """The second of them, whose language model sees several pictures, smaller."""
    return _qwen_edit("QwenImageEditPlusPipeline", folder)


def _flux2_parts(width: int, *, guided: bool) -> dict[str, Any]:
    """``width``: of the text that it is told."""
    import diffusers

    torch.manual_seed(32)
    transformer = diffusers.Flux2Transformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=width,
        timestep_guidance_channels=32,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=guided,
    )
    vae = diffusers.AutoencoderKLFlux2(
        block_out_channels=(8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=64,
    )
    vae.bn.running_mean.normal_()
    vae.bn.running_var.uniform_(0.5, 2.0)
    return {"transformer": transformer.eval(), "vae": vae.eval(), "scheduler": flow(use_dynamic_shifting=True)}


_MISTRAL_CHAT = (
    "{% for message in messages %}[{{ message['role'] }}]"
    "{% for part in message['content'] %}{{ part['text'] }}{% endfor %}[/{{ message['role'] }}]{% endfor %}"
)


def flux2(folder: Path) -> Path:
    """FLUX.2: three layers of a language model that sees pictures, one autoencoder with statistics of its own."""
    prepare()
    import diffusers
    import transformers

    torch.manual_seed(33)
    text = transformers.MistralConfig(
        vocab_size=_VOCABULARY,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=31,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=1024,
        bos_token_id=2,
        eos_token_id=1,
        pad_token_id=0,
    )
    vision = transformers.PixtralVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, head_dim=8, image_size=64
    )
    tokenizer = byte_tokenizer(("[IMG]", "[IMG_BREAK]", "[IMG_END]"))
    config = transformers.Mistral3Config(
        text_config=text, vision_config=vision, image_token_index=tokenizer.convert_tokens_to_ids("[IMG]")
    )
    return save(
        folder,
        diffusers.Flux2Pipeline(
            **_flux2_parts(3 * 16, guided=True),
            text_encoder=transformers.Mistral3ForConditionalGeneration(config).eval(),
            tokenizer=transformers.PixtralProcessor(
                image_processor=transformers.PixtralImageProcessor(),
                tokenizer=tokenizer,
                chat_template=_MISTRAL_CHAT,
            ),
        ),
    )


def flux2_klein(folder: Path) -> Path:
    """FLUX.2 klein: the same denoiser without guidance embedded, told by Qwen 3."""
    prepare()
    import diffusers

    return save(
        folder,
        diffusers.Flux2KleinPipeline(
            **_flux2_parts(3 * 32, guided=False),
            text_encoder=language_model("Qwen3ForCausalLM", layers=28),
            tokenizer=byte_tokenizer(),
        ),
    )
