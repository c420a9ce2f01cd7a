"""An autoencoder of codes with the prior that draws them: from a condition, or from half a picture, to pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from .prior import Prior, sample_codes
from .vqgan import VQGAN
from .vqvae import VQVAE

ConditionKind = Literal["none", "class", "text"]


@dataclass(frozen=True)
class Conditioning:
    """The tokens in front of the codes: one that begins (``none``), one of a class, or the UTF-8 bytes of a text."""

    kind: ConditionKind = "none"
    classes: int = 0
    offset: int = 0
    """The number of the first such token: behind the codes in our own files, 0 in the published ones."""
    length: int = 1
    """Tokens of the condition: more than 1 for texts alone."""

    @property
    def tokens(self) -> int:
        """Vocabulary that it needs beside the codes: 256 bytes and the end, classes, or the beginning."""
        return {"none": 1, "class": self.classes, "text": 257}[self.kind]

    def of_text(self, text: str) -> list[int]:
        """Cut off at the length, filled up with the end."""
        raw = [*text.encode("utf-8")[: self.length]]
        return [self.offset + value for value in raw + [256] * (self.length - len(raw))]


class CodeModel(nn.Module):
    """``autoencoder`` and ``prior`` of one model; without a prior pictures are only reconstructed."""

    def __init__(self, autoencoder: VQGAN | VQVAE, prior: Prior | None, conditioning: Conditioning) -> None:
        super().__init__()
        self.autoencoder, self.prior, self.conditioning = autoencoder, prior, conditioning
        self.resolution, self.side = autoencoder.resolution, autoencoder.side
        self.c_dim = conditioning.classes if conditioning.kind == "class" else 0
        if prior is not None and prior.length < conditioning.length + self.side**2 - 1:
            raise ValueError(f"the prior reads {prior.length} tokens, a picture has {self.side**2} codes")

    def condition(self, count: int, *, label: int = 0, text: str = "") -> Tensor:
        """int64 [count,C] on the model's device."""
        device = next(self.parameters()).device
        kind, offset = self.conditioning.kind, self.conditioning.offset
        row = self.conditioning.of_text(text) if kind == "text" else [offset + (label if kind == "class" else 0)]
        return torch.tensor([row] * count, device=device)

    def sample(
        self,
        condition: Tensor,
        generators: Sequence[torch.Generator],
        *,
        known: Tensor | None = None,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Tensor:
        """Codes int64 [N,side,side], the first of them ``known`` int64 [N,K] in reading order."""
        if self.prior is None:
            raise ValueError("this model has no prior to draw codes with")
        if known is None:
            known = condition.new_zeros((condition.shape[0], 0))
        count = self.side**2
        codes = sample_codes(
            self.prior,
            condition,
            known,
            count,
            self.autoencoder.codes,
            generators,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            progress=progress,
        )
        return codes.view(-1, self.side, self.side)
