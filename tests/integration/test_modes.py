"""Every mode of making a picture over HTTP, with the starter and real pixels. What a mode promises is what its test
looks at; what tiny models of other families promise is tested beside the extension.

| mode | test |
| --- | --- |
| image to image, strength, sketch | ``test_strength`` |
| inpaint: uploaded, by colour, transparency, inverted, grown, blur | ``test_a_mask_holds_every_pixel_outside`` |
| inpaint: painted with the mouse | ``tests/browser/test_craft.py`` |
| inpaint: only masked with padding, all masked contents | ``test_only_masked``, ``test_masked_contents`` |
| outpaint | ``test_outpainting_each_side`` |
| edit by instruction | ``test_an_instruction_changes_what_it_names`` |
| variation seeds; variations of a picture | ``test_variations_go_from_seed_to_seed``, ``test_a_pictures_variations`` |
| batch over a folder | ``test_a_folder_is_each_picture_alone`` |
| hires fix, refiner, upscale in tiles, seamless | ``test_hires_fix`` and those after it |
| LoRA, embedding, ControlNet, T2I-Adapter, IP-Adapter | ``test_what_is_attached`` |
| VAE, clip skip, guidance rescale, methods of guidance, PAG, SLG, SEG | ``test_a_choice_changes_the_picture`` |
| seeds and batches | ``test_a_picture_is_the_same_alone_and_in_a_batch`` |
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from extensions.diffusion.tests import tiny_models
from extensions.diffusion.tests.test_embeddings import vectors
from extensions.diffusion.tests.test_feature_adapters import network as t2i
from extensions.diffusion.tests.test_image_prompts import adapter, encoder
from extensions.starter.data import HELD_OUT, to_tensor
from extensions.starter.measures import edge_strength
from extensions.starter.scope import FLAT
from extensions.starter.world import draw, line_drawing
from tests.integration.server import ROOT, Server, running

STARTER = ROOT / "models" / "starter"
PROMPT = "a smiling person with long red hair and glasses, blue background"
OTHER = "a sad person with short black hair, yellow background"
SIDE = 128
BOX = (32, 56, 96, 120)
Make = Callable[..., list[np.ndarray]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One random attachment of each kind for the starter, and a brighter VAE."""
    from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel

    folder = tmp_path_factory.mktemp("models")
    avatar = STARTER / "avatar"
    for name in ("embeddings", "controlnet", "ipadapter"):
        (folder / name).mkdir()
    save_file({"emb_params": vectors(avatar)}, str(folder / "embeddings" / "felis.safetensors"))
    encoder(folder / "ipadapter" / "image_encoder")
    save_file(adapter(avatar, 1), str(folder / "ipadapter" / "seen.safetensors"))
    unet = UNet2DConditionModel.from_pretrained(str(avatar / "unet"), torch_dtype=torch.float32)
    torch.manual_seed(3)
    network = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 16, 16, 32))
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    network.save_pretrained(str(folder / "controlnet" / "random"))
    # The starter's blocks are in SDXL's order, which T2I-Adapters of SD 1 do not fit: a tiny SD 1 stands in for it.
    tiny_models.sd1(folder / "diffusers" / "tiny")
    t2i(factor=4).save_pretrained(str(folder / "t2i_adapter" / "features"))
    vae = AutoencoderKL.from_pretrained(str(avatar / "vae"), torch_dtype=torch.float32)
    with torch.no_grad():
        vae.decoder.conv_out.bias += 0.3
    vae.save_pretrained(str(folder / "vae" / "brighter"))
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Server]:
    environment = {
        "LIFELIKE_EXTENSIONS_DIRS": str(ROOT / "extensions"),
        "LIFELIKE_MODELS_DIRS": os.pathsep.join([str(ROOT / "models"), str(models)]),
        "OMP_NUM_THREADS": "1",
    }
    with running(tmp_path_factory.mktemp("modes"), environment=environment) as server:
        yield server


def job(server: Server, pipeline: str, /, **params: Any) -> dict[str, Any]:
    answer = server.client.post("/api/v1/jobs", json={"pipeline": pipeline, "params": params})
    assert answer.status_code == 202, answer.text
    done = server.wait_for(answer.json()["id"])
    assert done["state"] == "done", done["error"]
    return done


