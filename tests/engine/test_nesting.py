"""A run within a run: at its place in the job, with its own recipe, and the job is none the worse for its faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from webui.core.guests import Quota
from webui.core.jobs import ArtifactRecord, Job
from webui.library import metadata

INIT = """
    from webui.api import Params, ParameterValues, PipelineSpec, hookimpl, integer, parameters, text

    class Outer(Params):
        pipeline: str = text("toy.make", label="Pipeline")
        params: ParameterValues = parameters("pipeline", label="Parameters")
        cells: int = integer(2, minimum=0, maximum=9, label="Cells")
        do: str = text("", label="What else")

    @hookimpl
    def register_pipelines():
        return [PipelineSpec(id="outer.loop", title="Loop", params=Outer, run=".work:Loop")]
"""

WORK = """
    from webui.api import Artifact, Cancelled, Component, ComponentKey, LifelikeError

    class Loop:
        '''Cell i is ``params`` with seed + i; what goes wrong in one is told as a warning. The last is a table.'''

        def run(self, params, context):
            weights = [3.0, *[1.0] * params.cells] if "weights" in params.do else ()
            left = context.pending(params.cells + 1, weights)
            for index in left:
                if index == params.cells:
                    continue
                inner = {**params.params, "seed": params.params.get("seed", 0) + index}
                if "deep" in params.do:
                    inner = {"pipeline": params.pipeline, "params": params.params, "cells": 1, "do": params.do}
                try:
                    if "lease" in params.do:
                        key = ComponentKey("/n", 0, 0, "linear", "float32")
                        with context.models.lease({"a": Component(key, lambda: object())}):
                            self.cell(context, params, inner, index)
                    else:
                        self.cell(context, params, inner, index)
                except Cancelled:
                    raise
                except LifelikeError as error:
                    if "strict" in params.do:
                        raise
                    context.warn(f"cell {index}: {type(error).__name__}: {error.message}")
            found = [context.saved(index) for index in range(params.cells)]
            yield Artifact("table", [{"file": path.name if path else ""} for path in found], index=params.cells)

        def cell(self, context, params, inner, index):
            pipeline = "outer.loop" if "deep" in params.do else params.pipeline
            if "take" in params.do:
                taken = []
                assert context.run(pipeline, inner, count=2, take=taken.append) == ()
                context.save(Artifact("scalar", [[one.kind, one.index, one.seed] for one in taken], index=index))
                return
            records = context.run(pipeline, inner, index=index, title=f"Cell {index}")
            assert [record.index for record in records] == [index]
