"""Where a model that a job trains is put, from the command line to the catalog."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import save_file

from extensions.gan.params_training import TrainParams
from extensions.gan.pipelines.training import reference_of, target_of
from webui.catalog.catalog import Catalog
from webui.cli.options import add_host_options, settings_from


def test_a_trained_model_goes_where_the_command_line_says(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_host_options(parser)
    places = [tmp_path / "first", tmp_path / "second"]
    for place in places:
        place.mkdir()

    def written(*models: Path) -> tuple[Path, str, Catalog]:
        given = [word for place in models for word in ("--models-dir", str(place))]
        settings = settings_from(parser.parse_args(["--data-dir", str(tmp_path / "data"), *given]))
        context: Any = SimpleNamespace(folders=settings.folders, job=SimpleNamespace(id="0123456789"))
        target = target_of(TrainParams(name="mine"), context)
        return target, reference_of(target, settings.folders("gan")), Catalog(settings)

    own, reference, _ = written()
    assert (own.parents[1].name, reference) == ("models", "gan/mine.safetensors")
    target, reference, catalog = written(*places)
    assert (target, reference) == (places[0] / "gan" / "mine.safetensors", "2:gan/mine.safetensors")
    catalog.entries()
    target.parent.mkdir()
    save_file({"weight": torch.zeros(1)}, target)
    assert catalog.find(reference).path == target, "what a job just wrote is found by its reference"
