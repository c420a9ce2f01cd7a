"""Sets that are made while they are read: pictures of any pipeline of the application, which nobody need keep."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from webui.api import Artifact, Context, JobFailed, PipelineSpec, SetRun, set_runs

from .pictures import Prepare


def texts_in(path: Path) -> list[str]:
    """Prompts: the lines of a text, or ``text`` of each line of JSON, as data sets keep captions. Raises JobFailed."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        if lines and all(line.startswith("{") for line in lines):
            return [str(json.loads(line)["text"]) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JobFailed(f"{path.name} holds no prompts: {error}", hint="Expected a prompt a line.") from error
    if not lines:
        raise JobFailed(f"{path.name} holds no prompts.", hint="Expected a prompt a line.")
    return lines


@dataclass
class PipelinePictures:
    """Picture i is made with seed + i, and with prompt i of ``prompts``, again from the first when they are used up."""

    context: Context
    spec: PipelineSpec
    params: Mapping[str, Any]
    seed: int
    count: int
    prompts: Sequence[str] = ()
    keep: bool = False
    """Whether the pictures become artifacts of the job, from ``first_artifact`` on."""
    first_artifact: int = 0
    runs_pipelines: bool = field(default=True, init=False)
    identity: str = field(default="", init=False)
    file_format: str = field(default="not compressed", init=False)

    def __post_init__(self) -> None:
        try:
            next(self._runs(0, 1))
        except ValueError as error:
            raise JobFailed(f"{error}.", hint="Choose another pipeline, or leave the file of prompts out.") from None

    def _runs(self, start: int, count: int) -> Iterator[SetRun]:
        return set_runs(self.spec, self.params, seed=self.seed, start=start, count=count, prompts=self.prompts)

    @property
    def title(self) -> str:
        return f"{self.spec.title}, seeds from {self.seed}"

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"seed {self.seed + index}"

    def picture(self, index: int) -> Image.Image:
        return self._made(next(self._runs(index, 1)), keep=False)[0]

    def read(self, start: int, prepare: Prepare) -> Iterator[Any]:
        for run in self._runs(start, self.count - start) if start < self.count else ():
            for picture in self._made(run, keep=self.keep):
                yield prepare(picture)

    def _made(self, run: SetRun, *, keep: bool) -> list[Image.Image]:
        start, count = run.start, run.count
        made: dict[int, Image.Image] = {}

        def take(artifact: Artifact) -> None:
            if artifact.kind == "image":
                made[artifact.index] = artifact.data.convert("RGB")

        if keep:
            records = self.context.run(self.spec.id, run.params, index=self.first_artifact + start, count=count)
            for record in records:
                path = self.context.saved(record.index)
                if path is not None and record.kind == "image":
                    with Image.open(path) as image:
                        made[record.index - self.first_artifact - start] = image.convert("RGB")
        else:
            self.context.run(self.spec.id, run.params, count=count, take=take)
        if sorted(made) != list(range(count)):
            raise JobFailed(
                f"{self.spec.title} made {len(made)} pictures where {count} were asked for.",
                hint="A pipeline must make one picture a seed to be measured.",
            )
        return [made[index] for index in range(count)]