"""


@pytest.fixture
def nest(lab: Any) -> Any:
    lab.extension("outer", INIT, {"work.py": WORK})
    return lab


def loop(nest: Any, script: str = "all", do: str = "", cells: int = 2, **more: Any) -> Any:
    inner = {"script": script, "seed": 5, **more.pop("inner", {})}
    target = more.pop("pipeline", "toy.make")
    params = {"pipeline": target, "params": inner, "cells": cells, "do": do}
    job = Job(pipeline="outer.loop", params=params, owner=more.pop("owner", "local"))
    return nest.run(job=job, **more)


def pixels(nest: Any, record: ArtifactRecord) -> bytes:
    return nest.files.path_of(record).read_bytes()


def test_what_is_made_inside_is_an_artifact_of_the_job_with_its_own_recipe(nest: Any) -> None:
    outcome = loop(nest)
    assert outcome.end == "done", outcome.events[-1]
    first, second, table = outcome.records
    assert [(one.index, one.kind, one.job_id) for one in (first, second, table)] == [
        (0, "image", outcome.job.id),
        (1, "image", outcome.job.id),
        (2, "table", outcome.job.id),
    ]
    recipe = nest.recipe(second)
    assert (recipe.pipeline, recipe.index, recipe.seed) == ("toy.make", 0, 6)
    assert recipe.params == {"script": "all", "images": 2, "steps": 3, "seed": 6}
    assert recipe.extensions == {"toy": "1.2"}
    assert (second.pipeline, second.title) == ("toy.make", "Cell 1")
    assert nest.recipe(table).pipeline == "outer.loop"
    assert nest.files.path_of(table).read_text().split() == ["file", Path(first.path).name, Path(second.path).name]
    # From the files alone, as after the loss of the index, the records are the same.
    assert [(one.id, one.pipeline) for one in nest.files.find_job(outcome.job)] == [
        (one.id, one.pipeline) for one in outcome.records
    ]


def test_it_is_the_picture_that_its_pipeline_makes_alone(nest: Any) -> None:
    cell = loop(nest, "global disturb").records[1]
    alone = nest.run("global disturb", seed=6).records[0]
    read = [metadata.read(nest.files.path_of(one)).recipe for one in (cell, alone)]
    assert read[0] == read[1]
    assert image_of(nest, cell) == image_of(nest, alone)


def image_of(nest: Any, record: ArtifactRecord) -> bytes:
    from PIL import Image

    with Image.open(nest.files.path_of(record)) as image:
        return image.tobytes()


def test_what_is_taken_is_not_kept(nest: Any) -> None:
    outcome = loop(nest, "all", do="take", cells=1)
    assert outcome.end == "done", outcome.events[-1]
    scalar, table = outcome.records
    assert (scalar.kind, table.kind) == ("scalar", "table")
    assert json.loads(nest.files.path_of(scalar).read_text()) == [["image", 0, 5], ["image", 1, 6]]
    assert not list(nest.files.root.rglob("*.png"))


def test_a_pipeline_that_makes_more_is_left_after_what_was_asked_for(nest: Any) -> None:
    outcome = loop(nest, "return list")
    assert [(one.index, one.kind) for one in outcome.records] == [(0, "image"), (1, "image"), (2, "table")]
    assert [one.index for one in loop(nest, "save save save").records] == [0, 1, 2]


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("raise", "cell 0: JobFailed: the latents went bad"),
        ("fail", "cell 0: JobFailed: the model knows no dogs."),
        ("exit", "cell 0: JobFailed: the pipeline tried to end the program (exit status 7)."),
        ("memory", "cell 0: JobFailed: the device ran out of memory: CUDA out of memory. Tried to allocate 9 GiB"),
        ("return number", "cell 0: ExtensionError: extension 'toy': the pipeline 'toy.make' returned a int"),
        ("leak raise", "cell 0: JobFailed: the latents went bad"),
    ],
)
def test_a_fault_inside_has_words_and_the_job_goes_on(nest: Any, script: str, says: str) -> None:
    outcome = loop(nest, script)
    assert outcome.end == "done"
    assert outcome.warnings[0].startswith(says)
    assert [one.kind for one in outcome.records] == ["table"]
    assert not any(entry.leases for entry in nest.runner.cache.stats().entries)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pipeline": "toy.none"}, "NotFound: there is no pipeline 'toy.none'."),
        ({"inner": {"steps": 0}}, "ParameterError: steps: expected at least 1"),
        ({"inner": {"colour": 1}}, "ParameterError: colour: there is no such parameter"),
        ({"do": "lease"}, "ExtensionError: extension 'outer': the pipeline 'outer.loop' runs another pipeline while"),
    ],
)
def test_what_cannot_be_run_is_named(nest: Any, change: dict[str, Any], says: str) -> None:
    outcome = loop(nest, **change)
    assert outcome.end == "done"
    assert outcome.warnings[0].startswith(f"cell 0: {says}")


def test_leases_of_both_balance(nest: Any) -> None:
    outcome = loop(nest, "lease", inner={"images": 1}, cells=3)
    assert outcome.warnings == []
    assert [one.kind for one in outcome.records] == ["image"] * 3 + ["table"]
    assert not any(entry.leases for entry in nest.runner.cache.stats().entries)
    assert nest.runner.cache.stats().loads == 1  # the weights stay between the cells


def test_depth_is_bounded(nest: Any) -> None:
    outcome = loop(nest, do="deep strict")
    assert outcome.end == "failed"
    assert outcome.error.message == "outer.loop would be run at depth 4, at most 3 is possible."


def test_a_cancel_passes_through_and_a_finished_cell_stays(nest: Any) -> None:
    outcome = loop(nest, "all wait", cells=3, cancel_when=lambda event: event.type == "artifact")
    assert outcome.end == "cancelled"
    assert [one.index for one in outcome.records] == [0]
    stuck = loop(nest, "wait_and_fail", cancel_when=lambda event: event.type == "progress")
    assert stuck.end == "cancelled"
    assert stuck.warnings == []


def test_progress_is_a_part_of_the_jobs(nest: Any) -> None:
    outcome = loop(nest, inner={"steps": 4}, cells=3)
    told = [(one.image, one.images, round(one.fraction, 4)) for one in outcome.progress]
    assert told[0] == (0, 4, 0.0)
    assert (0, 4, 0.25) in told
    assert all(images == 4 for _, images, _ in told)
    fractions = [fraction for *_, fraction in told]
    assert fractions == sorted(fractions)
    assert told[-1] == (4, 4, 1.0)
    assert {one.message for one in outcome.progress} == {"", "sampling"}


def test_weights_say_how_much_each_is(nest: Any) -> None:
    outcome = loop(nest, do="weights", cells=2)
    after_first = next(one for one in outcome.progress if one.image == 1)
    assert after_first.fraction == pytest.approx(3 / 5)


def test_an_interrupted_job_makes_the_missing_runs_alone(nest: Any) -> None:
    whole = loop(nest, cells=3)
    outcome = loop(nest, cells=3, cancel_when=lambda event: event.type == "artifact")
    again = nest.run(job=outcome.job.model_copy(update={"attempts": 2}), done=[0])
    assert [one.index for one in again.records] == [1, 2, 3]
    table = nest.files.path_of(again.records[-1]).read_text().split()
    assert table == ["file", *(Path(one.path).name for one in nest.files.find_job(outcome.job)[:3])]
    for one, two in zip(whole.records[:3], nest.files.find_job(outcome.job)[:3], strict=True):
        assert pixels(nest, one) == pixels(nest, two)


def test_runs_inside_count_toward_a_guests_quota(nest: Any) -> None:
    few = Quota(pictures=2, steps=4)
    outcome = loop(nest, cells=3, owner="kim", quota=few)
    assert outcome.end == "done"
    assert [(one.index, one.kind) for one in outcome.records] == [(0, "image"), (1, "image"), (3, "table")]
    assert outcome.warnings == ["cell 2: Forbidden: guests may ask for 2 pictures at once, and so many were made."]
    long = loop(nest, cells=1, owner="kim", quota=few, inner={"steps": 5})
    assert long.warnings == ["cell 0: ParameterError: steps: guests may ask for 4 steps (got 5)"]
    assert len(loop(nest, cells=3, owner="kim", quota=Quota(pictures=0, steps=0)).records) == 4, "0: no limit"


def test_what_an_earlier_attempt_made_counts_too(nest: Any) -> None:
    few = Quota(pictures=2)
    first = loop(nest, cells=3, owner="kim", quota=few, cancel_when=lambda event: event.type == "artifact")
    again = nest.run(job=first.job.model_copy(update={"attempts": 2}), done=[0], quota=few)
    assert [one.index for one in again.records if one.kind == "image"] == [1]
    assert len(again.warnings) == 1


def test_hooks_see_the_run_inside_as_a_job(nest: Any) -> None:
    nest.hooks(
        "touch",
        """
        @hookimpl
        def prepare_job(job):
            if job.pipeline == "toy.make":
                return job.model_copy(update={"params": {**job.params, "steps": 9}})

        @hookimpl
        def process_image(image, context):
            assert context.job.pipeline == context.recipe.pipeline == "toy.make"
            image.putpixel((0, 0), (1, 2, 3))
            return image
        """,
    )
    outcome = loop(nest, cells=1)
    assert outcome.end == "done", outcome.events[-1]
    recipe = nest.recipe(outcome.records[0])
    assert recipe.params["steps"] == 9
    assert recipe.extensions == {"toy": "1.2", "touch": "1.2"}
    assert image_of(nest, outcome.records[0])[:3] == bytes([1, 2, 3])


def test_previews_stand_at_the_place_of_the_picture(make_lab: Any) -> None:
    lab = make_lab(preview_interval_s=0.0)
    lab.extension("outer", INIT, {"work.py": WORK})
    outcome = loop(lab, "preview all", cells=2)
    assert {event.index for event in outcome.events if event.type == "preview"} <= {0, 1}
    assert any(event.type == "preview" for event in outcome.events)
