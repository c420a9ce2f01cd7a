"""Training: tiny runs of every kind, going on exactly, what is written and warned of."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from extensions.gan.formats.loading import load
from extensions.gan.params_training import TrainParams
from extensions.gan.pipelines.training import recipe_of
from extensions.gan.recipe import Recipe, presets
from extensions.gan.tasks.adversarial import Adversarial
from extensions.gan.tasks.choosing import task_for
from extensions.gan.tasks.common import Setting
from extensions.gan.tasks.run import Measure, Run
from extensions.gan.tasks.sources import FolderRows
from extensions.gan.training.augment import Adaptive, diff_augment
from extensions.gan.training.average import Average
from extensions.gan.training.curves import drawn, plot
from extensions.gan.training.data import Batches, PictureArray, opened, squared, write_array
from extensions.gan.training.frechet import Moments, frechet_distance
from extensions.gan.training.loop import CHECKPOINT, Diverged, Hooks, Loop, read_log
from extensions.gan.training.machine import Machine
from extensions.gan.training.watch import Watch
from webui.api import ParameterError, validate
from webui.testing import make_studio, run_pipeline

CPU = torch.device("cpu")
SMALL = {"resolution": 16, "z_dim": 8, "w_dim": 8, "mapping_layers": 1, "channel_base": 128, "channel_max": 8}
CODES: dict[str, Any] = {
    "autoencoder": {"resolution": 16, "width": 8, "codes": 16, "code_dim": 4},
    "prior": {"width": 16, "blocks": 1, "heads": 2},
    "conditioning": {"kind": "class", "classes": 2},
}
GAN_OF_CODES: dict[str, Any] = {
    **CODES,
    "autoencoder": {
        "resolution": 16,
        "widths": [8, 8],
        "layers": 1,
        "latent_channels": 4,
        "codes": 16,
        "code_dim": 4,
        "groups": 4,
    },
}
RECIPES: Mapping[str, dict[str, Any]] = {
    "stylegan2": {
        "family": "stylegan2",
        "network": SMALL,
        "gamma": 1.0,
        "penalty_every": 2,
        "path_weight": 2.0,
        "path_every": 2,
        "augment": "ada",
        "flip": True,
    },
    "stylegan2 anchored": {
        "family": "stylegan2",
        "network": SMALL,
        "noise": False,
        "anchor": 10.0,
        "adversarial_from": 0.4,
        "path_weight": 2.0,
        "path_every": 2,
    },
    "dcgan": {"family": "dcgan", "network": {"resolution": 16, "z_dim": 8, "width": 4}, "critic": {"width": 4}},
    "biggan": {
        "family": "biggan",
        "network": {"resolution": 32, "width": 2, "z_dim": 8, "classes": 2, "shared_dim": 4, "attention": 0},
        "loss": "hinge",
        "critic_steps": 2,
        "augment": "diffaugment",
    },
    "vae": {"family": "vae", "network": {"resolution": 16, "z_dim": 4, "channel_base": 128, "channel_max": 8}},
    "vqvae": {"family": "vqvae", "network": CODES, "prior_batch": 4, "prior_share": 0.5},
    "vqgan": {
        "family": "vqgan",
        "network": GAN_OF_CODES,
        "critic": {"width": 8, "layers": 1},
        "adversarial": 0.5,
        "adversarial_from": 0.0,
        "prior_batch": 4,
        "prior_share": 0.5,
    },
}


def recipe(name: str, **more: Any) -> Recipe:
    return Recipe.model_validate({"title": name, "batch": 4, **RECIPES[name], **more})


def pictures(size: int = 16, count: int = 12) -> PictureArray:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (count, 3, 1, 1), dtype=np.uint8) * np.ones((1, 1, size, size), np.uint8)
    pixels[:, :, size // 2 :] = 255 - pixels[:, :, size // 2 :]
    return PictureArray(pixels, np.arange(count) % 2, ("a", "b"))


def setting(name: str, steps: int = 4, *, aided: bool = False, **more: Any) -> Setting:
    chosen = recipe(name, **more)
    return Setting(chosen, pictures(chosen.resolution), Machine.of(CPU), 5, steps, blurs if aided else None)


def blurs(images: Tensor) -> list[Tensor]:
    """Layers of a network that has two of 16 px, and one of 8 and of 4."""
    return [images, images.tanh(), *(torch.nn.functional.avg_pool2d(images, size) for size in (2, 4))]


@pytest.mark.parametrize(("name", "aided"), [*((name, False) for name in RECIPES), ("stylegan2", True)])
def test_a_run_that_goes_on_is_the_run_that_never_stopped(name: str, aided: bool, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, all_: int, pace: float) -> None:
        if done == 3:
            raise Stop

    whole = Run(setting(name, 6, aided=aided), tmp_path / "whole", reports=2)
    assert not whole.run()
    with pytest.raises(Stop):
        Run(setting(name, 6, aided=aided), tmp_path / "parts", reports=2, step=stop).run()
    parts = Run(setting(name, 6, aided=aided), tmp_path / "parts", reports=2)
    assert parts.run()
    one, other = ({row["step"]: row for row in read_log(tmp_path / folder)} for folder in ("whole", "parts"))
    assert one[6] == other[6]
    assert any(key.startswith("loss") for key in whole.loop.rows()[0])
    for mine, theirs in zip(whole.task.finished()[0].parameters(), parts.task.finished()[0].parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_noise_that_a_recipe_leaves_out_stays_out() -> None:
    def strengths(noise: bool) -> list[float]:
        task = Adversarial(setting("stylegan2", noise=noise))
        for step in range(2):
            task.step(step)
        return [p.item() for name, p in task.generator.named_parameters() if name.endswith("noise_strength")]

    assert set(strengths(False)) == {0.0}
    assert all(strengths(True))


def test_an_anchored_generator_learns_before_its_discriminator_joins() -> None:
    task = Adversarial(setting("stylegan2 anchored", 60, rate=0.01, betas=(0.8, 0.99), path_weight=0.0))
    told = [task.step(step) for step in range(24)]
    assert float(told[23]["loss_anchor"]) < 0.8 * float(told[0]["loss_anchor"])
    assert not any("loss_discriminator" in row for row in told)
    assert "loss_discriminator" in task.step(24)


def test_only_a_space_of_styles_is_anchored() -> None:
    with pytest.raises(TypeError, match="expected a StyleGAN2"):
        Adversarial(setting("dcgan", anchor=1.0))


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_trained_is_read_as_a_model(name: str, tmp_path: Path) -> None:
    class Files:
        def open_weights(self, path: Path, prefixes: Any = ("",)) -> dict[str, Tensor]:
            from safetensors.torch import load_file

            return load_file(path)

        def values(self, path: Path, prefix: str = "") -> Mapping[str, Any]:
            return {}

    run = Run(setting(name, 2), tmp_path, reports=1, half=False)
    run.run()
    path, row = run.kept(best=True)
    assert row["step"] == 2
    loaded = load(Files(), path, name)
    assert loaded.config["title"] == name
    for key, tensor in run.task.finished()[0].state_dict().items():
        assert torch.equal(loaded.network.state_dict()[key], tensor), key


@pytest.mark.parametrize("loss", ["nonsaturating", "hinge", "wgan-gp", "r3gan"])
def test_every_loss_moves_both_networks(loss: str) -> None:
    task = task_for(setting("stylegan2", loss=loss, path_weight=0.0, penalty_every=1, mixing=0.0))
    before = {name: [p.clone() for p in net.parameters()] for name, net in task.modules.items()}
    told = task.step(0)
    assert float(told["penalty"]) >= 0
    for name, network in task.modules.items():
        moved = [not torch.equal(old, new) for old, new in zip(before[name], network.parameters(), strict=True)]
        assert sum(moved) > len(moved) // 2, name


def test_a_second_discriminator_sees_each_scale_once_and_pulls_the_generator() -> None:
    task = task_for(setting("dcgan", aided=True, aide_rate=0.01))
    assert isinstance(task, Adversarial)
    assert task.aide is not None
    assert task.aide.heads.channels == (3, 3, 3)
    with pytest.raises(ValueError, match="expected layers of"):
        task.aide.heads([torch.zeros(1, 4, 2, 2)])
    real = pictures(16).images(np.arange(8))
    fake = real.flip(0) * 0.2  # paler than what is real
    for step in range(80):
        told = task.aide.learn(real, fake, step)
    assert float(told) < 1.7  # 2 where it tells nothing
    moved = fake.clone().requires_grad_(True)
    task.aide.loss(moved, 0).backward()
    assert moved.grad is not None
    with torch.no_grad():
        better = fake - 20 * moved.grad
        assert task.aide.loss(better, 0) < task.aide.loss(fake, 0)
    before = [p.clone() for p in task.aide.heads.parameters()]
    assert {"loss_aide", "loss_generator"} <= task.step(0).keys()
    assert any(not torch.equal(one, other) for one, other in zip(before, task.aide.heads.parameters(), strict=True))


def test_two_colours_are_learned(tmp_path: Path) -> None:
    """A VAE of pictures of two colours each: the error falls by a quarter within a few steps."""
    run = Run(setting("vae", 60, rate=0.01), tmp_path, reports=1)
    run.run()
    told = [row["psnr_db"] for row in run.loop.rows() if "psnr_db" in row]
    assert told[-1] > told[0] + 1.2


def test_the_weights_with_the_least_distance_are_kept(tmp_path: Path) -> None:
    calls = iter([9.0, 1.0, 1.0 + 1e-3, 5.0])
    real: list[float] = []

    def features(images: Tensor) -> np.ndarray:
        value = 0.0 if not real else next(calls)
        real.append(value)
        return np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32) + value

    run = Run(setting("dcgan", 4), tmp_path, reports=4, measure=Measure(features, "FD-x", 32))
    run.run()
    path, row = run.kept(best=True)
    assert (path.name, row["step"]) == ("best.safetensors", 2)
    assert run.kept(best=False)[1]["step"] == 4
    assert row["distance"] == pytest.approx(2.0, abs=1e-6)


class Breaking:
    """A task whose weight stops being a number."""

    def __init__(self, at: int) -> None:
        self.at, self.weight = at, torch.nn.Linear(1, 1)

    @property
    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {"weight": self.weight}

    def step(self, step: int) -> Mapping[str, Tensor]:
        if step == self.at:
            self.weight.weight.data.fill_(float("nan"))
        return {"loss": self.weight.weight.detach().sum()}

    def state(self) -> dict[str, Any]:
        return {"weight": self.weight.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.weight.load_state_dict(state["weight"])


def test_a_checkpoint_never_holds_what_is_no_number(tmp_path: Path) -> None:
    loop = Loop(Breaking(5), Machine.of(CPU), tmp_path, 10, 1, Hooks(), log_every=1, save_every=3)
    with pytest.raises(Diverged, match="step 6: loss is not finite"):
        loop.run()
    again = Loop(Breaking(99), Machine.of(CPU), tmp_path, 10, 1)
    assert again.resume()
    assert again.step == 3
    assert torch.isfinite(again.task.modules["weight"].weight).all()
    assert [row["step"] for row in again.rows()] == [1, 2, 3]
    assert not list(tmp_path.glob("*.tmp"))
    assert (tmp_path / CHECKPOINT).is_file()


def test_warnings_of_explosion_and_collapse_come_once() -> None:
    watch = Watch()
    quiet = [*(words for step in range(20) for words in watch.losses({"step": step, "loss_generator": 1.0 + step % 3}))]
    assert not quiet
    assert "diverging" in next(watch.losses({"step": 21, "loss_generator": 500.0}))
    assert not list(watch.losses({"step": 22, "loss_generator": 900.0}))
    assert not list(watch.diversity(10, "pixels", 0.4, 0.5))
    assert "collapsing" in next(watch.diversity(20, "pixels", 0.05, 0.5))
    assert not list(watch.diversity(30, "pixels", 0.04, 0.5))


def test_the_frechet_distance_is_that_of_normal_distributions() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(0, 1, (40_000, 3)), rng.normal(2, 3, (40_000, 3))
    assert frechet_distance(Moments.of(one), Moments.of(one)) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(Moments.of(one), Moments.of(other)) == pytest.approx(3 * (4 + 4), rel=0.02)


def test_the_average_has_its_half_life() -> None:
    network = torch.nn.Linear(1, 1)
    torch.nn.init.zeros_(network.weight)
    average = Average(network, half_life=64)
    torch.nn.init.ones_(network.weight)
    for step in range(4):
        average.update(100_000 + step * 16, 16)
    assert average.network.weight.item() == pytest.approx(0.5, abs=1e-6)


def test_batches_take_everything_once_and_split_over_processes() -> None:
    data = pictures(16, 10)
    whole = Batches(data, 4, 7)
    rows = np.concatenate([whole.rows(step) for step in range(5)])
    assert sorted(rows[:10]) == sorted(rows[10:]) == list(range(10))
    parts = [Batches(data, 4, 7, part=part, parts=2).rows(3) for part in range(2)]
    assert np.array_equal(np.concatenate(parts), whole.rows(3))
    flipped, _ = Batches(data, 4, 7, flip=True).at(1, CPU)
    assert flipped.shape == (4, 3, 16, 16)


_PART = """
import sys, numpy as np, torch
from pathlib import Path
from extensions.gan.recipe import Recipe
from extensions.gan.tasks.common import Setting
from extensions.gan.tasks.run import Run
from extensions.gan.training.data import PictureArray
from extensions.gan.training.machine import Machine
torch.set_num_threads(1)
machine = Machine.of(torch.device("cpu"))
pixels = np.random.default_rng(3).integers(0, 256, (12, 3, 16, 16), dtype=np.uint8)
setting = Setting(Recipe.model_validate_json(sys.argv[3]), PictureArray(pixels, np.zeros(12, int), ()), machine, 5, 3)
run = Run(setting, Path(sys.argv[1]), reports=1)
run.run()
torch.save([machine.part, machine.parts, run.task.state()["generator"], run.task.state()["critic"]], sys.argv[2])
"""


def test_two_processes_train_one_model(tmp_path: Path) -> None:
    """As ``accelerate launch`` starts them: each takes half of a batch, the gradients are averaged."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = [tmp_path / f"{part}.pt" for part in range(2)]
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _PART, str(tmp_path / "run"), str(path), recipe("stylegan2").model_dump_json()],
            env={**os.environ, **common, "RANK": str(part), "LOCAL_RANK": str(part), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for part, path in enumerate(told)
    ]
    for one in running:
        _, errors = one.communicate(timeout=180)
        assert one.returncode == 0, errors[-3000:]
    first, second = (torch.load(path, weights_only=True) for path in told)
    assert [first[:2], second[:2]] == [[0, 2], [1, 2]]
    for network, other in zip(first[2:], second[2:], strict=True):
        trained = {name for name in network if not name.endswith("w_avg")}  # a mean over each one's own pictures
        assert trained
        assert all(torch.equal(network[name], other[name]) for name in trained)
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_an_array_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    made = [(Image.new("RGB", (40, 32), (shade, 0, 0)), "cd"[shade % 2]) for shade in range(5)]
    data = write_array(tmp_path / "a", iter(made), 9, 16)
    assert (len(data), data.classes, data.labels.tolist()) == (5, ("c", "d"), [0, 1, 0, 1, 0])
    assert data.pixels[3, 0].tolist() == [[3] * 16] * 16
    assert opened(tmp_path / "a") is not None

    def broken() -> Any:
        yield made[0]
        raise OSError("broken picture")

    with pytest.raises(OSError, match="broken picture"):
        write_array(tmp_path / "b", broken(), 9, 16)
    assert opened(tmp_path / "b") is None
    with pytest.raises(ValueError, match="no picture"):
        write_array(tmp_path / "c", iter(()), 9, 16)
    assert squared(made[0][0], 20).shape == (3, 20, 20)


