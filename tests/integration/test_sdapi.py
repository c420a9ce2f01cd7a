"""A public client of A1111's interface against a real server with the starter model."""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import webuiapi
from PIL import Image, ImageChops, ImageStat

from tests.integration.server import ROOT, Server, running
from webui.library import metadata

QUICK: dict[str, Any] = {"width": 64, "height": 64, "steps": 2, "sampler_name": "Euler a", "scheduler": "automatic"}
PROMPT = "a smiling person with red hair, blue background"
ENVIRONMENT = {"LIFELIKE_API_SDAPI": "1", "LIFELIKE_EXTENSIONS_DIRS": str(ROOT / "extensions"), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("sdapi"), environment=ENVIRONMENT) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> webuiapi.WebUIApi:
    return webuiapi.WebUIApi(baseurl=str(server.client.base_url.join("/sdapi/v1")))


def test_txt2img(client: webuiapi.WebUIApi) -> None:
    result = client.txt2img(prompt=PROMPT, negative_prompt="hat", seed=5, cfg_scale=3, batch_size=2, n_iter=1, **QUICK)
    assert [image.size for image in result.images] == [(64, 64)] * 2
    info = result.info
    assert (info["prompt"], info["negative_prompt"], info["all_seeds"]) == (PROMPT, "hat", [5, 6])
    assert (info["width"], info["height"], info["steps"], info["cfg_scale"]) == (64, 64, 2, 3)
    assert info["sampler_name"] == "Euler a"
    assert info["all_prompts"] == [PROMPT] * 2
    assert "Seed: 6" in info["infotexts"][1]
    assert result.images[1].info["parameters"] == info["infotexts"][1]
    assert "lifelike" in result.images[0].info
    assert info["warnings"] == []
    assert (result.parameters["steps"], result.parameters["enable_hr"]) == (2, False)
    again = client.txt2img(prompt=PROMPT, negative_prompt="hat", seed=6, cfg_scale=3, **QUICK)
    assert again.image.tobytes() == result.images[1].tobytes()


def test_img2img(client: webuiapi.WebUIApi) -> None:
    begun = client.txt2img(prompt=PROMPT, seed=11, **{**QUICK, "steps": 8}).image
    same = {"images": [begun], "prompt": "a sad person in a green hat", "seed": 3, **QUICK, "steps": 8}
    near, far = (client.img2img(denoising_strength=strength, **same) for strength in (0.1, 1.0))
    assert near.image.size == far.image.size == (64, 64)
    assert distance(near.image, begun) < distance(far.image, begun) / 2
    assert near.info["denoising_strength"] == 0.1
    assert near.parameters["init_images"] is None
    assert "Denoising strength: 0.1" in near.info["infotexts"][0]


def test_inpaint_changes_what_the_mask_covers_alone(client: webuiapi.WebUIApi) -> None:
    begun = client.txt2img(prompt=PROMPT, seed=11, **{**QUICK, "steps": 8}).image.convert("RGB")
    mask = Image.new("L", begun.size, 0)
    mask.paste(255, (0, 0, 32, 64))
    same = {"images": [begun], "mask_image": mask, "prompt": "a green hat", "seed": 3, "mask_blur": 0, **QUICK}
    made = client.img2img(denoising_strength=1.0, inpainting_fill=1, inpaint_full_res=False, **same)
    right, left = (32, 0, 64, 64), (0, 0, 32, 64)
    assert made.image.convert("RGB").crop(right).tobytes() == begun.crop(right).tobytes()
    assert distance(made.image.crop(left), begun.crop(left)) > 5
    other = client.img2img(denoising_strength=1.0, inpainting_mask_invert=1, inpaint_full_res=False, **same)
    assert other.image.convert("RGB").crop(left).tobytes() == begun.crop(left).tobytes()
    assert made.parameters["mask"] is None


