"""What a guest's job opens in the worker: its own, and what everyone may. The owner's opens all."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from webui.core.errors import Forbidden, NotFound, ParameterError
from webui.core.jobs import Job
from webui.core.recipes import Recipe
from webui.core.specs import Artifact
from webui.engine.reach import Reach
from webui.library.marks import MarkChange
from webui.testing import make_studio


class Around:
    """The parts of ``Surroundings`` that reach is asked about, real ones."""

    def __init__(self, studio: Any) -> None:
        self.settings, self.files, self.uploads, self.accept = studio.settings, studio.files, studio.uploads, None


@pytest.fixture
def made(tmp_path: Path) -> tuple[Any, dict[str, str]]:
    studio = make_studio(tmp_path)
    ids = {}
    for owner in ("local", "kim", "kimono"):
        job = Job(pipeline="easel.paint", owner=owner, created_at=time.time())
        recipe = Recipe(pipeline=job.pipeline, params={}, index=0, seed=0)
        record = studio.files.save(Artifact("image", Image.new("RGB", (8, 8)), seed=0), job, recipe)
        studio.library.add(record, recipe)
        assert [one.id for one in studio.files.find_job(job)] == [record.id]
        ids[owner] = record.id
    studio.library.mark(ids.values(), MarkChange(add_collections=("all",)))
    return studio, ids


def test_a_guest_reaches_its_own(made: Any) -> None:
    studio, ids = made
    reach = Reach(Around(studio), "kim")  # type: ignore[arg-type]
    assert reach.check(f"artifact:{ids['kim']}")
    assert reach.check("upload:" + "0" * 64 + ".png"), "named by its bytes"
    for other in ("local", "kimono"):
        with pytest.raises(NotFound):
            reach.check(f"artifact:{ids[other]}")
    with pytest.raises(NotFound):
        reach.check("artifact:../../etc-0")
    assert reach.collection("all") == [f"artifact:{ids['kim']}"]
    with pytest.raises(ParameterError, match="guests cannot name folders"):
        reach.folder(".")
    reach.check_model("starter/avatar", ["starter/avatar"])
    with pytest.raises(Forbidden, match="models of the list"):
        reach.check_model("someone/hub-id", ["starter/avatar"])


def test_the_owner_reaches_all(made: Any) -> None:
    studio, ids = made
    reach = Reach(Around(studio), "local")  # type: ignore[arg-type]
    assert sorted(reach.collection("all")) == sorted(f"artifact:{one}" for one in ids.values())
    assert all(reach.check(f"artifact:{one}") for one in ids.values())
    assert reach.folder(".") == studio.settings.data_dir
    reach.check_model("someone/hub-id", [])


def test_a_library_within_a_folder_is_that_folder(made: Any) -> None:
    studio, ids = made
    own = studio.library.within("guests/kim/")
    assert [item.id for item in own.page().items] == [ids["kim"]]
    assert own.count() == 1
    assert own.neighbours(ids["kim"]) == ("", "")
    assert [(one.name, one.count, one.newest) for one in own.collections()] == [("all", 1, ids["kim"])]
    for call in (own.get, own.path, own.recipe, own.trash, own.neighbours):
        with pytest.raises(NotFound):
            call(ids["kimono"])
    with pytest.raises(NotFound):
        own.mark([ids["local"]], MarkChange(rating=5))
    assert own.rename_collection("all", "mine") == 1
    assert {one.name: one.count for one in studio.library.collections()} == {"all": 2, "mine": 1}