def test_folders_and_metadata_name_classes(tmp_path: Path) -> None:
    for name in ("x/1.png", "y/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    assert [name for _, name in FolderRows(tmp_path)] == ["x", "y"]
    row = {"file_name": "x/1.png", "attributes": {"mood": "sad"}}
    (tmp_path / "metadata.jsonl").write_text(json.dumps(row) + "\n")
    assert [name for _, name in FolderRows(tmp_path, "attributes.mood")] == ["sad"]
    with pytest.raises(ValueError, match=r"class column 'attributes\.hat'"):
        FolderRows(tmp_path, "attributes.hat")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "../secret.png"}\n')
    with pytest.raises(ValueError, match="outside the folder"):
        FolderRows(tmp_path)


def test_augmentations_keep_shape_and_pass_gradients() -> None:
    x = torch.rand(4, 3, 16, 16).mul(2).sub(1).requires_grad_(True)
    for change in (diff_augment, Adaptive(p=1.0)):
        made = change(x, torch.Generator().manual_seed(1))
        assert made.shape == x.shape
        (gradient,) = torch.autograd.grad(made.square().sum(), x)
        assert torch.isfinite(gradient).all()
        assert not torch.allclose(made, x)
        assert torch.equal(made, change(x, torch.Generator().manual_seed(1)))
    unchanged = Adaptive(p=0.0)
    assert unchanged(x, torch.Generator()) is x
    unchanged.update(sign=1.0, batch=1000)
    assert unchanged.p == pytest.approx(0.002)
    unchanged.update(sign=-1.0, batch=5000)
    assert unchanged.p == 0.0