def fetched(server: Server, artifact: str) -> Image.Image:
    return Image.open(io.BytesIO(server.client.get(f"/api/v1/artifacts/{artifact}").content))


@pytest.fixture(scope="module")
def make(server: Server) -> Make:
    """The pictures of a job, int [H,W,3] each: ``make("img2img", image=..., strength=0)``."""

    def run(pipeline: str = "txt2img", **params: Any) -> list[np.ndarray]:
        own = {} if pipeline == "upscale" else {"prompt": PROMPT, "model": "starter/avatar", "seed": 1, "steps": 4}
        made = job(server, f"diffusion.{pipeline}", **{**own, **params})["artifacts"]
        return [np.asarray(fetched(server, row["id"]).convert("RGB")).astype(int) for row in made]

    return run


@pytest.fixture(scope="module")
def send(server: Server) -> Callable[[Image.Image], str]:
    def run(picture: Image.Image) -> str:
        data = io.BytesIO()
        picture.save(data, "PNG")
        answer = server.client.post("/api/v1/uploads", files={"file": ("picture.png", data.getvalue(), "image/png")})
        assert answer.status_code == 201, answer.text
        return f"upload:{ref}" if not (ref := answer.json()["ref"]).startswith("upload:") else ref

    return run


@pytest.fixture(scope="module")
def person(server: Server) -> tuple[str, np.ndarray]:
    """A picture of the starter: its reference and its pixels."""
    made = job(server, "diffusion.txt2img", prompt=PROMPT, model="starter/avatar", seed=1, steps=12)
    (row,) = made["artifacts"]
    return f"artifact:{row['id']}", np.asarray(fetched(server, row["id"]).convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def plain(make: Make) -> np.ndarray:
    return make()[0]


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).mean())


def inside(box: tuple[int, int, int, int] = BOX, size: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    field = np.zeros((size[1], size[0]), bool)
    field[max(0, box[1]) : box[3], max(0, box[0]) : box[2]] = True
    return field


def mask(box: tuple[int, int, int, int] = BOX) -> Image.Image:
    return Image.fromarray((inside(box) * 255).astype(np.uint8))


def test_a_picture_is_the_same_alone_and_in_a_batch(make: Make, plain: np.ndarray) -> None:
    whole = make(batch_size=2, batch_count=2)
    alone = [make(seed=1 + place)[0] for place in range(4)]
    assert all((one == other).all() for one, other in zip(whole, alone, strict=True))
    assert (alone[0] == plain).all()
    assert min(distance(one, other) for one, other in pairwise(alone)) > 5


def test_strength(make: Make, person: tuple[str, np.ndarray], send: Any) -> None:
    ref, source = person
    made = [make("img2img", image=ref, prompt=OTHER, strength=share, steps=10)[0] for share in (0.0, 0.3, 0.6, 1.0)]
    distances = [distance(one, source) for one in made]
    assert (made[0] == source).all()
    assert all(less < more for less, more in pairwise(distances)), distances
    sketch = Image.new("RGB", (SIDE, SIDE), (70, 110, 230))
    sketch.paste((225, 175, 140), (40, 36, 88, 100))
    drawn = np.asarray(sketch).astype(int)
    near = make("img2img", image=send(sketch), strength=0.5, steps=10)[0]
    far = make("img2img", image=send(sketch), strength=1.0, steps=10)[0]
    assert 2 < distance(near, drawn) < distance(far, drawn)


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        ("file", {}),
        ("file", {"mask_blur": 6}),
        ("file", {"mask_grow": 8}),
        ("file", {"mask_invert": True}),
        ("colour", {"mask_by": "colour", "mask_colour": "#00ff00"}),
        ("holes", {"mask_by": "transparency"}),
    ],
)
def test_a_mask_holds_every_pixel_outside(
    make: Make, person: tuple[str, np.ndarray], send: Any, given: str, changes: dict[str, Any]
) -> None:
    picture = Image.fromarray(person[1].astype(np.uint8))
    if given == "colour":
        picture.paste((0, 255, 0), BOX)
    source = np.asarray(picture).astype(int)
    if given == "holes":
        picture = picture.convert("RGBA")
        picture.paste((255, 255, 255, 0), BOX)
        source[inside()] = 255
    asked = {"image": send(picture), "prompt": OTHER, "mask_blur": 0, "strength": 1.0, **changes}
    if given == "file":
        asked["mask"] = send(mask())
    made = make("inpaint", **asked)[0]
    reach = changes.get("mask_blur", 0) + changes.get("mask_grow", 0)
    field = inside((BOX[0] - reach, BOX[1] - reach, BOX[2] + reach, BOX[3] + reach))
    if "mask_invert" in changes:
        field = ~field
    different = (made != source).any(axis=2)
    assert not different[~field].any()
    assert different[field].mean() > 0.5
    if reach:
        assert different[field & ~inside()].any(), "it fades, or grows, beyond the mask"


