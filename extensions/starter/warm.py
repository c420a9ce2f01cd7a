"""Before a stage's first step: bundled weights -> a new network, as far as the two fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from .config import TrainingConfig

WEIGHTS = "diffusion_pytorch_model.safetensors"


@dataclass(frozen=True)
class Copied:
    """How much of a network was begun from other weights: numbers of parameters."""

    whole: int
    partly: int
    new: int


@torch.no_grad()
def copy_fitting(module: nn.Module, source: Mapping[str, Tensor]) -> Copied:
    """Copy every tensor whose name is the same; where a shape differs, the corner that both have.

    What lies outside that corner keeps its initial values. Tensors of another number of axes count as new.
    """
    whole = partly = new = 0
    for name, target in module.state_dict().items():
        old = source.get(name)
        if old is None or old.ndim != target.ndim:
            new += target.numel()
            continue
        corner = tuple(slice(0, min(a, b)) for a, b in zip(target.shape, old.shape, strict=True))
        target[corner] = old[corner].to(target)
        shared = target[corner].numel()
        whole += shared if old.shape == target.shape else 0
        partly += shared if old.shape != target.shape else 0
        new += target.numel() - shared
    return Copied(whole, partly, new)


@torch.no_grad()
def copy_text_encoder(text: CLIPTextModel, tokenizer: CLIPTokenizer, folder: Path) -> Copied:
    """Begin a text encoder from `folder`/text_encoder: a token's embedding goes where the new vocabulary has it."""
    source = load_file(folder / "text_encoder" / "model.safetensors")
    name = next(n for n in source if n.endswith("token_embedding.weight"))
    rows = source.pop(name)
    old = CLIPTokenizer.from_pretrained(str(folder / "tokenizer"), local_files_only=True).get_vocab()
    copied = copy_fitting(text, {**source, **_renamed(source, text)})
    target = text.get_input_embeddings().weight
    width = min(target.shape[1], rows.shape[1])
    known = [(new_id, old[token]) for token, new_id in tokenizer.get_vocab().items() if token in old]
    into, out_of = (torch.tensor(ids) for ids in zip(*known, strict=True))
    target[into, :width] = rows[out_of, :width].to(target)
    return Copied(copied.whole, copied.partly + len(known) * width, copied.new - len(known) * width)


def _renamed(source: Mapping[str, Tensor], text: CLIPTextModel) -> dict[str, Tensor]:
    """The same tensors with or without the prefix `text_model.`, which differs between versions of transformers."""
    prefix = "text_model."
    wanted = next(iter(text.state_dict())).startswith(prefix)
    return {n if n.startswith(prefix) == wanted else prefix + n if wanted else n.removeprefix(prefix): t
            for n, t in source.items()}  # fmt: skip


def weights_at(folder: Path, name: str = WEIGHTS) -> dict[str, Tensor]:
    """The tensors of one component's folder. Raises FileNotFoundError that names what is missing."""
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(f"weights to start from: there is no {path}; set `start` to a folder that has it")
    return load_file(path)


def warm_start(
    module: nn.Module, config: TrainingConfig, component: str, *, file: str = WEIGHTS, optional: bool = False
) -> Copied | None:
    """Begin from `component` (such as avatar/unet) of the configuration's start folder; None where it names none.

    `optional`: begin untrained where the start folder lacks the component.
    """
    if config.start_folder is None:
        return None
    folder = config.start_folder / component
    if optional and not (folder / file).is_file():
        return None
    return copy_fitting(module, weights_at(folder, file))
