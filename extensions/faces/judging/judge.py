"""A feature network of the application over faces: how alike two are, and what it reads in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from webui.api import Context, FieldError, ParameterError, PromptJudge

from .wishes import wish_of, wish_read


@dataclass(frozen=True)
class Read:
    """One picture as a network reads it: features float32 [D], head -> log probabilities float32 [values]."""

    features: Tensor
    heads: Mapping[str, Tensor]


@dataclass(frozen=True)
class Wanted:
    """A value that a head should tell."""

    head: str
    value: str
    index: int


def read_all(context: Context, network: str, pictures: Sequence[Image.Image]) -> tuple[list[Read], Mapping[str, Any]]:
    """What a network reads in each picture, and its heads with their values. Raises NotFound, ModelError."""
    extractor = context.feature_extractor(network)
    prepared = np.stack([extractor.prepare(picture.convert("RGB")) for picture in pictures])
    with context.models.lease({"network": extractor.component}) as parts, torch.no_grad():
        told = extractor.read(parts["network"], torch.from_numpy(prepared).to(context.device))
    logits = {head: told[head].float().cpu().log_softmax(1) for head in extractor.heads}
    features = told["features"].float().cpu()
    return [Read(features[i], {h: v[i] for h, v in logits.items()}) for i in range(len(pictures))], extractor.heads


def wish_in(context: Context, network: str, words: str) -> str:
    """``head=value`` that an instruction asks for, as far as this network tells it; empty where it does not."""
    extractor = context.feature_extractor(network)
    found = wish_of(words, extractor.heads)
    if found or not isinstance(extractor, PromptJudge) or words.isascii():
        return found
    request = extractor.asked(words)
    return wish_read(words, request.named, extractor.heads) if request is not None else ""


def likeness(a: Read, b: Read) -> float:
    """The cosine of the angle between two pictures' features, -1..1."""
    return float(torch.nn.functional.cosine_similarity(a.features, b.features, dim=0))


def wanted_value(text: str, heads: Mapping[str, Sequence[str]]) -> Wanted | None:
    """``head=value``, the head with or without what stands before its dot; None for an empty text.

    Raises ParameterError that names what there is.
    """
    if not text.strip():
        return None
    head, _, value = (part.strip() for part in text.partition("="))
    full = [name for name in heads if head in (name, name.rpartition(".")[2])]
    if len(full) != 1:
        known = ", ".join(heads)
        raise ParameterError([FieldError("attribute", f"expected head=value with a head of {known}; got {head!r}")])
    values = list(heads[full[0]])
    if value not in values:
        raise ParameterError(
            [FieldError("attribute", f"expected {full[0]}= one of {', '.join(values)}; got {value!r}")]
        )
    return Wanted(full[0], value, values.index(value))


SURE = 0.8
"""From which probability on a judge counts as sure of what it read before."""


@dataclass(frozen=True, order=True)
class Verdict:
    """What a judge says of one candidate; the better one is the greater one."""

    reached: bool
    """It reads what was wanted."""
    kept: int
    """How many of the other heads that it was sure of before tell the same, less all of them: 0 at best."""
    score: float
    """Between candidates that are alike in both: see ``score``."""

    @property
    def good(self) -> bool:
        """Nothing is left to wish for."""
        return self.reached and self.kept == 0


def judged(before: Read, after: Read, wanted: Wanted | None) -> Verdict:
    """How good a candidate is. Without a wish nothing is reached, and likeness alone counts."""
    reached = wanted is not None and int(after.heads[wanted.head].argmax()) == wanted.index
    return Verdict(reached, -len(lost_heads(before, after, wanted)), score(before, after, wanted))


def score(before: Read, after: Read, wanted: Wanted | None) -> float:
    """The log probability of what was wanted, the mean log probability of what the network was sure of before in every
    other head, and likeness. Without a wish: likeness alone.
    """
    alike = likeness(before, after)
    if wanted is None:
        return alike
    kept = [float(after.heads[head][int(before.heads[head].argmax())]) for head in _sure_heads(before, wanted)]
    return float(after.heads[wanted.head][wanted.index]) + (sum(kept) / len(kept) if kept else 0.0) + alike


def lost_heads(before: Read, after: Read, wanted: Wanted | None) -> list[str]:
    """The other heads that the network was sure of before and reads otherwise now; none without a wish."""
    if wanted is None:
        return []
    sure = _sure_heads(before, wanted)
    return [head for head in sure if int(before.heads[head].argmax()) != int(after.heads[head].argmax())]


def _sure_heads(before: Read, wanted: Wanted) -> list[str]:
    """Of the same domain as what is wanted."""
    domain = wanted.head.partition(".")[0]
    return [
        head
        for head, row in before.heads.items()
        if head != wanted.head and head.partition(".")[0] in (domain, head) and float(row.max().exp()) >= SURE
    ]


def told_values(read: Read, heads: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Head -> the value that is likeliest."""
    return {head: str(heads[head][int(row.argmax())]) for head, row in read.heads.items()}


def compared(before: Read, after: Read, heads: Mapping[str, Sequence[str]], wanted: Wanted | None) -> dict[str, Any]:
    """Numbers to show beside a result."""
    row: dict[str, Any] = {"likeness": round(likeness(before, after), 4)}
    if wanted is not None:
        row["wanted"] = f"{wanted.head}={wanted.value}"
        row["wanted_probability"] = round(float(after.heads[wanted.head][wanted.index].exp()), 4)
        row["wanted_probability_before"] = round(float(before.heads[wanted.head][wanted.index].exp()), 4)
    told = told_values(before, heads), told_values(after, heads)
    domain = None if wanted is None else wanted.head.partition(".")[0]
    changed = {
        head: f"{told[0][head]} -> {told[1][head]}"
        for head in told[0]
        if told[0][head] != told[1][head] and (domain is None or head.partition(".")[0] in (domain, head))
    }
    row["read_otherwise"] = changed
    return row