def test_only_masked(make: Make, person: tuple[str, np.ndarray], send: Any) -> None:
    """The region alone is drawn, at the model's own size; more padding shows the model more of the picture."""
    ref, source = person
    asked = {"image": ref, "mask": send(mask((48, 24, 80, 48))), "mask_blur": 0, "prompt": OTHER, "strength": 0.8}
    made = [
        make("inpaint", **asked, **more)[0]
        for more in ({}, {"only_masked": True, "padding": 4}, {"only_masked": True, "padding": 48})
    ]
    for one in made:
        assert one.shape == source.shape
        assert not (one != source).any(axis=2)[~inside((48, 24, 80, 48))].any()
    assert min(distance(one, other) for one, other in pairwise([*made, made[0]])) > 0.1


def test_masked_contents(make: Make, person: tuple[str, np.ndarray], send: Any) -> None:
    ref, source = person
    asked = {"image": ref, "mask": send(mask()), "mask_blur": 0, "strength": 0.4, "steps": 8}
    made = {name: make("inpaint", **asked, masked_content=name)[0] for name in ("original", "fill", "noise", "nothing")}
    for one in made.values():
        assert (one[~inside()] == source[~inside()]).all()
    distances = {name: distance(one[inside()], source[inside()]) for name, one in made.items()}
    assert min(distances, key=lambda name: distances[name]) == "original"
    assert len({one.tobytes() for one in made.values()}) == 4


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_outpainting_each_side(make: Make, person: tuple[str, np.ndarray], side: str) -> None:
    ref, source = person
    made = make("inpaint", image=ref, mask_blur=0, strength=1.0, masked_content="fill", **{f"outpaint_{side}": 32})[0]
    wide = side in ("left", "right")
    assert made.shape == ((SIDE, SIDE + 32, 3) if wide else (SIDE + 32, SIDE, 3))
    axis, at_start = int(wide), side in ("left", "top")
    new, old = np.split(made, [32], axis) if at_start else np.split(made, [SIDE], axis)[::-1]
    assert (old == source).all()
    assert new.std() > 3, "the new side is drawn, not filled with one colour"


def test_an_instruction_changes_what_it_names(make: Make, person: tuple[str, np.ndarray]) -> None:
    ref, source = person
    asked = {"image": ref, "model": "starter/edit", "steps": 12}
    green = make("edit", **asked, prompt="make the background green")[0]
    corner = (slice(2, 14), slice(2, 14))
    assert source[corner][..., 2].mean() > source[corner][..., 1].mean(), "it was blue"
    assert green[corner][..., 1].mean() > green[corner][..., 2].mean(), "it is green"
    batch = make("edit", **asked, prompt="add sunglasses", batch_size=2)
    assert (batch[1] == make("edit", **asked, prompt="add sunglasses", seed=2)[0]).all()


def test_variations_go_from_seed_to_seed(make: Make, plain: np.ndarray) -> None:
    there = make(seed=9)[0]
    shares = (0.0, 0.2, 0.6, 1.0)
    made = [make(variation_seed=9, variation_strength=share)[0] for share in shares]
    assert (made[0] == plain).all()
    assert (made[-1] == there).all()
    distances = [distance(one, plain) for one in made]
    assert distances[1] < distances[3]
    two = make(variation_seed=9, variation_strength=0.3, batch_size=2)
    assert (two[1] == make(variation_seed=10, variation_strength=0.3)[0]).all()


