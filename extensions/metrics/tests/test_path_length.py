"""Perceptual path length on generators whose path length is known in closed form, and as a job."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from extensions.metrics.pictures.path_length import Pairs, Walk, lengths, lerp, shown, slerp, trimmed
from webui.testing import Studio, make_studio, run_pipeline


def points(seed: int, count: int = 500, width: int = 6) -> Tensor:
    return torch.randn((count, width), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear(matrix: Tensor) -> Callable[[Tensor], Tensor]:
    """w -> pictures of one pixel's height that are matrix @ w."""
    return lambda w: (w @ matrix.T)[:, None, None].expand(-1, 3, 1, -1)


def squared(a: Tensor, b: Tensor) -> Tensor:
    """The quadratic distance of linear's pictures, which are three times the same."""
    return (a - b).square().sum((1, 2, 3)) / 3


def ends(count: int = 500) -> Pairs:
    return Pairs(points(1, count), points(2, count), torch.zeros(count, dtype=torch.float64))


# Known answers


@pytest.mark.parametrize("sampling", ["end", "full"])
def test_a_linear_generator_has_the_length_of_its_matrix(sampling: str) -> None:
    """G(w) = A w, d = |a - b|^2: d(G(w_t), G(w_t+e)) / e^2 = |A (w1 - w0)|^2 wherever t is; its mean 2 tr(A S A')."""
    matrix = points(3, 4)
    pairs = ends(4000)
    if sampling == "full":
        pairs = Pairs(pairs.start, pairs.end, torch.rand(4000, generator=torch.Generator().manual_seed(5)).double())
    found = lengths(pairs, Walk("w", sampling), lambda z: z, linear(matrix), squared)  # type: ignore[arg-type]
    exact = ((pairs.end - pairs.start) @ matrix.T).square().sum(1).numpy()
    np.testing.assert_allclose(found, exact, rtol=1e-6)
    expected = 2 * float((matrix @ matrix.T).trace())
    assert found.mean() == pytest.approx(expected, rel=4 * found.std() / math.sqrt(len(found)) / expected)


def test_on_the_sphere_the_length_is_the_angle() -> None:
    """G = identity on unit vectors: |slerp(t) - slerp(t+e)|^2 / e^2 is the squared angle between the ends."""
    start, end = (x / x.norm(dim=1, keepdim=True) for x in (points(1), points(2)))
    at = torch.rand(500, generator=torch.Generator().manual_seed(5)).double()
    found = lengths(Pairs(start, end, at), Walk("z", "full"), lambda z: z, linear(torch.eye(6).double()), squared)
    angle = torch.acos((start * end).sum(1))
    np.testing.assert_allclose(found, angle.square().numpy(), rtol=1e-4)


def test_a_mapping_is_walked_behind() -> None:
    """In W the mapping is taken at the ends; in Z at the points of the path."""
    pairs = ends(50)
    doubled, matrix = (lambda z: 2 * z), points(3, 4)
    in_w = lengths(pairs, Walk("w", "end"), doubled, linear(matrix), squared)
    plain = lengths(pairs, Walk("w", "end"), lambda z: z, linear(matrix), squared)
    np.testing.assert_allclose(in_w, 4 * plain, rtol=1e-6)
    seen: list[Tensor] = []
    lengths(pairs, Walk("z", "end"), lambda z: seen.append(z) or z, linear(matrix), squared)
    assert torch.allclose(seen[0], pairs.start)
    assert not torch.allclose(seen[1], pairs.end)


