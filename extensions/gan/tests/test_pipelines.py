"""Jobs of this extension, run as the application runs them, on small random models in models/gan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from extensions.gan.formats.own import write_own
from extensions.gan.networks.registry import build
from webui.api import ParameterError
from webui.testing import Outcome, make_studio, run_pipeline

ROOT = Path(__file__).resolve().parents[3]
SMALL: dict[str, tuple[str, dict[str, Any]]] = {
    "dcgan": ("dcgan", {"resolution": 16, "z_dim": 8, "width": 4}),
    "stylegan2": ("stylegan2", {"resolution": 16, "z_dim": 8, "w_dim": 8, "channel_base": 128, "channel_max": 8}),
    "stylegan3": ("stylegan3", {"resolution": 16, "z_dim": 8, "w_dim": 8, "channel_base": 128, "channel_max": 8}),
    "biggan": (
        "biggan",
        {
            "resolution": 32,
            "width": 2,
            "z_dim": 8,
            "classes": 4,
            "shared_dim": 4,
            "attention": 0,
            "labels": ["a", "b", "c", "d"],
        },
    ),
    "prior": (
        "vqvae",
        {
            "autoencoder": {"resolution": 16, "width": 8, "codes": 16, "code_dim": 4},
            "prior": {"width": 16, "blocks": 1, "heads": 2},
            "conditioning": {"kind": "class", "classes": 3},
        },
    ),
    "vqvae": ("vqvae", {"resolution": 16, "width": 8, "codes": 16, "code_dim": 4}),
}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gan-models")
    for name, (family, config) in SMALL.items():
        torch.manual_seed(1)
        network = build(family, config).eval()
        for key, tensor in network.named_parameters():
            if key.endswith("noise_strength"):
                torch.nn.init.constant_(tensor, 0.3)
        write_own(folder / "gan" / f"{name}.safetensors", network, family, config)
    return folder


@pytest.fixture(scope="session")
def studio(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_studio(tmp_path_factory.mktemp("gan-data"), models_dirs=[models])


def done(studio: Any, pipeline: str, tmp_path: Path, **params: Any) -> Outcome:
    outcome = run_pipeline(pipeline, params, tmp_path, studio=studio)
    assert outcome.state == "done", outcome.error
    return outcome


@pytest.mark.parametrize("name", ["avatars", "avatars_vae"])
def test_the_starters_generator_draws_drawings(tmp_path: Path, name: str) -> None:
    """Without any download: its pictures have avatars' colours, not those of noise, and differ."""
    studio = make_studio(tmp_path / "data", models_dirs=[ROOT / "models"])
    model = f"starter/gan/{name}.safetensors"
    drawn = done(studio, "gan.sample", tmp_path, model=model, samples=8, seed=1, truncation=0.7).images
    pixels = np.stack([np.asarray(one.convert("RGB")) for one in drawn]).astype(float)
    assert pixels.shape == (8, 64, 64, 3)
    steps = np.abs(np.diff(pixels, axis=1)).mean()
    assert steps < 0.25 * pixels.std()  # neighbours are alike; in noise they differ by more than a deviation
    assert pixels.std(0).mean() > 30


@pytest.mark.parametrize("name", ["dcgan", "stylegan2", "stylegan3", "biggan"])
def test_samples_are_those_of_their_seeds(studio: Any, tmp_path: Path, name: str) -> None:
    model = f"gan/{name}.safetensors"
    four = done(studio, "gan.sample", tmp_path, model=model, samples=3, seed=5, noise="random", grid=True)
    assert [record.seed for record in four.records] == [5, 6, 7, 5]
    again = done(studio, "gan.sample", tmp_path, model=model, samples=1, seed=6, noise="random")
    assert four.paths[1].read_bytes() != four.paths[0].read_bytes()
    assert four.images[1].tobytes() == again.images[0].tobytes()
    assert four.images[3].width > 2 * four.images[0].width
    whole = done(studio, "gan.sample", tmp_path, model=model, samples=3, seed=5, noise="random", grid=True)
    assert [path.read_bytes() for path in whole.paths] == [path.read_bytes() for path in four.paths]


