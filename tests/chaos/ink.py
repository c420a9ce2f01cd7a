"""A second small extension, whose pictures need a model: a file of one colour. For tests alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

MANIFEST = 'id = "ink"\nversion = "1.0"\napi = "1.4"\n'

DECLARATION = """
import json

from webui.api import ModelKind, Params, PipelineSpec, hookimpl, integer, model


def recognise(path):
    with path.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    return {"family": "ink", "title": path.stem} if "ink" in header else None


class DipParams(Params):
    count: int = integer(1, minimum=1, maximum=50, label="Count")
    model: str = model(kind="ink", label="Ink")


@hookimpl
def register_model_kinds():
    yield ModelKind(id="ink", title="Ink", folders=("inks",), recognise=recognise)


@hookimpl
def register_pipelines():
    yield PipelineSpec(id="ink.dip", title="Dip", params=DipParams, run=".dip:Dip")
"""

WORK = """
import os
import time
from pathlib import Path

from PIL import Image

from webui.api import Artifact, Component, ComponentKey, ModelUse

GATE = Path(os.environ["LIFELIKE_DATA_DIR"]) / "gate"


class Dip:
    def run(self, params, context):
        found = context.models.resolve(params.model, "ink")
        context.use_model(ModelUse(ref=found.ref, sha256=found.sha256))
        ink = Component(
            ComponentKey.of(found.path, "ink", "float32"),
            lambda: {"ink": context.models.open_weights(found.path)["ink"].clone()},
        )
        for index in context.pending(params.count):
            while index and GATE.exists():
                context.check_cancelled()
                time.sleep(0.01)
            with context.models.lease({"ink": ink}) as parts:
                colour = tuple(int(value) for value in parts["ink"]["ink"])
            image = Image.new("RGB", (32, 32), colour)
            image.putpixel((index % 32, 0), (255, 255, 255))
            yield Artifact("image", image, index=index)
"""


def write_ink(extensions: Path) -> None:
    """The extension ``ink``; its jobs stand still after their first picture while ``<data_dir>/gate`` is there."""
    folder = extensions / "ink"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "extension.toml").write_text(MANIFEST, encoding="utf-8")
    (folder / "__init__.py").write_text(DECLARATION, encoding="utf-8")
    (folder / "dip.py").write_text(WORK, encoding="utf-8")


def write_model(path: Path, colour: tuple[int, int, int]) -> None:
    """A file of that colour, in the place of whatever is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    save_file({"ink": np.array(colour, dtype=np.float32)}, fresh)
    fresh.replace(path)
