"""gan.train: a run of training as a job: data, preset, sheets as artifacts, and at its end a model in models/gan."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from extensions.gan.params_training import TrainParams
from extensions.gan.recipe import Recipe, presets
from extensions.gan.tasks.common import Setting
from extensions.gan.tasks.run import Measure, Report, Run
from extensions.gan.training import curves
from extensions.gan.training.data import PictureArray
from extensions.gan.training.loop import Diverged, write_atomic
from extensions.gan.training.machine import Machine
from webui.api import Artifact, Context, JobFailed, LayeredExtractor

from .making import refuse
from .projecting import reader
from .training_card import card
from .training_data import pictures_for

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
_READ_AT_ONCE = 64
Layers = Callable[[Tensor], Sequence[Tensor]]
GANS = ("dcgan", "stylegan2", "biggan")
_OWN_MODELS = Path(__file__).resolve().parents[3] / "models"


class Train:
    """gan.train. Its work folder holds all of the run, from which a stopped job goes on exactly as it would have."""

    def run(self, params: TrainParams, context: Context) -> Iterator[Artifact]:
        """Artifacts: a sheet at each report, then the curves, the losses as a plot, and a table of the model."""
        recipe = recipe_of(params)
        target = target_of(params, context)
        steps = recipe.steps
        reports = min(params.sheets, steps)
        every = -(-steps // reports)
        count = -(-steps // every)
        if not context.pending(count + 3, [1.0] * count + [0.001] * 3):
            return
        if params.threads and context.device.type == "cpu":
            torch.set_num_threads(params.threads)
        data = pictures_for(params, recipe, context)
        recipe = fitted(recipe, data)
        machine = Machine.of(context.device, params.precision)
        artifacts: list[Artifact] = []

        def report(told: Report) -> None:
            context.preview(told.sheet, told.place)
            words = f"Step {told.step}"
            if "distance" in told.row:
                words += f", {measure.title if measure else 'distance'} {told.row['distance']:.3g}"
            context.save(Artifact("image", told.sheet, index=told.place, seed=params.seed, title=words))

        def step(done: int, all_: int, pace: float) -> None:
            left = (all_ - done) * recipe.batch / max(pace, 1e-9)
            place = done - (done - 1) // every * every
            length = min(every, all_ - (done - 1) // every * every)
            context.progress(place, length, f"step {done} of {all_}, {pace:.1f} pictures/s, {spoken(left)} left")

        with torch.inference_mode(False), torch.enable_grad(), aide_of(params, recipe, context) as layers:
            measure = measure_of(params, context)
            run = made(
                Setting(recipe, data, machine, params.seed, steps, layers),
                context.work_dir / "run",
                reports=reports,
                title=target.stem,
                save_every=params.save_every,
                half=params.half,
                measure=measure,
                step=step,
                report=report,
                warn=context.warn,
            )
            train(run)
        artifacts += self._kept(params, recipe, run, target, count, measure, context)
        yield from artifacts

    def _kept(
        self,
        params: TrainParams,
        recipe: Recipe,
        run: Run,
        target: Path,
        count: int,
        measure: Measure | None,
        context: Context,
    ) -> list[Artifact]:
        """Puts the model among the models."""
        source, row = run.kept(params.keep == "best")
        rows = run.loop.rows()
        text = card(target.stem, recipe, params, row, measure.title if measure else "", len(run.setting.data))
        try:
            write_atomic(target.with_suffix(".md"), lambda path: path.write_text(text, encoding="utf-8"))
            write_atomic(target, lambda path: shutil.copyfile(source, path))
        except OSError as error:
            raise JobFailed(
                f"{target.name} cannot be written: {error.strerror or error}.",
                hint="Look at the rights of the models folder, and at the room that is left; then run the job again.",
            ) from error
        context.log.info("gan.train: %s", target)
        told: dict[str, Any] = {"model": reference_of(target, context.folders("gan")), "step": row["step"]}
        told |= {"pictures": row["step"] * recipe.batch, "bytes": target.stat().st_size}
        if measure is not None and "distance" in row:
            told[measure.title] = round(row["distance"], 4)
        plot = curves.plot(rows, "loss")
        made_of = [Artifact("image", curves.drawn(rows), index=count, seed=params.seed, title="Curves")]
        if plot is not None:
            made_of.append(Artifact("plot", plot, index=count + 1, title="Losses"))
        return [*made_of, Artifact("table", [told], index=count + 2, title=target.stem)]


def train(run: Run) -> None:
    """Raises JobFailed that says what to do where the run diverges."""
    try:
        run.run()
    except Diverged as error:
        raise JobFailed(
            f"Training diverged: {error}.",
            hint="The checkpoint before it is kept: run the job again from there with a lower learning rate, or with "
            "a larger gamma of R1.",
        ) from error
    except (RuntimeError, KeyError) as error:
        if "size mismatch" not in str(error) and "state_dict" not in str(error):
            raise
        raise JobFailed(
            "The checkpoint of this job belongs to another network.", hint="Begin a new job for another recipe."
        ) from error


def made(setting: Setting, folder: Path, **how: Any) -> Run:
    """Raises ParameterError for a network that cannot be built."""
    try:
        return Run(setting, folder, **how)
    except (TypeError, ValueError, KeyError) as error:
        raise refuse("recipe", f"this network cannot be built: {' '.join(str(error).split())[:300]}") from None


def recipe_of(params: TrainParams) -> Recipe:
    """The preset with what the form says otherwise. Raises ParameterError."""
    base = presets()[params.preset].model_dump()
    try:
        said = json.loads(params.recipe) if params.recipe.strip() else {}
    except (ValueError, RecursionError) as error:
        raise refuse("recipe", f"this is no JSON: {error}") from None
    if not isinstance(said, dict):
        raise refuse("recipe", 'expected a JSON object, such as {"path_weight": 0}')
    for part in ("network", "critic"):
        if part in said and isinstance(said[part], dict):
            said[part] = merged(base[part], said[part])
    own: dict[str, Any] = {
        "steps": params.steps or None,
        "batch": params.batch or None,
        "rate": params.rate or None,
        "critic_rate": params.critic_rate or None,
        "gamma": params.gamma if params.gamma >= 0 else None,
        "loss": None if params.loss == "auto" else params.loss,
        "augment": None if params.augment == "auto" else params.augment,
        "flip": params.flip or None,
    }
    try:
        return Recipe.model_validate({**base, **said, **{k: v for k, v in own.items() if v is not None}})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise refuse("recipe", f"{where}: {first['msg']}") from None


def merged(base: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """``said`` over ``base``, level by level."""
    both = dict(base)
    for key, value in said.items():
        old = both.get(key)
        both[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both


def fitted(recipe: Recipe, data: PictureArray) -> Recipe:
    """For the classes that the data have. Raises ParameterError."""
    if recipe.classes and not data.classes:
        raise refuse("label", "this preset draws by class: name the column of classes, or give a folder for each class")
    if recipe.family == "stylegan2" and recipe.batch > 4 and recipe.batch % 4:
        raise refuse("batch", f"StyleGAN2 compares groups of four: expected a multiple of 4, got {recipe.batch}")
    return recipe.with_classes(len(data.classes)) if data.classes else recipe


def target_of(params: TrainParams, context: Context) -> Path:
    """The file that the model becomes. Raises ParameterError where the name is none, or taken by another job's."""
    name = params.name.strip() or f"{params.preset}-{context.job.id[:8]}"
    if not _NAME.fullmatch(name):
        raise refuse("name", "expected a name of letters, digits, spaces, dots, - and _")
    folder = _folder_of_models(context.folders("gan"))
    target = folder / f"{name}.safetensors"
    if target.exists():
        raise refuse("name", "this name is taken: choose another")
    return target