def test_a_job_that_was_cut_off_goes_on(studio: Any, tmp_path: Path) -> None:
    model = "gan/stylegan2.safetensors"
    outcome = run_pipeline(
        "gan.sample",
        {"model": model, "samples": 3, "seed": 50, "grid": True},
        tmp_path,
        studio=studio,
        cancel_when=lambda so_far: len(so_far.records) == 1,
    )
    assert outcome.state == "cancelled"
    rest = run_pipeline("gan.sample", {}, tmp_path, studio=studio, job=outcome.job)
    assert rest.state == "done"
    assert {record.index for record in (*outcome.records, *rest.records)} == {0, 1, 2, 3}
    assert 0 not in {record.index for record in rest.records}


def test_classes_by_name_and_number(studio: Any, tmp_path: Path) -> None:
    model = "gan/biggan.safetensors"
    by_name = done(studio, "gan.sample", tmp_path, model=model, samples=1, seed=1, class_label="C")
    by_number = done(studio, "gan.sample", tmp_path, model=model, samples=1, seed=1, class_label="2")
    assert by_name.images[0].tobytes() == by_number.images[0].tobytes()
    refused = run_pipeline("gan.sample", {"model": model, "class_label": "z"}, tmp_path, studio=studio)
    assert refused.state == "failed"
    assert "expected a class of 0 to 3" in refused.error.message
    refused = run_pipeline(
        "gan.sample", {"model": "gan/dcgan.safetensors", "class_label": "1"}, tmp_path, studio=studio
    )
    assert "no classes" in refused.error.message


def test_truncation_strip(studio: Any, tmp_path: Path) -> None:
    sheet = done(
        studio, "gan.truncation", tmp_path, model="gan/stylegan2.safetensors", samples=2, psi_values="0, 1", seed=3
    ).images[0]
    alone = done(studio, "gan.sample", tmp_path, model="gan/stylegan2.safetensors", samples=2, seed=3, truncation=1.0)
    found = [
        sheet.crop((x, y, x + 16, y + 16)).tobytes() for x in range(sheet.width - 15) for y in range(sheet.height - 15)
    ]
    for picture in alone.images:
        assert picture.convert("RGB").tobytes() in found


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("stylegan2", {"film": "mp4"}),
        ("stylegan2", {"film": "mp4", "path": "circle", "space": "w"}),
        ("stylegan2", {"film": "gif", "path": "linear", "space": "z", "loop": False}),
        ("stylegan2", {"film": "png", "noise": "none"}),
        ("biggan", {"film": "webp", "class_label": "a, b"}),
        ("stylegan3", {"film": "gif", "size": 24}),
    ],
)
def test_walks_are_films(studio: Any, tmp_path: Path, name: str, params: dict[str, Any]) -> None:
    asked = {"model": f"gan/{name}.safetensors", "keyframes": 2, "seconds": 0.5, "fps": 8, "seed": 1, **params}
    outcome = done(studio, "gan.walk", tmp_path, **asked)
    (path,) = outcome.paths
    assert path.suffix == "." + params["film"]
    frames = 4 if params.get("path") == "circle" or params.get("loop") is False else 8
    assert outcome.records[0].title.startswith(f"{frames} frames")
    if params["film"] == "mp4":
        import av

        with av.open(str(path)) as film:
            shown = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        assert len(shown) == frames
        assert shown[0].shape == (16, 16, 3)
    else:
        with Image.open(path) as film:
            assert film.n_frames == frames
            edge = {"stylegan3": 24, "biggan": 32}.get(name, 16)
            assert film.size == (edge, edge)
    assert outcome.progress
    again = done(studio, "gan.walk", tmp_path, **asked)
    assert again.paths[0].read_bytes() == path.read_bytes()


