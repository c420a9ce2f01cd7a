"""Larger pictures: upscalers and their tiles, the hires fix, and a refiner, as jobs run them."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

from extensions.diffusion.pictures import upscaling
from extensions.diffusion.tests import families
from extensions.diffusion.tests.test_embeddings import vectors
from extensions.diffusion.tests.test_img2img import scene
from extensions.diffusion.tests.test_loras import lora
from webui.testing import Outcome, Studio, run_pipeline

Generate = Callable[..., Outcome]
UPSCALERS = Path(__file__).resolve().parents[3] / "models" / "starter" / "upscaler"


@pytest.fixture(scope="module")
def networks(models_dir: Path) -> Path:
    """The bundled upscalers, where the tests' studio finds them."""
    shutil.copytree(UPSCALERS, models_dir / "upscaler", dirs_exist_ok=True)
    return models_dir


@pytest.fixture
def enlarge(networks: Path, studio: Studio, tmp_path: Path) -> Callable[..., Outcome]:
    def run(picture: Path, **params: Any) -> Outcome:
        studio.catalog.refresh()
        asked = {"image": str(picture), "upscaler": "starter-x2", **params}
        return run_pipeline("diffusion.upscale", asked, tmp_path, studio=studio)

    return run


def array(outcome: Outcome, index: int = 0) -> np.ndarray:
    assert outcome.state == "done", outcome.error
    return np.asarray(outcome.images[index]).astype(int)


