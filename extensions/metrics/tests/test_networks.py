"""Feature networks against the packages that their scores are known from, with the same random weights."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from extensions.metrics.features import resize
from extensions.metrics.features.networks import ClipNetwork, DinoNetwork, InceptionNetwork, VggNetwork
from extensions.metrics.tests.conftest import numbers, write_pictures
from extensions.metrics.tests.random_weights import inception_weights
from webui.api import ModelError, Models
from webui.testing import Outcome, make_studio, model_files, run_pipeline


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As torch-fidelity's own file: pickled by torch."""
    path = tmp_path_factory.mktemp("models") / "features" / "weights-inception-2015-12-05.pth"
    path.parent.mkdir()
    torch.save(inception_weights(), path)
    return path


def models_with(folder: Path) -> Models:
    files: Models = model_files(make_studio(folder / "data", models_dirs=[folder]))
    return files


def picture(width: int, height: int, seed: int = 1) -> Image.Image:
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def close(mine: Tensor, theirs: Tensor) -> None:
    """Equal within 1e-4 of the largest value."""
    assert mine.shape == theirs.shape
    assert float((mine - theirs).abs().max() / theirs.abs().max()) < 1e-4


def test_inception_is_torch_fidelitys(inception_file: Path) -> None:
    theirs = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3").FeatureExtractorInceptionV3(
        "theirs", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(inception_file)
    )
    mine = InceptionNetwork(models_with(inception_file.parents[1]), "", "tensorflow")
    images = [picture(128, 100), picture(128, 100, 2)]
    batch = torch.from_numpy(np.stack([mine.prepare(one) for one in images]))
    with torch.inference_mode():
        told = mine.read(mine.component.load(), batch)
        features, logits = theirs(torch.from_numpy(np.stack([resize.bytes_of(one) for one in images])))
    close(told["features"], features)
    close(told["class"], logits)
    assert len(mine.heads["class"]) == logits.shape[1]


def test_clip_is_transformers(tmp_path: Path) -> None:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    sizes = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = CLIPVisionConfig(**sizes, image_size=28, patch_size=14, projection_dim=48)
    theirs = CLIPVisionModelWithProjection(config).eval()
    (tmp_path / "features").mkdir()
    save_file(theirs.state_dict(), tmp_path / "features" / "clip.safetensors")
    mine = ClipNetwork(models_with(tmp_path))
    image = picture(40, 60)
    pixels = torch.from_numpy(resize.bytes_of(image).astype(np.float32))[None] / 255
    pixels = torch.nn.functional.interpolate(pixels, size=(28, 28), mode="bicubic")
    mean, std = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
    pixels = (pixels - torch.tensor(mean)[None, :, None, None]) / torch.tensor(std)[None, :, None, None]
    with torch.inference_mode():
        close(
            mine.read(mine.component.load(), torch.from_numpy(mine.prepare(image))[None])["features"],
            theirs(pixel_values=pixels).image_embeds,
        )
    assert (mine.protocol["size"], mine.dim) == (28, 48)


def test_dinov2_is_transformers(tmp_path: Path) -> None:
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    config = Dinov2Config(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=1, image_size=70, patch_size=14, layerscale_value=0.7
    )
    theirs = Dinov2Model(config).eval()
    (tmp_path / "features").mkdir()
    save_file(theirs.state_dict(), tmp_path / "features" / "dinov2.safetensors")
    mine = DinoNetwork(models_with(tmp_path))
    batch = torch.from_numpy(mine.prepare(picture(300, 200)))[None]
    with torch.inference_mode():
        close(mine.read(mine.component.load(), batch)["features"], theirs(pixel_values=batch).pooler_output)
    assert (batch.shape, mine.dim) == ((1, 3, 224, 224), 64)


