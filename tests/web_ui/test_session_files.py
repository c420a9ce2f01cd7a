"""Over Gradio's own HTTP interface: a guest's files are of use to nobody else."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient

from tests.web.conftest import png
from tests.web.shared import share
from webui.web.services import Services


def _upload(client: TestClient) -> str:
    answer = client.post("/gradio_api/upload", files={"files": ("a.png", png(), "image/png")})
    assert answer.status_code == 200, answer.text
    return str(answer.json()[0])


def _event(client: TestClient, path: str) -> Any:
    data = [{"path": path, "meta": {"_type": "gradio.FileData"}}]
    return client.post("/gradio_api/run/predict", json={"fn_index": 10**6, "data": data, "session_hash": "s"})


def test_a_file_is_for_the_session_that_uploaded_it(services: Services) -> None:
    shared = share(services, page=True)
    kim, lee, again = shared.browser("guest"), shared.browser("other"), shared.browser("guest")
    for client in (kim, lee, again):
        client.__dict__["_transport"].raise_server_exceptions = False
    path = _upload(kim)
    for stranger in (lee, again):
        answer = _event(stranger, path)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:lifelike:foreign-file")
        assert stranger.get(f"/gradio_api/file={path}").status_code == 403
    assert _event(kim, path).status_code != 403, "passed on to Gradio, which has no such event"
    assert kim.get(f"/gradio_api/file={path}").content == png()
    assert _upload(lee) == path, "the same bytes"
    assert lee.get(f"/gradio_api/file={path}").status_code == 200
