"""What editing takes; light, read by the web process."""

from __future__ import annotations

# The fields have the names of the functions that declare them.
import webui.api as declare

from .params import REGION_NAMES, Finding
from .vocabulary import CHANGES, WHOLE

BLENDS = {"feather": "Soft edge", "poisson": "Poisson: gradients kept", "hard": "Hard edge"}
_REGIONS = {**REGION_NAMES, WHOLE: "Everything in the cut-out"}


class Blended(declare.Params):
    """How an edited cut-out becomes part of the picture again."""

    grow: int | None = declare.integer(
        None,
        minimum=-64,
        maximum=256,
        label="Grow the region",
        help="In pixels; empty: a thirtieth of the face's height",
        group="Blending",
        advanced=True,
        auto=0,
    )
    blend: str = declare.choice("feather", BLENDS, label="Blending", group="Blending", advanced=True)
    feather: float = declare.number(
        0.03,
        minimum=0.0,
        maximum=0.5,
        step=0.01,
        label="Soft edge",
        help="Within the region, as a share of the face's height",
        group="Blending",
        advanced=True,
    )
    least_change: int = declare.integer(
        24,
        minimum=0,
        maximum=255,
        label="Least change",
        help="What differs less is only drawn again, and left as it was; 0: all of the region is replaced",
        group="Blending",
        advanced=True,
    )
    match_colours: bool = declare.boolean(
        True, label="Match colours", help="As they differ outside of the region", group="Blending", advanced=True
    )
    margin: float = declare.number(
        0.55,
        minimum=0.0,
        maximum=3.0,
        step=0.05,
        label="Margin",
        help="What is shown to the model beside the face, as a share of its height",
        group="Cut-out",
        advanced=True,
    )
    edge: int | None = declare.integer(
        None,
        minimum=64,
        maximum=4096,
        step=8,
        label="Edge of the cut-out",
        help="In pixels; empty: the model's own size",
        auto=512,
        group="Cut-out",
        advanced=True,
    )


_TRIES = "At most so many are made, until the judge reads what was wanted and all else as before; its best is kept"


def tries(default: int) -> int:
    """How many candidates are made at most."""
    return declare.integer(default, minimum=1, maximum=16, label="Tries", help=_TRIES, group="Judge", advanced=True)


class Judged(declare.Params):
    """How the best of several candidates is chosen, and likeness measured."""

    tries: int = tries(1)
    judge: str = declare.dynamic_choice(
        "starter.judge",
        "feature_networks",
        label="Judge",
        help="Measures likeness, and attributes",
        group="Judge",
        advanced=True,
    )
    attribute: str = declare.text(
        "",
        label="Wanted attribute",
        help="What the judge should read: head=value, such as hat=crown; empty: likeness alone",
        max_length=100,
        group="Judge",
        advanced=True,
    )


class EditParams(Judged, Blended, Finding):
    """Parameters of faces.edit."""

    image: str = declare.image(..., label="Picture", help="Paint over what may change, or choose a region", mask="mask")
    mask: str | None = declare.image(None, label="Mask", help="White: what may change, in place of the region")
    prompt: str = declare.prompt("", label="Words", help="An instruction or a description, as the pipeline takes them")
    region: str = declare.choice("face", _REGIONS, label="Region that may change")
    pipeline: str = declare.dynamic_choice(
        "diffusion.edit", "pipelines:image:image", label="Pipeline", help="What changes the cut-out"
    )
    params: declare.ParameterValues = declare.parameters(
        "pipeline",
        label="Its parameters",
        help="As JSON: guidance_scale, steps and whatever else that pipeline's form has",
        advanced=True,
    )
    seed: int = declare.seed()
    consent: bool = declare.consent()


class AttributeParams(Judged, Blended, Finding):
    """Parameters of faces.attribute."""

    change: str = declare.choice(
        "smile", {"": "As the words say", **{key: row[0] for key, row in CHANGES.items()}}, label="Change"
    )
    prompt: str = declare.prompt(
        "",
        label="Words",
        help="One thing to change, in your own words; empty: the change that is chosen below",
        rows=2,
        placeholder="Make the hair green",
    )
    method: str = declare.choice(
        "instruct",
        {
            "instruct": "Instruction, by an editing model",
            "reword": "Other words, after inversion",
            "gan": "Direction of a StyleGAN, after projection",
        },
        label="Way",
    )
    before: str = declare.prompt(
        "",
        label="What it shows",
        help="For other words after inversion; Words then say what it should show. Empty: the judge describes the face",
        rows=2,
        group="Other words",
    )
    region: str = declare.choice(
        "auto", {"auto": "Automatic", **_REGIONS}, label="Region that may change", help="Automatic: what changes"
    )
    tries: int = tries(6)
    model: str = declare.text(
        "", label="Editing model", help="A name of the list of models; empty: the first", max_length=500, advanced=True
    )
    params: declare.ParameterValues = declare.parameters(
        "pipeline",
        label="Parameters of the edit",
        help="As JSON: guidance_scale, steps and whatever else that pipeline's form has",
        advanced=True,
    )
    pipeline: str = declare.dynamic_choice("diffusion.edit", "pipelines:image:image", label="Pipeline", advanced=True)
    direction: str = declare.dynamic_choice(
        "", "gan.directions", label="Direction", help="Found by the GANs' form Directions", group="StyleGAN"
    )
    strength: float = declare.number(
        3.0, minimum=-20.0, maximum=20.0, step=0.1, label="Strength", help="Along the direction", group="StyleGAN"
    )
    generator: str = declare.text(
        "", label="StyleGAN", help="A name of the list of models", max_length=500, group="StyleGAN"
    )
    projection_iterations: int = declare.integer(
        300, minimum=1, maximum=10_000, label="Steps of the projection", group="StyleGAN"
    )
    seed: int = declare.seed()
    consent: bool = declare.consent()
