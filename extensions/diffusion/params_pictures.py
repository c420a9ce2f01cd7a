"""What the pipelines that begin with pictures can be asked; imports nothing heavy, as ``params`` does."""

from __future__ import annotations

# The fields have the names of the functions that declare them.
import webui.api as declare

from .params import SIZE_PRESETS, Batched, Computed, Drawn, Prompted, Sampled

RESIZE_MODES = {"stretch": "Stretch", "crop": "Crop", "fill": "Fill"}
"""How a picture meets another ratio of width to height: pulled to it, cut to it, or whole between drawn-out edges."""

_SIZE_HELP = "In pixels; empty: the picture's own"


class PictureSized(declare.Params):
    """The size of the result, where it is not the picture's own."""

    width: int | None = declare.size(label="Width", auto=None, help=_SIZE_HELP, presets=SIZE_PRESETS)
    height: int | None = declare.size(label="Height", auto=None, help=_SIZE_HELP)
    resize_mode: str = declare.choice(
        "crop",
        RESIZE_MODES,
        label="Resize",
        group="Picture",
        advanced=True,
        help="Where the ratio of the sides differs: stretch, cut the edges off, or draw them out",
    )


class Strength(declare.Params):
    """How far a picture may go from where it began."""

    strength: float = declare.number(
        0.75,
        minimum=0.0,
        maximum=1.0,
        step=0.01,
        label="Strength",
        help="0 leaves the picture as it is, 1 draws it anew; about strength x steps are drawn",
    )


class Source(declare.Params):
    """The picture to begin with."""

    image: str = declare.image(..., label="Picture", help="What the result begins with")


class Pictured(Drawn, Computed, Batched, Sampled, PictureSized, Strength, Prompted, Source):
    """What every pipeline that begins with a picture is asked. The bases stand in this order because fields do, from
    the last to the first.
    """


class Img2Img(Pictured):
    """Image to image."""

    model: str = declare.model(kind="text_to_image|image_to_image", help="Empty: the first model of this kind")
    images: tuple[str, ...] = declare.images(
        label="More pictures", group="Batch", advanced=True, help="Each becomes pictures of its own, as the first does"
    )
