"""What one picture is told by words: its prompt and negative prompt, read; made from a job's parameters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .grammar import Prompt, parse
from .networks import LoraTag
from .program import plain
from .remarks import Remark

_MANY_STEPS = 1000
"""So many that the first is before every share of them."""


@dataclass(frozen=True)
class Words:
    """A prompt and its negative prompt."""

    prompt: Prompt
    negative: Prompt

    @staticmethod
    def read(prompt: str, negative_prompt: str) -> Words:
        return Words(parse(prompt), parse(negative_prompt, negative=True))

    @property
    def texts(self) -> tuple[str, str]:
        """What was read."""
        return self.prompt.text, self.negative.text

    @property
    def networks(self) -> tuple[LoraTag, ...]:
        """Networks that the prompt names, in its order."""
        return self.prompt.networks

    @property
    def plain_prompt(self) -> str:
        """The prompt of the first step without its grammar, for encoders that know none."""
        return _plain(self.prompt)

    @property
    def plain_negative(self) -> str:
        return _plain(self.negative)

    @property
    def features(self) -> frozenset[str]:
        """Which parts of the language either uses."""
        return self.prompt.features | self.negative.features

    def notes(self) -> list[str]:
        """What does not do what its form asks for, for the job's warnings."""
        return [
            *notes_of("prompt", self.prompt.text, self.prompt.remarks),
            *notes_of("negative prompt", self.negative.text, self.negative.remarks),
        ]


def _plain(prompt: Prompt) -> str:
    """A prompt that uses nothing of the language is left as it is, to the last space."""
    if not prompt.features and not prompt.networks and "\\" not in prompt.text:
        return prompt.text
    return " ".join(text for part in prompt.parts if (text := plain(part.at(0, _MANY_STEPS))))


def notes_of(name: str, text: str, remarks: Iterable[Remark]) -> list[str]:
    """What is wrong in the prompt called ``name``, and where, as sentences."""
    return [f"In the {name}, at {place(text, remark)}: {remark}" for remark in remarks if remark.error]


def place(text: str, remark: Remark) -> str:
    """Where a remark belongs, as line and column from 1."""
    line = text.count("\n", 0, remark.start)
    column = remark.start - (text.rfind("\n", 0, remark.start) + 1)
    return f"{line + 1}:{column + 1}"