def test_rounded_pictures_would_spoil_it_and_noise_is_shared() -> None:
    matrix, pairs = points(3, 4), ends(200)
    plain = lengths(pairs, Walk("w", "end"), lambda z: z, linear(matrix), squared)

    def rounded(w: Tensor) -> Tensor:
        return (linear(matrix)(w) * 127.5).round() / 127.5

    def noisy(w: Tensor) -> Tensor:
        noise = torch.randn((1, 3, 1, 4), generator=torch.Generator().manual_seed(9), dtype=torch.float64)
        return linear(matrix)(w) + noise

    assert lengths(pairs, Walk("w", "end"), lambda z: z, rounded, squared).mean() > 10 * plain.mean()
    shared = lengths(pairs, Walk("w", "end"), lambda z: z, noisy, squared)
    np.testing.assert_allclose(shared, plain, rtol=1e-5)


# Parts


@given(st.integers(0, 10**6), st.floats(0, 1))
def test_paths_begin_and_end_where_they_should(seed: int, t: float) -> None:
    a, b = points(seed, 8), points(seed + 1, 8)
    zero, one, at = torch.zeros(8).double(), torch.ones(8).double(), torch.full((8,), t, dtype=torch.float64)
    for way in (lerp, slerp):
        assert torch.allclose(way(a, b, zero), a, atol=1e-9)
        assert torch.allclose(way(a, b, one), b, atol=1e-7)
    norms = slerp(a, b, at).norm(dim=1)
    expected = a.norm(dim=1) + t * (b.norm(dim=1) - a.norm(dim=1))
    assert torch.allclose(norms, expected, rtol=1e-9)


def test_points_that_are_one_stay_where_they_are() -> None:
    a = points(1, 3)
    assert torch.allclose(slerp(a, a, torch.full((3,), 0.4).double()), a)
    shaped = points(1, 4).view(4, 3, 1, 2)
    assert slerp(shaped, shaped + 1, torch.zeros(4).double()).shape == shaped.shape


def test_large_pictures_are_reduced_by_whole_boxes() -> None:
    walk = Walk("w", "end")
    assert shown(torch.zeros(1, 3, 255, 900), walk).shape[-2:] == (255, 900)
    assert shown(torch.zeros(1, 3, 1024, 1024), walk).shape[-2:] == (256, 256)
    ramp = torch.arange(512.0).expand(1, 3, 512, 512)
    assert torch.equal(shown(ramp, walk)[0, 0, 0], torch.arange(256) * 2 + 0.5)
    centre = shown(torch.arange(1024.0).expand(1, 3, 1024, 1024), Walk("w", "end", crop=True))
    assert centre.shape[-2:] == (256, 256)
    assert (centre.min(), centre.max()) == (256.5, 766.5)


def test_the_longest_and_shortest_are_left_out() -> None:
    values = np.arange(1000.0)
    kept = trimmed(np.random.default_rng(0).permutation(values))
    assert (kept.min(), kept.max(), len(kept)) == (9, 990, 982)
    assert len(trimmed(np.ones(7))) == 7


# As a job

INIT = """
    from webui.api import LatentSpace, hookimpl

    @hookimpl
    def register_latent_spaces():
        return [LatentSpace("lines.plane", "Lines", run=".work:Plane")]
"""