def test_curves_are_drawn_and_told() -> None:
    rows = [{"step": s, "pictures": 4 * s, "loss_generator": 1 / s, "loss_discriminator": 2.0} for s in range(1, 9)]
    rows.append({"step": 8, "distance": 3.0})
    assert drawn(rows).size == (720, 2 * 210)
    told = plot(rows, "loss")
    assert told is not None
    assert [one["name"] for one in told["series"]] == ["loss_generator", "loss_discriminator"]


def test_presets_build_below_two_million_parameters() -> None:
    from extensions.gan.networks.registry import build

    assert {one.family for one in presets().values()} == {"dcgan", "stylegan2", "biggan", "vae", "vqvae", "vqgan"}
    for name, one in presets().items():
        with torch.device("meta"):
            network = build(one.family, one.network)
        assert sum(p.numel() for p in network.parameters()) < 2_000_000, name
        assert one.resolution == int(name.rpartition("-")[2])


def test_the_form_says_what_the_preset_says_unless_it_is_told() -> None:
    for name, one in presets().items():
        assert recipe_of(validate(TrainParams, {"preset": name})) == one
    said = {"preset": "vae-64", "steps": 7, "gamma": 0, "recipe": '{"network": {"z_dim": 5}}'}
    told = recipe_of(validate(TrainParams, said))
    assert (told.steps, told.gamma, told.network["z_dim"]) == (7, 0, 5)
    assert told.network["channel_base"] == presets()["vae-64"].network["channel_base"]
    for wrong, words in [("[1]", "JSON object"), ("{", "no JSON"), ('{"stepz": 3}', "stepz")]:
        with pytest.raises(ParameterError, match=words):
            recipe_of(validate(TrainParams, {"preset": "vae-64", "recipe": wrong}))


