"""What a rater's browser asks, below /ext/studies/r/<link>/: the page, begin, go on, answer, pictures.

Open to whoever has the link: without login, without cookies, and so without anything that another site's page could
use. A rater is known by a token that only their browser has. No answer says which picture is which, but for practice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response

from webui.api import NotFound

from .create import RATE_PATH
from .limits import Buckets
from .staircase import MASK_MS
from .store import Answer, OpenStudy, Rater, Refused, Studies

STATIC = Path(__file__).resolve().parent / "static"
FILES: Mapping[str, str] = {"rate.css": "text/css", "rate.js": "text/javascript", "words.js": "text/javascript"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
MAX_BODY_BYTES = 4096
AHEAD = 4
"""Trials whose pictures a browser may load before their turn."""
LANGUAGES = ("en", "zh-CN")
_NO_STORE = {"Cache-Control": "no-store"}


class Refusal(Exception):
    """An answer that is none, with its status and a word for the page."""

    def __init__(self, status: int, reason: str, words: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.answer = JSONResponse(
            {"reason": reason, "detail": words or reason}, status, headers={**_NO_STORE, **(headers or {})}
        )


class RaterRoutes:
    """The routes of one application's studies."""

    def __init__(self, studies: Studies, votes_per_second: float = 3.0) -> None:
        self._studies = studies
        self._votes = Buckets(burst=10, per_second=votes_per_second)
        self._begins = Buckets(burst=60, per_second=2)

    def router(self) -> APIRouter:
        router = APIRouter(prefix=RATE_PATH.rstrip("/"), include_in_schema=False)
        router.add_api_route("/-/{name}", self.file, methods=["GET"])
        router.add_api_route("/{link}", self.page, methods=["GET"])
        router.add_api_route("/{link}/about", self.about, methods=["GET"])
        router.add_api_route("/{link}/begin", self.begin, methods=["POST"])
        router.add_api_route("/{link}/state", self.state, methods=["POST"])
        router.add_api_route("/{link}/vote", self.vote, methods=["POST"])
        router.add_api_route("/{link}/i/{picture}.png", self.picture, methods=["GET"])
        # Whatever else begins so is answered here, and never by the page behind.
        router.add_api_route("/{rest:path}", self.nothing, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
        return router

    def file(self, name: str) -> Response:
        if name not in FILES:
            return self.nothing(name)
        return FileResponse(STATIC / name, media_type=FILES[name], headers={"Cache-Control": "no-cache"})

    def page(self, link: str) -> Response:
        """The page is the same for all studies; an unknown link has it too, with 404, so that it can say so."""
        try:
            self._studies.by_link(link)
            status = 200
        except NotFound:
            status = 404
        words = (STATIC / "rate.html").read_text(encoding="utf-8")
        return HTMLResponse(
            words, status, {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", **_NO_STORE}
        )

    def nothing(self, rest: str) -> Response:
        return JSONResponse({"reason": "unknown", "detail": "There is nothing here."}, 404, headers=_NO_STORE)

    def about(self, link: str) -> Response:
        """What is asked, before someone agrees to take part."""
        try:
            study = self._open(link).study
        except Refusal as refusal:
            return refusal.answer
        body = {
            "kind": study.kind,
            "ties": study.ties,
            "timed": study.staircase is not None,
            "practice": study.practice,
            "trials": study.practice + study.attention + study.trials,
            "question": study.question,
            "consent": study.consent,
            "closed": study.closed,
            "width": study.width,
            "height": study.height,
            "mask_ms": MASK_MS,
            "masks": [_address(one.id) for one in study.used("mask")] if study.staircase is not None else [],
        }
        return JSONResponse(body, headers=_NO_STORE)

    async def begin(self, link: str, request: Request) -> Response:
        """A new rater, who has agreed. The answer holds the token: it is sent this once."""
        try:
            study = await run_in_threadpool(self._open, link)
            body = await _body(request)
            if body.get("consent") is not True:
                raise Refusal(422, "consent", "Nobody takes part without having agreed.")
            language = body.get("language")
            if language not in LANGUAGES:
                raise Refusal(422, "language", f"expected one of {', '.join(LANGUAGES)}")
            _within(self._begins.wait_s(study.study.id))
            token, rater = await run_in_threadpool(study.begin, language)
            return JSONResponse({"token": token, **_state(study, rater)}, 201, headers=_NO_STORE)
        except Refused as error:
            return Refusal(409, error.reason, error.message).answer
        except Refusal as refusal:
            return refusal.answer

    async def state(self, link: str, request: Request) -> Response:
        """Where a rater is, who comes back."""
        try:
            study = await run_in_threadpool(self._open, link)
            rater = await run_in_threadpool(_rater, study, await _body(request))
            return JSONResponse(_state(study, rater), headers=_NO_STORE)
        except Refusal as refusal:
            return refusal.answer

    async def vote(self, link: str, request: Request) -> Response:
        """An answer, on disk before this one; then what comes next. Sent again, it changes nothing."""
        try:
            study = await run_in_threadpool(self._open, link)
            body = await _body(request)
            before = await run_in_threadpool(_rater, study, body)
            answer = _answer(body)
            _within(self._votes.wait_s(before.key))
            rater = await run_in_threadpool(study.vote, str(body["token"]), answer)
        except Refused as error:
            return Refusal(409, error.reason, error.message).answer
        except ValueError as error:
            return Refusal(422, "answer", str(error)).answer
        except Refusal as refusal:
            return refusal.answer
        return JSONResponse({**_state(study, rater), **_feedback(rater, answer.trial)}, headers=_NO_STORE)

    def picture(self, link: str, picture: str) -> Response:
        """One of the study's own, with neither date nor name."""
        try:
            path = self._open(link).picture(picture)
            data = path.read_bytes()
        except (Refusal, NotFound, OSError):
            return self.nothing(picture)
        return Response(data, media_type="image/png", headers={"Cache-Control": "private, max-age=86400, immutable"})

    def _open(self, link: str) -> OpenStudy:
        try:
            return self._studies.by_link(link)
        except NotFound as error:
            raise Refusal(404, "unknown", error.message) from None


async def _body(request: Request) -> dict[str, Any]:
    """A small JSON object. Raises Refusal."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "type", "expected application/json")
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > MAX_BODY_BYTES:
            raise Refusal(413, "size", f"expected at most {MAX_BODY_BYTES} bytes")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Refusal(422, "body", "expected a JSON object")
    return body


def _rater(study: OpenStudy, body: Mapping[str, Any]) -> Rater:
    token = body.get("token")
    if isinstance(token, str) and len(token) <= 64:
        try:
            return study.rater(token)
        except NotFound:
            pass
    raise Refusal(403, "token", "this study has no rater with that token.")


def _answer(body: Mapping[str, Any]) -> Answer:
    """Raises Refusal."""
    trial, answer = body.get("trial"), body.get("answer")
    if not isinstance(trial, int) or isinstance(trial, bool) or not 0 <= trial < 100_000:
        raise Refusal(422, "trial", "expected the number of a trial")
    if not isinstance(answer, str) or len(answer) > 16:
        raise Refusal(422, "answer", "expected an answer")
    return Answer(trial, answer, _number(body, "seconds", 86_400), _number(body, "shown_ms", 600_000))


def _number(body: Mapping[str, Any], name: str, most: float) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not math.isfinite(value)
        or not 0 <= value <= most
    ):
        raise Refusal(422, name, f"expected 0 to {most:g}, or nothing")
    return round(float(value), 3)


def _within(wait_s: float) -> None:
    if wait_s > 0:
        raise Refusal(429, "rate", "That was too fast.", {"Retry-After": str(math.ceil(wait_s))})


def _address(picture_id: str) -> str:
    return f"i/{picture_id}.png"


def _state(study: OpenStudy, rater: Rater) -> dict[str, Any]:
    """What the page shows next. Attention trials look like all others."""
    if rater.finished:
        return {"finished": True, "done": rater.next, "of": len(rater.plan)}
    trial = rater.plan[rater.next]
    ahead = [picture for one in rater.plan[rater.next + 1 : rater.next + 1 + AHEAD] for picture in one.pictures]
    return {
        "finished": False,
        "done": rater.next,
        "of": len(rater.plan),
        "practice": trial.stage == "practice",
        "swapped": bool(rater.number % 2),
        "pictures": [_address(one) for one in trial.pictures],
        "exposure_ms": rater.exposure_ms(study.study),
        "ahead": [_address(one) for one in dict.fromkeys(ahead)],
    }


def _feedback(rater: Rater, trial: int) -> dict[str, Any]:
    """What was right: of practice trials alone."""
    if not 0 <= trial < len(rater.votes) or rater.votes[trial]["stage"] != "practice":
        return {}
    vote = rater.votes[trial]
    return {"feedback": {"correct": vote["correct"], "truth": vote["truth"]}}
