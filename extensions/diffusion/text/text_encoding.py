"""From prompts that were read to the embeddings of CLIP text encoders, one per condition and stretch of steps; the
denoiser is given them by ``conditioning.py``.

Needs the tokenizers and text encoders alone, so that they may be leased, and given up, before the denoiser comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from extensions.diffusion.prompts.chunks import Chunk, chunks
from extensions.diffusion.prompts.grammar import Prompt
from extensions.diffusion.prompts.program import Body, timeline

from .inversion import Embeddings, Table, put_in

_MARKS = 2
"""Tokens of a chunk that are no text: start and end."""
_MOST_SCALE = 10.0
"""Weights that cancel out leave a mean near zero or of the other sign: a mean is not restored by more than this, up or
down, nor by turning signs.
"""


@dataclass(frozen=True)
class Encoded:
    """One text as the denoiser takes it."""

    embeds: torch.Tensor
    """[1, 77 times the chunks, channels] in the text encoder's dtype."""
    pooled: torch.Tensor | None = None
    """[1, channels], of SDXL's second encoder."""


@dataclass(frozen=True)
class Condition:
    """One condition of a composition: what counts from which step on, beginning with step 0."""

    weight: float
    stretches: tuple[tuple[int, Encoded], ...]

    def at(self, step: int) -> Encoded:
        return next(encoded for first, encoded in reversed(self.stretches) if first <= step)


@dataclass(frozen=True)
class Conditions:
    """All that the denoiser is told by words in ``steps`` steps."""

    positive: tuple[Condition, ...]
    negative: Condition
    steps: int
    blank: Encoded
    """The text encoders' answer to nothing, which shorter texts are completed with where lengths must be equal."""

    @property
    def simple(self) -> bool:
        """Whether one text and one negative text of the same length hold from the first step to the last."""
        rows = (*self.positive, self.negative)
        lengths = {encoded.embeds.shape[1] for row in rows for _, encoded in row.stretches}
        single = len(self.positive) == 1 and self.positive[0].weight == 1.0
        return single and len(lengths) == 1 and all(len(row.stretches) == 1 for row in rows)


def can_encode(components: Mapping[str, Any]) -> bool:
    """Whether these components are those of a Stable Diffusion or SDXL: CLIP's text encoders before a UNet."""
    names = [name for name in ("text_encoder", "text_encoder_2") if components.get(name) is not None]
    return bool(names) and all(
        type(components[name]).__name__ in ("CLIPTextModel", "CLIPTextModelWithProjection")
        and components.get(name.replace("text_encoder", "tokenizer")) is not None
        for name in names
    )


class ClipEncoders:
    """The text encoders of one model, with what they were asked already."""

    def __init__(self, components: Mapping[str, Any], clip_skip: int = 1, embeddings: Embeddings | None = None) -> None:
        """``components``: ``tokenizer`` and ``text_encoder``, and SDXL's ``tokenizer_2`` and ``text_encoder_2``.

        ``clip_skip`` counts from the last layer, which is 1. SDXL was trained on the one before: 1 and 2 are the same
        there. ``embeddings``: those whose names may stand in a text.
        """
        double = components.get("text_encoder_2") is not None
        layer = max(2, clip_skip) if double else clip_skip
        names = [name for name in ("text_encoder", "text_encoder_2") if components.get(name) is not None]
        widths = {name: int(components[name].config.hidden_size) for name in names}
        table = Table(embeddings, widths) if embeddings is not None else None
        self._encoders = [
            _Encoder(
                components[name.replace("text_encoder", "tokenizer")],
                components[name],
                layer,
                last_norm=not double,
                read=partial(table.tokens, encoder=name) if table is not None else None,
                rows=partial(table.rows, encoder=name) if table is not None else None,
            )
            for name in names
        ]
        self._known: dict[Body, Encoded] = {}

    def encode(self, body: Body) -> Encoded:
        """A step's text. The pooled embedding is that of the first chunk, without weights."""
        if body not in self._known:
            parts, pooled = [], None
            for encoder in self._encoders:
                embeds, seen = encoder.encode(body)
                parts.append(embeds)
                pooled = seen if pooled is None else pooled
            dtype = self._encoders[-1].dtype
            self._known[body] = Encoded(_side_by_side(parts).to(dtype), pooled)
        return self._known[body]

    def conditions(self, prompt: Prompt, negative: Prompt, steps: int, *, zero_blank: bool = False) -> Conditions:
        """The embeddings of a prompt and its negative. ``zero_blank``: a blank negative is zeros, as SDXL's base was
        trained with.
        """
        blank = self.encode(((),))
        positive = tuple(
            Condition(part.weight, tuple((first, self.encode(body)) for first, body in timeline(part, steps)))
            for part in prompt.parts
        )
        (part,) = negative.parts
        if zero_blank and not negative.text.strip():
            like = positive[0].stretches[0][1]
            pooled = None if like.pooled is None else torch.zeros_like(like.pooled)
            against = Condition(1.0, ((0, Encoded(torch.zeros_like(like.embeds), pooled)),))
        else:
            against = Condition(1.0, tuple((first, self.encode(body)) for first, body in timeline(part, steps)))
        return Conditions(positive, against, steps, blank)


