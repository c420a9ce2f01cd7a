"""Times the server from process start to its first page, against a bare Gradio page of 320 blocks, in pairs in one run.

    .venv/bin/python benchmarks/startup.py --pairs 5

Prints JSON: ``ratio`` is the median over the pairs of our wall time by the bare page's (the bound is 1.3),
``cpu_ratio`` the same of processor time, which another program's load disturbs less.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = 320

BARE = """
import sys
import fastapi, gradio as gr, uvicorn

with gr.Blocks() as page:
    while len(page.blocks) < {blocks} - 21:
        with gr.Tab("Tab"), gr.Row():
            for _ in range(6):
                gr.Slider(0, 1, label="Slider")
                gr.Textbox(label="Text")
                gr.Dropdown(["a", "b"], label="Choice")
    while len(page.blocks) < {blocks}:
        gr.Checkbox(label="Yes or no")
uvicorn.run(gr.mount_gradio_app(fastapi.FastAPI(), page, path="/"), port=int(sys.argv[1]), log_level="error")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--limit", type=float, default=1.3, help="exit status 1 where the ratio is above")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "bare.py"
        script.write_text(BARE.format(blocks=BLOCKS), encoding="utf-8")
        bare = [sys.executable, str(script)]
        ours = [sys.executable, str(ROOT / "launch.py"), "serve", "--no-browser", "--port"]
        environment = {
            **os.environ,
            "GRADIO_ANALYTICS_ENABLED": "False",
            "LIFELIKE_DATA_DIR": str(Path(folder) / "data"),
        }
        first_answer(ours, environment)  # compiled files, an empty data folder's first databases, the disk's cache
        pairs = []
        for number in range(asked.pairs):
            order = ("bare", "ours") if number % 2 else ("ours", "bare")
            pair = {name: first_answer(bare if name == "bare" else ours, environment) for name in order}
            pairs.append(pair)
            print(
                json.dumps({name: [round(value, 2) for value in times] for name, times in pair.items()}),
                file=sys.stderr,
            )
    ratios = [[pair["ours"][kind] / pair["bare"][kind] for pair in pairs] for kind in (0, 1)]
    ratio = statistics.median(ratios[0])
    print(
        json.dumps(
            {
                "ratio": round(ratio, 3),
                "cpu_ratio": round(statistics.median(ratios[1]), 3),
                "ratios": [round(value, 3) for value in ratios[0]],
                "ours_s": round(statistics.median(pair["ours"][0] for pair in pairs), 2),
                "bare_s": round(statistics.median(pair["bare"][0] for pair in pairs), 2),
                "bare_blocks": BLOCKS,
                "pairs": asked.pairs,
            }
        )
    )
    sys.exit(ratio > asked.limit)


def first_answer(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall and processor seconds from the start of the process to the whole answer of ``GET /``."""
    port = free_port()
    began = time.perf_counter()
    process = subprocess.Popen([*command, str(port)], env=environment, stdout=subprocess.DEVNULL)
    try:
        while True:
            with contextlib.suppress(ConnectionRefusedError, ConnectionResetError, urllib.error.URLError):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=300) as answer:
                    answer.read()
                break
            if process.poll() is not None:
                raise SystemExit(f"{' '.join(command)} ended with status {process.returncode} before it answered")
            time.sleep(0.01)
        wall_s = time.perf_counter() - began
        used = psutil.Process(process.pid).cpu_times()
        return wall_s, used.user + used.system
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
