"""Random networks in each format come back with equal outputs; what would run code does not."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from extensions.gan.formats.loading import Loaded, load
from extensions.gan.formats.own import write_own
from extensions.gan.networks.registry import PRESETS, build
from extensions.gan.recognise import declared, recognise_codes, recognise_gan
from extensions.gan.tests import layouts
from webui.api import ModelError
from webui.testing import make_studio, model_files

NARROW = {"z_dim": 16, "w_dim": 16, "channel_base": 256, "channel_max": 16}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "models" / "gan"
    place.mkdir(parents=True)
    return place


def opened(folder: Path, kind: str = "gan") -> tuple[Any, Loaded]:
    """The one model of the folder as the catalog lists it, and its network."""
    studio = make_studio(folder.parent.parent / "data", models_dirs=[folder.parent])
    (entry,) = studio.catalog.entries()
    assert not entry.problem, entry.problem
    assert entry.kind == kind
    return entry, load(model_files(studio), entry.path, entry.family)


def settled(network: nn.Module) -> nn.Module:
    """Random buffers and strengths too, so that a forgotten one shows."""
    generator = torch.Generator().manual_seed(7)
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if name.endswith(("noise_strength", "w_avg", ".bias", "magnitude_ema", "gamma")):
            with torch.no_grad():
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
        if name.endswith(("running_mean", "running_means")):
            tensor.normal_(generator=generator)
    return network.eval()


def same(ours: nn.Module, found: nn.Module, *arguments: Any) -> None:
    with torch.no_grad():
        torch.testing.assert_close(found(*arguments), ours(*arguments), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("c_dim", [0, 3])
def test_stylegan2_ada_pickles(folder: Path, protocol: int, c_dim: int) -> None:
    from extensions.gan.networks.stylegan2 import StyleGAN2Generator

    ours = settled(StyleGAN2Generator(16, c_dim=c_dim, conv_clamp=0.7, **NARROW))
    kwargs = {
        "img_resolution": 16,
        "synthesis_kwargs": layouts.EasyDict(channel_base=256, channel_max=16, conv_clamp=0.7),
    }
    layouts.persistent_pickle(folder / "net.pkl", ours, kwargs, protocol=protocol)
    entry, found = opened(folder)
    assert entry.family == "stylegan2"
    assert found.config["conv_clamp"] == 0.7
    condition = torch.eye(3)[:2] if c_dim else None
    same(ours, found.network, torch.randn(2, 16), condition, 0.7, 3)


@pytest.mark.parametrize("kwargs", [{}, {"kernel": 1, "radial": True}])
def test_stylegan3_pickles(folder: Path, kwargs: dict[str, Any]) -> None:
    from extensions.gan.networks.stylegan3 import StyleGAN3Generator

    ours = settled(StyleGAN3Generator(16, **NARROW, **kwargs))
    said = {"conv_kernel": 1, "use_radial_filters": True} if kwargs else {}
    layouts.persistent_pickle(folder / "net.pkl", ours, {"synthesis_kwargs": layouts.EasyDict(said)})
    entry, found = opened(folder)
    assert entry.family == "stylegan3"
    same(ours, found.network, torch.randn(2, 16))


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"synthesis_kwargs": {"architecture": "resnet"}}, "architecture='skip'"),
        ({"architecture": "orig"}, "architecture='skip'"),
        ({"mapping_kwargs": {"lr_multiplier": 0.1}}, r"lr_multiplier=0\.01"),
    ],
)
def test_a_pickle_of_another_architecture_is_told(folder: Path, kwargs: dict[str, Any], words: str) -> None:
    from extensions.gan.networks.stylegan2 import StyleGAN2Generator

    layouts.persistent_pickle(folder / "net.pkl", StyleGAN2Generator(8, **NARROW), kwargs)
    with pytest.raises(ModelError, match=words):
        opened(folder)


def test_source_in_a_pickle_is_never_run(folder: Path, tmp_path: Path) -> None:
    from extensions.gan.networks.stylegan2 import StyleGAN2Generator

    canary = tmp_path / "canary"
    ours = settled(StyleGAN2Generator(8, **NARROW))
    source = f"open({str(canary)!r}, 'w').close()"
    layouts.persistent_pickle(folder / "net.pkl", ours, {}, source=source)
    _, found = opened(folder)
    assert not canary.exists()
    same(ours, found.network, torch.randn(2, 16))
    with layouts.foreign_modules():  # the attack is real: an ordinary unpickler runs it
        pickle.loads((folder / "net.pkl").read_bytes())
    assert canary.exists()


class Reduced:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("function", [os.system, exec])
def test_calls_in_a_pickle_are_refused(folder: Path, tmp_path: Path, function: Any) -> None:
    from extensions.gan.networks.stylegan2 import StyleGAN2Generator

    canary = tmp_path / "canary"
    text = f"touch {canary}" if function is os.system else f"open({str(canary)!r}, 'w').close()"
    layouts.persistent_pickle(
        folder / "net.pkl", StyleGAN2Generator(8, **NARROW), {}, augment_pipe=Reduced(function, text)
    )
    studio = make_studio(tmp_path / "data", models_dirs=[folder.parent])
    (entry,) = studio.catalog.entries()
    assert "would run" in entry.problem
    with pytest.raises(ModelError, match="would run"):
        load(model_files(studio), folder / "net.pkl", "stylegan2")
    assert not canary.exists()


@pytest.mark.parametrize("centred", [True, False])
def test_rosinality_checkpoints(folder: Path, centred: bool) -> None:
    from extensions.gan.networks.stylegan2 import StyleGAN2Generator

    ours = settled(StyleGAN2Generator(16, **NARROW))
    table = layouts.to_rosinality(ours.state_dict(), 16)
    if not centred:
        del table["latent_avg"]
    torch.save(table, folder / "550000.pt")
    entry, found = opened(folder)
    assert entry.family == "stylegan2_rosinality"
    same(ours, found.network, torch.randn(2, 16), None, 0.5 if centred else 1.0)
    if not centred:  # derived: near the mean of other points
        mean = ours.mapping(torch.randn(5000, 16))[:, 0].mean(0).detach()
        assert float((found.network.mapping.w_avg - mean).norm()) < 0.1 * float(mean.norm())


def test_biggan_deep_of_hugging_face(folder: Path) -> None:
    layers = [[False, 2, 2], [True, 2, 1]]
    config = {"layers": layers, "z_dim": 8, "classes": 4, "width": 16, "attention_at": 1, "statistics": 51}
    ours = settled(build("biggan_deep", config))
    torch.save(layouts.to_hugging_face(ours), folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="no configuration beside"):
        opened(folder)
    said = {
        "layers": layers,
        "z_dim": 8,
        "num_classes": 4,
        "channel_width": 16,
        "attention_layer_position": 1,
        "n_stats": 51,
        "eps": 1e-4,
    }
    (folder / "config.json").write_text(json.dumps(said))
    entry, found = opened(folder)
    assert entry.family == "biggan_deep"
    same(ours, found.network, torch.randn(2, 8), torch.eye(4)[:2], 0.4)


def test_dcgan_of_the_examples(folder: Path) -> None:
    ours = settled(build("dcgan", {"resolution": 32, "z_dim": 10, "width": 8}))
    torch.save(ours.state_dict(), folder / "netG_epoch_24.pth")
    entry, found = opened(folder)
    assert entry.family == "dcgan"
    assert found.config == {"resolution": 32, "z_dim": 10, "width": 8, "channels": 3}
    same(ours, found.network, torch.randn(2, 10))


TAMING = {
    "model": {
        "target": "taming.models.cond_transformer.Net2NetTransformer",
        "params": {
            "transformer_config": {"params": {"n_head": 2}},
            "first_stage_config": {"params": {"ddconfig": {"resolution": 16}}},
            "cond_stage_config": {"target": "taming.modules.util.Labelator", "params": {"n_classes": 5}},
        },
    }
}


@pytest.mark.parametrize("with_prior", [True, False])
def test_taming_checkpoints(folder: Path, with_prior: bool) -> None:
    import yaml

    autoencoder = {"resolution": 16, "widths": [32, 64], "layers": 1, "latent_channels": 8, "codes": 12, "code_dim": 8}
    config: dict[str, Any] = {"autoencoder": autoencoder}
    if with_prior:
        config["prior"] = {"width": 16, "blocks": 2, "heads": 2}
        config["conditioning"] = {"kind": "class", "classes": 5, "offset": 0}
    ours = settled(build("vqgan", config))
    first = layouts.to_taming(ours.autoencoder.model.state_dict(), 2)
    if with_prior:
        table = {f"first_stage_model.{key}": value for key, value in first.items()}
        table |= {f"transformer.{key}": value for key, value in ours.prior.state_dict().items()}
        table["transformer.blocks.0.attn.mask"] = torch.ones(1, 1, 64, 64)
    else:
        table = {**first, "loss.discriminator.main.0.weight": torch.zeros(1)}
    torch.save({"state_dict": table, "epoch": 3}, folder / "last.ckpt")
    said = TAMING if with_prior else {"model": {"params": {"ddconfig": {"resolution": 16}}}}
    (folder / "last.yaml").write_text(yaml.safe_dump(said))
    entry, found = opened(folder, "vqgan")
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    codes = ours.autoencoder.encode(images)
    assert torch.equal(found.network.autoencoder.encode(images), codes)
    same(ours.autoencoder.decode, found.network.autoencoder.decode, codes)
    if with_prior:
        assert entry.family == "taming_prior"
        tokens = ours.condition(2, label=3)
        assert torch.equal(tokens, torch.full((2, 1), 3))
        same(ours.prior, found.network.prior, torch.cat([tokens, codes.flatten(1)], 1)[:, :-1])
    else:
        assert found.network.prior is None


def test_a_prior_that_needs_more_than_a_class_is_refused(folder: Path) -> None:
    import yaml

    ours = build("vqgan", {**PRESETS["vqgan-64"][1]})
    first = layouts.to_taming(ours.autoencoder.model.state_dict(), 4)
    table = {f"first_stage_model.{key}": value for key, value in first.items()}
    table |= {f"transformer.{key}": value for key, value in ours.prior.state_dict().items()}
    torch.save({"state_dict": table}, folder / "last.ckpt")
    with pytest.raises(ModelError, match=r"last\.yaml"):
        opened(folder, "vqgan")
    said = {"model": {"params": {"cond_stage_config": {"target": "taming.models.vqgan.VQSegmentationModel"}}}}
    (folder / "last.yaml").write_text(yaml.safe_dump(said))
    with pytest.raises(ModelError, match="VQSegmentationModel"):
        opened(folder, "vqgan")


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_our_own_format(folder: Path, preset: str) -> None:
    family, config = PRESETS[preset]
    torch.manual_seed(0)
    ours = settled(build(family, config))
    write_own(folder / "mine.safetensors", ours, family, {**config, "title": "My faces"})
    entry, found = opened(folder, "vqgan" if family in ("vqgan", "vqvae") else "gan")
    assert (entry.family, entry.title) == (family, "My faces")
    assert found.family == family
    for (name, one), (other_name, other) in zip(
        ours.state_dict().items(), found.network.state_dict().items(), strict=True
    ):
        assert name == other_name
        assert torch.equal(one, other), name


def test_our_own_format_in_16_bits(folder: Path) -> None:
    family, config = PRESETS["dcgan-64"]
    ours = settled(build(family, config))
    write_own(folder / "mine.safetensors", ours, family, config, half=True)
    assert (folder / "mine.safetensors").stat().st_size < 2.1 * sum(p.numel() for p in ours.parameters())
    _, found = opened(folder)
    with torch.no_grad():
        z = torch.randn(2, 100)
        assert float((found.network(z) - ours(z)).abs().max()) < 0.01
        next(ours.parameters()).fill_(1e6)
    with pytest.raises(ModelError, match="beyond float16"):
        write_own(folder / "mine.safetensors", ours, family, config, half=True)


def test_headers_that_lie_are_nothing(tmp_path: Path) -> None:
    def written(about: dict[str, str]) -> Path:
        raw = json.dumps({"__metadata__": about}).encode()
        path = tmp_path / "a.safetensors"
        path.write_bytes(len(raw).to_bytes(8, "little") + raw)
        return path

    good = {"lifelike.family": "dcgan", "lifelike.config": "{}"}
    assert declared(written(good)) == ("dcgan", {})
    assert recognise_gan(written(good)) == {"family": "dcgan"}
    assert recognise_codes(written(good)) is None
    for bad in (
        {**good, "lifelike.config": "[]"},
        {**good, "lifelike.config": "{"},
        {**good, "lifelike.family": "os"},
        {},
    ):
        assert declared(written(bad)) is None
    (tmp_path / "b.safetensors").write_bytes(b"\xff" * 40)
    assert declared(tmp_path / "b.safetensors") is None


def test_a_configuration_beside_the_file_is_read(folder: Path) -> None:
    from safetensors.torch import save_file

    family, config = PRESETS["dcgan-64"]
    ours = settled(build(family, config))
    save_file(ours.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"architecture": family, "config": {**config, "title": "Beside"}}))
    entry, found = opened(folder)
    assert entry.title == "Beside"
    same(ours, found.network, torch.randn(2, 100))


def test_a_configuration_that_does_not_fit_is_told(folder: Path) -> None:
    family, config = PRESETS["dcgan-64"]
    write_own(folder / "mine.safetensors", build(family, config), family, {**config, "width": 16})
    with pytest.raises(ModelError, match="does not fit DCGAN"):
        opened(folder)
