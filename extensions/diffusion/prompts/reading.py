"""Answers the page while a person types a prompt: how many tokens it takes, and what is to be said of which place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from webui.api import PromptQuestion, PromptReading, PromptRemark, ResolvedModel

from . import embeddings, wildcards
from .chunks import chunks
from .grammar import Prompt, parse
from .program import Kind, timeline
from .remarks import Remark
from .words import Words

SYNTAX = "diffusion.prompt"

_IN_CHUNKS = ("", "sd1", "sd2", "sdxl", "sdxl_refiner")
"""Families whose text encoders are given long prompts in chunks; it is what is assumed of one that is not known."""
_AND = re.compile(r"\bAND\b")
_STEPS = 20
_REMARKS_MAX = 50


def read(question: PromptQuestion) -> PromptReading:
    """What a prompt is. Of what changes between steps, the longest counts; of wildcards, the lines of that seed."""
    files = wildcards.Wildcards(question.folders(wildcards.FOLDER))
    found = wildcards.find(question.text)
    remarks = [wildcards.missing(one) for one in found if not files.lines(one.name)]
    remarks += parse(question.text, negative=question.negative).remarks
    models = {path.stem: model for model in question.models(embeddings.KIND) if (path := model.path) is not None}
    names = embeddings.Names(models)
    plain = question.family not in _IN_CHUNKS
    for named in names.find(question.text):
        remarks += _said_of(named, models.get(named.name), question.family)
    if plain:
        remarks += _left_out(question.text, parse(question.text, negative=question.negative))
    drawn, _ = wildcards.Draw(files, question.seed).expand(question.text)
    counts = _counts(parse(drawn, negative=question.negative), question, names, models)
    return PromptReading(counts, _told(remarks), exact=not found)


def _said_of(named: embeddings.Named, model: ResolvedModel | None, family: str) -> list[Remark]:
    """What is to be said of an embedding's name in a prompt for a model of ``family``."""
    if model is None:
        return [embeddings.missing(named)]
    if not family or not model.family or model.family == family:
        return []
    words = "The embedding {name} was made for another family of models ({family})."
    end = named.start + len(named.text)
    return [Remark(named.start, end, words, {"name": named.name, "family": model.family})]


def _left_out(text: str, prompt: Prompt) -> list[Remark]:
    """What a family leaves out whose text encoders are not CLIP's alone, each at its first place."""
    ops = [op for part in prompt.parts for op in part.ops]
    found = []
    weight = next((op.start for op in ops if op.kind is Kind.OPEN and op.factor != 1.0), None)
    if weight is not None:
        found.append(Remark(weight, weight + 1, "Models of this family read plain text: weights are left out."))
    broken = next((op.start for op in ops if op.kind is Kind.BREAK), None)
    if broken is not None:
        found.append(Remark(broken, broken + 5, "Models of this family read plain text: BREAK is left out."))
    if "AND" in prompt.features:
        place = _AND.search(text)
        start, end = place.span() if place is not None else (0, len(text))
        found.append(Remark(start, end, "Models of this family read plain text: AND joins the texts to one."))
    return found


def _counts(
    prompt: Prompt, question: PromptQuestion, names: embeddings.Names, models: Mapping[str, ResolvedModel]
) -> tuple[int, ...]:
    if question.family not in _IN_CHUNKS:
        words = Words(prompt, prompt)
        return (len(question.tokenize(words.plain_prompt)),)
    known: dict[str, list[int]] = {}
    numbers = embeddings.Numbers()

    def tokenize(text: str) -> list[int]:
        if text not in known:
            known[text] = [token for piece in names.pieces(text) for token in of_piece(piece)]
        return known[text]

    def of_piece(piece: str | embeddings.Named) -> Sequence[int]:
        if isinstance(piece, str):
            return question.tokenize(piece)
        model = models.get(piece.name)
        if model is None or model.path is None:
            return ()
        return numbers.of(piece.name, min(embeddings.vector_count(question.shapes(model.path)), embeddings.VECTORS_MAX))

    comma = question.token(",</w>")
    bodies = {body for part in prompt.parts for _, body in timeline(part, _STEPS)}
    counts = [tuple(len(chunk.tokens) for chunk in chunks(body, tokenize, comma, question.limit)) for body in bodies]
    return max(counts, key=lambda one: (len(one), sum(one)))


def _told(remarks: Iterable[Remark]) -> tuple[PromptRemark, ...]:
    rows = sorted(remarks, key=lambda row: (row.start, row.end))[:_REMARKS_MAX]
    return tuple(PromptRemark(row.start, row.end, row.message, row.values, row.error) for row in rows)
