"""The scores of sets as pipelines: what each asks of a ``Comparison``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from webui.api import Artifact, Context, FieldError, JobFailed, ParameterError

from .comparing import USUAL, Comparison, Task
from .features import statistics
from .inputs.refs import Asked, open_set
from .params import (
    MEASURES,
    ClassParams,
    CompareParams,
    FrechetParams,
    KernelParams,
    NeighbourParams,
    SetParams,
    StatisticsParams,
)
from .sets.frechet import Moments, moments


def real_side(params: SetParams) -> Asked:
    return Asked("real", params.real, params.real_file, params.real_images, seed=params.seed, count=params.samples)


def made_side(params: SetParams) -> Asked:
    return Asked(
        "generated",
        params.generated,
        params.generated_file,
        params.generated_images,
        seed=params.seed,
        count=params.samples,
    )


def _single(params: SetParams, context: Context, task: Task) -> Iterator[Artifact]:
    return Comparison(params, context, task).run(real_side(params), made_side(params))


class Compare:
    """metrics.compare: several scores in one pass."""

    def run(self, params: CompareParams, context: Context) -> Iterator[Artifact]:
        unknown = [key for key in params.scores if key not in MEASURES]
        if unknown:
            raise ParameterError([FieldError("scores", f"expected some of {', '.join(MEASURES)}", unknown[0])])
        keys = tuple(key for key in MEASURES if key in (params.scores or USUAL))
        task = Task(
            keys,
            published="metrics.inception" if not params.network else "",
            strict=bool(params.scores),
            pairs=params.pairs,
            diversity_pairs=params.diversity_pairs,
            perceptual=(params.perceptual, params.perceptual_weights),
            keep=params.keep and bool(params.pipeline),
        )
        comparison = Comparison(params, context, task)
        made = Asked(
            "generated",
            params.generated,
            params.generated_file,
            params.generated_images,
            params.pipeline,
            params.params,
            params.prompts,
            params.seed,
            params.samples,
            keep=task.keep,
            first_artifact=comparison.extra,
        )
        return comparison.run(real_side(params), made)


class Fid:
    """metrics.fid."""

    published = "metrics.inception"

    def run(self, params: FrechetParams, context: Context) -> Iterator[Artifact]:
        keys = ("fd", "fd_infinity") if params.infinity else ("fd",)
        yield from _single(params, context, Task(keys, self.published))


class Fd(Fid):
    """metrics.fd: on the network that is named, the starter's unless another is."""

    published = ""


class Kid:
    """metrics.kid."""

    def run(self, params: KernelParams, context: Context) -> Iterator[Artifact]:
        options: dict[str, Any] = {"kid_subsets": params.subsets, "kid_subset_size": params.subset_size}
        return _single(params, context, Task(("kd",), "metrics.inception", options=options))


class InceptionScore:
    """metrics.inception_score."""

    def run(self, params: ClassParams, context: Context) -> Iterator[Artifact]:
        task = Task(("inception_score",), "metrics.inception", options={"splits": params.splits})
        return _single(params, context, task)


class PrecisionRecall:
    """metrics.precision_recall: with density and coverage."""

    def run(self, params: SetParams, context: Context) -> Iterator[Artifact]:
        return _single(params, context, Task(("precision_recall", "density_coverage"), "metrics.vgg16"))


class Cmmd:
    """metrics.cmmd."""

    def run(self, params: SetParams, context: Context) -> Iterator[Artifact]:
        return _single(params, context, Task(("cmmd",), "metrics.clip"))


class Neighbours:
    """metrics.neighbours."""

    def run(self, params: NeighbourParams, context: Context) -> Iterator[Artifact]:
        return _single(params, context, Task(("neighbours",), pairs=params.pairs))


class Statistics:
    """metrics.statistics: the .npz that other programs read."""

    def run(self, params: StatisticsParams, context: Context) -> Iterator[Artifact]:
        asked = SetParams(
            real=params.real,
            real_file=params.real_file,
            samples=params.samples,
            network=params.network,
            weights=params.weights,
            resize=params.resize,
            batch=params.batch,
            threads=params.threads,
        )
        comparison = Comparison(asked, context, Task((), "metrics.inception"))
        found = open_set(real_side(asked), context, params.threads)
        if isinstance(found, Moments):
            raise JobFailed("these are statistics already.", hint="Give a folder or a zip of pictures.")
        context.pending(1)
        side = comparison.read_one(found)
        path = context.work_dir / "statistics.npz"
        statistics.write(path, moments(side))
        title = f"{comparison.reader.spec.title}: mean and covariance of {len(side)} pictures"
        yield Artifact("file", path, title=title)
