"""VQ-VAE (van den Oord et al. 2017): pictures <-> maps of codes, through the nearest vectors of a codebook."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Quantized:
    """``values`` [N,D,H,W] of the codebook, with the gradient of what was quantized; ``codes`` int64 [N,H,W]; the two
    terms of the loss.
    """

    values: Tensor
    codes: Tensor
    codebook_loss: Tensor
    commitment_loss: Tensor


class VectorQuantizer(nn.Module):
    """z [N,D,H,W] -> its nearest codes (section 3.1 of the paper)."""

    def __init__(self, codes: int, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(codes, dim)
        nn.init.uniform_(self.embedding.weight, -1 / codes, 1 / codes)

    def nearest(self, z: Tensor) -> Tensor:
        """int64 [N,H,W]."""
        flat = z.permute(0, 2, 3, 1).flatten(0, 2)
        table = self.embedding.weight
        # |z - e|^2 without |z|^2, which is the same for all e.
        distances = table.square().sum(1)[None] - 2 * flat @ table.t()
        return distances.argmin(1).view(z.shape[0], *z.shape[2:])

    def lookup(self, codes: Tensor) -> Tensor:
        """int64 [N,H,W] -> [N,D,H,W]."""
        return self.embedding(codes).permute(0, 3, 1, 2)

    def forward(self, z: Tensor) -> Quantized:
        codes = self.nearest(z)
        values = self.lookup(codes)
        return Quantized(
            values=z + (values - z).detach(),  # straight through: the gradient of the values goes to z
            codes=codes,
            codebook_loss=functional.mse_loss(values, z.detach()),
            commitment_loss=functional.mse_loss(z, values.detach()),
        )


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width // 2, 3, padding=1)
        self.conv2 = nn.Conv2d(width // 2, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(functional.relu(self.conv1(functional.relu(x))))


class VQVAE(nn.Module):
    """float32 [N,3,R,R] in -1..1 <-> codes int64 [N,R/4,R/4]: two strided convolutions and two residual blocks a
    side (section 4.1).
    """

    def __init__(self, resolution: int = 64, *, width: int = 128, codes: int = 512, code_dim: int = 64) -> None:
        super().__init__()
        self.resolution, self.codes, self.side = resolution, codes, resolution // 4
        self.encoder = nn.Sequential(
            nn.Conv2d(3, width // 2, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(width // 2, width, 4, 2, 1),
            _Residual(width),
            _Residual(width),
            nn.ReLU(),
            nn.Conv2d(width, code_dim, 1),
        )
        self.quantize = VectorQuantizer(codes, code_dim)
        self.decoder = nn.Sequential(
            nn.Conv2d(code_dim, width, 3, padding=1),
            _Residual(width),
            _Residual(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width // 2, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(width // 2, 3, 4, 2, 1),
        )

    def encode(self, images: Tensor) -> Tensor:
        """Codes int64 [N,R/4,R/4]."""
        codes: Tensor = self.quantize.nearest(self.encoder(images))
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """float32 [N,3,R,R] in about -1..1."""
        images: Tensor = self.decoder(self.quantize.lookup(codes))
        return images

    def forward(self, images: Tensor) -> tuple[Tensor, Quantized]:
        """Reconstruction and what the loss needs."""
        quantized = self.quantize(self.encoder(images))
        return self.decoder(quantized.values), quantized


def total_loss(images: Tensor, made: Tensor, quantized: Quantized, beta: float = 0.25) -> Tensor:
    """Reconstruction, codebook and commitment (equation 3)."""
    return functional.mse_loss(made, images) + quantized.codebook_loss + beta * quantized.commitment_loss


def perplexity(codes: Tensor, count: int) -> Tensor:
    """How many codes are in use: exp of the entropy of their frequencies."""
    frequencies = torch.bincount(codes.flatten(), minlength=count).float() / codes.numel()
    return torch.exp(-(frequencies * (frequencies + 1e-10).log()).sum())
