"""Single files of every family in their published layouts: recognised, loaded offline, drawn as their folders are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from extensions.diffusion.models.building import fits, read_part
from extensions.diffusion.models.layouts import convert
from extensions.diffusion.models.libraries import find_class, prepare
from extensions.diffusion.models.single_file import CONFIGS
from extensions.diffusion.models.weights import Part
from extensions.diffusion.pipelines.txt2img import Txt2ImgPipeline
from extensions.diffusion.tests import dit_layout, families, ldm_layout, tiny_models
from webui.testing import Outcome, Studio, make_studio, model_files, run_pipeline

Draw = Callable[..., Outcome]
Made = Callable[[str], Path]
BORROWING = ("chroma", "pixart_alpha", "pixart_sigma", "sana", "z_image", "auraflow", "qwen_image", "lumina2")
SIZES = {
    ("sd1", "unet"): 859_520_964,
    ("sd1", "vae"): 83_653_863,
    ("sd1", "text_encoder"): 123_060_480,
    ("sd2", "unet"): 865_910_724,
    ("sd2", "text_encoder"): 340_387_840,
    ("sdxl", "unet"): 2_567_463_684,
    ("sdxl", "text_encoder_2"): 694_659_840,
    ("sdxl_refiner", "unet"): 2_259_526_660,
    ("sd3", "transformer"): 2_028_328_000,
    ("sd3", "vae"): 83_819_683,
    ("sd3", "text_encoder_3"): 4_762_310_656,
    ("flux", "transformer"): 11_901_408_320,
}
"""Parameters of the published models: a configuration that is off by anything that matters gives another number."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The folder of a family's tiny model, outside every models folder."""
    base = tmp_path_factory.mktemp("source")

    def make(family: str) -> Path:
        if not (base / family).exists():
            prepare()
            (families.FAMILIES.get(family) or getattr(tiny_models, family))(base / family)
        return base / family

    return make


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """An installation without models, offline, whose configurations for single files are in ``tmp_path/configs``."""
    monkeypatch.setattr("webui.engine.device.usable_cores", lambda: 1)
    monkeypatch.setattr(Txt2ImgPipeline, "configs", tmp_path / "configs")
    (tmp_path / "models").mkdir()
    return make_studio(tmp_path / "data", models_dirs=[tmp_path / "models"], offline=True)


@pytest.fixture
def draw(world: Studio, tmp_path: Path) -> Draw:
    def run(model: str | Path, **params: Any) -> Outcome:
        world.catalog.refresh()
        asked = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "seed": 5, "model": str(model)}
        return run_pipeline("diffusion.txt2img", {**asked, **params}, tmp_path, studio=world)

    return run


def drawn(outcome: Outcome) -> bytes:
    assert outcome.state == "done", outcome.error
    return outcome.images[0].tobytes()


def component(folder: Path, name: str) -> Any:
    index = json.loads((folder / "model_index.json").read_text())
    return find_class(*index[name]).from_pretrained(str(folder / name), local_files_only=True)


def with_configs(folder: Path, place: Path) -> None:
    """Give the family of ``folder`` tiny configurations, as the bundled ones are: CLIP's tokenizers are among them."""
    shutil.copytree(folder, place, ignore=shutil.ignore_patterns("*.safetensors"))


def write(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, str(path))
    return path


def as_text(module: Any, prefix: str) -> dict[str, torch.Tensor]:
    """A text encoder as the all-in-one files of FLUX and SD3 hold it."""
    state = module.state_dict()
    inner = "" if "shared.weight" in state or any(key.startswith("text_model.") for key in state) else "text_model."
    return {f"{prefix}{inner}{key}": value for key, value in state.items() if key != "encoder.embed_tokens.weight"}


def whole(folder: Path, family: str) -> dict[str, torch.Tensor]:
    """The tensors of a whole checkpoint."""
    vae = ldm_layout.vae(component(folder, "vae"))
    if family == "sd2":
        found = ldm_layout.openclip(component(folder, "text_encoder"), "cond_stage_model.model.")
        return {**ldm_layout.unet(component(folder, "unet")), **vae, **found}
    found = dit_layout.published(component(folder, "transformer"), "model.diffusion_model.")
    found |= as_text(component(folder, "text_encoder"), "text_encoders.clip_l.transformer.")
    if family == "sd3":
        return {**found, **vae, **as_text(component(folder, "text_encoder_2"), "text_encoders.clip_g.transformer.")}
    found |= as_text(component(folder, "text_encoder_2"), "text_encoders.t5xxl.transformer.")
    return {**found, **{key.replace("first_stage_model.", "vae."): value for key, value in vae.items()}}


