"""The perceptual distance that a person chose: LPIPS from weights that are here, or the same formula on the layers of a
feature network such as the starter's judge, which is then named by it.

``perceptual`` finds it; lease its ``component``, hand what the lease gives to ``distance``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from extensions.metrics.features.weights import FOLDER, path_of, sha256
from webui.api import (
    Component,
    ComponentKey,
    Context,
    FieldError,
    JobFailed,
    LayeredExtractor,
    ModelError,
    Models,
    NotFound,
    ParameterError,
)

from .errors import WrongFile
from .lpips import TRUNKS, VERSION, Lpips, Trunk, assemble, channel_weights, layer_distances, pooled, spread, trunk_of
from .pristine import BUNDLED

STARTER = "starter.judge"
FORMULA = "Zhang et al. 2018"
_FILES = {
    "alex": "alexnet-owt-7be5be79.pth",
    "vgg": "vgg16-397923af.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}
_ADVICE = "Put torchvision's {file} into models/features, or name a file or a hub id of it."


@dataclass(frozen=True)
class Perceptual:
    """A perceptual distance. ``layers_apart``: (network, a, b), float32 [N,3,H,W] in -1..1 -> [N,h,w] a layer."""

    name: str
    """As its numbers are called."""
    component: Component
    protocol: Mapping[str, Any]
    layers_apart: Callable[[Any, Tensor, Tensor], Sequence[Tensor]]
    smallest_px: int = 1

    def distance(self, network: Any, a: Tensor, b: Tensor) -> Tensor:
        """float32 [N,3,H,W] in -1..1, twice, on the device -> float32 [N]."""
        return pooled(self.layers_apart(network, a, b))

    def where(self, network: Any, a: Tensor, b: Tensor) -> Tensor:
        """As ``distance`` -> float32 [N,H,W]: how much each place differs."""
        return spread(self.layers_apart(network, a, b), *a.shape[-2:])


def signed(picture: Image.Image) -> NDArray[np.float32]:
    """RGB -> float32 [3,H,W] in -1..1."""
    array = np.asarray(picture.convert("RGB"), np.float32).transpose(2, 0, 1)
    return np.ascontiguousarray(array / np.float32(127.5) - np.float32(1))


def perceptual(context: Context, choice: str, weights: str = "", usual: str = "alex") -> Perceptual:
    """What ``choice`` of ``params.PERCEPTUAL`` names. Empty: LPIPS with ``usual`` where its weights are here, else the
    starter's with a warning. Raises JobFailed where it is not here, ParameterError for another network's weights.
    """
    if choice == "starter":
        return on_layers(context, STARTER)
    trunk = TRUNKS[choice or usual]
    path = _found(context.models, trunk, weights)
    if path is not None:
        return _lpips(context.models, trunk, path)
    advice = _ADVICE.format(file=_FILES[trunk.name])
    if choice or weights or STARTER not in context.feature_networks:
        raise JobFailed(f"the weights of LPIPS-{trunk.name} are not on this machine.", hint=advice)
    context.warn(f"The weights of LPIPS-{trunk.name} are not on this machine; LPIPS-starter is told instead. {advice}")
    return on_layers(context, STARTER)


def _found(models: Models, trunk: Trunk, weights: str) -> Path | None:
    if weights:
        path = path_of(models, weights)
        if trunk_of(models.shapes(path)) is not trunk:
            raise ParameterError([FieldError("weights", f"holds no weights of LPIPS-{trunk.name}", path.name)])
        return path
    for one in models.listed():
        path = one.path
        if path is None or FOLDER not in path.parent.parts or not path.is_file():
            continue
        try:
            if trunk_of(models.shapes(path)) is trunk:
                return path
        except ModelError:  # a damaged file of another network is that one's matter
            continue
    return None


def _lpips(models: Models, trunk: Trunk, path: Path) -> Perceptual:
    """Its own weights of channels where the file has them, else the published ones."""

    def load() -> Lpips:
        tensors = models.open_weights(path)
        try:
            return assemble(trunk, tensors, channel_weights(tensors, trunk) or published_channels(trunk))
        except WrongFile as error:
            raise ModelError(f"{path.name}: {error}.") from error

    own = any(name.startswith("lin0.") for name in models.shapes(path))
    return Perceptual(
        name=f"LPIPS-{trunk.name} {VERSION}",
        component=Component(ComponentKey.of(path, f"lpips-{trunk.name}", "float32"), load),
        protocol={
            "perceptual": f"LPIPS-{trunk.name}",
            "version": VERSION,
            "weights": sha256(path),
            "weights_file": path.name,
            "channels": "of the file" if own else f"published, {sha256(BUNDLED / 'lpips_channels.npz')}",
            "input": "-1..1, not resized",
        },
        layers_apart=lambda network, a, b: network.distances(a, b),
        smallest_px=trunk.smallest_px,
    )


def published_channels(trunk: Trunk) -> list[Tensor]:
    """The authors' weights of channels, float32 [C] a layer."""
    with np.load(BUNDLED / "lpips_channels.npz", allow_pickle=False) as held:
        return [torch.from_numpy(held[f"{trunk.name}_{place}"]) for place in range(len(trunk.channels))]


def on_layers(context: Context, network: str) -> Perceptual:
    """The same formula with equal weights on the layers of a feature network: not LPIPS, and not called so alone.

    Raises JobFailed.
    """
    try:
        reader = context.feature_extractor(network)
    except (NotFound, ModelError) as error:
        raise JobFailed(error.message, hint=error.hint) from error
    if not isinstance(reader, LayeredExtractor):
        raise JobFailed(f"{network} hands out no layers: no perceptual distance can be taken with it.")
    layered: LayeredExtractor = reader
    protocol = dict(reader.protocol)
    size = int(protocol.get("size", 0))

    def layers_apart(module: Any, a: Tensor, b: Tensor) -> list[Tensor]:
        both = torch.cat([a, b])
        if size and both.shape[-2:] != (size, size):
            both = functional.interpolate(both, size=(size, size), mode="area")
        layers = layered.layers(module, both)
        return layer_distances([x[: len(a)] for x in layers], [x[len(a) :] for x in layers])

    title = context.feature_networks[network].title
    return Perceptual(
        name=f"LPIPS-{title}",
        component=reader.component,
        protocol={**protocol, "perceptual": f"LPIPS-{title}", "network": network, "channels": "equal"},
        layers_apart=layers_apart,
    )


__all__ = ["FORMULA", "Perceptual", "on_layers", "perceptual", "published_channels", "signed"]
