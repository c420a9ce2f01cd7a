"""The one way from two sets to artifacts: read both with one network, compute what was asked, tell the protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from webui.api import Artifact, Context, FieldError, JobFailed, ModelError, ParameterError

from . import records
from .features.reading import Reader, Tell
from .features.store import FeatureStore, prune
from .inputs.pictures import PictureSet
from .inputs.refs import Asked, open_set
from .params import MEASURES, SetParams
from .pictures.perceptual import perceptual
from .scores import FORMULAS, Computing, Named, Score, Side, warnings_of
from .second_look import Apart, diversity, nearest_rows, pair_sheet, with_reference
from .sets.frechet import Moments
from .sets.interval import Features
from .sets.manifold import neighbours

VERSION = "0.1.0"
STARTER = "starter.judge"
USUAL = ("fd", "fd_infinity", "kd", "inception_score", "precision_recall", "density_coverage")
_ROOM = 1000


@dataclass(frozen=True)
class Task:
    """What a pipeline wants of a comparison."""

    keys: tuple[str, ...]
    """Of ``MEASURES``."""
    published: str = ""
    """The network that the score was published with: taken where its weights are here."""
    strict: bool = True
    """Whether a score that cannot be computed fails the job; else it is told."""
    pairs: int = 16
    diversity_pairs: int = 200
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of ``Computing``."""
    perceptual: tuple[str, str] = ("", "")
    """The LPIPS of the diversity, and its weights; empty: the layers of the network."""
    keep: bool = False


