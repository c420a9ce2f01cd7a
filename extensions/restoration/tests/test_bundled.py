"""What the bundled networks are good for, on pictures in the manner of the drawings they were trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from PIL import Image, ImageDraw  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from extensions.restoration.classical import cleaning  # noqa: E402
from extensions.restoration.networks import own  # noqa: E402
from extensions.restoration.networks.deblurring import deblurred  # noqa: E402
from extensions.restoration.networks.unet import TASKS, SmallUNet  # noqa: E402
from extensions.restoration.pictures.arrays import Pixels, psnr_db, to_picture, to_pixels  # noqa: E402
from extensions.restoration.pictures.degrading import Damage, degrade  # noqa: E402
from extensions.restoration.recognise import recognise  # noqa: E402

BUNDLED = Path(__file__).resolve().parents[3] / "models" / "starter" / "restoration"
BUDGET_BYTES = 1.7 * 2**20


def network(task: str) -> SmallUNet:
    made = SmallUNet(TASKS[task])
    made.load_state_dict({name: value.float() for name, value in load_file(BUNDLED / f"{task}.safetensors").items()})
    return made.eval().requires_grad_(False)


def landscape() -> Pixels:
    """A flat drawing: sky, sun, hill, house."""
    picture = Image.new("RGB", (512, 512), (120, 180, 230))
    pen = ImageDraw.Draw(picture)
    pen.ellipse([340, 40, 440, 140], fill=(250, 220, 90))
    pen.ellipse([-200, 300, 700, 900], fill=(90, 160, 80))
    pen.rectangle([180, 260, 300, 370], fill=(210, 190, 160))
    pen.polygon([(160, 260), (240, 190), (320, 260)], fill=(160, 70, 60))
    pen.rectangle([220, 310, 255, 370], fill=(90, 60, 50))
    return to_pixels(picture.resize((128, 128), Image.Resampling.BOX))


def silent(done: int, total: int) -> None:
    """Nobody watches."""


def test_they_keep_to_their_budget_and_say_what_they_are() -> None:
    files = sorted(BUNDLED.glob("*.safetensors"))
    assert [recognise(one)["family"] for one in files] == [  # type: ignore[index]
        "lifelike-colourizer",
        "lifelike-restorer",
        "lifelike-scratches",
    ]
    assert sum(one.stat().st_size for one in files) < BUDGET_BYTES


def test_noise_goes_by_four_decibels_at_least() -> None:
    clean = landscape()
    bad, _ = degrade(clean, Damage(noise=0.5), 1)
    made = own.restored(network("restorer"), bad, (0.5, 0.0), 0, silent)
    assert psnr_db(made, clean) > psnr_db(bad, clean) + 4


@pytest.mark.parametrize(("noise", "least"), [(0.0, 6.0), (0.3, 4.0)])
def test_blur_goes_with_the_network_as_prior(noise: float, least: float) -> None:
    clean, restorer = landscape(), network("restorer")
    bad = to_pixels(to_picture(degrade(clean, Damage(noise=noise, blur=0.5), 1)[0]))
    made = own.restored(restorer, bad, (noise, 0.0), 0, silent) if noise else bad
    made = deblurred(restorer, made, 0.5, cleaned=bool(noise), tile=0, progress=silent)
    assert psnr_db(made, clean) > psnr_db(bad, clean) + least
    if not noise:
        assert psnr_db(made, clean) > psnr_db(cleaning.sharpened(bad, 0.5), clean)


def test_tiles_of_a_deconvolution_leave_no_seam() -> None:
    """Each tile has its own mean of the field, which differs most where tiles are small."""
    blurred = degrade(landscape(), Damage(blur=1.0), 1)[0]
    strip = np.concatenate([blurred, blurred[:, ::-1]], axis=1)[40:104]
    whole, tiled = (
        deblurred(network("restorer"), strip, 1.0, cleaned=False, tile=tile, progress=silent) for tile in (0, 144)
    )
    away = np.abs(whole - tiled).max(axis=2) * 255
    assert 0 < away.max() < 3
    # What differs changes slowly from column to column: an edge would be a step.
    columns = (tiled - whole).mean(axis=(0, 2)) * 255
    assert np.abs(np.diff(columns)).max() < 0.25


def test_deblurring_tells_all_its_rounds_and_takes_any_size() -> None:
    told: list[tuple[int, int]] = []
    for size in ((1, 5), (9, 17)):
        made = deblurred(
            network("restorer"),
            np.full((*size, 3), 0.5, np.float32),
            0.6,
            cleaned=False,
            tile=0,
            progress=lambda done, total: told.append((done, total)),
        )
        assert made.shape == (*size, 3)
    assert told[0][0] < told[-1][0] == told[-1][1]


def test_a_clean_picture_stays_almost_as_it_is() -> None:
    clean = landscape()
    made = own.restored(network("restorer"), clean, (0.0, 0.0), 0, silent)
    assert psnr_db(made, clean) > 35


def test_scratches_are_seen_better_than_by_chance() -> None:
    bad, where = degrade(landscape(), Damage(scratches=0.6), 4)
    found = own.scratch_mask(network("scratches"), bad, 0.5, 0, silent)
    precise = (found & where).sum() / max(1, found.sum())
    assert precise > 3 * where.mean()
    stricter = own.scratch_mask(network("scratches"), bad, 0.2, 0, silent)
    assert stricter.sum() <= found.sum()
    assert not np.any(stricter & ~found)
