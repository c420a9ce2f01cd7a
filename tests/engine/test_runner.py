"""The runner: whatever a pipeline does, its job ends once, and what was finished is on disk."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import Image

from webui.core.jobs import Job
from webui.core.work_folders import keep, left_by, work_folder

ENDS = ("done", "failed", "cancelled")


# What goes well


def test_each_image_is_on_disk_before_it_is_told_of(lab: Any) -> None:
    seen: list[bool] = []
    outcome = lab.run(cancel_when=lambda event: bool(seen.append(on_disk(lab, event))))
    assert outcome.words[0] == "started"
    assert outcome.end == "done"
    assert [record.index for record in outcome.records] == [0, 1]
    assert all(seen)
    assert outcome.progress[-1].fraction == 1.0
    assert (outcome.progress[-1].image, outcome.progress[-1].images) == (2, 2)


def on_disk(lab: Any, event: Any) -> bool:
    return event.type != "artifact" or lab.files.path_of(event.artifact).stat().st_size == event.artifact.size_bytes


def test_the_recipe_holds_what_made_the_picture_and_nothing_of_the_moment(lab: Any) -> None:
    first, second = lab.run("model all"), lab.run("model all")
    recipe = lab.recipe(first.records[1])
    assert recipe.params == {"script": "model all", "images": 2, "steps": 3, "seed": 6}
    assert (recipe.pipeline, recipe.index, recipe.seed) == ("toy.make", 1, 6)
    assert [use.ref for use in recipe.models] == ["m.safetensors"]
    assert recipe.extensions == {"toy": "1.2"}
    assert set(recipe.libraries) >= {"torch", "numpy", "pillow", "lifelike"}
    assert recipe.device["class"] == "cpu"
    for one, two in zip(first.records, second.records, strict=True):
        assert one.sha256 == two.sha256
        assert lab.files.path_of(one).read_bytes() == lab.files.path_of(two).read_bytes()


@pytest.mark.parametrize(
    ("script", "kinds"),
    [
        ("return none", []),
        ("return artifact", ["image"]),
        ("return list", ["image", "image"]),
        ("return good_table", ["table"]),
        ("rubbish:good_scalar", ["scalar"]),
        ("save image", ["image", "image"]),
        ("image", ["image"]),
    ],
)
def test_artifacts_are_returned_yielded_or_saved(lab: Any, script: str, kinds: list[str]) -> None:
    outcome = lab.run(script)
    assert outcome.end == "done", outcome.events[-1]
    assert [record.kind for record in outcome.records] == kinds
    assert all(lab.files.path_of(record).is_file() for record in outcome.records)


def test_resume_makes_the_missing_ones_alone(lab: Any) -> None:
    first = lab.run("image raise", images=3)
    assert [record.index for record in first.records] == [0]
    whole = first.job.model_copy(update={"params": {**first.job.params, "script": "all"}})
    again = lab.run(job=whole, done=[0])
    assert [record.index for record in again.records] == [1, 2]
    assert again.progress[0].image == 1
    assert [record.index for record in lab.files.find_job(first.job)] == [0, 1, 2]


def test_a_run_that_cannot_be_resumed_makes_all(lab: Any) -> None:
    assert [record.index for record in lab.run("all", "toy.once", done=[0]).records] == [0, 1]


def test_a_pipeline_that_draws_from_the_global_generators_repeats(lab: Any) -> None:
    first = lab.run("global disturb")
    assert first.records[0].sha256 == lab.run("global disturb").records[0].sha256
    assert first.records[0].sha256 != lab.run("global disturb", seed=6).records[0].sha256
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() is torch.float32


def test_a_flat_picture_is_kept_with_a_warning(lab: Any) -> None:
    outcome = lab.run("flat")
    assert outcome.end == "done"
    assert outcome.warnings == ["picture 1: the picture is one flat colour"]
    assert outcome.records[0].warnings == ("picture 1: the picture is one flat colour",)


def test_warnings_are_said_once(lab: Any) -> None:
    assert lab.run("warn warn bad_preview bad_preview").warnings == [
        "take care",
        "previews failed and were turned off for this job: ZeroDivisionError: division by zero",
    ]


# What goes wrong


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("return picture", "returned a PIL.Image.Image"),
        ("return text", "returned a str"),
        ("return number", "returned a int"),
        ("return dict", "returned a dict"),
        ("return strings", "handed over a str"),
        ("return tensor", "handed over a torch.Tensor of shape (3,)"),
        ("image rubbish:number", "handed over a int"),
        ("image rubbish:tensor_image", "of a torch.Tensor of shape (3, 8, 8), expected a PIL image"),
        ("image rubbish:kind", "of the kind 'painting', expected one of image, video"),
        ("image rubbish:index", "expected an index from 0 on"),
        ("image rubbish:nan", "values that are not finite"),
        ("image rubbish:empty", "0x4 pixels"),
        ("image rubbish:missing_file", "which is missing or empty, expected the path of a finished file"),
        ("image rubbish:no_path", "of a int, expected the path of a finished file"),
        ("image rubbish:scalar", "expected values that JSON has"),
        ("image rubbish:table", "expected a list of dicts"),
        ("image rubbish:cells", "expected values that JSON has"),
    ],
)
def test_rubbish_is_named_with_who_made_it(lab: Any, script: str, says: str) -> None:
    outcome = lab.run(script)
    assert outcome.end == "failed"
    assert (outcome.error.kind, outcome.error.extension) == ("ExtensionError", "toy")
    assert says in outcome.error.message
    assert "'toy.make'" in outcome.error.message
    assert len(outcome.records) == script.count("image ")


@pytest.mark.parametrize(
    ("script", "kind", "message", "has_traceback"),
    [
        ("raise", "ValueError", "the latents went bad", True),
        ("fail", "JobFailed", "the model knows no dogs.", False),
        ("miss", "NotFound", "There is no model of dogs.", False),
        ("exit", "SystemExit", "the pipeline tried to end the program (exit status 7).", True),
        ("memory", "OutOfMemoryError", "the device ran out of memory: CUDA out of memory", True),
    ],
)
def test_a_fault_ends_the_job_and_keeps_what_was_made(
    lab: Any, script: str, kind: str, message: str, has_traceback: bool
) -> None:
    outcome = lab.run(f"image {script} image")
    assert outcome.end == "failed"
    assert (outcome.error.kind, outcome.error.extension) == (kind, "toy")
    assert outcome.error.message.startswith(message)
    assert bool(outcome.error.traceback) == has_traceback
    assert [record.index for record in outcome.records] == [0]
    assert lab.files.path_of(outcome.records[0]).is_file()
    assert lab.run("all").end == "done"


@pytest.mark.parametrize(
    ("pipeline", "kind", "says"),
    [
        ("toy.unknown", "NotFound", "there is no pipeline 'toy.unknown'"),
        ("toy.nowhere", "ExtensionError", "cannot load '.work:NotThere'"),
        ("toy.no_run", "ExtensionError", "a NoRun without a method run"),
    ],
)
def test_a_pipeline_that_is_not_there(lab: Any, pipeline: str, kind: str, says: str) -> None:
    outcome = lab.run(pipeline=pipeline)
    assert outcome.words == ["started", "failed"]
    assert outcome.error.kind == kind
    assert says in outcome.error.message


def test_parameters_are_checked_again(lab: Any) -> None:
    outcome = lab.run(steps=0, colour="red")
    assert (outcome.end, outcome.error.kind) == ("failed", "ParameterError")
    assert "steps" in outcome.error.message
    assert "colour" in outcome.error.message


def test_a_full_disk_says_so(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lab.files, "save", full)
    outcome = lab.run()
    assert outcome.error.message.startswith("the disk is full")
    assert outcome.error.hint


def test_a_generator_that_fails_while_it_is_closed_hides_nothing(lab: Any) -> None:
    outcome = lab.run("stubborn")
    assert outcome.error.kind == "ExtensionError"
    assert len(outcome.records) == 1


def test_a_time_limit_holds(lab: Any) -> None:
    outcome = lab.run("wait", "toy.slow")
    assert (outcome.end, outcome.error.kind) == ("failed", "JobFailed")
    assert "limit of 0.05 s" in outcome.error.message


def test_an_interrupt_ends_the_worker_and_gives_back_what_was_held(lab: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        lab.run("leak interrupt")
    assert lab.runner.cache.stats().leased_bytes == 0


# Cancel


def test_cancel_takes_effect_within_a_step(lab: Any) -> None:
    began = time.monotonic()
    outcome = lab.run("image wait", cancel_when=lambda event: event.type == "progress" and event.progress.step > 0)
    assert outcome.end == "cancelled"
    assert [record.index for record in outcome.records] == [0]
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("script", ["swallow", "wait_and_fail"])
def test_a_pipeline_that_hides_the_cancel_is_cancelled_all_the_same(lab: Any, script: str) -> None:
    outcome = lab.run(script, cancel_when=lambda event: event.type == "progress")
    assert outcome.end == "cancelled"


def test_a_cancel_before_the_start(lab: Any) -> None:
    assert lab.run(cancel_when=lambda event: event.type == "started").words == ["started", "cancelled"]


def test_a_cancel_that_comes_when_all_is_made_comes_too_late(lab: Any) -> None:
    outcome = lab.run(cancel_when=lambda event: event.type == "artifact" and event.artifact.index == 1)
    assert outcome.end == "done"


# Leases, work folder


def test_leases_are_given_back_whatever_happens(lab: Any) -> None:
    for script in ("leak image", "leak raise", "lease raise"):
        lab.run(script)
        assert [row.leases for row in lab.runner.cache.stats().entries] == [0]
    outcome = lab.run("lease", cancel_when=lambda event: event.type == "artifact")
    assert outcome.end == "cancelled"
    assert [row.leases for row in lab.runner.cache.stats().entries] == [0]
    assert lab.runner.cache.stats().loads == 1


def test_the_work_folder_outlives_a_failure_and_goes_with_success(lab: Any) -> None:
    failed = lab.run("work raise")
    folder = lab.settings.data_dir / "work" / failed.job.id
    assert (folder / "checkpoint").read_text() == "half way"
    again = lab.run(job=failed.job.model_copy(update={"params": {"script": "work all", "seed": 1}}))
    assert again.end == "done"
    assert not folder.exists()
    cancelled = lab.run("work wait", cancel_when=lambda event: event.type == "progress" and event.progress.step > 0)
    assert not (lab.settings.data_dir / "work" / cancelled.job.id).exists()


def test_a_stopped_job_leaves_its_work_where_its_pipeline_says_so(lab: Any) -> None:
    stopped = lab.run(
        "work wait",
        pipeline="toy.keeps",
        cancel_when=lambda event: event.type == "progress" and event.progress.step > 0,
    )
    assert stopped.end == "cancelled"
    left = left_by(lab.settings, stopped.job.id)
    assert left is not None
    assert left.params == stopped.job.params
    lab.run(job=left.model_copy(update={"params": {"script": "all", "seed": 1}}))
    assert not work_folder(lab.settings, stopped.job.id).exists()
    assert left_by(lab.settings, stopped.job.id) is None
    assert left_by(lab.settings, "../work") is None


def test_what_stopped_jobs_left_is_bounded(lab: Any) -> None:
    settings = lab.settings.model_copy(update={"kept_work_bytes": 5000})
    jobs = [Job(pipeline="toy.keeps", params={}) for _ in range(4)]
    for place, job in enumerate(jobs):
        folder = work_folder(settings, job.id)
        folder.mkdir(parents=True)
        (folder / "checkpoint").write_bytes(b"x" * (9000 if place == 3 else 2000))
        if place:  # the first still runs
            keep(settings, job)
            os.utime(folder / "ended.json", (place, place))
    assert [work_folder(settings, job.id).exists() for job in jobs] == [True, False, False, True]


# Hooks


PREPARE = """
@hookimpl
def prepare_job(job):
    return job.model_copy(update={"params": {**job.params, "images": job.params.get("images", 2) + 1}})
