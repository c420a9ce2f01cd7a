"""The composition root of the web process and the command line: builds the rooms and wires them; no logic of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webui.catalog.catalog import Catalog
from webui.core.errors import FieldError, LifelikeError, NotFound, ParameterError
from webui.core.parameters import Parameter, freeze
from webui.core.settings import Settings
from webui.core.specs import PipelineSpec
from webui.library.files import LibraryFiles
from webui.library.index import LibraryIndex
from webui.library.library import Library
from webui.library.uploads import UploadStore
from webui.plugins.guard import StartGuard
from webui.plugins.host import ExtensionHost
from webui.queue.service import JobService
from webui.web.services import Services

if TYPE_CHECKING:
    from webui.engine.runner import Runner


def start_guard(settings: Settings) -> StartGuard:
    """The mark of the extension that is being imported. Only the server keeps one: it is what must come up again."""
    return StartGuard(settings.data_dir / "starting.json")


def build_host(settings: Settings, guard: StartGuard | None = None) -> ExtensionHost:
    """The extensions alone."""
    return ExtensionHost.load(settings, guard=guard)


@dataclass(frozen=True)
class Studio:
    """What every entry shares: extensions, models, library, uploads. No queue and no page."""

    settings: Settings
    host: ExtensionHost
    catalog: Catalog
    library: Library
    uploads: UploadStore
    files: LibraryFiles

    def freeze(self, spec: PipelineSpec, raw: Mapping[str, Any], *, allow_paths: bool = False) -> dict[str, Any]:
        """A job's parameters with nothing left open. ``allow_paths``: the host's own user asks, and may name files."""

        def choose_model(row: Parameter, ref: str) -> tuple[str, Mapping[str, Any]]:
            try:
                entry = (
                    self.catalog.resolve(ref, row.source, allow_paths=allow_paths)
                    if ref
                    else self.catalog.default(row.source)
                )
            except LifelikeError as error:
                raise ParameterError([FieldError(row.name, error.message, repr(ref))], hint=error.hint) from None
            if entry is None:
                raise ParameterError([FieldError(row.name, f"there is no model of the kind {row.source!r}")])
            return entry.ref, entry.recommended

        def intern(row: Parameter, value: str) -> str:
            try:
                return self.uploads.intern(value, allow_paths=allow_paths)
            except ParameterError as error:
                raise ParameterError([FieldError(row.name, one.message, one.got) for one in error.fields]) from None
            except NotFound as error:
                raise ParameterError([FieldError(row.name, error.message)], hint=error.hint) from None

        return freeze(spec.params, raw, choose_model=choose_model, intern=intern)

    def runner(self) -> Runner:
        """The worker's runner in this process; importing it imports torch."""
        from webui.engine.runner import Runner

        return Runner(self.settings, self.host, self.files, self.uploads, self.catalog)


def build_studio(settings: Settings, *, guard: StartGuard | None = None, library_dir: Path | None = None) -> Studio:
    """Everything but queue and page. ``library_dir``: write to another library than the settings name."""
    root = library_dir or settings.library_dir
    files = LibraryFiles(root, settings.image_format, settings.image_quality)
    library = Library(files, LibraryIndex(settings.index_path if library_dir is None else root / "index.sqlite3"))
    uploads = UploadStore(
        settings.uploads_dir,
        settings.max_upload_bytes,
        settings.max_image_pixels,
        artifact_path=lambda artifact_id: library.path_of(library.get(artifact_id)),
    )
    host = build_host(settings, guard)
    return Studio(settings, host, Catalog(settings), library, uploads, files)


def build_services(settings: Settings) -> Services:
    """What the server serves. Nothing is started."""
    studio = build_studio(settings, guard=start_guard(settings))
    jobs = JobService(
        settings,
        studio.host.pipelines,
        freeze=studio.freeze,
        find_done=studio.files.find_job,
        observers=[lambda job, record: studio.library.add(record)],
    )
    return Services(
        settings=settings,
        host=studio.host,
        jobs=jobs,
        library=studio.library,
        catalog=studio.catalog,
        uploads=studio.uploads,
    )
