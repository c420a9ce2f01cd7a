"""Sets that are made while they are read: pictures of any pipeline of the application, which nobody need keep."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from webui.api import Artifact, Context, JobFailed, PipelineSpec, describe

from .pictures import Prepare

_SEED = "seed"
_COUNTS = ("samples", "batch_count")
"""Parameters that say how many pictures a run makes, picture i with seed + i."""
_CHUNK = 64


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
        self._known = {row.name for row in describe(self.spec.params)}
        if _SEED not in self._known:
            raise JobFailed(
                f"{self.spec.title} has no seed: pictures of a set must differ, and be made again.",
                hint="Choose a pipeline that has one.",
            )
        if self.prompts and "prompt" not in self._known:
            raise JobFailed(f"{self.spec.title} takes no prompt.", hint="Leave the file of prompts out.")

    @property
    def title(self) -> str:
        return f"{self.spec.title}, seeds from {self.seed}"

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"seed {self.seed + index}"

    def picture(self, index: int) -> Image.Image:
        made = self._made(index, 1, keep=False)
        return made[0]

    def read(self, start: int, prepare: Prepare) -> Iterator[Any]:
        step = 1 if self.prompts else self._step
        for at in range(start, self.count, step):
            for picture in self._made(at, min(step, self.count - at), keep=self.keep):
                yield prepare(picture)

    @property
    def _count_name(self) -> str:
        return next((name for name in _COUNTS if name in self._known), "")

    @property
    def _step(self) -> int:
        """Pictures of one run."""
        if not self._count_name:
            return 1
        batch = int(self.params.get("batch_size", 1)) if "batch_size" in self._known else 1
        return max(1, _CHUNK // batch) * batch

    def _made(self, start: int, count: int, *, keep: bool) -> list[Image.Image]:
        params = {**self.params, _SEED: self.seed + start}
        if self.prompts:
            params["prompt"] = self.prompts[start % len(self.prompts)]
        batch = int(params.get("batch_size", 1)) if "batch_size" in self._known else 1
        if self._count_name == "samples":
            params["samples"] = count
        elif self._count_name:
            if count < batch:
                params["batch_size"], batch = count, count
            params[self._count_name] = -(-count // batch)
        made: dict[int, Image.Image] = {}

        def take(artifact: Artifact) -> None:
            if artifact.kind == "image":
                made[artifact.index] = artifact.data.convert("RGB")

        if keep:
            records = self.context.run(self.spec.id, params, index=self.first_artifact + start, count=count)
            for record in records:
                path = self.context.saved(record.index)
                if path is not None and record.kind == "image":
                    with Image.open(path) as image:
                        made[record.index - self.first_artifact - start] = image.convert("RGB")
        else:
            self.context.run(self.spec.id, params, count=count, take=take)
        if sorted(made) != list(range(count)):
            raise JobFailed(
                f"{self.spec.title} made {len(made)} pictures where {count} were asked for.",
                hint="A pipeline must make one picture a seed to be measured.",
            )
        return [made[index] for index in range(count)]
