"""The names of tensors by which kinds of models are known, as a table: first what a file must hold, then what it is.

Denoisers are told apart by the keys that diffusers' single-file loader looks at, upscalers by those of spandrel's
architectures.
"""

from __future__ import annotations

from dataclasses import dataclass

from .headers import Header


@dataclass(frozen=True)
class Mark:
    """A file that has a tensor beginning with each of ``keys`` is a ``kind`` of ``family``."""

    kind: str
    family: str
    keys: tuple[str, ...]


PREFIXES = ("", "model.diffusion_model.", "net.")
"""Before a denoiser's own names."""

DENOISERS = (
    Mark("text_to_image", "flux2", ("single_stream_modulation.lin.weight",)),
    Mark("text_to_image", "chroma", ("distilled_guidance_layer.in_proj.",)),
    Mark("text_to_image", "hunyuan_video", ("txt_in.individual_token_refiner.blocks.0.",)),
    Mark("text_to_image", "flux", ("double_blocks.0.img_attn.", "single_blocks.0.")),
    Mark("text_to_image", "flux", ("double_blocks.0.img_attn.qkv.weight",)),
    Mark("text_to_image", "sd3", ("joint_blocks.0.context_block.",)),
    Mark("text_to_image", "zimage", ("layers.0.adaLN_modulation.0.weight", "cap_embedder.")),
    Mark("text_to_image", "lumina2", ("cap_embedder.0.weight", "layers.0.attention.qkv.", "x_embedder.weight")),
    Mark("text_to_image", "qwenimage", ("transformer_blocks.0.img_mod.1.weight", "txt_norm.weight")),
    Mark("text_to_image", "sana", ("blocks.0.cross_attn.q_linear.weight", "blocks.0.mlp.inverted_conv.")),
    Mark("text_to_image", "pixart", ("blocks.0.cross_attn.q_linear.weight", "y_embedder.y_proj.")),
    Mark("text_to_image", "pixart", ("adaln_single.linear.weight", "caption_projection.linear_1.weight")),
    Mark("text_to_image", "auraflow", ("double_layers.0.attn.w2q.weight", "cond_seq_linear.weight")),
    Mark("text_to_image", "hidream", ("double_stream_blocks.0.block.",)),
    Mark("text_to_image", "stable_cascade", ("clip_txt_mapper.weight",)),
    Mark("text_to_image", "krea2", ("txtfusion.projector.weight",)),
    Mark("video", "ltx", ("patchify_proj.weight", "transformer_blocks.0.scale_shift_table")),
    Mark("video", "mochi", ("blocks.0.attn.qkv_x.weight",)),
    Mark("video", "wan", ("head.modulation", "blocks.0.self_attn.q.weight")),
    Mark("video", "cosmos", ("x_embedder.proj.1.weight",)),
)
WHOLES = (
    Mark("t2i_adapter", "", ("adapter.body.0.resnets.0.block1.",)),
    Mark("t2i_adapter", "", ("body.0.in_conv.", "conv_in.weight", "body.0.block1.")),
    Mark("t2i_adapter", "", ("conv_in.weight", "body.0.block1.weight", "body.0.block2.weight")),
    Mark("t2i_adapter", "", ("body.0.in_conv.", "body.0.out_conv.", "body.0.body.0.block1.")),
    Mark("image_encoder", "", ("vision_model.encoder.layers.0.", "visual_projection.weight")),
    Mark("image_encoder", "", ("vision_model.encoder.layers.0.", "vision_model.head.probe")),
    Mark("image_encoder", "", ("encoder.layers.0.layer_norm1.", "head.probe")),
    Mark("ip_adapter", "", ("ip_adapter_proj_model.", "double_blocks.0.processor.ip_adapter_double_stream_k_proj.")),
    Mark("ip_adapter", "", ("redux_up.weight", "redux_down.weight")),
    Mark("ip_adapter", "", ("ip_adapter.1.to_k_ip.weight",)),
    Mark("ip_adapter", "", ("image_proj.", "ip_adapter.")),
    Mark("gan", "stylegan2_rosinality", ("g_ema.style.1.weight", "g_ema.convs.0.")),
    Mark("gan", "stylegan3", ("G_ema.synthesis.input.", "G_ema.mapping.fc0.")),
    Mark("gan", "stylegan2", ("G_ema.synthesis.b4.", "G_ema.mapping.fc0.")),
    Mark("gan", "biggan_deep", ("generator.gen_z.", "embeddings.weight")),
    Mark("gan", "dcgan", ("main.0.weight", "main.1.running_mean", "main.3.weight", "main.4.running_mean")),
    Mark("vqgan", "taming_prior", ("transformer.tok_emb.weight", "first_stage_model.quantize.embedding.weight")),
    Mark("vqgan", "taming", ("quantize.embedding.weight", "loss.", "encoder.down.0.block.0.norm1.weight")),
    Mark("vae", "wan", ("decoder.middle.0.residual.0.gamma",)),
    Mark("vae", "dc", ("encoder.project_in.conv.bias",)),
    Mark("upscaler", "gfpgan", ("stylegan_decoder.style_mlp.1.weight", "toRGB.0.weight")),
    Mark("upscaler", "restoreformer", ("quantize.embedding.weight", "encoder.down.0.block.0.norm1.weight")),
    Mark("vqgan", "diffusers", ("quantize.embedding.weight", "encoder.conv_in.weight", "quant_conv.weight")),
)
UPSCALERS = (
    Mark("upscaler", "mmrealsr", ("conv_first.weight", "am_list.0.fc.0.weight")),
    Mark("upscaler", "esrgan", ("model.0.weight", "model.1.sub.0.RDB1.conv1")),
    Mark("upscaler", "esrgan", ("conv_first.weight", "body.0.rdb1.conv1.weight", "conv_last.weight")),
    Mark("upscaler", "esrgan", ("conv_first.weight", "RRDB_trunk.0.RDB1.conv1.weight")),
    Mark("upscaler", "atd", ("conv_first.weight", "layers.0.residual_group.td")),
    Mark("upscaler", "hat", ("conv_first.weight", "layers.0.residual_group.blocks.0.conv_block.cab.0.weight")),
    Mark("upscaler", "swinir", ("conv_first.", "layers.0.residual_group.blocks.0.norm1.weight")),
    Mark("upscaler", "drct", ("conv_first.weight", "layers.0.swin1.")),
    Mark("upscaler", "craft", ("conv_first.weight", "layers.0.residual_group.hf_blocks.0.attn.temperature")),
    Mark("upscaler", "grl", ("conv_first.weight", "layers.0.blocks.0.attn.window_attn.")),
    Mark("upscaler", "rgt", ("conv_first.weight", "before_RG.1.weight", "layers.0.blocks.0.gamma")),
    Mark("upscaler", "dat", ("conv_first.weight", "before_RG.1.weight", "layers.0.blocks.0.ffn.fc1.weight")),
    Mark("upscaler", "fdat", ("conv_first.", "groups.0.blocks.0.inter.cg.1.weight")),
    Mark("upscaler", "span", ("conv_1.sk.weight", "block_1.c1_r.")),
    Mark("upscaler", "seemore", ("conv_1.weight", "body.0.local_block.")),
    Mark("upscaler", "plksr", ("feats.0.weight", "feats.1.lk.")),
    Mark("upscaler", "mosr", ("gblocks.0.weight", "gblocks.1.fc1.weight")),
    Mark("upscaler", "moesr", ("in_to_dim.weight", "blocks.0.blocks.0.gamma")),
    Mark("upscaler", "omnisr", ("residual_layer.0.residual_layer.0.layer.0.fn.0.weight", "up.0.weight")),
    Mark("upscaler", "safmn", ("to_feat.", "to_img.0.weight")),
    Mark("upscaler", "realcugan", ("unet1.conv1.conv.0.weight", "unet2.conv1.conv.0.weight")),
    Mark("upscaler", "rcan", ("tail.1.weight", "body.0.body.0.body.3.conv_du.0.weight")),
    Mark("upscaler", "ditn", ("sft.weight", "UFONE.0.ITLs.0.attn.temperature")),
    Mark("upscaler", "dctlsa", ("fea_conv.weight", "B1.body.0.transformer_body.")),
    Mark("upscaler", "aurasr", ("mid_attn.layers.0.0.to_out.weight", "final_res_block.block1.proj.weights")),
    Mark("upscaler", "swift_srgan", ("initial.cnn.depthwise.weight", "final_conv.pointwise.weight")),
    Mark("upscaler", "ipt", ("sub_mean.weight", "body.encoder.layers.0.self_attn.in_proj_weight")),
    Mark("upscaler", "fbcnn", ("m_head.weight", "qf_pred.0.res.0.weight")),
    Mark("upscaler", "drunet", ("m_head.weight", "m_down1.0.res.0.weight", "m_tail.weight")),
    Mark("upscaler", "scunet", ("m_head.0.weight", "m_tail.0.weight")),
    Mark("upscaler", "lama", ("model.model.1.bn_l.running_mean",)),
    Mark("upscaler", "lama", ("generator.model.1.bn_l.running_mean",)),
    Mark("upscaler", "nafnet", ("intro.weight", "middle_blks.0.beta", "ending.weight")),
    Mark("upscaler", "kbnet", ("intro.weight", "middle_blks.0.w", "ending.weight")),
    Mark("upscaler", "uformer", ("input_proj.proj.0.weight", "encoderlayer_0.blocks.0.norm1.weight")),
    Mark("upscaler", "retinexformer", ("body.0.estimator.conv1.weight", "body.0.denoiser.embedding.weight")),
    Mark("upscaler", "fftformer", ("patch_embed.proj.weight", "encoder_level1.0.ffn.fft")),
    Mark("upscaler", "mixdehazenet", ("patch_embed.proj.weight", "layer1.blocks.0.conv3_19.weight")),
    Mark("upscaler", "hvicidnet", ("HVE_block0.1.weight", "HVD_block0.1.weight")),
    Mark("upscaler", "dncnn", ("model.0.weight", "model.2.weight", "model.4.weight", "model.6.weight")),
    Mark("upscaler", "compact", ("body.0.weight", "body.1.weight", "body.2.weight")),
)
UPSCALER_PREFIXES = ("", "params_ema.", "params.", "module.", "model.", "net.")
"""What training programs put before an upscaler's own names."""


def match(header: Header, marks: tuple[Mark, ...], prefixes: tuple[str, ...] = ("",)) -> Mark | None:
    """The first of ``marks`` that ``header`` has all keys of, under one of ``prefixes``."""
    for mark in marks:
        for prefix in prefixes:
            if all(header.has(prefix + key) for key in mark.keys):
                return mark
    return None
