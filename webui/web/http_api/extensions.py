"""The routes of the Extensions tab: what became of each extension, what its hooks took, and whether it is loaded at the
next start. Nothing here installs, loads or runs one.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from webui.core.errors import NotFound
from webui.core.hook_use import HookUse
from webui.core.jobs import JobState
from webui.core.settings import read_stored, write_stored
from webui.plugins.host import ExtensionRecord
from webui.plugins.manifest import ManifestError, read_manifest, requirements_met
from webui.web.services import Services

_FAILED_JOBS = 200
_ERRORS_SHOWN = 5


class HookView(BaseModel):
    hook: str
    calls: int = Field(description="In this process and in the workers that live now")
    seconds: float
    failures: int
    suspended: bool = Field(description="Left out after three failures in a row, until the worker starts again")
    last_error: str
    last_error_at: float | None


class ExtensionFault(BaseModel):
    """A job that failed by an extension."""

    job_id: str
    at: float | None
    message: str


class ExtensionView(BaseModel):
    id: str
    title: str
    description: str
    version: str
    api: str = Field(description="The lowest version of the extension API that it asks for")
    state: str = Field(description="loaded, disabled, blocked (refused) or failed (it raised)")
    stage: str = Field(description="Where it stopped; empty for a loaded one")
    reason: str
    hint: str
    traceback: str
    builtin: bool
    enabled: bool = Field(description="Whether the next start loads it, as far as the stored settings say")
    pipelines: list[str]
    requires: dict[str, bool] = Field(description="Each package that it requires, and whether that is there")
    hooks: list[HookView] = Field(description="Those that it implements or whose calls were counted")
    faults: list[ExtensionFault] = Field(description="Jobs that failed by it lately, the newest first")


class ExtensionList(BaseModel):
    extensions: list[ExtensionView]


class Wish(BaseModel):
    enabled: bool


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["system"])

    @routes.get("/extensions", summary="Every extension that was found, and what became of it")
    def extensions() -> ExtensionList:
        uses = _uses(services)
        faults = _faults(services)
        disabled = _disabled(services)
        views = [
            _view(record, record.id not in disabled, uses, faults.get(record.id, []))
            for record in services.host.extensions
        ]
        return ExtensionList(extensions=views)

    @routes.patch("/extensions/{extension}", summary="Load an extension at the next start, or leave it out")
    def wish(extension: str, wish: Wish) -> ExtensionView:
        """One that the last start ended or hung with is tried again, too. Nothing changes before the next start."""
        record = next((one for one in services.host.extensions if one.id == extension), None)
        if record is None:
            raise NotFound(f"There is no extension {extension!r}.", hint="GET /api/v1/extensions lists what there is.")
        disabled = [one for one in _disabled(services) if one != extension] + ([] if wish.enabled else [extension])
        write_stored(services.settings.settings_path, {"disabled_extensions": disabled})
        if wish.enabled:
            services.host.forgive(extension)
        return _view(record, wish.enabled, _uses(services), _faults(services).get(extension, []))

    return routes


def _disabled(services: Services) -> list[str]:
    stored = read_stored(services.settings.settings_path)
    return [str(one) for one in stored.get("disabled_extensions", services.settings.disabled_extensions)]


def _uses(services: Services) -> list[HookUse]:
    """Of this process and of every worker."""
    told = list(services.host.book.uses())
    for worker in services.jobs.workers():
        told += worker.get("hooks") or ()
    return told


def _faults(services: Services) -> dict[str, list[ExtensionFault]]:
    found: dict[str, list[ExtensionFault]] = {}
    for job in services.jobs.list(state=JobState.FAILED, limit=_FAILED_JOBS):
        if job.error is not None and job.error.extension:
            fault = ExtensionFault(job_id=job.id, at=job.finished_at, message=job.error.message)
            found.setdefault(job.error.extension, []).append(fault)
    return {name: faults[:_ERRORS_SHOWN] for name, faults in found.items()}


def _view(
    record: ExtensionRecord, enabled: bool, uses: Iterable[HookUse], faults: list[ExtensionFault]
) -> ExtensionView:
    api, requires = "", {}
    try:
        manifest = read_manifest(Path(record.path))
        api, requires = manifest.api, requirements_met(manifest.requires)
    except ManifestError:
        pass  # the record says so
    hooks: dict[str, dict[str, Any]] = {name: HookUse(extension="", hook=name).model_dump() for name in record.hooks}
    for use in uses:
        if use.extension == record.id:
            row = hooks.setdefault(use.hook, HookUse(extension="", hook=use.hook).model_dump())
            newer = (use.last_error_at or 0) >= (row["last_error_at"] or 0)
            row.update(
                calls=row["calls"] + use.calls,
                seconds=row["seconds"] + use.seconds,
                failures=row["failures"] + use.failures,
                suspended=row["suspended"] or use.suspended,
            )
            if use.last_error and newer:
                row.update(last_error=use.last_error, last_error_at=use.last_error_at)
    names = ExtensionView.model_fields.keys() - {"hooks", "faults", "enabled", "requires", "api"}
    return ExtensionView(
        **{name: getattr(record, name) for name in names},
        api=api,
        enabled=enabled,
        requires=requires,
        hooks=[HookView.model_validate(row) for _, row in sorted(hooks.items())],
        faults=faults,
    )
