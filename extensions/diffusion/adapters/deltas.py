"""What the layers of a network file make of a weight matrix: LoRA, LoHa, LoKr, full differences, (IA)^3, norms, OFT and
BOFT, each with or without weight decomposition (DoRA). Plain mathematics on tensors, without a model.

Formulas: Yeh et al. 2024, "Navigating Text-To-Image Customization: From LyCORIS Fine-Tuning to Model Evaluation",
section 3 and appendix A; Hyeon-Woo et al. 2022, "FedPara" (LoHa, its proposition 3 for convolutions); Liu et al. 2022,
"(IA)^3", section 3.3; Qiu et al. 2023, "OFT", section 3; Liu et al. 2024, "BOFT", section 4; Liu et al. 2024, "DoRA",
equation 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch

Tensors = Mapping[str, torch.Tensor]
"""What follows a layer's name in the file -> tensor."""

KINDS: Mapping[str, tuple[str, ...]] = {
    "loha": ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"),
    "lokr": ("lokr_w1", "lokr_w1_a", "lokr_w2", "lokr_w2_a"),
    "oft": ("oft_blocks", "oft_diag"),
    "ia3": ("on_input",),
    "norm": ("w_norm", "b_norm"),
    "full": ("diff", "diff_b"),
    "lora": ("lora_down.weight", "lora_A.weight", "lora.down.weight", "lora_A.default.weight"),
}
"""By which tensor each is known, in the order asked."""
BEYOND_LORA = (
    ".hada_w1_a", ".lokr_w1", ".lokr_w1_a", ".oft_blocks", ".oft_diag", ".on_input", ".w_norm", ".diff", ".dora_scale",
    ".lora_mid.weight",
)  # fmt: skip
"""Ends of names that a file has whose layers are not all plain LoRA."""

_DOWN = ("lora_down.weight", "lora_A.weight", "lora.down.weight", "lora_A.default.weight")
_UP = ("lora_up.weight", "lora_B.weight", "lora.up.weight", "lora_B.default.weight")
_MAGNITUDES = ("dora_scale", "lora_magnitude_vector", "lora_magnitude_vector.default.weight")


class Unknown(Exception):
    """The tensors of a layer are of no kind that is known here."""