class Comparison:
    """One comparison, from opening the sets to the last artifact."""

    def __init__(self, params: SetParams, context: Context, task: Task) -> None:
        self.params, self.context, self.task = params, context, task
        self.extra_protocol: dict[str, Any] = {}
        self.warnings: list[str] = []
        """What a reader of the numbers must know."""

    @property
    def extra(self) -> int:
        """Artifacts beside the kept pictures: result, table, record, then sheet and table of neighbours, the line."""
        return 3 + 2 * ("neighbours" in self.task.keys) + ("fd_infinity" in self.task.keys)

    def run(self, real: Asked, made: Asked) -> Iterator[Artifact]:
        """Artifacts: the numbers, their table, the record; then what shows more. Raises JobFailed, ParameterError."""
        sets = {"real": open_set(real, self.context, self.params.threads)}
        sets["generated"] = open_set(made, self.context, self.params.threads)
        self.reader = self._reader()
        kept = len(sets["generated"]) if self.task.keep and not isinstance(sets["generated"], Moments) else 0
        self.context.pending(self.extra + kept, [_ROOM, *[1.0] * (self.extra - 1), *[0.001] * kept])
        sides = self._sides(sets)
        computing = self._computing(sides)
        for words in warnings_of(computing, self.reader.dim):
            self._warn(words)
        found = self._scores(computing, sets)
        yield from self._told(found, computing, sets)

    def _warn(self, words: str) -> None:
        self.context.warn(words)
        self.warnings.append(words)

    def _reader(self) -> Reader:
        params, context = self.params, self.context
        wanted = params.network or self.task.published
        resize = params.resize if wanted == "metrics.inception" else ""
        try:
            if not wanted:
                raise ModelError("no network was named.")
            extractor = context.feature_extractor(wanted, params.weights, resize)
        except ModelError as error:
            if params.network or params.weights or params.resize or STARTER not in context.feature_networks:
                raise JobFailed(error.message, hint=error.hint) from error
            if wanted:
                self._warn(f"{error.message} The starter's network is used, and the scores are named by it.")
            wanted = STARTER
            extractor = context.feature_extractor(wanted)
        cache = context.folders("metrics")[0] / "features" if context.settings.get("keep_features", True) else None
        return Reader(context.feature_networks[wanted], extractor, context, params.batch, cache)

    # Reading

    def _sides(self, sets: Mapping[str, PictureSet | Moments]) -> dict[str, Side]:
        pictures = {name: one for name, one in sets.items() if not isinstance(one, Moments)}
        total = sum(len(one) for one in pictures.values())
        before = 0
        sides, stores = {}, []
        for name, one in sets.items():
            if isinstance(one, Moments):
                self._check_dim(one, name)
                sides[name] = Side(None, (), one)
                continue
            store = self.reader.store_for(one, name)
            self.reader.read(one, store, self._teller(before, total, f"Reading {name} pictures"))
            stores.append(store)
            before += len(one)
            sides[name] = Side(store.features, store.logits())
            self._check_count(store, name)
        self._prune(stores)
        return sides

    def _prune(self, used: Sequence[FeatureStore]) -> None:
        """Features that were not used for longest give way."""
        if self.reader.cache is not None:
            limit = int(self.context.settings.get("features_gib", 8)) * 2**30
            prune(self.reader.cache, limit, [store.folder for store in used])

    def read_one(self, pictures: PictureSet) -> Features:
        """The features of one set alone, float32 [N,D]."""
        self.reader = self._reader()
        store = self.reader.store_for(pictures, "real")
        self.reader.read(pictures, store, self._teller(0, len(pictures), "Reading pictures"))
        self._check_count(store, "real")
        return store.features

    def _check_dim(self, known: Moments, name: str) -> None:
        dim = self.reader.dim
        if len(known.mean) != dim:
            words = f"its statistics have {len(known.mean)} features, {self.reader.spec.title} has {dim}"
            raise ParameterError([FieldError(name, words)])

    def _check_count(self, store: FeatureStore, name: str) -> None:
        if store.rows < 8:
            raise JobFailed(f"{store.rows} {name} pictures are too few to be compared.", hint="Give at least 8.")

    def _teller(self, before: int, total: int, words: str) -> Tell:
        def tell(done: int, _: int) -> None:
            self.context.progress(min(before + done, total), total, words)

        return tell

    # Computing

    def _computing(self, sides: Mapping[str, Side]) -> Computing:
        protocol, spec = self.reader.protocol, self.reader.spec
        named = Named(spec.id, spec.title, self.params.resize or spec.resizes[0], int(protocol.get("size", 0)))
        return Computing(
            sides["real"],
            sides["generated"],
            named,
            self.params.seed,
            self.context.device,
            self.context.check_cancelled,
            **self.task.options,
        )

    def _scores(self, computing: Computing, sets: Mapping[str, PictureSet | Moments]) -> list[Score]:
        found: list[Score] = []
        for key in self.task.keys:
            try:
                if key in FORMULAS:
                    _check_enough(FORMULAS[key].smallest, computing)
                    self.context.progress(1, 1, f"Computing: {FORMULAS[key].title}")
                    found += FORMULAS[key].compute(computing)
                elif key == "diversity":
                    found += self._diversity(sets)
            except ValueError as error:
                if self.task.strict:
                    raise JobFailed(f"{MEASURES[key]} cannot be computed: {error}.") from error
                self._warn(f"{MEASURES[key]} is left out: {error}.")
        return found

    def _diversity(self, sets: Mapping[str, PictureSet | Moments]) -> list[Score]:
        found: dict[str, list[Score]] = {}
        distance = perceptual(self.context, *self.task.perceptual) if self.task.perceptual[0] else None
        by = Apart(self.reader, distance)
        for name, one in sets.items():
            if isinstance(one, Moments):
                if name == "generated":
                    raise ValueError("statistics alone do not have it")
                continue
            tell = _said(self.context, f"Pairs of {name} pictures")
            found[name] = diversity(one, by, self.task.diversity_pairs, self.params.seed, tell)
        if distance is not None:
            self.extra_protocol["diversity"] = dict(distance.protocol)
        return list(with_reference(found["generated"], found.get("real", ())))

    # Telling

    def _protocol(self, computing: Computing, sets: Mapping[str, PictureSet | Moments]) -> dict[str, Any]:
        told = {**self.reader.protocol, "features": self.reader.dim, "batch": self.params.batch}
        for name, one in sets.items():
            side = computing.real if name == "real" else computing.made
            told[f"n_{name}"] = side.count
            told[f"{name}_set"] = "statistics" if isinstance(one, Moments) else one.title
            told[f"{name}_format"] = "statistics" if isinstance(one, Moments) else one.file_format
        halves = computing.halves
        told["n_real_vs_real"] = [len(half) for half in halves] if halves is not None else []
        told |= self.extra_protocol
        told["seed"] = self.params.seed
        told["device"] = records.device_words(self.context.device)
        told["versions"] = records.versions(VERSION)
        return told

    def _told(
        self, found: Sequence[Score], computing: Computing, sets: Mapping[str, PictureSet | Moments]
    ) -> Iterator[Artifact]:
        protocol = self._protocol(computing, sets)
        rows = [score.row() for score in found]
        counts = {"real": computing.real.count, "generated": computing.made.count}
        title = f"{counts['generated']} generated against {counts['real']} real pictures ({self.reader.spec.title})"
        numbers = {"scores": {row["score"]: _numbers(row) for row in rows}, **counts, "protocol": protocol}
        numbers["order"] = [row["score"] for row in rows]
        pairs: list[dict[str, Any]] = []
        if "neighbours" in self.task.keys:
            pairs = self._neighbours(computing, sets, numbers)
        if self.warnings:
            numbers["warnings"] = list(self.warnings)
        yield Artifact("scalar", numbers, index=0, title=title)
        text = records.lines(rows, protocol)
        yield Artifact("table", [_flat(row) for row in rows], index=1, title="Scores")
        file = self.context.work_dir / "scores.jsonl"
        file.write_text(text or "{}\n", encoding="utf-8")
        if self.context.settings.get("history", True) and text:
            records.keep(self.context.folders("metrics")[0], text, job=self.context.job.id)
        yield Artifact("file", file, index=2, title="Record of the scores")
        index = 3
        if pairs:
            real, made = sets["real"], sets["generated"]
            sheet = pair_sheet(pairs, real, made, _said(self.context, "Pairs"))  # type: ignore[arg-type]
            yield Artifact("image", sheet, index=index, title="Generated beside the nearest real picture")
            yield Artifact("table", pairs, index=index + 1, title="Nearest real pictures")
            index += 2
        if computing.limit is not None:
            yield Artifact("plot", _line(computing), index=index, title=f"{computing.named.frechet()} against 1/N")

    def _neighbours(
        self, computing: Computing, sets: Mapping[str, PictureSet | Moments], numbers: dict[str, Any]
    ) -> list[dict[str, Any]]:
        real, made = sets["real"], sets["generated"]
        if isinstance(real, Moments) or isinstance(made, Moments):
            if self.task.strict:
                raise JobFailed("neighbours need pictures on both sides, not statistics.")
            self._warn(f"{MEASURES['neighbours']} are left out: statistics alone do not have them.")
            return []
        self.context.progress(1, 1, "Computing: Nearest neighbours")
        found = neighbours(*computing.both(), computing.device, computing.check)
        below = float((found.ratio < 1).mean())
        copies = int((found.ratio < _COPY).sum())
        numbers["neighbours"] = {"nearer_than_real_ones_are": below, "copies": copies, "copy_ratio": _COPY}
        if copies:
            self._warn(f"{copies} generated pictures are nearly copies of real ones.")
        return nearest_rows(found, real, made, self.task.pairs)


