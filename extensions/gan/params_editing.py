"""What directions, edits and projections take; light, read by the web process."""

from __future__ import annotations

from typing import Any

from webui.api import Params, boolean, choice, dynamic_choice, image, integer, model, number, seed, text

_LAYERS_HELP = "all, coarse, middle, fine, or numbers such as 0-3, 7"


def _model() -> Any:
    return model(kind="gan", label="Generator", help="A StyleGAN; some ways take a DCGAN or another generator too")


class DirectionsParams(Params):
    """Parameters of gan.directions."""

    model: str = _model()
    method: str = choice(
        "sefa",
        {
            "sefa": "SeFa: from the weights",
            "ganspace": "GANSpace: principal components",
            "svm": "InterFaceGAN: by examples",
        },
        label="Way to find them",
    )
    name: str = text("", label="Name", help="Under which they are kept for edits", max_length=64)
    count: int = integer(5, minimum=1, maximum=64, label="How many", help="Of SeFa and GANSpace")
    layers: str = text("all", label="Layers", help=f"Of SeFa: {_LAYERS_HELP}", max_length=200)
    points: int = integer(2000, minimum=16, maximum=100_000, label="Points", help="Of GANSpace and InterFaceGAN")
    attribute: str = text(
        "", label="Attribute", help="InterFaceGAN by a judge: head=value, such as avatar.glasses=round", max_length=200
    )
    judge: str = text("starter.judge", label="Judge", help="A feature network that classifies", max_length=100)
    positive: str = text("", label="Seeds that have it", help="InterFaceGAN by hand, such as 3, 8, 12", max_length=4000)
    negative: str = text("", label="Seeds that have it not", max_length=4000)
    seed: int = seed(help="Of the pictures that show them")
    samples: int = integer(2, minimum=1, maximum=8, label="Pictures", help="On the sheet of each direction")
    strength: float = number(
        3.0, minimum=0.1, maximum=50.0, step=0.1, label="Strength", help="At the ends of the sheet"
    )


def _direction(place: int) -> Any:
    return dynamic_choice(
        "", "gan.directions", label=f"Direction {place}", help="Found by the form Directions" if place == 1 else ""
    )


def _strength(place: int) -> Any:
    return number(0.0, minimum=-20.0, maximum=20.0, step=0.1, label=f"Strength {place}")


class EditParams(Params):
    """Parameters of gan.edit. Its seed stays while sliders move."""

    model: str = _model()
    seed: int = seed(0)
    samples: int = integer(1, minimum=1, maximum=64, label="Pictures")
    projection: str = dynamic_choice(
        "", "gan.projections", label="Projected picture", help="In place of seeds; made by the form Projection"
    )
    direction_1: str = _direction(1)
    strength_1: float = _strength(1)
    direction_2: str = _direction(2)
    strength_2: float = _strength(2)
    direction_3: str = _direction(3)
    strength_3: float = _strength(3)
    layers: str = text("all", label="Layers", help=_LAYERS_HELP, max_length=200)
    steps: int = integer(1, minimum=1, maximum=15, label="Columns", help="More than 1: a strip from none to all of it")
    truncation: float = number(0.7, minimum=0.0, maximum=2.0, step=0.05, label="Truncation psi")
    class_label: str = text("", label="Class", max_length=200)


class ProjectParams(Params):
    """Parameters of gan.project."""

    image: str = image(..., label="Picture", help="Its middle square; cut it as the training pictures were")
    model: str = _model()
    name: str = text(
        "", label="Name", help="Under which it is kept for edits and walks; empty keeps nothing", max_length=64
    )
    space: str = choice("w+", {"w": "W: closer to what it draws", "w+": "W+: closer to the picture"}, label="Space")
    steps: int = integer(500, minimum=1, maximum=10_000, label="Steps", help="1000 in the paper")
    network: str = text(
        "starter.judge",
        label="Network of the distance",
        help="A feature network that hands out its layers",
        max_length=100,
    )
    pixels: float = number(1.0, minimum=0.0, maximum=100.0, step=0.1, label="Weight of pixels")
    noise: bool = boolean(
        False, label="Noise too", help="StyleGAN 1 and 2: fine detail goes into noise, which edits do not keep"
    )
    seed: int = seed()
