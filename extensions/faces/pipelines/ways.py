"""The ways to change an attribute of a square: by an instruction, by other words after inversion, or along a direction
of a StyleGAN; each with settings that grow bolder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image

from extensions.faces.accepting import REWORD
from extensions.faces.params_editing import AttributeParams
from extensions.faces.pixels.regions import Mask
from webui.api import Context, FieldError, JobFailed, NotFound, ParameterError, describe

from .tries import Settings, Way
from .within import changed, data_url, own_edge, run_within

_WORDS, _PICTURE = 7.5, 1.5
"""Guidance scales of InstructPix2Pix, where a model recommends none."""
_BOLDER, _FREER = 1.75, 2 / 3
"""By which a bolder try multiplies the guidance by words, and by the picture."""
_LOOSER: tuple[Settings, ...] = (
    {"cross_keep": 0.5, "self_keep": 0.2},
    {"cross_keep": 0.5, "self_keep": 0.2, "guidance_scale": 12.0},
    {"cross_keep": 0.2, "self_keep": 0.0, "guidance_scale": 12.0},
)
"""After inversion: attention of the first words that is kept for fewer steps lets shapes change."""
_FURTHER = (1.0, 1.5, 2.0)
"""Along a direction."""
_PROJECTED_EDGE_PX = 256


def instructed(
    context: Context, pipeline: str, params: Settings, words: str, edge: int | None, side: int, bolder: bool = True
) -> Way:
    """By a pipeline that takes a picture and an instruction. ``side``: the square's own, in pixels."""

    def make(square: Image.Image, mask: Mask, seed: int, more: Settings) -> Image.Image:
        return changed(context, pipeline, {**params, **more}, square, prompt=words, seed=seed, mask=mask)

    rungs = instruction_rungs(context, pipeline, params) if bolder else [{}]
    return Way(make, edge or own_edge(context, pipeline, params, side), rungs)


def instruction_rungs(context: Context, pipeline: str, params: Settings) -> list[Settings]:
    """Settings of an editing pipeline, the model's own first; then words that weigh more and a picture that weighs
    less; then a picture that weighs less alone. None of it where ``params`` give a scale, or there are no two.
    """
    rows = {row.name: row for row in describe(context.pipelines[pipeline].params)}
    scales = {"guidance_scale": _WORDS, "image_guidance_scale": _PICTURE}
    if not scales.keys() <= rows.keys() or scales.keys() & params.keys():
        return [{}]
    said = _recommended(context, rows, params)
    words, picture = (float(said.get(name) or usual) for name, usual in scales.items())
    freer = {"image_guidance_scale": round(picture * _FREER, 3)}
    return [{}, {"guidance_scale": round(words * _BOLDER, 3), **freer}, freer]


def _recommended(context: Context, rows: Mapping[str, Any], params: Settings) -> Mapping[str, Any]:
    model = next((row for row in rows.values() if row.kind == "model"), None)
    if model is None:
        return {}
    try:
        return context.models.resolve(str(params.get(model.name) or ""), model.source).recommended
    except NotFound:
        return {}


def reworded(params: AttributeParams, context: Context, before: str, after: str, side: int) -> Way:
    """The square under the words before, inverted, and drawn again under those after. Raises JobFailed."""
    if REWORD not in context.pipelines:
        raise JobFailed(f"This way needs the pipeline {REWORD}.", hint="Enable the extension Diffusion.")

    def make(square: Image.Image, mask: Mask, seed: int, more: Settings) -> Image.Image:
        given = {**params.params, "before": before, **more}
        return changed(context, REWORD, given, square, prompt=after, seed=seed, mask=mask)

    rungs = [{}, *(rung for rung in _LOOSER if not rung.keys() & params.params.keys())]
    return Way(make, params.edge or own_edge(context, REWORD, params.params, side), rungs, seeded=False)


def along_direction(params: AttributeParams, context: Context, side: int) -> Way:
    """The square projected into a StyleGAN, once, and moved along a direction there.

    Raises ParameterError, JobFailed.
    """
    if not params.direction.strip():
        raise ParameterError(
            [FieldError("direction", "choose a direction")], hint="The GANs' form Directions finds them."
        )
    missing = [name for name in ("gan.project", "gan.edit") if name not in context.pipelines]
    if missing:
        raise JobFailed(f"This way needs the pipeline {missing[0]}.", hint="Enable the extension GANs.")
    chosen = {"model": params.generator} if params.generator.strip() else {}
    name = f"face-{context.job.id[:12]}"
    project = _once(
        lambda square: run_within(
            context,
            "gan.project",
            {
                **chosen,
                "image": data_url(square),
                "name": name,
                "steps": params.projection_iterations,
                "seed": params.seed,
                "network": params.judge,
            },
        )
    )

    def make(square: Image.Image, mask: Mask, seed: int, more: Settings) -> Image.Image:
        project(square)
        moved = {"projection": name, "direction_1": params.direction, "strength_1": params.strength, "seed": seed}
        made = run_within(context, "gan.edit", {**chosen, **moved, "truncation": 1.0, **more})
        if not made:
            raise JobFailed("gan.edit made no picture of the projected face.")
        result: Image.Image = made[0].data
        return result.convert("RGB")

    strengths = [max(-20.0, min(20.0, round(params.strength * further, 3))) for further in _FURTHER]
    edge = params.edge or min(side, _PROJECTED_EDGE_PX)
    return Way(make, edge, [{"strength_1": strength} for strength in strengths], seeded=False)


def _once(do: Callable[[Image.Image], Any]) -> Callable[[Image.Image], None]:
    done = []

    def run(square: Image.Image) -> None:
        if not done:
            do(square)
            done.append(True)

    return run
