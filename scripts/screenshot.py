"""Takes the pictures of the documentation: starts the application, makes pictures with it, and photographs the page.

    .venv/bin/python scripts/screenshot.py [--out docs/images] [--pipeline diffusion.txt2img] [--jobs 3]

Needs what the tests need: playwright, and a Chromium (`python launch.py test` installs both).
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
START_S = 180.0
JOB_S = 1200.0
WAIT_MS = 600_000
PROMPTS = (
    "a happy person with short black hair and a green hat, yellow background",
    "a person with a brown beard, curly hair and sunglasses, pink background",
    "a smiling person with long red hair and glasses, blue background",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--pipeline", default="diffusion.txt2img")
    parser.add_argument("--jobs", type=int, default=len(PROMPTS), help="jobs that fill the gallery first")
    given = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        parser.error("no Chromium was found: install it, or name one in the variable CHROMIUM")
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as url, sync_playwright() as playwright:
        known = api(url, f"/pipelines/{given.pipeline}")["params_schema"]["properties"]
        for place, prompt in enumerate(PROMPTS[: given.jobs]):
            params = {"prompt": prompt, "seed": place + 1, "batch_size": 4}
            make(url, given.pipeline, {name: value for name, value in params.items() if name in known})
        arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        looks: dict[str, dict[str, Any]] = {
            "page": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
            "page-dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
            "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "device_scale_factor": 2},
        }
        for name, options in looks.items():
            context = browser.new_context(locale="en-US", **options)
            page = context.new_page()
            page.set_default_timeout(WAIT_MS)
            photograph(page, url, given.pipeline, given.out / f"{name}.png", gallery=name == "page")
            context.close()
        browser.close()
    return 0


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A server of this checkout on a free port and an empty data folder, with a worker that is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
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
    process = subprocess.Popen(command, cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    try:
        wait(
            START_S,
            lambda: any(worker.get("device") for worker in api(url, "/health")["workers"]),
            "the server's start",
        )
        yield url
    finally:
        process.terminate()
        process.wait(60)


def api(url: str, path: str, **body: Any) -> Any:
    answer = httpx.request("POST" if body else "GET", f"{url}/api/v1{path}", json=body or None, timeout=60)
    answer.raise_for_status()
    return answer.json()


def wait(limit_s: float, check: Any, what: str) -> None:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        try:
            if check():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    raise SystemExit(f"{what} took longer than {limit_s:.0f} s")


def make(url: str, pipeline: str, params: dict[str, Any]) -> None:
    job = api(url, "/jobs", pipeline=pipeline, params=params)["id"]
    wait(JOB_S, lambda: api(url, f"/jobs/{job}")["state"] in ("done", "failed", "cancelled"), "a picture")
    ended = api(url, f"/jobs/{job}")
    if ended["state"] != "done":
        raise SystemExit(f"the job {ended['state']}: {ended['error']}")


def photograph(page: Page, url: str, pipeline: str, path: Path, *, gallery: bool) -> None:
    """The form with a finished picture; with ``gallery`` that tab too, in a file beside it."""
    page.goto(url)
    slug = pipeline.replace(".", "-").replace("_", "-")
    page.wait_for_selector(f"#viewer-{slug} .ll-example")
    page.locator(f"#viewer-{slug} .ll-example").first.click()
    page.wait_for_selector(f"#viewer-{slug} .ll-tile[data-artifact] > img")
    page.wait_for_selector(f'#viewer-{slug} [data-state="done"]')
    page.evaluate("Promise.all([...document.images].map((image) => image.decode().catch(() => {})))")
    page.mouse.move(4, 4)
    page.wait_for_timeout(1500)
    page.screenshot(path=path)
    if gallery:
        page.locator("#tab-gallery-button").click()
        page.wait_for_selector(".ll-thumb img")
        page.wait_for_timeout(1500)
        page.screenshot(path=path.with_name("gallery.png"))


if __name__ == "__main__":
    sys.exit(main())