@pytest.mark.parametrize("family", ["sd2", "sd3", "flux"])
def test_a_whole_file_gives_the_pixels_of_its_folder(
    draw: Draw, made: Made, world: Studio, tmp_path: Path, family: str
) -> None:
    folder = made(family)
    with_configs(folder, tmp_path / "configs" / family)
    write(tmp_path / "models" / "checkpoints" / "v2_768.safetensors", whole(folder, family))
    world.catalog.refresh()
    entry = world.catalog.resolve("v2_768", "text_to_image")
    assert (entry.family, entry.lacks) == (family, ())
    assert drawn(draw("v2_768")) == drawn(draw(folder))


def test_a_pickled_checkpoint_gives_the_pixels_of_its_folder(draw: Draw, made: Made, tmp_path: Path) -> None:
    folder = made("sd2")
    with_configs(folder, tmp_path / "configs" / "sd2")
    (tmp_path / "models" / "checkpoints").mkdir()
    for name, legacy in (("zipped-768.ckpt", False), ("old-768.pt", True)):
        tensors = {"state_dict": whole(folder, "sd2"), "global_step": 875000, "optimizer": {"lr": 0.1}}
        file = tmp_path / "models" / "checkpoints" / name
        torch.save(tensors, file, _use_new_zipfile_serialization=not legacy)
        assert drawn(draw(name)) == drawn(draw(folder))


def test_a_folder_with_pickles_alone_gives_the_pixels_of_its_twin(draw: Draw, made: Made, tmp_path: Path) -> None:
    folder = made("sd2")
    twin = shutil.copytree(folder, tmp_path / "models" / "pickled")
    for file in twin.glob("*/*.safetensors"):
        tensors = load_file(file)
        if "vae" in file.parts:  # as the published ones still are
            old = (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn"))
            for new, name in old:
                tensors = {key.replace(f".{new}.", f".{name}."): value for key, value in tensors.items()}
        torch.save(tensors, file.with_suffix(".bin"))
        file.unlink()
    assert drawn(draw("pickled")) == drawn(draw(folder))


def test_eight_bit_weights_are_widened_and_scaled(tmp_path: Path, world: Studio) -> None:
    values = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    file = tmp_path / "a.safetensors"
    packed = {"net.a.weight": values.to(torch.float8_e4m3fn), "net.a.bias": torch.ones(2, dtype=torch.float16)}
    save_file({**packed, "net.a.scale_weight": torch.tensor(0.5), "net.scaled_fp8": torch.zeros(0)}, str(file))
    found = read_part(Part(file, "net."), torch.float32, model_files(world))
    assert set(found) == {"a.weight", "a.bias"}
    assert torch.equal(found["a.weight"], values * 0.5)
    assert {tensor.dtype for tensor in found.values()} == {torch.float32}


def with_t5_tokenizer(folder: Path, place: Path, work: Path) -> Path:
    """``folder`` with a tokenizer of T5's kind, trained here, in the place of the one it has."""
    import sentencepiece

    (work / "words.txt").write_text("a cat\na dog on a mat\nthe cat sat\n" * 40)
    sentencepiece.SentencePieceTrainer.train(
        input=str(work / "words.txt"),
        model_prefix=str(work / "spiece"),
        vocab_size=30,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    shutil.copytree(folder, place)
    shutil.rmtree(place / "tokenizer_2")
    (place / "tokenizer_2").mkdir()
    shutil.copy(work / "spiece.model", place / "tokenizer_2" / "spiece.model")
    index = json.loads((place / "model_index.json").read_text())
    (place / "model_index.json").write_text(
        json.dumps({**index, "tokenizer_2": ["transformers", "T5TokenizerFast"]}), encoding="utf-8"
    )
    return place


@pytest.fixture
def flux_pieces(made: Made, tmp_path: Path) -> Path:
    """The folder of a FLUX whose pieces lie as single files in ``models``, T5's tokenizer among them."""
    folder = with_t5_tokenizer(made("flux"), tmp_path / "flux", tmp_path)
    with_configs(folder, tmp_path / "configs" / "flux")
    shutil.rmtree(tmp_path / "configs" / "flux" / "tokenizer_2")
    models = tmp_path / "models"
    write(models / "diffusion_models" / "dev.safetensors", dit_layout.published(component(folder, "transformer")))
    write(models / "text_encoders" / "clip_l.safetensors", as_text(component(folder, "text_encoder"), ""))
    write(models / "text_encoders" / "t5xxl.safetensors", as_text(component(folder, "text_encoder_2"), ""))
    vae = ldm_layout.vae(component(folder, "vae"))
    write(models / "vae" / "ae.safetensors", {key.removeprefix("first_stage_model."): row for key, row in vae.items()})
    shutil.copytree(folder / "tokenizer_2", models / "tokenizers" / "t5")
    return folder


def test_a_denoiser_finds_its_other_parts_in_files(draw: Draw, flux_pieces: Path) -> None:
    assert drawn(draw("diffusion_models/dev.safetensors")) == drawn(draw(flux_pieces))


def test_a_denoiser_finds_its_other_parts_in_a_folder_of_its_family(
    draw: Draw, flux_pieces: Path, tmp_path: Path
) -> None:
    expected = drawn(draw(flux_pieces))
    models = tmp_path / "models"
    for name in ("text_encoders", "vae", "tokenizers"):
        shutil.rmtree(models / name)
    shutil.copytree(flux_pieces, models / "diffusers" / "flux")
    assert drawn(draw("diffusion_models/dev.safetensors")) == expected


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ("text_encoders/clip_l.safetensors", "lacks the text encoder CLIP L"),
        ("text_encoders/t5xxl.safetensors", "lacks the text encoder T5"),
        ("vae/ae.safetensors", "lacks the VAE"),
        ("tokenizers/t5/spiece.model", "lacks the tokenizer of T5"),
    ],
)
def test_what_a_denoiser_lacks_is_said_with_its_place(
    draw: Draw, flux_pieces: Path, tmp_path: Path, gone: str, words: str
) -> None:
    (tmp_path / "models" / gone).unlink()
    outcome = draw("diffusion_models/dev.safetensors")
    assert outcome.error is not None
    assert words in outcome.error.message
    assert "models/text_encoders/" in outcome.error.hint


