"""What the forms of this tab take; light, read by the web process."""

from __future__ import annotations

from typing import Any

# The fields have the names of the functions that declare them.
import webui.api as declare


class Content(declare.Params):
    """The picture whose look changes, and where."""

    image: str = declare.image(
        ..., label="Picture", help="Its content stays; paint where to change it alone", mask="mask"
    )
    mask: str | None = declare.image(label="Mask", help="White: where the style goes; empty: everywhere")


class Referenced(declare.Params):
    """Whose look it takes."""

    references: tuple[str, ...] = declare.images(label="References", help="Pictures of the style", maximum=16)
    weights: str = declare.text(
        "", label="Weights", help="One number for each reference, such as 2, 1; empty: all the same", max_length=400
    )


def strength(default: float = 1.0, help: str = "0 leaves the picture as it is") -> Any:
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
    strength: float = strength()
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
