"""A runner over extensions written for the test; host, library, uploads and catalog are the real ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from webui.catalog.catalog import Catalog
from webui.core.guests import UNBOUNDED, Quota
from webui.core.jobs import ArtifactRecord, ErrorInfo, Job, Progress
from webui.core.recipes import Recipe
from webui.core.settings import Settings
from webui.engine.runner import Runner
from webui.library.files import LibraryFiles
from webui.library.uploads import UploadStore
from webui.plugins.host import ExtensionHost

TOY_INIT = """
    from webui.api import ModelKind, Params, PipelineSpec, SettingsSpec, boolean, hookimpl, integer, seed, text

    class ToyParams(Params):
        script: str = text("image", label="Script")
        images: int = integer(2, minimum=0, maximum=99, label="Images")
        steps: int = integer(3, minimum=1, maximum=1000, label="Steps")
        seed: int = seed()

    class ToySettings(Params):
        loud: bool = boolean(False, label="Loud")

    def spec(name, run, **more):
        return PipelineSpec(id=f"toy.{name}", title=name.title(), params=ToyParams, run=f".work:{run}", **more)

    @hookimpl
    def register_pipelines():
        return [
            spec("make", "Make"), spec("once", "Make", resumable=False), spec("slow", "Make", timeout_s=0.05),
            spec("keeps", "Make", keeps_work=True),
            spec("nowhere", "NotThere"), spec("no_run", "NoRun"), spec("breaks_at_import", "Broken"),
        ]

    @hookimpl
    def register_settings():
        return [SettingsSpec(id="toy", title="Toy", params=ToySettings)]