def test_walks_that_cannot_be_are_refused(studio: Any, tmp_path: Path) -> None:
    for params, words in (
        ({"model": "gan/dcgan.safetensors", "space": "w"}, "W is a space of StyleGANs"),
        ({"model": "gan/dcgan.safetensors", "seeds": "3"}, "two keyframes"),
        ({"model": "gan/dcgan.safetensors", "seconds": 30, "fps": 60, "keyframes": 200}, "at most"),
    ):
        outcome = run_pipeline("gan.walk", params, tmp_path, studio=studio)
        assert outcome.state == "failed"
        assert words in outcome.error.message


def test_style_mixing(studio: Any, tmp_path: Path) -> None:
    model = "gan/stylegan2.safetensors"
    asked = {"model": model, "rows": 2, "columns": 2, "seed": 9}
    coarse = done(studio, "gan.mix", tmp_path, layers="coarse", **asked).images[0]
    fine = done(studio, "gan.mix", tmp_path, layers="4-5", **asked).images[0]
    everything = done(studio, "gan.mix", tmp_path, layers="0-5", **asked).images[0]
    assert coarse.tobytes() != fine.tobytes()
    cells = (everything.width - 2 * 20 - 16, 0)  # with all layers a cell is its column's picture
    column = [everything.crop((cells[0], y, everything.width, y + 16)) for y in range(everything.height - 15)]
    last = everything.crop((everything.width - 16, everything.height - 16, everything.width, everything.height))
    above = everything.crop((everything.width - 16, everything.height - 36, everything.width, everything.height - 20))
    assert last.tobytes() == above.tobytes()
    assert column
    refused = run_pipeline("gan.mix", {"model": "gan/dcgan.safetensors"}, tmp_path, studio=studio)
    assert "needs a StyleGAN" in refused.error.message
    refused = run_pipeline("gan.mix", {"model": model, "layers": "0-99"}, tmp_path, studio=studio)
    assert "layers of 0 to 5" in refused.error.message


def test_class_mixing(studio: Any, tmp_path: Path) -> None:
    model = "gan/biggan.safetensors"
    sheet = done(studio, "gan.classes", tmp_path, model=model, classes="a, b, c", steps=3, samples=2, seed=0).images[0]
    assert sheet.width > 5 * 32
    refused = run_pipeline("gan.classes", {"model": "gan/dcgan.safetensors"}, tmp_path, studio=studio)
    assert "with classes" in refused.error.message


def test_completion_keeps_the_upper_part(studio: Any, tmp_path: Path) -> None:
    picture = tmp_path / "half.png"
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (40, 40, 3), generator=generator, dtype=torch.uint8)
    Image.fromarray(pixels.numpy()).save(picture)
    asked = {"model": "gan/prior.safetensors", "image": str(picture), "seed": 3, "samples": 2, "class_label": "1"}
    whole = done(studio, "gan.complete", tmp_path, **{**asked, "kept": 1.0})
    assert len(whole.records) == 1
    made = done(studio, "gan.complete", tmp_path, **asked)
    alone = done(studio, "gan.complete", tmp_path, **{**asked, "samples": 1, "seed": 4})
    assert made.images[1].tobytes() == alone.images[0].tobytes()
    assert made.images[0].tobytes() != made.images[1].tobytes()
    free = done(studio, "gan.complete", tmp_path, model="gan/prior.safetensors", samples=1, seed=3)
    assert free.images[0].size == (16, 16)
    refused = run_pipeline("gan.complete", {"model": "gan/vqvae.safetensors"}, tmp_path, studio=studio)
    assert "no prior" in refused.error.message


