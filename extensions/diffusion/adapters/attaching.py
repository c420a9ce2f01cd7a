"""What the attachments of a model have in common: which of a job's are told apart by kind, fit by family, and count at
which steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from PIL import Image

from extensions.diffusion.models.guidance import Call
from extensions.diffusion.models.loading import Plan
from webui.api import Component, ModelError, ResolvedModel

FAMILIES = {
    "sd1": "Stable Diffusion 1",
    "sd2": "Stable Diffusion 2",
    "sdxl": "SDXL",
    "sdxl_refiner": "SDXL's refiner",
    "sd3": "Stable Diffusion 3",
    "flux": "FLUX.1",
    "qwenimage": "Qwen-Image",
}
"""In words."""
FITTING_HINT = "Use it with a model of the family that it was trained on."


@dataclass(frozen=True)
class Span:
    """Which share of the steps something counts in, and how much."""

    weight: float
    start: float
    end: float

    def at(self, done: int, steps: int) -> float:
        """Its weight in the step after ``done`` of ``steps``."""
        share = done / max(1, steps)
        return self.weight if self.start <= share and (share < self.end or self.end >= 1.0) else 0.0


class Attachment(Protocol):
    """One kind of attachments of one job."""

    @property
    def active(self) -> bool:
        """Whether the job has any."""

    def planned(self, plan: Plan, family: str) -> Plan:
        """``plan`` with what they need. Raises ModelError for a model that takes none."""

    def requests(self, dtype: torch.dtype) -> dict[str, Component]:
        """What to lease besides the model."""

    def around(self, pipe: Any, components: Mapping[str, Any]) -> AbstractContextManager[None]:
        """Within, ``pipe`` has them; afterwards its modules are as they were. They are leased exclusively."""

    def complete(
        self, call: Call, pipe: Any, components: Mapping[str, Any], own: Callable[[], Image.Image | None]
    ) -> None:
        """Put what they ask for into the call. ``own()``: the picture that the result begins with."""

    def step(self, done: int, steps: int) -> None:
        """``done`` of ``steps`` are over; 0 before the first."""

    def infotext(self) -> dict[str, str]:
        """What the text says of them that other programs read."""


def check_family(what: str, model: ResolvedModel, family: str) -> None:
    """Raises ModelError where ``model`` is known to be of another family than ``family``."""
    if model.family and family and model.family != family and {model.family, family} <= FAMILIES.keys():
        raise ModelError(
            f"{what} {title_of(model)!r} was made for {FAMILIES[model.family]}; this model is {FAMILIES[family]}.",
            hint=FITTING_HINT,
        )


def title_of(model: ResolvedModel) -> str:
    """What people call it."""
    return str(getattr(model, "title", "")) or (model.path.stem if model.path is not None else model.ref)


def cannot_load(what: str, model: ResolvedModel, error: Exception) -> ModelError:
    """Why a library did not take a file."""
    said = " ".join(str(error).split())[:200]
    return ModelError(f"{what} {title_of(model)!r} cannot be loaded: {type(error).__name__}: {said}", hint=FITTING_HINT)
