"""From picture to picture in a real browser, with the starter: sketches, and what forms send each other."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageFilter
from playwright.sync_api import Page, expect

from tests.browser.conftest import WAIT_MS, Server, serving
from tests.browser.test_page import open_tab, open_tab_of_form

expect.set_options(timeout=WAIT_MS)

PROMPT = "a smiling person with red hair, blue background"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from serving(tmp_path_factory.mktemp("starter"), whole=True)


@pytest.fixture(scope="module")
def person(server: Server) -> dict[str, Any]:
    """A picture of the starter, of the shape of an artifact."""
    params = {"prompt": PROMPT, "negative_prompt": "hat", "seed": 2**40 + 3, "steps": 4, "guidance_scale": 3.5}
    return dict(server.finished("diffusion.txt2img", params)["artifacts"][0])


def pixels(server: Server, address: str) -> np.ndarray:
    answer = httpx.get(server.url + address, timeout=60)
    answer.raise_for_status()
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).astype(int)


def drag(page: Page, selector: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """A stroke on a canvas, from one share of its sides to another."""
    box = page.locator(selector).last.bounding_box()
    assert box is not None
    at = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in (start, end)]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=12)
    page.mouse.up()


def seen(page: Page, selector: str, wanted: Callable[[np.ndarray], bool]) -> np.ndarray:
    """What a canvas shows as soon as it is what is ``wanted``; the test's time limit is WAIT_MS."""
    canvas = page.locator(selector).last
    for _ in range(WAIT_MS // 250):
        shown = np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert("RGB")).astype(int)
        if wanted(shown):
            return shown
        page.wait_for_timeout(250)
    raise AssertionError("the canvas does not show what was waited for")


def test_a_sketch_is_drawn_and_becomes_the_beginning(page: Page, server: Server) -> None:
    open_tab(page, "tools")
    open_tab_of_form(page, "sketch-blend")
    field = page.locator("#f-sketch-blend-image")
    field.get_by_role("button", name="Draw").click()
    expect(page.locator(".ll-sketch-canvas")).to_be_visible()
    page.locator('.ll-swatch[data-colour="#c8402f"]').click()
    drag(page, ".ll-sketch-canvas", (0.1, 0.25), (0.4, 0.25))
    page.locator('.ll-swatch[data-colour="#2f6fb5"]').click()
    drag(page, ".ll-sketch-canvas", (0.1, 0.75), (0.4, 0.75))
    drag(page, ".ll-sketch-canvas", (0.6, 0.1), (0.6, 0.9))
    page.keyboard.press("Control+z")
    page.get_by_role("button", name="Use this").click()
    expect(field.locator("figure img")).to_be_visible()
    field.get_by_role("button", name="Draw").click()  # on the picture now
    page.get_by_role("button", name="Take a colour from the picture").click()
    box = page.locator(".ll-sketch-canvas").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.25)
    expect(page.locator(".ll-sketch-own")).to_have_value("#c8402f")
    drag(page, ".ll-sketch-canvas", (0.8, 0.5), (0.9, 0.5))
    page.get_by_role("button", name="Use this").click()
    expect(page.locator("dialog.ll-sketch")).to_have_count(0)
    page.click("#go-sketch-blend")
    made = page.locator("#viewer-sketch-blend .ll-tile[data-artifact]")
    expect(made).to_have_count(1)
    picture = pixels(server, f"/api/v1/artifacts/{made.get_attribute('data-artifact')}")[:, ::-1]  # blend mirrors
    height, width, _ = picture.shape
    seen = [
        tuple(picture[int(height * y), int(width * x)])
        for x, y in ((0.25, 0.25), (0.25, 0.75), (0.6, 0.5), (0.85, 0.5))
    ]
    assert seen == [(200, 64, 47), (47, 111, 181), (255, 255, 255), (200, 64, 47)]


def send(page: Page, artifact: str, label: str) -> None:
    """From the large view, by its menu."""
    page.locator(f'.ll-thumb[data-artifact="{artifact}"] .ll-thumb-open').click()
    page.locator(".ll-side").get_by_role("button", name="Send to ...").click()
    page.get_by_role("menuitem", name=label, exact=True).click()
    expect(page.locator("dialog.ll-lightbox")).to_be_hidden()


def has_come(page: Page, field: str) -> np.ndarray:
    """The editor shows its canvas before the picture is in it, and a picture that comes takes strokes away."""
    return seen(page, field + " canvas", lambda pixels: pixels.std() > 20)


FORMS = ("img2img", "inpaint", "edit", "upscale")
TITLES = {"img2img": "Image to image", "inpaint": "Inpaint", "edit": "Edit", "upscale": "Upscale"}


