"""What a job costs beyond the model's own work: HTTP, queue, worker and library, against the bare diffusers call.

Both run in the same measurement, taking turns, on the bundled model. Prints JSON; ``ratio`` is the median of the pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROMPT = "a smiling person with long red hair and glasses, blue background"

BARE = """
import json, sys, time
import torch
from diffusers import StableDiffusionPipeline
pipe = StableDiffusionPipeline.from_pretrained(sys.argv[1], dtype=torch.float32, local_files_only=True)
pipe.set_progress_bar_config(disable=True)
print("ready", flush=True)
for line in sys.stdin:
    ask = json.loads(line)
    generator = torch.Generator("cpu").manual_seed(ask.pop("seed"))
    began = time.perf_counter()
    pipe(generator=generator, **ask)
    print(time.perf_counter() - began, flush=True)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=15)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--model", default="starter/avatar")
    parser.add_argument("--json", action="store_true", help="print JSON (it always does)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lifelike-bench-") as folder:
        server, base = start_server(Path(folder))
        bare = start_bare(ROOT / "models" / given.model)
        try:
            print(json.dumps(measure(base, bare, given), indent=2))
        finally:
            bare.kill()
            server.send_signal(signal.SIGINT)
            server.wait(timeout=30)
    return 0


def measure(base: str, bare: subprocess.Popen[str], given: argparse.Namespace) -> dict[str, Any]:
    """Pairs of one job and one bare call; the first three pairs warm both sides and do not count."""
    jobs, calls = [], []
    recommended = next(
        (
            entry.get("recommended", {})
            for entry in get(f"{base}/api/v1/models")["models"]
            if entry["ref"] == given.model
        ),
        {},
    )
    guidance = recommended.get("guidance_scale", 7.0)
    for number in range(-3, given.jobs):
        seed = 1000 + number
        params = {"prompt": PROMPT, "seed": seed, "steps": given.steps, "width": given.size, "height": given.size,
                  "model": given.model, "guidance_scale": guidance}  # fmt: skip
        job_s = run_job(base, params)
        shape = {"width": given.size, "height": given.size, "num_inference_steps": given.steps}
        call_s = ask_bare(bare, {"prompt": PROMPT, "seed": seed, "guidance_scale": guidance, **shape})
        if number >= 0:
            jobs.append(job_s)
            calls.append(call_s)
    ratios = [job / call for job, call in zip(jobs, calls, strict=True)]
    return {
        "jobs": len(jobs),
        "steps": given.steps,
        "size_px": given.size,
        "job_s": round(statistics.median(jobs), 4),
        "bare_s": round(statistics.median(calls), 4),
        "ratio": round(statistics.median(ratios), 4),
        "ratio_min": round(min(ratios), 4),
        "ratio_max": round(max(ratios), 4),
        "cores": os.cpu_count(),
    }


def start_server(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A server on a free port, once it answers and its worker is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "webui.cli",
        "serve",
        "--no-browser",
        "--port",
        str(port),
        "--data-dir",
        str(folder),
    ]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            get(f"{base}/api/v1/health")
            return server, base
        except OSError:
            time.sleep(0.2)
    server.kill()
    raise SystemExit("the server did not answer within two minutes")


def start_bare(model: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", BARE, str(model)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)  # fmt: skip
    assert process.stdout is not None
    if process.stdout.readline().strip() != "ready":
        raise SystemExit(f"bare diffusers could not load {model}")
    return process


def ask_bare(bare: subprocess.Popen[str], ask: dict[str, Any]) -> float:
    assert bare.stdin is not None
    assert bare.stdout is not None
    bare.stdin.write(json.dumps(ask) + "\n")
    bare.stdin.flush()
    return float(bare.stdout.readline())


def run_job(base: str, params: dict[str, Any]) -> float:
    """Seconds from the request to the event that says done; by then the file is on disk."""
    began = time.perf_counter()
    body = json.dumps({"pipeline": "diffusion.txt2img", "params": params}).encode()
    request = urllib.request.Request(f"{base}/api/v1/jobs", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        job_id = json.load(answer)["id"]
    with urllib.request.urlopen(f"{base}/api/v1/jobs/{job_id}/events", timeout=300) as stream:
        for _ in stream:
            pass
    elapsed = time.perf_counter() - began
    job = get(f"{base}/api/v1/jobs/{job_id}")
    if job["state"] != "done":
        raise SystemExit(f"a job {job['state']}: {job.get('error')}")
    return elapsed


def get(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return json.load(answer)


if __name__ == "__main__":
    sys.exit(main())
