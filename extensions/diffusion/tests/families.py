"""Tiny pipelines of many families with random weights, as ``save_pretrained`` writes them. None has code of its own in
the extension: the loader reads signatures and configurations.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from extensions.diffusion.models.libraries import prepare
from extensions.diffusion.tests import tiny_models as tiny

_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
)
_SPECIALS = ("<pad>", "</s>", "<s>", "<unk>", "<|im_start|>", "<|im_end|>")
_VOCABULARY = 256 + len(_SPECIALS)
_EIGHTFOLD = (8, 8, 16, 16)
"""Widths of an autoencoder that scales by 8, which some pipelines take for granted."""


def save(folder: Path, pipe: Any) -> Path:
    pipe.save_pretrained(str(folder))
    return folder


def byte_tokenizer(more: tuple[str, ...] = ()) -> Any:
    """A tokenizer of single bytes with a chat template and ``more`` marks: in the place of T5's, Gemma's and Qwen's."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokens = [*_SPECIALS, *sorted(pre_tokenizers.ByteLevel.alphabet()), *more]
    inner = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    # A start and an end: an empty negative prompt is then never an empty sequence.
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", tokens.index("<s>")), ("</s>", tokens.index("</s>"))]
    )
    named = {"pad_token": "<pad>", "eos_token": "</s>", "bos_token": "<s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=512, chat_template=_CHAT, **named)


def t5(name: str = "T5EncoderModel") -> Any:
    import transformers

    torch.manual_seed(11)
    config = transformers.T5Config if name.startswith("T5") else transformers.UMT5Config
    return getattr(transformers, name)(
        config(vocab_size=_VOCABULARY, d_model=32, d_kv=8, d_ff=37, num_layers=1, num_heads=4, pad_token_id=0)
    ).eval()


def language_model(name: str, layers: int = 2) -> Any:
    """A decoder that reads the prompt, 32 wide."""
    import transformers

    torch.manual_seed(12)
    cls = getattr(transformers, name)
    config = cls.config_class(
        vocab_size=_VOCABULARY,
        hidden_size=32,
        intermediate_size=37,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=1024,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=1,
    )
    return cls(config).eval()


def flow(**extra: Any) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(shift=3.0, **extra)


def flow_vae(**extra: Any) -> Any:
    return tiny.vae(shift_factor=0.05, scaling_factor=1.5, **extra)


def sd2(folder: Path) -> Path:
    """Stable Diffusion 2: v-prediction, linear projections, a wider text encoder."""
    from diffusers import StableDiffusionPipeline

    return save(
        folder,
        StableDiffusionPipeline(
            vae=tiny.vae(),
            text_encoder=tiny.text_encoder(),
            tokenizer=tiny.make_tokenizer(folder / "tokenizer"),
            unet=tiny.unet(use_linear_projection=True),
            scheduler=tiny.scheduler(prediction_type="v_prediction"),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        ),
    )


def lcm(folder: Path) -> Path:
    from diffusers import LatentConsistencyModelPipeline, LCMScheduler

    return save(
        folder,
        LatentConsistencyModelPipeline(
            vae=tiny.vae(),
            text_encoder=tiny.text_encoder(),
            tokenizer=tiny.make_tokenizer(folder / "tokenizer"),
            unet=tiny.unet(time_cond_proj_dim=32),
            scheduler=LCMScheduler.from_config(tiny.scheduler().config),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        ),
    )


def _pixart(name: str, folder: Path, *, sigma: bool) -> Path:
    import diffusers

    torch.manual_seed(13)
    transformer = diffusers.PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=8,
        num_layers=2,
        cross_attention_dim=16,
        sample_size=16,
        patch_size=2,
        caption_channels=32,
        use_additional_conditions=None if sigma else False,
    )
    return save(
        folder,
        getattr(diffusers, name)(
            tokenizer=byte_tokenizer(),
            text_encoder=t5(),
            vae=tiny.vae(),
            transformer=transformer.eval(),
            scheduler=diffusers.DPMSolverMultistepScheduler.from_config(tiny.scheduler().config),
        ),
    )


def pixart_alpha(folder: Path) -> Path:
    return _pixart("PixArtAlphaPipeline", folder, sigma=False)


def pixart_sigma(folder: Path) -> Path:
    return _pixart("PixArtSigmaPipeline", folder, sigma=True)