@pytest.mark.parametrize("source", ["txt2img", "img2img", "inpaint", "upscale"])
def test_a_picture_is_sent_to_every_form(
    server: Server, person: dict[str, Any], open_page: Callable[..., Page], source: str
) -> None:
    """With its words, model, sampling and seed, where the other form means the same by them."""
    image = f"artifact:{person['id']}"
    small = {
        "prompt": PROMPT,
        "negative_prompt": "hat",
        "seed": 2**40 + 9,
        "steps": 4,
        "guidance_scale": 3.5,
        "strength": 0.5,
    }
    params: dict[str, dict[str, Any]] = {
        "img2img": {**small, "image": image},
        "inpaint": {**small, "image": image, "mask_by": "colour", "mask_tolerance": 255},
        "upscale": {"image": image},
    }
    made = person if source == "txt2img" else server.finished(f"diffusion.{source}", params[source])["artifacts"][0]
    page = open_page()
    for target in FORMS:
        open_tab(page, "gallery")
        send(page, made["id"], TITLES[target])
        form = f"#f-diffusion-{target}-"
        if target == "inpaint":
            expect(page.locator(form + "image canvas").last).to_be_visible()
        else:
            expect(page.locator(form + "image figure img")).to_have_attribute("src", re.compile(re.escape(made["id"])))
        if target == "upscale" or source == "upscale":
            continue
        expect(page.locator(form + "seed .ll-input")).to_have_value(str(made["seed"]))
        if target == "edit":
            expect(page.locator(form + "prompt textarea")).to_have_value("")
            continue
        expect(page.locator(form + "prompt textarea")).to_have_value(PROMPT)
        expect(page.locator(form + "negative_prompt textarea")).to_have_value("hat")
        expect(page.locator(form + "steps input[type=number]")).to_have_value("4")
        expect(page.locator(form + "guidance_scale input[type=number]")).to_have_value("3.5")


def test_inpainting_changes_what_was_painted_over_alone(page: Page, server: Server, person: dict[str, Any]) -> None:
    """A stroke of the mouse is the mask; every pixel further from it than the blur is the picture's own."""
    open_tab(page, "gallery")
    send(page, person["id"], "Inpaint")
    form = "#f-diffusion-inpaint-"
    expect(page.locator(form + "image canvas").last).to_be_visible()
    expect(page.locator(form + "prompt textarea")).to_have_value(PROMPT)
    bare = has_come(page, form + "image")
    drag(page, form + "image canvas", (0.35, 0.3), (0.65, 0.3))
    seen(page, form + "image canvas", lambda pixels: np.abs(pixels - bare).mean() > 1)
    page.locator(form + "prompt textarea").fill("a person with a green hat")
    page.click("#go-diffusion-inpaint")
    made = page.locator("#viewer-diffusion-inpaint .ll-tile[data-artifact]")
    expect(made).to_have_count(1, timeout=240_000)
    params = server.api("GET", "/jobs?limit=1")["jobs"][0]["params"]
    before = pixels(server, f"/ui/uploads/{params['image']}?whole=1")
    mask = pixels(server, f"/ui/uploads/{params['mask']}?whole=1")[..., 0] > 127
    after = pixels(server, f"/api/v1/artifacts/{made.get_attribute('data-artifact')}")
    assert 0.003 < mask.mean() < 0.5
    reach = 2 * params["mask_blur"] + 3
    near = np.asarray(Image.fromarray((mask * 255).astype(np.uint8)).filter(ImageFilter.MaxFilter(reach))) > 0
    assert near.mean() < 0.7
    assert (after[~near] == before[~near]).all()
    assert np.abs(after[mask] - before[mask]).mean() > 1


def test_a_restyled_picture_lies_over_what_it_was(page: Page, server: Server, person: dict[str, Any]) -> None:
    """A line parts before and after; it moves, and the button takes it away."""
    open_tab(page, "gallery")
    send(page, person["id"], "AdaIN · Picture")
    has_come(page, "#f-style-adain-image")
    page.click("#go-style-adain")
    made = page.locator("#viewer-style-adain .ll-tile[data-artifact]")
    expect(made).to_have_count(1, timeout=240_000)
    button = made.get_by_role("button", name="Before and after")
    button.focus()  # the row of buttons shows where something of the tile is looked at
    button.click()
    pair = made.locator(".ll-pair")
    expect(pair.locator(".ll-corner")).to_have_text(["Before", "After"])
    under, over = (pair.locator(f".ll-{layer} img") for layer in ("under", "over"))
    for picture in (under, over):
        expect(picture).to_have_js_property("naturalWidth", 128)
    assert f"/{made.get_attribute('data-artifact')}" in str(over.get_attribute("src"))
    assert str(over.get_attribute("src")) != str(under.get_attribute("src"))
    slider = pair.get_by_role("slider", name="Where the first picture ends")
    expect(slider).to_be_focused()
    page.keyboard.press("Home")
    expect(pair.locator(".ll-line")).to_have_css("left", "0px")
    slider.fill("75")
    expect(pair.locator(".ll-over")).to_have_css("clip-path", "inset(0px 0px 0px 75%)")
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(pair).to_have_count(0)
    open_tab(page, "gallery")
    page.locator(f'.ll-thumb[data-artifact="{person["id"]}"] .ll-thumb-open').click()
    expect(page.locator(".ll-side").get_by_role("button", name="Send to ...")).to_be_visible()
    expect(page.locator(".ll-side").get_by_role("button", name="Before and after")).to_have_count(0)


