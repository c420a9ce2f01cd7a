"""The gallery's selections, collections, ratings and comparisons, in the page."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server
from tests.library.test_imports import INFOTEXT, picture


@pytest.fixture(scope="module")
def ids(server: Server) -> list[str]:
    jobs = [server.run(prompt=f"a {colour} square", seed=seed) for seed, colour in enumerate(("red", "blue", "green"))]
    return [job["artifacts"][0]["id"] for job in jobs]


def gallery(page: Page, ids: list[str]) -> Page:
    page.get_by_role("tab", name="Gallery").or_(page.get_by_role("tab", name="图库")).first.click()
    for one in ids:
        page.wait_for_selector(f'.ll-thumb[data-artifact="{one}"]')
    return page


def test_a_selection_is_rated_tagged_collected_and_exported(server: Server, page: Page, ids: list[str]) -> None:
    gallery(page, ids)
    page.get_by_role("button", name="Choose").click()
    for one in ids[:2]:
        page.locator(f'[data-artifact="{one}"] .ll-thumb-open').click()
    bar = page.get_by_role("toolbar", name="Selection")
    expect(bar).to_contain_text("2 chosen")
    bar.get_by_role("button", name="4 of 5 stars").click()
    expect(page.locator(f'[data-artifact="{ids[0]}"] .ll-rated')).to_have_text("★★★★")
    for button, name in (("Tag", "shape, flat"), ("Collect", "Best of")):
        bar.get_by_role("button", name=button, exact=True).click()
        page.locator("dialog.ll-ask input").fill(name)
        page.get_by_role("button", name="OK").click()
        page.get_by_text("2 changed.").last.wait_for()
    known = {one["id"]: one for one in server.api("GET", "/artifacts")["artifacts"]}
    assert [known[one]["tags"] for one in ids] == [["flat", "shape"]] * 2 + [[]]
    assert [known[one]["rating"] for one in ids] == [4, 4, 0]
    with page.expect_download() as download:
        bar.get_by_role("link", name="Download as a zip").click()
    with zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes())) as archive:
        assert len(archive.namelist()) == 3
    bar.get_by_role("button", name="Stop choosing").click()
    page.get_by_role("button", name="Collections").click()
    page.get_by_role("menuitem", name="Best of · 2").click()
    expect(page.locator(".ll-thumb")).to_have_count(2)
    expect(page.locator(".ll-collection h2")).to_have_text("Best of")
    page.locator(".ll-collection").get_by_role("button", name="All pictures").click()
    page.wait_for_selector(f'.ll-thumb[data-artifact="{ids[2]}"]')


def test_two_pictures_are_compared_by_a_slider(page: Page, ids: list[str]) -> None:
    gallery(page, ids)
    page.get_by_role("button", name="Choose").click()
    for one in ids[1:]:
        page.locator(f'[data-artifact="{one}"] .ll-thumb-open').click()
    page.get_by_role("button", name="Compare the two").click()
    dialog = page.locator("dialog.ll-compare")
    rows = dialog.locator("tbody tr")
    expect(rows.filter(has_text="a blue square")).to_contain_text("a green square")
    expect(rows.filter(has_text="Seed").first).to_contain_text("2")
    slider = dialog.get_by_role("slider")
    slider.fill("20")
    assert dialog.locator(".ll-over").evaluate("one => one.style.clipPath") == "inset(0px 0px 0px 20%)"
    page.keyboard.press("ArrowRight")
    assert slider.input_value() == "20.5"
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_pictures_of_others_are_imported(server: Server, page: Page, ids: list[str], tmp_path: Path) -> None:
    gallery(page, ids)
    sent = picture(tmp_path / "sent.png", "red", parameters=INFOTEXT)
    picture(tmp_path / "peer" / "other.png", "blue", parameters=INFOTEXT.replace("77", "78"))
    page.get_by_role("button", name="Import").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("menuitem", name="Pictures ...").click()
    chooser.value.set_files([sent])
    page.get_by_text("1 added, 0 known already, 0 left alone.").wait_for()
    page.get_by_role("button", name="Import").click()
    page.get_by_role("menuitem", name="A folder of this computer ...").click()
    page.locator("dialog.ll-ask input").fill(str(tmp_path / "peer"))
    page.get_by_role("button", name="OK").click()
    page.get_by_text("1 added, 0 known already, 0 left alone.").nth(1).wait_for()
    found = server.api("GET", "/artifacts", params={"query": "dog"})["artifacts"]
    assert {one["seed"] for one in found} == {77, 78}
    page.get_by_placeholder("Search: red hair").fill("dog seed:77")
    expect(page.locator(".ll-thumb")).to_have_count(1)
    page.locator(".ll-thumb-open").click()
    side = page.locator(".ll-side")
    expect(side).to_contain_text("A1111")
    expect(side).to_contain_text("Without: fog")


def test_one_picture_is_rated_and_tagged_on_a_phone_in_chinese(
    server: Server, open_page: Callable[..., Page], ids: list[str]
) -> None:
    page = gallery(open_page(390, 844, locale="zh-CN", color_scheme="dark"), ids)
    page.locator(f'[data-artifact="{ids[2]}"] .ll-thumb-open').click()
    side = page.locator(".ll-side")
    side.get_by_role("button", name="3 星（共 5 星）").click()
    expect(side.locator(".ll-stars .on")).to_have_count(3)
    field = side.get_by_label("添加标签")
    field.fill("绿色")
    field.press("Enter")
    expect(side.locator(".ll-mark")).to_have_text("绿色")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    item = server.api("GET", f"/artifacts/{ids[2]}/metadata")
    assert (item["rating"], item["tags"]) == (3, ["绿色"])
    side.get_by_role("button", name="移除 绿色").click()
    expect(side.locator(".ll-mark")).to_have_count(0)
