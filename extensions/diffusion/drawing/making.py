"""From a job of any drawing pipeline to its artifacts: finds the model, draws what is missing, names what it was made
with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from PIL import Image

from extensions.diffusion.models import hub
from extensions.diffusion.models.libraries import prepare
from extensions.diffusion.models.single_file import CONFIGS
from extensions.diffusion.params import Drawn
from webui.api import Artifact, Context, ModelUse, ResolvedModel, describe

from .groups import Drawing
from .task import Task


class Drawer(Protocol):
    """One job's way of drawing: ``Drawing``, or several of them one after the other."""

    alone: bool
    """Whether pictures are drawn one at a time."""

    def draw(self, indices: Sequence[int]) -> list[Image.Image]: ...
    def infotext(self) -> dict[str, str]: ...


class DrawingPipeline:
    """What every pipeline that draws has in common. Picture i of a job depends on seed + i alone, not on the batch it
    was made in.
    """

    task: type[Task] = Task
    configs: Path = CONFIGS
    """Where the configurations for single files lie."""

    def run(self, params: Drawn, context: Context) -> Iterator[Artifact]:
        """Yields the job's missing pictures in their order. Raises ModelError, NotFound, ParameterError, JobFailed,
        Cancelled.
        """
        task = self.task(params, context)
        pending = context.pending(task.count)
        if not pending:
            return
        model = found_model(params.model, context, declared_kind(params))
        drawing = self.drawer(model, params, context, task)
        told = _infotext(model, params)
        for group in task.groups(pending, 1 if drawing.alone else params.batch_size):
            ready = [task.ready(index) for index in group]
            images = drawing.draw(group) if None in ready else ready
            for index, image in zip(group, images, strict=True):
                yield Artifact(
                    "image",
                    image,
                    index=index,
                    seed=task.seed_of(index),
                    params=task.record(index),
                    infotext={
                        **told,
                        **drawing.infotext(),
                        **task.infotext(),
                        **task.varied(index),
                    },
                )

    def drawer(self, model: ResolvedModel, params: Drawn, context: Context, task: Task) -> Drawer:
        """What draws the groups of a job. Raises ModelError where the model cannot do the task."""
        return Drawing(model, params, context, self.configs, task)


def declared_kind(params: Drawn) -> str:
    """The kind of model that a pipeline's declaration asks for."""
    return next(row.source for row in describe(type(params)) if row.name == "model")


def found_model(ref: str, context: Context, kind: str) -> ResolvedModel:
    """The model of that reference on this machine, noted in the recipe. Raises NotFound, ModelError."""
    model = context.models.resolve(ref, kind)
    prepare()
    if model.path is None:
        model = hub.fetched(model, context)
    context.use_model(ModelUse(ref=model.ref, sha256=model.sha256))
    return model


def _infotext(model: ResolvedModel, params: Drawn) -> dict[str, str]:
    """What other programs look for: the schedule by name, the model by title and short hash."""
    title = str(getattr(model, "title", "")) or Path(model.ref).stem
    pairs = {"Schedule type": params.schedule, "Model": title}
    return {**pairs, "Model hash": model.sha256[:10]} if model.sha256 else pairs
