"""The parts below the pipeline: vocabulary, plans, variants, hub file lists, previews, bundled configurations."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from extensions.diffusion.drawing import previews
from extensions.diffusion.drawing.calling import refuse_other_tasks
from extensions.diffusion.models import clip_vocabulary
from extensions.diffusion.models.building import build_tokenizer
from extensions.diffusion.models.hub import needed_files
from extensions.diffusion.models.libraries import find_class
from extensions.diffusion.models.loading import choose_variant, make_plan, requests
from extensions.diffusion.models.single_file import CONFIGS
from extensions.diffusion.params import DiffusionSettings, Txt2Img
from extensions.diffusion.tests import ldm_layout
from webui.api import ModelError, describe
from webui.testing import make_studio

Tiny = Callable[[str], Path]
NAMES = {"model_index.json", "README.md", "sd.safetensors", "unet/config.json", "vae/config.json"}


def model(folder: Path, **changes: Any) -> Any:
    facts = {"ref": folder.name, "path": folder, "format": "diffusers", "family": "", "sha256": "", "recommended": {}}
    return SimpleNamespace(**{**facts, **changes})


def test_the_bundled_vocabulary_is_clips() -> None:
    first = build_tokenizer(find_class("transformers", "CLIPTokenizer"), Path("absent"), {})
    assert len(first) == 49408
    assert first("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    padded = first("cat", padding="max_length").input_ids
    assert len(padded) == 77
    assert padded[3:] == [49407] * 74
    second = build_tokenizer(type(first), Path("absent"), {"pad_token": "!"})
    assert second("cat", padding="max_length").input_ids[:4] == [49406, 2368, 49407, 0]


def test_every_byte_has_a_token() -> None:
    characters = clip_vocabulary.byte_characters()
    assert len(set(characters)) == 256
    assert characters[0] == "!"


def test_the_parameters_have_the_standard_names() -> None:
    names = [row.name for row in describe(Txt2Img)]
    standard = (
        "prompt negative_prompt model steps guidance_scale width height seed sampler schedule clip_skip batch_size"
        " batch_count attention precision vae_tiling compile channels_last storage_8bit step_cache step_forecast"
    )
    assert set(standard.split()) <= set(names)
    rows = {row.name: row for row in describe(Txt2Img)}
    assert (rows["width"].auto, rows["steps"].auto, rows["guidance_scale"].auto) == (512, 20, 7.0)
    assert describe(DiffusionSettings)[0].name == "default_text_to_image"


@pytest.mark.parametrize(
    ("names", "dtype", "expected"),
    [
        (["model.safetensors"], torch.float16, ""),
        (["model.safetensors", "model.fp16.safetensors"], torch.float16, "fp16"),
        (["model.safetensors", "model.fp16.safetensors"], torch.float32, ""),
        (["model.fp16.safetensors"], torch.float32, "fp16"),
        (["model.fp16-00001-of-00002.safetensors", "model.fp16-00002-of-00002.safetensors"], torch.bfloat16, "fp16"),
        (["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"], torch.float16, ""),
        (["diffusion_pytorch_model.non_ema.safetensors", "diffusion_pytorch_model.safetensors"], torch.float16, ""),
        ([], torch.float32, ""),
    ],
)
def test_the_variant_that_is_loaded(names: list[str], dtype: torch.dtype, expected: str) -> None:
    assert choose_variant(names, dtype) == expected


def test_a_folder_with_fp16_files_alone_loads(tiny: Tiny, tmp_path: Path) -> None:
    shutil.copytree(tiny("sd1"), tmp_path / "m")
    file = tmp_path / "m" / "vae" / "diffusion_pytorch_model.safetensors"
    file.rename(file.with_name("diffusion_pytorch_model.fp16.safetensors"))
    vae = requests(make_plan(model(tmp_path / "m")), lambda _: torch.float32)["vae"].load()
    assert vae.dtype == torch.float32


def test_pipelines_share_components_and_precisions_do_not(tiny: Tiny) -> None:
    plan = make_plan(model(tiny("sd1")))
    one, two = requests(plan, lambda _: torch.float32), requests(plan, lambda _: torch.float32)
    half = requests(plan, lambda _: torch.float16)
    assert {name: row.key for name, row in one.items()} == {name: row.key for name, row in two.items()}
    assert one["unet"].key != half["unet"].key
    assert one["tokenizer"].key == half["tokenizer"].key
    assert half["unet"].load().dtype == torch.float16


def with_shared(folder: Path, neighbour: Path, shared: Any) -> Path:
    """A model that has a UNet of its own, and an index that names the rest."""
    shutil.copytree(neighbour / "unet", folder / "unet")
    index = json.loads((neighbour / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "_shared": shared}))
    return folder


def test_a_model_shares_the_components_of_the_one_beside_it(tiny: Tiny, tmp_path: Path) -> None:
    shutil.copytree(tiny("sd1"), tmp_path / "avatar")
    names = ("vae", "text_encoder", "tokenizer", "scheduler")
    with_shared(tmp_path / "edit", tmp_path / "avatar", {name: f"../avatar/{name}" for name in names})
    own = requests(make_plan(model(tmp_path / "avatar")), lambda _: torch.float32)
    shared = requests(make_plan(model(tmp_path / "edit")), lambda _: torch.float32)
    assert {name for name in own if own[name].key == shared[name].key} == set(names)
    assert shared["vae"].load().config.latent_channels == 4


@pytest.mark.parametrize(
    "given", ["../../avatar/vae", "../..", "..", "/etc", "../link/vae", 7, "a\0b"], ids=lambda given: repr(given)
)
def test_what_is_shared_lies_beside_the_model(tiny: Tiny, tmp_path: Path, given: Any) -> None:
    shutil.copytree(tiny("sd1"), tmp_path / "avatar")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "link").symlink_to(tmp_path / "avatar")
    folder = with_shared(tmp_path / "models" / "edit", tmp_path / "avatar", {"vae": given})
    with pytest.raises(ModelError, match="is not inside"):
        make_plan(model(folder))


def test_absent_components_go_to_the_constructor_as_none(tiny: Tiny) -> None:
    plan = make_plan(model(tiny("sd3")))
    assert plan.options["text_encoder_3"] is None
    assert "text_encoder_3" not in plan.sources


def test_a_missing_component_is_named(tiny: Tiny, tmp_path: Path) -> None:
    shutil.copytree(tiny("sd1"), tmp_path / "m")
    shutil.rmtree(tmp_path / "m" / "unet")
    with pytest.raises(ModelError, match="lacks its component unet"):
        requests(make_plan(model(tmp_path / "m")), lambda _: torch.float32)


def test_a_damaged_component_is_explained(tiny: Tiny, tmp_path: Path) -> None:
    shutil.copytree(tiny("sd1"), tmp_path / "m")
    (tmp_path / "m" / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"nothing")
    request = requests(make_plan(model(tmp_path / "m")), lambda _: torch.float32)["vae"]
    with pytest.raises(ModelError, match="its component vae cannot be loaded"):
        request.load()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"_class_name": "StableDiffusionImg2ImgPipeline"}, "it is a StableDiffusionImg2ImgPipeline"),
        ({"_class_name": "NoSuchPipeline"}, "does not have"),
        ({"_class_name": ["pipeline", "MyPipeline"]}, "code of its own"),
    ],
)
def test_other_tasks_are_refused_before_anything_loads(
    tiny: Tiny, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    shutil.copytree(tiny("sd1"), tmp_path / "m")
    index = tmp_path / "m" / "model_index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), **changes}), encoding="utf-8")
    with pytest.raises(ModelError, match=words):
        refuse_other_tasks(make_plan(model(tmp_path / "m")))


def test_an_index_cannot_import_other_modules() -> None:
    with pytest.raises(LookupError):
        find_class("os.path", "join")
    with pytest.raises(LookupError):
        find_class("subprocess", "Popen")


def test_the_files_a_hub_model_needs() -> None:
    names = NAMES | {
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.bin",
        "vae/diffusion_pytorch_model.safetensors",
        "safety_checker/model.safetensors",
        "onnx/unet/model.onnx",
    }
    index = {
        "_class_name": "X",
        "unet": ["diffusers", "U"],
        "vae": ["diffusers", "V"],
        "safety_checker": ["a", "B"],
        "image_encoder": [None, None],
        "force_zeros": True,
    }
    half = needed_files(names, index, half=True)
    assert half == [
        "model_index.json",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/config.json",
        "vae/diffusion_pytorch_model.safetensors",
        "vae/config.json",
    ]
    assert "unet/diffusion_pytorch_model.safetensors" in needed_files(names, index, half=False)
    pickled = {"unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.fp16.bin"}
    assert needed_files(pickled, {"unet": ["diffusers", "U"]}, half=False)[1:] == ["unet/diffusion_pytorch_model.bin"]
    with pytest.raises(ModelError, match="no weights in a format that is read here"):
        needed_files({"unet/model.onnx"}, {"unet": ["diffusers", "U"]}, half=False)


class LinearVae(torch.nn.Module):
    """A decoder that is exactly linear: each latent becomes 4x4 pixels of one colour."""

    def __init__(self) -> None:
        super().__init__()
        self.colours = torch.nn.Parameter(torch.tensor([[0.2, -0.1, 0.0], [0.0, 0.3, 0.1]]), requires_grad=False)
        self.config = {"latent_channels": 2, "scaling_factor": 0.5, "block_out_channels": (8,)}
        self.dtype = torch.float32

    def decode(self, latents: torch.Tensor, return_dict: bool = True) -> tuple[torch.Tensor]:
        pixels = torch.einsum("nchw,ck->nkhw", latents, self.colours) + 0.25
        return (pixels.repeat_interleave(4, 2).repeat_interleave(4, 3),)


def test_previews_of_an_unknown_vae_are_fitted_to_it() -> None:
    vae = LinearVae()
    matrix, offset = previews.factors(vae)
    assert np.allclose(matrix, vae.colours.numpy() / 0.5, atol=1e-4)
    assert np.allclose(offset, 0.25, atol=1e-4)
    assert previews.factors(vae)[0] is matrix
    image = previews.preview(torch.zeros(2, 8, 4), vae, 1024, 2048)
    assert image.size == (256, 512)
    assert image.getpixel((9, 9)) == (159, 159, 159)


@pytest.mark.parametrize(("family", "size"), [("sd1", 512), ("sdxl", 1024)])
def test_full_size_checkpoints_are_recognised_and_fit_the_bundled_configurations(
    tmp_path: Path, family: str, size: int
) -> None:
    tensors = full_size(family)
    file = tmp_path / "models" / "checkpoints" / "model.safetensors"
    file.parent.mkdir(parents=True)
    ldm_layout.write_header(file, tensors)
    ldm_layout.write_header(file.with_name("bare.safetensors"), {k: v for k, v in tensors.items() if "first" not in k})
    catalog = make_studio(tmp_path / "data", models_dirs=[tmp_path / "models"]).catalog
    entry = catalog.resolve("model.safetensors", "text_to_image")
    assert (entry.kind, entry.family, entry.problem) == ("text_to_image", family, "")
    assert entry.recommended == {"width": size, "height": size}
    assert next(row.lacks for row in catalog.entries() if row.title == "bare") == ("VAE",)
    assert (CONFIGS / family / "model_index.json").is_file()


def full_size(family: str) -> ldm_layout.Tensors:
    """The tensors of the family's real size, on the meta device, from the bundled configurations."""
    folder = CONFIGS / family
    unet, vae = find_class("diffusers", "UNet2DConditionModel"), find_class("diffusers", "AutoencoderKL")
    with torch.device("meta"):
        tensors = {
            **ldm_layout.unet(unet.from_config(unet.load_config(str(folder), subfolder="unet"))),
            **ldm_layout.vae(vae.from_config(vae.load_config(str(folder), subfolder="vae"))),
        }
        first = text_encoder(folder / "text_encoder", "CLIPTextModel")
        if family == "sd1":
            return {**tensors, **ldm_layout.clip(first)}
        second = text_encoder(folder / "text_encoder_2", "CLIPTextModelWithProjection")
        tensors |= ldm_layout.clip(first, "conditioner.embedders.0.transformer.text_model.")
        return {**tensors, **ldm_layout.openclip(second)}


def text_encoder(folder: Path, name: str) -> Any:
    cls = find_class("transformers", name)
    return cls(cls.config_class.from_pretrained(str(folder)))
