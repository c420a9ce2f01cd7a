"""CLIPScore: embeddings of pictures and of their captions -> how well they fit.

Hessel, Holtzman, Forbes, Le Bras, Choi, "CLIPScore: A Reference-free Evaluation Metric for Image Captioning", EMNLP
2021: 2.5 max(cos, 0), ViT-B/32, captions begin with "A photo depicts".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

WEIGHT, PREFIX = 2.5, "A photo depicts "


def clip_scores(images: Tensor, texts: Tensor) -> Tensor:
    """float [N,D] each, of any norm -> float32 [N] in 0..2.5."""
    if images.shape != texts.shape or images.ndim != 2:
        raise ValueError(f"expected embeddings [N,D] of one shape, got {list(images.shape)} and {list(texts.shape)}")
    return WEIGHT * torch.cosine_similarity(images.float(), texts.float(), dim=1).clamp_min(0)


@dataclass(frozen=True)
class Clip:
    """A CLIP of transformers, with its tokenizer and its way to prepare pictures."""

    model: Any
    tokenizer: Any
    processor: Any

    def prepare(self, picture: Image.Image) -> Tensor:
        """RGB of any size -> float32 [3,S,S]."""
        prepared: Tensor = self.processor(images=picture, return_tensors="pt")["pixel_values"][0]
        return prepared

    def scores(self, images: Tensor, captions: list[str]) -> Tensor:
        """Prepared pictures [N,3,S,S] and N captions -> [N]; what of a caption is too long for CLIP is cut off."""
        device = images.device
        tokens = self.tokenizer(
            [PREFIX + caption for caption in captions], padding=True, truncation=True, return_tensors="pt"
        )
        seen = self.model.get_image_features(pixel_values=images)
        said = self.model.get_text_features(
            input_ids=tokens["input_ids"].to(device), attention_mask=tokens["attention_mask"].to(device)
        )
        return clip_scores(_features(seen), _features(said))


def _features(answer: Any) -> Tensor:
    """transformers 5 answers with an output object whose ``pooler_output`` are the projected features."""
    features: Tensor = answer if isinstance(answer, Tensor) else answer.pooler_output
    return features


def load_clip(folder: Path) -> Clip:
    """From a folder as ``save_pretrained`` writes it; nothing is fetched. Raises OSError, ValueError."""
    from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizerFast

    model = CLIPModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    tokenizer = CLIPTokenizerFast.from_pretrained(folder, local_files_only=True)
    tokenizer.model_max_length = min(tokenizer.model_max_length, model.config.text_config.max_position_embeddings)
    processor = CLIPImageProcessor.from_pretrained(folder, local_files_only=True)
    return Clip(model.eval().requires_grad_(False), tokenizer, processor)
