"""A guest of a shared studio, from the login to the logout."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import WAIT_MS, Server, Watch, serving
from webui.accounts.people import Role
from webui.accounts.store import AccountStore

expect.set_options(timeout=WAIT_MS)
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("shared")
    accounts = AccountStore(folder / "data" / "accounts.sqlite3")
    accounts.add("olga", Role.OWNER, PASSWORD)
    accounts.add("kim", Role.GUEST, PASSWORD)
    token, _ = accounts.add_token("olga", ["admin"])
    accounts.close()
    yield from serving(folder, options=["--login"], headers={"Authorization": f"Bearer {token}"})


def test_a_guest_logs_in_makes_a_picture_sees_its_own_and_leaves(shared: Server, browser: Browser) -> None:
    shared.run(prompt="the owner's")
    watch = Watch(shared.url, [])
    phone = browser.new_context(viewport={"width": 360, "height": 640}, locale="zh-CN", color_scheme="dark")
    watch.attach(phone)
    small = phone.new_page()
    small.goto(shared.url)
    expect(small.get_by_role("button")).to_have_text("登录")
    assert small.evaluate("document.documentElement.scrollWidth") <= 360
    assert small.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 19, 26)"
    phone.close()

    context = browser.new_context(viewport={"width": 1360, "height": 900}, locale="en-US")
    context.set_default_timeout(WAIT_MS)
    watch.attach(context)
    page = context.new_page()
    page.goto(shared.url)
    page.get_by_label("Name").fill("kim")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_have_text("Name and password do not fit.")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button").click()

    page.wait_for_selector("#f-sketch-draw-seed .ll-input")
    expect(page.locator("#ll-me")).to_have_text("kim")
    expect(page.locator("#tab-extensions-button")).to_be_hidden()
    page.locator("#f-sketch-draw-prompt textarea").fill("a guest's")
    page.locator("#go-sketch-draw").click()
    expect(page.locator("#viewer-sketch-draw .ll-tile[data-artifact]")).to_have_count(1)
    page.locator("#tab-gallery-button").click()
    expect(page.locator("#ll-gallery .ll-thumb")).to_have_count(1)
    owners = {job["id"]: job["owner"] for job in shared.api("GET", "/jobs")["jobs"]}
    assert sorted(owners.values()) == ["kim", "local"]

    page.locator("#ll-me").click()
    expect(page.locator(".ll-people")).to_contain_text("of 60 minutes of the last 24 hours")
    page.locator("#ll-logout").click()
    expect(page.get_by_label("Password")).to_be_visible()
    assert context.request.get(f"{shared.url}/api/v1/jobs").status == 401
    context.close()
    assert watch.wrong == []
