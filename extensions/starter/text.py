"""Training before the denoiser: captions alone -> a CLIPTextModel that already knows which words settle what.

The attributes behind each caption are known exactly, so the text encoder learns to read in minutes, which the
denoiser's loss alone would teach it slowly, and in part never.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from .config import DenoiserConfig, TrainingConfig
from .data import caption_at, edit_at, label_row, settled_heads, subjects_at
from .loop import Hooks, Stage, save_atomic, step_generator
from .precision import mixed
from .tokens import MAX_LENGTH, load_tokenizer, save_tokenizer
from .warm import copy_text_encoder
from .world import Subject, heads


def build_text_encoder(part: DenoiserConfig, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """An untrained text encoder for this tokenizer."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=part.text_width,
        intermediate_size=part.text_hidden,
        projection_dim=part.text_width,
        num_hidden_layers=part.text_layers,
        num_attention_heads=max(1, part.text_width // 64),
        max_position_embeddings=MAX_LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attention_dropout=0.0,
    )
    return CLIPTextModel(config)


def token_ids(tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    """int64 [N, 77], padded as the pipeline pads."""
    encoded = tokenizer(captions, padding="max_length", truncation=True, max_length=MAX_LENGTH, return_tensors="pt")
    ids: Tensor = encoded.input_ids
    return ids


def train_text_encoder(config: TrainingConfig, folder: Path, hooks: Hooks | None = None) -> CLIPTextModel:
    """Train or go on training on captions and what they settle; writes text.weights.pt and tokenizer to `folder`."""
    part = config.text
    save_tokenizer(folder / "tokenizer")
    tokenizer = load_tokenizer(folder / "tokenizer")
    torch.manual_seed(config.seed + 3)
    text = build_text_encoder(config.denoiser, tokenizer)
    if config.start_folder is not None:
        copy_text_encoder(text, tokenizer, config.start_folder / "avatar")
    text.to(config.device)
    # One class more than the attribute has values: the caption does not say.
    classes = {n: len(v) + 1 for n, v in heads().items()}
    reader = nn.Linear(config.denoiser.text_width, sum(classes.values())).to(config.device)
    stage = Stage(
        "text",
        {"text": text, "reader": reader},
        folder,
        part,
        config,
    )
    stage.resume()

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = step_generator(config.seed, "text", step)
        start = step * part.batch
        subjects = subjects_at(start, part.batch)
        said = [caption_at(s, start + i) for i, s in enumerate(subjects)]
        texts, settles = [c.text for c in said], [c.settles for c in said]
        # The first few are instructions, which settle what they change as it is afterwards.
        for i in range(round(part.instructions * part.batch)):
            asked = edit_at(start + i)
            subjects[i], texts[i], settles[i] = asked.after, asked.instruction, asked.changed
        ids = token_ids(tokenizer, texts)
        ends = (ids == tokenizer.eos_token_id).int().argmax(dim=1)
        # The end token or any pad after it: the UNet looks at all of them.
        places = ends + (torch.rand(len(ids), generator=generator) * (MAX_LENGTH - ends)).long()
        with mixed(config.device):
            states = text(ids.to(config.device))[0]
        chosen = states.float()[torch.arange(len(ids)), places.to(states.device)]
        truth = _truth(subjects, settles).to(chosen.device)
        losses, right = [], []
        for i, logits in enumerate(reader(chosen).split(list(classes.values()), dim=1)):
            losses.append(functional.cross_entropy(logits, truth[:, i]))
            right.append((logits.argmax(1) == truth[:, i]).float().mean())
        return torch.stack(losses).sum(), {"accuracy": float(torch.stack(right).mean())}

    stage.run(loss_at, hooks or Hooks())
    with stage.average:
        save_atomic(text.state_dict(), folder / "text.weights.pt")
    return text


def _truth(subjects: list[Subject], settles: list[frozenset[str]]) -> Tensor:
    """int64 [N, heads]: the value's index where the caption settles it, else the class after the last value."""
    rows = []
    for subject, said in zip(subjects, settles, strict=True):
        settled, row = settled_heads(subject, said), label_row(subject)
        rows.append([row[n] if n in settled else len(values) for n, values in heads().items()])
    return torch.tensor(rows)


def load_text_encoder(config: TrainingConfig, folder: Path, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """The text encoder that the text stage left in `folder`. Raises FileNotFoundError where it was not run."""
    text = build_text_encoder(config.denoiser, tokenizer)
    text.load_state_dict(torch.load(folder / "text.weights.pt", map_location="cpu", weights_only=True))
    return text
