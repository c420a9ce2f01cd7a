"""What a pipeline draws, as the shared machinery of ``groups.py`` asks it: the model's class, the size, the arguments
of the call, and what becomes of the pictures. The base is text to image; others override what is theirs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from PIL import Image

from extensions.diffusion.models.guidance import Call
from extensions.diffusion.models.loading import Plan
from extensions.diffusion.models.sizes import fit_size, size_multiple
from extensions.diffusion.params import Drawn
from extensions.diffusion.prompts.wording import Wording
from extensions.diffusion.prompts.words import Words
from webui.api import Context

from .calling import refuse_other_tasks
from .variation import Varied


class Task:
    """Text to image. One instance serves one job; picture i of it has the seed + i."""

    attached = True
    """Whether what the job attaches to its model goes with this task: another family's would not fit."""

    def __init__(self, params: Drawn, context: Context) -> None:
        """Raises ParameterError."""
        self.params = params
        self.context = context
        self.wording = Wording(params, context.folders)

    @property
    def count(self) -> int:
        """How many pictures the job makes."""
        return self.params.batch_size * self.params.batch_count

    @property
    def steps(self) -> int:
        """How many steps of denoising a picture takes."""
        return self.params.steps or 1

    def words(self, indices: Sequence[int]) -> Words:
        """What the pictures ``indices``, which are drawn together, are told."""
        worded = self.wording.of(self.seed_of(indices[0]))
        for note in worded.notes:
            self.context.warn(note)
        return worded.words

    def record(self, index: int) -> dict[str, Any]:
        """Parameters that the recipe of picture ``index`` has in place of the job's."""
        return self.wording.of(self.seed_of(index)).record

    def groups(self, indices: Sequence[int], size: int) -> list[Sequence[int]]:
        """``indices`` in runs of at most ``size`` that can be drawn together: those that are told the same."""
        told = itertools.groupby(indices, lambda index: self.wording.of(self.seed_of(index)).words.texts)
        runs = [list(run) for _, run in told]
        return [run[start : start + size] for run in runs for start in range(0, len(run), size)]

    def seed_of(self, index: int) -> int:
        """The seed that picture ``index`` is recorded with. Variations share one."""
        return self.params.seed + (0 if self.params.variation_strength else index)

    def generator(self, index: int) -> Any:
        """A fresh generator for picture ``index``: the same one each time, alone or in a batch."""
        return self.context.generator(self.seed_of(index))

    def noise(self, generators: Sequence[Any], indices: Sequence[int]) -> AbstractContextManager[Any]:
        """Within it the pipeline is called with ``generators``: turns their noise towards the variation's."""
        strength = self.params.variation_strength
        if not strength:
            return nullcontext()
        twins = [self.context.generator(self.params.variation_seed + index) for index in indices]
        return Varied(dict(zip(generators, twins, strict=True)), strength)

    def ready(self, index: int) -> Image.Image | None:
        """Picture ``index`` where nothing has to be drawn for it."""
        return None

    def planned(self, plan: Plan) -> Plan:
        """The plan with the class and the components that this task needs. Raises ModelError for a model that cannot
        do it; nothing is loaded for it.
        """
        refuse_other_tasks(plan)
        return plan

    def asked_size(self, indices: Sequence[int]) -> tuple[int, int]:
        """Width and height that pictures ``indices`` should have, in pixels."""
        return getattr(self.params, "width", None) or 512, getattr(self.params, "height", None) or 512

    def size(self, pipe: Any, plan: Plan, indices: Sequence[int]) -> tuple[int, int]:
        """Width and height that the model is asked for: those of ``asked_size``, where it can draw them."""
        asked = self.asked_size(indices)
        multiple = size_multiple(pipe, plan)
        width, height = fit_size(*asked, multiple)
        if (width, height) != asked:
            self.context.warn(
                f"This model draws sizes in steps of {multiple} px: {width}x{height} instead of {asked[0]}x{asked[1]}."
            )
        return width, height

    def complete(self, call: Call, pipe: Any, plan: Plan, indices: Sequence[int]) -> None:
        """Put this task's own arguments into ``call``, just before the pictures ``indices`` are drawn."""

    alters = False
    """Whether it changes the denoiser for the time of a run, which must then be leased exclusively."""

    def accompany(
        self, pipe: Any, call: Call, components: Mapping[str, Any], indices: Sequence[int]
    ) -> Callable[[], None]:
        """Put what is drawn beside the pictures ``indices`` into ``pipe``, before it is told what to draw. The answer
        is to be called before each attempt.
        """
        return lambda: None

    def after_step(self, pipe: Any, number: int, timestep: Any, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Between two steps: tensors that replace those of the pipeline, by name."""
        return {}

    def source(self, index: int) -> Image.Image | None:
        """The picture that ``index`` begins with, at the size to draw, RGB; None where it begins with noise."""
        return None

    def finished(self, images: Sequence[Image.Image], indices: Sequence[int]) -> list[Image.Image]:
        """The pictures that are kept, from those that were drawn."""
        return list(images)

    def infotext(self) -> dict[str, str]:
        """What this task adds to the text that other programs read."""
        return {}

    def varied(self, index: int) -> dict[str, str]:
        """What that text says of picture ``index``'s variation."""
        strength = self.params.variation_strength
        if not strength:
            return {}
        seed = self.params.variation_seed + index
        return {"Variation seed": str(seed), "Variation seed strength": f"{strength:g}"}