"""

TOY_WORK = """
    import os
    import sys
    import time
    from pathlib import Path

    import torch
    from PIL import Image

    from webui.api import Artifact, Cancelled, Component, ComponentKey, JobFailed, ModelUse, NotFound

    def picture(seed, size=32):
        noise = torch.randint(0, 256, (size, size, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
        return Image.fromarray(noise.numpy(), "RGB")

    class NoRun:
        pass

    class Make:
        '''Follows the words of its script; ``run`` of one word is what it returns, of several it yields.'''

        def run(self, params, context):
            self.context, self.params, self.kept = context, params, []
            first, _, rest = params.script.partition(" ")
            if first == "return":
                return self.answer(rest)
            return self.follow(params.script.split())

        def follow(self, words):
            context, params = self.context, self.params
            left = context.pending(params.images)
            for word in words:
                word, _, argument = word.partition(":")
                if word == "all":
                    for index in left:
                        for step in range(params.steps):
                            context.progress(step + 1, params.steps, "sampling")
                        yield self.image(index)
                elif word == "image":
                    if left:
                        yield self.image(left.pop(0))
                elif word == "save":
                    if left:
                        context.save(self.image(left.pop(0)))
                elif word == "flat":
                    yield Artifact("image", Image.new("RGB", (32, 32), "black"), index=left.pop(0))
                elif word == "step":
                    context.progress(1, params.steps)
                elif word == "preview":
                    context.preview(lambda: picture(1), index=0)
                elif word == "bad_preview":
                    context.preview(lambda: 1 / 0)
                elif word == "swallow":
                    try:
                        for step in range(100_000):
                            context.progress(step, 100_000)
                            time.sleep(0.001)
                    except Cancelled:
                        return
                elif word == "wait":
                    for step in range(100_000):
                        context.progress(step, 100_000)
                        time.sleep(0.001)
                elif word == "wait_and_fail":
                    try:
                        while True:
                            context.check_cancelled()
                            time.sleep(0.001)
                    except Cancelled:
                        raise RuntimeError("a callback was interrupted")
                elif word == "sleep":
                    time.sleep(float(argument))
                elif word == "raise":
                    raise ValueError("the latents went bad")
                elif word == "miss":
                    raise NotFound("There is no model of dogs.", hint="Put one into models.")
                elif word == "fail":
                    raise JobFailed("the model knows no dogs.", hint="Ask for a cat.")
                elif word == "exit":
                    sys.exit(7)
                elif word == "interrupt":
                    raise KeyboardInterrupt
                elif word == "memory":
                    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
                elif word == "print":
                    print("a print " * 2000, flush=True)
                    os.write(1, b"native noise without a line end")
                elif word == "warn":
                    context.warn("take care")
                elif word == "model":
                    context.use_model(ModelUse(ref="m.safetensors", sha256="ab", role="denoiser"))
                elif word == "leak":
                    lease = context.models.lease({"a": self.component()})
                    self.kept.append(lease)
                    lease.__enter__()
                elif word == "lease":
                    with context.models.lease({"a": self.component()}):
                        yield self.image(left.pop(0))
                        yield self.image(left.pop(0))
                elif word == "work":
                    (context.work_dir / "checkpoint").write_text("half way")
                elif word == "global":
                    yield Artifact("image", picture(int(torch.randint(0, 1000, (1,)))), index=left.pop(0))
                elif word == "disturb":
                    torch.set_grad_enabled(False)
                    torch.set_default_dtype(torch.float64)
                elif word == "log":
                    context.log.info("%s", sorted(context.settings.items()))
                elif word == "rubbish":
                    yield self.answer(argument)
                elif word == "stubborn":
                    try:
                        yield self.image(left.pop(0))
                        yield "rubbish"
                    finally:
                        raise RuntimeError("it does not like to be closed")

        def component(self):
            key = ComponentKey("/m", 0, 0, "linear", "float32")
            return Component(key, lambda: torch.nn.Linear(2, 2))

        def image(self, index):
            seed = self.params.seed + index
            return Artifact("image", picture(seed), index=index, seed=seed, params={"seed": seed}, title=f"No {index}")

        def answer(self, what):
            nothing = Path("/nowhere/at/all.mp4")
            return {
                "none": None,
                "artifact": self.image(0),
                "list": [self.image(0), self.image(1)],
                "picture": picture(0),
                "text": "a picture of a dog",
                "number": 5,
                "dict": {"image": picture(0)},
                "strings": ["a", "b"],
                "tensor": torch.zeros(2, 3),
                "tensor_image": Artifact("image", torch.zeros(3, 8, 8)),
                "kind": Artifact("painting", picture(0)),
                "index": Artifact("image", picture(0), index=-1),
                "nan": Artifact("image", Image.new("F", (8, 8), float("nan"))),
                "empty": Artifact("image", Image.new("RGB", (0, 4))),
                "missing_file": Artifact("video", nothing),
                "no_path": Artifact("audio", 3),
                "scalar": Artifact("scalar", object()),
                "table": Artifact("table", [1, 2]),
                "cells": Artifact("table", [{"a": object()}]),
                "good_table": Artifact("table", [{"a": 1, "b": 2.5}, {"a": 2, "b": 3.5}]),
                "good_scalar": Artifact("scalar", 0.25),
            }[what]
"""


@dataclass
class Outcome:
    """What a run told."""

    job: Job
    events: list[Any]

    @property
    def words(self) -> list[str]:
        return [event.type for event in self.events]

    @property
    def end(self) -> str:
        return str(self.events[-1].type)

    @property
    def error(self) -> ErrorInfo:
        error: ErrorInfo = self.events[-1].error
        return error

    @property
    def records(self) -> list[ArtifactRecord]:
        return [event.artifact for event in self.events if event.type == "artifact"]

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.events if event.type == "warning"]

    @property
    def progress(self) -> list[Progress]:
        return [event.progress for event in self.events if event.type == "progress"]


class Lab:
    """A folder of extensions, and a runner over them once it is asked for."""

    def __init__(self, base: Path, **settings: Any) -> None:
        self.base = base
        self.settings = Settings.model_validate(
            {
                "data_dir": base / "data",
                "models_dirs": (base / "models",),
                "extensions_dirs": (base / "extensions",),
                "device": "cpu",
                **settings,
            }
        )
        self.extension("toy", TOY_INIT, {"work.py": TOY_WORK})

    def extension(self, name: str, init: str, files: dict[str, str] | None = None, version: str = "1.2") -> None:
        folder = self.base / "extensions" / name
        folder.mkdir(parents=True)
        manifest = f'id = "{name}"\nversion = "{version}"\napi = "1.0"\n'
        (folder / "extension.toml").write_text(manifest, encoding="utf-8")
        for path, text in {"__init__.py": init, **(files or {})}.items():
            (folder / path).write_text(dedent(text), encoding="utf-8")

    def hooks(self, name: str, body: str) -> None:
        """An extension that has hooks alone."""
        self.extension(name, "from webui.api import hookimpl\n" + dedent(body))

    @cached_property
    def files(self) -> LibraryFiles:
        return LibraryFiles(self.settings.library_dir, self.settings.image_format, self.settings.image_quality)

    @cached_property
    def uploads(self) -> UploadStore:
        return UploadStore(self.settings.uploads_dir)

    @cached_property
    def runner(self) -> Runner:
        host = ExtensionHost.load(self.settings)
        assert {record.state for record in host.extensions} == {"loaded"}, host.extensions
        return Runner(self.settings, host, self.files, self.uploads, Catalog(self.settings))

    def run(
        self,
        script: str = "all",
        pipeline: str = "toy.make",
        *,
        done: Collection[int] = (),
        cancel_when: Callable[[Any], bool] | None = None,
        job: Job | None = None,
        quota: Quota = UNBOUNDED,
        **params: Any,
    ) -> Outcome:
        """Run one job; ``cancel_when`` looks at each event."""
        cancelled = threading.Event()
        events: list[Any] = []

        def emit(event: Any) -> None:
            events.append(event)
            if cancel_when is not None and cancel_when(event):
                cancelled.set()

        job = job or Job(pipeline=pipeline, params={"script": script, "seed": 5, **params})
        self.runner.run(job, done, emit, cancelled, quota)
        return Outcome(job, events)

    @staticmethod
    def job(pipeline: str, **params: Any) -> Job:
        return Job(pipeline=pipeline, params=params)

    def recipe(self, record: ArtifactRecord) -> Recipe:
        described = self.files.describe(record.path)
        assert described is not None
        assert described.recipe is not None
        return described.recipe


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture
def make_lab(tmp_path: Path) -> Callable[..., Lab]:
    return lambda **settings: Lab(tmp_path, **settings)


@pytest.fixture(scope="session")
def lab_class() -> type[Lab]:
    return Lab
