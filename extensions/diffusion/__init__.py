"""Pictures by diffusion models, from text and from other pictures. This module only declares; what it declares is
imported in the worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from webui.api import (
    Application,
    ChoiceSource,
    ModelKind,
    PipelineSpec,
    PromptSyntax,
    SettingsSpec,
    TabSpec,
    hookimpl,
)

from .params import EXAMPLES, DiffusionSettings, Txt2Img
from .params_pictures import Blend, Edit, Img2Img, Inpaint, Reword, Upscale, Variation
from .params_style import ALIGNED, Align, Inject
from .prompts import reading, routes
from .prompts.styles import style_names, style_texts

_CLIP = Path(__file__).resolve().parent / "models" / "configs" / "clip"


def _recognise(path: Path) -> Mapping[str, Any] | None:
    """The host tells checkpoints apart by itself; that single files are read with CLIP's vocabulary is known here."""
    return {"tokenizer": str(_CLIP)} if path.is_file() else {}


@hookimpl
def register_pipelines() -> Iterable[PipelineSpec]:
    return [
        PipelineSpec(
            id="diffusion.txt2img",
            title="Text to image",
            params=Txt2Img,
            run="extensions.diffusion.pipelines.txt2img:Txt2ImgPipeline",
            tab="txt2img",
            description="Pictures from a description, with any diffusers model or checkpoint file.",
            examples=EXAMPLES,
        ),
        PipelineSpec(
            id="diffusion.img2img",
            title="Image to image",
            params=Img2Img,
            run="extensions.diffusion.pipelines.img2img:Img2ImgPipeline",
            tab="img2img",
            description="Pictures that begin with others: variations, restyled pictures, finished sketches.",
        ),
        PipelineSpec(
            id="diffusion.inpaint",
            title="Inpaint",
            params=Inpaint,
            run="extensions.diffusion.pipelines.inpaint:InpaintPipeline",
            tab="img2img",
            description="Draws what a mask covers, and beyond the edges; every other pixel stays as it was.",
        ),
        PipelineSpec(
            id="diffusion.blend",
            title="Blend",
            params=Blend,
            run="extensions.diffusion.pipelines.blend:BlendPipeline",
            tab="img2img",
            description="Another picture mixed in under a mask: in latents, which are then denoised together.",
        ),
        PipelineSpec(
            id="diffusion.edit",
            title="Edit",
            params=Edit,
            run="extensions.diffusion.pipelines.edit:EditPipeline",
            tab="img2img",
            description="Changes a picture as an instruction says, with models made for it.",
        ),
        PipelineSpec(
            id="diffusion.reword",
            title="Change words",
            params=Reword,
            run="extensions.diffusion.pipelines.reword:RewordPipeline",
            tab="img2img",
            description="A picture under its own words, then under others: what they share stays in its place.",
        ),
        PipelineSpec(
            id="diffusion.variation",
            title="Variations",
            params=Variation,
            run="extensions.diffusion.pipelines.variation:VariationPipeline",
            tab="img2img",
            description="Pictures like a given one, with models that read pictures (unCLIP) or with any other.",
        ),
        PipelineSpec(
            id="diffusion.upscale",
            title="Upscale",
            params=Upscale,
            run="extensions.diffusion.pipelines.upscale:UpscalePipeline",
            tab="img2img",
            description="Makes pictures larger with an upscaler network, tile by tile.",
        ),
        PipelineSpec(
            id="diffusion.align",
            title="In one style",
            params=Align,
            run="extensions.diffusion.pipelines.align:AlignPipeline",
            tab="style",
            description="Several prompts drawn in one style, the first one's or a picture's: their attention is shared "
            "(StyleAligned). Without training, with Stable Diffusion 1, 2 and XL.",
            examples=ALIGNED,
        ),
        PipelineSpec(
            id="diffusion.inject",
            title="By attention",
            params=Inject,
            run="extensions.diffusion.pipelines.inject:InjectPipeline",
            tab="style",
            description="A picture in the style of another: its attention reads the other's keys and values (StyleID). "
            "Without training, with Stable Diffusion 1, 2 and XL.",
        ),
    ]


@hookimpl
def register_tabs() -> Iterable[TabSpec]:
    return [TabSpec("txt2img", "Text to image", order=10), TabSpec("img2img", "Image to image", order=20)]


@hookimpl
def register_model_kinds() -> Iterable[ModelKind]:
    return [ModelKind("text_to_image", "Text to image", recognise=_recognise)]


@hookimpl
def register_choices() -> Iterable[ChoiceSource]:
    return [ChoiceSource("diffusion.styles", "Styles", style_names, style_texts)]


@hookimpl
def register_prompt_syntaxes() -> Iterable[PromptSyntax]:
    return [PromptSyntax(reading.SYNTAX, "Prompt", reading.read)]


@hookimpl
def app_started(app: Application) -> None:
    routes.add(app)


@hookimpl
def register_settings() -> Iterable[SettingsSpec]:
    return [SettingsSpec("diffusion", "Diffusion", DiffusionSettings)]
