"""What the scores of sets take, declared once; light, read by the web process."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from webui.api import (
    ParameterValues,
    Params,
    boolean,
    choice,
    dynamic_choice,
    dynamic_choices,
    file,
    folder,
    images,
    integer,
    parameters,
    seed,
    text,
)

SETS = (".zip", ".npz")
REAL, MADE, SCORES = "Real pictures", "Generated pictures", "Scores"
WAYS = "A folder or a .zip; or collection:NAME, dataset:celeba, drawn:avatar, pipeline:ID; or statistics (.npz)"
DISTANCES = {
    "": "The layers of the feature network",
    "alex": "LPIPS with AlexNet",
    "vgg": "LPIPS with VGG16",
    "squeeze": "LPIPS with SqueezeNet",
}
"""Perceptual distances of the diversity."""
MEASURES = {
    "fd": "Frechet distance (FID)",
    "fd_infinity": "Frechet distance at infinity",
    "kd": "Kernel distance (KID)",
    "inception_score": "Inception score",
    "precision_recall": "Precision and recall",
    "density_coverage": "Density and coverage",
    "cmmd": "CMMD",
    "diversity": "Diversity (LPIPS, MS-SSIM)",
    "neighbours": "Nearest neighbours",
}
"""Key -> title of everything that metrics.compare can compute, in the order of its table."""


def _values(given: Any) -> Any:
    """A text with commas as its values: numbers where they are."""
    if not isinstance(given, str):
        return given
    return tuple(_value(part.strip()) for part in given.strip("[]() ").split(",") if part.strip())


def _value(text_: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text_)
        except ValueError:
            continue
    return text_


def _where(group: str) -> Any:
    return folder("", label="Where from", group=group, help=WAYS)


def _packed(group: str) -> Any:
    return file(label="Or a file", group=group, accept=SETS)


def _chosen(group: str) -> Any:
    return images(label="Or pictures of the gallery", group=group, maximum=10_000)


def _network(help_: str) -> Any:
    return dynamic_choice("", "feature_networks", label="Feature network", group=SCORES, help=help_)


class SetParams(Params):
    """What every score of two sets takes."""

    real: str = _where(REAL)
    real_file: str | None = _packed(REAL)
    real_images: tuple[str, ...] = _chosen(REAL)
    generated: str = _where(MADE)
    generated_file: str | None = _packed(MADE)
    generated_images: tuple[str, ...] = _chosen(MADE)
    samples: int = integer(
        0,
        minimum=0,
        maximum=1_000_000,
        label="Most pictures of a set",
        help="0: all; of sets that are made, 2048",
    )
    network: str = _network("Empty: the one of the published score where its weights are here, else the starter's")
    weights: str = text(
        label="Weights of the network",
        help="A file of models/features, or a hub id, which is fetched then; empty: what is in models/features",
        group=SCORES,
        advanced=True,
        max_length=500,
    )
    resize: str = choice(
        "",
        {
            "": "The network's own",
            "tensorflow": "TensorFlow's bilinear (FID as published)",
            "clean": "Clean: bicubic with antialias",
            "legacy": "Legacy: PyTorch's bilinear",
        },
        label="Resize",
        help="Of the Inception network: scores differ by this",
        group=SCORES,
        advanced=True,
    )
    seed: int = seed(2020)
    batch: int = integer(32, minimum=1, maximum=1024, label="Batch", group=SCORES, advanced=True)
    threads: int = integer(
        0, minimum=0, maximum=64, label="Decoding threads", help="0: as many as cores", group=SCORES, advanced=True
    )


class FrechetParams(SetParams):
    """Parameters of metrics.fid and metrics.fd."""

    infinity: bool = boolean(False, label="At infinity too", help="The limit for N without end, by a line against 1/N")


class KernelParams(SetParams):
    """Parameters of metrics.kid."""

    subsets: int = integer(100, minimum=2, maximum=10_000, label="Subsets")
    subset_size: int = integer(1000, minimum=8, maximum=10_000, label="Pictures of a subset")


class ClassParams(SetParams):
    """Parameters of metrics.inception_score."""

    splits: int = integer(10, minimum=1, maximum=1000, label="Splits")


class NeighbourParams(SetParams):
    """Parameters of metrics.neighbours."""

    pairs: int = integer(16, minimum=1, maximum=200, label="Pairs shown", help="The nearest to a real picture")


class CompareParams(SetParams):
    """Parameters of metrics.compare."""

    pipeline: str = dynamic_choice(
        "",
        "pipelines:image",
        label="Or made by a pipeline",
        group=MADE,
        help="Picture i has seed + i",
    )
    params: ParameterValues = parameters("pipeline", label="Its parameters", group=MADE)
    prompts: str | None = file(
        label="Prompts",
        group=MADE,
        accept=(".txt", ".jsonl"),
        help="One a line, for one picture each; or the metadata.jsonl of a data set with captions",
    )
    keep: bool = boolean(
        False, label="Keep the pictures", group=MADE, help="In the gallery; else they are measured and forgotten"
    )
    scores: tuple[str, ...] = dynamic_choices(
        "metrics.scores", label=SCORES, group=SCORES, help="None chosen: all that need no second look at the pictures"
    )
    pairs: int = integer(
        16,
        minimum=1,
        maximum=200,
        label="Pairs shown",
        help="Of nearest neighbours",
        group=SCORES,
        advanced=True,
    )
    diversity_pairs: int = integer(
        200, minimum=8, maximum=10_000, label="Pairs of the diversity", group=SCORES, advanced=True
    )
    perceptual: str = choice(
        "",
        DISTANCES,
        label="Distance of the diversity",
        help="LPIPS needs its weights in models/features, or named below",
        group=SCORES,
        advanced=True,
    )
    perceptual_weights: str = text(
        label="Weights of LPIPS", help="A file or a hub id", group=SCORES, advanced=True, max_length=500
    )


class TradeoffParams(Params):
    """Parameters of metrics.tradeoff."""

    pipeline: str = dynamic_choice("diffusion.txt2img", "pipelines:image", label="Pipeline")
    params: ParameterValues = parameters("pipeline", label="Its parameters")
    parameter: str = dynamic_choice("steps", "parameters", label="Parameter", of="pipeline")
    values: Annotated[tuple[Any, ...], BeforeValidator(_values)] = text(
        "5, 10, 20", label="Values", help="With commas between; each is one set of pictures", max_length=1000
    )
    real: str = folder("drawn:avatar", label="Real pictures", help=WAYS)
    real_file: str | None = file(label="Or a file", accept=SETS)
    prompts: str | None = file(label="Prompts", accept=(".txt", ".jsonl"), help="One a line, for one picture each")
    samples: int = integer(128, minimum=8, maximum=100_000, label="Pictures of each value")
    network: str = dynamic_choice("", "feature_networks", label="Feature network", advanced=True)
    scores: tuple[str, ...] = dynamic_choices(
        "metrics.scores", label=SCORES, help="The first is plotted; none chosen: Frechet and kernel distance"
    )
    seed: int = seed(2020)


class StatisticsParams(Params):
    """Parameters of metrics.statistics."""

    real: str = folder("", label="Where from", help=WAYS)
    real_file: str | None = file(label="Or a file", accept=(".zip",))
    samples: int = integer(0, minimum=0, maximum=1_000_000, label="Most pictures", help="0: all")
    network: str = dynamic_choice("", "feature_networks", label="Feature network")
    weights: str = text(label="Weights of the network", max_length=500)
    resize: str = choice("", ["", "tensorflow", "clean", "legacy"], label="Resize")
    batch: int = integer(32, minimum=1, maximum=1024, label="Batch", advanced=True)
    threads: int = integer(0, minimum=0, maximum=64, label="Decoding threads", advanced=True)


class MetricsSettings(Params):
    """Settings of the extension."""

    keep_features: bool = boolean(
        True, label="Keep features", help="Of sets on disk, so that the next score need not read the pictures again"
    )
    features_gib: int = integer(
        8, minimum=1, maximum=10_000, label="Most disk for features, in GiB", help="Those used longest ago give way"
    )
    history: bool = boolean(True, label="Keep a history of scores", help="In metrics/scores.jsonl of the data folder")