def test_vaes_that_look_alike_are_told_apart_by_name(draw: Draw, flux_pieces: Path, tmp_path: Path) -> None:
    vae = tmp_path / "models" / "vae"
    shutil.copy(vae / "ae.safetensors", vae / "sd3_vae.safetensors")
    shutil.copy(vae / "ae.safetensors", vae / "mine.safetensors")
    assert draw("diffusion_models/dev.safetensors").state == "done"
    (vae / "ae.safetensors").rename(vae / "other.safetensors")
    outcome = draw("diffusion_models/dev.safetensors")
    assert outcome.error is not None
    assert "Any of mine.safetensors, other.safetensors may be the VAE" in outcome.error.message


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "BF16"])
def test_a_quantized_denoiser_draws_with_its_own_values(
    draw: Draw, flux_pieces: Path, world: Studio, tmp_path: Path, kind: str
) -> None:
    """GGUF, against a safetensors file of the values that its blocks stand for."""
    place = tmp_path / "models" / "diffusion_models"
    plain = load_file(place / "dev.safetensors")
    write(place / "widened.safetensors", write_gguf(place / "small.gguf", plain, kind))
    world.catalog.refresh()
    entry = world.catalog.resolve("small.gguf", "text_to_image")
    assert (entry.family, entry.lacks) == ("flux", ("text encoder", "VAE"))
    found = np.asarray(draw("small.gguf").images[0]).astype(int)
    assert np.abs(found - np.asarray(draw("widened.safetensors").images[0]).astype(int)).max() <= 1
    assert np.abs(found - np.asarray(draw("dev.safetensors").images[0]).astype(int)).max() > 0


def write_gguf(path: Path, tensors: dict[str, torch.Tensor], kind: str) -> dict[str, torch.Tensor]:
    """Write ``tensors`` with the matrices of the blocks quantized; the values that a reader gets back."""
    import gguf

    quantization = gguf.GGMLQuantizationType[kind]
    writer = gguf.GGUFWriter(path, "flux")
    back = dict(tensors)
    for name, tensor in tensors.items():
        values = tensor.float().numpy()
        if values.ndim == 2 and values.shape[1] % 32 == 0 and "blocks." in name:
            packed = gguf.quants.quantize(values, quantization)
            writer.add_tensor(name, packed, raw_dtype=quantization)
            back[name] = torch.from_numpy(gguf.quants.dequantize(packed, quantization))
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return back


@pytest.mark.parametrize("family", BORROWING)
def test_a_denoiser_takes_the_rest_from_a_folder_of_its_class(
    draw: Draw, made: Made, world: Studio, tmp_path: Path, family: str
) -> None:
    """The denoiser of the file is of another training than that of the folder."""
    shutil.copytree(made(family), tmp_path / "models" / "diffusers" / family)
    trained = shutil.copytree(made(family), tmp_path / "trained")
    denoiser = component(trained, "transformer")
    with torch.no_grad():
        for parameter in denoiser.parameters():
            parameter.mul_(1.25)
    denoiser.save_pretrained(str(trained / "transformer"))
    write(tmp_path / "models" / "unet" / "mine.safetensors", dit_layout.published(denoiser, "model.diffusion_model."))
    outcome = draw("mine")
    assert drawn(outcome) == drawn(draw(trained))
    assert drawn(outcome) != drawn(draw(f"diffusers/{family}"))
    assert f"Everything but the denoiser comes from {family}." in outcome.warnings
    entry = world.catalog.resolve("mine")
    assert entry.lacks == ("text encoder", "VAE")


