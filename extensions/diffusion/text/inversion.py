"""Embeddings (textual inversion): from their files to the rows that stand in a text encoder's input in place of words.

Neither tokenizer nor text encoder is changed: a hook that heeds the present call alone puts the rows in, and goes with
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch

from extensions.diffusion.prompts.embeddings import KIND, VECTORS_MAX, Named, Names, Numbers, missing, tables
from webui.api import Context, ModelError, ModelUse, ResolvedModel

Tokenize = Callable[[str], Sequence[int]]
Rows = Mapping[int, torch.Tensor]
"""Place in a chunk -> vector [channels]."""
_SIDES = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"}

_rows: ContextVar[Rows | None] = ContextVar("rows", default=None)


class Embeddings:
    """The embeddings of one job; each file is read once, when a prompt names it."""

    def __init__(self, context: Context, *, strict: bool = True) -> None:
        """``strict``: whether one that was asked for as such must fit the model; else it is read as a word."""
        self._context = context
        self.strict = strict
        self._models: dict[str, ResolvedModel] | None = None
        self._names: Names | None = None
        self._read: dict[str, dict[str, torch.Tensor]] = {}
        self._said: set[str] = set()
        self.used: dict[str, str] = {}
        """Name -> sha256 of those that stood in a prompt."""

    @property
    def names(self) -> Names:
        if self._names is None:
            self._models = {}
            for model in self._context.models.listed(KIND):
                if model.path is not None:
                    self._models.setdefault(model.path.stem, model)
            self._names = Names(self._models)
        return self._names

    def tables(self, name: str) -> dict[str, torch.Tensor]:
        """Text encoder -> [vectors, channels] float32, as ``prompts.embeddings.tables`` names them. Raises ModelError
        for a file that holds none.
        """
        if name not in self._read:
            assert self._models is not None
            path = self._models[name].path
            assert path is not None
            tensors = self._context.models.open_weights(path)
            found = tables({key: tuple(tensor.shape) for key, tensor in tensors.items()})
            rows = {side: tensors[key].detach().float() for side, key in found.items()}
            rows = {side: table[None] if table.ndim == 1 else table for side, table in rows.items()}
            if not rows or any(table.shape[0] > VECTORS_MAX for table in rows.values()):
                raise ModelError(
                    f"Embedding {name!r} holds no vectors of a layout that is known here.",
                    hint="Files of A1111, diffusers and SDXL's pair of clip_l and clip_g are.",
                )
            self._read[name] = rows
        return self._read[name]

    def use(self, name: str) -> None:
        """Note in the recipe that ``name`` took part."""
        if name in self.used:
            return
        assert self._models is not None
        sha256 = self._context.models.resolve(self._models[name].ref, KIND).sha256
        self.used[name] = sha256
        self._context.use_model(ModelUse(ref=name, sha256=sha256, role=KIND))

    def warn(self, message: str) -> None:
        """Tell it once."""
        if message not in self._said:
            self._said.add(message)
            self._context.warn(message)


class Table:
    """The embeddings of a job as the text encoders of one model take them."""

    def __init__(self, embeddings: Embeddings, widths: Mapping[str, int]) -> None:
        """``widths``: text encoder (``text_encoder``, ``text_encoder_2``) -> channels of its tokens."""
        self._embeddings = embeddings
        self._widths = widths
        self._numbers = Numbers()

    def tokens(self, text: str, encoder: str, tokenize: Tokenize) -> list[int]:
        """The tokens of ``text``, with numbers for vectors in the place of names. Raises ModelError for an embedding
        that was asked for as such and is not this model's; as a mere word such a name is one.
        """
        found: list[int] = []
        for piece in self._embeddings.names.pieces(text):
            if isinstance(piece, str):
                found += tokenize(piece)
            elif not piece.name:
                self._embeddings.warn(str(missing(piece)))
            elif self._fits(piece):
                self._embeddings.use(piece.name)
                found += self._numbers.of(piece.name, len(self._vectors(piece.name, encoder)))
            else:
                found += tokenize(piece.text)
        return found

    def rows(self, tokens: Sequence[int], encoder: str) -> dict[int, torch.Tensor]:
        """Place -> vector, of those of ``tokens`` that are none."""
        named = ((place, self._numbers.vector(token)) for place, token in enumerate(tokens))
        return {place: self._vectors(found[0], encoder)[found[1]] for place, found in named if found is not None}

    def _vectors(self, name: str, encoder: str) -> torch.Tensor:
        found = self._embeddings.tables(name)
        return found.get("" if "" in found else _SIDES[encoder], torch.empty(0))

    def _fits(self, named: Named) -> bool:
        try:
            self._check(named.name)
        except ModelError as error:
            if named.asked and self._embeddings.strict:
                raise
            self._embeddings.warn(f"{error.message} It was read as a word.")
            return False
        return True

    def _check(self, name: str) -> None:
        """Raises ModelError unless every text encoder has its vectors."""
        found = self._embeddings.tables(name)
        single = "" in found
        sides = {encoder: "" if single else _SIDES[encoder] for encoder in self._widths}
        met = {side or "its only text encoder": int(table.shape[1]) for side, table in found.items()}
        wanted = {_SIDES[encoder]: width for encoder, width in self._widths.items()}
        fits = all(
            side in found and found[side].shape[1] == self._widths[encoder] for encoder, side in sides.items()
        ) and not (single and len(self._widths) > 1)
        if not fits:
            raise ModelError(
                f"Embedding {name!r} does not fit this model: it has vectors of {_listed(met)}; "
                f"the model's are of {_listed(wanted)}.",
                hint="Use it with a model of the family that it was trained on.",
            )


def _listed(widths: Mapping[str, int]) -> str:
    return " and ".join(f"{width} channels for {name}" for name, width in widths.items())


@contextmanager
def put_in(model: Any, rows: Rows) -> Iterator[None]:
    """Within, and in this thread alone, the text encoder ``model`` has ``rows`` in the place of the embeddings of its
    tokens.
    """
    if not rows:
        yield
        return
    layer = model.get_input_embeddings()
    hook = layer.register_forward_hook(_replaced)
    token = _rows.set(rows)
    try:
        yield
    finally:
        _rows.reset(token)
        hook.remove()


def _replaced(_module: Any, _args: Any, answer: torch.Tensor) -> torch.Tensor | None:
    rows = _rows.get()
    if rows is None:
        return None
    changed = answer.clone()
    for place, row in rows.items():
        changed[:, place] = row.to(changed)
    return changed
