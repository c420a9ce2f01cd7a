"""What the page's scripts fetch beside the HTTP interface: the scripts themselves, and small pictures of uploads."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response

from webui.core.errors import NotFound

from .values import png_bytes

PREFIX = "/ui"
STATIC = Path(__file__).resolve().parent / "static"
SCRIPTS = (
    "boot.js",
    "icons.js",
    "core.js",
    "forms.js",
    "sketch.js",
    "lists.js",
    "fields.js",
    "prompts.js",
    "plotfiles.js",
    "plots.js",
    "scores.js",
    "artifacts.js",
    "marks.js",
    "lightbox.js",
    "compare.js",
    "selection.js",
    "imports.js",
    "viewer.js",
    "gallery.js",
    "queue.js",
    "extensions.js",
    "memory.js",
    "people.js",
    "header.js",
)
"""In the order of loading; each uses those before it."""
STYLES = ("lifelike.css", "panels.css")
THUMBNAIL_PX = 512

_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
FOR_GOOD = {"Cache-Control": "private, max-age=31536000, immutable"}


@lru_cache(maxsize=512)
def _digest(path: Path, mtime_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def address(name: str) -> str:
    """Where a static file is; changes with its content, so that browsers may keep it for good."""
    return f"{PREFIX}/static/{name}?v={digest(STATIC / name)}"


def digest(path: Path) -> str:
    """Of a file's content. Raises OSError."""
    return _digest(path, path.stat().st_mtime_ns)


def add(app: FastAPI, uploads: Any, choice_picture: Callable[[str, str, str], Response]) -> None:
    """Add the routes to ``app``; before the page is mounted, which takes what is left. ``choice_picture`` answers a
    pipeline, a parameter of it and a value with that value's picture.
    """
    files = {path.name: path for path in STATIC.iterdir() if path.suffix in _TYPES}

    @app.get(f"{PREFIX}/static/{{name}}", include_in_schema=False)
    def static(name: str) -> Response:
        path = files.get(name)
        if path is None:
            raise NotFound(f"There is no file {name!r}.")
        return FileResponse(path, media_type=_TYPES[path.suffix], headers=FOR_GOOD)

    @app.get(f"{PREFIX}/choices/{{pipeline}}/{{name}}", include_in_schema=False)
    def choice(pipeline: str, name: str, of: str) -> Response:
        return choice_picture(pipeline, name, of)

    @app.get(f"{PREFIX}/uploads/{{ref}}", include_in_schema=False)
    async def upload(ref: str, whole: bool = False) -> Response:
        make, media_type = (_whole, "image/png") if whole else (_thumbnail, "image/jpeg")
        return Response(await run_in_threadpool(make, uploads, ref), media_type=media_type, headers=FOR_GOOD)


def _picture(uploads: Any, ref: str) -> Any:
    """The picture of an upload, upright. Raises NotFound, ParameterError."""
    if not ref.startswith("upload:"):
        raise NotFound(f"{ref[:80]!r} is no upload.")
    return uploads.open_image(ref)


def _whole(uploads: Any, ref: str) -> bytes:
    """An upload as a PNG at its size, to be drawn on: what a browser would make of other formats is its own affair."""
    return png_bytes(_picture(uploads, ref))


def _thumbnail(uploads: Any, ref: str) -> bytes:
    """An upload as a small JPEG. Raises NotFound, ParameterError."""
    picture = _picture(uploads, ref)
    picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