def test_an_upscaler_beats_bicubic_on_what_it_was_trained_for(run_starter: Any, enlarge: Any, tmp_path: Path) -> None:
    large = run_starter().images[0].convert("RGB")
    small = large.resize((large.width // 2, large.height // 2), Image.Resampling.BICUBIC)
    small.save(tmp_path / "small.png")
    made = array(enlarge(tmp_path / "small.png"))
    bicubic = np.asarray(small.resize(large.size, Image.Resampling.BICUBIC)).astype(int)
    errors = [float(np.square(np.asarray(large).astype(int) - one).mean()) for one in (made, bicubic)]
    assert errors[0] < errors[1], errors


@pytest.fixture(scope="module")
def run_starter(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Outcome]:
    from webui.testing import make_studio

    own = make_studio(tmp_path_factory.mktemp("starter"), offline=True)
    asked = {"prompt": "a smiling person with red hair, blue background", "model": "starter/avatar", "seed": 1}

    def run() -> Outcome:
        outcome = run_pipeline("diffusion.txt2img", {**asked, "steps": 6}, Path("unused"), studio=own)
        assert outcome.state == "done", outcome.error
        return outcome

    return run


def test_tiles_give_the_picture_of_the_whole(enlarge: Any, tmp_path: Path) -> None:
    source = scene(tmp_path / "in.png", (150, 90))
    whole, tiled = array(enlarge(source, tile=0)), array(enlarge(source, tile=64, overlap=24))
    assert whole.shape == (180, 300, 3)
    assert np.abs(whole - tiled).max() <= 1


@pytest.mark.parametrize(("scale", "size"), [(0.0, (80, 60)), (3.0, (120, 90)), (1.5, (60, 45)), (5.0, (200, 150))])
def test_any_scale_is_reached(enlarge: Any, tmp_path: Path, scale: float, size: tuple[int, int]) -> None:
    made = array(enlarge(scene(tmp_path / "in.png", (40, 30)), scale=scale))
    assert made.shape == (size[1], size[0], 3)


def test_transparency_is_kept_and_several_pictures_go_on_after_an_interruption(
    networks: Path, studio: Studio, tmp_path: Path
) -> None:
    picture = Image.new("RGBA", (40, 30), (10, 20, 30, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 20, 30))
    picture.save(tmp_path / "alpha.png")
    studio.catalog.refresh()
    asked = {"image": str(tmp_path / "alpha.png"), "images": [str(scene(tmp_path / "b.png"))], "upscaler": "starter-x4"}
    outcome = run_pipeline("diffusion.upscale", asked, tmp_path, studio=studio)
    assert [(record.width, record.height) for record in outcome.records] == [(160, 120), (256, 256)]
    alpha = np.asarray(outcome.images[0].getchannel("A"))
    assert alpha[:, :70].max() == 0
    assert alpha[:, 90:].min() == 255
    rest = run_pipeline("diffusion.upscale", asked, tmp_path, studio=studio, done_indices=[0])
    assert [record.index for record in rest.records] == [1]


def test_a_file_that_is_no_upscaler_is_refused(enlarge: Any, tmp_path: Path, networks: Path, tiny: Any) -> None:
    tiny("sd1")
    with pytest.raises(Exception, match="upscaler"):
        enlarge(scene(tmp_path / "in.png"), upscaler="diffusers/sd1")


@given(length=st.integers(1, 700), tile=st.integers(0, 300), overlap=st.integers(16, 64))
def test_tiles_cover_a_side_and_overlap(length: int, tile: int, overlap: int) -> None:
    spans = upscaling._spans(length, tile, overlap)
    assert spans[0][0] == 0
    assert spans[-1][1] == length
    assert all(after[0] <= before[1] - overlap for before, after in itertools.pairwise(spans))
    assert len({end - start for start, end in spans}) == 1


@pytest.mark.parametrize("way", ["latent", "latent (bicubic)", "lanczos"])
@pytest.mark.parametrize("family", ["sd1", "flux"])
def test_the_second_pass_draws_larger(generate: Generate, family: str, way: str) -> None:
    outcome = generate(family, hires_scale=1.5, hires_mode=way, batch_size=2)
    assert {(record.width, record.height) for record in outcome.records} == {(96, 96)}
    assert (array(outcome, 1) == array(generate(family, hires_scale=1.5, hires_mode=way, seed=6))).all()


def test_the_ways_to_enlarge_differ_and_a_network_is_one(generate: Generate, networks: Path) -> None:
    made = {
        generate("sd1", hires_scale=2, hires_strength=0.5, **way).images[0].tobytes()
        for way in ({"hires_mode": "latent"}, {"hires_mode": "lanczos"}, {"hires_upscaler": "starter-x2"})
    }
    assert len(made) == 3
    with Image.open(generate("sd1", hires_scale=2, hires_upscaler="starter-x2").paths[0]) as image:
        assert "Hires upscale: 2" in image.info["parameters"]
    assert array(generate("sd1", hires_scale=2, hires_upscaler="Latent (nearest-exact)")).shape == (128, 128, 3)
    with Image.open(generate("sd1").paths[0]) as image:
        assert "Hires" not in image.info["parameters"]


def test_the_second_pass_has_its_own_steps_and_sampler(generate: Generate) -> None:
    base = {"hires_scale": 1.5, "hires_mode": "lanczos"}
    made = [generate("sd1", **base, **more) for more in ({}, {"hires_steps": 6}, {"hires_sampler": "Euler a"})]
    assert len({one.images[0].tobytes() for one in made}) == 3


def test_a_refiner_goes_over_the_picture(generate: Generate, tiny: Any) -> None:
    tiny("sdxl")
    plain, refined = generate("sd1"), generate("sd1", refiner="diffusers/sdxl", refiner_strength=0.5)
    assert array(refined).shape == array(plain).shape
    assert (array(refined) != array(plain)).any()
    assert (array(generate("sd1", refiner="diffusers/sdxl", refiner_strength=0.0)) == array(plain)).all()


def test_what_is_attached_stays_with_its_family(generate: Generate, tiny: Any, models_dir: Path) -> None:
    """A refiner of another family draws without it, by either way; one of the same family draws with it."""
    base = tiny("sd1")
    tiny("sdxl")
    (models_dir / "loras").mkdir(exist_ok=True)
    save_file(lora(base, 21), str(models_dir / "loras" / "mine.safetensors"))
    (models_dir / "embeddings").mkdir(exist_ok=True)
    save_file({"emb_params": vectors(base)}, str(models_dir / "embeddings" / "mine_words.safetensors"))
    for asked in (
        {"lora_1": "mine"},
        {"prompt": "a cat <lora:mine:0.8>"},
        {"prompt": "a embedding:mine_words"},
    ):
        plain = generate("sd1", **asked)
        refined = generate("sd1", **asked, refiner="diffusers/sdxl", refiner_strength=0.5)
        assert (array(refined) != array(plain)).any()
        told = any("another family" in words for words in refined.warnings)
        assert told == ("lora_1" in asked), refined.warnings
    kin = [
        array(generate("sd1", lora_1="mine", lora_1_weight=weight, refiner="diffusers/sd1", refiner_strength=0.5))
        for weight in (0.0, 1.0)
    ]
    assert (kin[0] != kin[1]).any()


@pytest.mark.parametrize("family", ["flux", "qwen_image"])
def test_packed_latents_are_enlarged_as_latents(generate: Generate, models_dir: Path, family: str) -> None:
    if family != "flux":
        families.make(family, models_dir / "diffusers" / family)
    asked = {"hires_scale": 2.0, "hires_strength": 0.3, "hires_steps": 4, "model": f"diffusers/{family}"}
    made = [generate(family, **asked, hires_mode=way) for way in ("latent", "latent (nearest-exact)", "lanczos")]
    assert len({one.images[0].tobytes() for one in made}) == 3
    assert {one.images[0].size for one in made} == {(128, 128)}


def test_a_model_that_takes_over_from_itself_draws_the_same_picture(generate: Generate, tiny: Any) -> None:
    asked = {"steps": 6, "sampler": "Euler"}
    plain = array(generate("sdxl", **asked))
    handed = generate("sdxl", **asked, refiner="diffusers/sdxl", refiner_start=0.5)
    assert handed.warnings == []
    assert np.abs(array(handed) - plain).max() <= 1
    with Image.open(handed.paths[0]) as image:
        assert "Refiner switch at: 0.5" in image.info["parameters"]
    other = (
        generate("sdxl", **asked, refiner="diffusers/sdxl_scaled", refiner_start=0.5) if tiny("sdxl_scaled") else None
    )
    assert other is not None
    assert (array(other) != plain).any()


def test_a_refiner_that_cannot_take_over_goes_over_the_picture(generate: Generate, tiny: Any) -> None:
    tiny("sdxl")
    outcome = generate("sd1", refiner="diffusers/sdxl", refiner_start=0.5, refiner_strength=0.5)
    assert any("cannot stop midway" in words for words in outcome.warnings), outcome.warnings
    assert (array(outcome) == array(generate("sd1", refiner="diffusers/sdxl", refiner_strength=0.5))).all()