class _Encoder:
    def __init__(
        self,
        tokenizer: Any,
        model: Any,
        layer: int,
        *,
        last_norm: bool,
        read: Callable[..., Sequence[int]] | None = None,
        rows: Callable[[Sequence[int]], Mapping[int, torch.Tensor]] | None = None,
    ) -> None:
        """``read(text, tokenize=...)`` gives the tokens of a text where names of embeddings may stand in it;
        ``rows(tokens)`` what stands in the place of those that are none.
        """
        self._read, self._rows = read, rows
        self._tokenizer = tokenizer
        self._model = model
        self._layer = min(layer, int(model.config.num_hidden_layers))
        self._last_norm = last_norm
        longest = min(int(tokenizer.model_max_length), int(model.config.max_position_embeddings))
        self._length = longest - _MARKS
        comma = tokenizer.convert_tokens_to_ids(",</w>")
        self._blank = next(token for token in range(3) if token not in (tokenizer.bos_token_id, tokenizer.eos_token_id))
        self._comma = None if comma in (None, tokenizer.unk_token_id) else int(comma)

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self._model.dtype
        return dtype

    def encode(self, body: Body) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Embeddings [1, length, channels], and the first chunk's pooled ones [1, channels] where there are."""
        made = [self._encode_chunk(chunk) for chunk in chunks(body, self._tokens, self._comma, self._length)]
        return torch.cat([embeds for embeds, _ in made], dim=1), made[0][1]

    def _tokens(self, text: str) -> Sequence[int]:
        return self._words(text) if self._read is None else self._read(text, tokenize=self._words)

    def _words(self, text: str) -> Sequence[int]:
        tokens: list[int] = self._tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)[
            "input_ids"
        ]
        return tokens

    @torch.no_grad()
    def _encode_chunk(self, chunk: Chunk) -> tuple[torch.Tensor, torch.Tensor | None]:
        tokenizer, model = self._tokenizer, self._model
        text = [tokenizer.bos_token_id, *chunk.tokens, tokenizer.eos_token_id]
        padding = self._length + _MARKS - len(text)
        rows = self._rows(text) if self._rows is not None else {}
        if rows:  # any token but those by which the encoder finds the end
            text = [self._blank if place in rows else token for place, token in enumerate(text)]
        ids = torch.tensor([[*text, *[tokenizer.pad_token_id] * padding]], device=model.device)
        mask = None
        if getattr(model.config, "use_attention_mask", False):
            mask = torch.tensor([[*[1] * len(text), *[0] * padding]], device=model.device)
        with put_in(model, rows):
            answer = model(ids, attention_mask=mask, output_hidden_states=True)
        pooled = answer[0] if answer[0].ndim == 2 else None
        if self._last_norm and self._layer == 1:
            embeds = answer.last_hidden_state
        else:
            embeds = answer.hidden_states[-self._layer]
            if self._last_norm:
                norm = getattr(model, "text_model", model).final_layer_norm
                # Of a model that is on the device block by block, this part may lie elsewhere by now.
                embeds = norm(embeds.to(norm.weight.device)).to(embeds.device)
        if chunk.weighted:
            embeds = emphasized(embeds, [1.0, *chunk.weights, *[1.0] * (padding + 1)])
        return embeds, pooled


def emphasized(embeds: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """``embeds`` [1, length, channels] with each token's embedding multiplied by its weight, and all of them by what
    restores their mean. Same dtype.
    """
    wide = embeds.float()
    mean = wide.mean()
    wide = wide * torch.tensor(weights, dtype=torch.float32, device=embeds.device)[None, :, None]
    scale = mean / wide.mean()
    if 1 / _MOST_SCALE < float(scale) < _MOST_SCALE:
        wide = wide * scale
    return wide.to(embeds.dtype)


def _side_by_side(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Two encoders' embeddings joined by channels; where one reads fewer chunks than the other, zeros complete it."""
    length = max(part.shape[1] for part in parts)
    filled = [torch.nn.functional.pad(part, (0, 0, 0, length - part.shape[1])) for part in parts]
    return torch.cat(filled, dim=-1)
