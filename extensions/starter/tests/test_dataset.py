"""Data sets of the drawing world: folders that loaders read, the same for the same seed, of what was asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from extensions.starter.dataset import CHINESE_SHARE, Selection, shown_attributes, write_image_folder
from extensions.starter.world import SPECS, describe, draw, sample


def rows(metadata: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in metadata.read_text(encoding="utf-8").splitlines()]


def test_image_folder(tmp_path: Path) -> None:
    written = rows(write_image_folder(tmp_path, samples=3, seed=40, size=32))
    assert [r["file_name"] for r in written] == ["00000040.png", "00000041.png", "00000042.png"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [*(r["file_name"] for r in written), "metadata.jsonl"]
    subject = sample(41)
    with Image.open(tmp_path / "00000041.png") as picture:
        assert picture.tobytes() == draw(subject, 32).tobytes()
    assert written[1]["text"] == describe(subject, 41).text
    assert written[1]["domain"] == subject.domain
    assert written[1]["attributes"] == shown_attributes(subject)


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_image_folder(tmp_path / name, samples=6, seed=7, size=32, selection=Selection(language="any"))
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


@pytest.mark.parametrize("domain", list(SPECS))
@pytest.mark.parametrize("style", ["sketch", "watercolour"])
def test_one_domain_in_one_style(domain: str, style: str, tmp_path: Path) -> None:
    chosen = Selection(domain, style, "zh", full_captions=True)
    for row in rows(write_image_folder(tmp_path, samples=8, seed=0, size=16, selection=chosen)):
        assert row["domain"] == domain
        assert row["attributes"]["style"] == style
        assert row["language"] == "zh"
        assert not row["text"].isascii()


def test_any_style_and_language_is_a_mix() -> None:
    chosen = Selection(language="any")
    chinese = [chosen.language_of(s) == "zh" for s in range(4000)]
    assert sum(chinese) / 4000 == pytest.approx(CHINESE_SHARE, abs=0.02)
    subjects = [chosen.subject(s) for s in range(300)]
    assert {s.domain for s in subjects} == set(SPECS)
    assert {shown_attributes(s)["style"] for s in subjects} == set(SPECS["avatar"]["style"])
    assert {chosen.text(s, i).isascii() for i, s in enumerate(subjects)} == {True, False}


def test_attributes_are_those_that_show() -> None:
    for seed in range(100):
        subject = sample(seed)
        attributes = shown_attributes(subject)
        assert set(attributes) == {n for n, label in subject.labels().items() if label >= 0}
        assert all(getattr(subject, n) == value for n, value in attributes.items())
