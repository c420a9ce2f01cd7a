"""The Transformer prior over codes (Esser, Rombach, Ommer 2021, section 3.2): from a condition to a sequence of codes.

Parameters are named as in the published weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Cache:
    """Keys and values of what was read already: per block [N,heads,T,d]."""

    def __init__(self) -> None:
        self.rows: list[tuple[Tensor, Tensor]] = []

    @property
    def length(self) -> int:
        """How many tokens it holds."""
        return self.rows[0][0].shape[2] if self.rows else 0

    def extended(self, place: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values of block ``place``, the new ones last."""
        if place < len(self.rows):
            before = self.rows[place]
            keys, values = torch.cat([before[0], keys], 2), torch.cat([before[1], values], 2)
            self.rows[place] = (keys, values)
        else:
            self.rows.append((keys, values))
        return keys, values


class CausalAttention(nn.Module):
    """x [N,T,D] -> [N,T,D]: each token attends to itself and those before it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.key = nn.Linear(width, width)
        self.query = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, cache: Cache | None, place: int) -> Tensor:
        q, k, v = (
            part(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        if cache is not None:
            k, v = cache.extended(place, k, v)
        if q.shape[2] == k.shape[2]:
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] > 1)
        else:
            new, all_ = q.shape[2], k.shape[2]
            mask = torch.ones(new, all_, dtype=torch.bool, device=x.device).tril(all_ - new)
            y = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out: Tensor = self.proj(y.transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """A pre-normalized Transformer block: x [N,T,D] -> [N,T,D]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(width)
        self.ln2 = nn.LayerNorm(width)
        self.attn = CausalAttention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, cache: Cache | None, place: int) -> Tensor:
        x = x + self.attn(self.ln1(x), cache, place)
        return x + self.mlp(self.ln2(x))


class Prior(nn.Module):
    """tokens int64 [N,T] -> logits [N,T,vocabulary]."""

    def __init__(self, vocabulary: int, length: int, *, width: int = 256, blocks: int = 6, heads: int = 8) -> None:
        """``length``: the most tokens it reads, condition and codes together."""
        super().__init__()
        self.vocabulary, self.length = vocabulary, length
        self.tok_emb = nn.Embedding(vocabulary, width)
        self.pos_emb = nn.Parameter(torch.zeros(1, length, width))
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(blocks)])
        self.ln_f = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.apply(_initialize)

    def forward(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """With a ``cache``, ``tokens`` are those that follow what it holds. Raises ValueError beyond the length."""
        past = cache.length if cache is not None else 0
        last = past + tokens.shape[1]
        if last > self.length:
            raise ValueError(f"prior: expected at most {self.length} tokens, got {last}")
        x = self.tok_emb(tokens) + self.pos_emb[:, past:last]
        for place, block in enumerate(self.blocks):
            x = block(x, cache, place)
        logits: Tensor = self.head(self.ln_f(x))
        return logits


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, 0.0, 0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def filtered(logits: Tensor, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Tensor:
    """Logits [N,V] over ``temperature``, -inf beyond the ``top_k`` likeliest (0: all) and beyond the fewest whose
    probability reaches ``top_p`` (nucleus sampling, Holtzman et al. 2020).
    """
    if temperature <= 0:
        raise ValueError(f"temperature: expected more than 0, got {temperature}")
    logits = logits.float() / temperature
    if 0 < top_k < logits.shape[-1]:
        least = logits.topk(top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if top_p < 1.0:
        ordered, order = logits.sort(dim=-1, descending=True)
        before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
        beyond = before >= top_p
        beyond[:, 0] = False  # the likeliest always stays
        ordered = ordered.masked_fill(beyond, -torch.inf)
        logits = torch.full_like(logits, -torch.inf).scatter(-1, order, ordered)
    return logits


@torch.no_grad()
def sample_codes(
    prior: Prior,
    condition: Tensor,
    known: Tensor,
    count: int,
    codes: int,
    generators: Sequence[torch.Generator],
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    progress: Callable[[int], None] = lambda done: None,
) -> Tensor:
    """Go on from ``condition`` int64 [N,C] and the codes ``known`` int64 [N,K]: int64 [N,count], beginning with those.

    Each row draws from a generator of its own, so that it is the same alone and in a batch. ``codes``: how many of
    the vocabulary are codes; the others are never drawn. ``progress`` hears how many are there.
    """
    cache = Cache()
    logits = prior(torch.cat([condition, known], 1), cache)[:, -1]
    made = [known]
    for place in range(known.shape[1], count):
        kept = filtered(logits[:, :codes], temperature=temperature, top_k=top_k, top_p=top_p).softmax(-1).cpu()
        # By the inverse of the cumulative distribution: one number a token, on every device the same one.
        uniform = torch.stack([torch.rand(1, generator=one) for one in generators])
        cumulative = kept.double().cumsum(-1)
        token = torch.searchsorted(cumulative, uniform.double() * cumulative[:, -1:], right=True)
        token = token.clamp(max=codes - 1).to(condition.device)
        made.append(token)
        progress(place + 1)
        if place + 1 < count:
            logits = prior(token, cache)[:, -1]
    return torch.cat(made, 1)
