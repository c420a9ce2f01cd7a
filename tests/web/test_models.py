"""The routes of model files, over the project's own extensions; no worker runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from starlette.testclient import TestClient

from webui.app import build_services
from webui.core.settings import Settings
from webui.web.access import AccessPolicy
from webui.web.application import create_app


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    models = tmp_path / "models" / "embeddings"
    models.mkdir(parents=True)
    torch.save({"string_to_param": {"*": torch.ones(2, 768)}}, models / "style.pt")
    (models / "evil.pt").write_bytes(b"cos\nsystem\n(S'echo'\ntR.")
    services = build_services(Settings(data_dir=tmp_path / "data", models_dirs=(tmp_path / "models",)))
    # Not entered: nothing is started, and jobs wait.
    yield TestClient(create_app(services, AccessPolicy(), page=False), base_url="http://127.0.0.1")
    services.jobs.store.close()


def test_what_is_pickled_is_listed_and_converted_by_a_job(client: TestClient) -> None:
    rows = {row["ref"]: row for row in client.get("/api/v1/models?kind=pickled").json()["models"]}
    assert rows["embeddings/style.pt"]["problem"] == ""
    assert "would run os.system" in rows["embeddings/evil.pt"]["problem"]
    answer = client.post("/api/v1/models/convert", json={"model": "style", "half": True})
    assert answer.status_code == 202
    job = answer.json()
    assert (job["pipeline"], job["state"]) == ("model_files.convert", "queued")
    assert job["params"] == {"model": "embeddings/style.pt", "half": True}
    assert client.get(answer.headers["Location"]).json()["id"] == job["id"]


@pytest.mark.parametrize("ref", ["embeddings/evil.pt", "nobody", "/etc/passwd", "../models/embeddings/style.pt", ""])
def test_what_is_not_converted(client: TestClient, ref: str) -> None:
    answer = client.post("/api/v1/models/convert", json={"model": ref})
    assert answer.status_code == 422
    assert client.get("/api/v1/jobs").json()["jobs"] == []


def test_another_sites_page_converts_nothing(client: TestClient) -> None:
    answer = client.post("/api/v1/models/convert", json={"model": "style"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
