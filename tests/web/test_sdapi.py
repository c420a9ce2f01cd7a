"""The interface of A1111's clients: what requests mean, options, errors; generation itself is tested with a real client
and a real model in ``tests/integration``.
"""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient

import webui.api as declare
from tests.web.conftest import make_services, png, started
from webui.api import Params, PipelineSpec
from webui.core.errors import LifelikeError, NotFound, ParameterError
from webui.core.jobs import Job, JobPreview, JobProgress, JobStarted, Progress
from webui.library.encode import write_image
from webui.web.access import AccessPolicy
from webui.web.application import create_app
from webui.web.http_api.body import parse_model as parse
from webui.web.sdapi.requests import Img2Img, Txt2Img
from webui.web.sdapi.running import Running
from webui.web.sdapi.sampling import sampling
from webui.web.sdapi.skipping import rest_of
from webui.web.sdapi.translate import translate

SAMPLERS = ["Automatic", "Euler", "Euler a", "DPM++ 2M", "DPM++ 2M SDE", "DDIM"]
SCHEDULES = ["Automatic", "Karras", "SGM Uniform", "DDIM"]
INFOTEXT = "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler, Seed: 5, Size: 64x48"


class Words(Params):
    prompt: str = declare.prompt(label="Prompt")
    negative_prompt: str = declare.prompt(label="Negative prompt")
    model: str = declare.model()
    width: int | None = declare.size(label="Width")
    height: int | None = declare.size(label="Height")
    steps: int | None = declare.integer(None, minimum=1, maximum=200, label="Steps", auto=20)
    guidance_scale: float | None = declare.number(None, minimum=0, maximum=30, label="Guidance", auto=7)
    sampler: str = declare.choice("Automatic", SAMPLERS, label="Sampler")
    schedule: str = declare.choice("Automatic", SCHEDULES, label="Schedule")
    seed: int = declare.seed()
    batch_size: int = declare.integer(1, minimum=1, maximum=16, label="Batch")
    batch_count: int = declare.integer(1, minimum=1, maximum=100, label="Count")


class Pictured(Words):
    image: str = declare.image(..., label="Picture")
    images: tuple[str, ...] = declare.images(label="More")
    strength: float = declare.number(0.75, minimum=0, maximum=1, label="Strength")
    resize_mode: str = declare.choice("crop", ["stretch", "crop", "fill"], label="Resize")


TXT2IMG = PipelineSpec("diffusion.txt2img", "t", Words, "x:Y")
IMG2IMG = PipelineSpec("diffusion.img2img", "i", Pictured, "x:Y")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    services = make_services(tmp_path_factory.mktemp("sdapi"), api_sdapi=True, max_image_pixels=1_000_000)
    with started(create_app(services, AccessPolicy(), page=False)) as client:
        yield client


def test_it_is_off_unless_it_is_asked_for(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    with TestClient(create_app(services, AccessPolicy(), page=False), base_url="http://127.0.0.1") as client:
        answer = client.get("/sdapi/v1/sd-models")
    assert answer.status_code == 404
    assert "--api-sdapi" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("sampler", "scheduler", "expected"),
    [
        ("Euler a", "automatic", ("Euler a", "Automatic")),
        ("euler A", "", ("Euler a", "")),
        ("DPM++ 2M Karras", "", ("DPM++ 2M", "Karras")),
        ("DPM++ 2M Karras", "Automatic", ("DPM++ 2M", "Karras")),
        ("DPM++ 2M Karras", "sgm_uniform", ("DPM++ 2M", "SGM Uniform")),
        ("k_dpmpp_2m", "karras", ("DPM++ 2M", "Karras")),
        ("", "ddim_uniform", ("", "DDIM")),
        ("", "", ("", "")),
    ],
)
def test_samplers_and_schedules(sampler: str, scheduler: str, expected: tuple[str, str]) -> None:
    assert sampling(sampler, scheduler, SAMPLERS, SCHEDULES) == expected


@pytest.mark.parametrize(("sampler", "scheduler"), [("Restart", ""), ("Euler", "align_your_steps")])
def test_what_is_not_offered_is_refused_by_name(sampler: str, scheduler: str) -> None:
    with pytest.raises(NotFound, match="not found"):
        sampling(sampler, scheduler, SAMPLERS, SCHEDULES)


