"""What a guest of a shared studio meets of others: nothing. And how much of the machine it may use."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.web.conftest import finished, make_services, paint, wait_for
from tests.web.shared import NAMES, Shared, share
from webui.core.guests import Quota
from webui.library.facets import TAG


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    made = share(make_services(tmp_path_factory.mktemp("guests"), api_sdapi=True))
    with TestClient(made.app, base_url="http://studio.example:7860"):
        wait_for(lambda: made.app.state.start.status == "ok")
        yield made


@pytest.fixture(scope="module")
def browsers(shared: Shared) -> dict[str, TestClient]:
    return {who: shared.browser(who) for who in NAMES}


@pytest.fixture(scope="module")
def jobs(browsers: dict[str, TestClient]) -> dict[str, dict[str, Any]]:
    """One finished job of each."""
    return {who: paint(client, prompt=f"a hat of {who}", colour="#112233") for who, client in browsers.items()}


@pytest.fixture(autouse=True)
def quota(shared: Shared) -> Iterator[None]:
    yield
    shared.services.accounts.set_quota("kim", Quota())


def ids(page: Any) -> set[str]:
    return {one["job_id"] for one in page.json()["artifacts"]}


def test_each_guest_sees_its_own_jobs_and_pictures(browsers: Any, jobs: Any) -> None:
    for who in ("guest", "other"):
        assert {job["id"] for job in browsers[who].get("/api/v1/jobs").json()["jobs"]} == {jobs[who]["id"]}
        assert ids(browsers[who].get("/api/v1/artifacts")) == {jobs[who]["id"]}
        assert ids(browsers[who].get("/api/v1/artifacts?query=hat")) == {jobs[who]["id"]}
    everything = {job["id"] for job in jobs.values()}
    assert everything <= ids(browsers["owner"].get("/api/v1/artifacts"))
    assert everything <= {job["id"] for job in browsers["owner"].get("/api/v1/jobs").json()["jobs"]}


@pytest.mark.parametrize("whose", ["owner", "other"])
def test_of_others_there_is_nothing_to_be_found(browsers: Any, jobs: Any, whose: str) -> None:
    guest, job = browsers["guest"], jobs[whose]
    artifact = job["artifacts"][0]["id"]
    asked = [
        guest.get(f"/api/v1/jobs/{job['id']}"),
        guest.get(f"/api/v1/jobs/{job['id']}/events"),
        guest.delete(f"/api/v1/jobs/{job['id']}"),
        guest.post(f"/api/v1/jobs/{job['id']}/retry"),
        guest.post(f"/api/v1/jobs/{job['id']}/resume"),
        guest.get(f"/api/v1/artifacts/{artifact}"),
        guest.get(f"/api/v1/artifacts/{artifact}?thumbnail=64"),
        guest.get(f"/api/v1/artifacts/{artifact}/metadata"),
        guest.patch(f"/api/v1/artifacts/{artifact}", json={"rating": 5}),
        guest.delete(f"/api/v1/artifacts/{artifact}"),
        guest.post(f"/api/v1/artifacts/{artifact}/restore"),
        guest.post("/api/v1/selection", json={"ids": [artifact], "trashed": True}),
        guest.get(f"/api/v1/export?ids={artifact}"),
    ]
    assert [answer.status_code for answer in asked] == [404] * len(asked)
    assert browsers["owner"].get(f"/api/v1/artifacts/{artifact}").status_code == 200, "untouched"


def test_a_picture_of_another_is_no_parameter(browsers: Any, jobs: Any) -> None:
    own, foreign = (f"artifact:{jobs[who]['artifacts'][0]['id']}" for who in ("guest", "other"))
    assert paint(browsers["guest"], image=own)["state"] == "done"
    for params in ({"image": foreign}, {"pictures": [own, foreign]}):
        answer = browsers["guest"].post("/api/v1/jobs", json={"pipeline": "paint", "params": params})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["message"] == "names something that is not yours"


def test_a_file_that_another_sent_is_no_parameter(browsers: Any) -> None:
    """To know the hash of its bytes, as from the recipe of a picture that was made of it, opens nothing."""
    data = io.BytesIO()
    Image.new("RGB", (24, 24), (9, 90, 200)).save(data, "PNG")
    sent = {"file": ("mine.png", data.getvalue(), "image/png")}
    ref = browsers["other"].post("/api/v1/uploads", files=sent).json()["ref"]
    assert paint(browsers["other"], image=ref)["state"] == "done"
    for params in ({"image": ref}, {"pictures": [ref]}):
        answer = browsers["guest"].post("/api/v1/jobs", json={"pipeline": "paint", "params": params})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["message"] == "names something that is not yours"
    assert paint(browsers["owner"], image=ref)["state"] == "done", "the owner sees all"
    url = "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()
    made = paint(browsers["guest"], image=url)
    assert made["params"]["image"] == ref, "who has the bytes may send them too"
    assert paint(browsers["guest"], image=ref)["state"] == "done"


def test_the_export_holds_ones_own(browsers: Any, jobs: Any) -> None:
    data = browsers["guest"].get("/api/v1/export").content
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    assert names
    assert all(name.startswith("guests/kim/") for name in names)


def test_tags_and_collections_are_ones_own(browsers: Any, jobs: Any, shared: Shared) -> None:
    for who, name in (("guest", "mine"), ("other", "theirs"), ("owner", "house")):
        artifact = jobs[who]["artifacts"][0]["id"]
        body = {"tags": [name, "shared"], "collections": [name, "shared"]}
        assert browsers[who].patch(f"/api/v1/artifacts/{artifact}", json=body).status_code == 200
    for kind in ("tags", "collections"):
        rows = browsers["guest"].get(f"/api/v1/{kind}").json()["names"]
        assert [(row["name"], row["count"]) for row in rows] == [("mine", 1), ("shared", 1)]
    assert browsers["guest"].patch("/api/v1/collections/theirs", json={"name": "got"}).status_code == 404
    assert browsers["guest"].patch("/api/v1/collections/shared", json={"name": "ours"}).json() == {"changed": 1}
    assert {"shared", "theirs", "house", "ours"} <= {
        row["name"] for row in browsers["owner"].get("/api/v1/collections").json()["names"]
    }
    assert shared.services.library.index.names(TAG)


def test_a_guests_files_lie_apart_and_are_found_again(browsers: Any, jobs: Any, shared: Shared) -> None:
    record = jobs["guest"]["artifacts"][0]
    assert record["path"].startswith("guests/kim/")
    shared.services.library.rebuild(full=True)
    assert jobs["guest"]["id"] in ids(browsers["guest"].get("/api/v1/artifacts"))
    assert jobs["other"]["id"] not in ids(browsers["guest"].get("/api/v1/artifacts"))


def test_events_and_counts_are_ones_own(browsers: Any, shared: Shared, jobs: Any) -> None:
    before = browsers["guest"].get("/api/v1/health").json()["queue"]
    running = browsers["other"].post("/api/v1/jobs", json={"pipeline": "wait"}).json()
    wait_for(lambda: browsers["other"].get(f"/api/v1/jobs/{running['id']}").json()["state"] == "running")
    health = browsers["guest"].get("/api/v1/health").json()
    assert health["queue"] == before
    assert [worker["job_id"] for worker in health["workers"]] == [None]
    assert [worker["pid"] for worker in health["workers"]] == [None]
    assert browsers["owner"].get("/api/v1/health").json()["workers"][0]["job_id"] == running["id"]
    assert browsers["owner"].delete(f"/api/v1/jobs/{running['id']}").status_code in (200, 202), (
        "the owner stops anyone's"
    )
    finished(browsers["other"], running["id"])


def test_the_stream_of_everything_passes_ones_own_jobs_alone(shared: Shared) -> None:
    """Over the hub itself: a response that never ends cannot be read by this client."""
    import asyncio

    from webui.accounts.people import GUEST_SCOPES, Role
    from webui.web.principal import Principal, acting_for
    from webui.web.scoped import ScopedJobs

    jobs = shared.services.jobs

    async def follow() -> list[str]:
        with acting_for(Principal("kim", Role.GUEST, GUEST_SCOPES)):
            subscription = ScopedJobs(jobs).subscribe(None)
        mine: list[str] = []
        foreign = await asyncio.to_thread(jobs.submit, "easel.paint", {}, "local")
        own = await asyncio.to_thread(jobs.submit, "easel.paint", {}, "kim")
        while True:
            item = await subscription.receive_async(5.0)
            assert item is not None
            mine.append(getattr(item, "job_id", "") or getattr(item, "id", ""))
            if getattr(item, "type", "") == "done":
                break
        subscription.close()
        assert foreign.id not in mine
        return [one for one in mine if one != own.id]

    assert asyncio.run(follow()) == []


def test_nobody_is_everybody(shared: Shared) -> None:
    """A call that lost who asked is refused, and answered with nothing."""
    from webui.core.errors import Forbidden
    from webui.web.scoped import scoped

    parts = scoped(shared.services)
    for call in (
        lambda: parts.jobs.list(),
        lambda: parts.jobs.counts(),
        lambda: parts.jobs.workers(),
        lambda: parts.jobs.submit("easel.paint", {}),
        lambda: parts.jobs.subscribe(),
        lambda: parts.library.page(),
        lambda: parts.library.tags(),
        lambda: parts.uploads.path("artifact:x-0"),
    ):
        with pytest.raises(Forbidden):
            call()


def test_what_leaves_more_than_pictures_is_the_owners(browsers: Any) -> None:
    answer = browsers["guest"].post("/api/v1/jobs", json={"pipeline": "train"})
    assert answer.status_code == 403
    assert "owner alone" in answer.json()["detail"]
    listed = {one["id"] for one in browsers["guest"].get("/api/v1/pipelines").json()["pipelines"]}
    assert "easel.train" not in listed
    assert "easel.paint" in listed
    assert browsers["owner"].post("/api/v1/jobs", json={"pipeline": "train"}).status_code == 202


def test_a_guest_has_a_quota_and_words_for_it(browsers: Any, shared: Shared, jobs: Any) -> None:
    guest, accounts = browsers["guest"], shared.services.accounts
    accounts.set_quota("kim", Quota(waiting=1))
    first = guest.post("/api/v1/jobs", json={"pipeline": "wait"}).json()
    second = guest.post("/api/v1/jobs", json={"pipeline": "wait"})
    assert (second.status_code, "guests may have 1" in second.json()["detail"]) == (409, True)
    assert guest.post(f"/api/v1/jobs/{jobs['guest']['id']}/retry").status_code == 409
    guest.delete(f"/api/v1/jobs/{first['id']}")
    finished(guest, first["id"])
    accounts.set_quota("kim", Quota(minutes=1))
    shared.services.jobs.store._db.execute("UPDATE jobs SET started_at = started_at - 61 WHERE id = ?", (first["id"],))
    late = guest.post("/api/v1/jobs", json={"pipeline": "paint"})
    assert (late.status_code, "used up" in late.json()["detail"]) == (403, True)
    me = guest.get("/api/v1/me").json()
    assert me["used"]["minutes"] > 1
    assert me["quota"]["minutes"] == 1
    assert browsers["owner"].post("/api/v1/jobs", json={"pipeline": "paint"}).status_code == 202


def test_progress_and_interrupt_of_other_programs_are_ones_own(browsers: Any, shared: Shared) -> None:
    from webui.core.jobs import Job
    from webui.web.principal import MACHINE, acting_for, asking
    from webui.web.sdapi.running import Running

    running = Running(lambda: asking().job_owner)
    with running.following(Job(pipeline="easel.paint", owner="kim"), 2) as run, acting_for(MACHINE):
        assert running.view(with_image=True)["state"]["job_count"] == 0
        assert running.interrupt() is None
        assert not run.interrupted
    assert browsers["guest"].get("/sdapi/v1/progress").json()["progress"] == 0.0


def test_the_owner_lets_people_in_and_out(browsers: Any, shared: Shared) -> None:
    owner = browsers["owner"]
    made = owner.post("/api/v1/people", json={"name": "mia"})
    assert made.status_code == 201, made.text
    visitor = shared.stranger()
    assert visitor.post(made.json()["path"]).status_code == 303
    assert visitor.get("/api/v1/me").json()["role"] == "guest"
    assert visitor.put("/api/v1/me/password", json={"new": "a password of mine"}).json() == {"ended": 1}
    assert visitor.get("/api/v1/me").status_code == 401, "logged out everywhere"
    entered = visitor.post("/login", data={"name": "Mia", "password": "a password of mine", "next": "/openapi.json"})
    assert (entered.status_code, entered.headers["location"]) == (303, "/openapi.json")
    token = visitor.post("/api/v1/me/tokens", json={"scopes": ["read"], "title": "watcher"}).json()
    program = shared.stranger()
    program.headers["Authorization"] = f"Bearer {token['secret']}"
    assert program.get("/api/v1/me").json()["scopes"] == ["read"]
    assert program.post("/api/v1/jobs", json={"pipeline": "paint"}).status_code == 403
    running = visitor.post("/api/v1/jobs", json={"pipeline": "wait"}).json()
    shown = {one["name"]: one for one in owner.get("/api/v1/people").json()["people"]}
    assert (shown["mia"]["tokens"], len(shown["mia"]["sessions"])) == (1, 1)
    assert "password" not in str(shown["mia"]).replace("has_password", "")
    assert owner.delete("/api/v1/people/mia").json() == {"ended": 1}
    assert (visitor.get("/api/v1/me").status_code, program.get("/api/v1/me").status_code) == (401, 401)
    assert finished(owner, running["id"])["state"] == "cancelled"
    assert owner.delete("/api/v1/people/olga").status_code == 409


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "/\\evil.example", "https://evil.example", "/login", "", "x", "/a\r\nb"]
)
def test_after_the_login_nobody_is_led_elsewhere(shared: Shared, wanted: str) -> None:
    shared.services.accounts.set_password("lee", "another password")
    answer = shared.stranger().post("/login", data={"name": "lee", "password": "another password", "next": wanted})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=lax", "Path=/"))
    assert "Secure" not in cookie


def test_the_login_says_what_is_wrong_in_the_readers_language(shared: Shared) -> None:
    visitor = shared.stranger()
    for tongue, words in (("en-GB,en;q=0.8", "do not fit"), ("zh-CN,zh;q=0.9,en;q=0.8", "不正确")):
        answer = visitor.post("/login", data={"name": "kim", "password": "x"}, headers={"Accept-Language": tongue})
        assert (answer.status_code, words in answer.text) == (401, True)
        assert "script" not in answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    for _ in range(4):
        answer = visitor.post("/login", data={"name": "kim", "password": "x"})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) <= 31


def test_logging_out_ends_the_session_itself(shared: Shared) -> None:
    browser = shared.browser("other")
    kept = dict(browser.cookies)
    assert browser.post("/logout").status_code == 303
    copied = shared.stranger()
    copied.cookies.update(kept)
    assert copied.get("/api/v1/me").status_code == 401


def test_a_link_is_not_used_up_by_a_preview(shared: Shared) -> None:
    path = f"/login/{shared.services.accounts.make_link('kim')}"
    preview, visitor = shared.stranger(), shared.stranger()
    assert preview.get(path).status_code == 200
    assert visitor.post(path).status_code == 303
    assert preview.post(path).status_code == 401
    assert "Ask for a new one" in preview.post(path).text


def test_without_a_login_the_machines_user_is_the_owner(tmp_path: Path) -> None:
    from webui.web.access import AccessPolicy
    from webui.web.application import create_app

    client = TestClient(create_app(make_services(tmp_path), AccessPolicy(), page=False), base_url="http://127.0.0.1")
    assert client.get("/api/v1/me").json() == {
        "name": "owner", "role": "owner", "login": False, "scopes": ["admin", "generate", "read"],
        "quota": None, "used": None, "session": None,
    }  # fmt: skip
    assert not (tmp_path / "data" / "accounts.sqlite3").exists()
