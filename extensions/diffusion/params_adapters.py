"""What can be attached to a model for the time of a job, as forms read it; imports nothing heavy."""

from __future__ import annotations

from typing import Any, TypeVar

# The fields have the names of the functions that declare them.
import webui.api as declare

SEAMLESS = {"none": "No", "both": "Both ways", "x": "Left to right", "y": "Top to bottom"}

LORA_ROWS = 3
"""Rows of the form; a prompt may name any number besides, as ``<lora:name:0.8>``."""


def _lora(row: int) -> str:
    field: str = declare.dynamic_choice(
        "",
        "lora",
        label=f"LoRA {row}",
        group="LoRA",
        advanced=True,
        help="From models/loras; more may stand in the prompt, as <lora:name:0.8>" if row == 1 else "",
    )
    return field


def _lora_weight(row: int) -> float:
    field: float = declare.number(
        1.0, minimum=-4.0, maximum=4.0, step=0.05, label=f"Weight of LoRA {row}", group="LoRA", advanced=True
    )
    return field


LORA_BLOCKS = {"all": "All", "style": "Style alone", "content": "Content alone"}
"""Which of their layers count."""

CONTROL_UNITS = 2
CONTROL_KINDS = "controlnet|t2i_adapter"
PREPROCESSORS = {
    "none": "None",
    "canny": "Canny edges",
    "lineart": "Lines",
    "sketch": "Lines, dark",
    "tile": "Tile",
    "grey": "Grey",
    "invert": "Invert",
    "depth": "Depth",
    "pose": "Pose",
}
"""What a control picture goes through; depth and pose by a network of the user's."""

_CONTROL: dict[str, Any] = {"group": "ControlNet", "advanced": True}


def _control_model(row: int) -> Any:
    help_ = "From models/controlnet or models/t2i_adapter" if row == 1 else ""
    return declare.dynamic_choice("", CONTROL_KINDS, label=f"ControlNet {row}", help=help_, **_CONTROL)


def _control_image(row: int) -> Any:
    return declare.image(label=f"Control picture {row}", help="Empty: the picture to begin with", **_CONTROL)


def _control_way(row: int) -> Any:
    return declare.choice("none", PREPROCESSORS, label=f"Preprocessor {row}", **_CONTROL)


def _control_number(row: int, default: float, label: str, maximum: float = 1.0) -> Any:
    return declare.number(default, minimum=0.0, maximum=maximum, step=0.05, label=f"{label} {row}", **_CONTROL)


CONTROL_MAPS = {
    "auto": "By the preprocessor",
    "lines": "Lines",
    "depth": "Depth",
    "pose": "Pose",
    "soft": "Soft edges",
    "normal": "Normals",
    "segments": "Segments",
    "tile": "Tile",
    "repaint": "Repaint",
    "blur": "Blur",
    "grey": "Grey",
    "poor": "Poor quality",
}
"""Kinds of maps that a network may take several of."""


def _control_map(row: int) -> Any:
    help_ = "For a network of several kinds (union)" if row == 1 else ""
    return declare.choice("auto", CONTROL_MAPS, label=f"Kind of map {row}", help=help_, **_CONTROL)


class Controlled(declare.Params):
    """Networks that hold a picture to the lines, depths or poses of another."""

    control_annotator: str = declare.dynamic_choice(
        "",
        "annotator",
        label="Network for depth or pose",
        help="From models/annotators; empty: the first that does what the preprocessor asks",
        **_CONTROL,
    )
    control_1_model: str = _control_model(1)
    control_1_image: str | None = _control_image(1)
    control_1_preprocessor: str = _control_way(1)
    control_1_kind: str = _control_map(1)
    control_1_weight: float = _control_number(1, 1.0, "Control weight", 2.0)
    control_1_start: float = _control_number(1, 0.0, "Control from")
    control_1_end: float = _control_number(1, 1.0, "Control to")
    control_2_model: str = _control_model(2)
    control_2_image: str | None = _control_image(2)
    control_2_preprocessor: str = _control_way(2)
    control_2_kind: str = _control_map(2)
    control_2_weight: float = _control_number(2, 1.0, "Control weight", 2.0)
    control_2_start: float = _control_number(2, 0.0, "Control from")
    control_2_end: float = _control_number(2, 1.0, "Control to")


IMAGE_PROMPTS = 2
IMAGE_PROMPT_BLOCKS = {
    "all": "All",
    "style": "Style alone",
    "composition": "Composition alone",
    "style and composition": "Style and composition",
}
"""Which attention layers see the pictures."""