@dataclass(frozen=True)
class Delta:
    """What one layer of a file adds to a weight."""

    tensors: Tensors

    @cached_property
    def kind(self) -> str:
        """Of ``KINDS``. Raises Unknown."""
        found = next((name for name, marks in KINDS.items() if any(mark in self.tensors for mark in marks)), None)
        if found is None:
            raise Unknown(", ".join(sorted(self.tensors)[:4]))
        return found

    def of_weight(self, weight: torch.Tensor, rows: slice | None = None) -> torch.Tensor:
        """float32, of ``weight``'s shape: what is added to it at full strength. ``rows``: of a layer that was one when
        the network was trained, ``weight`` holds these rows. Raises Unknown, RuntimeError where shapes do not fit.
        """
        base = weight.float()
        if self.kind == "ia3":
            return base * self._scales(base, rows)
        if self.kind == "oft":
            return self._rotated(base, rows) - base
        added = self._added(weight.device)
        if rows is not None:
            added = added[rows]
        added = added.reshape(base.shape)
        magnitude = next((self.tensors[name] for name in _MAGNITUDES if name in self.tensors), None)
        return added if magnitude is None else _decomposed(base + added, magnitude.to(base), rows) - base

    def of_bias(self, rows: slice | None = None) -> torch.Tensor | None:
        """What is added to the bias; None for nothing."""
        found = next((self.tensors[name] for name in ("diff_b", "b_norm") if name in self.tensors), None)
        return found if found is None or rows is None else found[rows]

    @property
    def has_weight(self) -> bool:
        """Whether it changes more than the bias."""
        return any(name not in ("diff_b", "b_norm", "alpha") for name in self.tensors)

    def _added(self, device: torch.device) -> torch.Tensor:
        if self.kind in ("full", "norm"):
            return self._read("diff" if self.kind == "full" else "w_norm", device)
        if self.kind == "loha":
            return self._loha(device)
        return self._lokr(device) if self.kind == "lokr" else self._lora(device)

    def _read(self, name: str, device: torch.device) -> torch.Tensor:
        return self.tensors[name].to(device=device, dtype=torch.float32)

    def _scale(self, rank: int) -> float:
        """alpha / rank; 1 without an alpha."""
        alpha = self.tensors.get("alpha")
        return float(alpha) / rank if alpha is not None and rank else 1.0

    def _lora(self, device: torch.device) -> torch.Tensor:
        down = self._read(next(name for name in _DOWN if name in self.tensors), device)
        up = self._read(next(name for name in _UP if name in self.tensors), device)
        middle = self.tensors.get("lora_mid.weight")
        rank = down.shape[0]
        if middle is not None:
            core = middle.to(device=device, dtype=torch.float32)
            built = torch.einsum("pqhw,op,qi->oihw", core, up.flatten(1), down.flatten(1))
        else:
            built = up.flatten(1) @ down.flatten(1)
        return built * self._scale(rank)

    def _loha(self, device: torch.device) -> torch.Tensor:
        factors = []
        for number in "12":
            left, right = (self._read(f"hada_w{number}_{side}", device) for side in "ab")
            core = self.tensors.get(f"hada_t{number}")
            factors.append(_tucker(core.to(left), left, right) if core is not None else left @ right)
        return factors[0] * factors[1] * self._scale(self.tensors["hada_w1_b"].shape[0])

    def _lokr(self, device: torch.device) -> torch.Tensor:
        """A Kronecker product; scaled by alpha where one of its factors has a rank."""
        rank, factors = 0, []
        for number in "12":
            if f"lokr_w{number}" in self.tensors:
                factors.append(self._read(f"lokr_w{number}", device))
                continue
            left, right = (self._read(f"lokr_w{number}_{side}", device) for side in "ab")
            rank = right.shape[0]
            core = self.tensors.get(f"lokr_t{number}")
            factors.append(_tucker(core.to(left), left, right) if core is not None else left @ right)
        first, second = factors
        first = first.reshape(*first.shape, *[1] * (second.ndim - first.ndim))
        return torch.kron(first, second.contiguous()) * self._scale(rank)

    def _scales(self, base: torch.Tensor, rows: slice | None) -> torch.Tensor:
        values = self.tensors["weight"].to(base).flatten()
        if bool(self.tensors["on_input"]):
            return values.reshape(1, -1, *[1] * (base.ndim - 2))
        return (values if rows is None else values[rows]).reshape(-1, *[1] * (base.ndim - 1))

    def _rotated(self, base: torch.Tensor, rows: slice | None) -> torch.Tensor:
        blocks = self.tensors.get("oft_blocks", self.tensors.get("oft_diag"))
        assert blocks is not None
        blocks = blocks.to(base)
        whole = base.shape[0] if rows is None else blocks.shape[-3] * blocks.shape[-1]
        if rows is not None:
            size = blocks.shape[-1]
            if blocks.ndim != 3 or rows.start % size or rows.stop % size:
                raise RuntimeError("its rotations reach over layers that are apart in this model")
            blocks = blocks[rows.start // size : rows.stop // size]
        rotation = self._cayley(blocks, whole)
        if blocks.ndim == 4:
            turned = _butterfly(rotation, base)
        else:
            count, size = blocks.shape[:2]
            turned = torch.einsum("knm,kn...->km...", rotation, base.reshape(count, size, *base.shape[1:]))
            turned = turned.reshape(base.shape)
        rescale = self.tensors.get("rescale")
        if rescale is None:
            return turned
        factor = rescale.to(base).reshape(-1, *[1] * (base.ndim - 1))
        return turned * (factor if rows is None else factor[rows])

    def _cayley(self, blocks: torch.Tensor, width: int) -> torch.Tensor:
        """Orthogonal matrices [..., size, size] from any: (I + Q)(I - Q)^-1, where Q is skew. alpha bounds Q."""
        skew = blocks - blocks.transpose(-1, -2)
        alpha = self.tensors.get("alpha")
        limit = float(alpha) * width if alpha is not None else 0.0
        if limit > 0:
            norm = skew.norm() + 1e-8
            skew = skew * torch.clamp(norm, max=limit) / norm
        one = torch.eye(skew.shape[-1], device=skew.device)
        return (one + skew) @ torch.linalg.inv(one - skew)


def _tucker(core: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """A convolution's kernel [out, in, h, w] from a core [r, r, h, w] and [r, out], [r, in]."""
    return torch.einsum("pqhw,po,qi->oihw", core, left, right)


def _decomposed(weight: torch.Tensor, magnitude: torch.Tensor, rows: slice | None) -> torch.Tensor:
    """``weight`` whose rows, or columns, have the lengths ``magnitude``: by its shape, [1, in] are columns."""
    by_column = magnitude.ndim > 1 and magnitude.shape[0] == 1 and weight.shape[0] != 1
    if by_column:
        if rows is not None:
            raise RuntimeError("its magnitudes reach over layers that are apart in this model")
        axes = tuple(axis for axis in range(weight.ndim) if axis != 1)
        length = torch.linalg.vector_norm(weight, dim=axes, keepdim=True)
        return weight * (magnitude.reshape(length.shape) / length.clamp_min(torch.finfo(torch.float32).eps))
    lengths = magnitude.flatten() if rows is None else magnitude.flatten()[rows]
    length = torch.linalg.vector_norm(weight.flatten(1), dim=1)
    factor = lengths / length.clamp_min(torch.finfo(torch.float32).eps)
    return weight * factor.reshape(-1, *[1] * (weight.ndim - 1))


def _butterfly(rotation: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
    """``base`` turned by every stage [stages, blocks, size, size], the rows shuffled before each and put back."""
    _, _, size, _ = rotation.shape
    rest, width = base.shape[1:], base.shape[0]
    turned = base.reshape(width, -1)
    for stage, blocks in enumerate(rotation):
        stride = 2**stage * (size // 2)
        order = torch.arange(width, device=base.device).reshape(-1, 2, stride).transpose(1, 2).reshape(-1)
        mixed = torch.einsum("bij,bjx->bix", blocks, turned[order].reshape(-1, size, turned.shape[1]))
        turned = torch.empty_like(turned).index_copy(0, order, mixed.reshape(width, -1))
    return turned.reshape(width, *rest)
