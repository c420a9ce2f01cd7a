"""The composition root of the web process and the command line: builds the rooms and wires them, with no logic."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webui.accounts.store import AccountStore
from webui.catalog.catalog import Catalog
from webui.core.accepting import Acceptor
from webui.core.errors import NotFound
from webui.core.guests import OWNER, GuestRules, Quota, folder_of_guest, is_guest
from webui.core.jobs import ArtifactRecord, Job
from webui.core.settings import Settings
from webui.core.specs import PipelineSpec
from webui.library.files import LibraryFiles
from webui.library.index import Index
from webui.library.library import Library
from webui.library.uploads import UploadStore, interning
from webui.plugins.guard import StartGuard
from webui.plugins.host import ExtensionHost
from webui.plugins.settings import extension_settings
from webui.queue.service import JobService
from webui.web.quotas import quota_of, seconds_left
from webui.web.services import Services

if TYPE_CHECKING:
    from webui.engine.runner import Runner


def start_guard(settings: Settings, *, marks: bool = True) -> StartGuard:
    """The mark of the extension that is being imported. Only the server sets one: it is what must come up again."""
    return StartGuard(settings.data_dir / "starting.json", marks=marks)


def build_host(settings: Settings, guard: StartGuard | None = None) -> ExtensionHost:
    """The extensions alone, without those that a start of the server ended with."""
    return ExtensionHost.load(settings, guard=guard or start_guard(settings, marks=False))


@dataclass(frozen=True)
class Studio:
    """What every entry shares: extensions, models, library, uploads. No queue and no page."""

    settings: Settings
    host: ExtensionHost
    catalog: Catalog
    library: Library
    uploads: UploadStore
    files: LibraryFiles

    allow_paths: bool = False
    """Whether files of this machine may be named: its own user asks, on the command line."""

    def freeze(
        self, spec: PipelineSpec, raw: Mapping[str, Any], owner: str = OWNER, quota: Quota | None = None
    ) -> dict[str, Any]:
        """A job's parameters with nothing left open. ``quota`` is a guest's. Raises ParameterError, Forbidden."""
        guest = owner if is_guest(owner) else ""
        sent = partial(self.uploads.is_from, guest=guest)
        rules = GuestRules(partial(self._owns, owner), sent, quota or Quota()) if guest else None
        acceptor = Acceptor(
            self.host.pipelines,
            self.catalog,
            interning(self.uploads, allow_paths=self.allow_paths, guest=guest),
            partial(extension_settings, self.settings, self.host),
            lambda path, field: self.settings.requested_folder(path, os.environ, field),
            rules,
        )
        return acceptor(spec, raw)

    def _owns(self, owner: str, artifact_id: str) -> bool:
        try:
            return bool(self.library.within(folder_of_guest(owner)).get(artifact_id))
        except NotFound:
            return False

    def runner(self) -> Runner:
        """The worker's runner in this process; importing it imports torch."""
        from webui.engine.runner import Runner

        return Runner(self.settings, self.host, self.files, self.uploads, self.catalog)


def build_studio(
    settings: Settings, *, guard: StartGuard | None = None, library_dir: Path | None = None, allow_paths: bool = False
) -> Studio:
    """Everything but queue and page. ``library_dir``: write to another library than the settings name."""
    root = library_dir or settings.library_dir
    files = LibraryFiles(root, settings.image_format, settings.image_quality)
    library = Library(files, Index(settings.index_path if library_dir is None else root / "index.sqlite3"))
    uploads = UploadStore(
        settings.uploads_dir,
        settings.max_upload_bytes,
        settings.max_image_pixels,
        resolve_artifact=library.path,
    )
    host = build_host(settings, guard)
    catalog = Catalog(settings, host.model_kinds.values(), allow_paths=allow_paths)
    return Studio(settings, host, catalog, library, uploads, files, allow_paths)


def build_services(settings: Settings) -> Services:
    """What the server serves. Nothing is started."""
    guard = start_guard(settings)
    studio = build_studio(settings, guard=guard)
    # A worker must not end by what the server is kept from.
    left_out = (*settings.disabled_extensions, *guard.culprits)

    accounts = AccountStore(settings.accounts_path)

    def index_artifact(job: Job, record: ArtifactRecord) -> None:
        studio.library.add(record)

    def freeze(spec: PipelineSpec, raw: Mapping[str, Any], owner: str) -> dict[str, Any]:
        return studio.freeze(spec, raw, owner, accounts.get(owner).quota if is_guest(owner) else None)

    def allowance_s(job: Job) -> float | None:
        return seconds_left(accounts, jobs, job.owner)

    jobs = JobService(
        settings.model_copy(update={"disabled_extensions": left_out}),
        studio.host.pipelines,
        freeze=freeze,
        find_done=studio.files.find_job,
        observers=[index_artifact],
        allowance_s=allowance_s,
        quota_of=lambda job: quota_of(accounts, job.owner),
    )
    return Services(
        settings=settings,
        host=studio.host,
        jobs=jobs,
        library=studio.library,
        catalog=studio.catalog,
        uploads=studio.uploads,
        accounts=accounts,
    )
