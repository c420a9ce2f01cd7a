"""The routes of what was made: the file, its thumbnail, how it was made, search, favourites and the trash."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.web.conftest import paint, png
from webui.core.jobs import ArtifactRecord, Job
from webui.core.recipes import Recipe
from webui.core.specs import Artifact
from webui.web.http_api.thumbnails import Thumbnails
from webui.web.services import Services


@pytest.fixture
def made(client: TestClient) -> dict[str, Any]:
    """The first artifact of a job."""
    artifact: dict[str, Any] = paint(client, prompt="a red hill", colour="#aa1122", seed=7)["artifacts"][0]
    return artifact


def test_the_file_is_kept_by_the_client_for_good(client: TestClient, made: dict[str, Any]) -> None:
    answer = client.get(made["url"])
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-disposition"].startswith("inline")
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert picture.size == (96, 64)
        assert picture.convert("RGB").getpixel((0, 0)) == (0xAA, 0x11, 0x22)
    again = client.get(made["url"], headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_part_of_the_file_can_be_asked_for(client: TestClient, made: dict[str, Any]) -> None:
    answer = client.get(made["url"], headers={"Range": "bytes=0-7"})
    assert (answer.status_code, answer.content) == (206, b"\x89PNG\r\n\x1a\n")


def test_a_thumbnail_is_small_and_made_once(client: TestClient, made: dict[str, Any], services: Services) -> None:
    answer = client.get(made["url"] + "?thumbnail=64")
    assert answer.headers["content-type"] == "image/webp"
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert picture.size == (64, 43)
    (kept,) = (services.settings.data_dir / "cache" / "thumbnails").rglob("*.*")
    kept.write_bytes(b"what is there is not made again")
    assert client.get(made["url"] + "?thumbnail=64").content == b"what is there is not made again"
    assert client.get(made["url"]).headers["etag"] != answer.headers["etag"]


def test_a_small_picture_is_not_made_larger(client: TestClient, made: dict[str, Any]) -> None:
    with Image.open(io.BytesIO(client.get(made["url"] + "?thumbnail=256").content)) as picture:
        assert picture.size == (96, 64)


@pytest.mark.parametrize("side", ["0", "57", "100000", "wide"])
def test_only_a_few_sizes_are_made(client: TestClient, made: dict[str, Any], side: str) -> None:
    answer = client.get(made["url"], params={"thumbnail": side})
    assert (answer.status_code, answer.json()["errors"][0]["name"]) == (422, "thumbnail")


def test_thumbnails_asked_for_at_once_leave_whole_files_alone(services: Services) -> None:
    record = _save(services, Artifact("image", Image.new("RGBA", (900, 600), (10, 200, 30, 128))))
    thumbnails = Thumbnails(services.settings.data_dir / "thumbs")
    source = services.library.path(record.id)
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(lambda _: thumbnails.path(record, source, 128), range(16)))
    (path,) = paths
    assert list(path.parent.iterdir()) == [path]
    with Image.open(path) as picture:
        assert (picture.mode, picture.size) == ("RGBA", (128, 85))


def test_how_it_was_made(client: TestClient, made: dict[str, Any]) -> None:
    said = client.get(made["url"] + "/metadata").json()
    assert said["recipe"]["pipeline"] == "easel.paint"
    assert said["recipe"]["params"]["prompt"] == "a red hill"
    assert said["recipe"]["seed"] == 7
    assert "a red hill" in said["infotext"]
    assert (said["prompt"], said["favourite"], said["trashed"]) == ("a red hill", False, False)


def test_search_finds_by_words_and_values_in_pages(client: TestClient) -> None:
    paint(client, prompt="a red hill", seed=1, count=3)
    paint(client, prompt="a green tree", seed=9)
    found = client.get("/api/v1/artifacts", params={"query": "red -tree"}).json()
    assert [one["seed"] for one in found["artifacts"]] == [3, 2, 1]
    assert (
        client.get("/api/v1/artifacts", params={"filters": '{"seed": 9}'}).json()["artifacts"][0]["prompt"]
        == "a green tree"
    )
    first = client.get("/api/v1/artifacts?limit=3").json()
    rest = client.get("/api/v1/artifacts", params={"limit": 3, "cursor": first["next"]}).json()
    assert [one["seed"] for one in first["artifacts"] + rest["artifacts"]] == [9, 3, 2, 1]
    assert rest["next"] is None


@pytest.mark.parametrize("filters", ["[]", "{", '{"seed": [1]}', "[" * 5000])
def test_wrong_filters_are_named(client: TestClient, filters: str) -> None:
    answer = client.get("/api/v1/artifacts", params={"filters": filters})
    assert (answer.status_code, answer.json()["errors"][0]["name"]) == (422, "filters")


def test_a_favourite_is_found_among_favourites(client: TestClient, made: dict[str, Any]) -> None:
    paint(client)
    assert client.patch(made["url"], json={"favourite": True}).json()["favourite"] is True
    found = client.get("/api/v1/artifacts?favourites=true").json()["artifacts"]
    assert [one["id"] for one in found] == [made["id"]]
    client.patch(made["url"], json={"favourite": False})
    assert client.get("/api/v1/artifacts?favourites=true").json()["artifacts"] == []


@pytest.mark.parametrize(
    ("body", "name"), [({"rating": 9}, "rating"), ({"favourite": "maybe"}, "favourite"), ({"seed": 1}, "seed")]
)
def test_a_wrong_change_is_named(client: TestClient, made: dict[str, Any], body: dict[str, Any], name: str) -> None:
    answer = client.patch(made["url"], json=body)
    assert answer.status_code == 422
    assert name in {one["name"] for one in answer.json()["errors"]}


def test_the_trash_keeps_until_it_is_restored(client: TestClient, made: dict[str, Any]) -> None:
    assert client.delete(made["url"]).json()["trashed"] is True
    assert client.get("/api/v1/artifacts").json()["artifacts"] == []
    assert [one["id"] for one in client.get("/api/v1/artifacts?trashed=true").json()["artifacts"]] == [made["id"]]
    assert client.get(made["url"]).status_code == 200, "the trash shows its pictures"
    assert client.post(made["url"] + "/restore").json()["trashed"] is False
    assert [one["id"] for one in client.get("/api/v1/artifacts").json()["artifacts"]] == [made["id"]]


@pytest.mark.parametrize("path", ["", "?thumbnail=256", "/metadata"])
@pytest.mark.parametrize("artifact", ["0000000000000000-0", "..%2f..%2fqueue.sqlite3", "x" * 200])
def test_an_unknown_artifact_is_not_found(client: TestClient, artifact: str, path: str) -> None:
    answer = client.get(f"/api/v1/artifacts/{artifact}{path}")
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_lost_file_is_not_found(client: TestClient, made: dict[str, Any], services: Services) -> None:
    services.library.path(made["id"]).unlink()
    for query in ("", "?thumbnail=128"):
        assert client.get(made["url"] + query).status_code == 404


@pytest.mark.parametrize("name", ["page.html", "drawing.svg", "program.js", "unknown.xyz"])
def test_what_could_run_scripts_is_never_shown_inline(
    client: TestClient, services: Services, tmp_path: Any, name: str
) -> None:
    file = tmp_path / name
    file.write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    record = _save(services, Artifact("file", file))
    answer = client.get(f"/api/v1/artifacts/{record.id}")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert client.get(f"/api/v1/artifacts/{record.id}?thumbnail=64").status_code == 404


def test_a_stored_upload_is_taken_by_a_job(client: TestClient) -> None:
    answer = client.post("/api/v1/uploads", files={"file": ("a.png", png(), "image/png")})
    assert answer.status_code == 201
    ref = answer.json()["ref"]
    assert paint(client, image=ref)["params"]["image"] == ref


@pytest.mark.parametrize(
    ("files", "status"),
    [
        ({"file": ("a.png", b"rubbish", "image/png")}, 422),
        ({"file": ("a.png", b"", "image/png")}, 422),
        ({"file": ("a.png", png(2000, 1000), "image/png")}, 422),
        ({"file": ("a.bin", b"x" * 200_001, "application/octet-stream")}, 413),
        ({"file": ("a.png", png()), "other": ("b.png", png())}, 400),
    ],
)  # fmt: skip
def test_an_upload_that_is_wrong_or_too_large_is_refused(
    client: TestClient, files: dict[str, Any], status: int
) -> None:
    answer = client.post("/api/v1/uploads", files=files)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text


def test_an_upload_of_another_type_is_refused(client: TestClient) -> None:
    assert client.post("/api/v1/uploads", content=png(), headers={"Content-Type": "image/png"}).status_code == 415


def test_a_picture_says_how_it_was_made(client: TestClient, made: dict[str, Any]) -> None:
    picture = client.get(made["url"]).content
    said = client.post("/api/v1/metadata", files={"file": ("dropped.png", picture)}).json()
    assert (said["pipeline"], said["params"]["prompt"], said["recipe"]["seed"]) == ("easel.paint", "a red hill", 7)


def test_a_picture_without_metadata_says_nothing(client: TestClient) -> None:
    said = client.post("/api/v1/metadata", files={"file": ("plain.png", png())}).json()
    assert (said["recipe"], said["params"]) == (None, {})


def test_what_is_no_picture_has_no_metadata(client: TestClient) -> None:
    assert client.post("/api/v1/metadata", files={"file": ("a.txt", b"hello")}).status_code == 415


def _save(services: Services, artifact: Artifact) -> ArtifactRecord:
    job = Job(pipeline="easel.paint")
    record = services.library.files.save(artifact, job, Recipe(pipeline=job.pipeline))
    services.library.add(record)
    return record


@pytest.fixture(autouse=True)
def _closed(services: Services) -> Iterator[None]:
    yield
    services.library.close()
