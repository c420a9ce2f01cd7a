"""What the scores of single pictures and pairs take, declared once; light, read by the web process."""

from __future__ import annotations

from typing import Any

from webui.api import (
    ParameterValues,
    Params,
    boolean,
    choice,
    dynamic_choice,
    file,
    folder,
    images,
    integer,
    number,
    parameters,
    prompt,
    seed,
    text,
)

PICTURES, REFERENCES, MODEL, PROMPTS = "Pictures", "References", "Model", "Prompts"
WAYS = "A folder or a .zip; or collection:NAME, dataset:celeba, drawn:avatar"
PERCEPTUAL = {
    "": "LPIPS where its weights are here, else LPIPS-starter",
    "alex": "LPIPS with AlexNet",
    "vgg": "LPIPS with VGG16",
    "squeeze": "LPIPS with SqueezeNet",
    "starter": "LPIPS-starter, on the layers of the starter's judge",
}


def _where(group: str, label: str = "Where from") -> Any:
    return folder("", label=label, group=group, help=WAYS)


def _packed(group: str) -> Any:
    return file(label="Or a file", group=group, accept=(".zip",))


def _most() -> Any:
    return integer(0, minimum=0, maximum=1_000_000, label="Most pictures", help="0: all", group=PICTURES, advanced=True)


def _threads() -> Any:
    return integer(0, minimum=0, maximum=64, label="Threads", help="0: as many as cores", advanced=True)


def _perceptual(usual: str = "") -> Any:
    return choice(usual, PERCEPTUAL, label="Perceptual distance", group=MODEL)


def _weights() -> Any:
    return text(
        label="Its weights",
        help="A file of models/features, or a hub id, which is fetched then; empty: what is in models/features",
        group=MODEL,
        advanced=True,
        max_length=500,
    )


class PictureParams(Params):
    """What every score of single pictures takes."""

    pictures: str = _where(PICTURES)
    pictures_file: str | None = _packed(PICTURES)
    images: tuple[str, ...] = images(label="Or pictures of the gallery", group=PICTURES, maximum=10_000)
    samples: int = _most()


class QualityParams(PictureParams):
    """Parameters of metrics.image_quality."""

    niqe: str = choice(
        "photographs",
        {"photographs": "Photographs", "drawings": "Drawings of the starter", "own": "A file", "": "No NIQE"},
        label="Pristine model",
        group=MODEL,
        help="What natural pictures are: photographs, for pictures that hold two squares of 96 pixels; drawings, of 32",
    )
    niqe_file: str | None = file(
        label="Its file",
        group=MODEL,
        accept=(".npz", ".mat"),
        help="One made by 'Fit a pristine model', or published parameters: modelparameters.mat, niqe_pris_params.npz",
    )
    brisque_model: str | None = file(
        label="BRISQUE's regression",
        group=MODEL,
        help="The published allmodel, a file of libsvm; without it the distance of BRISQUE's features is told",
    )
    brisque_range: str | None = file(label="Its ranges", group=MODEL, help="The published allrange")
    threads: int = _threads()


class PristineParams(PictureParams):
    """Parameters of metrics.fit_pristine."""

    title: str = text("my pictures", label="Name", help="As scores will name it", max_length=80)
    patch: int = integer(
        96, minimum=16, maximum=256, step=2, label="Patch", help="Edge in pixels; a picture takes two of them at least"
    )


class ReferenceParams(PictureParams):
    """Parameters of metrics.against_reference: picture i is compared with reference i, or all with the only one."""

    references: str = _where(REFERENCES)
    references_file: str | None = _packed(REFERENCES)
    reference_images: tuple[str, ...] = images(label="Or pictures of the gallery", group=REFERENCES, maximum=10_000)
    pair_by: str = choice(
        "order", {"order": "Order", "name": "Name of the file, without its ending"}, label="Pairs by", group=REFERENCES
    )
    perceptual: str = _perceptual()
    weights: str = _weights()
    maps: int = integer(
        8, minimum=0, maximum=1000, label="Error maps", help="Of the pairs that differ most: where they do"
    )


class ClipParams(PictureParams):
    """Parameters of metrics.clip_score."""

    prompt: str = prompt(
        label="Prompt", group=PROMPTS, help="For all pictures; empty: what each was made with", tokens=False
    )
    prompts: str | None = file(
        label="Or a file",
        group=PROMPTS,
        accept=(".txt", ".jsonl"),
        help="One a line, in the order of the pictures; or metadata.jsonl with file_name and text",
    )
    model: str = text(
        "openai/clip-vit-base-patch32",
        label="CLIP",
        group=MODEL,
        help="A folder as transformers saves it, or a hub id, which is fetched then",
        max_length=500,
    )
    batch: int = integer(32, minimum=1, maximum=1024, label="Batch", advanced=True)


class AccuracyParams(PictureParams):
    """Parameters of metrics.prompt_accuracy."""

    pipeline: str = dynamic_choice(
        "", "pipelines:image", label="Or made by a pipeline", group=PICTURES, help="Picture i has seed + i"
    )
    params: ParameterValues = parameters("pipeline", label="Its parameters", group=PICTURES)
    prompt: str = prompt(
        label="Prompt", group=PROMPTS, help="For all pictures; empty: what each was made with", tokens=False
    )
    prompts: str | None = file(
        label="Or a file",
        group=PROMPTS,
        accept=(".txt", ".jsonl"),
        help="One a line, in the order of the pictures; or metadata.jsonl with file_name and text",
    )
    judge: str = dynamic_choice(
        "starter.judge", "feature_networks", label="Judge", group=MODEL, help="A network that reads prompts too"
    )
    weights: str = _weights()
    implied: bool = boolean(
        True, label="Count what prompts leave out", group=PROMPTS, help="A prompt without a hat asks for none"
    )
    seed: int = seed(0)
    batch: int = integer(32, minimum=1, maximum=1024, label="Batch", advanced=True)


class PathParams(Params):
    """Parameters of metrics.ppl."""

    space: str = dynamic_choice("", "latent_spaces", label="Latent space", help="Of a generator that draws from points")
    model: str = text(label="Model", help="A reference as its own form has it; empty: its usual one", max_length=500)
    walk: str = choice("w", {"w": "W, behind the mapping", "z": "Z"}, label="Walk in")
    sampling: str = choice(
        "end", {"end": "Near the ends of paths", "full": "Anywhere on paths"}, label="Where on the path"
    )
    samples: int = integer(1000, minimum=16, maximum=1_000_000, label="Paths", help="Published numbers are of 50,000")
    epsilon: float = number(
        1e-4, minimum=1e-6, maximum=0.1, step=1e-6, label="Step", help="As a share of the path", advanced=True
    )
    crop: bool = boolean(
        False, label="Centre of faces alone", help="As StyleGAN's first paper did for FFHQ", advanced=True
    )
    perceptual: str = _perceptual("")
    weights: str = _weights()
    seed: int = seed(0)
    batch: int = integer(8, minimum=1, maximum=256, label="Batch", advanced=True)
