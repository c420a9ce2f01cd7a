"""What can be attached to the bundled starter model, with real pixels: weight 0 is the base bit by bit, more weight
changes more, several pictures are the same alone and together, and nothing stays behind.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import save_file

from extensions.diffusion.tests.test_embeddings import vectors
from extensions.diffusion.tests.test_feature_adapters import network as t2i
from extensions.diffusion.tests.test_image_prompts import adapter, encoder
from extensions.diffusion.tests.test_img2img import scene
from extensions.diffusion.tests.test_lycoris import network as lycoris
from webui.testing import Outcome, Studio, make_studio, run_pipeline

STARTER = Path(__file__).resolve().parents[3] / "models" / "starter" / "avatar"
PROMPT = "a smiling person with long red hair and glasses, blue background"
Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    models = tmp_path_factory.mktemp("models")
    (models / "embeddings").mkdir()
    save_file({"emb_params": vectors(STARTER)}, str(models / "embeddings" / "felis.safetensors"))
    encoder(models / "ipadapter" / "image_encoder")
    save_file(adapter(STARTER, 1), str(models / "ipadapter" / "seen.safetensors"))
    widths = tuple(json.loads((STARTER / "unet" / "config.json").read_text())["block_out_channels"])
    # The starter's UNet begins as SDXL's does, with a block that makes the picture smaller first.
    t2i(channels=widths, factor=_factor()).save_pretrained(str(models / "t2i_adapter" / "other"))
    (models / "lycoris").mkdir()
    for kind in ("lokr", "oft"):
        save_file(lycoris(STARTER, kind, 3), str(models / "lycoris" / f"{kind}.safetensors"))
    return make_studio(tmp_path_factory.mktemp("data"), models_dirs=[STARTER.parents[1], models], offline=True)


def _factor() -> int:
    """How many times smaller the latents are."""
    blocks = json.loads((STARTER / "vae" / "config.json").read_text())["block_out_channels"]
    return 2 ** (len(blocks) - 1)


@pytest.fixture(scope="module")
def draw(studio: Studio) -> Run:
    def run(**params: Any) -> Outcome:
        asked = {"prompt": PROMPT, "model": "starter/avatar", "seed": 1, "steps": 4, **params}
        outcome = run_pipeline("diffusion.txt2img", asked, Path("unused"), studio=studio)
        assert outcome.state == "done", outcome.error
        return outcome

    return run


@pytest.fixture(scope="module")
def plain(draw: Run) -> np.ndarray:
    return pixels(draw())


def pixels(outcome: Outcome, index: int = 0) -> np.ndarray:
    return np.asarray(outcome.images[index].convert("RGB")).astype(int)


@pytest.mark.parametrize(
    ("asked", "weight"),
    [
        ({"image_prompt_1_model": "seen", "image_prompt_1_images": ["PICTURE"]}, "image_prompt_1_weight"),
        ({"lora_1": "lokr"}, "lora_1_weight"),
        ({"lora_1": "oft"}, "lora_1_weight"),
    ],
)
def test_weight(draw: Run, plain: np.ndarray, tmp_path: Path, asked: dict[str, Any], weight: str) -> None:
    picture = str(scene(tmp_path / "picture.png"))
    asked = {key: [picture] if value == ["PICTURE"] else value for key, value in asked.items()}
    distances = [float(np.abs(pixels(draw(**asked, **{weight: value})) - plain).mean()) for value in (0.0, 0.03, 0.3)]
    assert distances[0] == 0
    assert all(less < more for less, more in pairwise(distances)), distances
    batch = draw(**asked, **{weight: 0.3}, batch_size=2)
    assert (pixels(batch, 1) == pixels(draw(**asked, **{weight: 0.3}, seed=2))).all()
    assert (pixels(draw()) == plain).all()


def test_features_of_other_sizes_are_said(studio: Studio, tmp_path: Path) -> None:
    asked = {"prompt": PROMPT, "model": "starter/avatar", "seed": 1, "steps": 4, "control_1_model": "other"}
    asked["control_1_image"] = str(scene(tmp_path / "picture.png"))
    outcome = run_pipeline("diffusion.txt2img", asked, tmp_path, studio=studio)
    assert outcome.error is not None
    assert "features of" in outcome.error.message


def test_an_embedding_of_words_is_those_words(draw: Run, plain: np.ndarray) -> None:
    assert (pixels(draw(prompt="a (felis:1.2) and a dog")) == pixels(draw(prompt="a (cat:1.2) and a dog"))).all()
    assert (pixels(draw()) == plain).all()


def test_methods_of_guidance_draw_people_too(draw: Run, plain: np.ndarray) -> None:
    for method in ("zero", "projected", "tangential"):
        distance = np.abs(pixels(draw(guidance_method=method)) - plain).mean()
        assert 0 < distance < 60, (method, distance)