WORK = """
    import torch
    from torch import nn

    from webui.api import Component, ComponentKey, ModelError

    class Painter(nn.Module):
        def __init__(self):
            super().__init__()
            generator = torch.Generator().manual_seed(0)
            self.register_buffer("matrix", torch.randn((3 * 32 * 32, 4), generator=generator) * 0.1)

        def forward(self, w):
            return (w @ self.matrix.T).view(-1, 3, 32, 32)

    class Plane:
        mapped = True

        def __init__(self, models, model):
            if model not in ("", "noisy", "broken"):
                raise ModelError(f"{model!r} is no plane.")
            self.model = model
            self.protocol = {"weights": "0" * 64, "truncation": 1}
            self.components = {"painter": Component(ComponentKey("/lines", 0, 0, "painter", "float32"), Painter)}

        def sample(self, count, generator):
            return torch.randn((count, 4), generator=generator)

        def labels(self, count, generator):
            return torch.randint(5, (count,), generator=generator)

        def map(self, parts, z, labels):
            assert len(labels) == len(z)
            return z * 0.5

        def synthesize(self, parts, w, labels, noise_seed):
            assert len(labels) == len(w)
            pictures = parts["painter"](w)
            if self.model == "noisy":
                noise = torch.Generator().manual_seed(noise_seed)
                pictures = pictures + torch.randn((1, *pictures.shape[1:]), generator=noise)
            return pictures * float("nan") if self.model == "broken" else pictures
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    folder = tmp_path_factory.mktemp("lines")
    package = folder / "extensions" / "lines"
    package.mkdir(parents=True)
    (package / "extension.toml").write_text('id = "lines"\nversion = "1"\napi = "1.4"\n')
    (package / "__init__.py").write_text(dedent(INIT))
    (package / "work.py").write_text(dedent(WORK))
    return make_studio(folder / "data", extensions_dirs=[Path(__file__).resolve().parents[2], folder / "extensions"])


def walk(lab: Studio, **params: Any) -> Any:
    job = {name: params.pop(name) for name in ("job", "cancel_when") if name in params}
    said = {"space": "lines.plane", "perceptual": "starter", "samples": 40, "batch": 8, **params}
    return run_pipeline("metrics.ppl", said, lab.settings.data_dir, studio=lab, **job)


def told(outcome: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    assert outcome.state == "done", outcome.error
    numbers = json.loads(outcome.paths[0].read_text(encoding="utf-8"))
    ((name, row),) = numbers["scores"].items()
    return name, row, numbers["protocol"]


def test_a_generator_is_walked_and_the_protocol_told(lab: Studio) -> None:
    name, row, protocol = told(walk(lab))
    assert name.startswith("PPL (w, end) by LPIPS-starter")
    assert row["low"] < row["value"] < row["high"]
    assert (protocol["paths"], protocol["epsilon"], protocol["trimmed_percent"]) == (40, 1e-4, 1.0)
    assert protocol["generator"] == {"weights": "0" * 64, "truncation": 1}
    assert told(walk(lab)) == (name, row, protocol)
    _, in_z, _ = told(walk(lab, walk="z"))
    _, along, _ = told(walk(lab, sampling="full"))
    assert len({row["value"], in_z["value"], along["value"]}) == 3


def test_noise_is_the_same_for_both_points_of_a_path(lab: Studio) -> None:
    """A generator of noise as strong as its picture would have a path length thousands of times as large otherwise."""
    _, plain, _ = told(walk(lab))
    _, noisy, _ = told(walk(lab, model="noisy"))
    assert noisy["value"] < 50 * plain["value"]


def test_a_walk_that_was_cut_off_goes_on_as_it_would_have(lab: Studio) -> None:
    whole = told(walk(lab))
    stopped = walk(lab, cancel_when=lambda outcome: bool(outcome.progress and outcome.progress[-1].step >= 16))
    assert stopped.state == "cancelled"
    assert told(walk(lab, job=stopped.job)) == whole


def test_fewer_paths_are_the_first_of_more(lab: Studio) -> None:
    few, many = (walk(lab, samples=count) for count in (20, 24))
    assert told(few)[1]["n"] <= told(many)[1]["n"]
    lines: list[list[Any]] = [json.loads(Path(o.paths[3]).read_text())["series"][0]["points"] for o in (few, many)]
    assert sum(y for _, y in lines[0]) <= sum(y for _, y in lines[1])


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"model": "broken"}, "not finite"),
        ({"model": "ball"}, "no plane"),
        ({"space": "lines.other"}, "lines.plane"),
        ({"perceptual": "vgg"}, "LPIPS-vgg"),
    ],
)
def test_what_cannot_be_walked_is_named(lab: Studio, params: dict[str, str], says: str) -> None:
    outcome = walk(lab, **params)
    assert outcome.state == "failed"
    assert says in outcome.error.message