_IMAGE_PROMPT: dict[str, Any] = {"group": "Image prompt", "advanced": True}


def _prompt_model(row: int) -> Any:
    help_ = "From models/ipadapter, or Redux; its image encoder beside it or in models/clip_vision" if row == 1 else ""
    return declare.dynamic_choice("", "ip_adapter", label=f"IP-Adapter {row}", help=help_, **_IMAGE_PROMPT)


def _prompt_images(row: int) -> Any:
    return declare.images(label=f"Image prompt {row}", maximum=16, **_IMAGE_PROMPT)


def _prompt_number(row: int, default: float, label: str, maximum: float = 1.0) -> Any:
    return declare.number(default, minimum=0.0, maximum=maximum, step=0.05, label=f"{label} {row}", **_IMAGE_PROMPT)


def _prompt_mask(row: int) -> Any:
    help_ = "White: where its pictures count" if row == 1 else ""
    return declare.image(label=f"Image prompt mask {row}", help=help_, **_IMAGE_PROMPT)


def _prompt_blocks(row: int) -> Any:
    help_ = "Which layers see its pictures" if row == 1 else ""
    return declare.choice("all", IMAGE_PROMPT_BLOCKS, label=f"Image prompt layers {row}", help=help_, **_IMAGE_PROMPT)


class ImagePrompted(declare.Params):
    """Pictures that say what is drawn, beside the prompt."""

    image_prompt_1_model: str = _prompt_model(1)
    image_prompt_1_images: tuple[str, ...] = _prompt_images(1)
    image_prompt_1_weight: float = _prompt_number(1, 1.0, "Image prompt weight", 2.0)
    image_prompt_1_start: float = _prompt_number(1, 0.0, "Image prompt from")
    image_prompt_1_end: float = _prompt_number(1, 1.0, "Image prompt to")
    image_prompt_1_mask: str | None = _prompt_mask(1)
    image_prompt_1_blocks: str = _prompt_blocks(1)
    image_prompt_2_model: str = _prompt_model(2)
    image_prompt_2_images: tuple[str, ...] = _prompt_images(2)
    image_prompt_2_weight: float = _prompt_number(2, 1.0, "Image prompt weight", 2.0)
    image_prompt_2_start: float = _prompt_number(2, 0.0, "Image prompt from")
    image_prompt_2_end: float = _prompt_number(2, 1.0, "Image prompt to")
    image_prompt_2_mask: str | None = _prompt_mask(2)
    image_prompt_2_blocks: str = _prompt_blocks(2)
    image_prompt_encoder: str = declare.dynamic_choice(
        "",
        "image_encoder",
        label="Image encoder",
        help="Empty: the one that fits, beside the adapter or among the models",
        **_IMAGE_PROMPT,
    )


class Adapted(declare.Params):
    """What is attached to the model for the time of a job."""

    lora_1: str = _lora(1)
    lora_1_weight: float = _lora_weight(1)
    lora_2: str = _lora(2)
    lora_2_weight: float = _lora_weight(2)
    lora_3: str = _lora(3)
    lora_3_weight: float = _lora_weight(3)
    lora_blocks: str = declare.choice(
        "all", LORA_BLOCKS, label="Layers of LoRAs", group="LoRA", advanced=True, help="B-LoRA: style or content alone"
    )
    vae: str = declare.dynamic_choice(
        "",
        "vae",
        label="VAE",
        group="Model",
        advanced=True,
        help="From models/vae; decodes in place of the model's own",
    )
    seamless: str = declare.choice(
        "none", SEAMLESS, label="Seamless", group="Model", advanced=True, help="The edges fit each other, for tiles"
    )


_Any = TypeVar("_Any", bound=declare.Params)


def bare(params: _Any) -> _Any:
    """``params`` with nothing attached; how a picture is drawn stays."""
    kinds = (Controlled, ImagePrompted, Adapted)
    fields = {name: field.default for kind in kinds for name, field in kind.model_fields.items()}
    fields = {name: value for name, value in fields.items() if name not in ("seamless", "vae")}
    return params.model_copy(update={name: value for name, value in fields.items() if hasattr(params, name)})


def attaches(params: declare.Params) -> bool:
    """Whether anything is attached by the form's rows."""
    names = [f"lora_{row}" for row in range(1, LORA_ROWS + 1)]
    names += [f"control_{row}_model" for row in range(1, CONTROL_UNITS + 1)]
    names += [f"image_prompt_{row}_model" for row in range(1, IMAGE_PROMPTS + 1)]
    return any(getattr(params, name, "") for name in names)
