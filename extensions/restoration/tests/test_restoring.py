"""The jobs, run as the application runs them, on networks of the test's own, and the way these are trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

torch = pytest.importorskip("torch")

from extensions.restoration.networks import own, tiles  # noqa: E402
from extensions.restoration.networks.unet import TASKS, SmallUNet  # noqa: E402
from extensions.restoration.pictures.arrays import to_pixels  # noqa: E402
from extensions.restoration.recognise import recognise, task_of  # noqa: E402
from extensions.restoration.training.loop import Plan, save_weights, train  # noqa: E402
from webui.testing import Studio, make_studio, run_pipeline  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BUNDLED = ROOT / "models" / "starter" / "restoration"
BASE = "restoration.restore"
OFF = {"denoise": False, "dejpeg": False}


def network(task: str, **values: float) -> SmallUNet:
    """The network of a task whose last layer answers ``values['bias']`` everywhere."""
    torch.manual_seed(1)
    made = SmallUNet(TASKS[task])
    torch.nn.init.constant_(made.last.bias, values.get("bias", 0.0) / TASKS[task].gain)
    return made


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """With networks that change nothing, see no scratch, and colour everything alike."""
    base = tmp_path_factory.mktemp("restoration")
    folder = base / "models" / "restoration"
    folder.mkdir(parents=True)
    for task, bias in (("restorer", 0.0), ("scratches", -20.0), ("colourizer", 0.3)):
        save_weights(network(task, bias=bias), folder / f"{task}.safetensors", task)
    compact = {
        "body.0.weight": torch.zeros(8, 3, 3, 3),
        "body.0.bias": torch.zeros(8),
        "body.1.weight": torch.zeros(8),
        "body.2.weight": torch.zeros(3, 8, 3, 3),
        "body.2.bias": torch.full((3,), 0.1),
    }
    torch.save(compact, folder / "brighter.pth")
    return make_studio(
        base / "data", extensions_dirs=[ROOT / "extensions"], models_dirs=[base / "models"], device="cpu"
    )


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    y, x = np.mgrid[0:70, 0:90]
    pixels = np.stack([x * 2 + 20, y * 3, 200 - x], axis=-1).clip(0, 255).astype(np.uint8)
    path = tmp_path / "picture.png"
    Image.fromarray(pixels).save(path)
    return path


def go(studio: Studio, params: dict[str, Any], pipeline: str = BASE) -> Any:
    outcome = run_pipeline(pipeline, params, studio.settings.data_dir, studio=studio)
    assert outcome.state == "done", outcome.error
    return outcome


def same(one: Image.Image, other: Path | Image.Image) -> bool:
    with other if isinstance(other, Image.Image) else Image.open(other) as image:
        return one.convert("RGB").tobytes() == image.convert("RGB").tobytes()


def test_with_every_step_off_the_picture_is_as_it_was(studio: Studio, picture: Path) -> None:
    outcome = go(studio, {"image": str(picture), **OFF, "before": True})
    assert len(outcome.images) == 2
    assert all(same(one, picture) for one in outcome.images)


def test_a_network_that_finds_nothing_wrong_changes_nothing(studio: Studio, picture: Path) -> None:
    outcome = go(studio, {"image": str(picture), "scratches": True, "tile": 64})
    assert same(outcome.images[0], picture)
    roles = {use.role for use in outcome.studio.files.describe(outcome.records[0].path).recipe.models}
    assert roles == {"restorer", "scratches"}


def test_what_is_painted_is_filled_and_the_rest_stays(studio: Studio, picture: Path, tmp_path: Path) -> None:
    damaged, mask = Image.open(picture), Image.new("L", (90, 70))
    for one, colour in ((damaged, "white"), (mask, 255)):
        ImageDraw.Draw(one).line([(10, 5), (80, 60)], fill=colour, width=3)
    damaged.save(tmp_path / "damaged.png")
    mask.save(tmp_path / "mask.png")
    made = go(studio, {"image": str(tmp_path / "damaged.png"), "mask": str(tmp_path / "mask.png"), **OFF}).images[0]
    with Image.open(picture) as clean:
        error = np.abs(np.asarray(made, float) - np.asarray(clean, float))
    inside = np.asarray(mask) > 0
    assert error[~inside].max() == 0
    assert error[inside].mean() < 6


def test_lines_are_found_without_a_network(studio: Studio, tmp_path: Path) -> None:
    scratched = Image.new("RGB", (120, 120), (90, 120, 150))
    ImageDraw.Draw(scratched).line([(20, 0), (30, 119)], fill="white", width=2)
    scratched.save(tmp_path / "scratched.png")
    given = {"image": str(tmp_path / "scratched.png"), **OFF, "scratches": True, "scratches_by": "lines"}
    made = np.asarray(go(studio, given).images[0], float)
    assert np.abs(made - (90, 120, 150)).max() < 3


def test_colours_come_from_the_network_and_the_lightness_stays(studio: Studio, picture: Path) -> None:
    from extensions.restoration.pictures.colour import to_lab

    made = to_lab(to_pixels(go(studio, {"image": str(picture), **OFF, "colourize": True}).images[0]))
    was = to_lab(to_pixels(Image.open(picture)))
    middle = (was[..., 0] > 40) & (was[..., 0] < 70)
    assert np.abs(made[..., 0] - was[..., 0])[middle].mean() < 1.5
    assert made[..., 1][middle].mean() == pytest.approx(33, abs=5)


def test_a_network_of_another_program_cleans(studio: Studio, picture: Path) -> None:
    given = {"image": str(picture), "cleaned_by": "model", "cleaning_model": "restoration/brighter.pth"}
    made = np.asarray(go(studio, given).images[0], float)
    difference = made - np.asarray(Image.open(picture), float)
    assert np.median(difference) == pytest.approx(25.5, abs=1)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"cleaned_by": "model"}, "is chosen"),
        ({"scratches": True, "scratches_strength": 1.0, "filling": "model", "scratches_by": "lines"}, "is chosen"),
        ({"faces": True}, "is chosen"),
    ],
)
def test_what_is_missing_is_named(studio: Studio, tmp_path: Path, params: dict[str, Any], words: str) -> None:
    line = Image.new("RGB", (80, 80), "grey")
    ImageDraw.Draw(line).line([(40, 0), (40, 79)], fill="white", width=2)
    line.save(tmp_path / "line.png")
    outcome = run_pipeline(
        BASE, {"image": str(tmp_path / "line.png"), **params}, studio.settings.data_dir, studio=studio
    )
    assert outcome.state == "failed"
    assert words in outcome.error.message


def test_without_networks_filters_do_it(picture: Path, tmp_path: Path) -> None:
    bare = make_studio(tmp_path / "data", extensions_dirs=[ROOT / "extensions"], models_dirs=[tmp_path], device="cpu")
    outcome = go(bare, {"image": str(picture), "scratches": True})
    assert len(outcome.warnings) == 2
    assert not same(outcome.images[0], picture)


def test_degrading_repeats_and_gives_the_mask(studio: Studio, picture: Path) -> None:
    given = {"image": str(picture), "scratches": 0.5, "seed": 4}
    first, again = (go(studio, given, "restoration.degrade") for _ in range(2))
    assert [one.sha256 for one in first.records] == [one.sha256 for one in again.records]
    assert len(first.images) == 2
    assert not same(first.images[0], picture)


def test_tiles_give_what_the_whole_picture_gives() -> None:
    torch.manual_seed(0)
    local = torch.nn.Conv2d(3, 2, 3, padding=1)
    pixels = np.random.default_rng(0).random((150, 210, 3), np.float32)
    whole, parts = (tiles.in_tiles(local, pixels, tile=t, progress=lambda a, b: None) for t in (0, 96))
    assert parts[1:-1, 1:-1] == pytest.approx(whole[1:-1, 1:-1], abs=2e-3)


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (1, 5)])
@pytest.mark.parametrize("task", list(TASKS))
def test_a_network_takes_any_size(task: str, size: tuple[int, int]) -> None:
    with torch.no_grad():
        made = network(task)(torch.rand(1, TASKS[task].inputs, *size))
    assert made.shape == (1, TASKS[task].outputs, *size)


def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    pool = [np.random.default_rng(seed).random((48, 48, 3), np.float32) for seed in range(4)]
    plan = Plan("scratches", 4, batch=2, crop=32)
    folders = [tmp_path / name for name in ("whole", "parts")]
    for folder in folders:
        folder.mkdir()
    whole = train(plan, pool, pool[:1], folders[0])

    def stop(step: int, steps: int, message: str) -> None:
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(plan, pool, pool[:1], folders[1], stop)
    assert train(plan, pool, pool[:1], folders[1]).read_bytes() == whole.read_bytes()
    assert task_of(whole) == "scratches"
    assert {"curve-scratches.png", "scratches-000004.png", "scratches.jsonl"} <= {
        one.name for one in folders[0].iterdir()
    }


def test_training_draws_its_pictures_and_leaves_a_network_that_is_found(studio: Studio) -> None:
    given = {"task": "scratches", "pictures": 8, "side": 64, "steps": 2, "batch": 1, "crop": 32}
    outcome = go(studio, given, "restoration.train")
    assert [one.kind for one in outcome.records] == ["image", "file"]
    assert task_of(outcome.paths[1]) == "scratches"
    assert outcome.images[0].width == 6 * 64


def test_files_are_told_by_what_they_say_of_themselves(tmp_path: Path) -> None:
    (tmp_path / "restoration").mkdir()
    other = tmp_path / "restoration" / "gfpgan.pth"
    other.write_bytes(b"x" * 100)
    assert recognise(other) == {}
    assert recognise(tmp_path / "elsewhere.safetensors") is None
    assert own.FAMILY == "lifelike-"