def sana(folder: Path) -> Path:
    """Linear attention, and an autoencoder that compresses by more than eight."""
    from diffusers import AutoencoderDC, SanaPipeline, SanaTransformer2DModel

    torch.manual_seed(14)
    transformer = SanaTransformer2DModel(
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        num_attention_heads=2,
        attention_head_dim=4,
        num_cross_attention_heads=2,
        cross_attention_head_dim=4,
        cross_attention_dim=8,
        caption_channels=32,
        sample_size=32,
    )
    vae = AutoencoderDC(
        latent_channels=4,
        attention_head_dim=2,
        encoder_block_types=("ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "EfficientViTBlock"),
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        encoder_qkv_multiscales=((), (5,)),
        decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1),
        downsample_block_type="conv",
        upsample_block_type="interpolate",
        decoder_norm_types="rms_norm",
        decoder_act_fns="silu",
        scaling_factor=0.41407,
    )
    return save(
        folder,
        SanaPipeline(
            tokenizer=byte_tokenizer(),
            text_encoder=language_model("Gemma2Model"),
            vae=vae.eval(),
            transformer=transformer.eval(),
            scheduler=flow(),
        ),
    )


def z_image(folder: Path) -> Path:
    """One stream of text and picture; latents as lists."""
    from diffusers import ZImagePipeline, ZImageTransformer2DModel

    torch.manual_seed(15)
    transformer = ZImageTransformer2DModel(
        in_channels=4,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=32,
        axes_dims=[8, 4, 4],
        axes_lens=[256, 32, 32],
    )
    for name in ("x_pad_token", "cap_pad_token"):  # made empty: training fills them
        torch.nn.init.normal_(getattr(transformer, name))
    return save(
        folder,
        ZImagePipeline(
            scheduler=flow(),
            vae=flow_vae(),
            text_encoder=language_model("Qwen3Model"),
            tokenizer=byte_tokenizer(),
            transformer=transformer.eval(),
        ),
    )


