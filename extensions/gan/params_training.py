"""What training takes; light, read by the web process."""

from __future__ import annotations

from webui.api import (
    Params,
    boolean,
    choice,
    dynamic_choice,
    folder,
    integer,
    number,
    seed,
    text,
)

from .recipe import AUGMENTS, LOSSES, presets

_OWN = "0: as the preset has it"


def _told(title: str, steps: int, batch: int, pace: float) -> str:
    """A preset with the time that its steps take on one core, as measured."""
    if not pace:
        return title
    minutes = steps * batch / pace / 60
    return f"{title}: about {minutes:.0f} minutes on one core" if minutes < 90 else f"{title}: {minutes / 60:.1f} hours"


class TrainParams(Params):
    """Parameters of gan.train."""

    preset: str = choice(
        "stylegan2-64",
        {name: _told(one.title, one.steps, one.batch, one.pace) for name, one in presets().items()},
        label="What is trained",
        help="The times are those of the preset's own number of steps on a processor; a graphics card is far faster",
    )
    name: str = text("", label="Name", help="Of the model that it becomes, in models/gan", max_length=64)
    data: str = choice(
        "drawn",
        {"drawn": "Drawn by the starter", "folder": "A folder", "hub": "A data set of the hub"},
        label="Pictures",
    )
    folder: str = folder(
        label="Folder of pictures",
        help="With a folder for each class, or with metadata.jsonl; middle squares are cut out",
        group="Pictures",
    )
    dataset: str = text(
        "",
        label="Data set",
        help="An id of the hub, such as name@revision[split]#column; needs the package datasets",
        group="Pictures",
        max_length=200,
    )
    domain: str = choice(
        "avatar", {"avatar": "Avatars", "scene": "Scenes", "any": "Both"}, label="What is drawn", group="Pictures"
    )
    style: str = choice(
        "flat", {"flat": "Flat colours", "any": "Any style"}, label="Style of drawing", group="Pictures"
    )
    samples: int = integer(
        5000,
        minimum=16,
        maximum=2_000_000,
        label="Pictures at most",
        help="Drawn or read",
        group="Pictures",
    )
    label: str = text(
        "",
        label="Class column",
        help="Of metadata.jsonl or the data set, such as label or attributes.mood; empty: the folders, where there are",
        group="Pictures",
        max_length=100,
    )
    steps: int = integer(0, minimum=0, maximum=10_000_000, label="Steps", help=_OWN)
    sheets: int = integer(
        8, minimum=1, maximum=200, label="Sheets", help="How often fixed latents are shown and the distance is measured"
    )
    loss: str = choice("auto", {"auto": "Automatic", **LOSSES}, label="Loss", group="Training")
    augment: str = choice(
        "auto",
        {"auto": "Automatic", **AUGMENTS},
        label="Augmentation",
        help="For few pictures: below some ten thousand",
        group="Training",
    )
    batch: int = integer(0, minimum=0, maximum=4096, label="Batch", help=_OWN, group="Training")
    rate: float = number(0, minimum=0, maximum=0.1, step=1e-4, label="Learning rate", help=_OWN, group="Training")
    critic_rate: float = number(
        0,
        minimum=0,
        maximum=0.1,
        step=1e-4,
        label="Learning rate of the discriminator",
        help=_OWN,
        group="Training",
    )
    gamma: float = number(
        -1,
        minimum=-1,
        maximum=1000,
        step=0.05,
        label="Gamma of R1",
        help="Lambda of WGAN-GP; 0 is none, -1 the preset's",
        group="Training",
    )
    aide: str = dynamic_choice(
        "",
        "feature_networks",
        label="Second discriminator",
        help="On the layers of a network that knows such pictures: GANs learn faster. Distances by that same network "
        "then flatter",
        group="Training",
    )
    flip: bool = boolean(False, label="Mirrored pictures too", group="Training")
    recipe: str = text(
        "",
        label="Further values",
        help='Of the recipe, as JSON: {"path_weight": 0, "network": {"channel_base": 4096}}',
        group="Training",
        advanced=True,
        max_length=4000,
    )
    network: str = dynamic_choice(
        "starter.judge",
        "feature_networks",
        label="Network of the distance",
        help="Its features compare generated pictures with the data on the way; empty measures nothing",
        group="Measuring",
    )
    measured: int = integer(
        1000, minimum=32, maximum=50_000, label="Pictures compared", help="More is slower", group="Measuring"
    )
    keep: str = choice(
        "best",
        {"best": "With the least distance", "last": "The last"},
        label="Weights that are kept",
        group="Measuring",
    )
    precision: str = choice(
        "auto",
        {"auto": "Automatic", "float32": "32 bits", "bfloat16": "bfloat16"},
        label="Precision",
        help="Automatic: bfloat16 on a graphics card",
        group="Running",
        advanced=True,
    )
    threads: int = integer(
        0,
        minimum=0,
        maximum=256,
        label="Threads",
        help="On a processor; 0 leaves it as it is",
        group="Running",
        advanced=True,
    )
    save_every: int = integer(
        500, minimum=1, maximum=1_000_000, label="Steps between checkpoints", group="Running", advanced=True
    )
    half: bool = boolean(True, label="Kept in 16 bits", group="Running", advanced=True)
    seed: int = seed(0)
