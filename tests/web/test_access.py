"""Who may ask: nobody without the token once the server listens beyond this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.web.conftest import make_services, started
from webui.core.errors import SetupError
from webui.core.settings import Settings, is_loopback
from webui.web.access import AccessPolicy
from webui.web.application import create_app
from webui.web.guessing import GuessLimit, OpenPaths
from webui.web.services import Services

TOKEN = "correct-horse-battery"
PATHS = ("/", "/api/v1/health", "/openapi.json", "/gradio_api/info", "/theme.css", "/ext/easel/colours", "/nothing")


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    return make_services(tmp_path_factory.mktemp("access"))


@pytest.fixture
def stranger(services: Services) -> TestClient:
    app = create_app(services, AccessPolicy(token=TOKEN), page=False)
    return TestClient(app, base_url="http://studio.example:7860", follow_redirects=False)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
def test_nothing_answers_without_the_token(stranger: TestClient, method: str, path: str) -> None:
    answer = stranger.request(method, path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_person_is_led_to_the_login_and_back(stranger: TestClient) -> None:
    answer = stranger.get('/a"><script>?x=1', headers={"Accept": "text/html,*/*"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Fa%22%3E%3Cscript%3E%3Fx%3D1"
    page = stranger.get(answer.headers["location"])
    assert page.status_code == 200
    assert "<form" in page.text
    assert '"><script>' not in page.text


def test_the_link_becomes_a_cookie_and_loses_its_token(stranger: TestClient) -> None:
    answer = stranger.get(f"/openapi.json?a=1&token={TOKEN}&b=%C3%BC")
    assert (answer.status_code, answer.headers["location"]) == (303, "/openapi.json?a=1&b=%C3%BC")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert TOKEN not in cookie
    assert stranger.get("/openapi.json").status_code == 200
    assert stranger.get("/gradio_api/info").status_code == 404, "let in, to where there is nothing"


def test_the_link_does_not_lead_elsewhere(stranger: TestClient) -> None:
    answer = stranger.get(f"http://studio.example:7860//evil.example/?token={TOKEN}")
    assert answer.headers["location"] == "/evil.example/"


def test_programs_send_the_token_in_a_header(stranger: TestClient) -> None:
    answer = stranger.get("/openapi.json", headers={"Authorization": f"bearer {TOKEN}"})
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("change", ["signature", "date", "secret", "form"])
def test_a_forged_cookie_is_refused(stranger: TestClient, change: str) -> None:
    stranger.get(f"/?token={TOKEN}")
    ((name, value),) = stranger.cookies.items()
    secret, expires, signature = value.split(".")
    forged = {
        "signature": f"{secret}.{expires}.{'0' * len(signature)}",
        "date": f"{secret}.{int(expires) + 1}.{signature}",
        "secret": f"another.{expires}.{signature}",
        "form": f"{secret}.{expires}x.{signature}",
    }[change]
    stranger.cookies.clear()
    stranger.cookies.set(name, forged)
    assert stranger.get("/openapi.json").status_code == 401


def test_a_cookie_ends(stranger: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger.get(f"/?token={TOKEN}")
    ((name, value),) = stranger.cookies.items()
    end = int(value.split(".")[1])
    stranger.cookies.clear()
    stranger.cookies.set(name, value)
    assert stranger.get("/openapi.json").status_code == 200
    monkeypatch.setattr("webui.web.doors.time.time", lambda: end + 1)
    assert stranger.get("/openapi.json").status_code == 401


def test_a_cookie_of_another_token_is_void(services: Services, stranger: TestClient) -> None:
    stranger.get(f"/?token={TOKEN}")
    app = create_app(services, AccessPolicy(token="another-token-of-the-next-start"), page=False)
    later = TestClient(app, base_url="http://studio.example:7860", cookies=dict(stranger.cookies))
    assert later.get("/openapi.json").status_code == 401


def test_a_token_is_not_taken_from_the_address_of_a_change(stranger: TestClient) -> None:
    assert stranger.post(f"/api/v1/jobs?token={TOKEN}", json={"pipeline": "paint"}).status_code == 401


def test_guessing_is_slowed_down_and_those_inside_stay_inside(stranger: TestClient) -> None:
    stranger.get(f"/?token={TOKEN}")
    inside = dict(stranger.cookies)
    stranger.cookies.clear()
    answers = [stranger.get(f"/?token=guess-{number}").status_code for number in range(12)]
    assert answers == [401] * 10 + [429] * 2
    late = stranger.get("/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"})
    assert late.status_code == 429, "a right guess is not told from a wrong one any more"
    assert 1 <= int(late.headers["retry-after"]) <= 7
    stranger.cookies.update(inside)
    assert stranger.get("/openapi.json").status_code == 200


def test_the_bucket_of_guesses_fills_again() -> None:
    now = 100.0
    limit = GuessLimit(burst=2, refill_s=6.0, clock=lambda: now, addresses=2)
    limit.wrong("a")
    assert limit.wait_s("a") == 0
    limit.wrong("a")
    assert limit.wait_s("a") == 6.0
    assert limit.wait_s("b") == 0
    now += 6.0
    assert limit.wait_s("a") == 0
    for address in ("b", "c", "d"):
        limit.wrong(address)
    assert len(limit._spent) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_this_machine_alone_needs_no_login(host: str) -> None:
    assert is_loopback(host)
    assert not AccessPolicy.decide(Settings(host=host), {}).asks


@pytest.mark.parametrize(
    "said",
    [
        {"host": "0.0.0.0"}, {"host": "::"}, {"host": "192.168.1.5"}, {"host": "studio.example"}, {"host": ""},
        {"share": "gradio"}, {"share": "ssh:me@there"}, {"login": True}, {"trusted_proxies": ("127.0.0.1",)},
    ],
)  # fmt: skip
def test_whatever_opens_the_studio_asks_for_a_login(said: dict[str, Any]) -> None:
    assert AccessPolicy.decide(Settings(**said), {}).asks


def test_the_environment_gives_the_token_and_the_names() -> None:
    environ = {"LIFELIKE_ACCESS_TOKEN": TOKEN, "LIFELIKE_TRUSTED_HOSTS": "Studio.example, other.example"}
    policy = AccessPolicy.decide(Settings(), environ)
    assert policy.token == TOKEN
    assert {"studio.example", "other.example"} <= set(policy.trusted_hosts)


def test_a_token_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(SetupError, match="expected 16 or more"):
        AccessPolicy.decide(Settings(host="0.0.0.0"), {"LIFELIKE_ACCESS_TOKEN": "secret"})


@pytest.mark.parametrize(
    "path",
    ["/ext/easel/r/abc", "/ext/easel/r/", "/ext/easel/r/abc/picture.png"],
)
def test_what_an_extension_opened_needs_no_token(path: str) -> None:
    opened = OpenPaths()
    assert not opened.has(path), "nothing is open by itself"
    opened.add("/ext/easel/r/")
    assert opened.has(path)


@pytest.mark.parametrize(
    "path",
    [
        "/ext/easel/colours", "/ext/easel/r", "/ext/easel/rest/", "/", "", "/ext/easel/r/../colours",
        "/ext/easel/r/./x", "/ext/easel/r//x", "/ext/easel/r/..", "/ext/easel/r/..\\..\\api", "/EXT/easel/r/x",
    ],
)  # fmt: skip
def test_nothing_else_is_open(path: str) -> None:
    opened = OpenPaths()
    opened.add("/ext/easel/r/")
    assert not opened.has(path)


@pytest.mark.parametrize("prefix", ["/", "/api/v1/", "/ext/easel/", "/ext/easel/r", "/ext/../api/", "/ext/easel//r/"])
def test_only_a_path_within_an_extensions_own_can_be_opened(prefix: str) -> None:
    with pytest.raises(ValueError, match="with its last slash"):
        OpenPaths().add(prefix)


def test_an_extension_opens_its_routes_and_no_more(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    app = create_app(services, AccessPolicy(token=TOKEN), page=False)
    with started(app, {"Authorization": f"Bearer {TOKEN}"}) as owner:
        owner.headers.pop("Authorization")
        assert owner.get("/ext/easel/guests/7").json() == {"guest": "7"}
        assert owner.get("/ext/easel/colours").status_code == 401
        assert owner.get("/ext/easel/guests/../colours").status_code == 401
        assert owner.get("/ext/easel/guests/%2e%2e/colours").status_code == 401
        assert owner.get("/ext/easel/guests/nothing/there").status_code == 404
