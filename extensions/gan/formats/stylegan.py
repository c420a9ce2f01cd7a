"""The published StyleGAN2-ADA and StyleGAN3 generators: from their pickles' tensors and values to our own terms.

Names of tensors are ours already. How the network was made is told by the object's ``_init_kwargs`` where they are
there, else by the shapes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from extensions.gan.networks.stylegan2 import channels_at
from extensions.gan.networks.stylegan3 import geometry

from .names import Contents, State, numbered, wrong

_LAYER = re.compile(r"synthesis\.L(\d+)_(\d+)_(\d+)\.weight$")
_SAID_2 = {"channel_base": "channel_base", "channel_max": "channel_max", "conv_clamp": "conv_clamp"}
_SAID_3 = {
    **_SAID_2,
    "num_layers": "layers",
    "num_critical": "critical",
    "conv_kernel": "kernel",
    "use_radial_filters": "radial",
    "output_scale": "output_scale",
    "first_cutoff": "first_cutoff",
    "first_stopband": "first_stopband",
    "last_stopband_rel": "last_stopband_rel",
    "margin_size": "margin",
}
"""Keyword arguments of their synthesis networks -> ours."""
_FIXED = {
    "architecture": "skip",
    "activation": "lrelu",
    "filter_size": 6,
    "lrelu_upsampling": 2,
    "use_noise": True,
    "mapping_kwargs.lr_multiplier": 0.01,
    "mapping_kwargs.activation": "lrelu",
}
"""Arguments of which one value is computed here."""


def read_stylegan2(state: State, values: Mapping[str, Any]) -> Contents:
    """``state``: the tensors of G_ema; ``values``: its ``_init_kwargs``, by dotted names. Raises ModelError."""
    sizes = numbered(state, "synthesis.b")
    try:
        w_dim = state["synthesis.b4.conv1.affine.weight"].shape[1]
        widths = {size: state[f"synthesis.b{size}.conv1.weight"].shape[0] for size in sizes}
        channels = state[f"synthesis.b{sizes[-1]}.torgb.weight"].shape[0]
        missing = [size for size in sizes if f"synthesis.b{size}.torgb.weight" not in state]
    except (KeyError, IndexError):
        raise wrong("StyleGAN2", "synthesis.b4.conv1 and a torgb in its last block") from None
    if missing:
        raise wrong("StyleGAN2", f"output skips, with a torgb in every block; there is none at {missing[0]}")
    base, most = base_of(widths)
    config: dict[str, Any] = {"resolution": sizes[-1], "channels": channels, **_mapping(state, w_dim)}
    config |= {"channel_base": base, "channel_max": most, **_said(values, _SAID_2)}
    if any(channels_at(size, config["channel_base"], config["channel_max"]) != width for size, width in widths.items()):
        config |= {"channel_base": base, "channel_max": most}
    return Contents("stylegan2", config, state)


def base_of(widths: Mapping[int, int]) -> tuple[int, int]:
    """(channel_base, channel_max) of the widths by resolution. Raises ModelError where they follow no such rule."""
    most = widths[4]
    base = next((width * size for size, width in widths.items() if width < most), most * max(widths))
    if any(channels_at(size, base, most) != width for size, width in widths.items()):
        raise wrong("StyleGAN2", "half as many feature maps at each doubling")
    return base, most


def read_stylegan3(state: State, values: Mapping[str, Any]) -> Contents:
    """As ``read_stylegan2``."""
    rows = {}
    for name in state:
        match = _LAYER.match(name)
        if match:
            rows[int(match[1])] = (int(match[2]), int(match[3]))
    try:
        count = len(rows) - 1
        names = [f"synthesis.L{i}_{rows[i][0]}_{rows[i][1]}" for i in range(count + 1)]
        w_dim = state["synthesis.input.affine.weight"].shape[1]
        kernel = state[f"{names[1]}.weight"].shape[-1]
    except (KeyError, IndexError):
        raise wrong("StyleGAN3", "synthesis.input and layers L0, L1 and so on") from None
    resolution, channels = rows[count]
    config: dict[str, Any] = {
        "resolution": resolution,
        "channels": channels,
        **_mapping(state, w_dim),
        "layers": count,
        "kernel": kernel,
        "radial": any(tensor.ndim == 2 for name, tensor in state.items() if name.endswith(".down_filter")),
        "channel_max": rows[0][1],
        **_said(values, _SAID_3),
    }
    if "channel_base" not in config:
        config["channel_base"] = _base_3(rows, config)
    return Contents("stylegan3", config, state)


def _base_3(rows: Mapping[int, tuple[int, int]], config: Mapping[str, Any]) -> int:
    """The power of two that gives the widths in the layers' names. Raises ModelError."""
    for power in range(6, 20):
        at = geometry(
            config["resolution"],
            channels=config["channels"],
            channel_base=2**power,
            channel_max=config["channel_max"],
            layers=config["layers"],
        )
        if all((at.sizes[i], at.channels[i]) == row for i, row in rows.items()):
            return 2**power
    raise wrong("StyleGAN3", "layers with the sizes of the published configurations")


def _mapping(state: State, w_dim: int) -> dict[str, Any]:
    try:
        layers = numbered(state, "mapping.fc")
        c_dim = state["mapping.embed.weight"].shape[1] if "mapping.embed.weight" in state else 0
        z_dim = state["mapping.fc0.weight"].shape[1] - (w_dim if c_dim else 0)
    except KeyError:
        raise wrong("StyleGAN", "mapping.fc0") from None
    return {"z_dim": z_dim, "c_dim": c_dim, "w_dim": w_dim, "mapping_layers": len(layers)}


def _said(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """What ``_init_kwargs`` say of the synthesis, checked: a value of another type is none."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        key = name.removeprefix("synthesis_kwargs.")
        if key in _FIXED and value != _FIXED[key]:
            raise wrong("StyleGAN", f"{key}={_FIXED[key]!r}; this one was made with {value!r}")
        if key not in names:
            continue
        if not isinstance(value, (int, float)) and not (key == "conv_clamp" and value is None):
            continue
        whole = key in ("channel_base", "channel_max", "num_layers", "num_critical", "conv_kernel", "margin_size")
        found[names[key]] = int(value) if whole else value
    return found