def _folder_of_models(folders: Sequence[Path]) -> Path:
    """Of the folders called ``gan``, the data folder's first: where a trained model goes. A folder of models that a
    person named comes before the application's own, which is always the first that is listed.
    """
    beside = [one for one in folders[1:] if os.access(one.parent, os.W_OK)]
    return min(beside, key=lambda one: one.parent.resolve() == _OWN_MODELS, default=folders[-1])


def reference_of(target: Path, folders: Sequence[Path]) -> str:
    """What the catalog calls a model at ``target``: the folders of models after the first are numbered."""
    name = f"{target.parent.name}/{target.name}"
    place = folders.index(target.parent)
    return name if place < 2 else f"{place}:{name}"


@contextmanager
def aide_of(params: TrainParams, recipe: Recipe, context: Context) -> Iterator[Layers | None]:
    """The layers of the network that the form names, leased; None where it names none or no GAN is trained. Raises
    ParameterError, NotFound, ModelError.
    """
    if not params.aide.strip() or recipe.family not in GANS:
        yield None
        return
    extractor = context.feature_extractor(params.aide)
    if not isinstance(extractor, LayeredExtractor):
        raise refuse("aide", "expected a network that hands out its layers, such as starter.judge")
    with context.models.lease({"network": extractor.component}) as parts:
        yield reader(extractor, parts["network"], context)  # type: ignore[arg-type]


def measure_of(params: TrainParams, context: Context) -> Measure | None:
    """By the network that the form names. Raises NotFound, ModelError."""
    if not params.network.strip():
        return None
    extractor = context.feature_extractor(params.network)
    spec = context.feature_networks[params.network]

    def features(images: Tensor) -> np.ndarray:
        pixels = (images.float() * 127.5 + 128).clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
        found = []
        with context.models.lease({"network": extractor.component}) as parts, torch.inference_mode():
            for start in range(0, len(pixels), _READ_AT_ONCE):
                prepared = [extractor.prepare(Image.fromarray(one)) for one in pixels[start : start + _READ_AT_ONCE]]
                batch = torch.from_numpy(np.stack(prepared)).to(context.device)
                found.append(extractor.read(parts["network"], batch)["features"].float().cpu().numpy())
                context.check_cancelled()
        return np.concatenate(found)

    return Measure(features, f"FD-{spec.title}", params.measured)


def spoken(seconds: float) -> str:
    """Such as 3 min, 2.1 h."""
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )
