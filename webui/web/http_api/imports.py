"""The routes that take pictures of others into the library: one that is sent, by anyone who may use the page; a folder
of this machine, by its own user alone, in the background.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from webui.core.errors import Conflict, LifelikeError
from webui.library.imports import Imported, import_file, import_folder
from webui.library.library import Library
from webui.library.marks import MarkChange, clean_name
from webui.web.services import Services

from .artifacts import ItemView, item_view
from .body import SentFile, json_body, parse_model, read_json
from .errors import LifelikeHTTPError
from .uploads import FILE_BODY, read_one_file


class Folder(BaseModel):
    """What to import."""

    model_config = ConfigDict(extra="forbid", strict=True)

    folder: str = Field(min_length=1, max_length=4096)
    link: bool = Field(default=False, description="Share the files on disk in place of copying them, where that can be")
    collection: str = Field(default="", max_length=80, description="Put them into this collection")


class ImportState(BaseModel):
    state: str = Field(description="idle, running, done, cancelled or failed")
    folder: str = ""
    added: int = 0
    known: int = Field(default=0, description="In the library already")
    skipped: int = Field(default=0, description="No pictures that can be read")
    problem: str = ""
    may_name_folders: bool = Field(default=False, description="Whether this client may import a folder")


class Taken(BaseModel):
    outcome: str = Field(description="added, known or skipped")
    artifact: ItemView | None


class Importer:
    """One import of a folder at a time, in a thread of its own.

    ``_lock`` guards the state; nothing else is taken under it.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._lock = threading.Lock()
        self._state = ImportState(state="idle")
        self._stop = threading.Event()

    def view(self) -> ImportState:
        with self._lock:
            return self._state

    def begin(self, wanted: Folder) -> ImportState:
        """Raises Conflict while another runs, ParameterError for a collection that cannot be."""
        change = None
        if wanted.collection:
            change = MarkChange(add_collections=(clean_name(wanted.collection, "collection"),))
        with self._lock:
            if self._state.state == "running":
                raise Conflict(f"{self._state.folder} is being imported.", hint="Wait for its end, or stop it.")
            self._state = ImportState(state="running", folder=wanted.folder)
            self._stop.clear()
        threading.Thread(target=self._run, args=(wanted, change), name="import", daemon=True).start()
        return self.view()

    def stop(self) -> ImportState:
        self._stop.set()
        return self.view()

    def _run(self, wanted: Folder, change: MarkChange | None) -> None:
        try:
            folder = Path(wanted.folder)
            import_folder(self._library, folder, link=wanted.link, change=change, progress=self._told)
            self._set(state="cancelled" if self._stop.is_set() else "done")
        except (LifelikeError, OSError, ValueError) as error:
            self._set(state="failed", problem=str(error))

    def _told(self, done: Imported) -> bool:
        self._set(added=done.added, known=done.known, skipped=done.skipped)
        return not self._stop.is_set()

    def _set(self, **values: Any) -> None:
        with self._lock:
            self._state = self._state.model_copy(update=values)


def take_sent(library: Library, folder: Path, sent: SentFile, modified: float | None) -> tuple[str, str]:
    """``import_file`` of what a request brought."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix="import-", dir=folder)
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(sent.data)
        return import_file(library, path, name=Path(sent.name).name, mtime=modified)
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["imports"])
    library, importer = services.library, Importer(services.library)
    limit = services.settings.max_upload_bytes
    temporary = services.settings.data_dir / "cache" / "imports"

    def may_name_folders(request: Request) -> bool:
        """Only where nobody but this machine's user reaches the server: it then asks for no token."""
        return bool(getattr(request.app.state, "local_only", False))

    def view(request: Request, state: ImportState) -> ImportState:
        return state.model_copy(update={"may_name_folders": may_name_folders(request)})

    @routes.get("/imports", summary="The import of a folder, and how far it is")
    def state(request: Request) -> ImportState:
        return view(request, importer.view())

    @routes.post(
        "/imports", status_code=202, openapi_extra=json_body(Folder), summary="Import a folder of this machine"
    )
    async def begin(request: Request) -> ImportState:
        """For the machine's own user alone: refused where the server asks for a token."""
        if not may_name_folders(request):
            raise LifelikeHTTPError(
                403,
                "Folders are imported by this machine's own user alone.",
                hint="Send the pictures, or run `launch.py library import FOLDER` there.",
            )
        return view(request, importer.begin(parse_model(Folder, await read_json(request, 20_000))))

    @routes.delete("/imports", summary="Stop the import of a folder; what is imported stays")
    def stop(request: Request) -> ImportState:
        return view(request, importer.stop())

    @routes.post(
        "/imports/files", response_model=Taken, openapi_extra=FILE_BODY, summary="Take one picture into the library"
    )
    async def take(
        request: Request,
        modified: Annotated[float | None, Query(ge=0, le=4e9, description="When its file was changed, in s")] = None,
    ) -> Response:
        sent = await read_one_file(request, limit)
        outcome, artifact_id = await run_in_threadpool(take_sent, library, temporary, sent, modified)
        item = item_view(library.get(artifact_id)) if artifact_id else None
        return JSONResponse({"outcome": outcome, "artifact": item})

    return routes