def test_a_request_with_the_defaults_that_clients_rely_on() -> None:
    asked = translate(parse(Txt2Img, {"prompt": "cat", "url": "x", "auth": None, "steps": None}), TXT2IMG, {})
    assert asked.params == {
        "prompt": "cat",
        "width": 512,
        "height": 512,
        "steps": 50,
        "guidance_scale": 7.0,
        "seed": -1,
        "batch_size": 1,
        "batch_count": 1,
    }
    assert asked.warnings == []


def test_what_has_no_counterpart_is_told() -> None:
    scripts = {"ControlNet": {"args": [{"enabled": True}]}, "ADetailer": {"args": [False]}, "empty": {"args": []}}
    body = parse(Txt2Img, {"restore_faces": True, "subseed_strength": 0.5, "alwayson_scripts": scripts})
    warnings = translate(body, TXT2IMG, {}).warnings
    assert [line.partition(" ")[0] for line in warnings] == [
        "restore_faces",
        "alwayson_scripts.ControlNet",
        "subseed_strength",
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"enable_hr": True}, "enable_hr"),
        ({"script_name": "x/y/z plot"}, "script_name"),
        ({"width": "wide"}, "width"),
        ({"batch_size": 0}, "batch_size"),
        ({"cfg_scale": "NaN"}, "cfg_scale"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_name(body: dict[str, Any], field: str) -> None:
    with pytest.raises(ParameterError, match=field):
        translate(parse(Txt2Img, body), TXT2IMG, {})


def test_a_picture_to_begin_with() -> None:
    body = parse(Img2Img, {"init_images": ["a", "b"], "denoising_strength": 0.4, "resize_mode": 2, "width": 71})
    params = translate(body, IMG2IMG, {"sd_model_checkpoint": "m"}).params
    expected = {"image": "a", "images": ["b"], "strength": 0.4, "resize_mode": "fill", "width": 64, "model": "m"}
    assert expected.items() <= params.items()
    with pytest.raises(ParameterError, match="init_images"):
        translate(parse(Img2Img, {}), IMG2IMG, {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted({*Txt2Img.model_fields, *Img2Img.model_fields})), JSON, max_size=5))
def test_any_request_is_translated_or_refused(raw: dict[str, Any]) -> None:
    refused = 0
    for body, spec in ((Txt2Img, TXT2IMG), (Img2Img, IMG2IMG)):
        try:
            translate(parse(body, raw), spec, {})
        except LifelikeError:
            refused += 1
    assert 0 <= refused <= 2


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "nothing", None, 404),
        ("GET", "txt2img", None, 405),
        ("POST", "txt2img", b"{nonsense", 400),
        ("POST", "txt2img", b"[1]", 400),
        ("POST", "txt2img", b'{"width": "wide"}', 422),
        ("POST", "txt2img", b'{"prompt": "cat"}', 404),  # no extension here has that pipeline
        ("POST", "png-info", b"{}", 422),
        ("POST", "png-info", b'{"image": "AAAAAAAAAAAAAAAAAAAAAAAA"}', 422),
        ("POST", "extra-single-image", b'{"image": "x", "upscaler_1": "LDSR"}', 422),
        ("POST", "options", b'{"sd_model_checkpoint": "nowhere"}', 404),
        ("POST", "options", b'{"CLIP_stop_at_last_layers": 99}', 422),
    ],
)
def test_every_error_has_their_shape(client: TestClient, method: str, path: str, body: bytes, status: int) -> None:
    answer = client.request(method, f"/sdapi/v1/{path}", content=body)
    assert answer.status_code == status, answer.text
    assert answer.json().keys() == {"error", "detail", "body", "errors"}
    assert isinstance(answer.json()["detail"], str)


def test_options_are_read_and_sent_back_whole(client: TestClient) -> None:
    options = client.get("/sdapi/v1/options").json()
    options["CLIP_stop_at_last_layers"] = 2
    options["something_of_theirs"] = {"a": 1}
    assert client.post("/sdapi/v1/options", json=options).json() is None
    again = client.get("/sdapi/v1/options").json()
    assert again["CLIP_stop_at_last_layers"] == 2
    assert "something_of_theirs" not in again


