"""What a person does with the page, in a real browser against a real server and worker."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import WAIT_MS, Server

expect.set_options(timeout=WAIT_MS)

STAGE = "#viewer-sketch-draw"
MADE = f"{STAGE} .ll-tile[data-artifact]"
GENERATE = "#go-sketch-draw"


def fill_prompt(page: Page, text: str) -> None:
    page.locator("#f-sketch-draw-prompt textarea").fill(text)


def set_slow(page: Page, seconds: float) -> None:
    """The pace of the test's pipeline, an advanced parameter."""
    page.locator("#work-sketch-draw .ll-advanced > button").click()
    box = page.locator("#f-sketch-draw-step_s input[type=number]")
    slider = page.locator("#f-sketch-draw-step_s input[type=range]")
    for _ in range(4):
        box.fill(str(seconds))
        box.press("Tab")
        # A page that is still being made can draw over what was typed; who looks at the slider types it again.
        page.wait_for_timeout(150)
        if float(slider.input_value()) == seconds:
            return
    raise AssertionError(f"the slider shows {slider.input_value()}, {seconds} was typed")


def open_tab(page: Page, name: str) -> None:
    page.locator(f"#tab-{name}-button").click()


def open_tab_of_form(page: Page, slug: str) -> None:
    page.locator(f"#form-{slug}-button").click()


def until(condition: Callable[[], bool]) -> None:
    """Wait for what only the server can tell."""
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit, "it did not come true in time"
        time.sleep(0.05)


def seed_of(page: Page) -> str:
    return page.locator("#f-sketch-draw-seed .ll-input").input_value()


def finish(page: Page, count: int = 1) -> None:
    expect(page.locator(MADE)).to_have_count(count)
    expect(page.locator(STAGE + " .ll-viewer")).to_have_attribute("data-state", "done")


def test_a_prompt_becomes_a_picture_with_previews(page: Page, server: Server) -> None:
    assert page.locator("h1").inner_text() == "Lifelike"
    fill_prompt(page, "a quiet harbour")
    set_slow(page, 0.5)  # a step outlasts what a busy machine's browser needs to show one
    # A busy machine may look too late: the page itself keeps what it showed in between.
    page.evaluate(
        """stage => new MutationObserver(() => {
            const preview = document.querySelector(stage + " .ll-preview[src]");
            if (preview) window.sawPreview = preview.src;
            const status = document.querySelector(stage + " .ll-status-text");
            window.sawStatus = (window.sawStatus || "") + status?.textContent;
        }).observe(document.querySelector(stage), {subtree: true, childList: true, attributes: true})""",
        STAGE,
    )
    page.click(GENERATE)
    finish(page)
    assert page.evaluate("window.sawPreview").startswith("data:image/jpeg;base64,")
    said = page.evaluate("window.sawStatus")
    steps = [int(number) for number in re.findall(r"step (\d) of 8", said)]
    assert steps == sorted(steps)
    assert len(set(steps)) >= 2, "it moved; how often a busy machine lets the browser show it is the machine's"
    assert "Done in" in said
    newest = server.api("GET", "/artifacts?limit=1")["artifacts"][0]
    assert newest["prompt"] == "a quiet harbour"
    assert page.locator(MADE).get_attribute("data-artifact") == newest["id"]
    natural = page.locator(MADE + " > img").evaluate("image => image.decode().then(() => image.naturalWidth)")
    assert natural == 128


def test_an_example_makes_the_first_picture(page: Page) -> None:
    page.locator(STAGE + " .ll-example", has_text="A red hill").click()
    finish(page)
    assert page.locator("#f-sketch-draw-prompt textarea").input_value() == "a red hill"
    expect(page.locator("#f-sketch-draw-steps input[type=number]")).to_have_value("4")
    expect(page.locator("#f-sketch-draw-prompt .ll-tokens")).to_have_text(re.compile(r"^~ 3 / 75$"))


