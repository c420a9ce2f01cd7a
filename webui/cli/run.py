"""``run PIPELINE``: one job in this process, without a server; the same runner as the worker's."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from webui.app import Studio, build_studio
from webui.cli.options import add_host_options, add_parameters, as_options, given_parameters, settings_from
from webui.cli.progress import Bar
from webui.core.errors import FieldError, ParameterError
from webui.core.jobs import ArtifactRecord, ErrorInfo, Job, JobArtifact, JobCancelled, JobFailedEvent, JobWarning
from webui.core.parameters import Parameter, describe
from webui.core.specs import PipelineSpec, same_name
from webui.core.work_folders import left_by


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0 done, 1 failed, 2 wrong parameters, 130 interrupted."""
    name = arguments[0] if arguments and not arguments[0].startswith("-") else ""
    parser = _parser(name)
    known, _ = parser.parse_known_args(list(arguments[1:] if name else arguments))
    studio = build_studio(settings_from(known), allow_paths=True)
    pipelines = tuple(studio.host.pipelines.values())
    if not name:
        print(_list(pipelines))
        return 0 if known.help else 2
    spec = find_pipeline(name, pipelines)
    parameters = describe(spec.params)
    add_parameters(parser, parameters)
    if known.help:
        parser.description = f"{spec.title} ({spec.id}). {spec.description}".strip()
        parser.print_help()
        return 0
    given = parser.parse_args(list(arguments[1:]))
    if given.resume:
        return _run(studio, _left(studio, spec, given.resume), given)
    try:
        params = studio.freeze(spec, seen_from_here(given_parameters(given), parameters))
    except ParameterError as error:
        raise as_options(error, parameters) from None
    return _run(studio, Job(pipeline=spec.id, params=params), given)


def _left(studio: Studio, spec: PipelineSpec, job_id: str) -> Job:
    """A job of ``spec`` that left something to go on from. Raises ParameterError."""
    job = left_by(studio.settings, job_id)
    if job is None or job.pipeline != spec.id:
        raise ParameterError([FieldError("--resume", f"expected a job of {spec.id} that left something", job_id[:80])])
    return job.model_copy(update={"attempts": job.attempts + 1})


def seen_from_here(params: Mapping[str, Any], parameters: Sequence[Parameter]) -> dict[str, Any]:
    """``params`` with folders that are there as whole paths: elsewhere they are below the data folder."""
    found = dict(params)
    for row in parameters:
        path = Path(str(found.get(row.name) or "")).expanduser()
        if row.kind == "folder" and found.get(row.name) and path.exists():
            found[row.name] = str(path.absolute())
    return found


def find_pipeline(name: str, pipelines: Sequence[PipelineSpec]) -> PipelineSpec:
    """The pipeline that ``name`` means. Raises ParameterError: it is an argument that is wrong."""
    meant = same_name(pipelines, name)
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise ParameterError(
            [FieldError("PIPELINE", "is ambiguous: " + ", ".join(spec.id for spec in meant), repr(name))]
        )
    known = ", ".join(sorted(spec.id for spec in pipelines)) or "none, no extension is loaded"
    raise ParameterError([FieldError("PIPELINE", f"there is no such pipeline; there are: {known}", repr(name))])


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"launch.py run {name or 'PIPELINE'}", add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--help", action="store_true", help="show this and end")
    parser.add_argument("--out", type=Path, metavar="DIR", help="also put the results into this folder")
    parser.add_argument("--resume", metavar="JOB", help="go on with a job that was stopped or failed, by its id")
    parser.add_argument("--json", action="store_true", help="print JSON lines, the last one the result")
    add_host_options(parser)
    return parser


def _list(pipelines: Sequence[PipelineSpec]) -> str:
    width = max((len(spec.id) for spec in pipelines), default=0)
    rows = "\n".join(f"  {spec.id:<{width}}  {spec.title}" for spec in sorted(pipelines, key=lambda spec: spec.id))
    return (
        f"usage: python launch.py run PIPELINE [options]\n\npipelines:\n{rows}\n\n"
        "run PIPELINE --help tells its parameters. The last part of an id is enough where it is unambiguous."
    )


class _Outcome:
    """Gathers what a run tells, and passes it on as it comes."""

    def __init__(self, as_json: bool) -> None:
        self.records: list[ArtifactRecord] = []
        self.warnings: list[str] = []
        self.state = "done"
        self.error: ErrorInfo | None = None
        self._as_json = as_json
        self._bar = Bar()

    def take(self, event: Any) -> None:
        self._bar.show(event)
        if isinstance(event, JobArtifact):
            self.records.append(event.artifact)
            if self._as_json:
                print(json.dumps({"event": "artifact", **event.artifact.model_dump(mode="json")}), flush=True)
        elif isinstance(event, JobWarning):
            self.warnings.append(event.message)
        elif isinstance(event, JobFailedEvent):
            self.state, self.error = "failed", event.error
        elif isinstance(event, JobCancelled):
            self.state = "cancelled"

    def close(self) -> None:
        self._bar.close()


def _run(studio: Studio, job: Job, given: argparse.Namespace) -> int:
    from webui.engine.local import run_local

    began = time.perf_counter()
    outcome = _Outcome(given.json)
    cancelled = threading.Event()
    try:
        run_local(studio.runner(), job, outcome.take, cancelled, _done(studio, job))
    except KeyboardInterrupt:
        if left_by(studio.settings, job.id) is not None:
            print(f"run: go on with `run {job.pipeline} --resume {job.id}`.", file=sys.stderr)
        raise
    finally:
        outcome.close()
    for record in outcome.records:
        studio.library.add(record)
    artifacts = [_told(studio, record, given.out) for record in outcome.records]
    result = {
        "state": outcome.state,
        "pipeline": job.pipeline,
        "job": job.id,
        "params": job.params,
        "artifacts": artifacts,
        "warnings": outcome.warnings,
        "seconds": round(time.perf_counter() - began, 3),
        "error": outcome.error.model_dump(mode="json") if outcome.error else None,
    }
    if given.json:
        print(json.dumps(result), flush=True)
    else:
        for artifact in artifacts:
            print(artifact["path"])
    if outcome.error is not None:
        print(f"run: {outcome.error.message} {outcome.error.hint}".strip(), file=sys.stderr)
    return {"done": 0, "cancelled": 130}.get(outcome.state, 1)


def _done(studio: Studio, job: Job) -> list[int]:
    """Places of the artifacts that an earlier attempt left."""
    return [record.index for record in studio.files.find_job(job)] if job.attempts > 0 else []


def _told(studio: Studio, record: ArtifactRecord, out: Path | None) -> dict[str, Any]:
    """An artifact in the result; a scalar brings its value along."""
    path = _place(studio, record, out)
    told: dict[str, Any] = {"path": str(path), "kind": record.kind, "seed": record.seed, "id": record.id}
    return {**told, "value": json.loads(path.read_text(encoding="utf-8"))} if record.kind == "scalar" else told


def _place(studio: Studio, record: ArtifactRecord, out: Path | None) -> Path:
    """Where the user finds an artifact: in the library, or under its name in ``out`` (on one disk without a copy)."""
    source = studio.files.path_of(record)
    if out is None:
        return source
    out.mkdir(parents=True, exist_ok=True)
    target = out / source.name
    temporary = target.with_name(target.name + ".tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    os.replace(temporary, target)
    return target.resolve()
