"""Directions and projection against what their definitions say, and as jobs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from extensions.gan.formats.loading import Loaded
from extensions.gan.formats.own import write_own
from extensions.gan.latents import shelf
from extensions.gan.latents.directions import affine_weights, boundary, principal, sefa
from extensions.gan.latents.generator import Generator, Held, seeded
from extensions.gan.latents.projection import layered_distance, noise_regularization, project, rate_at
from extensions.gan.networks.losses import path_lengths, r1_penalty
from extensions.gan.networks.registry import build
from webui.api import ParameterError
from webui.testing import make_studio, run_pipeline

NARROW = {"resolution": 16, "z_dim": 8, "w_dim": 8, "channel_base": 128, "channel_max": 8}


def small(family: str = "stylegan2", **config: Any) -> Generator:
    torch.manual_seed(0)
    config = {**NARROW, **config}
    network = build(family, config).eval().requires_grad_(False)
    return Generator(Held(Loaded(network, family, config)))


@pytest.mark.parametrize("family", ["stylegan1", "stylegan2", "stylegan3"])
def test_sefa_finds_what_changes_the_styles_most(family: str) -> None:
    weights = [weight for layer in affine_weights(small(family)) for weight in layer]
    found = sefa(weights, 3)
    a = torch.cat(weights)
    torch.testing.assert_close(found.vectors @ found.vectors.t(), torch.eye(3), atol=1e-5, rtol=1e-5)
    change = (a @ found.vectors.t()).norm(dim=0)
    torch.testing.assert_close(change / change[0], found.scales, atol=1e-4, rtol=1e-4)
    others = torch.nn.functional.normalize(torch.randn((500, 8), generator=seeded(1)), dim=1)
    assert float((a @ others.t()).norm(dim=0).max()) <= float(change[0]) + 1e-4


def test_every_affine_layer_is_read_by_one_row_of_a_point() -> None:
    generator = small()
    rows = affine_weights(generator)
    layers = [name for name, _ in generator.network.synthesis.named_modules() if name.endswith("affine")]
    assert sum(len(row) for row in rows) == len(layers)
    base = generator.points(generator.z([1]), None)
    for place in range(generator.layers):  # moving a row changes the picture: it is read
        moved = base.clone()
        moved[:, place] += 1.0
        assert not torch.equal(generator.pictures(moved), generator.pictures(base))


def test_principal_components_are_those_of_the_points() -> None:
    generator = seeded(0)
    basis = torch.linalg.qr(torch.randn((6, 6), generator=generator)).Q
    points = torch.randn((4000, 6), generator=generator) * torch.tensor([5.0, 3.0, 1.0, 0.1, 0.1, 0.1]) @ basis + 7
    found = principal(points, 2)
    assert float((found.vectors[0] @ basis[0]).abs()) > 0.99
    assert float((found.vectors[1] @ basis[1]).abs()) > 0.99
    torch.testing.assert_close(found.scales, torch.tensor([5.0, 3.0]), atol=0.2, rtol=0.05)
    assert torch.equal(principal(points, 2).vectors, found.vectors)


def test_boundary_is_across_what_differs() -> None:
    points = torch.randn((600, 8), generator=seeded(2)) * 3 + 1
    normal = torch.nn.functional.normalize(torch.arange(8.0), dim=0)
    found, accuracy = boundary(points, (points - 1) @ normal > 0.3)
    assert float(found @ normal) > 0.98
    assert accuracy > 0.97
    assert math.isclose(float(found.norm()), 1.0, abs_tol=1e-5)
    with pytest.raises(ValueError, match="one side"):
        boundary(points, torch.ones(600, dtype=torch.bool))


def test_schedule_of_projection() -> None:
    rates = [rate_at(step, 1000) for step in range(1000)]
    assert rates[0] == 0.0
    assert math.isclose(rates[25], 0.05)
    assert rates[50] == rates[700] == 0.1
    assert math.isclose(rates[875], 0.05, abs_tol=1e-6)
    assert rates[999] < 1e-5


def test_noise_that_holds_a_picture_is_told_from_noise() -> None:
    white = torch.randn((32, 32), generator=seeded(0))
    smooth = torch.nn.functional.avg_pool2d(white[None, None].repeat(1, 1, 2, 2), 3, 1, 1)[0, 0, :32, :32]
    smooth = (smooth - smooth.mean()) / smooth.std()
    assert float(noise_regularization([smooth])) > 10 * float(noise_regularization([white]))


@pytest.mark.parametrize("each_layer", [True, False])
def test_projection_finds_a_picture_of_the_generator(each_layer: bool) -> None:
    generator = small()
    wanted = generator.pictures(generator.points(generator.z([3]), None))
    losses: list[float] = []
    distance = layered_distance(lambda x: [x], wanted, pixels=1.0)
    point, picture, last = project(
        generator, distance, steps=60, each_layer=each_layer, optimize_noise=False, seed=0,
        report=lambda step, loss, made: losses.append(loss),
    )  # fmt: skip
    assert len(losses) == 60
    assert last < 0.3 * losses[0]
    assert point.shape == (1, generator.layers, 8)
    assert torch.equal(generator.pictures(point), picture)
    assert each_layer != bool((point == point[:, :1]).all())


def test_projection_into_noise_leaves_the_network_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = small()
    for block in generator.network.synthesis.blocks():
        torch.nn.init.constant_(block.conv1.noise_strength, 0.5)
    before = {name: tensor.clone() for name, tensor in generator.network.state_dict().items()}
    wanted = generator.pictures(generator.points(generator.z([3]), None), noise=generator.noise("random", [8]))
    distance = layered_distance(lambda x: [x], wanted, pixels=1.0)
    *_, without = project(generator, distance, steps=50, each_layer=False, optimize_noise=False, seed=0)
    *_, kept_white = project(generator, distance, steps=50, each_layer=False, optimize_noise=True, seed=0)
    monkeypatch.setattr("extensions.gan.latents.projection._NOISE_WEIGHT", 0.0)
    *_, free = project(generator, distance, steps=50, each_layer=False, optimize_noise=True, seed=0)
    assert free < 0.9 * without
    assert kept_white != without
    for name, tensor in generator.network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_path_length_gradient_is_the_finite_difference() -> None:
    matrix = torch.randn((8, 16), generator=seeded(1), dtype=torch.float64) / 4
    points = torch.randn((2, 1, 8), generator=seeded(0), dtype=torch.float64, requires_grad=True)

    def pictures(points: torch.Tensor) -> torch.Tensor:  # float64, for differences that mean something
        return torch.tanh(points @ matrix).view(2, 1, 4, 4)

    lengths = path_lengths(pictures(points), points, seeded(5))
    (second,) = torch.autograd.grad(lengths.sum(), points)  # it can be trained on
    assert torch.isfinite(second).all()
    y = torch.randn((2, 1, 4, 4), generator=seeded(5)).double() / 4
    step, still = 1e-6, points.detach()
    for sample, length in enumerate(lengths.tolist()):
        gradient = []
        for axis in range(8):
            moved = still.clone()
            moved[sample, 0, axis] += step
            gradient.append(float(((pictures(moved) - pictures(still)) * y)[sample].sum() / step))
        assert math.isclose(length, math.hypot(*gradient), rel_tol=1e-4)


def test_path_length_of_the_generator_goes_through_all_layers() -> None:
    generator = small()
    ws = generator.points(generator.z([1, 2]), None).clone().requires_grad_(True)
    lengths = path_lengths(generator.network.synthesis(ws), ws, seeded(0))
    assert lengths.shape == (2,)
    (gradient,) = torch.autograd.grad(lengths.sum(), ws)
    assert bool((gradient.abs().sum((0, 2)) > 0).all())


def test_r1_penalty_of_a_linear_critic() -> None:
    images = torch.randn((3, 1, 2, 2), requires_grad=True)
    weight = torch.randn(1, 2, 2)
    logits = (images * weight).sum((1, 2, 3))[:, None]
    torch.testing.assert_close(r1_penalty(logits, images), weight.square().sum())


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".hidden", "x" * 65, "a\0b", "~x"])
def test_names_are_no_paths(name: str) -> None:
    with pytest.raises(ParameterError):
        shelf.checked_name(name)
    assert shelf.place(lambda shelf_: [Path("/")], shelf.DIRECTIONS, name) is None


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("gan-models")
    for name, (family, config) in {
        "stylegan2": ("stylegan2", NARROW),
        "wide": ("stylegan2", {**NARROW, "w_dim": 16}),
        "dcgan": ("dcgan", {"resolution": 16, "z_dim": 8, "width": 4}),
    }.items():
        torch.manual_seed(1)
        write_own(folder / "gan" / f"{name}.safetensors", build(family, config).eval(), family, config)
    return make_studio(tmp_path_factory.mktemp("gan-data"), models_dirs=[folder])


def job(studio: Any, pipeline: str, tmp_path: Path, **params: Any) -> Any:
    return run_pipeline(pipeline, params, tmp_path, studio=studio)


def test_directions_are_found_kept_and_followed(studio: Any, tmp_path: Path) -> None:
    model = "gan/stylegan2.safetensors"
    for method, extra in (
        ("sefa", {"count": 2, "layers": "coarse"}),
        ("ganspace", {"count": 2, "points": 200}),
        ("svm", {"positive": "1, 2, 3", "negative": "4, 5, 6"}),
    ):
        found = job(
            studio,
            "gan.directions",
            tmp_path,
            model=model,
            method=method,
            name=f"my {method}",
            seed=1,
            samples=1,
            **extra,
        )
        assert found.state == "done", found.error
        assert [record.kind for record in found.records] == ["image"] * (1 if method == "svm" else 2) + ["table"]
    folders = studio.settings.folders
    assert shelf.direction_names(folders) == ["my ganspace 1", "my ganspace 2", "my sefa 1", "my sefa 2", "my svm"]
    taken = job(studio, "gan.directions", tmp_path, model=model, name="my svm", seed=1)
    assert "is taken" in taken.error.message
    asked = {"model": model, "seed": 4, "direction_1": "my sefa 2"}
    still = job(studio, "gan.edit", tmp_path, **asked, strength_1=0.0)
    plain = job(studio, "gan.sample", tmp_path, model=model, seed=4, samples=1)
    assert still.state == "done", still.error
    assert still.images[0].tobytes() == plain.images[0].tobytes()
    moved = job(studio, "gan.edit", tmp_path, **asked, strength_1=6.0, direction_2="my svm", strength_2=-2.0)
    assert moved.images[0].tobytes() != plain.images[0].tobytes()
    strip = job(studio, "gan.edit", tmp_path, **asked, strength_1=6.0, steps=3)
    assert strip.images[0].width > 3 * 16
    foreign = job(studio, "gan.edit", tmp_path, model="gan/wide.safetensors", direction_1="my svm", strength_1=1.0)
    assert "another generator's space" in foreign.error.message
    nothing = job(studio, "gan.edit", tmp_path, model=model, direction_1="../../etc/passwd", strength_1=1.0)
    assert "nothing that can be read" in nothing.error.message


def test_directions_by_the_judge(studio: Any, tmp_path: Path) -> None:
    asked = {"model": "gan/stylegan2.safetensors", "method": "svm", "points": 32, "seed": 1, "samples": 1}
    refused = job(studio, "gan.directions", tmp_path, **asked, name="judged", attribute="nothing=else")
    assert "head=value of the judge" in refused.error.message
    found = job(
        studio, "gan.directions", tmp_path, **asked, name="judged", attribute=refused_head(refused.error.message)
    )
    assert found.state == "done", found.error


def refused_head(message: str) -> str:
    """The first head that the refusal names, with a value of the drawing world."""
    head = message.split("such as ")[1].split(",")[0].split(";")[0].strip()
    import json

    about = json.loads((Path(__file__).resolve().parents[3] / "models/starter/judge/config.json").read_text())
    values = about["attributes"].get(head) or about["attributes"][head.removeprefix("avatar.")]
    return f"{head}={values[0]}"


def test_a_picture_is_projected_kept_edited_and_walked(studio: Any, tmp_path: Path) -> None:
    model = "gan/stylegan2.safetensors"
    Image.new("RGB", (40, 24), (200, 60, 90)).save(tmp_path / "a.png")
    Image.new("RGB", (24, 24), (20, 160, 90)).save(tmp_path / "b.png")
    for name in ("a", "b"):
        made = job(
            studio,
            "gan.project",
            tmp_path,
            image=str(tmp_path / f"{name}.png"),
            model=model,
            name=name,
            steps=12,
            seed=0,
        )
        assert made.state == "done", made.error
        assert [record.kind for record in made.records] == ["image", "image"]
        assert made.images[0].size == (16, 16)
        assert made.previews
    assert shelf.projection_names(studio.settings.folders) == ["a", "b"]
    again = job(studio, "gan.project", tmp_path, image=str(tmp_path / "a.png"), model=model, name="a", steps=12)
    assert "is taken" in again.error.message
    kept = job(studio, "gan.edit", tmp_path, model=model, projection="b")
    assert kept.images[0].tobytes() == made.images[0].tobytes()
    walked = job(studio, "gan.walk", tmp_path, model=model, through=["a", "b"], seconds=0.5, fps=8, film="gif", seed=0)
    assert walked.state == "done", walked.error
    foreign = job(studio, "gan.edit", tmp_path, model="gan/dcgan.safetensors", projection="b")
    assert "another generator's space" in foreign.error.message
