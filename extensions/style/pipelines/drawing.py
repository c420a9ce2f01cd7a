"""style.redraw, style.reference and style.instruct: jobs of diffusion pipelines, with what a style needs filled in.

They run within this job; each picture holds the recipe of the pipeline that drew it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from extensions.style.params_drawing import INSTRUCTIONS, InstructParams, RedrawParams, ReferenceParams
from webui.api import Context, FieldError, JobFailed, NotFound, ParameterError

_STARTER_LOOK = "watercolour"


class Redraw:
    """style.redraw: image to image with the LoRA of a style."""

    def run(self, params: RedrawParams, context: Context) -> None:
        """One artifact, that of diffusion.img2img. Raises NotFound where there is no such look."""
        look = params.look or _starter_look(context)
        name = Path(look).parent.name if Path(look).stem == "pytorch_lora_weights" else Path(look).stem
        _run(
            context,
            "diffusion.img2img",
            {
                **_common(params),
                "image": params.image,
                "strength": params.strength,
                "prompt": params.prompt or name.replace("_", " ").replace("-", " "),
                "lora_1": look,
                "lora_1_weight": params.weight,
                "lora_blocks": params.blocks,
            },
        )


def _starter_look(context: Context) -> str:
    """The starter's watercolour, or the first LoRA there is."""
    listed = context.models.listed("lora")
    found = next((one.ref for one in listed if _STARTER_LOOK in one.ref), None) or next(
        (one.ref for one in listed), None
    )
    if found is None:
        raise NotFound("There is no LoRA of a style.", hint="Put one into models/loras, and choose it as the look.")
    return found


class Reference:
    """style.reference: an image prompt whose pictures are seen by the layers of style alone (InstantStyle)."""

    def run(self, params: ReferenceParams, context: Context) -> None:
        """One artifact, that of diffusion.txt2img or diffusion.img2img. Raises ParameterError, NotFound."""
        if not params.references:
            raise ParameterError(
                [FieldError("references", "expected at least one picture whose style to take")],
                hint="Put a picture into References.",
            )
        adapter = params.adapter or next((one.ref for one in context.models.listed("ip_adapter")), "")
        if not adapter:
            raise NotFound(
                "There is no IP-Adapter.",
                hint="Put one into models/ipadapter; AdaIN takes over a style without any.",
            )
        beginning = {"image": params.image, "strength": params.strength} if params.image else {}
        _run(
            context,
            "diffusion.img2img" if params.image else "diffusion.txt2img",
            {
                **_common(params),
                **beginning,
                "prompt": params.prompt,
                "image_prompt_1_model": adapter,
                "image_prompt_1_images": list(params.references),
                "image_prompt_1_weight": params.weight,
                "image_prompt_1_blocks": params.layers,
            },
        )


class Instruct:
    """style.instruct: an edit by instruction."""

    def run(self, params: InstructParams, context: Context) -> None:
        """One artifact, that of diffusion.edit. Raises ParameterError without words."""
        words = params.prompt.strip() or INSTRUCTIONS[params.look]
        if not words:
            raise ParameterError([FieldError("prompt", "expected what the picture is to look like")])
        _run(
            context,
            "diffusion.edit",
            {
                **_common(params),
                "image": params.image,
                "prompt": words,
                "image_guidance_scale": params.image_guidance_scale,
            },
        )


def _common(params: RedrawParams | ReferenceParams | InstructParams) -> dict[str, Any]:
    found: dict[str, Any] = {"seed": params.seed, "steps": params.steps, "guidance_scale": params.guidance_scale}
    return {**found, "model": params.model} if params.model else found


def _run(context: Context, pipeline: str, asked: Mapping[str, Any]) -> None:
    """Run ``pipeline``, which is of another extension: what this job makes is what it makes. Raises JobFailed."""
    if not context.pending(1):
        return
    if pipeline not in context.pipelines:
        raise JobFailed(f"{pipeline} is not there.", hint="Switch the extension diffusion on.")
    known = context.pipelines[pipeline].params.model_fields
    context.run(pipeline, {name: value for name, value in asked.items() if name in known})