def qwen_image(folder: Path) -> Path:
    """Packed latents of a video autoencoder; guidance under another name."""
    import transformers
    from diffusers import AutoencoderKLQwenImage, QwenImagePipeline, QwenImageTransformer2DModel

    torch.manual_seed(16)
    transformer = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(8, 4, 4),
    )
    vae = AutoencoderKLQwenImage(
        base_dim=24,
        z_dim=4,
        dim_mult=[1, 2, 4],
        num_res_blocks=1,
        temperal_downsample=[False, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    config = transformers.Qwen2_5_VLConfig(
        text_config={
            "vocab_size": _VOCABULARY,
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
        },
    )
    return save(
        folder,
        QwenImagePipeline(
            scheduler=flow(use_dynamic_shifting=True),
            vae=vae.eval(),
            text_encoder=transformers.Qwen2_5_VLForConditionalGeneration(config).eval(),
            tokenizer=byte_tokenizer(),
            transformer=transformer.eval(),
        ),
    )


def lumina2(folder: Path) -> Path:
    from diffusers import Lumina2Pipeline, Lumina2Transformer2DModel

    torch.manual_seed(17)
    transformer = Lumina2Transformer2DModel(
        sample_size=4,
        patch_size=2,
        in_channels=4,
        hidden_size=16,
        num_layers=2,
        num_refiner_layers=1,
        num_attention_heads=2,
        num_kv_heads=1,
        multiple_of=16,
        axes_dim_rope=(4, 2, 2),
        axes_lens=(512, 64, 64),
        cap_feat_dim=32,
    )
    return save(
        folder,
        Lumina2Pipeline(
            transformer=transformer.eval(),
            scheduler=flow(),
            vae=flow_vae(widths=_EIGHTFOLD),
            text_encoder=language_model("Gemma2Model"),
            tokenizer=byte_tokenizer(),
        ),
    )


def auraflow(folder: Path) -> Path:
    from diffusers import AuraFlowPipeline, AuraFlowTransformer2DModel

    torch.manual_seed(18)
    transformer = AuraFlowTransformer2DModel(
        sample_size=32,
        patch_size=2,
        in_channels=4,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=32,
        caption_projection_dim=32,
        pos_embed_max_size=256,
    )
    return save(
        folder,
        AuraFlowPipeline(
            tokenizer=byte_tokenizer(),
            text_encoder=t5("UMT5EncoderModel"),
            vae=tiny.vae(),
            transformer=transformer.eval(),
            scheduler=flow(),
        ),
    )


def cogview4(folder: Path) -> Path:
    from diffusers import CogView4Pipeline, CogView4Transformer2DModel

    torch.manual_seed(19)
    transformer = CogView4Transformer2DModel(
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=4,
        num_attention_heads=4,
        text_embed_dim=32,
        time_embed_dim=8,
        condition_dim=4,
        rope_axes_dim=(8, 8),
    )
    return save(
        folder,
        CogView4Pipeline(
            tokenizer=byte_tokenizer(),
            text_encoder=language_model("GlmModel"),
            vae=tiny.vae(widths=_EIGHTFOLD),
            transformer=transformer.eval(),
            scheduler=flow(base_shift=0.25, max_shift=0.75, use_dynamic_shifting=True, time_shift_type="linear"),
        ),
    )


def hunyuan_dit(folder: Path) -> Path:
    """Two text encoders, BERT and T5, and sizes that are binned."""
    import transformers
    from diffusers import DDPMScheduler, HunyuanDiT2DModel, HunyuanDiTPipeline

    torch.manual_seed(20)
    transformer = HunyuanDiT2DModel(
        sample_size=16,
        num_layers=2,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=3,
        in_channels=4,
        cross_attention_dim=32,
        cross_attention_dim_t5=32,
        pooled_projection_dim=16,
        hidden_size=24,
    )
    bert = transformers.BertConfig(
        vocab_size=_VOCABULARY,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=37,
    )
    return save(
        folder,
        HunyuanDiTPipeline(
            vae=tiny.vae(widths=_EIGHTFOLD),
            text_encoder=transformers.BertModel(bert).eval(),
            tokenizer=byte_tokenizer(),
            transformer=transformer.eval(),
            scheduler=DDPMScheduler.from_config(tiny.scheduler(prediction_type="v_prediction").config),
            text_encoder_2=t5(),
            tokenizer_2=byte_tokenizer(),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        ),
    )


def chroma(folder: Path) -> Path:
    """FLUX without a pooled text, with real negative prompts."""
    from diffusers import ChromaPipeline, ChromaTransformer2DModel

    torch.manual_seed(21)
    transformer = ChromaTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        axes_dims_rope=(4, 4, 8),
        approximator_hidden_dim=32,
        approximator_layers=1,
        approximator_num_channels=16,
    )
    return save(
        folder,
        ChromaPipeline(
            scheduler=flow(),
            vae=flow_vae(),
            text_encoder=t5(),
            tokenizer=byte_tokenizer(),
            transformer=transformer.eval(),
        ),
    )


def _movq(widths: tuple[int, ...] = (32, 64)) -> Any:
    from diffusers import VQModel

    torch.manual_seed(22)
    return VQModel(
        block_out_channels=widths,
        down_block_types=(*("DownEncoderBlock2D",) * (len(widths) - 1), "AttnDownEncoderBlock2D"),
        up_block_types=("AttnUpDecoderBlock2D", *("UpDecoderBlock2D",) * (len(widths) - 1)),
        norm_num_groups=8,
        norm_type="spatial",
        num_vq_embeddings=12,
        vq_embed_dim=4,
        latent_channels=4,
    ).eval()


def _vision(width: int = 32) -> Any:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(23)
    config = CLIPVisionConfig(
        hidden_size=width,
        image_size=32,
        projection_dim=width,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=1,
        patch_size=8,
    )
    return CLIPVisionModelWithProjection(config).eval()


def kandinsky22(folder: Path) -> Path:
    """A prior that makes an image embedding, and a decoder that draws from it."""
    import diffusers
    from transformers import CLIPImageProcessor

    torch.manual_seed(24)
    unet = diffusers.UNet2DConditionModel(
        in_channels=4,
        out_channels=8,
        addition_embed_type="image",
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        block_out_channels=(32, 64),
        layers_per_block=1,
        encoder_hid_dim=32,
        encoder_hid_dim_type="image_proj",
        cross_attention_dim=16,
        attention_head_dim=4,
        resnet_time_scale_shift="scale_shift",
        class_embed_type=None,
    )
    prior = diffusers.PriorTransformer(
        num_attention_heads=2, attention_head_dim=12, embedding_dim=32, num_layers=1, num_embeddings=77
    )
    return save(
        folder,
        diffusers.KandinskyV22CombinedPipeline(
            unet=unet.eval(),
            scheduler=diffusers.DDIMScheduler(prediction_type="epsilon", clip_sample=False, beta_schedule="linear"),
            movq=_movq(),
            prior_prior=prior.eval(),
            prior_image_encoder=_vision(),
            prior_text_encoder=tiny.text_encoder("CLIPTextModelWithProjection"),
            prior_tokenizer=tiny.make_tokenizer(folder / "prior_tokenizer"),
            prior_scheduler=diffusers.UnCLIPScheduler(variance_type="fixed_small_log", prediction_type="sample"),
            prior_image_processor=CLIPImageProcessor(size=32, crop_size=32),
        ),
    )


def kandinsky3(folder: Path) -> Path:
    import diffusers

    torch.manual_seed(25)
    unet = diffusers.Kandinsky3UNet(
        in_channels=4,
        time_embedding_dim=4,
        groups=2,
        attention_head_dim=4,
        layers_per_block=3,
        block_out_channels=(32, 64),
        cross_attention_dim=4,
        encoder_hid_dim=32,
    )
    return save(
        folder,
        diffusers.Kandinsky3Pipeline(
            tokenizer=byte_tokenizer(),
            text_encoder=t5(),
            unet=unet.eval(),
            scheduler=diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2", clip_sample=False),
            movq=_movq((32, 32, 32, 32)),
        ),
    )


def _cascade_unet(**extra: Any) -> Any:
    from diffusers.models import StableCascadeUNet

    settings: dict[str, Any] = {
        "conditioning_dim": 16,
        "block_out_channels": (16, 32),
        "num_attention_heads": (4, 4),
        "down_num_layers_per_block": (1, 1),
        "up_num_layers_per_block": (1, 1),
        "clip_text_pooled_in_channels": 32,
        "switch_level": (False,),
        "clip_seq": 4,
    }
    return StableCascadeUNet(**{**settings, **extra}).eval()


def stable_cascade(folder: Path) -> Path:
    """Three stages; its VQGAN lives in a module that moved."""
    import diffusers
    from diffusers.pipelines.deprecated.wuerstchen import PaellaVQModel

    torch.manual_seed(26)
    prior = _cascade_unet(clip_text_in_channels=32, clip_image_in_channels=32, dropout=(0.1, 0.1))
    decoder = _cascade_unet(
        in_channels=4, out_channels=4, patch_size=2, effnet_in_channels=16, pixel_mapper_in_channels=3
    )
    text = tiny.text_encoder("CLIPTextModelWithProjection")
    return save(
        folder,
        diffusers.StableCascadeCombinedPipeline(
            tokenizer=tiny.make_tokenizer(folder / "tokenizer"),
            text_encoder=text,
            decoder=decoder,
            scheduler=diffusers.DDPMWuerstchenScheduler(),
            vqgan=PaellaVQModel(bottleneck_blocks=1, num_vq_embeddings=2).eval(),
            prior_prior=prior,
            prior_text_encoder=text,
            prior_tokenizer=tiny.make_tokenizer(folder / "prior_tokenizer"),
            prior_scheduler=diffusers.DDPMWuerstchenScheduler(),
        ),
    )


FAMILIES: dict[str, Callable[[Path], Path]] = {
    "sd2": sd2,
    "lcm": lcm,
    "pixart_alpha": pixart_alpha,
    "pixart_sigma": pixart_sigma,
    "sana": sana,
    "z_image": z_image,
    "qwen_image": qwen_image,
    "lumina2": lumina2,
    "auraflow": auraflow,
    "cogview4": cogview4,
    "hunyuan_dit": hunyuan_dit,
    "chroma": chroma,
    "kandinsky22": kandinsky22,
    "kandinsky3": kandinsky3,
    "stable_cascade": stable_cascade,
}
"""Beside those of ``tiny_models`` (SD 1.x, SDXL, SD3, FLUX)."""


def make(family: str, folder: Path) -> Path:
    prepare()
    return FAMILIES[family](folder)