def test_a_pictures_variations(make: Make, person: tuple[str, np.ndarray]) -> None:
    ref, source = person
    near, far = (make("variation", image=ref, batch_count=2, steps=10, strength=share) for share in (0.3, 0.9))
    assert (near[0] != near[1]).any()
    assert distance(near[0], source) < distance(far[0], source)
    assert (near[1] == make("variation", image=ref, batch_count=1, steps=10, strength=0.3, seed=2)[0]).all()


def test_a_folder_is_each_picture_alone(make: Make, server: Server, send: Any, tmp_path: Path) -> None:
    """Each of the folder is what image to image makes of it; what is no picture is told."""
    pictures = {}
    for name, colour in (("a.png", (200, 60, 60)), ("b.jpg", (60, 60, 200))):
        pictures[name] = Image.linear_gradient("L").resize((SIDE, SIDE)).convert("RGB")
        pictures[name].paste(colour, (32, 32, 96, 96))
        pictures[name].save(tmp_path / name, quality=95)
    (tmp_path / "notes.txt").write_text("no picture")
    asked = {"prompt": PROMPT, "model": "starter/avatar", "steps": 4, "strength": 0.5, "seed": 7}
    done = job(server, "batch.folder", folder=str(tmp_path), pipeline="diffusion.img2img", params=asked)
    made = {row["title"]: row["id"] for row in done["artifacts"] if row["kind"] == "image"}
    assert list(made) == ["a.png", "b.jpg"]
    for name, artifact in made.items():
        with Image.open(tmp_path / name) as picture:
            alone = make("img2img", image=send(picture.convert("RGB")), **asked)[0]
        assert (np.asarray(fetched(server, artifact).convert("RGB")) == alone).all(), name


def test_hires_fix(make: Make, plain: np.ndarray) -> None:
    assert (make(hires_scale=1.0)[0] == plain).all()
    made = [
        make(hires_scale=1.5, hires_strength=0.3, **way)[0]
        for way in ({"hires_mode": "latent"}, {"hires_mode": "lanczos"}, {"hires_upscaler": "starter-x2"})
    ]
    assert {one.shape for one in made} == {(192, 192, 3)}
    assert len({one.tobytes() for one in made}) == 3
    held, free = (make(hires_scale=1.5, hires_mode="lanczos", hires_strength=share, steps=8)[0] for share in (0.1, 0.9))
    base = make(steps=8)[0]

    def shrunk(picture: np.ndarray) -> np.ndarray:
        small = Image.fromarray(picture.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BOX)
        return np.asarray(small).astype(int)

    assert distance(shrunk(held), base) < distance(shrunk(free), base)


def test_refiner(make: Make, plain: np.ndarray) -> None:
    asked = {"refiner": "starter/avatar"}
    assert (make(**asked, refiner_strength=0.0)[0] == plain).all()
    near, far = (make(**asked, refiner_strength=strength, steps=10)[0] for strength in (0.1, 0.9))
    base = make(steps=10)[0]
    assert 0 < distance(near, base) < distance(far, base)


def test_upscaling_in_tiles_is_upscaling(make: Make, person: tuple[str, np.ndarray]) -> None:
    ref, source = person
    whole, tiled = (make("upscale", image=ref, upscaler="starter-x2", tile=tile)[0] for tile in (0, 80))
    assert whole.shape == (2 * SIDE, 2 * SIDE, 3)
    assert np.abs(whole - tiled).max() <= 2, "rounding"
    back = np.asarray(Image.fromarray(whole.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BOX)).astype(int)
    assert distance(back, source) < 5


