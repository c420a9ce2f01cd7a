"""What the library's tests share."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from webui.core.jobs import ArtifactRecord, Job
from webui.core.recipes import ModelUse, Recipe
from webui.core.specs import Artifact
from webui.library.files import LibraryFiles
from webui.library.index import Index
from webui.library.library import Library


@pytest.fixture
def files(tmp_path: Path) -> LibraryFiles:
    return LibraryFiles(tmp_path / "images")


@pytest.fixture(scope="session")
def blank_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new index, migrated once for all tests."""
    path = tmp_path_factory.mktemp("index") / "library.sqlite3"
    Index(path).close()
    return path


@pytest.fixture
def index(tmp_path: Path, blank_index: Path) -> Iterator[Index]:
    made = Index(Path(shutil.copy(blank_index, tmp_path)))
    yield made
    made.close()


@pytest.fixture
def library(files: LibraryFiles, index: Index) -> Library:
    return Library(files, index)


@pytest.fixture
def make(files: LibraryFiles, recipe_of: Callable[..., Recipe]):
    """Save one picture and return its record: ``make(index=0, job=..., **params)``."""

    def one(
        index: int = 0, job: Job | None = None, kind: str = "image", data: Any = None, **params: Any
    ) -> ArtifactRecord:
        job = job or Job(pipeline="diffusion.txt2img")
        recipe = recipe_of(index=index, pipeline=job.pipeline, **params)
        picture = data if data is not None else Image.new("RGB", (8, 6), (index % 256, 20, 30))
        return files.save(Artifact(kind, picture, index=index, seed=recipe.seed), job, recipe)

    return one


@pytest.fixture(scope="session")
def recipe_of() -> Callable[..., Recipe]:
    return _recipe_of


def _recipe_of(*, index: int = 0, pipeline: str = "diffusion.txt2img", **params: Any) -> Recipe:
    usual = {"prompt": "a cat", "steps": 20, "sampler": "Euler a", "schedule": "Karras", "seed": 5, "model": "starter"}
    said = usual | params
    used = ModelUse(ref="starter", sha256="ab" * 32)
    return Recipe(pipeline=pipeline, params=said, index=index, seed=said["seed"], models=(used,))