def test_a_prompt_is_counted_and_remarked_at_its_place(page: Page) -> None:
    fill_prompt(page, "a \U0001f431 in a LOUD city")
    field = page.locator("#f-sketch-draw-prompt")
    remark = field.locator(".ll-remark")
    expect(remark).to_contain_text("LOUD is loud")
    expect(field.locator(".ll-underlined mark.bad")).to_have_text("LOUD")
    underlined, box = field.locator(".ll-underlined mark").bounding_box(), field.locator("textarea").bounding_box()
    assert underlined is not None
    assert box is not None
    assert box["x"] < underlined["x"] < underlined["x"] + underlined["width"] < box["x"] + box["width"] / 2
    assert box["y"] < underlined["y"] < underlined["y"] + underlined["height"] < box["y"] + 40, "on the first line"
    remark.click()
    chosen = "area => area.value.slice(area.selectionStart, area.selectionEnd)"
    assert field.locator("textarea").evaluate(chosen) == "LOUD"
    fill_prompt(page, "a quiet city")
    expect(remark).to_have_count(0)
    expect(field.locator(".ll-tokens")).to_have_text("~ 3 / 75")


def test_a_reload_finds_the_running_job_and_the_form_again(page: Page) -> None:
    fill_prompt(page, "a long road")
    set_slow(page, 2)  # still running when a busy machine has made the page again
    page.click(GENERATE)
    expect(page.locator(STAGE + " .ll-status-text")).to_contain_text("step")
    page.reload()
    expect(page.locator(STAGE + " .ll-status-text")).to_contain_text("step")
    expect(page.locator("#f-sketch-draw-prompt textarea")).to_have_value("a long road")
    expect(page.locator(MADE)).to_have_count(1, timeout=40_000)


def test_stop_ends_a_running_job_and_takes_waiting_ones_out(page: Page, server: Server) -> None:
    set_slow(page, 1.5)  # still running when the second one has come to wait, on a slow machine too
    page.click(GENERATE)
    expect(page.locator(STAGE + " .ll-status-text")).to_contain_text("step")
    page.click(GENERATE)
    page.locator(STAGE + " .ll-card-box > .ll-ib").click()
    expect(page.locator(STAGE + " .ll-card.cancelled")).to_have_count(1)
    page.click("#stop-sketch-draw")
    expect(page.locator(STAGE + " .ll-card.cancelled")).to_have_count(2)
    states = [job["state"] for job in server.api("GET", "/jobs?limit=2")["jobs"]]
    assert states == ["cancelled", "cancelled"]


def test_the_keyboard_generates_stops_and_helps(page: Page, server: Server) -> None:
    set_slow(page, 1.0)
    page.locator("#f-sketch-draw-prompt textarea").click()
    page.keyboard.type("what? typed")
    page.keyboard.press("Control+Enter")
    expect(page.locator(STAGE + " .ll-status-text")).to_contain_text("step")
    assert server.api("GET", "/jobs?limit=1")["jobs"][0]["params"]["prompt"] == "what? typed"
    page.keyboard.press("Escape")
    expect(page.locator(STAGE + " .ll-viewer")).to_have_attribute("data-state", "cancelled")
    page.keyboard.press("?")
    expect(page.locator("dialog.ll-help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog.ll-help")).to_be_hidden()


def test_errors_stand_at_their_field(page: Page) -> None:
    page.locator("#f-sketch-draw-width input[data-name=width]").fill("100")
    page.click(GENERATE)
    wrong = page.locator("#f-sketch-draw-width.ll-wrong .ll-error")
    expect(wrong).to_contain_text("multiple of 8")
    page.locator("#f-sketch-draw-width input[data-name=width]").fill("104")
    page.click(GENERATE)
    expect(wrong).to_have_count(0)
    finish(page)


def test_a_failure_says_what_to_do(page: Page) -> None:
    page.locator("#work-sketch-draw .ll-advanced > button").click()
    page.locator("#f-sketch-draw-fault input").click()
    page.get_by_role("option", name="fail").click()
    page.click(GENERATE)
    card = page.locator(STAGE + " .ll-failure")
    expect(card).to_contain_text("There is no paint.")
    expect(card).to_contain_text("Buy some.")


