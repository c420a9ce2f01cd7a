"""What the pipelines that take a style over without training can be asked; light, as ``params``."""

from __future__ import annotations

# The fields have the names of the functions that declare them.
import webui.api as declare

from .params import SIZE_PRESETS
from .params_adapters import Adapted

ALIGNED = (
    {
        "title": "Three people at night",
        "prompt": "a smiling person with long red hair and glasses, orange background, night\n"
        "a sad person with short black hair and a green shirt\n"
        "a laughing person with curly blond hair and a hat",
        "seed": 3,
    },
)


def _steps(default: int, help: str) -> int:
    field: int = declare.integer(default, minimum=2, maximum=200, label="Steps", help=help)
    return field


class Align(Adapted):
    """Parameters of diffusion.align."""

    prompt: str = declare.prompt(
        label="Prompts", help="One a line, a picture each; without a reference the first one sets the style", rows=4
    )
    image: str | None = declare.image(label="Reference", help="A picture whose style the others take")
    image_prompt: str = declare.text(
        "", label="What the reference shows", help="In words, with its style; the better said, the better it is kept"
    )
    negative_prompt: str = declare.prompt("", label="Negative prompt", rows=2, negative=True, advanced=True)
    weight: float = declare.number(
        1.0,
        minimum=0.0,
        maximum=4.0,
        step=0.05,
        label="Weight of the reference",
        help="How much its places count in the attention of the others",
    )
    normalised: bool = declare.boolean(
        True, label="Take over its statistics", help="Queries and keys are brought to the reference's", advanced=True
    )
    model: str = declare.model(kind="text_to_image", help="Empty: the first model of this kind")
    width: int | None = declare.size(
        label="Width", help="In pixels; empty: the model's own, else 512", presets=SIZE_PRESETS
    )
    height: int | None = declare.size(label="Height", help="In pixels; empty: the model's own, else 512")
    steps: int = _steps(20, "More are finer")
    guidance_scale: float | None = declare.number(
        None, minimum=1.0, maximum=30.0, step=0.1, auto=7.0, label="Guidance scale", help="Empty: the model's, else 7"
    )
    seed: int = declare.seed(help="-1 draws one at random; picture i of a job has seed + i")


class Inject(Adapted):
    """Parameters of diffusion.inject."""

    image: str = declare.image(..., label="Picture", help="Its content stays as it is")
    style_image: str = declare.image(..., label="Reference", help="Its style is taken over")
    preservation: float = declare.number(
        0.75,
        minimum=0.0,
        maximum=1.0,
        step=0.01,
        label="Keep the content",
        help="How far queries lean on the picture's own (gamma)",
    )
    temperature: float = declare.number(
        1.5,
        minimum=0.1,
        maximum=5.0,
        step=0.05,
        label="Temperature of attention",
        help="Above 1 it looks at fewer places of the reference, more sharply (tau)",
        advanced=True,
    )
    start: str = declare.choice(
        "own",
        {
            "own": "The reference's statistics, as strong as the picture's noise",
            "adain": "The picture's noise with the reference's statistics",
            "content": "The picture's noise",
        },
        label="Begin with",
        help="The second is the paper's; it draws blotches where the model does not know such references",
        advanced=True,
    )
    layers: str = declare.choice(
        "finer",
        {"finer": "The finer ones on the way up", "up": "All on the way up", "all": "All"},
        label="Layers",
        help="Which self-attention reads the reference",
        advanced=True,
    )
    model: str = declare.model(kind="text_to_image", help="Empty: the first model of this kind")
    width: int | None = declare.size(
        label="Width", auto=None, help="In pixels; empty: the picture's own", presets=SIZE_PRESETS
    )
    height: int | None = declare.size(label="Height", auto=None, help="In pixels; empty: the picture's own")
    steps: int = _steps(50, "Of DDIM, back to noise for both pictures and forth again; more keep more")
