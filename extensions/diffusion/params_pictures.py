"""What the pipelines that begin with pictures can be asked; imports nothing heavy, as ``params`` does."""

from __future__ import annotations

# The fields have the names of the functions that declare them.
import webui.api as declare

from .params import SIZE_PRESETS, Drawn, Made, Prompted

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


class Pictured(Drawn, Made, PictureSized, Strength, Prompted, Source):
    """What every pipeline that begins with a picture is asked. The bases stand in this order because fields do, from
    the last to the first.
    """


class Img2Img(Pictured):
    """Image to image."""

    model: str = declare.model(kind="text_to_image|image_to_image", help="Empty: the first model of this kind")
    images: tuple[str, ...] = declare.images(
        label="More pictures", group="Batch", advanced=True, help="Each becomes pictures of its own, as the first does"
    )


MASK_BY = {"painted": "Paint or file", "colour": "Colour", "transparency": "Transparency"}
MASKED_CONTENT = {"original": "Original", "fill": "Fill", "noise": "Noise", "nothing": "Nothing"}
"""What stands under the mask before anything is drawn."""

_SIDE_MAX_PX = 2048


class Masked(declare.Params):
    """Where a picture may change."""

    mask: str | None = declare.image(label="Mask", help="White: what may change")
    mask_blur: int = declare.integer(
        4, minimum=0, maximum=64, label="Mask blur", group="Mask", help="Over how many pixels beyond the mask it fades"
    )
    only_masked: bool = declare.boolean(
        False, label="Only masked", group="Mask", help="Draws the region around the mask alone, at full detail"
    )
    padding: int = declare.integer(
        32,
        minimum=0,
        maximum=512,
        label="Padding",
        group="Mask",
        help="Pixels around the mask that Only masked draws too",
    )
    mask_file: str | None = declare.image(
        label="Mask from a file", group="Mask", advanced=True, help="White: what may change; added to what is painted"
    )
    mask_by: str = declare.choice(
        "painted", MASK_BY, label="Masked is", group="Mask", advanced=True, help="A colour, or transparent places, too"
    )
    mask_colour: str = declare.colour("#00ff00", label="Masked colour", group="Mask", advanced=True)
    mask_tolerance: int = declare.integer(
        32,
        minimum=0,
        maximum=255,
        label="Tolerance",
        group="Mask",
        advanced=True,
        help="How far a channel may be from that colour",
    )
    mask_invert: bool = declare.boolean(
        False, label="Invert the mask", group="Mask", advanced=True, help="Changes what is not masked"
    )
    mask_grow: int = declare.integer(
        0, minimum=-64, maximum=64, label="Grow the mask", group="Mask", advanced=True, help="In pixels"
    )


class Uncovered(declare.Params):
    """What the mask covers is drawn with no regard to what was there, and so can be what lies beyond the edges."""

    masked_content: str = declare.choice(
        "original", MASKED_CONTENT, label="Masked content", group="Mask", help="What stands under the mask at first"
    )
    outpaint_left: int = declare.integer(
        0, minimum=0, maximum=_SIDE_MAX_PX, step=8, label="Left", group="Outpaint", help="Pixels to add on this side"
    )
    outpaint_right: int = declare.integer(
        0, minimum=0, maximum=_SIDE_MAX_PX, step=8, label="Right", group="Outpaint", help="Pixels to add on this side"
    )
    outpaint_top: int = declare.integer(
        0, minimum=0, maximum=_SIDE_MAX_PX, step=8, label="Top", group="Outpaint", help="Pixels to add on this side"
    )
    outpaint_bottom: int = declare.integer(
        0, minimum=0, maximum=_SIDE_MAX_PX, step=8, label="Bottom", group="Outpaint", help="Pixels to add on this side"
    )


class Inpaint(Pictured, Drawn, Made, PictureSized, Uncovered, Masked, Strength, Prompted, Source):
    """Inpainting and outpainting: the picture changes under the mask alone."""

    image: str = declare.image(
        ..., label="Picture", help="Put a picture in, then paint over what should change", mask="mask"
    )
    model: str = declare.model(kind="text_to_image|inpaint", help="Empty: the first model of this kind")


class Blended(declare.Params):
    """The second picture of a mixture."""

    other: str = declare.image(..., label="Other picture", help="What is mixed in under the mask, in the same place")
    amount: float = declare.number(
        1.0, minimum=0.0, maximum=1.0, step=0.05, label="Amount", help="Of the other picture, in the latents"
    )


class Blend(Pictured, Drawn, Made, PictureSized, Masked, Strength, Prompted, Blended, Source):
    """Two pictures mixed in latents under a mask."""

    image: str = declare.image(..., label="Picture", help="Paint over where the other is mixed in", mask="mask")
    prompt: str = declare.prompt(
        label="Prompt", help="What the mixture shows; it may be empty", syntax="diffusion.prompt"
    )
    strength: float = declare.number(
        0.4,
        minimum=0.0,
        maximum=1.0,
        step=0.01,
        label="Strength",
        help="The share of the steps in which the mixture is drawn together; 1 draws it anew",
    )
    model: str = declare.model(kind="text_to_image|image_to_image", help="Empty: the first model of this kind")


