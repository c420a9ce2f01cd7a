"""The bundled networks are whole, of the two kinds, and within their budget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from extensions.style.networks.encoder import Encoder, own_decoder, own_plan
from extensions.style.networks.statistics import adain
from extensions.style.pipelines.evaluating import WAYS
from extensions.style.recognise import own_config, recognise_decoder, recognise_encoder
from webui.testing import run_pipeline

WEIGHTS = Path(__file__).resolve().parents[3] / "models" / "starter" / "style"


def test_the_bundled_networks_draw() -> None:
    files = {"encoder": WEIGHTS / "encoder.safetensors", "decoder": WEIGHTS / "decoder.safetensors"}
    assert recognise_encoder(files["encoder"]) is not None
    assert recognise_decoder(files["decoder"]) is not None
    assert sum(path.stat().st_size for path in files.values()) < 1.6 * 2**20
    config = own_config(files["encoder"], "style_encoder")
    assert config is not None
    drawing = own_config(files["decoder"], "style_decoder")
    assert drawing is not None
    networks = {"encoder": Encoder(own_plan(config)), "decoder": own_decoder(drawing)}
    for name, network in networks.items():
        network.load_state_dict({key: value.float() for key, value in load_file(files[name]).items()})
    ramp = torch.linspace(0.2, 0.8, 64).expand(1, 3, 64, 64).contiguous()
    with torch.inference_mode():
        seen = networks["encoder"](ramp, (own_plan(config).content, *drawing["skips"]))
        coarse, *finer = (adain(seen[place], seen[place]) for place in (own_plan(config).content, *drawing["skips"]))
        back = networks["decoder"](coarse, finer)
    # Its own style gives the picture back.
    assert (back - ramp).abs().mean() < 0.06


def test_an_evaluation_stands_beside_its_baselines(studio: Any, tmp_path: Path) -> None:
    made = run_pipeline("style.evaluate", {"samples": 8, "width": 64}, tmp_path, studio=studio)
    assert made.state == "done", made.error
    numbers = json.loads(made.paths[0].read_text(encoding="utf-8"))
    for way in WAYS:
        assert {f"{way}: content", f"{way}: style", f"judge, {way}: style", f"{way}: ArtFD-starter"} <= numbers.keys()
    assert numbers["picture itself: content"] == numbers["judge, picture itself: content"] == 0
    assert numbers["adain: style"] < numbers["picture itself: style"]
    assert made.images[0].width == 6 * 68