def test_nothing_runs(client: TestClient) -> None:
    said = client.get("/sdapi/v1/progress").json()
    assert (said["progress"], said["state"]["job_count"], said["current_image"]) == (0.0, 0, None)
    assert client.post("/sdapi/v1/interrupt").json() == {}
    assert client.post("/sdapi/v1/skip").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["sd-models", "sd-vae", "loras", "samplers", "schedulers", "upscalers", "latent-upscale-modes", "prompt-styles",
     "hypernetworks", "face-restorers", "realesrgan-models", "script-info"],
)  # fmt: skip
def test_lists(client: TestClient, path: str) -> None:
    assert isinstance(client.get(f"/sdapi/v1/{path}").json(), list)


def test_styles_are_chosen_by_name_where_the_pipeline_has_them() -> None:
    class Styled(Words):
        styles: tuple[str, ...] = declare.dynamic_choices("diffusion.styles", label="Styles")

    body = parse(Txt2Img, {"prompt": "a cat", "styles": ["Soft", "Oil"]})
    asked = translate(body, PipelineSpec("diffusion.txt2img", "t", Styled, "x:Y"), {})
    assert asked.params["styles"] == ["Soft", "Oil"]
    assert not any("styles" in words for words in asked.warnings)
    assert any("styles" in words for words in translate(body, TXT2IMG, {}).warnings)


class Controlled(Words):
    control_1_model: str = declare.dynamic_choice("", "controlnet", label="ControlNet 1")
    control_1_image: str | None = declare.image(label="Picture 1")
    control_1_preprocessor: str = declare.choice("none", ["none", "canny", "tile"], label="Preprocessor 1")
    control_1_weight: float = declare.number(1.0, minimum=0, maximum=2, label="Weight 1")
    control_1_start: float = declare.number(0.0, minimum=0, maximum=1, label="From 1")
    control_1_end: float = declare.number(1.0, minimum=0, maximum=1, label="To 1")


CONTROLLED = PipelineSpec("diffusion.txt2img", "t", Controlled, "x:Y")


def units(*rows: dict[str, Any]) -> Txt2Img:
    return parse(Txt2Img, {"prompt": "cat", "alwayson_scripts": {"ControlNet": {"args": list(rows)}}})


def test_units_of_controlnet_are_ours() -> None:
    unit = {"model": "lines [a1b2c3d4]", "module": "canny", "weight": 0.6, "guidance_end": 0.8, "image": "AAAA"}
    off = {"enabled": False, "model": "lines"}
    asked = translate(units(off, {"model": "None"}, unit), CONTROLLED, {}, {}, {"lines": "controlnet/lines"})
    assert {name: value for name, value in asked.params.items() if name.startswith("control_")} == {
        "control_1_model": "controlnet/lines",
        "control_1_preprocessor": "canny",
        "control_1_image": "AAAA",
        "control_1_weight": 0.6,
        "control_1_end": 0.8,
    }
    assert asked.warnings == []


def test_what_a_unit_asks_and_is_not_here_is_named() -> None:
    known = {"lines": "controlnet/lines"}
    unit = {
        "model": "lines",
        "input_image": {"image": "AAAA", "mask": None},
        "control_mode": "My prompt is more important",
    }
    asked = translate(units(unit, unit), CONTROLLED, {}, {}, known)
    assert asked.params["control_1_image"] == "AAAA"
    assert ["control_mode" in asked.warnings[0], "beyond 1" in asked.warnings[1]] == [True, True]
    asked = translate(units({"model": "lines", "module": "openpose_full"}), CONTROLLED, {}, {}, known)
    assert "control_1_model" not in asked.params
    assert "'openpose_full' is not here" in asked.warnings[0]
    with pytest.raises(NotFound, match="There are: lines"):
        translate(units({"model": "depth"}), CONTROLLED, {}, {}, known)


def test_after_a_skip_the_seeds_go_on() -> None:
    params = {"seed": 10, "batch_size": 2, "batch_count": 4, "steps": 5}
    assert rest_of(params, 3) == ({**params, "seed": 14, "batch_count": 2}, 4)
    varied = {**params, "variation_strength": 0.5, "variation_seed": 7}
    assert rest_of(varied, 0) == ({**varied, "variation_seed": 9, "batch_count": 3}, 2)
    assert rest_of(params, 7) is None, "nothing comes after it"
    assert rest_of({**params, "images": ["upload:x"]}, 0) is None


def test_skip_gives_up_the_picture_at_work_alone() -> None:
    running = Running()
    assert running.skip() is None
    with running.following(Job(pipeline="a.b", params={}), 3) as run:
        assert running.skip() is None, "it waits still"
        run.take(JobStarted(job_id=run.job.id))
        run.take(JobProgress(job_id=run.job.id, progress=Progress(image=1, images=3, step=2, steps=4)))
        assert running.skip() == run.job.id
        assert run.skipped_at == 1
        assert running.skip() is None, "once"
        state = running.view(with_image=False)["state"]
        assert (state["skipped"], state["interrupted"]) == (True, False)