"""


def test_prepare_job_changes_what_runs_and_is_in_the_recipe(lab: Any) -> None:
    lab.hooks("more", PREPARE)
    lab.hooks("quiet", "@hookimpl\ndef prepare_job(job):\n    return None")
    outcome = lab.run("all", images=1)
    assert len(outcome.records) == 2
    recipe = lab.recipe(outcome.records[0])
    assert recipe.params["images"] == 2
    assert recipe.extensions == {"toy": "1.2", "more": "1.2"}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("raise RuntimeError('no network')", "could not prepare the job: RuntimeError: no network"),
        ("import sys; sys.exit(1)", "could not prepare the job: SystemExit: 1"),
        ("return job.params", "prepare_job answered a dict, expected the same job"),
        ("return job.model_copy(update={'id': 'other'})", "prepare_job answered a job with the id other"),
        ("return job.model_copy(update={'params': {'steps': 0}})", "changed the job to one that cannot be run: steps"),
        ("return job.model_copy(update={'pipeline': 'no.such'})", "there is no pipeline 'no.such'"),
    ],
)
def test_prepare_job_that_fails_fails_the_job_and_is_named(lab: Any, body: str, says: str) -> None:
    lab.hooks("clumsy", f"@hookimpl\ndef prepare_job(job):\n    {body}")
    outcome = lab.run()
    assert outcome.end == "failed"
    assert outcome.error.extension == "clumsy"
    assert says in outcome.error.message
    assert outcome.records == []


def test_process_image_passes_from_one_to_the_next(lab: Any) -> None:
    lab.hooks("half", "@hookimpl\ndef process_image(image, context):\n    return image.resize((16, 16))")
    lab.hooks(
        "stamp",
        """
        @hookimpl
        def process_image(image, context):
            assert image.size == (16, 16)
            assert "half" in context.recipe.extensions
            if context.index == 0:
                image.putpixel((0, 0), (1, 2, 3))
                return image
        """,
    )
    outcome = lab.run()
    first, second = outcome.records
    assert (first.width, first.height) == (16, 16)
    with Image.open(lab.files.path_of(first)) as image:
        assert image.getpixel((0, 0)) == (1, 2, 3)
    assert set(lab.recipe(first).extensions) == {"toy", "half", "stamp"}
    assert set(lab.recipe(second).extensions) == {"toy", "half"}


def test_process_image_that_fails_keeps_the_picture(lab: Any) -> None:
    plain = lab.run(images=1).records[0]
    shutil.rmtree(lab.base / "extensions")
    other = type(lab)(lab.base)
    other.hooks(
        "vandal",
        """
        @hookimpl
        def process_image(image, context):
            image.paste((0, 0, 0), (0, 0, 32, 32))
            raise ValueError("oops")
        """,
    )
    other.hooks("liar", "@hookimpl\ndef process_image(image, context):\n    return 'a picture'")
    outcome = other.run(images=1)
    assert outcome.end == "done"
    assert outcome.records[0].sha256 == plain.sha256
    assert outcome.warnings == list(outcome.records[0].warnings)
    assert outcome.warnings == [
        "extension 'liar': process_image answered a str, expected a PIL image or None",
        "extension 'vandal' failed on the picture, which is kept: ValueError: oops",
    ]
    assert [event.extension for event in outcome.events if event.type == "warning"] == ["liar", "vandal"]


def test_three_failures_in_a_row_suspend_a_hook(lab: Any) -> None:
    lab.hooks(
        "moody",
        """
        calls = []

        @hookimpl
        def process_image(image, context):
            calls.append(1)
            if len(calls) != 3:
                raise ValueError("moody")
        """,
    )
    first = lab.run(images=5)
    failed = "extension 'moody' failed on the picture, which is kept: ValueError: moody"
    assert first.warnings == [failed]
    second = lab.run(images=2)
    suspended = "extension 'moody': its process_image failed three times in a row and is suspended from now on"
    left_out = "extension 'moody': its process_image is suspended, for it failed three times in a row"
    assert second.warnings == [suspended, failed, left_out]
    assert lab.run(images=2).warnings == [left_out]


def test_observers_see_every_job_and_their_errors_harm_none(lab: Any, caplog: pytest.LogCaptureFixture) -> None:
    lab.hooks(
        "observer",
        """
        from pathlib import Path

        @hookimpl
        def artifact_saved(record):
            raise ValueError("I saw it")

        @hookimpl
        def job_finished(job):
            lines = [job.state, str(len(job.artifacts)), job.error.kind if job.error else "-", *job.warnings]
            Path(job.params["script"].split("@")[1]).write_text(",".join(lines))
            raise ValueError("I told it")
        """,
    )
    note = lab.base / "note"
    with caplog.at_level(logging.WARNING):
        assert lab.run(f"image warn @{note}").end == "done"
    assert note.read_text() == "done,1,-,take care"
    assert "extension observer: artifact_saved raised" in caplog.text
    assert "extension observer: job_finished raised" in caplog.text
    lab.run(f"raise @{note}")
    assert note.read_text() == "failed,0,ValueError"


# Context


def test_the_context_s_view(make_lab: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    lab = make_lab(extensions={"toy": {"loud": "true", "token": "x"}, "other": {"secret": 1}})
    with caplog.at_level(logging.INFO, "lifelike"):
        assert lab.run("log").end == "done"
    assert "[('loud', True), ('token', 'x')]" in caplog.text


def test_wrong_settings_of_an_extension_fail_its_job_alone(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(extensions={"toy": {"loud": "maybe"}})
    outcome = lab.run("log")
    assert (outcome.end, outcome.error.kind) == ("failed", "SetupError")
    assert "loud" in outcome.error.message
    assert lab.run("all").end == "done"


# Properties

WORDS = ["image", "save", "step", "preview", "bad_preview", "warn", "model", "leak", "work", "raise", "exit", "memory"]


@given(
    script=st.lists(st.sampled_from(WORDS), min_size=1, max_size=8),
    images=st.integers(0, 4),
    done=st.sets(st.integers(0, 3)),
    cancel_at=st.none() | st.integers(0, 12),
)
@examples(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_job_ends_once_and_tells_the_truth(
    lab: Any, script: list[str], images: int, done: set[int], cancel_at: int | None
) -> None:
    seen = 0

    def count(event: Any) -> bool:
        nonlocal seen
        seen += 1
        return seen - 1 == cancel_at

    outcome = lab.run(" ".join(script), images=images, done=done, cancel_when=count)
    assert outcome.words[0] == "started"
    assert [word for word in outcome.words if word in ENDS] == [outcome.end]
    fractions = [one.fraction for one in outcome.progress]
    assert fractions == sorted(fractions)
    assert [record.index for record in outcome.records] == sorted({r.index for r in outcome.records})
    assert not {record.index for record in outcome.records} & done
    assert lab.files.find_job(outcome.job) == [
        record.model_copy(update={"warnings": (), "created_at": found.created_at})
        for record, found in zip(outcome.records, lab.files.find_job(outcome.job), strict=True)
    ]
    faults = [word for word in script if word in ("raise", "exit", "memory")]
    assert outcome.end != "failed" or faults
    assert outcome.end != "done" or not faults
    assert outcome.end != "cancelled" or cancel_at is not None
    assert all(row.leases == 0 for row in lab.runner.cache.stats().entries)


def test_a_recipe_is_canonical_json(lab: Any) -> None:
    recipe = lab.recipe(lab.run().records[0])
    text = recipe.to_json()
    assert json.loads(text)["params"]["seed"] == 5
    assert Job(pipeline="toy.make").id not in text
    assert "created" not in text