def test_the_gallery_searches_keeps_favourites_deletes_and_takes_back(page: Page, server: Server) -> None:
    job = server.run(prompt="a violet lighthouse", seed=41)
    other = server.run(prompt="an orange boat", seed=42)
    lighthouse, boat = (made["artifacts"][0]["id"] for made in (job, other))
    open_tab(page, "gallery")
    thumb = page.locator(f'.ll-thumb[data-artifact="{lighthouse}"]')
    page.locator(".ll-search input").fill("violet seed:41")
    expect(thumb).to_be_visible()
    expect(page.locator(f'.ll-thumb[data-artifact="{boat}"]')).to_have_count(0)
    thumb.hover()
    thumb.locator(".ll-heart").click()
    page.locator(".ll-search input").fill("")
    page.locator("[data-view=favourites]").click()
    expect(page.locator(".ll-thumb")).to_have_count(1)
    expect(thumb).to_be_visible()
    thumb.hover()
    thumb.locator(".ll-thumb-trash").click()
    expect(page.locator(".ll-thumb")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(thumb).to_be_visible()
    assert server.api("GET", f"/artifacts/{lighthouse}/metadata")["trashed"] is False


def test_details_reuse_the_seed(page: Page, server: Server) -> None:
    server.run(prompt="a big seed", seed=2**60 + 1)
    open_tab(page, "gallery")
    page.locator(".ll-thumb-open").first.click()
    side = page.locator(".ll-side")
    expect(side).to_contain_text("a big seed")
    expect(side).to_contain_text(str(2**60 + 1))
    side.get_by_role("button", name="Use this seed again").click()
    expect(page.locator("#f-sketch-draw-seed .ll-input")).to_have_value(str(2**60 + 1))
    page.click(GENERATE)
    finish(page)
    assert str(server.api("GET", "/jobs?limit=1")["jobs"][0]["params"]["seed"]) == str(2**60 + 1)
    page.get_by_role("button", name="Draw a new seed each time").click()
    assert seed_of(page) == "-1"
    page.get_by_role("button", name="Use the seed of the last picture").click()
    assert seed_of(page) == str(2**60 + 1)


def test_a_picture_is_sent_to_another_form(page: Page, server: Server) -> None:
    made = server.run(prompt="to be blended")["artifacts"][0]["id"]
    open_tab(page, "gallery")
    page.locator(".ll-thumb-open").first.click()
    page.locator(".ll-side").get_by_role("button", name="Send to ...").click()
    page.get_by_role("menuitem", name="Blend · Picture").click()
    expect(page.locator("#f-sketch-blend-image img")).to_have_attribute("src", re.compile(re.escape(made)))
    page.click("#go-sketch-blend")
    expect(page.locator("#viewer-sketch-blend .ll-tile[data-artifact]")).to_have_count(1)
    assert server.api("GET", "/jobs?limit=1")["jobs"][0]["params"]["image"] == f"artifact:{made}"


def drop_file(page: Page, selector: str, path: Path) -> None:
    content = list(path.read_bytes())
    data = page.evaluate_handle(
        """([content, name]) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(content)], name, {type: "image/png"}));
            return data;
        }""",
        [content, path.name],
    )
    page.dispatch_event(selector, "drop", {"dataTransfer": data})


def test_a_dropped_picture_restores_its_parameters(page: Page, server: Server, tmp_path: Path) -> None:
    made = server.run(prompt="as it was, (exactly:1.2)", seed=77, steps=11, batch_count=2)["artifacts"][1]
    picture = tmp_path / "made.png"
    picture.write_bytes(httpx.get(f"{server.url}/api/v1/artifacts/{made['id']}").content)
    open_tab(page, "gallery")
    drop_file(page, "#ll-gallery .ll-tools", picture)
    expect(page.locator("#f-sketch-draw-prompt textarea")).to_have_value("as it was, (exactly:1.2)")
    expect(page.locator("#f-sketch-draw-steps input[type=number]")).to_have_value("11")
    assert seed_of(page) == "78"


def test_the_language_follows_browser_and_switch(open_page: Callable[..., Page]) -> None:
    page = open_page(locale="zh-CN")
    expect(page.locator(GENERATE)).to_have_text("生成")
    expect(page.locator("#f-sketch-draw-prompt label > span").first).to_have_text("提示词")
    expect(page.locator("#tab-sketch-button")).to_have_text("速写")
    expect(page.locator(STAGE + " h2")).to_have_text("生成第一张图片")
    page.select_option("#ll-language", "en")
    expect(page.locator(GENERATE)).to_have_text("Generate")
    page.reload()
    expect(page.locator(GENERATE)).to_have_text("Generate")
    assert page.evaluate("document.documentElement.lang") == "en"


def test_dark_is_chosen_by_system_and_switch_and_stays(open_page: Callable[..., Page]) -> None:
    page = open_page(color_scheme="dark")

    def brightness() -> Any:
        return page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")

    assert brightness() < 60
    page.click("#ll-theme")
    assert brightness() > 200
    page.reload()
    page.wait_for_selector(STAGE)
    assert brightness() > 200


def test_a_phone_needs_no_sideways_scrolling(open_page: Callable[..., Page], server: Server) -> None:
    page = open_page(width=390, height=844, has_touch=True, is_mobile=True)
    fill_prompt(page, "a small sun")
    expect(page.locator(GENERATE)).to_be_in_viewport(ratio=1)
    page.locator(GENERATE).tap()
    finish(page)
    expect(page.locator(MADE)).to_be_in_viewport()
    names = ["tools", "own", "broken", "gallery", "queue", "extensions"]
    for name in ["sketch", *names]:
        open_tab(page, name)
        page.wait_for_timeout(200)
        width = page.evaluate("Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)")
        assert width <= 390, f"tab {name} is {width} pixels wide"


def test_a_broken_tab_stands_alone(page: Page) -> None:
    open_tab(page, "broken")
    expect(page.locator(".ll-failed-tab .ll-failure")).to_contain_text("this tab breaks while it is built")
    open_tab(page, "own")
    expect(page.locator("#own-words")).to_be_visible()
    page.click("#go-own-sketch-draw")
    expect(page.locator("#viewer-own-sketch-draw .ll-tile[data-artifact]")).to_have_count(1)


def test_every_kind_of_field_reaches_the_job(page: Page, server: Server, tmp_path: Path) -> None:
    archive, picture = tmp_path / "things.zip", tmp_path / "red.png"
    archive.write_bytes(b"PK\x05\x06" + bytes(18))
    Image.new("RGB", (24, 16), "red").save(picture)
    open_tab(page, "tools")
    open_tab_of_form(page, "sketch-everything")
    form = "#f-sketch-everything-"
    page.locator(form + "reference input[type=file]").set_input_files(picture)
    expect(page.locator(form + "reference img")).to_be_visible()
    page.locator(form + "several input[type=file]").set_input_files([picture, picture])
    expect(page.locator(form + "several img")).to_have_count(2)
    page.locator(form + "archive input[type=file]").set_input_files(archive)
    expect(page.locator(form + "archive")).to_contain_text("things")
    page.locator(form + "model input").fill("someone/model")
    page.locator(form + "model input").press("Enter")
    page.locator(form + "width [data-preset='16:9']").click()
    page.get_by_role("button", name="Swap width and height").locator("visible=true").click()
    expect(page.locator(form + "width input[data-name=width]")).to_have_value("384")
    expect(page.locator(form + "width input[data-name=height]")).to_have_value("680")
    page.click("#go-sketch-everything")
    expect(page.locator("#viewer-sketch-everything .ll-scalar")).to_have_text("0.25")
    expect(page.locator("#viewer-sketch-everything td").first).to_have_text("count")
    params = server.api("GET", "/jobs?limit=1")["jobs"][0]["params"]
    assert params["reference"].startswith("upload:")
    assert params["several"] == [params["reference"]] * 2
    assert params["archive"].endswith(".zip")
    assert (params["model"], params["width"], params["height"]) == ("someone/model", 384, 680)


def test_queue_and_extensions_are_listed(page: Page, server: Server) -> None:
    job = server.run(prompt="in the list")
    open_tab(page, "queue")
    row = page.locator(f'.ll-job[data-job="{job["id"]}"]')
    expect(row).to_contain_text("in the list")
    expect(row).to_contain_text("done")
    open_tab(page, "extensions")
    expect(page.locator('[data-extension="sketch"] .ll-pill')).to_have_text("loaded")
    expect(page.locator('[data-stat="device"]')).to_have_class(re.compile("good"))


def test_the_memory_panel_shows_pins_and_unloads(page: Page, server: Server) -> None:
    server.run(style="soft")
    page.locator("[data-stat=memory]").click()
    panel = page.locator("dialog.ll-memory")
    row = panel.locator(".ll-memory-row", has_text="palette")
    expect(row).to_contain_text("kept for the next job")
    expect(row).to_contain_text("1.0 MB")
    row.get_by_role("button", name="Pin: keep it in memory").click()
    expect(row).to_contain_text("pinned")
    panel.get_by_role("button", name="Unload what is idle").click()
    expect(row, "pinned").to_be_visible()
    row.get_by_role("button", name="Unload").click()
    expect(row).to_have_count(0)
    panel.get_by_label("Budget in GB").fill("2")
    panel.get_by_role("button", name="Set", exact=True).click()
    until(lambda: server.api("GET", "/memory")["workers"][0]["budget_bytes"] == 2 * 2**30)
    expect(panel.get_by_label("Budget in GB")).to_have_value("2")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()


def test_presets_are_saved_and_chosen(page: Page) -> None:
    fill_prompt(page, "kept words")
    page.locator("#work-sketch-draw .ll-presets > button").click()
    box = page.locator("#preset-sketch-draw input")
    box.click()
    for _ in range(20):  # the list is read when the field is entered, and what was typed before it came is gone
        box.fill("my preset")
        box.press("Enter")
        page.wait_for_timeout(300)
        if box.input_value() == "my preset":
            break
    page.click("#preset-save-sketch-draw")
    expect(page.locator(".ll-note.good")).to_contain_text("saved")
    fill_prompt(page, "other words")
    page.reload()
    page.wait_for_selector("#f-sketch-draw-seed .ll-input")
    page.locator("#work-sketch-draw .ll-presets > button").click()
    page.locator("#preset-sketch-draw input").click()
    page.get_by_role("option", name="my preset").click()
    expect(page.locator("#f-sketch-draw-prompt textarea")).to_have_value("kept words")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_plot_is_downloaded_in_the_colours_of_the_page(
    open_page: Callable[..., Page], tmp_path: Path, scheme: str
) -> None:
    page = open_page(color_scheme=scheme)
    page.evaluate(
        """() => document.body.append(Lifelike.plots.draw({ x: "steps", y: "FD", series: [
            { name: "measured", line: true, points: [[5, 20, 18, 22], [10, 12, 11, 13]] },
            { name: "real against real", line: true, points: [[5, 3], [10, 3]] } ] }))"""
    )
    saved = {}
    for kind in ("SVG", "PNG"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Download {kind}").click()
        saved[kind] = tmp_path / f"plot.{kind.lower()}"
        download.value.save_as(saved[kind])
        assert download.value.suggested_filename == f"FD steps.{kind.lower()}"
    text = saved["SVG"].read_text(encoding="utf-8")
    assert "real against real" in text
    assert "var(" not in text
    with Image.open(saved["PNG"]) as picture:
        pixels = np.asarray(picture.convert("L"))
    assert (pixels[0, 0] > 128) == (scheme == "light")
    assert pixels.std() > 5
    assert picture.size[0] == 2 * 560