def test_further_routes(client: TestClient) -> None:
    assert client.get("/sdapi/v1/upscalers").json()[0]["name"] == "None"
    assert client.get("/sdapi/v1/scripts").json() == {"txt2img": [], "img2img": []}
    assert client.get("/sdapi/v1/embeddings").json() == {"loaded": {}, "skipped": {}}
    memory = client.get("/sdapi/v1/memory").json()
    assert 0 < memory["ram"]["used"] <= memory["ram"]["total"]
    assert client.post("/sdapi/v1/refresh-checkpoints").status_code == 200
    assert client.get("/sdapi/v1/samplers", headers={"Authorization": ""}).status_code == 200


@pytest.mark.parametrize("coded", ["png", "jpeg", "data_url"])
def test_png_info(client: TestClient, coded: str) -> None:
    target = io.BytesIO()
    write_image(target, Image.new("RGB", (64, 48)), "jpeg" if coded == "jpeg" else "png", infotext=INFOTEXT)
    text = base64.b64encode(target.getvalue()).decode()
    assert text.startswith("/9j/") == (coded == "jpeg")
    said = client.post(
        "/sdapi/v1/png-info", json={"image": f"data:image/png;base64,{text}" if coded == "data_url" else text}
    ).json()
    assert said["info"] == INFOTEXT
    assert said["items"] == {}
    assert {"Prompt": "a cat", "Negative prompt": "dog", "Seed": "5", "Size-1": "64"}.items() <= said[
        "parameters"
    ].items()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (32, 24)),
        ({"upscaler_1": "Lanczos"}, (64, 48)),
        ({"upscaler_1": "Nearest", "upscaling_resize": 1.5}, (48, 36)),
        ({"upscaler_1": "Lanczos", "resize_mode": 1, "upscaling_resize_w": 50, "upscaling_resize_h": 90}, (50, 90)),
    ],
)
def test_enlarging(client: TestClient, body: dict[str, Any], expected: tuple[int, int]) -> None:
    answer = client.post("/sdapi/v1/extra-single-image", json={"image": base64.b64encode(png()).decode(), **body})
    with Image.open(io.BytesIO(base64.b64decode(answer.json()["image"]))) as picture:
        assert picture.size == expected


def test_enlarging_is_bounded(client: TestClient) -> None:
    large = base64.b64encode(png(900, 900)).decode()
    answer = client.post("/sdapi/v1/extra-single-image", json={"image": large, "upscaler_1": "Nearest"})
    assert answer.status_code == 422
    assert "1800 x 1800" in json.dumps(answer.json())


def test_a_password_is_the_token(tmp_path: Path) -> None:
    app = create_app(make_services(tmp_path, api_sdapi=True), AccessPolicy("correct horse battery"), page=False)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get("/sdapi/v1/progress", headers={"Authorization": ""}).status_code == 401
        assert client.get("/sdapi/v1/progress", auth=("anyone", "wrong")).status_code == 401
        assert client.get("/sdapi/v1/progress", headers={"Authorization": "Basic !"}).json()["status"] == 401
        assert client.get("/sdapi/v1/progress", auth=("anyone", "correct horse battery")).status_code == 200


def test_running_knows_the_one_at_work() -> None:
    running = Running()
    first, second = Job(pipeline="a.b"), Job(pipeline="a.b")
    with running.following(first, 2) as one, running.following(second, 1) as two:
        assert running.view(with_image=True)["progress"] == 0.01
        two.take(JobStarted(job_id=second.id))
        two.take(JobProgress(job_id=second.id, progress=Progress(step=3, steps=4, fraction=0.75, eta_s=2)))
        two.take(JobPreview(job_id=second.id, data="/9j/"))
        said = running.view(with_image=True)
        assert (said["progress"], said["eta_relative"], said["current_image"]) == (0.75, 2, "/9j/")
        assert (said["state"]["sampling_step"], said["state"]["job_count"]) == (3, 3)
        assert running.view(with_image=False)["current_image"] is None
        assert running.interrupt() == second.id
        assert one.job is first
        assert running.interrupt() == first.id
    assert running.interrupt() is None
