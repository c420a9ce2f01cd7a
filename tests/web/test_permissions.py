"""Every route of a shared studio × everyone who may ask. A new route fails here until somebody decides whose it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount
from starlette.testclient import TestClient

from tests.web.conftest import make_services, wait_for
from tests.web.shared import Shared, share

OPEN, READ, GENERATE, ADMIN, OWN = "open", "read", "generate", "admin", "own"
RIGHTS = {
    **dict.fromkeys(
        ["GET /login", "POST /login", "GET /login/{secret}", "POST /login/{secret}", "POST /logout",
         "GET /ext/easel/guests/{name}"],
        OPEN,
    ),
    **dict.fromkeys(
        ["GET /openapi.json", "GET /api/v1/health", "GET /api/v1/pipelines", "GET /api/v1/pipelines/{pipeline_id}",
         "GET /api/v1/jobs", "GET /api/v1/jobs/{job_id}", "GET /api/v1/jobs/{job_id}/events", "GET /api/v1/events",
         "GET /api/v1/artifacts", "GET /api/v1/artifacts/{artifact_id}", "GET /api/v1/artifacts/{artifact_id}/metadata",
         "GET /api/v1/models", "GET /api/v1/tags", "GET /api/v1/collections", "GET /api/v1/export",
         "GET /api/v1/tokens", "GET /api/v1/me"],
        READ,
    ),
    **dict.fromkeys(
        ["POST /api/v1/jobs", "DELETE /api/v1/jobs/{job_id}", "POST /api/v1/jobs/{job_id}/retry",
         "POST /api/v1/jobs/{job_id}/resume", "PATCH /api/v1/artifacts/{artifact_id}",
         "DELETE /api/v1/artifacts/{artifact_id}", "POST /api/v1/artifacts/{artifact_id}/restore",
         "POST /api/v1/selection", "PATCH /api/v1/collections/{name:path}", "DELETE /api/v1/collections/{name:path}",
         "POST /api/v1/uploads", "POST /api/v1/metadata", "POST /api/v1/prompt",
         "GET /mcp", "POST /mcp", "DELETE /mcp"],
        GENERATE,
    ),
    **dict.fromkeys(
        ["PUT /api/v1/me/password", "GET /api/v1/me/sessions", "DELETE /api/v1/me/sessions",
         "DELETE /api/v1/me/sessions/{session_id}", "GET /api/v1/me/tokens", "POST /api/v1/me/tokens",
         "DELETE /api/v1/me/tokens/{token_id}"],
        OWN,
    ),
    **dict.fromkeys(
        ["GET /api/v1/extensions", "PATCH /api/v1/extensions/{extension}",
         "POST /api/v1/models/convert", "GET /api/v1/memory", "PUT /api/v1/memory/pin",
         "POST /api/v1/memory/unload", "PUT /api/v1/memory/budget", "GET /api/v1/imports", "POST /api/v1/imports",
         "DELETE /api/v1/imports", "POST /api/v1/imports/files", "GET /api/v1/people", "POST /api/v1/people",
         "POST /api/v1/people/{name}/link", "PUT /api/v1/people/{name}/quota", "DELETE /api/v1/people/{name}/sessions",
         "DELETE /api/v1/people/{name}", "GET /api/v1/share", "POST /api/v1/share", "DELETE /api/v1/share",
         "GET /ext/easel/colours", "GET /ext/easel/brushes/{name}"],
        ADMIN,
    ),
}  # fmt: skip
"""Of the application's own routes, those of A1111's clients below."""
SDAPI = {
    **dict.fromkeys(
        ["GET /progress", "GET /options", "GET /memory", "GET /samplers", "GET /schedulers", "GET /upscalers",
         "GET /latent-upscale-modes", "GET /sd-models", "GET /sd-vae", "GET /loras", "GET /embeddings",
         "GET /prompt-styles", "GET /scripts", "GET /script-info", "GET /hypernetworks", "GET /face-restorers",
         "GET /realesrgan-models", "GET /cmd-flags"],
        READ,
    ),
    **dict.fromkeys(
        ["POST /txt2img", "POST /img2img", "POST /extra-single-image", "POST /png-info", "POST /interrupt",
         "POST /skip"],
        GENERATE,
    ),
    **dict.fromkeys(
        ["POST /options", "POST /refresh-checkpoints", "POST /refresh-vae", "POST /refresh-loras",
         "POST /unload-checkpoint", "POST /reload-checkpoint"],
        ADMIN,
    ),
}  # fmt: skip
ALL = {**RIGHTS, **{f"{one.partition(' ')[0]} /sdapi/v1{one.partition(' ')[2]}": right for one, right in SDAPI.items()}}
CALLERS = {
    "guest": {READ, GENERATE, OWN},
    "owner": {READ, GENERATE, ADMIN, OWN},
    "guest's read": {READ},
    "guest's generate": {READ, GENERATE},
    "owner's read": {READ},
    "owner's admin": {READ, GENERATE, ADMIN},
}
ENDLESS = "GET /api/v1/events"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    made = share(make_services(tmp_path_factory.mktemp("rights"), api_sdapi=True))
    with TestClient(made.app, base_url="http://studio.example:7860"):
        wait_for(lambda: made.app.state.start.status == "ok")
        yield made


def routes_of(shared: Shared) -> set[str]:
    found = set()
    for route in shared.app.router.routes:
        if isinstance(route, Mount):
            if route.path == "/sdapi/v1":
                inner = iter_route_contexts(route.routes)
                found |= {f"{method} /sdapi/v1{one.path}" for one in inner for method in one.methods or ()}
            continue
        found |= {f"{method} {one.path}" for one in iter_route_contexts([route]) for method in one.methods or ()}
    return {one for one in found if not one.startswith(("HEAD ", "OPTIONS "))}


def test_it_is_said_of_every_route_whose_it_is(shared: Shared) -> None:
    assert routes_of(shared) == set(ALL)


def ask(client: TestClient, route: str) -> tuple[int, str]:
    method, _, path = route.partition(" ")
    path = re.sub(r"\{(\w+)(?::path)?\}", lambda found: "7" if found[1].endswith("_id") else "nobody", path)
    answer = client.request(method, path)
    return answer.status_code, answer.text


@pytest.mark.parametrize("route", sorted(ALL))
def test_nobody_is_asked_to_log_in(shared: Shared, route: str) -> None:
    status, text = ask(shared.stranger(), route)
    assert (status == 401 and "login-needed" in text) != (ALL[route] == OPEN), (status, text)


@pytest.mark.parametrize("caller", CALLERS)
def test_each_may_do_what_is_theirs_and_no_more(shared: Shared, caller: str) -> None:
    who, _, scope = caller.partition("'s ")
    client = shared.program(who, scope) if scope else shared.browser(who)
    wrong = []
    for route, right in sorted(ALL.items()):
        may = right in CALLERS[caller]
        if right == OPEN or (route == ENDLESS and may) or route == "DELETE /api/v1/me/sessions":
            continue  # what needs nobody; what would never end; what would end the caller's own session
        status, text = ask(client, route)
        refused = status in (401, 403) and ("login-needed" in text or "urn:lifelike:forbidden" in text)
        if refused == may:
            wrong.append((route, status))
    assert not wrong


@pytest.mark.parametrize(
    "path",
    ["/nothing/at/all", "/api/v1/nothing", "/ext/easel/nothing", "/sdapi/v1/nothing", "//api/v1/people",
     "/api/v1/people/", "/api/v1/jobs/../people", "/API/V1/people", "/monitoring", "/run/predict", "/file=/etc/passwd"],
)  # fmt: skip
def test_what_nobody_named_is_the_owners(shared: Shared, path: str) -> None:
    assert shared.browser("guest").get(path).status_code in (403, 404)
    assert "olga" not in shared.browser("guest").get(path).text


def test_another_sites_page_can_change_nothing(shared: Shared) -> None:
    browser = shared.browser("owner")
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}):
        for route in ("/api/v1/people", "/login", "/logout", "/api/v1/me/tokens"):
            assert browser.post(route, headers=headers).status_code == 403
    assert browser.get("/api/v1/me").json()["name"] == "olga", "still logged in"