def _check_enough(smallest: int, computing: Computing) -> None:
    """Raises ValueError where a side has fewer pictures than a score needs; statistics may not say how many."""
    fewest = min(count for count in (computing.real.count, computing.made.count, smallest) if count)
    if fewest < smallest:
        raise ValueError(f"it needs {smallest} pictures a side, and there are {fewest}")


_COPY = 0.05
"""Of the distance between real neighbours: what is this near shows the same picture."""


def _said(context: Context, words: str) -> Callable[[int, int], None]:
    return lambda done, total: context.progress(done, total, words)


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("key", "value", "low", "high", "real_vs_real", "better", "interval")}


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the table: what is long stands in the record."""
    return {name: row[name] for name in ("score", "value", "low", "high", "real_vs_real", "better")}


def _line(computing: Computing) -> dict[str, Any]:
    """The points of FID-infinity against 1/N, and the line through them."""
    limit = computing.limit
    if limit is None:
        raise ValueError("no line was asked for")
    end = limit.estimate
    points = [[1 / size, value] for size, value in zip(limit.sizes, limit.values, strict=True)]
    last = max(x for x, _ in points)
    line = [[0, end.value, end.low, end.high], [last, end.value + limit.slope * last]]
    series = [{"name": "measured", "points": points}, {"name": "line", "line": True, "points": line}]
    return {"x": "1/N", "y": computing.named.frechet(), "series": series}