def test_a_reference_is_chosen_by_its_picture(page: Page, server: Server, person: dict[str, Any]) -> None:
    """Small pictures are fetched when their form is looked at; pointer and arrow keys choose among them."""
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url) if "/ui/choices/" in request.url else None)
    open_tab(page, "gallery")
    assert fetched == []
    send(page, person["id"], "AdaIN · Picture")
    has_come(page, "#f-style-adain-image")
    picker = page.get_by_role("radiogroup", name="Ready reference").locator("visible=true")
    expect(picker.get_by_role("radio")).to_have_count(16)
    expect(picker.get_by_role("radio", name="Brush strokes")).to_be_checked()
    for one in picker.locator("img").all():
        one.scroll_into_view_if_needed()
        expect(one).not_to_have_js_property("naturalWidth", 0)
    for width in (1280, 390, 320):
        page.set_viewport_size({"width": width, "height": 900})
        label = picker.get_by_text("Watercolour")
        range_of = "const all = document.createRange(); all.selectNodeContents(one)"
        assert label.evaluate(f"one => {{ {range_of}; return all.getClientRects().length }}") == 1, width
        assert label.evaluate("one => one.scrollWidth <= one.parentElement.clientWidth"), width
    page.set_viewport_size({"width": 1280, "height": 900})
    picker.get_by_text("Mosaic").click()
    expect(picker.get_by_role("radio", name="Mosaic")).to_be_checked()
    page.keyboard.press("ArrowRight")
    expect(picker.get_by_role("radio", name="Waves")).to_be_checked()
    page.click("#go-style-adain")
    expect(page.locator("#viewer-style-adain .ll-tile[data-artifact]")).to_have_count(1, timeout=240_000)
    assert server.api("GET", "/jobs?limit=1")["jobs"][0]["params"]["ready"] == "waves"
    kept = httpx.get(fetched[0], timeout=60)
    assert (kept.headers["content-type"], "immutable" in kept.headers["cache-control"]) == ("image/webp", True)
    assert httpx.get(f"{server.url}/ui/choices/style.adain/ready?of=../params", timeout=60).status_code == 404


def choose(page: Page, field: str, label: str) -> None:
    """In a drop-down list."""
    page.locator(f"{field} input").first.click()
    page.get_by_role("option", name=label).first.click()


def test_a_generator_follows_its_slider(page: Page, server: Server) -> None:
    """Live: each time the slider is let go there is a new picture, of the same seed, moved along the direction."""
    tiny = '{"network": {"resolution": 16, "z_dim": 8, "w_dim": 8, "channel_base": 128, "channel_max": 8}}'
    training = {"name": "tiny", "samples": 32, "steps": 2, "batch": 4, "sheets": 1, "network": "", "recipe": tiny}
    server.finished("gan.train", training)
    known = server.api("GET", "/models", params={"kind": "gan", "refresh": True})["models"]
    (model,) = (one["ref"] for one in known if "tiny" in one["ref"])
    server.finished("gan.directions", {"model": model, "method": "sefa", "count": 1, "name": "first"})
    open_tab(page, "gan")
    open_tab_of_form(page, "gan-edit")
    choose(page, "#f-gan-edit-model", "tiny")
    choose(page, "#f-gan-edit-direction_1", "first")
    page.locator("#live-gan-edit input").check()
    slider = page.locator("#f-gan-edit-strength_1 input[type=range]")
    made = page.locator("#viewer-gan-edit .ll-tile[data-artifact]")
    seen: list[str] = []
    for key in ("End", "Home"):
        slider.focus()
        page.keyboard.press(key)
        slider.dispatch_event("pointerup")
        expect(made).to_have_count(1)
        if seen:
            expect(made).not_to_have_attribute("data-artifact", seen[-1])
        seen.append(str(made.get_attribute("data-artifact")))
    recipes = [server.api("GET", f"/artifacts/{one}/metadata")["params"] for one in seen]
    assert recipes[0]["strength_1"] > 0 > recipes[1]["strength_1"]
    assert recipes[0]["seed"] == recipes[1]["seed"]
    one, other = (pixels(server, f"/api/v1/artifacts/{artifact}") for artifact in seen)
    assert np.abs(one - other).max() > 0