def test_vgg16_is_torchvisions(tmp_path: Path) -> None:
    """Its own weights would be half a gigabyte: names and shapes are torchvision's, most values one number."""
    from torchvision.models import vgg16

    with torch.device("meta"):
        shapes = {name: value.shape for name, value in vgg16(weights=None).state_dict().items()}
    assert {n: tuple(shapes[n]) for n in VggNetwork.marks.tensors} == dict(VggNetwork.marks.tensors)
    network = VggNetwork.__new__(VggNetwork)
    weights = {name: torch.full((1,), 1e-3).expand(shape) for name, shape in shapes.items()}
    built = network.build(weights)
    assert [type(layer).__name__ for layer in built.classifier] == ["Linear", "ReLU", "Dropout", "Linear", "ReLU"]
    assert network.prepare(picture(64, 64)).shape == (3, 224, 224)


@pytest.mark.parametrize("size", [(32, 32), (299, 299), (500, 301), (64, 350)])
def test_tensorflows_resize_is_torch_fidelitys(size: tuple[int, int]) -> None:
    theirs = pytest.importorskip("torch_fidelity.interpolate_compat_tensorflow")
    image = picture(*size)
    pixels = torch.from_numpy(resize.bytes_of(image).astype(np.float32))[None]
    told = theirs.interpolate_bilinear_2d_like_tensorflow1x(pixels, size=(299, 299), align_corners=False)[0]
    np.testing.assert_allclose(resize.tensorflow(image, 299), told.numpy(), atol=2e-4)


def test_resizes_differ_where_pictures_are_made_smaller() -> None:
    image = picture(600, 600)
    ways = [resize.tensorflow, resize.clean, resize.pytorch]
    tables = [way(image, 299) for way in ways]
    assert all(table.shape == (3, 299, 299) and table.dtype == np.float32 for table in tables)
    assert all(not np.allclose(a, b, atol=0.1) for a, b in itertools.pairwise(tables))


Score = Callable[..., Outcome]


def test_with_its_weights_the_score_is_fid_and_without_it_is_not(inception_file: Path, tmp_path: Path) -> None:
    real, made = write_pictures(tmp_path / "real", 9, 1), write_pictures(tmp_path / "made", 8, 2, shift=50)
    studio = make_studio(tmp_path / "data", models_dirs=[inception_file.parents[1]])
    asked = {"real": str(real), "generated": str(made), "batch": 4}
    told = numbers(run_pipeline("metrics.fid", asked, tmp_path / "data", studio=studio))
    assert list(told["scores"]) == ["FID"]
    assert told["protocol"]["weights_file"] == inception_file.name
    assert (told["protocol"]["resize"], told["protocol"]["antialias"]) == ("tensorflow", False)
    refused = run_pipeline("metrics.fid", {**asked, "weights": "nothing.pth"}, tmp_path / "data", studio=studio)
    assert refused.state == "failed"


def test_weights_of_another_network_are_refused(inception_file: Path, tmp_path: Path) -> None:
    models = models_with(inception_file.parents[1])
    with pytest.raises(ModelError, match="not on this machine"):
        ClipNetwork(models)
    asked = {"real": "drawn:avatar", "generated": "drawn:avatar?seed=1", "network": "metrics.clip"}
    studio = make_studio(inception_file.parent / "data", models_dirs=[inception_file.parents[1]])
    refused = run_pipeline("metrics.fd", {**asked, "weights": inception_file.name}, tmp_path, studio=studio)
    assert refused.error is not None
    assert "no weights of CLIP" in refused.error.message


def test_a_file_elsewhere_is_named_by_its_path(tmp_path: Path) -> None:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
    theirs = CLIPVisionModelWithProjection(CLIPVisionConfig(**sizes, image_size=28, patch_size=14, projection_dim=8))
    save_file(theirs.state_dict(), tmp_path / "my-clip.safetensors")
    pictures = write_pictures(tmp_path / "set", 9, 1)
    asked = {"real": str(pictures), "generated": str(pictures), "network": "metrics.clip"}
    told = numbers(run_pipeline("metrics.fd", {**asked, "weights": str(tmp_path / "my-clip.safetensors")}, tmp_path))
    assert told["scores"]["FD-CLIP"]["value"] == pytest.approx(0, abs=1e-6)
    assert told["protocol"]["features"] == 8
