"""Sets of the `datasets` library, of the hub or on disk, streamed; reached only when a person names one."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from PIL import Image

from webui.api import Context, JobFailed

from .pictures import Prepare


@dataclass(frozen=True)
class Preset:
    """A well-known data set by its id on the hub."""

    repository: str
    split: str


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "celeba": Preset("flwrlabs/celeba", "train"),
        "ffhq": Preset("merkol/ffhq-256", "train"),
        "imagenet": Preset("ILSVRC/imagenet-1k", "validation"),
        "coco": Preset("detection-datasets/coco", "val"),
        "wikiart": Preset("huggan/wikiart", "train"),
    }
)
_REF = re.compile(r"(?P<name>[\w./-]+?)(?:@(?P<revision>[\w.-]+))?(?:\[(?P<split>[\w:%]+)\])?(?:#(?P<column>\w+))?")


class HubPictures:
    """``name@revision[split]#column``: a preset's name or an id of the hub, its first picture column unless named."""

    runs_pipelines = False
    file_format = "as the data set has it"

    def __init__(self, ref: str, count: int, context: Context) -> None:
        """Raises JobFailed: not installed, not reachable, no pictures."""
        found = _REF.fullmatch(ref)
        if found is None:
            raise JobFailed(f"{ref!r} names no data set.", hint="Expected name@revision[split]#column.")
        preset = PRESETS.get(found["name"].lower())
        self._repository = preset.repository if preset else found["name"]
        self._split = found["split"] or (preset.split if preset else "train")
        self._revision, self.count, self.title = found["revision"], count, f"dataset {ref}"
        if context.offline:
            raise JobFailed(f"{self.title}: this installation is offline.", hint="Give a folder or a zip.")
        # The library would take a folder of that name on this machine in place of the hub's.
        if Path(self._repository).exists() or self._repository.count("/") > 1 or self._repository[0] in "./":
            raise JobFailed(f"{self.title} is no id of the hub.", hint="Give a folder by its path.")
        self._rows = self._open()
        self._column = found["column"] or self._picture_column()
        self.identity = ""  # what a branch names may have changed

    def _open(self) -> Any:
        try:
            from datasets import load_dataset
        except ImportError:
            raise JobFailed(
                "data sets of the hub need the package `datasets`, which is not installed.",
                hint="Install it into .venv (pip install datasets), then start again; or give a folder or a zip.",
            ) from None
        try:
            return load_dataset(self._repository, split=self._split, revision=self._revision, streaming=True)
        except Exception as error:  # the hub's client and every format raise errors of their own
            raise JobFailed(
                f"{self.title} cannot be opened: {' '.join(str(error).split())[:300]}",
                hint="Check the id, the split and the network; a data set that asks for consent needs HF_TOKEN.",
            ) from error

    def _picture_column(self) -> str:
        for name, kind in (self._rows.features or {}).items():
            if type(kind).__name__ == "Image":
                return str(name)
        return "image"

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"row {index}"

    def picture(self, index: int) -> Image.Image:
        return next(self._pictures(index))

    def read(self, start: int, prepare: Prepare) -> Iterator[Any]:
        for picture in itertools.islice(self._pictures(start), self.count - start):
            yield prepare(picture)

    def _pictures(self, start: int) -> Iterator[Image.Image]:
        for row in self._rows.skip(start):
            picture = row.get(self._column)
            if not isinstance(picture, Image.Image):
                raise JobFailed(f"{self.title} has no pictures in {self._column!r}.", hint="Name a column: #image.")
            yield picture.convert("RGB")