def test_seamless_edges_meet(make: Make) -> None:
    """From edge to edge the step is not larger than between neighbours within."""
    asked = {"prompt": "the sea on a clear summer day with palms and a white house", "steps": 8}
    open_, both, across = (make(**asked, seamless=way)[0] for way in ("none", "both", "x"))

    def seams(picture: np.ndarray) -> tuple[float, float]:
        return float(np.abs(picture[:, 0] - picture[:, -1]).mean()), float(np.abs(picture[0] - picture[-1]).mean())

    assert seams(both)[0] < seams(open_)[0] / 2
    assert seams(both)[1] < seams(open_)[1] / 2
    assert seams(across)[0] < seams(open_)[0] / 2
    assert seams(across)[1] > 2 * seams(both)[1]


_PICTURE = "the source"


@pytest.mark.parametrize(
    ("asked", "weight", "small", "large"),
    [
        ({"lora_1": "watercolour"}, "lora_1_weight", 0.2, 1.0),
        ({"control_1_model": "random", "control_1_image": _PICTURE}, "control_1_weight", 0.1, 1.0),
        (
            {"control_1_model": "features", "control_1_image": _PICTURE, "model": "tiny", "width": 64, "height": 64},
            "control_1_weight",
            0.05,
            0.5,
        ),
        ({"image_prompt_1_model": "seen", "image_prompt_1_images": [_PICTURE]}, "image_prompt_1_weight", 0.02, 0.3),
    ],
    ids=["lora", "controlnet", "t2i", "ip_adapter"],
)
def test_what_is_attached(
    make: Make,
    person: tuple[str, np.ndarray],
    asked: dict[str, Any],
    weight: str,
    small: float,
    large: float,
) -> None:
    """Weight 0 is the base bit by bit, more weight changes more, batches hold, and nothing stays behind."""
    given = json.loads(json.dumps(asked).replace(_PICTURE, person[0]))
    own = {name: given[name] for name in ("model", "width", "height") if name in given}
    plain = make(**own)[0]
    made = [make(**given, **{weight: value})[0] for value in (0.0, small, large)]
    distances = [distance(one, plain) for one in made]
    assert (made[0] == plain).all()
    assert 0 < distances[1] < distances[2], distances
    batch = make(**given, **{weight: large}, batch_size=2)
    assert (batch[1] == make(**given, **{weight: large}, seed=2)[0]).all()
    assert (make(**own)[0] == plain).all()


def test_the_starters_controlnet_follows_lines(make: Make, send: Callable[[Image.Image], str]) -> None:
    """Of what the words leave open, the drawing tells where it is: edges lie nearer to the drawing's."""
    closer = 0
    for seed in (HELD_OUT, HELD_OUT + 4, HELD_OUT + 6):
        subject = FLAT.subject(seed)
        asked = {"prompt": FLAT.caption(subject, seed).text, "steps": 8}
        lines = {"control_1_model": "lines", "control_1_image": send(line_drawing(subject, SIDE))}
        truth = edge_strength(to_tensor(draw(subject, SIDE))[None])[0].numpy()
        held, free = (
            np.corrcoef(edge_strength(to_tensor(Image.fromarray(made.astype(np.uint8)))[None])[0].numpy(), truth)[0, 1]
            for made in (make(**asked, **lines)[0], make(**asked)[0])
        )
        closer += held > free + 0.02
    assert closer == 3


def test_an_embedding_is_its_vectors(make: Make) -> None:
    assert (make(prompt="a felis and a person")[0] == make(prompt="a cat and a person")[0]).all()


@pytest.mark.parametrize(
    "change",
    [
        {"clip_skip": 2},
        {"guidance_rescale": 0.7},
        {"guidance_method": "zero"},
        {"guidance_method": "projected"},
        {"guidance_method": "tangential"},
        {"perturbation": "pag"},
        {"perturbation": "slg"},
        {"perturbation": "seg"},
    ],
    ids=str,
)
def test_a_choice_changes_the_picture(make: Make, plain: np.ndarray, change: dict[str, Any]) -> None:
    made = make(**change, batch_size=2)
    assert 0 < distance(made[0], plain) < 80
    assert made[0].std() > 20
    assert (made[1] == make(**change, seed=2)[0]).all()


def test_another_vae_decodes(make: Make, plain: np.ndarray) -> None:
    assert make(vae="brighter")[0].mean() > plain.mean() + 10
    assert (make()[0] == plain).all()
