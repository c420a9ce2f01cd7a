"""StyleGAN2 checkpoints of the rosinality layout (.pt with ``g_ema`` and ``latent_avg``): their names to ours."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from extensions.gan.networks.filters import outer_taps

from .names import Contents, State, below, numbered, wrong
from .stylegan import base_of


def read_rosinality(whole: Mapping[str, Tensor]) -> Contents:
    """``whole``: all tensors of the file. Raises ModelError."""
    g = below(whole, "g_ema.")
    state: State = {}
    try:
        styles = numbered(g, "style.")
        for i in styles:
            for part in ("weight", "bias"):
                state[f"mapping.fc{i - 1}.{part}"] = g[f"style.{i}.{part}"]
        state["synthesis.b4.const"] = g["input.input"][0]
        _layer(g, "conv1", "noises.noise_0", "synthesis.b4.conv1", state)
        _to_rgb(g, "to_rgb1", "synthesis.b4.torgb", state)
        count = len(numbered(g, "convs.")) // 2
        for j in range(count):
            block = f"synthesis.b{8 * 2**j}"
            _layer(g, f"convs.{2 * j}", f"noises.noise_{2 * j + 1}", f"{block}.conv0", state)
            _layer(g, f"convs.{2 * j + 1}", f"noises.noise_{2 * j + 2}", f"{block}.conv1", state)
            _to_rgb(g, f"to_rgbs.{j}", f"{block}.torgb", state)
    except (KeyError, IndexError):
        raise wrong(
            "StyleGAN2 of the rosinality layout", "style, input, conv1, to_rgb1, convs, to_rgbs and noises"
        ) from None
    sizes = [4 * 2**i for i in range(count + 1)]
    for size in sizes:
        state[f"synthesis.b{size}.resample_filter"] = outer_taps()
    w_dim = state["synthesis.b4.conv1.affine.weight"].shape[1]
    centre = whole.get("latent_avg")
    state["mapping.w_avg"] = (state["mapping.fc0.bias"] * 0) if centre is None else centre.reshape(-1)
    base, most = base_of({size: state[f"synthesis.b{size}.conv1.weight"].shape[0] for size in sizes})
    config = {
        "resolution": sizes[-1],
        "z_dim": state["mapping.fc0.weight"].shape[1],
        "w_dim": w_dim,
        "mapping_layers": len(styles),
        "channel_base": base,
        "channel_max": most,
    }
    return Contents("stylegan2", config, state, derive_centre=centre is None)


def _layer(g: State, old: str, noise: str, new: str, state: State) -> None:
    state[f"{new}.weight"] = g[f"{old}.conv.weight"][0]
    state[f"{new}.affine.weight"] = g[f"{old}.conv.modulation.weight"]
    state[f"{new}.affine.bias"] = g[f"{old}.conv.modulation.bias"]
    state[f"{new}.bias"] = g[f"{old}.activate.bias"].reshape(-1)
    state[f"{new}.noise_strength"] = g[f"{old}.noise.weight"].reshape(())
    state[f"{new}.noise_const"] = g[noise][0, 0]
    state[f"{new}.resample_filter"] = outer_taps()


def _to_rgb(g: State, old: str, new: str, state: State) -> None:
    state[f"{new}.weight"] = g[f"{old}.conv.weight"][0]
    state[f"{new}.affine.weight"] = g[f"{old}.conv.modulation.weight"]
    state[f"{new}.affine.bias"] = g[f"{old}.conv.modulation.bias"]
    state[f"{new}.bias"] = g[f"{old}.bias"].reshape(-1)
