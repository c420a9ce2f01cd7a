"""The contract kit finds what breaks the contract, names it, and survives whatever an extension does to its process."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from webui.cli.extending.scaffold import new_extension
from webui.core.errors import NotFound
from webui.core.settings import Settings
from webui.testing.report import CHECKS, CheckReport
from webui.testing.supervise import Limits, check_extension, find_subject, subject_at

_spec = importlib.util.spec_from_file_location("kit_zoo", Path(__file__).parents[1] / "plugins" / "zoo.py")
assert _spec is not None
assert _spec.loader is not None
zoo = importlib.util.module_from_spec(_spec)
sys.modules["kit_zoo"] = zoo
_spec.loader.exec_module(zoo)

Judge = Callable[..., CheckReport]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Write an extension and check it. ``work``: the text of its heavy module, which is run then."""

    def judge(init: str = zoo.GOOD_INIT, work: str = "", limits: Limits | None = None) -> CheckReport:
        animal = zoo.Animal("subject", init, "", "", "", files={"work.py": work})
        folder = animal.write(tmp_path / "here")
        return check_extension(
            subject_at(folder), Settings(data_dir=tmp_path), limits=limits or Limits(), run_jobs=bool(work)
        )

    return judge


def state_of(report: CheckReport, name: str) -> tuple[str, str]:
    check = next(check for check in report.checks if check.name == name)
    return check.state, check.detail


def test_an_endless_import_is_ended(judge: Judge) -> None:
    report = judge("while True:\n    pass", limits=Limits(check_s=3))
    assert not report.ok
    assert "import: it did not end within 3 s" in report.problems[0]


def test_one_that_ends_the_process_is_named(judge: Judge) -> None:
    report = judge("import os\nos._exit(5)")
    assert not report.ok
    assert "exit status 5" in report.problems[0]
    assert report.as_text().startswith("subject\n")


def test_one_that_eats_memory_is_ended(judge: Judge) -> None:
    eats = "kept = []\nwhile True:\n    kept.append(bytearray(b'x') * 2**24)"
    report = judge(eats, limits=Limits(memory_bytes=400 * 2**20))
    assert "GiB of memory" in report.problems[0]


def test_every_fault_of_declarations_is_found_at_once(judge: Judge) -> None:
    heavy = zoo.GOOD_INIT + "\nimport sys, types\nsys.modules['transformers'] = types.ModuleType('transformers')\n"
    report = judge(
        heavy
        + "try:\n    import socket\n    socket.create_connection(('example.org', 80))\nexcept Exception:\n    pass\n"
    )
    assert state_of(report, "light")[0] == "failed"
    assert "transformers" in state_of(report, "light")[1]
    assert state_of(report, "network") == ("failed", "it reached for example.org")
    assert state_of(report, "parameters")[0] == "passed"
    assert report.facts["pipelines"] == ("subject.make",) or report.facts["pipelines"] == ["subject.make"]
    assert "FAIL light" in report.as_text()


def test_a_refusal_says_where_it_stopped(judge: Judge) -> None:
    report = judge("from webui.api import hookimpl\n\n@hookimpl\ndef register_pipeline():\n    return []\n")
    assert [check.name for check in report.checks] == ["manifest", "import", "declarations"]
    assert "register_pipelines" in state_of(report, "declarations")[1]


BAD_WORK = """
import random
import time

from PIL import Image

from webui.api import Artifact, Cancelled


class Make:
    def run(self, params, context):
        for step in range(4):
            try:
                context.progress(step + 1, 4)
            except Cancelled:
                pass
            shade = random.SystemRandom().randrange(256)
            yield Artifact("image", Image.new("RGB", (8, 8), (shade, step, 0)), index=step, seed=step)
"""


def test_what_a_job_does_wrong_is_found(judge: Judge) -> None:
    report = judge(work=BAD_WORK)
    assert state_of(report, "repeatable")[0] == "failed"
    assert "draw from context.generator" in state_of(report, "repeatable")[1]
    assert [check.name for check in report.checks] == list(CHECKS)
    assert report.facts["id"] == "subject"


def test_a_new_extension_is_found_by_id_folder_and_project(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    folder = new_extension("fresh", settings.own_extensions_dir)
    project = new_extension("fresh_one", tmp_path, pypi=True)
    assert find_subject("fresh", settings).folder == folder.resolve()
    subject = find_subject(str(project), settings)
    assert (subject.id, subject.package) == ("fresh_one", "lifelike_fresh_one")
    report = check_extension(subject, settings, run_jobs=False)
    assert report.ok, report.as_text()
    with pytest.raises(NotFound, match="nobody"):
        find_subject("nobody", settings)
