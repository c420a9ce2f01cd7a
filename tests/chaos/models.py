"""Faults of model files in mid-job: a picture's recipe never names other weights than those that made it."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

from PIL import Image

from tests.chaos.ink import write_model
from tests.chaos.ledger import Ledger
from tests.integration.server import Server

RED, BLUE = (200, 10, 10), (10, 10, 200)


def model_deleted(server: Server, ledger: Ledger, folder: Path) -> str:
    """What is in memory goes on; the next job is told that there is no such model."""
    path = folder / "models" / "inks" / "gone.safetensors"
    write_model(path, RED)
    made_of = {_sha256(path): RED}
    job = _until_first(server, ledger, folder, path)
    path.unlink()
    ended = _go_on(server, folder, job, made_of)
    answer = server.client.post("/api/v1/jobs", json={"pipeline": "ink.dip", "params": {"model": f"inks/{path.name}"}})
    return f"{ended}, then {answer.status_code}"


def model_replaced(server: Server, ledger: Ledger, folder: Path) -> str:
    """And its weights have to be read again before the job is done: it ends; the next job takes the new file."""
    path = folder / "models" / "inks" / "other.safetensors"
    write_model(path, RED)
    made_of = {_sha256(path): RED}
    job = _until_first(server, ledger, folder, path)
    write_model(path, BLUE)
    made_of[_sha256(path)] = BLUE
    server.client.post("/api/v1/memory/unload", json={}).raise_for_status()
    ended = _go_on(server, folder, job, made_of)
    again = _go_on(server, folder, _submit(server, ledger, path), made_of)
    return f"{ended}, then {again}"


def _submit(server: Server, ledger: Ledger, path: Path) -> str:
    job = server.submit("ink.dip", model=f"inks/{path.name}", count=3)
    ledger.asked[job] = 3
    return job


def _until_first(server: Server, ledger: Ledger, folder: Path, path: Path) -> str:
    """A job that stands still after its first picture."""
    (folder / "data" / "gate").touch()
    job = _submit(server, ledger, path)
    server.wait_for_artifacts(job, 1)
    return job


def _go_on(server: Server, folder: Path, job: str, made_of: dict[str, tuple[int, int, int]]) -> str:
    """How it ends, once it was looked at whether each picture has the colour of the file that its recipe names."""
    (folder / "data" / "gate").unlink(missing_ok=True)
    ended = server.wait_for(job)
    for row in ended["artifacts"]:
        seen = Image.open(io.BytesIO(server.client.get(f"/api/v1/artifacts/{row['id']}").content)).getpixel((31, 31))
        (used,) = _recipe(server, row["id"])["models"]
        assert seen == made_of[used["sha256"]], f"made of {seen}, and says {used}"
    return f"{ended['state']} {(ended['error'] or {}).get('kind', '')}".strip()


def _recipe(server: Server, artifact: str) -> dict[str, Any]:
    return dict(server.client.get(f"/api/v1/artifacts/{artifact}/metadata").json()["recipe"])


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
