"""DCGAN of the usual examples, and BigGAN-deep in the Hugging Face layout: their names to ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from extensions.gan.networks.spectral import folded
from webui.api import ModelError

from .names import Contents, State, numbered, wrong

_CONFIG_LIMIT_BYTES = 1 << 20


def read_dcgan(state: State) -> Contents:
    """The generator of the usual example implementations: ``main.0`` and so on. Raises ModelError."""
    convolutions = [n for n in numbered(state, "main.") if state.get(f"main.{n}.weight") is not None]
    convolutions = [n for n in convolutions if state[f"main.{n}.weight"].ndim == 4]
    try:
        first, last = state["main.0.weight"], state[f"main.{convolutions[-1]}.weight"]
        config = {
            "resolution": 2 ** (len(convolutions) + 1),
            "z_dim": first.shape[0],
            "width": last.shape[0],
            "channels": last.shape[1],
        }
    except (KeyError, IndexError):
        raise wrong("DCGAN generator", "transposed convolutions main.0, main.3 and so on") from None
    return Contents("dcgan", config, state)


def read_biggan_deep(state: State, path: Path) -> Contents:
    """``pytorch_model.bin`` with its config.json beside. Spectral norms are folded in. Raises ModelError."""
    said = _config(path)
    try:
        config: dict[str, Any] = {
            "layers": [[bool(up), int(into), int(out)] for up, into, out in said["layers"]],
            "z_dim": int(said["z_dim"]),
            "classes": int(said["num_classes"]),
            "width": int(said["channel_width"]),
            "attention_at": int(said["attention_layer_position"]),
            "statistics": int(said["n_stats"]),
            "eps": float(said["eps"]),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"config.json beside {path.name} is not that of BigGAN-deep: {error!r}.") from None
    plain: State = {}
    for name, tensor in state.items():
        if name.endswith("_orig"):
            stem = name.removesuffix("_orig")
            try:
                plain[stem] = folded(tensor, state[f"{stem}_u"], state[f"{stem}_v"])
            except (KeyError, ValueError, RuntimeError) as error:
                raise ModelError(f"{path.name}: the spectral norm of {stem} cannot be taken off: {error}.") from None
        elif not (name.endswith(("_u", "_v")) and f"{name[:-2]}_orig" in state):
            plain[name] = tensor
    return Contents("biggan_deep", config, plain)


def _config(path: Path) -> dict[str, Any]:
    stem = path.name.removesuffix("-pytorch_model.bin")
    names = [f"{stem}-config.json", f"{path.stem}.json", "config.json"]
    for place in (path.parent / name for name in names):
        try:
            if place.stat().st_size <= _CONFIG_LIMIT_BYTES:
                found = json.loads(place.read_text(encoding="utf-8"))
                if isinstance(found, dict):
                    return found
        except (OSError, ValueError, RecursionError):
            continue
    raise ModelError(
        f"There is no configuration beside {path.name}.",
        hint=f"Put the model's config.json into {path.parent.name}/, or name it {names[0]}.",
    )
