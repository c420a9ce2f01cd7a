"""The judge as a feature network: what it prepares is what the judge itself scales, and its heads are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from extensions.starter.config import BUNDLED
from extensions.starter.judge import load_judge
from extensions.starter.network import JudgeNetwork
from webui.api import LayeredExtractor, PromptJudge
from webui.testing import make_studio, model_files


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> JudgeNetwork:
    return JudgeNetwork(model_files(make_studio(tmp_path_factory.mktemp("data"))))


@pytest.mark.parametrize(("width", "height"), [(128, 128), (64, 64), (100, 81), (40, 300)])
def test_pictures_are_prepared_by_the_mean_over_areas(network: JudgeNetwork, width: int, height: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    told = torch.nn.functional.interpolate(image, size=(64, 64), mode="area")[0].numpy()
    np.testing.assert_allclose(network.prepare(Image.fromarray(pixels)), told, atol=2e-6)


def test_features_and_heads_are_the_judges_own(network: JudgeNetwork) -> None:
    judge = load_judge(BUNDLED / "judge")
    batch = torch.rand((2, 3, 64, 64), generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        told = network.read(judge, batch)
        assert torch.equal(told["features"], judge.features(batch))
        assert all(torch.equal(told[name], logits) for name, logits in judge(batch).items())
    assert set(told) == {"features", *network.heads}
    assert len(network.protocol["weights"]) == 64


def test_the_file_is_the_bundled_one(network: JudgeNetwork) -> None:
    assert Path(network.component.key.path) == (BUNDLED / "judge").resolve()


def test_layers_are_what_the_features_come_from(network: JudgeNetwork) -> None:
    assert isinstance(network, LayeredExtractor)
    judge = load_judge(BUNDLED / "judge")
    batch = torch.rand((2, 3, 64, 64), generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        layers = network.layers(judge, batch)
        assert torch.equal(judge.mixer(layers[-1].flatten(1)), judge.features(batch))
    sides = [layer.shape[-1] for layer in layers]
    assert sides == sorted(sides, reverse=True)
    assert all(layer.ndim == 4 and len(layer) == 2 for layer in layers)


def test_a_prompt_asks_for_heads_of_the_judge(network: JudgeNetwork) -> None:
    assert isinstance(network, PromptJudge)
    asked = network.asked("a smiling person with long red hair, blue background")
    assert asked is not None
    assert asked.named == {
        "avatar.mood": "smiling",
        "avatar.hair_style": "long",
        "avatar.hair_colour": "red",
        "avatar.background": "blue",
    }
    assert asked.implied["avatar.hat"] == "none"
    assert network.asked("a spaceship") is None
