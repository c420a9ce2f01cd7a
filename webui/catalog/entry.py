"""What the catalog says of one model: read by forms and routes in the web process, and by the worker that loads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Format = Literal["diffusers", "single_file", "hub"]

PICKLE_ENDINGS = (".ckpt", ".pt", ".pth", ".bin", ".pkl")
KINDS: Mapping[str, str] = {
    "text_to_image": "text-to-image model",
    "image_to_image": "image-to-image model",
    "inpaint": "inpainting model",
    "video": "video model",
    "lora": "LoRA",
    "vae": "VAE",
    "controlnet": "ControlNet",
    "embedding": "embedding",
    "t2i_adapter": "T2I-Adapter",
    "ip_adapter": "IP-Adapter",
    "image_encoder": "image encoder",
    "annotator": "network for depth or pose",
    "upscaler": "upscaler",
    "gan": "GAN or VAE",
    "vqgan": "VQGAN or VQ-VAE",
    "unet": "denoiser without its text encoder and VAE",
    "text_encoder": "text encoder",
    "judge": "judge of pictures",
    "pickled": "model file that PyTorch pickled",
    "unknown": "file of an unknown kind",
}
"""The kinds this room tells apart, with words for messages. Extensions may add others."""


@dataclass(frozen=True)
class ModelEntry:
    """One model on disk (or a hub id). An entry with a ``problem`` is listed and never loaded."""

    ref: str
    """Unique and lasting: the path below its models folder, with forward slashes. ``2:...`` marks the second models
    folder's.
    """
    title: str
    kind: str
    format: Format
    path: Path | None
    """None for a hub id."""
    family: str = ""
    """Such as sd1, sd2, sdxl, sdxl_refiner, sd3, flux; empty where unknown."""
    variant: str = ""
    """``v_prediction`` where the weights say so, ``v_prediction_zsnr`` with a schedule that ends in pure noise."""
    lacks: tuple[str, ...] = ()
    """What a single file does not hold and a model of its family needs: it must lie elsewhere in the models folders."""
    size_bytes: int = 0
    sha256: str = ""
    """Of the weights; empty until ``Catalog.hashed`` has read them once."""
    tensors_sha256: str = ""
    """Of a safetensors file without its table (kohya's ``sshs_model_hash``); AutoV3 is its first 12 characters."""
    old_hash: str = ""
    """The 8 characters that A1111 showed once (AutoV1)."""
    recommended: Mapping[str, Any] = field(default_factory=dict)
    """Parameter values that suit it: width, height, guidance_scale, steps ..."""
    examples: tuple[Mapping[str, Any], ...] = ()
    """Parameter sets to offer someone who has not begun."""
    tokenizer: Path | None = None
    """Folder of the tokenizer its prompts go through."""
    problem: str = ""
    """Why it cannot be used."""

    @property
    def usable(self) -> bool:
        return not self.problem

    def is_a(self, kind: str) -> bool:
        """Whether it is of ``kind``, or one of several; of ``pickled``, what PyTorch saved, whatever it is beside that;
        of the empty kind, anything.
        """
        pickled = self.path is not None and self.path.suffix.lower() in PICKLE_ENDINGS
        wanted = kinds_of(kind)
        return not wanted or self.kind in wanted or (pickled and "pickled" in wanted)

    @property
    def short_hash(self) -> str:
        """What A1111 and others show (AutoV2)."""
        return self.sha256[:10]

    @property
    def auto_v3(self) -> str:
        """What others call a LoRA by."""
        return self.tensors_sha256[:12]

    def has_hash(self, text: str) -> bool:
        """Whether one of its hashes begins with ``text``, in lower case."""
        return any(found.startswith(text) for found in (self.sha256, self.tensors_sha256, self.old_hash))


def kinds_of(kind: str) -> tuple[str, ...]:
    """The kinds that a parameter takes: one, or several as ``text_to_image|inpaint``, the preferred one first."""
    return tuple(kind.split("|")) if kind else ()


def kind_words(kind: str) -> str:
    """``kind`` for a sentence."""
    return " or ".join(KINDS.get(one, one.replace("_", " ")) for one in kinds_of(kind))
