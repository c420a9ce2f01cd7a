"""Raters and owner over HTTP, through the whole application with its guards."""

from __future__ import annotations

import contextlib
import io
import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from extensions.studies.limits import Buckets
from extensions.studies.staircase import Staircase
from extensions.studies.store import Studies
from extensions.studies.study import Study
from extensions.studies.tests.conftest import keep, make_study
from webui.testing import Studio, make_app, make_studio

EXTENSIONS = Path(__file__).resolve().parents[2]
OTHERS = tuple(one.parent.name for one in EXTENSIONS.glob("*/extension.toml") if one.parent.name != "studies")
TOKEN = "correct-horse-battery"


def studio_in(folder: Path) -> Studio:
    quick = {"studies": {"votes_per_second": 500.0}}
    return make_studio(
        folder, extensions_dirs=[EXTENSIONS], models_dirs=[], disabled_extensions=OTHERS, extensions=quick,
        hash_models=False,
    )  # fmt: skip


@contextlib.contextmanager
def started(studio: Studio, token: str = "") -> Iterator[TestClient]:
    app = make_app(studio, token=token)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        client.get("/")
        limit = time.monotonic() + 60
        while app.state.start.status != "ok":
            assert time.monotonic() < limit
            time.sleep(0.02)
        yield client


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return studio_in(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def client(studio: Studio) -> Iterator[TestClient]:
    """Behind a login, without the token: a guest who has the link of a study."""
    with started(studio, TOKEN) as client:
        yield client


OWNER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def place(studio: Studio) -> Callable[..., Study]:
    """Puts a study into the running application."""
    root = studio.settings.data_dir / "studies"
    counter = iter(range(1000))

    def put(**changes: Any) -> Study:
        name = f"{next(counter):04d}{random.Random().getrandbits(64):016x}"
        return keep(make_study(id=f"20260101-{name}", link=f"{name:A<22}"[:22], **changes), root).study

    return put


def base(study: Study) -> str:
    return f"/ext/studies/r/{study.link}"


def begin(client: TestClient, study: Study) -> dict[str, Any]:
    answer = client.post(f"{base(study)}/begin", json={"consent": True, "language": "en"})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def vote(client: TestClient, study: Study, token: str, trial: int, answer: str, **more: Any) -> Any:
    return client.post(f"{base(study)}/vote", json={"token": token, "trial": trial, "answer": answer, **more})


def walk(client: TestClient, study: Study, choose: Callable[[dict[str, Any]], str]) -> dict[str, Any]:
    """A whole rater; ``choose`` sees only what a browser sees."""
    state = begin(client, study)
    token = state["token"]
    while not state["finished"]:
        sent = vote(client, study, token, state["done"], choose(state), seconds=1.25)
        if sent.status_code == 429:
            time.sleep(0.05)
            continue
        assert sent.status_code == 200, sent.text
        state = sent.json()
    return state


def knows(study: Study, state: dict[str, Any]) -> str:
    """The right answer, by the names of the pictures."""
    names = [address.removeprefix("i/").removesuffix(".png") for address in state["pictures"]]
    good = [
        study.by_id[name].use != "scrambled"
        and (study.kind == "preference" or study.by_set[study.by_id[name].set].real)
        for name in names
    ]
    if study.kind == "yes_no":
        return "yes" if good[0] else "no"
    return "left" if good[0] else "right"


def test_a_guest_goes_through_without_login_and_the_owner_sees_it(client: TestClient, place: Any) -> None:
    study = place()
    page = client.get(base(study))
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not page.cookies
    for name in re.findall(r'(?:href|src)="(-/[a-z.]+)"', page.text):
        assert client.get(f"/ext/studies/r/{name}").status_code == 200
    about = client.get(f"{base(study)}/about").json()
    assert (about["kind"], about["trials"], about["closed"], about["masks"]) == ("two_choice", 14, False, [])
    end = walk(client, study, lambda state: knows(study, state))
    assert (end["finished"], end["done"], end["of"]) == (True, 14, 14)
    assert client.get("/ext/studies/studies").status_code == 401, "results are the owner's"
    seen = client.get(f"/ext/studies/studies/{study.id}", headers=OWNER).json()
    assert seen["results"]["realism"]["error"]["value"] == 0
    assert (seen["began"], seen["finished"]) == (1, 1)


def test_what_a_rater_gets_says_nothing_of_what_it_is(client: TestClient, place: Any) -> None:
    """Neither names nor sets nor stages; attention trials look like all others; pictures are bare PNG of one size."""
    study = place(names=("Photographs", "StyleGAN3"), title="Against StyleGAN3")
    told = [client.get(base(study)).text, client.get(f"{base(study)}/about").text]
    state = begin(client, study)
    token, shapes = state["token"], set()
    while not state["finished"]:
        told.append(str(state))
        shapes.add((tuple(sorted(set(state) - {"token", "feedback"})), len(state["pictures"])))
        for address in state["pictures"]:
            answer = client.get(f"{base(study)}/{address}")
            assert answer.headers["content-type"] == "image/png"
            assert not {"last-modified", "etag", "content-disposition"} & set(answer.headers)
            with Image.open(io.BytesIO(answer.content)) as image:
                assert (image.size, image.info) == ((24, 24), {})
        practice = state["practice"]
        state = vote(client, study, token, state["done"], "left").json()
        assert ("feedback" in state) is practice, "answers are told in practice alone"
    assert len(shapes) == 1
    for word in ("Photographs", "StyleGAN", "attention", "scrambled", "main", "s1", "s2", study.id):
        assert not any(word in text for text in told if "<html" not in text), word


def test_a_rater_comes_back_to_the_same_question(client: TestClient, place: Any) -> None:
    study = place()
    state = begin(client, study)
    token = state.pop("token")
    assert client.post(f"{base(study)}/state", json={"token": token}).json() == state
    after = vote(client, study, token, 0, "left").json()
    again = vote(client, study, token, 0, "right").json()
    assert after["pictures"] == again["pictures"], "an answer sent again goes on from the first"
    assert client.post(f"{base(study)}/state", json={"token": token}).json()["done"] == 1


def test_answers_of_single_pictures_change_sides_for_every_second_rater(client: TestClient, place: Any) -> None:
    study = place(kind="yes_no")
    assert [begin(client, study)["swapped"] for _ in range(4)] == [False, True, False, True]


def test_votes_are_on_disk_before_the_answer(client: TestClient, studio: Studio, place: Any) -> None:
    study = place()
    token = begin(client, study)["token"]
    vote(client, study, token, 0, "left", seconds=0.5)
    again = Studies(studio.settings.data_dir / "studies").get(study.id)
    assert [one.next for one in again.raters()] == [1]
    kept = "".join(path.read_text() for path in again.folder.glob("*.jsonl"))
    assert token not in kept
    assert "127.0.0.1" not in kept
    assert "testclient" not in kept


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"trial": 0, "answer": "left", "token": "x" * 22}, 403, "token"),
        ({"trial": 0, "answer": "left"}, 403, "token"),
        ({"trial": 0, "answer": "left", "token": 5}, 403, "token"),
        ({"trial": 0, "answer": "left", "token": "x" * 1000}, 403, "token"),
        ({"trial": "0", "answer": "left"}, 422, "trial"),
        ({"trial": True, "answer": "left"}, 422, "trial"),
        ({"trial": -1, "answer": "left"}, 422, "trial"),
        ({"trial": 10**9, "answer": "left"}, 422, "trial"),
        ({"trial": 5, "answer": "left"}, 409, "order"),
        ({"trial": 0, "answer": "tie"}, 422, "answer"),
        ({"trial": 0, "answer": ["left"]}, 422, "answer"),
        ({"trial": 0, "answer": "left", "seconds": -1}, 422, "seconds"),
        ({"trial": 0, "answer": "left", "seconds": "1"}, 422, "seconds"),
        ({"trial": 0, "answer": "left", "shown_ms": 1e9}, 422, "shown_ms"),
    ],
)
def test_a_wrong_vote_is_refused_and_kept_nowhere(
    client: TestClient, studio: Studio, place: Any, body: dict[str, Any], status: int, reason: str
) -> None:
    study = place()
    token = begin(client, study)["token"]
    sent = {"token": token, **body} if reason != "token" else body
    answer = client.post(f"{base(study)}/vote", json=sent)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert not (studio.settings.data_dir / "studies" / study.id / "votes.jsonl").exists()


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'"x"', b"\xff", b"[" * 4000, b'{"seconds": NaN}'])
def test_a_body_that_is_no_object_is_refused(client: TestClient, place: Any, data: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.post(f"{base(place())}/vote", content=data, headers=headers)
    assert answer.status_code in (422, 403)


def test_large_and_foreign_bodies_are_refused(client: TestClient, place: Any) -> None:
    study = place()
    large = client.post(f"{base(study)}/vote", json={"token": "x" * 5000})
    assert (large.status_code, large.json()["reason"]) == (413, "size")
    form = client.post(f"{base(study)}/vote", data={"token": "x"})
    assert form.status_code == 415, "what a form of another site could send"
    text = client.post(f"{base(study)}/begin", content='{"consent": true}', headers={"Content-Type": "text/plain"})
    assert text.status_code == 415


def test_another_sites_page_cannot_vote(client: TestClient, place: Any) -> None:
    study = place()
    token = begin(client, study)["token"]
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        answer = client.post(
            f"{base(study)}/vote", json={"token": token, "trial": 0, "answer": "left"}, headers=headers
        )
        assert answer.status_code == 403


def test_nobody_takes_part_without_consent(client: TestClient, place: Any) -> None:
    study = place()
    for body in ({}, {"consent": False, "language": "en"}, {"consent": "yes", "language": "en"}):
        answer = client.post(f"{base(study)}/begin", json=body)
        assert (answer.status_code, answer.json()["reason"]) == (422, "consent")
    answer = client.post(f"{base(study)}/begin", json={"consent": True, "language": "../x"})
    assert answer.json()["reason"] == "language"


@pytest.mark.parametrize(
    "path",
    [
        "i/{other}.png", "i/..%2f..%2fstudy.json.png", "i/../study.json", "i/study.json", "i/%2e%2e/votes.jsonl",
        "votes.jsonl", "study.json", "i/", "i/.png", "raters.jsonl",
    ],
)  # fmt: skip
def test_only_what_is_in_the_study_is_served(client: TestClient, place: Any, path: str) -> None:
    study, other = place(), place(seed=8, per_set=13)
    strange = next(one.id for one in other.pictures if one.id not in study.by_id)
    answer = client.get(f"{base(study)}/{path.format(other=strange)}")
    assert answer.status_code in (401, 404)
    assert b"pictures" not in answer.content


@pytest.mark.parametrize(
    "path", ["", "nothing", "A" * 22, "..", "-/rate.html", "-/../store.py", "-/desk.js", "a/b/c/d"]
)
def test_a_link_that_leads_nowhere_says_so(client: TestClient, path: str) -> None:
    for method in ("GET", "POST"):
        answer = client.request(method, f"/ext/studies/r/{path}")
        assert answer.status_code in (401, 404, 405)
        assert "def " not in answer.text


def test_an_unknown_link_has_the_page_that_says_so(client: TestClient) -> None:
    answer = client.get("/ext/studies/r/" + "Z" * 22)
    assert answer.status_code == 404
    assert "<main" in answer.text
    assert client.get(f"/ext/studies/r/{'Z' * 22}/about").json()["reason"] == "unknown"


def test_the_owner_closes_and_opens_a_study(client: TestClient, place: Any) -> None:
    study = place()
    token = begin(client, study)["token"]
    desk = f"/ext/studies/studies/{study.id}"
    assert client.post(f"{desk}/close").status_code == 401
    assert client.post(f"{desk}/close", headers={**OWNER, "Origin": "https://evil.example"}).status_code == 403
    assert client.post(f"{desk}/close", headers=OWNER).json()["closed"] is True
    assert client.get(f"{base(study)}/about").json()["closed"] is True
    answer = vote(client, study, token, 0, "left")
    assert (answer.status_code, answer.json()["reason"]) == (409, "closed")
    refused = client.post(f"{base(study)}/begin", json={"consent": True, "language": "en"})
    assert (refused.status_code, refused.json()["reason"]) == (409, "closed")
    assert client.post(f"{desk}/open", headers=OWNER).json()["closed"] is False
    assert vote(client, study, token, 0, "left").status_code == 200


def test_the_owners_routes(client: TestClient, place: Any) -> None:
    study = place()
    walk(client, study, lambda state: knows(study, state))
    assert "<main" in client.get("/ext/studies/", headers=OWNER).text
    for name in ("desk.css", "desk.js", "words.js"):
        assert client.get(f"/ext/studies/-/{name}", headers=OWNER).status_code == 200
    assert client.get("/ext/studies/-/rate.html", headers=OWNER).status_code == 404
    listed = client.get("/ext/studies/studies", headers=OWNER).json()["studies"]
    assert study.id in {one["id"] for one in listed}
    desk = f"/ext/studies/studies/{study.id}"
    votes = client.get(f"{desk}/votes.csv", headers=OWNER)
    assert votes.headers["content-disposition"] == f'attachment; filename="{study.id}-votes.csv"'
    assert len(votes.text.splitlines()) == 15
    assert len(client.get(f"{desk}/votes.json", headers=OWNER).json()["votes"]) == 14
    assert client.get(f"{desk}/plot.svg", headers=OWNER).headers["content-type"] == "image/svg+xml"
    for path in ("nothing", "NOTHING", "x" * 200):
        assert client.get(f"/ext/studies/studies/{path}", headers=OWNER).status_code in (404, 405)


def test_glimpses_are_told_with_each_question(client: TestClient, place: Any) -> None:
    study = place(kind="yes_no", staircase=Staircase(), trials=10)
    about = client.get(f"{base(study)}/about").json()
    assert (about["timed"], about["mask_ms"], len(about["masks"])) == (True, 30, 4)
    for address in about["masks"]:
        assert client.get(f"{base(study)}/{address}").status_code == 200
    exposures = []
    end = walk(client, study, lambda state: exposures.append(state["exposure_ms"]) or knows(study, state))  # type: ignore[func-returns-value]
    assert end["finished"]
    assert exposures[:3] == [1000, 1000, 500]
    assert min(exposures) >= 400


def test_thirty_simulated_raters_give_the_numbers_they_were_made_with(client: TestClient, place: Any) -> None:
    """Each is fooled by 35% of generated pictures and doubts 15% of real ones; three of them do not look at all."""
    study = place(kind="yes_no", per_set=14, trials=12, practice=0, attention=2)
    for number in range(33):
        draw = random.Random(number)

        def choose(state: dict[str, Any], draw: random.Random = draw, looks: bool = number < 30) -> str:
            name = state["pictures"][0].removeprefix("i/").removesuffix(".png")
            if not looks:
                return "yes"
            if study.by_id[name].use != "main":
                return knows(study, state)
            real = study.by_set[study.by_id[name].set].real
            return "yes" if draw.random() < (0.85 if real else 0.35) else "no"

        walk(client, study, choose)
    told = client.get(f"/ext/studies/studies/{study.id}", headers=OWNER).json()["results"]
    assert (told["counted"], told["raters"]["excluded"], told["answers"]) == (30, 3, 360)
    assert {one["excluded"] for one in told["raters"]["each"][30:]} == {"missed attention trials"}
    realism = told["realism"]
    for name, truth in (("fake_error", 0.35), ("real_error", 0.15), ("error", 0.25)):
        assert realism[name]["low"] <= truth <= realism[name]["high"], (name, realism[name])
        assert realism[name]["value"] == pytest.approx(truth, abs=0.08)
    expected_d = 1.0364 + 0.3853  # z(.85) - z(.35)
    assert realism["d_prime"]["low"] <= expected_d <= realism["d_prime"]["high"]
    assert realism["p"] < 1e-6


def test_answers_in_a_flood_are_slowed_down() -> None:
    now = [0.0]
    buckets = Buckets(burst=3, per_second=2, keys=2, clock=lambda: now[0])
    assert [buckets.wait_s("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.wait_s("b") == 0, "another rater is not slowed"
    now[0] = 0.5
    assert buckets.wait_s("a") == 0
    assert buckets.wait_s("a") > 0
    for name in "bc":
        buckets.wait_s(name)
    assert buckets.wait_s("a") == 0, "the longest unseen is forgotten"


def test_a_flood_of_votes_is_answered_with_429(tmp_path: Path) -> None:
    studio = studio_in(tmp_path)
    slow = studio.settings.model_copy(update={"extensions": {"studies": {"votes_per_second": 0.2}}})
    study = keep(make_study(), tmp_path / "studies").study
    with started(
        Studio(slow, *(getattr(studio, name) for name in ("host", "catalog", "library", "uploads", "files")))
    ) as own:
        token = begin(own, study)["token"]
        answers = [vote(own, study, token, trial, "left") for trial in range(12)]
        assert [one.status_code for one in answers] == [200] * 10 + [429] * 2
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert own.get("/ext/studies/studies").status_code == 200, "at home nobody logs in"
