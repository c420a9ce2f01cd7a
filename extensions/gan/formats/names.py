"""What the readers share: tables of tensors under a prefix, and configurations read from their shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from webui.api import ModelError

State = dict[str, Tensor]


@dataclass(frozen=True)
class Contents:
    """What a file holds, in our own terms: ``build(family, config)`` takes ``state`` as it is."""

    family: str
    config: dict[str, Any]
    state: State = field(repr=False)
    derive_centre: bool = False
    """Whether the mean of w is not in the file, and has to be computed."""


def below(state: Mapping[str, Tensor], prefix: str) -> State:
    """The tensors under ``prefix``, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def numbered(names: Iterable[str], before: str) -> list[int]:
    """The numbers n of all ``<before>n`` that names begin with, in order: ``b`` finds 4, 8 of b4.const, b8.conv0..."""
    found = set()
    for name in names:
        if name.startswith(before):
            digits = name.removeprefix(before).partition(".")[0].partition("_")[0]
            if digits.isdigit():
                found.add(int(digits))
    return sorted(found)


def wrong(what: str, expected: str) -> ModelError:
    """An error for a file whose tensors are not what its names promise."""
    return ModelError(
        f"The file is no {what} that is known here: expected {expected}.", hint="docs/gans.md lists the formats."
    )
