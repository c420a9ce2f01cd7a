"""Studies on disk for tests: small pictures in folders, a studio without queue, and studies made of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from extensions.studies.store import OpenStudy, Studies, write_study
from extensions.studies.study import IMAGES, Picture, PictureSet, Study, image_path

Make = Callable[..., Study]


def picture(seed: int, size: tuple[int, int] = (24, 24)) -> Image.Image:
    """Noise in a colour of its own."""
    draw = random.Random(seed)
    return Image.frombytes("RGB", size, draw.randbytes(size[0] * size[1] * 3))


def fill(folder: Path, count: int, *, size: tuple[int, int] = (24, 24), ending: str = "png", first: int = 0) -> Path:
    folder.mkdir(parents=True)
    for place in range(count):
        picture(first + place, size).save(folder / f"{place:03d}.{ending}")
    return folder


def make_study(**changes: Any) -> Study:
    """A study in memory: 12 pictures a set, 2 of them for practice, and 2 in pieces."""
    names = changes.pop("names", ("Real", "Made"))
    per_set, kind = changes.pop("per_set", 12), changes.get("kind", "two_choice")
    sets = tuple(
        PictureSet(f"s{place + 1}", name, real=kind != "preference" and place == 0) for place, name in enumerate(names)
    )
    draw = random.Random(1)
    pictures = [
        Picture(f"{draw.getrandbits(128):032x}", one.id, place, "practice" if place < 2 else "main", f"{place}.png")
        for one in sets
        for place in range(per_set)
    ]
    pictures += [
        Picture(f"{draw.getrandbits(128):032x}", sets[0].id, place, "scrambled", f"{place}.png") for place in range(2)
    ]
    pictures += [Picture(f"{draw.getrandbits(128):032x}", "", place, "mask") for place in range(4)]
    values: dict[str, Any] = {
        "id": "20260101-test-abc123", "link": "A" * 22, "title": "Test", "kind": "two_choice", "created_at": 1.0,
        "sets": sets, "pictures": tuple(pictures), "width": 24, "height": 24, "trials": 10, "practice": 2,
        "attention": 2, "seed": 7,
    }  # fmt: skip
    return Study(**{**values, **changes})


def keep(study: Study, root: Path) -> OpenStudy:
    """``study`` as a folder, with its pictures."""
    folder = root / study.id
    (folder / IMAGES).mkdir(parents=True)
    for place, one in enumerate(study.pictures):
        picture(place, (study.width, study.height)).save(image_path(folder, one.id))
    write_study(folder, study)
    return Studies(root).get(study.id)


@pytest.fixture
def kept(tmp_path: Path) -> Callable[..., OpenStudy]:
    return lambda **changes: keep(make_study(**changes), tmp_path / "studies")
