"""What the pipelines take, declared once; light, read by the web process."""

from __future__ import annotations

from typing import Any

from webui.api import Params, boolean, choice, dynamic_choices, image, integer, model, number, prompt, seed, text

NOISE = {"const": "Fixed", "random": "Drawn with the seed", "none": "None"}
_PSI_HELP = "Nearer to the mean: less varied, more typical; 1 leaves everything as it is drawn"
_CLASS_HELP = "Number or name, where the model has classes; empty draws one for each picture"
_FILES_HELP = (
    "From models/gan: StyleGAN2-ADA and StyleGAN3 .pkl, StyleGAN2 .pt, BigGAN-deep, DCGAN .pth, our own safetensors"
)
_CODES_HELP = (
    "From models/gan: .ckpt of taming-transformers with its .yaml, our own safetensors; to draw, it needs a prior"
)


def _model() -> Any:
    return model(kind="gan", label="Generator", help=_FILES_HELP)


def _psi(default: float = 0.7) -> Any:
    return number(default, minimum=0.0, maximum=2.0, step=0.05, label="Truncation psi", help=_PSI_HELP)


def _class() -> Any:
    return text("", label="Class", help=_CLASS_HELP, max_length=200)


def _noise() -> Any:
    return choice(
        "const", NOISE, label="Noise", help="Fine detail of StyleGAN 1 and 2", group="Generator", advanced=True
    )


def _cutoff() -> Any:
    return integer(
        0,
        minimum=0,
        maximum=64,
        label="Truncated layers",
        help="StyleGAN: how many of the first layers are truncated; 0 is all",
        group="Generator",
        advanced=True,
    )


class SampleParams(Params):
    """Parameters of gan.sample."""

    model: str = _model()
    samples: int = integer(4, minimum=1, maximum=1000, label="Pictures")
    seed: int = seed(help="Of the first picture, the next has the next; -1 draws one at random")
    truncation: float = _psi()
    class_label: str = _class()
    grid: bool = boolean(False, label="Grid", help="All of them on one sheet too")
    cutoff: int = _cutoff()
    noise: str = _noise()
    batch_size: int = integer(
        8, minimum=1, maximum=64, label="At once", help="On a graphics card", group="Generator", advanced=True
    )


class TruncationParams(Params):
    """Parameters of gan.truncation."""

    model: str = _model()
    samples: int = integer(3, minimum=1, maximum=32, label="Rows", help="One seed a row")
    seed: int = seed()
    psi_values: str = text("0, 0.25, 0.5, 0.7, 0.85, 1", label="Values of psi", max_length=500)
    class_label: str = _class()
    cutoff: int = _cutoff()
    noise: str = _noise()


class WalkParams(Params):
    """Parameters of gan.walk."""

    model: str = _model()
    seed: int = seed()
    keyframes: int = integer(5, minimum=2, maximum=200, label="Keyframes", help="Pictures that it passes")
    seeds: str = text("", label="Their seeds", help="Such as 3, 8, 12; empty is from the seed on", max_length=4000)
    through: tuple[str, ...] = dynamic_choices(
        "gan.projections", label="Projected pictures", help="Two or more in place of seeds; made by the form Projection"
    )
    seconds: float = number(
        1.5, minimum=0.1, maximum=30.0, step=0.1, label="Seconds between keyframes", help="Of a circle: for all of it"
    )
    fps: int = integer(24, minimum=1, maximum=60, label="Frames a second")
    path: str = choice(
        "auto",
        {
            "auto": "Automatic",
            "linear": "Straight",
            "slerp": "Spherical",
            "spline": "Spline",
            "circle": "Circle",
        },
        label="Path",
        help="Automatic: a spline in W, spherical in Z. A circle needs the first two keyframes alone",
    )
    space: str = choice("auto", {"auto": "Automatic", "w": "W", "z": "Z"}, label="Space")
    loop: bool = boolean(True, label="Loop", help="The last keyframe leads back to the first")
    film: str = choice("mp4", {"mp4": "MP4", "gif": "GIF", "png": "APNG", "webp": "WebP"}, label="File")
    truncation: float = _psi()
    class_label: str = text(
        "", label="Classes", help="One for all keyframes, or one for each, such as 207, 8", max_length=1000
    )
    size: int = integer(
        0,
        minimum=0,
        maximum=2048,
        label="Edge",
        help="In pixels, smoothly scaled; 0 is the generator's own",
        group="Generator",
        advanced=True,
    )
    cutoff: int = _cutoff()
    noise: str = choice(
        "const",
        {"const": "Fixed", "none": "None"},
        label="Noise",
        help="Fine detail of StyleGAN 1 and 2",
        group="Generator",
        advanced=True,
    )


class MixParams(Params):
    """Parameters of gan.mix."""

    model: str = _model()
    seed: int = seed(help="Of the first row; the next have the next")
    rows: int = integer(3, minimum=1, maximum=16, label="Rows", help="Whose pictures are changed")
    columns: int = integer(4, minimum=1, maximum=16, label="Columns", help="Whose styles are taken")
    row_seeds: str = text("", label="Seeds of the rows", help="Such as 3, 8; empty is from the seed on", max_length=500)
    column_seeds: str = text("", label="Seeds of the columns", max_length=500)
    layers: str = text(
        "coarse",
        label="Layers of the columns' styles",
        help="coarse, middle, fine, or numbers such as 0-3, 7",
        max_length=200,
    )
    truncation: float = _psi()
    class_label: str = _class()
    noise: str = _noise()


class ClassesParams(Params):
    """Parameters of gan.classes."""

    model: str = _model()
    classes: str = text(
        "0, 1", label="Classes", help="Numbers or names, with commas; the way goes from each to the next"
    )
    steps: int = integer(5, minimum=2, maximum=32, label="Steps from one to the next")
    samples: int = integer(3, minimum=1, maximum=32, label="Rows", help="One seed a row")
    seed: int = seed()
    truncation: float = _psi()


class CodesParams(Params):
    """Parameters of gan.complete."""

    model: str = model(kind="vqgan", label="VQGAN", help=_CODES_HELP)
    image: str | None = image(None, label="Picture", help="To be completed; empty draws all of it")
    kept: float = number(
        0.5, minimum=0.0, maximum=1.0, label="Kept from above", help="Share of the rows; 1 only encodes and decodes"
    )
    class_label: str = _class()
    prompt: str = prompt("", label="Text", help="Where the prior reads texts", rows=2, tokens=False)
    samples: int = integer(4, minimum=1, maximum=256, label="Pictures")
    seed: int = seed()
    temperature: float = number(1.0, minimum=0.05, maximum=3.0, step=0.05, label="Temperature")
    top_k: int = integer(100, minimum=0, maximum=20_000, label="Top k", help="The likeliest codes alone; 0 is all")
    top_p: float = number(
        1.0, minimum=0.0, maximum=1.0, label="Top p", help="The fewest codes that reach this probability"
    )


class ConvertParams(Params):
    """Parameters of gan.convert."""

    model: str = model(kind="gan|vqgan", label="Model")
    half: bool = boolean(False, label="In 16 bits", help="Half the size; refused where a value does not fit")
