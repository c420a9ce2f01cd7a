"""What swaps, transferred expressions and character sheets take; light, read by the web process."""

from __future__ import annotations

# The fields have the names of the functions that declare them.
import webui.api as declare

from .params import Finding
from .params_editing import Blended, tries
from .params_portraits import Driven, licence, network


class _Second(Finding):
    """A second picture with a face."""

    source: str = declare.image(..., label="Other picture", help="With the face that is taken")
    source_faces: str = declare.prompt(
        "",
        label="Its faces as JSON",
        rows=2,
        tokens=False,
        group="Finding",
        advanced=True,
        help="As Faces as JSON, for the other picture",
    )
    source_face: int = declare.integer(
        1, minimum=1, maximum=64, label="Which of its faces", group="Finding", advanced=True
    )

    network: str = declare.dynamic_choice(
        "",
        "faces.backends",
        label="Own network",
        help="An ONNX file in models/faces; empty: the warp that comes with this extension",
        group="Own network",
        advanced=True,
    )
    licence: str = declare.dynamic_choice(
        "",
        "faces.licences",
        label="Its licence, accepted",
        help="What lies beside the file; choosing it says that you read it and keep to it",
        group="Own network",
        advanced=True,
    )


def guidance(default: float) -> float:
    """How much the words count where a mixture is drawn."""
    scale: float = declare.number(
        default,
        minimum=1.0,
        maximum=30.0,
        step=0.1,
        label="Guidance",
        help="How strictly the words are followed; 1: what is mixed counts alone",
        group="Mixed in latents",
        advanced=True,
    )
    return scale


class InLatents(declare.Params):
    """Whether what was warped is drawn in latents as well, and how."""

    way: str = declare.choice(
        "auto",
        {"auto": "Automatic", "warp": "Warp", "latents": "Mixed in latents"},
        label="Way",
        help="In latents: what was warped and the picture, denoised together. Automatic: so for drawn faces",
    )
    model: str = declare.text(
        "",
        label="Model",
        help="A name of the list of models; empty: the first",
        max_length=500,
        group="Mixed in latents",
        advanced=True,
    )
    denoise: float = declare.number(
        0.5,
        minimum=0.05,
        maximum=0.9,
        step=0.05,
        label="Denoised together",
        help="The share of the steps; more makes one face of both, and keeps less of either",
        group="Mixed in latents",
        advanced=True,
    )
    guidance_scale: float = guidance(1.0)
    prompt: str = declare.prompt(
        "",
        label="Words",
        help="Of what comes out; empty: as the judge reads both faces",
        rows=2,
        group="Mixed in latents",
        advanced=True,
    )


class _Taken(_Second):
    """Of a second face, what."""

    parts: str = declare.choice(
        "face",
        {"face": "Face", "features": "Eyes, nose and mouth", "mouth": "Mouth", "eyes": "Eyes and brows"},
        label="What is taken",
    )


class SwapParams(InLatents, _Taken):
    """Parameters of faces.swap."""

    strength: float = declare.number(1.0, minimum=0.0, maximum=1.0, step=0.05, label="Strength", help="Of the mixture")
    match_colours: bool = declare.boolean(True, label="Match the skin's colour")
    blend: str = declare.choice(
        "feather",
        {"feather": "Soft edge", "poisson": "Poisson: gradients kept"},
        label="Blending",
        group="Blending",
        advanced=True,
    )
    refine: float = declare.number(
        0.0,
        minimum=0.0,
        maximum=0.9,
        step=0.05,
        label="Drawn over",
        help="Strength of Image to image over the result's face; 0: not at all",
        group="Blending",
        advanced=True,
    )
    swapper: str = declare.dynamic_choice(
        "",
        "pipelines:image:source",
        label="Swapper",
        help="A pipeline of another extension that takes image and source; empty: the warp that comes with this one",
        advanced=True,
    )
    judge: str = declare.dynamic_choice(
        "starter.judge", "feature_networks", label="Judge", help="Measures likeness", advanced=True
    )
    seed: int = declare.seed()
    consent: bool = declare.consent()


class ExpressionParams(Driven, InLatents, _Second):
    """Parameters of faces.expression."""

    network: str = network(
        "faces.expressions",
        "An ONNX file in models/faces, or a folder of LivePortrait's there; empty: the warp that comes with this one",
    )
    licence: str = licence("faces.expression_licences")
    guidance_scale: float = guidance(3.0)
    strength: float = declare.number(
        1.0, minimum=0.0, maximum=2.0, step=0.05, label="Strength", help="1: as in the other picture"
    )
    eyes: bool = declare.boolean(True, label="Eyes and brows")
    mouth: bool = declare.boolean(True, label="Mouth")
    judge: str = declare.dynamic_choice(
        "starter.judge", "feature_networks", label="Judge", help="Measures likeness", advanced=True
    )
    seed: int = declare.seed()
    consent: bool = declare.consent()


class SheetParams(Blended, Finding):
    """Parameters of faces.sheet."""

    image: str | None = declare.image(None, label="Picture", help="One with a face; empty: drawn from the words")  # type: ignore[assignment]
    prompt: str = declare.prompt("", label="Words", help="Of the person, where there is no picture", rows=2)
    changes: tuple[str, ...] = declare.dynamic_choices(
        "faces.changes", label="Changes", help="Expressions and outfits; none and no pose: six of them", maximum=24
    )
    poses: tuple[str, ...] = declare.dynamic_choices(
        "faces.poses", label="Poses", help="Of the head; none and no change: four of them", maximum=12
    )
    columns: int = declare.integer(4, minimum=1, maximum=12, label="Columns")
    tries: int = tries(4)
    judge: str = declare.dynamic_choice(
        "starter.judge", "feature_networks", label="Judge", help="Measures likeness, and attributes", advanced=True
    )
    attribute: str = declare.record("", label="Wanted attribute")
    seed: int = declare.seed(help="The same for all of them")
    consent: bool = declare.consent()
