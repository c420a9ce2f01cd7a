"""The list of models: what is found, what references mean, what is refused, and that nothing is read twice."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.conftest import SD1, SD2, SDXL, write_folder, write_json, write_weights
from webui.catalog import catalog as catalog_module
from webui.catalog.catalog import Catalog, titles
from webui.core.errors import ModelError, NotFound
from webui.core.settings import ROOT, Settings
from webui.core.specs import ModelKind


def test_what_the_folders_hold(settings: Settings, models: Path) -> None:
    write_folder(models / "starter" / "avatar")
    write_folder(models / "diffusers" / "author" / "name")
    write_weights(models / "checkpoints" / "real.safetensors", SD1)
    write_weights(models / "checkpoints" / "xl" / "big.safetensors", SDXL)
    write_weights(models / "loras" / "style.safetensors", {"lora_unet_a.hada_w1_a": (1, 1)})
    (models / "checkpoints" / "old.ckpt").write_bytes(b"PK")
    (models / "checkpoints" / "notes.txt").write_text("no model")
    write_weights(models / ".cache" / "hidden.safetensors", SD1)
    found = {entry.ref: (entry.kind, entry.family, entry.format) for entry in Catalog(settings).entries()}
    assert found == {
        "checkpoints/old.ckpt": ("text_to_image", "", "single_file"),
        "checkpoints/real.safetensors": ("text_to_image", "sd1", "single_file"),
        "checkpoints/xl/big.safetensors": ("text_to_image", "sdxl", "single_file"),
        "diffusers/author/name": ("text_to_image", "sd1", "diffusers"),
        "loras/style.safetensors": ("lora", "", "single_file"),
        "starter/avatar": ("text_to_image", "sd1", "diffusers"),
    }


def test_a_missing_models_folder_is_an_empty_one(settings: Settings) -> None:
    assert Catalog(settings.model_copy(update={"models_dirs": (Path("/nowhere/at/all"),)})).entries() == ()


def test_the_cache_of_the_hub_may_be_a_models_folder(settings: Settings, tmp_path: Path) -> None:
    hub = tmp_path / "huggingface" / "hub"
    repository = hub / "models--author--name"
    write_folder(repository / "snapshots" / "0123abcd")
    weights = repository / "snapshots" / "0123abcd" / "unet" / "model.safetensors"
    (repository / "blobs").mkdir()
    blob = weights.rename(repository / "blobs" / "0a1b")
    weights.symlink_to(blob)
    (entry,) = Catalog(settings.model_copy(update={"models_dirs": (hub,)})).entries()
    assert (entry.title, entry.kind, entry.problem) == ("author/name", "text_to_image", "")
    assert entry.ref == "models--author--name/snapshots/0123abcd"


def test_references_are_unique_over_several_folders(settings: Settings, models: Path, tmp_path: Path) -> None:
    other = tmp_path / "more"
    write_weights(models / "checkpoints" / "a.safetensors", SD1)
    write_weights(other / "checkpoints" / "a.safetensors", SDXL)
    catalog = Catalog(settings.model_copy(update={"models_dirs": (models, other)}))
    assert [entry.ref for entry in catalog.entries()] == ["2:checkpoints/a.safetensors", "checkpoints/a.safetensors"]
    assert catalog.resolve("checkpoints/a.safetensors").family == "sd1"
    assert catalog.resolve("2:checkpoints/a.safetensors").family == "sdxl"
    with pytest.raises(ModelError, match="may mean any of"):
        catalog.resolve("a.safetensors")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + bytes(99), b"<html>" + bytes(99), (9).to_bytes(8, "little")])
def test_broken_files_are_listed_with_their_problem_and_never_resolved(
    settings: Settings, models: Path, content: bytes
) -> None:
    (models / "checkpoints").mkdir()
    (models / "checkpoints" / "bad.safetensors").write_bytes(content)
    catalog = Catalog(settings)
    (entry,) = catalog.entries("text_to_image")
    assert entry.problem
    assert not entry.usable
    assert catalog.default("text_to_image") is None
    with pytest.raises(ModelError, match="cannot be used"):
        catalog.resolve("bad")


def test_pickles_are_listed_and_not_run(settings: Settings, models: Path) -> None:
    (models / "checkpoints").mkdir()
    for name in ("a.ckpt", "b.pt", "c.pth"):
        (models / "checkpoints" / name).write_bytes(b"cos\nsystem\n(S'echo'\ntR.")
    assert all("would run os.system" in entry.problem for entry in Catalog(settings).entries())


@pytest.mark.parametrize(
    ("name", "yaml", "size"),
    [
        ("v2-1_768-ema-pruned", "", 768),
        ("v2-1_512-ema-pruned", "", 512),
        ("illuminati", "", 768),
        ("mine", "params: {parameterization: 'v'}", 768),
        ("mine-768", "params:\n  parameterization: eps", 512),
    ],
)
def test_what_sd2_predicts_is_told_beside_the_file(
    settings: Settings, models: Path, name: str, yaml: str, size: int
) -> None:
    write_weights(models / "checkpoints" / f"{name}.safetensors", SD2)
    if yaml:
        (models / "checkpoints" / f"{name}.yaml").write_text(yaml)
    (entry,) = Catalog(settings).entries("text_to_image")
    assert (entry.variant, entry.recommended["width"]) == ("v_prediction" if size == 768 else "", size)


def test_shared_components_count_for_the_model_and_its_hash(settings: Settings, models: Path) -> None:
    whole = write_folder(models / "starter" / "avatar")
    thin = write_folder(models / "starter" / "edit", index={"_shared": {"vae": "../avatar/vae"}})
    shutil.rmtree(thin / "vae")
    catalog = Catalog(settings)
    entry = catalog.resolve("starter/edit")
    before = catalog.hashed(entry).sha256
    write_weights(whole / "vae" / "model.safetensors", {"weight": (3, 3)})
    assert catalog.hashed(entry).sha256 != before
    write_json(
        thin / "model_index.json", {"_class_name": "X", "vae": ["diffusers", "V"], "_shared": {"vae": "../../v"}}
    )
    assert "not inside the folder above" in catalog.refresh()[1].problem


def test_links_are_followed_and_loops_end(settings: Settings, models: Path, tmp_path: Path) -> None:
    write_weights(tmp_path / "elsewhere" / "far.safetensors", SD1)
    (models / "checkpoints").mkdir()
    (models / "checkpoints" / "linked.safetensors").symlink_to(tmp_path / "elsewhere" / "far.safetensors")
    (models / "checkpoints" / "gone.safetensors").symlink_to(tmp_path / "nothing")
    (models / "checkpoints" / "loop").symlink_to(models)
    (models / "more").symlink_to(tmp_path / "elsewhere")
    entries = Catalog(settings).entries()
    refs = [entry.ref for entry in entries]
    assert refs == ["checkpoints/gone.safetensors", "checkpoints/linked.safetensors", "more/far.safetensors"]
    assert "No such file" in entries[0].problem


def test_what_a_reference_may_be(settings: Settings, models: Path) -> None:
    write_folder(models / "starter" / "avatar")
    write_json(models / "starter" / "avatar" / "lifelike.json", {"title": "Avatars"})
    write_weights(models / "checkpoints" / "real.safetensors", SD1)
    catalog = Catalog(settings)
    for ref in ("starter/avatar", "Avatars", "avatar", "Avatars [0123456789]", " Avatars "):
        assert catalog.resolve(ref, "text_to_image").ref == "starter/avatar"
    for ref in ("real", "real.safetensors", "checkpoints/real.safetensors"):
        assert catalog.resolve(ref).ref == "checkpoints/real.safetensors"
    hub = catalog.resolve("stabilityai/sd-turbo", "text_to_image")
    assert (hub.format, hub.path, hub.ref) == ("hub", None, "stabilityai/sd-turbo")
    assert catalog.resolve("stabilityai/sd-turbo@refs/pr/3").ref == "stabilityai/sd-turbo@refs/pr/3"


def test_what_is_not_there_suggests_what_is(settings: Settings, models: Path) -> None:
    write_weights(models / "checkpoints" / "real.safetensors", SD1)
    with pytest.raises(NotFound, match=r"Did you mean checkpoints/real\.safetensors"):
        Catalog(settings).resolve("checkpoints/reel.safetensors")
    with pytest.raises(NotFound, match="models list"):
        Catalog(settings).resolve("qqq")


@pytest.mark.parametrize(
    "ref", ["../../etc/passwd", "/etc/passwd", "..", "checkpoints/../../x", "~/secret", "~nobody/x", "a\0b"]
)
def test_paths_are_no_references_of_a_request(settings: Settings, ref: str) -> None:
    with pytest.raises(NotFound):
        Catalog(settings).resolve(ref)


def test_the_command_line_may_name_paths(settings: Settings, tmp_path: Path) -> None:
    file = write_weights(tmp_path / "far" / "real.safetensors", SD1)
    folder = write_folder(tmp_path / "far" / "model")
    catalog = Catalog(settings, allow_paths=True)
    assert catalog.resolve(str(file), "text_to_image").family == "sd1"
    assert catalog.resolve(str(folder)).format == "diffusers"
    assert catalog.resolve(catalog.resolve(str(folder)).ref).path == folder
    with pytest.raises(ModelError, match="neither"):
        catalog.resolve(str(tmp_path))
    with pytest.raises(NotFound):
        catalog.resolve(str(file), allow_paths=False)


def test_a_request_may_name_what_is_listed_by_its_path(
    settings: Settings, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(models / "starter" / "avatar")
    file = write_weights(models / "checkpoints" / "real.safetensors", SD1)
    far = write_weights(tmp_path / "far" / "real.safetensors", SD1)
    linked = models / "checkpoints" / "linked.safetensors"
    linked.symlink_to(far)
    catalog = Catalog(settings)
    assert catalog.resolve(str(folder)).ref == "starter/avatar"
    assert catalog.resolve(f"{folder}/../avatar/").ref == "starter/avatar"
    assert catalog.resolve(str(file)).ref == "checkpoints/real.safetensors"
    assert catalog.resolve(str(linked)).ref == "checkpoints/linked.safetensors"
    monkeypatch.chdir(models.parent)
    assert catalog.resolve(f"{models.name}/starter/avatar").ref == "starter/avatar"
    write_weights(tmp_path / "other" / "real.safetensors", SD1)
    for ref in (tmp_path / "other" / "real.safetensors", models / "starter", folder / "unet", models):
        with pytest.raises(NotFound):
            catalog.resolve(str(ref))


def test_another_kind_is_refused(settings: Settings, models: Path) -> None:
    write_weights(models / "loras" / "style.safetensors", {"lora_unet_a.hada_w1_a": (1, 1)})
    with pytest.raises(ModelError, match="is of kind LoRA; expected: text-to-image model"):
        Catalog(settings).resolve("style", "text_to_image")


def test_the_default_is_the_setting_then_the_starter_then_the_first(settings: Settings, models: Path) -> None:
    catalog = Catalog(settings)
    assert catalog.default("text_to_image") is None
    with pytest.raises(NotFound, match="There is no text-to-image model yet"):
        catalog.resolve("", "text_to_image")
    write_weights(models / "checkpoints" / "b.safetensors", SD1)
    write_weights(models / "checkpoints" / "a.safetensors", SD1)
    catalog.refresh()
    assert catalog.resolve("", "text_to_image").ref == "checkpoints/a.safetensors"
    write_folder(models / "starter" / "avatar")
    catalog.refresh()
    assert catalog.resolve("", "text_to_image").ref == "starter/avatar"
    chosen = settings.model_copy(update={"extensions": {"diffusion": {"default_text_to_image": "b"}}})
    assert Catalog(chosen).resolve("", "text_to_image").ref == "checkpoints/b.safetensors"
    gone = settings.model_copy(update={"extensions": {"diffusion": {"default_text_to_image": "no such"}}})
    assert Catalog(gone).resolve("", "text_to_image").ref == "starter/avatar"


def test_a_folder_recommends_by_its_configuration_and_its_own_word(settings: Settings, models: Path) -> None:
    folder = write_folder(models / "starter" / "avatar")
    entry = Catalog(settings).resolve("starter/avatar")
    assert entry.recommended == {"width": 128, "height": 128}
    assert entry.variant == "v_prediction"
    example = {"title": "One", "prompt": "a person"}
    write_json(
        folder / "lifelike.json",
        {"title": "Avatars", "recommended": {"guidance_scale": 5.0, "steps": 20}, "examples": [example, 3]},
    )
    entry = Catalog(settings).resolve("starter/avatar")
    assert entry.title == "Avatars"
    assert entry.recommended == {"width": 128, "height": 128, "guidance_scale": 5.0, "steps": 20}
    assert entry.examples == (example,)


@pytest.mark.parametrize(
    ("index", "unet", "kind", "words"),
    [
        ({}, {"in_channels": 9}, "inpaint", ""),
        ({"_class_name": "StableDiffusionXLImg2ImgPipeline"}, {}, "image_to_image", ""),
        ({"_class_name": "LattePipeline"}, {}, "video", ""),
        ({"_class_name": "StableDiffusionControlNetPipeline"}, {}, "controlnet", ""),
        ({"_class_name": ["pipeline", "Mine"]}, {}, "unknown", "code of its own"),
        ({"_class_name": None}, {}, "unknown", "names no class"),
        ({"movq": ["diffusers", "VQModel"]}, {}, "text_to_image", "there is no folder movq"),
    ],
)
def test_folders_that_are_something_else(
    settings: Settings, models: Path, index: Mapping[str, Any], unet: Mapping[str, Any], kind: str, words: str
) -> None:
    write_folder(models / "m", index=index, unet=unet)
    (entry,) = Catalog(settings).entries()
    assert entry.kind == kind
    assert words in entry.problem
    assert bool(entry.problem) == bool(words)


def test_damaged_folders_say_where(settings: Settings, models: Path) -> None:
    folder = write_folder(models / "m")
    weights = folder / "unet" / "model.safetensors"
    whole = weights.read_bytes()
    catalog = Catalog(settings)
    weights.write_bytes(whole[:-1])
    assert "unet/model.safetensors" in catalog.refresh()[0].problem
    weights.unlink()
    assert "neither safetensors nor .bin" in catalog.refresh()[0].problem
    (folder / "unet" / "model.bin").write_bytes(b"PK")
    assert "unet/model.bin" in catalog.refresh()[0].problem
    (folder / "model_index.json").write_text("{")
    assert "cannot be read" in catalog.refresh()[0].problem


def test_what_did_not_change_is_not_opened_again(
    settings: Settings, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        write_weights(models / "checkpoints" / f"{name}.safetensors", SD1)
    opened: list[str] = []
    read = catalog_module.read_header

    def counting(path: Path) -> Any:
        opened.append(path.stem)
        return read(path)

    monkeypatch.setattr(catalog_module, "read_header", counting)
    catalog = Catalog(settings)
    catalog.entries()
    assert opened == ["a", "b", "c"]
    write_weights(models / "checkpoints" / "b.safetensors", SDXL)
    os.utime(models / "checkpoints" / "b.safetensors", ns=(1, 1))
    catalog.refresh()
    assert opened == ["a", "b", "c", "b"]


def test_another_process_opens_only_what_changed(
    settings: Settings, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(models / "starter" / "avatar")
    write_weights(models / "checkpoints" / "a.safetensors", SD1)
    (models / "checkpoints" / "bad.ckpt").write_bytes(b"<html>")
    before = Catalog(settings).entries()
    opened: list[str] = []
    monkeypatch.setattr(catalog_module, "recognise", lambda header: opened.append("opened"))
    assert Catalog(settings).entries() == before
    assert not opened
    (settings.data_dir / "cache" / "models.json").write_text('{"version": 1}')
    monkeypatch.undo()
    assert Catalog(settings).entries() == before


def test_what_is_gone_leaves_the_list(settings: Settings, models: Path) -> None:
    file = write_weights(models / "a.safetensors", SD1)
    catalog = Catalog(settings)
    assert len(catalog.entries()) == 1
    file.unlink()
    assert catalog.refresh() == ()
    assert Catalog(settings).entries() == ()


def test_hashes_are_of_the_weights_and_computed_once(
    settings: Settings, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_weights(models / "checkpoints" / "a.safetensors", SD1)
    folder = write_folder(models / "starter" / "avatar")
    catalog = Catalog(settings)
    entry = catalog.resolve("a")
    assert entry.sha256 == ""
    assert catalog.hashed(entry).sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    first = catalog.hashed(catalog.resolve("starter/avatar")).sha256
    assert len(first) == 64
    monkeypatch.setattr(hashlib, "file_digest", None)  # a second reading would fail
    later = Catalog(settings)
    assert later.hashed(later.resolve("starter/avatar")).sha256 == first
    assert later.resolve("a").sha256 == catalog.hashed(entry).sha256
    monkeypatch.undo()
    write_weights(folder / "unet" / "model.safetensors", {"weight": (3, 3)})
    later.refresh()
    assert later.hashed(later.resolve("starter/avatar")).sha256 != first


def test_a_damaged_table_of_hashes_is_begun_anew(settings: Settings, models: Path) -> None:
    write_weights(models / "checkpoints" / "a.safetensors", SD1)
    store = settings.data_dir / "cache" / "model_hashes.json"
    store.parent.mkdir(parents=True)
    store.write_text("no json")
    catalog = Catalog(settings)
    assert len(catalog.hashed(catalog.resolve("a")).sha256) == 64
    assert store.read_text().startswith("{")


def test_an_extension_may_know_more_and_its_fault_hides_nothing(settings: Settings, models: Path) -> None:
    write_weights(models / "checkpoints" / "a.safetensors", SD1)
    write_weights(models / "gans" / "g.safetensors", {"mapping.w": (1, 1)})

    def broken(path: Path) -> Mapping[str, Any]:
        raise RuntimeError("no")

    def gan(path: Path) -> Mapping[str, Any] | None:
        return {"title": "A GAN", "family": "gan", "recommended": {"width": 64}} if path.stem == "g" else None

    def tokenized(path: Path) -> Mapping[str, Any]:
        return {"tokenizer": "/clip"}

    kinds = [
        ModelKind("text_to_image", "T", recognise=broken),
        ModelKind("text_to_image", "T", recognise=tokenized),
        ModelKind("gan", "GAN", folders=("gans",), recognise=gan),
    ]
    catalog = Catalog(settings, kinds)
    assert catalog.resolve("a").tokenizer == Path("/clip")
    entry = catalog.resolve("g", "gan")
    assert (entry.kind, entry.title, entry.family, entry.recommended) == ("gan", "A GAN", "gan", {"width": 64})


def test_a_file_of_a_common_name_is_called_by_its_folder(settings: Settings, models: Path) -> None:
    shapes = {"controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3)}
    for name in ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors"):
        write_weights(models / "controlnet" / "canny" / name, shapes)
    assert {entry.title for entry in Catalog(settings).entries("controlnet")} == {"canny"}


def test_labels_that_two_share_are_told_apart(settings: Settings, models: Path) -> None:
    write_weights(models / "a" / "same.safetensors", SD1)
    write_weights(models / "b" / "same.safetensors", SD1)
    write_weights(models / "b" / "other.safetensors", SD1)
    assert titles(Catalog(settings).entries()) == [
        ("a/same.safetensors", "same (a/same.safetensors)"),
        ("b/other.safetensors", "other"),
        ("b/same.safetensors", "same (b/same.safetensors)"),
    ]


def test_the_catalog_imports_nothing_heavy() -> None:
    code = "import sys, webui.catalog.catalog, webui.catalog.tokens; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(done.stdout.split())
    assert not loaded & {"torch", "diffusers", "transformers", "safetensors", "gradio", "numpy"}
