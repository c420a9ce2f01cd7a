"""What the forms that draw anew by diffusion models take; light, read by the web process."""

from __future__ import annotations

from typing import Any

# The fields have the names of the functions that declare them.
import webui.api as declare


def _steps() -> Any:
    return declare.integer(
        None, minimum=1, maximum=500, auto=20, label="Steps", help="Empty: the model's own, else 20", advanced=True
    )


def _guidance() -> Any:
    return declare.number(
        None, minimum=1.0, maximum=30.0, step=0.1, auto=7.0, label="Guidance", help="Empty: the model's", advanced=True
    )


class RedrawParams(declare.Params):
    """Parameters of style.redraw."""

    image: str = declare.image(..., label="Picture", help="What is redrawn")
    look: str = declare.dynamic_choice(
        "", "lora", label="Look", help="A LoRA of a style, from models/loras; empty: the starter's watercolour"
    )
    weight: float = declare.number(1.0, minimum=0.0, maximum=2.0, step=0.05, label="Weight")
    strength: float = declare.number(
        0.5, minimum=0.05, maximum=1.0, step=0.05, label="Strength", help="How far it may go from the picture"
    )
    prompt: str = declare.prompt(
        "", label="Prompt", help="What is in the picture; unsaid, hair and face may change", rows=2
    )
    blocks: str = declare.choice(
        "all",
        {"all": "All", "style": "Style alone", "content": "Content alone"},
        label="Layers of the LoRA",
        help="B-LoRA, for SDXL: style and content stand in one block each",
        advanced=True,
    )
    model: str = declare.model(kind="text_to_image|image_to_image", help="Empty: the first model of this kind")
    steps: int | None = _steps()
    guidance_scale: float | None = _guidance()
    seed: int = declare.seed()


class ReferenceParams(declare.Params):
    """Parameters of style.reference."""

    references: tuple[str, ...] = declare.images(label="References", help="Pictures of the style", maximum=16)
    prompt: str = declare.prompt("", label="Prompt", help="What is drawn in their style", rows=2)
    image: str | None = declare.image(label="Picture", help="What to begin with; empty: from the prompt alone")
    strength: float = declare.number(
        0.75, minimum=0.05, maximum=1.0, step=0.05, label="Strength", help="How far it may go from the picture"
    )
    adapter: str = declare.dynamic_choice(
        "", "ip_adapter", label="IP-Adapter", help="From models/ipadapter; empty: the first that is there"
    )
    layers: str = declare.choice(
        "style",
        {
            "style": "Style alone",
            "composition": "Composition alone",
            "style and composition": "Style and composition",
            "all": "All",
        },
        label="What is taken over",
        help="Which attention layers see the references (InstantStyle)",
    )
    weight: float = declare.number(1.0, minimum=0.0, maximum=2.0, step=0.05, label="Weight")
    model: str = declare.model(kind="text_to_image|image_to_image", help="Empty: the first model of this kind")
    steps: int | None = _steps()
    guidance_scale: float | None = _guidance()
    seed: int = declare.seed()


INSTRUCTIONS = {
    "watercolour": "make it a watercolour",
    "sketch": "make it a pencil sketch",
    "pixel": "make it pixel art",
    "halftone": "make it a halftone print",
    "own": "",
}
"""Ready words for models that edit by instruction."""


class InstructParams(declare.Params):
    """Parameters of style.instruct."""

    image: str = declare.image(..., label="Picture", help="What is restyled")
    look: str = declare.choice(
        "watercolour",
        {
            "watercolour": "Watercolour",
            "sketch": "Pencil sketch",
            "pixel": "Pixel art",
            "halftone": "Halftone print",
            "own": "My own words",
        },
        label="Look",
    )
    prompt: str = declare.prompt("", label="Instruction", help="In place of the look's own words", rows=2)
    model: str = declare.model(
        kind="image_to_image|text_to_image", help="FLUX Kontext, Qwen-Image-Edit, InstructPix2Pix; empty: the first"
    )
    image_guidance_scale: float | None = declare.number(
        None, minimum=0.0, maximum=10.0, step=0.1, auto=1.5, label="Picture guidance", advanced=True
    )
    steps: int | None = _steps()
    guidance_scale: float | None = _guidance()
    seed: int = declare.seed()
