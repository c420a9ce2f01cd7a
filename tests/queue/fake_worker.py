"""A worker that speaks the protocol with the standard library alone, and misbehaves as its job's parameters say.

Each job writes ``images`` text files into ``<data_dir>/images``; every file that it makes is noted in ``made.log``
there, so that a test can count.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

cancelled = threading.Event()
shut = threading.Event()
queue: list[dict[str, Any]] = []
arrived = threading.Condition()


def say(**event: Any) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def listen() -> None:
    for line in sys.stdin:
        command = json.loads(line)
        if command["type"] == "cancel":
            cancelled.set()
        elif command["type"] == "shutdown":
            shut.set()
        else:
            with arrived:
                queue.append(command)
                arrived.notify()
    os._exit(0)


def once(folder: Path, name: str) -> bool:
    """True the first time only, over all processes."""
    try:
        (folder / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def misbehave(params: dict[str, Any], job_id: str, index: int, folder: Path) -> None:
    if index != params.get("at", 0):
        return
    if params.get("die") == "always" or (params.get("die") == "once" and once(folder, f"{job_id}.died")):
        sys.stderr.write("about to fall over\n")
        os.kill(os.getpid(), signal.SIGKILL)
    if params.get("exit"):
        sys.stderr.write("no more memory\n")
        sys.stdout.flush()
        os._exit(int(params["exit"]))
    if params.get("hang"):
        while True:
            time.sleep(60)
    if params.get("eat_bytes"):
        eaten = b"x" * int(params["eat_bytes"])
        time.sleep(60)
        say(type="log", message=str(len(eaten)))
    if params.get("garbage"):
        sys.stdout.write('hello\n{"type": "nonsense"}\n\n{"type": "progress"\n' + "x" * 100_000 + "\n")
        sys.stdout.flush()
    if params.get("child"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdin=subprocess.DEVNULL)
        (folder / "child.pid").write_text(str(child.pid))
        os.kill(os.getpid(), signal.SIGKILL)


def make(job: dict[str, Any], index: int, folder: Path) -> None:
    data = f"{job['id']} {index}".encode()
    path = folder / f"{job['id']}-{index}.txt"
    with (folder / "made.log").open("a") as log:
        log.write(path.name + "\n")
    path.write_bytes(data)
    params = job["params"]
    if params.get("die") == "silently" and index == params.get("at", 0) and once(folder, f"{job['id']}.died"):
        os.kill(os.getpid(), signal.SIGKILL)
    record = {
        "id": f"{job['id']}-{index}",
        "job_id": job["id"],
        "index": index,
        "kind": "image",
        "path": path.name,
        "media_type": "text/plain",
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    say(type="artifact", job_id=job["id"], artifact=record)


def run(command: dict[str, Any], folder: Path) -> None:
    job = command["job"]
    job_id, params = job["id"], job["params"]
    images, steps = params.get("images", 1), params.get("steps", 2)
    say(type="started", job_id=job_id, attempt=job["attempts"])
    if params.get("fail"):
        error = {"kind": "JobFailed", "message": params["fail"]}
        return say(type="failed", job_id=job_id, error=error)
    for index in range(images):
        if index in command["done_indices"]:
            continue
        for step in range(steps):
            if cancelled.is_set() and not params.get("stubborn"):
                return say(type="cancelled", job_id=job_id)
            time.sleep(params.get("step_s", 0.0))
            misbehave(params, job_id, index, folder)
            fraction = (index * steps + step + 1) / (images * steps)
            progress = {"step": step + 1, "steps": steps, "image": index, "images": images, "fraction": fraction}
            say(type="progress", job_id=job_id, progress=progress)
            say(type="preview", job_id=job_id, index=index, data="AAAA")
        make(job, index, folder)
    if params.get("warn"):
        say(type="warning", job_id=job_id, message=params["warn"].format(**command["quota"]))
    say(type="done", job_id=job_id, seconds=0.1)


def main() -> None:
    settings = json.loads(sys.stdin.readline())
    folder = Path(settings["data_dir"]) / "images"
    folder.mkdir(parents=True, exist_ok=True)
    device = {"name": "fake", "kind": "cpu"}
    say(type="ready", pid=os.getpid(), device=device)
    threading.Thread(target=listen, daemon=True).start()
    while True:
        with arrived:
            while not queue and not shut.is_set():
                arrived.wait(0.05)
            if not queue:
                return
            command = queue.pop(0)
        cancelled.clear()
        run(command, folder)
        say(type="status", device={**device, "models_bytes": 1})


if __name__ == "__main__":
    main()
