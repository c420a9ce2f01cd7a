"""The pipeline ``diffusion.align``: several prompts in one style, whose denoiser's attention they share (Hertz et al.
2024, "Style Aligned Image Generation via Shared Attention").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from extensions.diffusion.compute.sharing import SharedAttention
from extensions.diffusion.drawing.companions import (
    Accompanied,
    Record,
    Recorder,
    drawn,
    encoded,
    inverted,
    watched,
    with_words,
)
from extensions.diffusion.drawing.from_pictures import drawn_out
from extensions.diffusion.drawing.making import DrawingPipeline
from extensions.diffusion.drawing.task import Task
from extensions.diffusion.models.guidance import Call
from extensions.diffusion.models.loading import Plan
from extensions.diffusion.models.siblings import needs_unet
from extensions.diffusion.params import Txt2Img
from extensions.diffusion.params_adapters import Adapted
from extensions.diffusion.params_style import Align
from extensions.diffusion.pictures.inputs import fitted, on_ground, open_picture
from extensions.diffusion.prompts.words import Words
from webui.api import Artifact, Context, FieldError, ParameterError

_BARELY_GUIDED = 1 + 1e-6
"""Both halves are asked, and the answer is the prompt's own: guidance would lead an inversion astray."""


class AlignTask(Task):
    """Picture i shows line i of the prompts. The reference is picture 0, or what is inverted."""

    alters = True

    def __init__(self, params: Txt2Img, context: Context, asked: Align) -> None:
        """Raises ParameterError without a prompt."""
        super().__init__(params, context)
        self._asked = asked
        self.lines = [line.strip() for line in asked.prompt.splitlines() if line.strip()]
        if not self.lines:
            raise ParameterError([FieldError("prompt", "expected at least one line that says what is drawn")])
        self._record: Record | None = None

    @property
    def count(self) -> int:
        return len(self.lines)

    def _words(self, prompt: str) -> Words:
        return Words.read(prompt, self.params.negative_prompt)

    def words(self, indices: Sequence[int]) -> Words:
        return self._words(self.lines[indices[0]])

    def groups(self, indices: Sequence[int], size: int) -> list[Sequence[int]]:
        return [[index] for index in indices]

    def record(self, index: int) -> dict[str, Any]:
        return {}  # one picture's words alone would not make it again

    def planned(self, plan: Plan) -> Plan:
        return needs_unet(super().planned(plan), "Shared attention")

    def accompany(
        self, pipe: Any, call: Call, components: Mapping[str, Any], indices: Sequence[int]
    ) -> Callable[[], None]:
        unet = pipe.unet
        if indices[0] == 0 and not self._asked.image:
            recorder = Recorder(unet)
            pipe.unet, self._record = recorder, recorder.record
            return recorder.restart
        if self._record is None:
            self._record = self._referred(pipe, call, components)
        coupling = SharedAttention(self._asked.weight, self._asked.normalised)
        accompanied = Accompanied(unet, components["unet"], [self._record], coupling)
        pipe.unet = accompanied
        return accompanied.restart

    def _referred(self, pipe: Any, call: Call, components: Mapping[str, Any]) -> Record:
        """The calls of the reference, of which this job drew none."""
        asked, context = self._asked, self.context
        beside = {"callback_on_step_end": watched(context, "reference")}
        if not asked.image:
            told = with_words(pipe, call, components, self._words(self.lines[0]), self.params)
            return drawn(pipe, {**told, **beside, "generator": self.generator(0)})
        told = with_words(pipe, call, components, self._words(asked.image_prompt), self.params)
        if told.get("guidance_scale", 1) > 1:
            told["guidance_scale"] = _BARELY_GUIDED
        picture = fitted(on_ground(open_picture(context, asked.image)), (call.width, call.height), "crop")
        clean = encoded(pipe, drawn_out(picture, (call.width, call.height)), call.width, call.height)
        return inverted(pipe, {**told, **beside}, clean)[0]


class AlignPipeline(DrawingPipeline):
    """Text to image with its pictures beside one another."""

    def run(self, params: Align, context: Context) -> Iterator[Artifact]:  # type: ignore[override]
        """One picture for each line. Raises as every pipeline that draws does."""
        own = {name: getattr(params, name) for name in Adapted.model_fields}
        taken = ("negative_prompt", "model", "width", "height", "steps", "guidance_scale", "seed")
        own |= {name: getattr(params, name) for name in taken}
        # What is inverted can be led back by DDIM alone; what is drawn, by the model's own sampler.
        own |= {"sampler": "DDIM" if params.image else "Automatic"}
        self.task = partial(AlignTask, asked=params)  # type: ignore[assignment]
        yield from super().run(Txt2Img.model_validate(own), context)
