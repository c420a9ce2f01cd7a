"""VQGAN (Esser, Rombach, Ommer 2021): pictures <-> maps of codes, through diffusers' VQModel."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .vqvae import Quantized


def vq_model_class() -> Any:
    """diffusers' ``VQModel``, imported without what is not used here: torchao, and xformers where there is no CUDA,
    which would tell of it on a page of warnings.
    """
    unused = ("torchao",) if torch.cuda.is_available() else ("torchao", "xformers")
    hidden = [name for name in unused if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # None: as if it were not installed
    try:
        from diffusers import VQModel
    finally:
        for name in hidden:
            del sys.modules[name]
    return VQModel


class VQGAN(nn.Module):
    """float32 [N,3,R,R] in -1..1 <-> codes int64 [N,side,side]. ``model`` is a diffusers ``VQModel``."""

    def __init__(
        self,
        resolution: int = 256,
        *,
        widths: Sequence[int] = (128, 128, 256, 256, 512),
        layers: int = 2,
        latent_channels: int = 256,
        codes: int = 1024,
        code_dim: int = 256,
        attention: Sequence[int] = (-1,),
        groups: int = 32,
    ) -> None:
        """``attention``: the levels of both sides that attend, -1 the lowest, beside that in the middle."""
        super().__init__()
        make = vq_model_class()
        attending = {level % len(widths) for level in attention}
        marks = ["Attn" if level in attending else "" for level in range(len(widths))]
        self.resolution, self.codes, self.side = resolution, codes, resolution // 2 ** (len(widths) - 1)
        self.model = make(
            down_block_types=tuple(f"{mark}DownEncoderBlock2D" for mark in marks),
            up_block_types=tuple(f"{mark}UpDecoderBlock2D" for mark in reversed(marks)),
            block_out_channels=tuple(widths),
            layers_per_block=layers,
            latent_channels=latent_channels,
            num_vq_embeddings=codes,
            vq_embed_dim=code_dim,
            norm_num_groups=groups,
        )

    def encode(self, images: Tensor) -> Tensor:
        """Codes int64 [N,side,side]."""
        return self._nearest(self.model.encode(images).latents)

    def decode(self, codes: Tensor) -> Tensor:
        """float32 [N,3,R,R] in about -1..1."""
        return self._decoded(self._lookup(codes))

    def forward(self, images: Tensor) -> tuple[Tensor, Quantized]:
        """Reconstruction and what the loss needs."""
        z = self.model.encode(images).latents
        codes = self._nearest(z)
        values = self._lookup(codes)
        quantized = Quantized(
            values=z + (values - z).detach(),
            codes=codes,
            codebook_loss=functional.mse_loss(values, z.detach()),
            commitment_loss=functional.mse_loss(z, values.detach()),
        )
        return self._decoded(quantized.values), quantized

    def _nearest(self, z: Tensor) -> Tensor:
        return self.model.quantize(z)[2][2].view(z.shape[0], *z.shape[2:])

    def _lookup(self, codes: Tensor) -> Tensor:
        return self.model.quantize.embedding(codes).permute(0, 3, 1, 2).contiguous()

    def _decoded(self, values: Tensor) -> Tensor:
        return self.model.decode(values, force_not_quantize=True).sample
