"""The contract kit: checks one extension as the application would load and run it. Runs as a process of its own,
started by ``supervise``, and writes a JSON line at the begin and the end of each check.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from webui.core.parameters import describe
from webui.core.settings import Settings
from webui.core.specs import PipelineSpec
from webui.core.validating import validate

from .report import Check, CheckState
from .samples import NoSample, sample_parameters, sample_picture
from .sentry import NetworkSentry

if TYPE_CHECKING:
    from webui.app import Studio
    from webui.testing import Outcome

HEAVY = ("torch", "torchvision", "diffusers", "transformers", "gradio")
SLOW_IMPORT_S = 2.0
LONGEST_JOB_S = 30.0
"""A job that takes longer, made small, is cancelled, and what it would have shown is not known."""
RECORD_CHECKS = {
    "manifest": ("manifest", "api", "requirements"),
    "import": ("import",),
    "declarations": ("register", "hooks", "declare"),
}
"""Check -> the stages of loading that it stands for."""
CANNOT_HERE = ("ModelError", "NotFound", "ParameterError", "SetupError")
"""Kinds of errors that say what is missing on this machine, not what is wrong with the extension."""


class _Skip(Exception):
    """Why a check says nothing here."""


class _Wrong(Exception):
    """What a check found."""


@dataclass
class Kit:
    """One extension under check."""

    extension: str
    settings: Settings
    answer: TextIO
    sentry: NetworkSentry
    run_jobs: bool = True

    def run(self) -> None:
        """Every check in its order, as far as the extension comes."""
        began = time.monotonic()
        studio = self._load()
        record = next((one for one in studio.host.extensions if one.id == self.extension), None)
        if record is None:
            self._say(Check("manifest", "failed", f"no extension {self.extension!r} was found", 0.0))
            return
        self._tell({"facts": asdict(record)})
        seconds = time.monotonic() - began
        for name, stages in RECORD_CHECKS.items():
            if record.stage in stages:
                detail = f"{record.state} at {record.stage}: {record.reason} {record.hint}".strip()
                self._say(Check(name, "failed", "\n".join(filter(None, [detail, record.traceback])), seconds))
                return
            slow = name == "import" and seconds > SLOW_IMPORT_S
            self._say(Check(name, "passed", f"slow: {seconds:.1f} s" if slow else "", seconds))
        specs = [spec for spec in studio.host.pipelines.values() if spec.extension == self.extension]
        self._check("light", self._light)
        self._check("parameters", lambda: _round_trips(specs))
        self._check("translations", lambda: _translations(Path(record.path)))
        self._check("tabs", lambda: self._tabs(studio))
        if self.run_jobs:
            self._jobs(specs)
        self._check("network", self._network)
        studio.library.close()

    # --- without torch

    def _load(self) -> Studio:
        from webui.app import build_studio

        with self._begun("manifest"):
            return build_studio(self.settings, allow_paths=True)

    @staticmethod
    def _light() -> None:
        if met := [name for name in HEAVY if name in sys.modules]:
            raise _Wrong(f"loading it imports {', '.join(met)}: move that into the module that `run` or `build` names")

    def _tabs(self, studio: Studio) -> None:
        own = {tab.id for tab in studio.host.tabs if tab.build and self._owns(studio, tab.id)}
        if not own:
            raise _Skip("it has no tab of its own making")
        from webui.app import build_services
        from webui.web.faststart import import_gradio

        import_gradio()
        from webui.web.ui import page, shell

        services = build_services(self.settings)
        built = shell.build_tabs(services, page.form_services(services))
        services.library.close()
        if wrong := [f"{one.spec.id}: {one.problem}" for one in built if one.spec.id in own and one.problem]:
            raise _Wrong("\n".join(wrong))

    def _owns(self, studio: Studio, tab: str) -> bool:
        return studio.host.owner_of("tabs", tab) == self.extension

    def _network(self) -> None:
        if self.sentry.attempts:
            raise _Wrong("it reached for " + ", ".join(self.sentry.attempts))

    # --- jobs

    def _jobs(self, specs: list[PipelineSpec]) -> None:
        told: dict[str, str] = {}
        outcomes: list[Outcome] = []
        picture = sample_picture(self.settings.data_dir / "sample.png")
        self._check("repeatable", lambda: self._each(specs, told, lambda spec: self._repeat(spec, picture, outcomes)))
        self._check("cancel", lambda: self._each(specs, told, lambda spec: self._cancel(spec, picture, outcomes)))
        self._check("leases", lambda: _leases(outcomes))

    @staticmethod
    def _each(specs: list[PipelineSpec], told: dict[str, str], check: Callable[[PipelineSpec], None]) -> None:
        """``check`` of every pipeline: all that is wrong, else why some could not be run, else nothing."""
        wrong = []
        for spec in specs:
            if spec.id in told:
                continue
            try:
                check(spec)
            except _Skip as skip:
                told[spec.id] = str(skip)
            except _Wrong as found:
                wrong.append(f"{spec.id}: {found}")
        if wrong:
            raise _Wrong("\n".join(wrong))
        if len(told) == len(specs):
            reasons = "\n".join(f"{name}: {reason}" for name, reason in told.items())
            raise _Skip(reasons or "it has no pipeline")

    def _repeat(self, spec: PipelineSpec, picture: Path, outcomes: list[Outcome]) -> None:
        made: list[list[tuple[str, int, str]]] = []
        for attempt in (1, 2):
            outcome, _ = self._run(spec, picture, f"{spec.name}-{attempt}")
            outcomes.append(outcome)
            made.append([(record.kind, record.index, record.sha256) for record in outcome.records])
        if made[0] != made[1]:
            differing = sum(one != other for one, other in zip(*made, strict=False)) or "the number of"
            raise _Wrong(
                f"two runs with one seed differ in {differing} of {len(made[0])} artifacts: draw from context.generator"
            )

    def _cancel(self, spec: PipelineSpec, picture: Path, outcomes: list[Outcome]) -> None:
        outcome, seconds = self._run(
            spec, picture, f"{spec.name}-cancelled", cancel_when=lambda told: bool(told.progress)
        )
        outcomes.append(outcome)
        if outcome.state == "cancelled":
            return
        last = outcome.progress[-1] if outcome.progress else None
        if last is None and seconds > 1:
            raise _Wrong(f"it ran {seconds:.1f} s without context.progress or context.check_cancelled")
        if last is not None and len(outcome.progress) > 2 and len(outcome.records) > 1:
            raise _Wrong("it went on after it was cancelled: let Cancelled pass")

    def _run(self, spec: PipelineSpec, picture: Path, name: str, **options: Any) -> tuple[Outcome, float]:
        """One small job on a data folder of its own, and the seconds it took. Raises _Skip, _Wrong."""
        from webui.core.errors import LifelikeError
        from webui.testing import make_studio, run_pipeline

        settings = self.settings.model_dump(exclude={"data_dir", "extensions_dirs", "models_dirs"})
        studio = make_studio(
            self.settings.data_dir / "runs" / name,
            extensions_dirs=self.settings.extensions_dirs,
            models_dirs=self.settings.models_dirs,
            **settings,
        )
        began = time.monotonic()
        asked = options.pop("cancel_when", lambda _: False)
        overdue: list[bool] = []

        def cancel_when(outcome: Outcome) -> bool:
            if time.monotonic() - began > LONGEST_JOB_S:
                overdue.append(True)
            return bool(overdue) or asked(outcome)

        try:
            parameters = sample_parameters(spec, picture)
            outcome = run_pipeline(
                spec.id, parameters, studio.settings.data_dir, studio=studio, cancel_when=cancel_when, **options
            )
        except NoSample as missing:
            raise _Skip(f"no value can be made up for its parameter {missing}; a first example would say one") from None
        except LifelikeError as error:
            raise _Skip(f"it cannot be run here: {error}") from None
        finally:
            studio.library.close()
        if overdue:
            raise _Skip(f"made small, it still takes more than {LONGEST_JOB_S:g} s")
        if outcome.state == "failed" and outcome.error is not None:
            said = f"{outcome.error.kind}: {outcome.error.message}"
            raise (_Skip if outcome.error.kind in CANNOT_HERE else _Wrong)(f"with {parameters}: {said}")
        return outcome, time.monotonic() - began

    # --- telling

    def _check(self, name: str, check: Callable[[], Any]) -> None:
        began = time.monotonic()
        state: CheckState = "passed"
        detail = ""
        with self._begun(name):
            try:
                check()
            except _Skip as skip:
                state, detail = "skipped", str(skip)
            except _Wrong as wrong:
                state, detail = "failed", str(wrong)
            except (Exception, SystemExit) as error:  # the extension's code: whatever it raises is what was found
                logging.getLogger(__name__).exception("check %s", name)
                state, detail = "failed", f"{type(error).__name__}: {error}"
        self._say(Check(name, state, detail, round(time.monotonic() - began, 3)))

    @contextmanager
    def _begun(self, name: str) -> Iterator[None]:
        self._tell({"begin": name})
        yield

    def _say(self, check: Check) -> None:
        self._tell({"check": asdict(check)})

    def _tell(self, line: dict[str, Any]) -> None:
        self.answer.write(json.dumps(line) + "\n")
        self.answer.flush()


def _round_trips(specs: list[PipelineSpec]) -> None:
    """Defaults (made up where there are none) and examples of each, as JSON and back."""
    for spec in specs:
        _round_trip(spec)


def _round_trip(spec: PipelineSpec) -> None:
    json.dumps(spec.params.model_json_schema())
    describe(spec.params)
    try:
        first = sample_parameters(spec, Path("sample.png"))
    except NoSample:
        return
    known = spec.params.model_fields
    for raw in (first, *({k: v for k, v in example.items() if k in known} | first for example in spec.examples)):
        params = validate(spec.params, raw)
        again = validate(spec.params, json.loads(params.model_dump_json()))
        if params != again:
            raise _Wrong(f"{spec.id}: {params!r} became {again!r}")


def _translations(folder: Path) -> None:
    files = sorted((folder / "locale").glob("*.json"))
    if not files:
        raise _Skip("it has none; locale/zh-CN.json maps each English text to Chinese")
    for file in files:
        table = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(table, dict) or not all(isinstance(text, str) for text in table.values()):
            raise _Wrong(f"{file.name}: expected an object of texts")


def _leases(outcomes: list[Outcome]) -> None:
    if not outcomes:
        raise _Skip("no pipeline could be run")
    held = {
        f"{outcome.job.pipeline}: {entry.component} of {entry.path or 'no file'}"
        for outcome in outcomes
        if outcome.memory is not None
        for entry in outcome.memory.entries
        if entry.holders
    }
    if held:
        raise _Wrong("still leased after the job: " + "; ".join(sorted(held)))


def main() -> int:
    """Entry of the subprocess: a JSON object on standard input says what to check."""
    asked = json.loads(sys.stdin.readline())
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever the extension prints, from C too, stays out of the report
    sys.stdout = sys.stderr
    sentry = NetworkSentry()
    settings = Settings.model_validate(asked["settings"])
    Kit(asked["extension"], settings, answer, sentry, asked["run_jobs"]).run()
    return 0


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # threads that an extension left behind do not keep the answer waiting
