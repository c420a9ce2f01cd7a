"""The streaming pass: pictures of a set -> rows of features on disk, in the memory of one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from extensions.metrics.inputs.pictures import PictureSet
from webui.api import Context, FeatureExtractor, FeatureNetwork, Work

from .store import Columns, FeatureStore, Rows, key_of

Tell = Callable[[int, int], None]
"""(done, all): told after each batch; may raise Cancelled."""


@dataclass
class Reader:
    """One network, and how it reads in this job."""

    spec: FeatureNetwork
    extractor: FeatureExtractor
    context: Context
    batch: int
    cache: Path | None = None
    """Where features of sets that are known again are kept; None: nowhere."""

    @property
    def protocol(self) -> Mapping[str, Any]:
        """What decides the numbers, for records."""
        return {"network": self.spec.id, **self.extractor.protocol}

    @property
    def dim(self) -> int:
        """How many features a picture has: of networks that come in several sizes, the weights' own number."""
        return int(getattr(self.extractor, "dim", self.spec.dim))

    @property
    def columns(self) -> Columns:
        return Columns(self.dim, {name: len(values) for name, values in self.extractor.heads.items()})

    def store_for(self, pictures: PictureSet, side: str) -> FeatureStore:
        """Where the features of a set lie: among those kept, or with the job, so that a run that was cut off goes on.

        ``side``: which of the job's sets it is.
        """
        where = self.context.work_dir / f"features-{side}-{self.spec.id}"
        if pictures.identity and self.cache is not None:
            key = key_of(
                pictures=pictures.identity,
                protocol=dict(self.protocol),
                batch=self.batch,
                device=self.context.device.type,
                torch=torch.__version__,
            )
            where = self.cache / key
        return FeatureStore(where, self.columns, self.batch)

    def read(self, pictures: PictureSet, store: FeatureStore, tell: Tell) -> None:
        """Until ``store`` has all rows; goes on after those that it has."""
        if store.complete:
            return
        items = pictures.read(store.rows, self.extractor.prepare)
        total = len(pictures)
        tell(store.rows, total)
        for batch in _batches(items, self.batch):
            told = self._told(batch)
            features = _rows(told["features"])
            heads = [_rows(told[name]) for name in self.extractor.heads]
            store.append(features, np.concatenate(heads, 1) if heads else None)
            tell(store.rows, total)
        store.finish({"title": pictures.title, "protocol": dict(self.protocol), "file_format": pictures.file_format})

    def _told(self, batch: list[Any]) -> Mapping[str, Tensor]:
        """A lease holds for one batch alone: where pictures are made by a pipeline, that one needs the device next."""
        stacked = torch.from_numpy(np.stack(batch))
        wanted, work = {"network": self.extractor.component}, Work("other", batch=len(batch))
        with (
            self.context.models.lease(wanted, work=work) as parts,
            torch.inference_mode(),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
        ):
            on_device = stacked.to(self.context.device, non_blocking=True)
            return {name: value.cpu() for name, value in self.extractor.read(parts["network"], on_device).items()}


def _batches(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while batch := list(islice(items, size)):
        yield batch


def _rows(values: Tensor) -> Rows:
    return values.float().numpy()
