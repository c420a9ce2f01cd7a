"""What the pipelines of restoration take, declared once; light, read by the web process."""

from __future__ import annotations

from typing import Any

from webui import api as declare
from webui.api import Params

from .recognise import ANY


def _step(on: bool, label: str, group: str, help: str = "") -> Any:
    return declare.boolean(on, label=label, group=group, help=help)


def _strength(value: float, label: str, group: str, help: str = "") -> Any:
    return declare.number(value, minimum=0, maximum=1, step=0.05, label=label, group=group, help=help)


def _network(label: str, group: str, help: str) -> Any:
    return declare.dynamic_choice("", ANY, label=label, group=group, advanced=True, help=help)


_MENDING, _CLEANING, _COLOUR, _SIZE = "Scratches and creases", "Noise, JPEG and blur", "Colours", "Faces and size"


class RestoreParams(Params):
    """The steps in the order in which they run, each on or off with its own strength."""

    image: str = declare.image(..., label="Picture", help="Old or damaged; paint what is to be filled", mask="mask")
    mask: str | None = declare.image(
        label="Mask", help="What is painted is filled in, beside the scratches that are found"
    )
    scratches: bool = _step(False, "Find and fill scratches", _MENDING)
    scratches_strength: float = _strength(
        0.5,
        "How much counts as a scratch",
        _MENDING,
        "More finds fainter lines, and takes more of the picture with them",
    )
    scratches_by: str = declare.choice(
        "network", {"network": "A network", "lines": "Thin bright and dark lines"}, label="Found by", group=_MENDING
    )
    filling: str = declare.choice(
        "telea",
        {"telea": "Telea's marching", "ns": "Navier-Stokes", "model": "Your network"},
        label="Filled by",
        group=_MENDING,
        help="Yours is chosen under Advanced",
    )
    filling_model: str = _network("Network that fills", _MENDING, "Such as LaMa, in models/restoration")
    denoise: bool = _step(True, "Remove noise", _CLEANING)
    denoise_strength: float = _strength(0.4, "Noise there is", _CLEANING)
    dejpeg: bool = _step(True, "Remove JPEG marks", _CLEANING)
    dejpeg_strength: float = _strength(0.4, "JPEG marks there are", _CLEANING)
    deblur: bool = _step(False, "Sharpen what is blurred", _CLEANING)
    deblur_strength: float = _strength(0.4, "Blur there is", _CLEANING)
    cleaned_by: str = declare.choice(
        "network",
        {"network": "A network", "classical": "Classical filters", "model": "Your network"},
        label="Cleaned by",
        group=_CLEANING,
        help="Yours, chosen under Advanced, does its own task, whichever of the three is on",
    )
    cleaning_model: str = _network("Network that cleans", _CLEANING, "Any restoration network that spandrel reads")
    fading: bool = _step(False, "Mend fading", _COLOUR, "Stretches each colour to its full range")
    fading_strength: float = _strength(0.7, "Strength of mending", _COLOUR)
    contrast: float = _strength(0.0, "Local contrast", _COLOUR, "CLAHE on the lightness")
    colourize: bool = _step(
        False, "Colourize", _COLOUR, "The lightness stays; colours that are there are taken off first"
    )
    colourize_strength: float = _strength(1.0, "Strength of the colours", _COLOUR)
    hints: str | None = declare.image(
        label="Coloured hints",
        group=_COLOUR,
        help="The same picture with strokes of colour on it: those places get them",
    )
    faces: bool = _step(False, "Restore faces", _SIZE, "By a face network such as GFPGAN, which you bring")
    faces_strength: float = _strength(0.8, "Share of the restored face", _SIZE)
    faces_model: str = _network("Network of faces", _SIZE, "GFPGAN or RestoreFormer, in models/restoration")
    upscale: str = declare.choice("1", {"1": "As it is", "2": "Twice", "4": "Four times"}, label="Size", group=_SIZE)
    upscaler: str = declare.dynamic_choice(
        "", "upscaler", label="Upscaler", group=_SIZE, advanced=True, help="Empty: the first"
    )
    tile: int = declare.integer(
        512, minimum=0, maximum=4096, step=16, label="Tile", advanced=True, help="In pixels; 0: whole"
    )
    before: bool = declare.boolean(
        False,
        label="Give the picture before as well",
        help="As a file of the result's size; Before and after shows it without",
    )


class DegradeParams(Params):
    """How much of each kind of damage."""

    image: str = declare.image(..., label="Picture")
    noise: float = declare.number(
        0.3, minimum=0, maximum=1, step=0.05, label="Noise", help="1: a deviation of 0.15 of the range"
    )
    jpeg: float = declare.number(0.3, minimum=0, maximum=1, step=0.05, label="JPEG marks", help="0: none, 1: quality 8")
    blur: float = declare.number(0.0, minimum=0, maximum=1, step=0.05, label="Blur", help="1: a Gaussian of 2.5 pixels")
    fading: float = declare.number(0.0, minimum=0, maximum=1, step=0.05, label="Fading")
    scratches: float = declare.number(
        0.0, minimum=0, maximum=1, step=0.05, label="Scratches", help="1: twelve lines and flecks"
    )
    seed: int = declare.seed()


class TrainParams(Params):
    """Training of our own networks."""

    task: str = declare.choice(
        "all",
        {"all": "All", "scratches": "Scratches", "restorer": "Noise and JPEG", "colourizer": "Colours"},
        label="Network",
    )
    source: str = declare.folder(label="Folder of clean pictures", help="Empty: drawings of the starter's world")
    pictures: int = declare.integer(
        1000, minimum=8, maximum=20_000, label="Pictures", help="As many are kept in memory"
    )
    side: int = declare.integer(128, minimum=64, maximum=512, step=16, label="Side of a picture", help="In pixels")
    steps: int = declare.integer(
        0, minimum=0, maximum=1_000_000, label="Steps", help="0: as the bundled ones were trained"
    )
    batch: int = declare.integer(8, minimum=1, maximum=256, label="Batch")
    crop: int = declare.integer(64, minimum=32, maximum=256, step=16, label="Side of a crop", help="In pixels")
    rate: float = declare.number(3e-3, minimum=1e-6, maximum=0.1, label="Learning rate")
    seed: int = declare.seed(0)
