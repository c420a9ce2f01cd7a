"""What the forms of this tab take; light, read by the web process."""

from __future__ import annotations

from typing import Any

# The fields have the names of the functions that declare them.
import webui.api as declare


class Content(declare.Params):
    """The picture whose look changes, and where."""

    image: str = declare.image(..., label="Picture", help="Its content stays; paint where it changes", mask="mask")
    mask: str | None = declare.image(label="Mask", help="White: where the style goes; empty: everywhere")


READY = {
    "strokes": "Brush strokes",
    "swirls": "Swirls",
    "cells": "Mosaic",
    "waves": "Waves",
    "hatching": "Hatching",
    "bricks": "Bricks",
    "dots": "Dots",
    "marble": "Marble",
    "clouds": "Clouds",
    "contours": "Contour lines",
    "stipple": "Stipple",
    "weave": "Weave",
    "drawn sketch": "Pencil sketch",
    "drawn watercolour": "Watercolour",
    "drawn pixel": "Pixel art",
    "drawn halftone": "Halftone print",
}
"""References that are drawn on the spot: textures, and manners of drawing."""
READY_SEED = 7
"""What the small pictures of the form were drawn with (scripts/ready_pictures.py)."""


class Referenced(declare.Params):
    """Whose look it takes."""

    references: tuple[str, ...] = declare.images(label="References", help="Pictures of the style", maximum=16)
    weights: str = declare.text(
        "", label="Weights", help="One number for each reference, such as 2, 1; empty: all the same", max_length=400
    )
    ready: str = declare.choice(
        "strokes", READY, label="Ready reference", help="Drawn where References is empty", pictures="ready"
    )
    ready_seed: int = declare.seed(
        READY_SEED, label="Its seed", help="Other colours and another drawing", advanced=True
    )


def _strength(default: float = 1.0, help: str = "0 leaves the picture as it is") -> Any:
    """The slider that every way of this tab has."""
    return declare.number(default, minimum=0.0, maximum=1.0, step=0.01, label="Strength", help=help)


class ColourParams(Referenced, Content):
    """Parameters of style.colour."""

    method: str = declare.choice(
        "reinhard",
        {
            "reinhard": "Mean and spread (Reinhard)",
            "covariance": "Covariance (linear optimal transport)",
            "histogram": "Histograms of the channels",
            "transport": "Sliced optimal transport",
        },
        label="Method",
        help="From the gentlest to the one that takes over every colour",
    )
    strength: float = _strength()
    keep_lightness: bool = declare.boolean(False, label="Keep lightness", help="Takes over hue and saturation alone")
    space: str = declare.choice(
        "lab",
        {"lab": "CIE L*a*b*", "opponent": "l alpha beta, as in Reinhard's paper", "rgb": "RGB"},
        label="Colour space",
        advanced=True,
    )
    steps: int = declare.integer(
        20,
        minimum=1,
        maximum=200,
        label="Steps",
        help="Of sliced transport: directions, three axes each",
        advanced=True,
    )
    seed: int = declare.seed(0, help="Of those directions, and of the pixels that are looked at", advanced=True)


KEEP_COLOUR = {"no": "No", "references": "Recolour the references first", "hue": "Keep hue, take lightness"}
"""Both ways of Gatys et al., Preserving Color in Neural Artistic Style Transfer, 2016."""


class Coloured(declare.Params):
    """Whose colours stay."""

    keep_colour: str = declare.choice("no", KEEP_COLOUR, label="Keep the picture's colours")


class Placed(declare.Params):
    """Which reference goes where."""

    masks: tuple[str, ...] = declare.images(
        label="Masks of the references",
        help="One for each, white where it goes; none: all go everywhere",
        advanced=True,
        maximum=16,
    )


def _side(default: int, label: str, help: str, **more: Any) -> Any:
    """The longer side of a picture in pixels."""
    return declare.integer(default, minimum=0, maximum=8192, step=8, label=label, help=help, **more)


def _encoder(help: str) -> Any:
    return declare.dynamic_choice("", "style_encoder", label="Encoder", help=help, advanced=True)


class AdainParams(Placed, Coloured, Referenced, Content):
    """Parameters of style.adain."""

    strength: float = _strength(help="Of the style; 0 draws the content as it is")
    side: int = _side(0, "Size", "Longer side of the result in pixels; 0: the picture's own")
    reference_side: int = _side(
        256, "Size of the references", "The smaller, the finer the strokes; 0: their own size", advanced=True
    )
    tile: int = declare.integer(
        512,
        minimum=0,
        maximum=4096,
        step=64,
        label="Tile",
        help="Edge in pixels of what is computed at once; 0: the whole. The result is the same",
        advanced=True,
    )


class GatysParams(Coloured, Referenced, Content):
    """Parameters of style.optimise."""

    strength: float = _strength(help="How much of what was found is laid over the picture")
    balance: float = declare.number(
        2.0,
        minimum=-2.0,
        maximum=5.0,
        step=0.1,
        label="Balance of style and content",
        help="As a power of ten: 2 weighs style a hundred times",
    )
    steps: int = declare.integer(60, minimum=1, maximum=2000, label="Steps")
    side: int = _side(256, "Size", "Longer side of what is searched; 0: the picture's own")
    reference_side: int = _side(256, "Size of the references", "0: their own size", advanced=True)
    way: str = declare.choice("lbfgs", {"lbfgs": "L-BFGS", "adam": "Adam"}, label="Optimizer", advanced=True)
    start: str = declare.choice(
        "content", {"content": "The picture", "noise": "Noise"}, label="Begin with", advanced=True
    )
    smoothness: float = declare.number(
        0.1, minimum=0.0, maximum=100.0, step=0.1, label="Smoothness", help="Total variation", advanced=True
    )
    encoder: str = _encoder("The starter's, or VGG-19 from models/vgg as torchvision publishes it")
    seed: int = declare.seed(0, help="Of the noise to begin with", advanced=True)


class ScoreParams(Referenced):
    """Parameters of style.score."""

    image: str = declare.image(..., label="Picture", help="The content")
    results: tuple[str, ...] = declare.images(label="Results", help="What was made of it", maximum=64)
    encoder: str = _encoder("What measures; empty: the starter's")


class ArtFidParams(declare.Params):
    """Parameters of style.artfid."""

    contents: str = declare.folder(label="Contents", help="A folder; a result is called as its content is")
    styles: str = declare.folder(label="Styles", help="A folder of pictures of the style")
    results: str = declare.folder(label="Results", help="A folder of what was made")
    network: str = declare.dynamic_choice(
        "",
        "feature_networks",
        label="Feature network",
        help="That hands out its layers; empty: the starter's, and the score is called by it",
    )


class EvaluateParams(declare.Params):
    """Parameters of style.evaluate."""

    samples: int = declare.integer(
        48, minimum=2, maximum=2000, label="Pictures", help="Held-out drawings, each with another held-out style"
    )
    width: int = declare.integer(128, minimum=64, maximum=1024, step=8, label="Size", help="In pixels")
    card: str = declare.text(
        "", label="Model card", help="Write the model card with these numbers to this file", advanced=True
    )
