"""The rater's page in Chromium: a whole study by keyboard, on a phone, with glimpses, and after the page was closed."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from extensions.studies.staircase import Staircase
from extensions.studies.store import OpenStudy, Studies
from extensions.studies.tests.conftest import keep, make_study
from webui.testing import make_app, make_studio

pytestmark = pytest.mark.browser
EXTENSIONS = Path(__file__).resolve().parents[2]
OTHERS = tuple(one.parent.name for one in EXTENSIONS.glob("*/extension.toml") if one.parent.name != "studies")
WAIT_MS = 30_000
expect.set_options(timeout=WAIT_MS)


@dataclass
class Site:
    """The application behind a login, as guests reach it."""

    url: str
    root: Path

    def put(self, **changes: Any) -> OpenStudy:
        number = len(list(self.root.glob("*"))) if self.root.is_dir() else 0
        made = make_study(
            id=f"20260101-browser-{number}", link=f"{'L' * 20}{number:02d}", width=64, height=64, **changes
        )
        return keep(made, self.root)

    def fresh(self, study: OpenStudy) -> OpenStudy:
        """As its files say now."""
        return Studies(self.root).get(study.study.id)

    def address(self, study: OpenStudy) -> str:
        return f"{self.url}/ext/studies/r/{study.study.link}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not chromium():
        pytest.skip(os.environ.get("LIFELIKE_NO_CHROMIUM_REASON") or "no Chromium was found")
    data = tmp_path_factory.mktemp("data")
    studio = make_studio(
        data, extensions_dirs=[EXTENSIONS], models_dirs=[], disabled_extensions=OTHERS, hash_models=False,
        extensions={"studies": {"votes_per_second": 100.0}},
    )  # fmt: skip
    app = make_app(studio, token="correct-horse-battery")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        limit = time.monotonic() + 60
        while app.state.start.status != "ok":
            assert time.monotonic() < limit
            time.sleep(0.05)
        yield Site(f"http://127.0.0.1:{listening.getsockname()[1]}", data / "studies")
        server.should_exit = True
        thread.join(20)


def chromium() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        launched = playwright.chromium.launch(executable_path=chromium(), args=arguments)
        yield launched
        launched.close()


@pytest.fixture
def context_of(browser: Browser, site: Site) -> Iterator[Callable[..., BrowserContext]]:
    """Contexts whose pages fail the test on any error, and on any request to elsewhere."""
    contexts, wrong = [], []

    def said(kind: str, text: str) -> None:
        if kind == "error" and not text.startswith("Failed to load resource"):
            wrong.append(text)

    def make(**options: Any) -> BrowserContext:
        context = browser.new_context(**{"locale": "en-US", "viewport": {"width": 1280, "height": 800}, **options})
        context.set_default_timeout(WAIT_MS)
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        context.on("console", lambda message: said(message.type, message.text))
        context.on(
            "request", lambda one: None if one.url.startswith((site.url, "data:", "blob:")) else wrong.append(one.url)
        )
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()
    assert wrong == []


def start(page: Page, address: str) -> None:
    """Agree by keyboard alone."""
    page.goto(address)
    expect(page.locator("#begin")).to_be_disabled()
    page.locator("#agree").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    expect(page.locator("#begin")).to_be_focused()
    page.keyboard.press("Enter")


def ready(page: Page, done: int) -> None:
    """The question is there, its pictures are drawn, and answers are taken."""
    expect(page.locator("#bar")).to_have_attribute("aria-valuenow", str(done))
    page.wait_for_selector("[data-answer]:not(:disabled)")


def test_a_whole_study_by_keyboard(context_of: Any, site: Site) -> None:
    study = site.put()
    page = context_of().new_page()
    start(page, site.address(study))
    ready(page, 0)
    plan = site.fresh(study).raters()[0].plan
    for done, trial in enumerate(plan):
        ready(page, done)
        page.keyboard.press({"left": "ArrowLeft", "right": "ArrowRight"}[trial.truth])
        if trial.stage == "practice":
            expect(page.locator(".told")).to_contain_text("Right: the ")
            page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Thank you!")
    rater = site.fresh(study).raters()[0]
    assert rater.finished
    assert all(one["correct"] for one in rater.votes)
    assert all(0 < one["seconds"] < 60 and one["shown_ms"] is None for one in rater.votes)
    page.reload()
    expect(page.locator("h1")).to_have_text("Thank you!")
    assert len(site.fresh(study).raters()) == 1, "who is done does not begin again"


def test_a_whole_study_by_touch_on_a_phone_in_chinese(context_of: Any, site: Site) -> None:
    study = site.put(kind="preference", names=("A", "B"), ties=True, trials=4, attention=1, practice=1)
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "locale": "zh-CN"}
    page = context_of(**phone).new_page()
    page.goto(site.address(study))
    expect(page.locator("h1")).to_have_text("您更喜欢哪张图片？")
    page.locator(".agree").tap()
    page.locator("#begin").tap()
    ready(page, 0)
    plan = site.fresh(study).raters()[0].plan
    for done, trial in enumerate(plan):
        ready(page, done)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        boxes = [page.locator(f"[data-answer={side}]").bounding_box() for side in ("left", "right", "tie")]
        assert all(box and box["y"] >= 0 and box["y"] + box["height"] <= 844 for box in boxes), "all in sight at once"
        assert all(box and min(box["width"], box["height"]) >= 44 for box in boxes)
        page.locator(f"[data-answer={trial.truth or 'tie'}]").tap()
        if trial.stage == "practice":
            page.locator(".answers .big").tap()
    expect(page.locator("h1")).to_have_text("谢谢！")
    rater = site.fresh(study).raters()[0]
    assert rater.finished
    assert rater.language == "zh-CN"
    assert [one["answer"] for one in rater.votes if one["stage"] == "main"] == ["tie"] * 4


def test_a_page_that_was_closed_goes_on_where_it_was(context_of: Any, site: Site) -> None:
    study = site.put(practice=0, attention=0, trials=6)
    context = context_of()
    page = context.new_page()
    start(page, site.address(study))
    for done in range(3):
        ready(page, done)
        page.keyboard.press("1")
    ready(page, 3)
    shown = site.fresh(study).raters()[0].plan[3].pictures
    page.close()
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url))
    page.goto(site.address(study))
    expect(page.locator("main")).to_contain_text("3 of 6 questions")
    page.keyboard.press("Enter")
    ready(page, 3)
    assert all(any(name in url for url in asked) for name in shown)
    assert len(site.fresh(study).raters()) == 1


def test_an_answer_given_without_a_connection_is_not_lost(context_of: Any, site: Site) -> None:
    study = site.put(practice=0, attention=0, trials=6)
    context = context_of()
    page = context.new_page()
    start(page, site.address(study))
    ready(page, 0)
    context.set_offline(True)
    page.keyboard.press("2")
    expect(page.locator("#note")).to_contain_text("Your answer is kept")
    page.close()
    assert site.fresh(study).raters()[0].next == 0
    context.set_offline(False)
    page = context.new_page()
    page.goto(site.address(study))
    expect(page.locator("main")).to_contain_text("1 of 6 questions")
    assert site.fresh(study).raters()[0].votes[0]["answer"] == "right"


def test_glimpses_last_as_long_as_was_asked(context_of: Any, site: Site) -> None:
    study = site.put(kind="yes_no", staircase=Staircase(start_ms=300, lowest_ms=100), trials=6, practice=1, attention=0)
    page = context_of().new_page()
    start(page, site.address(study))
    for done in range(7):
        ready(page, done)
        assert page.evaluate(
            "[...document.querySelectorAll('canvas')].every((one) =>"
            " one.getContext('2d').getImageData(0, 0, one.width, one.height).data.every((value) => value === 0))"
        ), "nothing is left to be seen"
        page.keyboard.press("ArrowLeft")
        if done == 0:
            page.locator(".answers .big").click()
    expect(page.locator("h1")).to_have_text("Thank you!")
    votes = site.fresh(study).raters()[0].votes
    assert [one["exposure_ms"] for one in votes[:2]] == [1000, 300]
    # To the nearest frame where the machine keeps up; never shorter than half a frame below.
    assert all(one["shown_ms"] >= one["exposure_ms"] - 17 for one in votes)
    close = sorted(abs(one["shown_ms"] - one["exposure_ms"]) for one in votes)
    assert close[len(close) // 2] < 40


def test_a_closed_study_says_so(context_of: Any, site: Site) -> None:
    study = site.put(closed=True)
    page = context_of(color_scheme="dark").new_page()
    page.goto(site.address(study))
    expect(page.locator("h1")).to_have_text("This study is closed")
    page.locator("#language").click()
    page.goto(f"{site.url}/ext/studies/r/{'Z' * 22}")
    expect(page.locator("h1")).to_have_text("There is no such study")