def test_of_several_folders_the_one_of_the_same_size_is_taken(draw: Draw, made: Made, tmp_path: Path) -> None:
    folder = made("chroma")
    other = shutil.copytree(folder, tmp_path / "models" / "a_wider_one")
    config = json.loads((other / "transformer" / "config.json").read_text())
    (other / "transformer" / "config.json").write_text(json.dumps({**config, "approximator_hidden_dim": 64}))
    shutil.copytree(folder, tmp_path / "models" / "the_right_one")
    write(tmp_path / "models" / "unet" / "mine.safetensors", dit_layout.published(component(folder, "transformer")))
    assert "Everything but the denoiser comes from the_right_one." in draw("mine").warnings


def test_a_denoiser_without_a_folder_says_what_it_needs(draw: Draw, made: Made, tmp_path: Path) -> None:
    write(tmp_path / "models" / "mine.safetensors", dit_layout.published(component(made("chroma"), "transformer")))
    outcome = draw("mine")
    assert outcome.error is not None
    assert "holds its denoiser alone, a ChromaTransformer2DModel" in outcome.error.message
    assert "family chroma" in outcome.error.hint


@pytest.mark.parametrize(("family", "name"), SIZES)
def test_bundled_configurations_have_the_published_number_of_parameters(family: str, name: str) -> None:
    library, class_name = json.loads((CONFIGS / family / "model_index.json").read_text())[name]
    cls = find_class(library, class_name)
    folder = CONFIGS / family / name
    with torch.device("meta"):
        if library == "transformers":
            module = cls(cls.config_class.from_pretrained(str(folder)))
        else:
            module = cls.from_config(cls.load_config(str(folder)))
    assert sum(parameter.numel() for parameter in module.parameters()) == SIZES[family, name]


SD3_MEDIUM: dict[str, Any] = {}
SD35_MEDIUM = {"qk_norm": "rms_norm", "dual_attention_layers": tuple(range(13)), "pos_embed_max_size": 384}
SD35_LARGE = {"qk_norm": "rms_norm", "num_layers": 38, "num_attention_heads": 38, "caption_projection_dim": 2432}


@pytest.mark.parametrize(
    ("family", "changes", "kind"),
    [
        ("sd3", SD3_MEDIUM, "text_to_image"),
        ("sd3", SD35_MEDIUM, "text_to_image"),
        ("sd3", SD35_LARGE, "text_to_image"),
        ("flux", {"num_layers": 2, "num_single_layers": 2}, "text_to_image"),
        ("flux", {"guidance_embeds": False, "num_single_layers": 3}, "text_to_image"),
        ("flux", {"in_channels": 384, "out_channels": 64, "num_layers": 1, "num_single_layers": 1}, "inpaint"),
        ("flux", {"in_channels": 128, "out_channels": 64, "num_layers": 1, "num_single_layers": 1}, "image_to_image"),
    ],
)
def test_the_sizes_of_a_family_are_told_from_the_file(
    world: Studio, tmp_path: Path, family: str, changes: dict[str, Any], kind: str
) -> None:
    """At full width, without data: names and shapes are all that is looked at."""
    index = json.loads((CONFIGS / family / "model_index.json").read_text())
    cls = find_class(*index["transformer"])
    config = {**cls.load_config(str(CONFIGS / family / "transformer")), **changes}
    with torch.device("meta"):
        tensors = dit_layout.published(cls.from_config(config), "model.diffusion_model.")
    file = tmp_path / "models" / "big.safetensors"
    ldm_layout.write_header(file, tensors)
    found = world.catalog.resolve("big")
    assert (found.kind, found.family, found.lacks) == (kind, family, ("text encoder", "VAE"))
    shapes = model_files(world).shapes(file)
    inner = {name.removeprefix("model.diffusion_model."): shape for name, shape in shapes.items()}
    assert fits(index["transformer"][1], CONFIGS / family / "transformer", inner)


@pytest.mark.parametrize("family", ["flux", "sd3", *BORROWING])
def test_published_names_come_back_bit_for_bit(made: Made, family: str) -> None:
    module = component(made(family), "transformer")
    state = module.state_dict()
    found = convert(type(module), dit_layout.published(module), dict(module.config), set(state))
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)