def test_a_second_pass_and_a_network_enlarge(client: webuiapi.WebUIApi) -> None:
    large = client.txt2img(prompt=PROMPT, seed=1, enable_hr=True, hr_scale=1.5, denoising_strength=0.6, **QUICK)
    assert large.image.size == (96, 96)
    assert large.info["width"] == 96
    names = [row["name"] for row in client.get_upscalers()]
    assert "starter-x2" in names
    assert client.get_latent_upscale_modes()[0] == {"name": "Latent"}
    picture = Image.new("RGB", (24, 16), "teal")
    assert client.extra_single_image(picture, upscaler_1="starter-x2", upscaling_resize=2).image.size == (48, 32)
    with pytest.raises(RuntimeError, match="LDSR"):
        client.txt2img(prompt="x", enable_hr=True, hr_upscaler="LDSR", **QUICK)


def distance(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of channel values in 0..255."""
    channels = ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean
    return sum(channels) / len(channels)


def test_png_info_reads_what_txt2img_wrote(client: webuiapi.WebUIApi) -> None:
    made = client.txt2img(prompt=PROMPT, seed=9, **QUICK)
    said = client.png_info(made.image)
    assert said.info == made.info["infotexts"][0]
    text = made.json["images"][0]
    answer = client.session.post(f"{client.baseurl}/png-info", json={"image": text}).json()
    assert answer["info"] == made.info["infotexts"][0]
    assert answer["parameters"]["Prompt"] == PROMPT
    assert answer["parameters"]["Seed"] == "9"
    found = metadata.read(base64.b64decode(text))
    assert found.recipe is not None
    assert found.recipe.seed == 9


def test_options_and_models(client: webuiapi.WebUIApi) -> None:
    models = client.get_sd_models()
    assert models
    assert set(models[0]) == {"title", "model_name", "hash", "sha256", "filename", "config"}
    options = client.get_options()
    assert options["sd_model_checkpoint"] in client.util_get_model_names()
    assert client.util_get_current_model() == options["sd_model_checkpoint"]
    client.set_options(options)
    assert client.get_options() == options
    client.util_set_model(models[0]["model_name"])
    assert client.get_options()["sd_model_checkpoint"] == models[0]["title"]
    titled = models[0]["title"].partition(" [")[0] + " [0123456789]"
    chosen = client.txt2img(prompt="x", seed=1, override_settings={"sd_model_checkpoint": titled}, **QUICK)
    assert chosen.info["sd_model_name"]


def test_lists(client: webuiapi.WebUIApi) -> None:
    assert {"Euler a", "DPM++ 2M", "DDIM"} <= set(client.util_get_sampler_names())
    assert {"karras", "sgm_uniform", "automatic"} <= set(client.util_get_scheduler_names())
    assert client.get_upscalers()[0]["name"] == "None"
    assert client.get_embeddings()["skipped"] == {}
    assert client.get_memory()["ram"]["total"] > 0
    assert client.has_controlnet is False


def test_progress_and_interrupt(client: webuiapi.WebUIApi) -> None:
    client.util_wait_for_ready(check_interval=0.05)
    results: list[Any] = []

    def make() -> None:
        results.append(client.txt2img(prompt=PROMPT, seed=1, **{**QUICK, "steps": 150, "n_iter": 20}))

    maker = threading.Thread(target=make)
    maker.start()
    other = webuiapi.WebUIApi(baseurl=client.baseurl)
    met: dict[str, Any] = {}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (met.get("current_image") and met["state"]["sampling_step"] > 2):
        met = other.get_progress()
        time.sleep(0.05)
    assert 0 < met["progress"] < 1
    assert met["state"]["sampling_steps"] == 150
    assert met["state"]["job_count"] == 20
    with Image.open(io.BytesIO(base64.b64decode(met["current_image"]))) as preview:
        assert max(preview.size) <= 512
    other.interrupt()
    maker.join(60)
    assert not maker.is_alive()
    assert len(results[0].images) < 20
    other.util_wait_for_ready(check_interval=0.05)


def test_enlarging(client: webuiapi.WebUIApi) -> None:
    picture = Image.new("RGB", (20, 10), "teal")
    assert client.extra_single_image(picture, upscaler_1="Lanczos", upscaling_resize=3).image.size == (60, 30)


def test_errors_are_read_by_the_client(client: webuiapi.WebUIApi) -> None:
    with pytest.raises(RuntimeError, match="Sampler not found"):
        client.txt2img(prompt="x", **{**QUICK, "sampler_name": "Restart"})
    with pytest.raises(RuntimeError, match="batch_size"):
        client.txt2img(prompt="x", **{**QUICK, "batch_size": 99})
