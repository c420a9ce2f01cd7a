"""metrics.image_quality and metrics.fit_pristine: pictures -> scores without a reference; what NIQE compares with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from extensions.metrics.features.weights import sha256
from webui.api import Artifact, Context, FieldError, JobFailed, ParameterError

from . import pristine
from .brisque import FEATURES, Regression, brisque_features, read_regression
from .errors import WrongFile
from .niqe import niqe
from .params import PristineParams, QualityParams
from .pristine import Pristine
from .reading import pictures_of, pixels, said_of
from .simple import colourfulness, variance_of_laplacian
from .telling import Column, Row, RowFile, Told, artifacts, teller

SHARPNESS = Column("variance_of_laplacian", "Sharpness (variance of Laplacian)")
COLOURFULNESS = Column("colourfulness", "Colourfulness (Hasler and Suesstrunk)")
PUBLISHED = "Mittal et al. 2012 and 2013; Hasler and Suesstrunk 2003; Pech-Pacheco et al. 2000"


@dataclass(frozen=True)
class Scorer:
    """Scores one picture; called in several threads."""

    model: Pristine | None
    regression: Regression | None

    @property
    def columns(self) -> list[Column]:
        """What a row holds."""
        columns = [SHARPNESS, COLOURFULNESS]
        if self.model is not None:
            columns.append(Column("niqe", f"NIQE, pristine model: {self.model.name}", "lower"))
        if self.regression is not None:
            columns.append(Column("brisque", "BRISQUE", "lower"))
        elif self.model is not None and self.model.brisque_mean is not None:
            words = f"BRISQUE features: deviations from pristine ({self.model.name})"
            columns.append(Column("brisque_distance", words, "lower"))
        return columns

    def row(self, picture: Image.Image) -> Row:
        """The scores; None for what the picture is too small or too flat for."""
        array = pixels(picture)
        told: Row = {"width": picture.width, "height": picture.height}
        told[SHARPNESS.key] = variance_of_laplacian(array)
        told[COLOURFULNESS.key] = colourfulness(array)
        for column in self.columns[2:]:
            try:
                told[column.key] = self._score(column.key, array)
            except ValueError:  # too small
                told[column.key] = None
        return told

    def _score(self, key: str, array: Any) -> float:
        if key == "brisque" and self.regression is not None:
            return self.regression.score(brisque_features(array))
        if self.model is None:
            raise ValueError("no pristine model")
        return niqe(array, self.model) if key == "niqe" else self.model.brisque_distance(array)


class ImageQuality:
    """metrics.image_quality."""

    def run(self, params: QualityParams, context: Context) -> Iterator[Artifact]:
        scorer, protocol = _scorer(params, context)
        pictures = pictures_of(params, context, params.threads)
        context.pending(4 + len(scorer.columns), [1000.0, *[1.0] * (3 + len(scorer.columns))])
        held, tell = RowFile(context.work_dir / "rows.jsonl"), teller(context, "Scoring pictures")
        tell(len(held), len(pictures))
        for index, row in enumerate(pictures.read(len(held), scorer.row), start=len(held)):
            held.add([{"picture": pictures.name(index), **row}])
            tell(index + 1, len(pictures))
        _warn_of_gaps(held.rows, scorer, context)
        title = f"Quality of {len(pictures)} pictures"
        whole = {**said_of(pictures, context), **protocol, "formulas": PUBLISHED}
        yield from artifacts(context, Told(title, held.rows, scorer.columns, whole))


def _warn_of_gaps(rows: list[Row], scorer: Scorer, context: Context) -> None:
    for column in scorer.columns:
        missing = sum(row.get(column.key) is None or row[column.key] != row[column.key] for row in rows)
        if missing and column.key == "niqe" and scorer.model is not None:
            edge = scorer.model.patch_px
            context.warn(
                f"{missing} of {len(rows)} pictures have no NIQE: they are flat, or smaller than two patches of {edge} "
                "pixels. Choose a pristine model of smaller patches."
            )
        elif missing:
            context.warn(f"{missing} of {len(rows)} pictures have no {column.title}: they are flat or too small.")


def _scorer(params: QualityParams, context: Context) -> tuple[Scorer, dict[str, Any]]:
    """Raises ParameterError for files that are none."""
    model = _pristine(params, context)
    regression, told = None, {}
    if params.brisque_model or params.brisque_range:
        if not (params.brisque_model and params.brisque_range):
            lacking = "brisque_range" if params.brisque_model else "brisque_model"
            raise ParameterError([FieldError(lacking, "BRISQUE's regression and its ranges belong together")])
        files = context.open_file(params.brisque_model), context.open_file(params.brisque_range)
        regression = _checked("brisque_model", lambda: read_regression(*files))
        told["brisque"] = {"model": sha256(files[0]), "range": sha256(files[1]), "features": FEATURES}
    if model is not None:
        told["pristine"] = {
            "model": model.name,
            "patch_px": model.patch_px,
            "patches": model.patches,
            "pictures": model.pictures,
            "sha256": sha256(_pristine_path(params, context)),
        }
    return Scorer(model, regression), told


def _pristine_path(params: QualityParams, context: Context) -> Path:
    if params.niqe == "own":
        if not params.niqe_file:
            raise ParameterError([FieldError("niqe_file", "is required for a pristine model of your own")])
        return context.open_file(params.niqe_file)
    return pristine.BUNDLED / f"pristine_{params.niqe}.npz"


def _pristine(params: QualityParams, context: Context) -> Pristine | None:
    if not params.niqe:
        return None
    path = _pristine_path(params, context)
    return _checked("niqe_file", lambda: pristine.load(path))


def _checked(field: str, read: Any) -> Any:
    try:
        return read()
    except (WrongFile, OSError) as error:
        raise ParameterError([FieldError(field, str(error))]) from error


class FitPristine:
    """metrics.fit_pristine: a .npz that metrics.image_quality takes."""

    def run(self, params: PristineParams, context: Context) -> Iterator[Artifact]:
        pictures = pictures_of(params, context)
        context.pending(1)
        tell = teller(context, "Reading pictures")

        def told() -> Iterator[Any]:
            for index, array in enumerate(pictures.read(0, pixels)):
                if min(array.shape[:2]) >= params.patch:
                    yield array
                tell(index + 1, len(pictures))

        try:
            model = pristine.fit(params.title, told(), patch_px=params.patch)
        except ValueError as error:
            raise JobFailed(f"{error}.") from error
        path = (
            context.work_dir / f"pristine-{re.sub(r'[^0-9A-Za-z]+', '-', params.title).strip('-')[:40] or 'model'}.npz"
        )
        pristine.save(model, path)
        words = f"{model.name}: {model.patches} patches of {model.patch_px} pixels from {model.pictures} pictures"
        yield Artifact("file", path, title=words)
