"""The style of some pictures for others. This module only declares; what it declares is imported in the worker.

Who stands where: ``colour`` and ``networks`` compute, ``pictures`` come in and go out, ``pipelines`` are jobs of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from webui.api import ModelKind, Params, PipelineSpec, TabSpec, hookimpl

from .accepting import accept
from .params import AdainParams, ArtFidParams, ColourParams, EvaluateParams, GatysParams, ScoreParams
from .params_drawing import InstructParams, RedrawParams, ReferenceParams
from .recognise import DECODER, ENCODER, recognise_decoder, recognise_encoder

_EXAMPLES = (
    {"title": "Brush strokes", "ready": "strokes"},
    {"title": "Mosaic that keeps the colours", "ready": "cells", "keep_colour": "references"},
    {"title": "Swirls, half as strong", "ready": "swirls", "strength": 0.5},
)


def _spec(name: str, title: str, params: type[Params], run: str, description: str, **more: Any) -> PipelineSpec:
    return PipelineSpec(
        id=f"style.{name}",
        title=title,
        params=params,
        run=f"extensions.style.pipelines.{run}",
        tab="style",
        description=description,
        **more,
    )


@hookimpl
def register_pipelines() -> Iterable[PipelineSpec]:
    return [
        _spec(
            "adain",
            "AdaIN",
            AdainParams,
            "adain:Adain",
            "The style of references in one pass, at any size; several references mixed, or each in its place.",
            examples=_EXAMPLES,
            live=True,
            accept=accept,
        ),
        _spec(
            "optimise",
            "Optimization",
            GatysParams,
            "optimise:Optimise",
            "A picture searched for step by step (Gatys): slower, with VGG-19 too.",
            accept=accept,
        ),
        _spec(
            "colour",
            "Colours",
            ColourParams,
            "colour:Colour",
            "The colours of references for a picture, by four methods that need no model.",
            live=True,
            accept=accept,
        ),
        _spec(
            "redraw",
            "Redraw",
            RedrawParams,
            "drawing:Redraw",
            "A picture drawn anew in the look of a LoRA, such as the starter's watercolour.",
        ),
        _spec(
            "reference",
            "By reference",
            ReferenceParams,
            "drawing:Reference",
            "A diffusion model draws in the style of references: IP-Adapter on the layers of style (InstantStyle).",
        ),
        _spec(
            "instruct",
            "By instruction",
            InstructParams,
            "drawing:Instruct",
            "Restyled by a model that edits: the starter's, InstructPix2Pix, FLUX Kontext, Qwen-Image-Edit.",
        ),
        _spec(
            "score",
            "Distances",
            ScoreParams,
            "scoring:Score",
            "How far results are from content and style, beside the picture itself and its colours alone.",
            outputs="table",
            accept=accept,
        ),
        _spec(
            "artfid",
            "ArtFID",
            ArtFidParams,
            "artfid:ArtFid",
            "Content kept and style met over folders of pictures, in one number.",
            outputs="scalar",
        ),
        _spec(
            "evaluate",
            "Measure the starter's",
            EvaluateParams,
            "evaluating:Evaluate",
            "What AdaIN does to held-out drawings, against the drawing itself and its colours alone.",
            outputs="scalar",
        ),
    ]


@hookimpl
def register_model_kinds() -> Iterable[ModelKind]:
    folders = ("style", "vgg")
    return [
        ModelKind(ENCODER, "Encoder of style", folders=folders, recognise=recognise_encoder),
        ModelKind(DECODER, "Decoder of style", folders=folders, recognise=recognise_decoder),
    ]


@hookimpl
def register_tabs() -> Iterable[TabSpec]:
    return [TabSpec("style", "Style transfer", order=35)]
