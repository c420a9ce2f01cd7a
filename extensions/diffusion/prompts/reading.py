"""Answers the page while a person types a prompt: how many tokens it takes, and what is to be said of which place."""

from __future__ import annotations

from collections.abc import Iterable

from webui.api import PromptQuestion, PromptReading, PromptRemark

from . import wildcards
from .chunks import chunks
from .grammar import Prompt, parse
from .program import timeline
from .remarks import Remark
from .words import Words

SYNTAX = "diffusion.prompt"

_IN_CHUNKS = ("", "sd1", "sd2", "sdxl", "sdxl_refiner")
"""Families whose text encoders are given long prompts in chunks; it is what is assumed of one that is not known."""
_STEPS = 20
_REMARKS_MAX = 50


def read(question: PromptQuestion) -> PromptReading:
    """What a prompt is. Of what changes between steps, the longest counts; of wildcards, the lines of that seed."""
    files = wildcards.Wildcards(question.folders(wildcards.FOLDER))
    found = wildcards.find(question.text)
    remarks = [wildcards.missing(one) for one in found if not files.lines(one.name)]
    remarks += parse(question.text, negative=question.negative).remarks
    drawn, _ = wildcards.Draw(files, question.seed).expand(question.text)
    counts = _counts(parse(drawn, negative=question.negative), question)
    return PromptReading(counts, _told(remarks), exact=not found)


def _counts(prompt: Prompt, question: PromptQuestion) -> tuple[int, ...]:
    if question.family not in _IN_CHUNKS:
        words = Words(prompt, prompt)
        return (len(question.tokenize(words.plain_prompt)),)
    known: dict[str, list[int]] = {}

    def tokenize(text: str) -> list[int]:
        if text not in known:
            known[text] = list(question.tokenize(text))
        return known[text]

    comma = question.token(",</w>")
    bodies = {body for part in prompt.parts for _, body in timeline(part, _STEPS)}
    counts = [tuple(len(chunk.tokens) for chunk in chunks(body, tokenize, comma, question.limit)) for body in bodies]
    return max(counts, key=lambda one: (len(one), sum(one)))


def _told(remarks: Iterable[Remark]) -> tuple[PromptRemark, ...]:
    rows = sorted(remarks, key=lambda row: (row.start, row.end))[:_REMARKS_MAX]
    return tuple(PromptRemark(row.start, row.end, row.message, row.values, row.error) for row in rows)