def test_conversion_gives_the_same_pictures(tmp_path: Path) -> None:
    from extensions.gan.networks.stylegan2 import StyleGAN2Generator
    from extensions.gan.tests import layouts

    folder = tmp_path / "models" / "gan"
    folder.mkdir(parents=True)
    network = StyleGAN2Generator(16, z_dim=8, w_dim=8, channel_base=128, channel_max=8)
    kwargs = {"synthesis_kwargs": layouts.EasyDict(conv_clamp=0.5)}
    layouts.persistent_pickle(folder / "ffhq.pkl", network, kwargs)
    studio = make_studio(tmp_path / "data", models_dirs=[tmp_path / "models"])
    before = done(studio, "gan.sample", tmp_path, model="gan/ffhq.pkl", samples=1, seed=1)
    table = done(studio, "gan.convert", tmp_path, model="gan/ffhq.pkl")
    assert table.records[0].kind == "table"
    studio.catalog.refresh()
    after = done(studio, "gan.sample", tmp_path, model="gan/ffhq.gan.safetensors", samples=1, seed=1)
    assert before.images[0].tobytes() == after.images[0].tobytes()
    again = run_pipeline("gan.convert", {"model": "gan/ffhq.pkl"}, tmp_path, studio=studio)
    assert "there already" in again.error.message


def test_without_models_the_form_says_what_to_put_where(tmp_path: Path) -> None:
    studio = make_studio(tmp_path / "data", models_dirs=[tmp_path / "models"])
    for pipeline, words in (("gan.sample", "There is no GAN or VAE yet"), ("gan.complete", "There is no VQGAN")):
        with pytest.raises(ParameterError, match=words) as error:
            run_pipeline(pipeline, {}, tmp_path, studio=studio)
        assert error.value.hint.endswith("models/gan.")


PROBE = """
from webui.api import Artifact, Params, PipelineSpec, hookimpl, text

class ProbeParams(Params):
    model: str = text(label="Model")

class Probe:
    def run(self, params, context):
        space = context.latent_generator("gan.latent", params.model)
        with context.models.lease(space.components) as parts:
            z = space.sample(3, context.generator(0))
            labels = space.labels(3, context.generator(0))
            w = space.map(parts, z, labels)
            same, one, other = (space.synthesize(parts, w, labels, noise_seed=seed) for seed in (0, 0, 1))
        yield Artifact("scalar", {
            "mapped": space.mapped, "weights": space.protocol["weights"], "z": list(z.shape), "w": list(w.shape),
            "labels": None if labels is None else list(labels.shape), "images": list(one.shape),
            "dtype": str(one.dtype), "again": bool((one == same).all()), "noisy": bool((one != other).any()),
        })

@hookimpl
def register_pipelines():
    yield PipelineSpec(id="probe.latents", title="Probe", params=ProbeParams, run="extensions.probe:Probe")
"""


def test_latent_space_for_measures(models: Path, tmp_path: Path) -> None:
    probe = tmp_path / "extensions" / "probe"
    probe.mkdir(parents=True)
    (probe / "__init__.py").write_text(PROBE)
    (probe / "extension.toml").write_text('id = "probe"\nversion = "1.0"\napi = "1.4"\ntitle = "Probe"\n')
    folders = [Path(__file__).resolve().parents[2], probe.parent]
    studio = make_studio(tmp_path / "data", models_dirs=[models], extensions_dirs=folders)
    expected = {"stylegan2": (True, True, [3, 6, 8]), "dcgan": (False, False, [3, 8]), "biggan": (False, False, [3, 8])}
    for name, (mapped, noisy, shape) in expected.items():
        outcome = done(studio, "probe.latents", tmp_path, model=f"gan/{name}.safetensors")
        said = json.loads(outcome.paths[0].read_text())
        said = said.get("value", said)
        assert (said["mapped"], said["noisy"], said["w"]) == (mapped, noisy, shape)
        assert said["again"]
        assert said["weights"]
        assert said["dtype"] == "torch.float32"
        assert said["labels"] == ([3, 4] if name == "biggan" else None)