def test_a_job_trains_stops_goes_on_and_leaves_a_model(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for index in range(8):
        path = tmp_path / "data" / "pictures" / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    models = tmp_path / "models"
    (models / "gan").mkdir(parents=True)
    studio = make_studio(tmp_path / "data", models_dirs=[models], preview_interval_s=0.0)
    wanted = {
        "preset": "dcgan-64",
        "name": "mine",
        "data": "folder",
        "folder": "pictures",
        "steps": 6,
        "sheets": 2,
        "batch": 4,
        "network": "",
        "aide": "starter.judge",
        "recipe": json.dumps({"network": {"resolution": 16, "z_dim": 8, "width": 4}, "critic": {"width": 4}}),
    }
    first = run_pipeline("gan.train", wanted, tmp_path, studio=studio, cancel_when=lambda told: len(told.records) == 1)
    assert first.state == "cancelled", first.error
    assert not list((models / "gan").iterdir())
    second = run_pipeline("gan.train", {}, tmp_path, studio=studio, job=first.job)
    assert second.state == "done", second.error
    assert [record.kind for record in second.records] == ["image", "image", "plot", "table"]
    assert "pictures seen" in (models / "gan" / "mine.md").read_text()
    wanted = {"model": "gan/mine.safetensors", "samples": 1, "seed": 1}
    drawn_by_it = run_pipeline("gan.sample", wanted, tmp_path, studio=studio)
    assert drawn_by_it.state == "done", drawn_by_it.error
    assert drawn_by_it.images[0].size == (16, 16)
