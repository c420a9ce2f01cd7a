"""ArtFD over folders: named by its network, lowest where nothing was changed towards another style."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from extensions.style.pipelines.artfid import _named_as_results
from extensions.style.scores.pairs import art_fid, layer_distance
from webui.testing import run_pipeline


def test_distances_of_layers() -> None:
    torch.manual_seed(0)
    layers = [torch.rand(2, 4, 6, 6), torch.rand(2, 8, 3, 3)]
    assert torch.equal(layer_distance(layers, layers), torch.zeros(2))
    assert torch.allclose(layer_distance(layers, [3 * one for one in layers]), torch.zeros(2), atol=1e-6)
    turned = [torch.zeros(1, 2, 1, 1), torch.zeros(1, 2, 1, 1)]
    turned[0][0, 0], turned[1][0, 1] = 1, 1
    assert float(layer_distance(turned[:1], turned[1:])) == 2.0
    assert art_fid(0.5, 3.0) == 6.0


def test_a_set_that_is_its_own_style_scores_least(studio: Any, tmp_path: Path) -> None:
    folders = {name: studio.settings.data_dir / name for name in ("contents", "sketches")}
    for name, style in (("contents", "flat"), ("sketches", "sketch")):
        made = run_pipeline(
            "starter.draw", {"samples": 12, "style": style, "seed": 3, "width": 64}, tmp_path, studio=studio
        )
        folders[name].mkdir()
        for place, image in enumerate(made.images):
            image.save(folders[name] / f"{place:02d}.png")
    found = {}
    for results in ("contents", "sketches"):
        asked = {"contents": str(folders["contents"]), "styles": str(folders["sketches"])}
        made = run_pipeline("style.artfid", {**asked, "results": str(folders[results])}, tmp_path, studio=studio)
        assert made.state == "done", made.error
        found[results] = json.loads(made.paths[0].read_text(encoding="utf-8"))
    assert found["contents"]["content distance"] == 0
    assert found["sketches"]["content distance"] > 0
    assert found["sketches"]["FD-starter"] < found["contents"]["FD-starter"]
    for numbers in found.values():
        expected = (1 + numbers["content distance"]) * (1 + numbers["FD-starter"])
        assert abs(numbers["ArtFD-starter"] - expected) < 1e-6


def test_a_content_is_called_as_its_result() -> None:
    """As the form Folder writes them: the ending stays where names differ in nothing else."""
    named = _named_as_results([Path("a.png"), Path("B.jpg"), Path("b.png")])
    assert named == {"a": Path("a.png"), "B.jpg": Path("B.jpg"), "b.png": Path("b.png")}


def test_a_content_without_a_result_is_told(studio: Any, tmp_path: Path) -> None:
    folders = {name: studio.settings.data_dir / name for name in ("whole", "part")}
    for name, count in (("whole", 10), ("part", 9)):
        folders[name].mkdir()
        for place in range(count):
            Image.effect_noise((32, 32), 40).convert("RGB").save(folders[name] / f"{place}.png")
    asked = {"contents": str(folders["whole"]), "styles": str(folders["whole"]), "results": str(folders["part"])}
    made = run_pipeline("style.artfid", asked, tmp_path, studio=studio)
    assert made.state == "done", made.error
    assert any("9 of 10 contents" in warning for warning in made.warnings)
