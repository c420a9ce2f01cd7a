"""Marks of origin: put on finished files before they get their names, and demanded where a person's consent was."""

from __future__ import annotations

from typing import Any

import pytest

from webui.core.errors import ParameterError
from webui.core.jobs import Job
from webui.library import metadata
from webui.plugins.host import ExtensionHost

SWAP = """
    from webui.api import Params, PipelineSpec, consent, hookimpl, text

    class Swap(Params):
        consent: bool = consent()

    class Grid(Params):
        how: str = text("take", label="How")

    @hookimpl
    def register_pipelines():
        yield PipelineSpec(id="swap.face", title="Face swap", params=Swap, run=".work:Face", needs_consent=True)
        yield PipelineSpec(id="swap.grid", title="Grid", params=Grid, run=".work:Grid")
"""
SWAP_WORK = """
    from PIL import Image
    from webui.api import Artifact

    class Face:
        def run(self, params, context):
            yield Artifact("image", Image.effect_noise((32, 32), 50).convert("RGB"))

    class Grid:
        def run(self, params, context):
            taken = []
            if params.how == "take":
                context.run("swap.face", {"consent": True}, take=taken.append)
                yield Artifact("image", taken[0].data.rotate(90))
            else:
                context.run("swap.face", {"consent": True}, index=3)
"""
MARKER = """
    @hookimpl
    def mark_file(source, target, context):
        assert not target.exists()
        if context.settings.get("broken"):
            target.write_bytes(b"half")
            raise OSError("no certificate")
        if context.must_mark or context.pipeline.id == "toy.make":
            said = f"marked {context.kind} {context.media_type} {context.index} {context.pipeline.id}"
            target.write_bytes(source.read_bytes() + said.encode())
            return True
"""


@pytest.fixture
def swap(make_lab: Any) -> Any:
    def make(marker: str = MARKER, **settings: Any) -> Any:
        lab = make_lab(**settings)
        lab.extension("swap", SWAP, {"work.py": SWAP_WORK})
        if marker:
            lab.hooks("marker", marker)
        return lab

    return make


def tail(lab: Any, record: Any) -> bytes:
    return bytes(lab.files.path_of(record).read_bytes().rpartition(b"marked ")[2])


def run(lab: Any, pipeline: str = "swap.face", **params: Any) -> Any:
    return lab.run(job=Job(pipeline=pipeline, params=params))


def test_a_mark_is_in_the_file_and_in_its_record_and_the_recipe_stays(swap: Any) -> None:
    lab = swap()
    record = run(lab, consent=True).records[0]
    path = lab.files.path_of(record)
    assert tail(lab, record) == b"image image/png 0 swap.face"
    assert record.size_bytes == path.stat().st_size
    assert lab.files.describe(record.path).record.sha256 == record.sha256
    assert metadata.read(path).recipe.params == {"consent": True}
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_without_consent_nothing_is_run(swap: Any) -> None:
    outcome = run(swap(), consent=False)
    assert outcome.end == "failed"
    assert outcome.error.kind == "ParameterError"
    assert "consent of everyone shown" in outcome.error.message
    assert not outcome.records


def test_a_job_without_consent_is_not_accepted_either(swap: Any) -> None:
    accept = swap().runner.around.accept
    spec = next(one for name, one in accept.pipelines.items() if name == "swap.face")
    with pytest.raises(ParameterError, match="consent of everyone shown"):
        accept(spec, {})
    assert accept(spec, {"consent": True}) == {"consent": True}


@pytest.mark.parametrize(
    ("marker", "settings", "why"),
    [
        ("", {}, "no extension marks"),
        ("@hookimpl\ndef mark_file(source, target, context):\n    return None", {}, "no extension did"),
        ("@hookimpl\ndef mark_file(source, target, context):\n    return True", {}, "no extension did"),
        (MARKER, {"extensions": {"marker": {"broken": True}}}, "marker could not: OSError: no certificate"),
    ],
)
@pytest.mark.parametrize("pipeline", ["swap.face", "swap.grid"])
def test_what_must_be_marked_is_not_kept_unmarked(
    swap: Any, marker: str, settings: dict[str, Any], why: str, pipeline: str
) -> None:
    lab = swap(marker, **settings)
    outcome = run(lab, pipeline, **({"consent": True} if pipeline == "swap.face" else {}))
    assert outcome.end == "failed"
    assert why in outcome.error.message
    assert not outcome.records
    assert not [one for one in lab.files.root.rglob("*") if one.is_file()]


@pytest.mark.parametrize(("how", "said"), [("take", b"0 swap.grid"), ("keep", b"3 swap.face")])
def test_what_is_made_of_it_within_another_run_is_marked_too(swap: Any, how: str, said: bytes) -> None:
    lab = swap()
    outcome = run(lab, "swap.grid", how=how)
    assert outcome.end == "done", outcome.events[-1]
    assert [tail(lab, one) for one in outcome.records] == [b"image image/png " + said]


def test_a_failure_where_no_mark_must_be_is_a_warning(swap: Any) -> None:
    lab = swap(MARKER, extensions={"marker": {"broken": True}})
    outcome = lab.run(images=1)
    assert outcome.end == "done"
    assert outcome.records[0].warnings == (
        "extension 'marker' could not mark the file, which is kept: OSError: no certificate",
    )
    assert metadata.read(lab.files.path_of(outcome.records[0])).whole


def test_an_extension_that_leaves_out_the_question_is_refused(lab: Any) -> None:
    lab.extension(
        "rude", SWAP.replace("consent: bool = consent()", "other: bool = consent()").replace("swap.", "rude.")
    )
    host = ExtensionHost.load(lab.settings)
    record = next(one for one in host.extensions if one.id == "rude")
    assert (record.state, record.stage) == ("blocked", "declare")
    assert "webui.api.consent()" in record.reason
