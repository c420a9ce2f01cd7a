"""The pipeline ``diffusion.txt2img``: from frozen parameters to finished pictures, one artifact each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from webui.api import Artifact, Context, ModelUse, ResolvedModel

from . import hub
from .drawing import Drawing
from .libraries import prepare
from .params import Txt2Img
from .single_file import CONFIGS


class Txt2ImgPipeline:
    """Pictures from text. Picture i of a job depends on seed + i alone, not on the batch it was made in."""

    configs: Path = CONFIGS
    """Where the configurations for single files lie."""

    def run(self, params: Txt2Img, context: Context) -> Iterator[Artifact]:
        """Yields the job's missing pictures in their order. Raises ModelError, NotFound, JobFailed, Cancelled."""
        pending = context.pending(params.batch_size * params.batch_count)
        if not pending:
            return
        model = context.models.resolve(params.model, "text_to_image")
        prepare()
        if model.path is None:
            model = hub.fetched(model, context)
        context.use_model(ModelUse(ref=model.ref, sha256=model.sha256))
        drawing = Drawing(model, params, context, self.configs)
        for group in groups(pending, 1 if drawing.alone else params.batch_size):
            images = drawing.draw(group)
            for index, image in zip(group, images, strict=True):
                yield Artifact(
                    "image",
                    image,
                    index=index,
                    seed=params.seed + index,
                    infotext=_infotext(model, params, drawing.sampler),
                )


def groups(indices: Sequence[int], size: int) -> list[Sequence[int]]:
    """``indices`` in runs of at most ``size``."""
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def _infotext(model: ResolvedModel, params: Txt2Img, sampler: str) -> dict[str, str]:
    """What other programs look for: the sampler by name, the model by title and short hash."""
    title = str(getattr(model, "title", "")) or Path(model.ref).stem
    pairs = {"Sampler": sampler, "Schedule type": params.schedule, "Model": title}
    return {**pairs, "Model hash": model.sha256[:10]} if model.sha256 else pairs
