"""Between two rows of a UNet's batch: the attention of the first is handed over to the last, as prompt-to-prompt has it
(Hertz et al. 2022, "Prompt-to-Prompt Image Editing with Cross Attention Control", algorithm 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class Handing:
    """What is handed over at the step that runs. The batch's first row is the source, its last one the target; rows
    between keep their own attention.
    """

    def __init__(self, matrix: Tensor, kept: Tensor, factors: Tensor) -> None:
        """``matrix`` float32 [source tokens, target tokens], ``kept`` and ``factors`` float32 [target tokens]."""
        self.matrix, self.kept, self.factors = matrix, kept, factors
        self.cross = False
        """Whether words' attention is handed over."""
        self.own = False
        """Whether places' attention to one another is."""

    def exchanged(self, scores: Tensor, heads: int, crossing: bool) -> Tensor:
        """Attention [rows * heads, queries, keys] -> the same shape."""
        rows = scores.unflatten(0, (-1, heads))
        if rows.shape[0] < 2:
            return scores
        source, target = rows[0], rows[-1]
        if crossing:
            if self.cross:
                kept = self.kept.to(scores)
                target = (source @ self.matrix.to(scores)) * kept + target * (1 - kept)
            target = target * self.factors.to(scores)
        elif self.own:
            target = source
        return torch.cat([rows[:-1], target[None]]).flatten(0, 1)


class _Processor:
    """Attention computed in the open: what attends to what is seen and may be changed."""

    def __init__(self, handing: Handing) -> None:
        self.handing = handing

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        crossing, entered = encoder_hidden_states is not None, hidden_states
        shape = hidden_states.shape
        if hidden_states.ndim == 4:
            hidden_states = hidden_states.flatten(2).transpose(1, 2)
        if attn.spatial_norm is not None:
            hidden_states = attn.spatial_norm(hidden_states, temb)
        if attn.group_norm is not None:
            hidden_states = attn.group_norm(hidden_states.transpose(1, 2)).transpose(1, 2)
        told = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        if encoder_hidden_states is not None and attn.norm_cross:
            told = attn.norm_encoder_hidden_states(told)
        query, key, value = attn.to_q(hidden_states), attn.to_k(told), attn.to_v(told)
        query, key, value = (attn.head_to_batch_dim(one) for one in (query, key, value))
        scores = attn.get_attention_scores(query, key, attention_mask)
        scores = self.handing.exchanged(scores, attn.heads, crossing)
        made: Tensor = attn.batch_to_head_dim(scores @ value)
        made = attn.to_out[1](attn.to_out[0](made))
        if entered.ndim == 4:
            made = made.transpose(1, 2).reshape(shape)
        if attn.residual_connection:
            made = made + entered
        return made / attn.rescale_output_factor


@contextmanager
def handed(unet: Any, handing: Handing) -> Iterator[None]:
    """Within, ``unet`` hands attention over. It must be leased exclusively."""
    before = dict(unet.attn_processors)
    try:
        unet.set_attn_processor({name: _Processor(handing) for name in before})
        yield
    finally:
        unet.set_attn_processor(before)