class Edit(Drawn, Made, PictureSized, Prompted, Source):
    """Editing by instruction."""

    image: str = declare.image(..., label="Picture", help="What is edited")
    prompt: str = declare.prompt(label="Instruction", help="What to change", placeholder="Make the hair green")
    model: str = declare.model(kind="image_to_image|text_to_image", help="Empty: the first model made for editing")
    image_guidance_scale: float | None = declare.number(
        None,
        minimum=0.0,
        maximum=10.0,
        step=0.1,
        label="Picture guidance",
        auto=1.5,
        help="How closely the result keeps to the picture; empty: the model's own, else 1.5",
    )


class Reword(declare.Params):
    """Prompt-to-prompt on a picture that is there."""

    image: str = declare.image(..., label="Picture", help="Paint over what alone may change", mask="mask")
    mask: str | None = declare.image(None, label="Mask", help="White: what alone may change; empty: all of it")
    before: str = declare.prompt(
        label="What it shows", help="In the words that the model knows; the closer, the better", rows=2
    )
    prompt: str = declare.prompt(
        label="What it should show", help="The same words, with some changed, added or left out", rows=2
    )
    negative_prompt: str = declare.prompt(
        label="Negative prompt", help="Empty: what the picture shows, which keeps the rest best", rows=2, negative=True
    )
    model: str = declare.model(kind="text_to_image", help="Stable Diffusion 1, 2, XL or the starter; empty: the first")
    steps: int = declare.integer(30, minimum=1, maximum=200, label="Steps", help="As many down as up")
    guidance_scale: float | None = declare.number(
        None,
        minimum=0.0,
        maximum=30.0,
        step=0.1,
        label="Guidance scale",
        auto=7.0,
        help="How far away from the words before; empty: the model's own, else 7",
    )
    cross_keep: float = declare.number(
        0.8,
        minimum=0.0,
        maximum=1.0,
        step=0.05,
        label="Words keep their places for",
        help="The share of the steps in which words attend to where the old ones did; less lets shapes change",
    )
    self_keep: float = declare.number(
        0.4,
        minimum=0.0,
        maximum=1.0,
        step=0.05,
        label="Layout is kept for",
        help="The share of the steps in which places attend to one another as before; less lets more change",
    )
    emphasis: str = declare.text(
        "", label="Emphasis", help="Words of the new text and factors, such as blue: 2, hat: 0.5", max_length=500
    )
    refinements: int = declare.integer(
        1,
        minimum=0,
        maximum=8,
        label="Refinements of the inversion",
        advanced=True,
        help="Each asks the model once more a step, and loses less",
    )
    corrected: bool = declare.boolean(
        True, label="Correct the inversion", advanced=True, help="The same words then give the same picture, exactly"
    )
    measured: bool = declare.boolean(
        False, label="Measure the inversion", advanced=True, help="By drawing it once more with the words before"
    )
    edge: int | None = declare.size(
        None, label="Longer side", auto=None, help="To work at, in pixels; empty: as it suits the model"
    )


class Variation(Drawn, Made, PictureSized, Prompted, Source):
    """Variations of a picture."""

    image: str = declare.image(..., label="Picture", help="What the results are like")
    model: str = declare.model(
        kind="text_to_image|image_to_image",
        help="Stable unCLIP and Stable Diffusion for image variations read the picture as others read a prompt, all "
        "others draw it over; empty: the first model",
    )
    prompt: str = declare.prompt(
        label="Prompt",
        help="What the picture shows, or should show besides; it may be empty",
        syntax="diffusion.prompt",
    )
    strength: float = declare.number(
        0.55,
        minimum=0.0,
        maximum=1.0,
        step=0.01,
        label="Strength",
        help="How far models may go that draw the picture over",
    )
    noise_level: int = declare.integer(
        0,
        minimum=0,
        maximum=999,
        label="Noise over what is seen",
        help="How far unCLIP may go: noise over what it sees of the picture",
    )
    batch_count: int = declare.integer(
        4, minimum=1, maximum=100, label="Batch count", group="Batch", help="How many such batches"
    )


class Upscale(declare.Params):
    """Larger pictures by an upscaler network."""

    image: str = declare.image(..., label="Picture", help="What is made larger")
    images: tuple[str, ...] = declare.images(
        label="More pictures", group="Batch", advanced=True, help="Each becomes a picture of its own, as the first does"
    )
    upscaler: str = declare.model(kind="upscaler", label="Upscaler", help="Empty: the first upscaler")
    scale: float = declare.number(
        0.0, minimum=0.0, maximum=8.0, step=0.05, label="Scale", help="How many times as large; 0: as the upscaler does"
    )
    tile: int = declare.integer(
        512,
        minimum=0,
        maximum=4096,
        step=16,
        label="Tile",
        group="Tiles",
        advanced=True,
        help="Edge of a tile in pixels; smaller takes less memory, 0: the picture whole",
    )
    overlap: int = declare.integer(
        32, minimum=16, maximum=256, step=8, label="Overlap", group="Tiles", advanced=True, help="In pixels"
    )
