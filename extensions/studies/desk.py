"""The owner's routes, below /ext/studies/ and behind the login: list, results, plot, raw votes, closing and opening."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response

from webui.api import NotFound

from . import exports
from .analysis import results
from .create import DESK_PATH, RATE_PATH
from .plots import WORDS, plot
from .store import OpenStudy, Studies

STATIC = Path(__file__).resolve().parent / "static"
FILES = {"desk.css": "text/css", "desk.js": "text/javascript", "words.js": "text/javascript"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
LIVE_REPLICATES = 500
"""Of the live page, which may be asked every few seconds; studies.results takes more."""
_NO_STORE = {"Cache-Control": "no-store"}


def answered(route: Callable[..., Response]) -> Callable[..., Response]:
    """A study that there is not is 404."""

    @functools.wraps(route)
    def inner(*args: Any, **values: Any) -> Response:
        try:
            return route(*args, **values)
        except NotFound as error:
            return JSONResponse({"reason": "unknown", "detail": error.message}, 404, headers=_NO_STORE)

    return inner


class DeskRoutes:
    """The routes of one application's studies."""

    def __init__(self, studies: Studies) -> None:
        self._studies = studies
        self._known: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}
        """Results by study, with what they are of."""

    def router(self) -> APIRouter:
        router = APIRouter(prefix=DESK_PATH.rstrip("/"), include_in_schema=False)
        router.add_api_route("/", self.page, methods=["GET"])
        router.add_api_route("/-/{name}", self.file, methods=["GET"])
        router.add_api_route("/studies", self.list, methods=["GET"])
        router.add_api_route("/studies/{study}", self.results, methods=["GET"])
        router.add_api_route("/studies/{study}/plot.svg", self.plot, methods=["GET"])
        router.add_api_route("/studies/{study}/votes.csv", self.votes_csv, methods=["GET"])
        router.add_api_route("/studies/{study}/votes.json", self.votes_json, methods=["GET"])
        router.add_api_route("/studies/{study}/close", self.close, methods=["POST"])
        router.add_api_route("/studies/{study}/open", self.open, methods=["POST"])
        return router

    def page(self) -> Response:
        words = (STATIC / "desk.html").read_text(encoding="utf-8")
        return HTMLResponse(words, headers={"Content-Security-Policy": POLICY, **_NO_STORE})

    def file(self, name: str) -> Response:
        if name not in FILES:
            return JSONResponse({"reason": "unknown", "detail": "There is nothing here."}, 404)
        return FileResponse(STATIC / name, media_type=FILES[name], headers={"Cache-Control": "no-cache"})

    def list(self) -> Response:
        """Every study, the newest first."""
        return JSONResponse({"studies": [_view(one) for one in self._studies.all()]}, headers=_NO_STORE)

    @answered
    def results(self, study: str) -> Response:
        found = self._studies.get(study)
        return JSONResponse({**_view(found), "results": self._results(found)}, headers=_NO_STORE)

    @answered
    def plot(self, study: str, language: str = "en") -> Response:
        drawn = plot(self._results(self._studies.get(study)), language if language in WORDS else "en")
        return Response(drawn, media_type="image/svg+xml", headers={**_NO_STORE, "Content-Security-Policy": POLICY})

    @answered
    def votes_csv(self, study: str) -> Response:
        found = self._studies.get(study)
        return _file(exports.votes_csv(found.study, found.raters()), f"{found.study.id}-votes.csv", "text/csv")

    @answered
    def votes_json(self, study: str) -> Response:
        found = self._studies.get(study)
        return _file(
            exports.votes_json(found.study, found.raters()), f"{found.study.id}-votes.json", "application/json"
        )

    @answered
    def close(self, study: str) -> Response:
        found = self._studies.get(study)
        found.set_closed(True)
        return JSONResponse(_view(found), headers=_NO_STORE)

    @answered
    def open(self, study: str) -> Response:
        found = self._studies.get(study)
        found.set_closed(False)
        return JSONResponse(_view(found), headers=_NO_STORE)

    def _results(self, found: OpenStudy) -> dict[str, Any]:
        raters = found.raters()
        state = (found.study.closed, *(one.next for one in raters))
        known = self._known.get(found.study.id)
        if known is None or known[0] != state:
            known = (state, results(found.study, raters, replicates=LIVE_REPLICATES))
            self._known[found.study.id] = known
        return known[1]


def _view(found: OpenStudy) -> dict[str, Any]:
    study, raters = found.study, found.raters()
    return {
        "id": study.id,
        "title": study.title,
        "kind": study.kind,
        "timed": study.staircase is not None,
        "created_at": study.created_at,
        "closed": study.closed,
        "link": RATE_PATH + study.link,
        "sets": [
            {"name": one.name, "real": one.real, "pictures": len(study.used("main", one.id))} for one in study.sets
        ],
        "trials": study.practice + study.attention + study.trials,
        "width": study.width,
        "height": study.height,
        "began": len(raters),
        "finished": sum(one.finished for one in raters),
        "max_raters": study.max_raters,
    }


def _file(text: str, name: str, media_type: str) -> Response:
    return Response(
        text.encode(),
        media_type=media_type,
        headers={**_NO_STORE, "Content-Disposition": f'attachment; filename="{name}"'},
    )
