"""LPIPS: its trunks against torchvision's with the same random weights, its formula, and its laws."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn

from extensions.metrics.pictures.errors import WrongFile
from extensions.metrics.pictures.lpips import (
    TRUNKS,
    Lpips,
    Trunk,
    assemble,
    channel_weights,
    layer_distances,
    pooled,
    spread,
    trunk_of,
)

MODELS = {
    "alex": torchvision.models.alexnet,
    "vgg": torchvision.models.vgg16,
    "squeeze": torchvision.models.squeezenet1_1,
}


def random_weights(trunk: Trunk, module: nn.Module) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    tensors = {}
    for name, tensor in module.state_dict().items():
        if name.startswith("features."):
            fan = tensor[0].numel() if tensor.ndim > 1 else 100
            tensors[name] = torch.randn(tensor.shape, generator=generator) * (2 / fan) ** 0.5
    for place, count in enumerate(trunk.channels):
        tensors[f"lin{place}.model.1.weight"] = torch.rand((1, count, 1, 1), generator=generator)
    return tensors


@pytest.fixture(scope="module", params=sorted(TRUNKS))
def case(request: pytest.FixtureRequest) -> tuple[Trunk, dict[str, Tensor], nn.Module]:
    trunk = TRUNKS[request.param]
    with torch.device("meta"):
        empty = MODELS[trunk.name](weights=None)
    tensors = random_weights(trunk, empty)
    features = empty.features.to_empty(device="cpu")
    features.load_state_dict({n.removeprefix("features."): t for n, t in tensors.items() if n.startswith("features.")})
    return trunk, tensors, features.eval()


def pictures(seed: int, count: int = 2, edge: int = 40) -> Tensor:
    return torch.rand((count, 3, edge, edge), generator=torch.Generator().manual_seed(seed)) * 2 - 1


def network(trunk: Trunk, tensors: dict[str, Tensor]) -> Lpips:
    weights = channel_weights(tensors, trunk)
    assert weights is not None
    return assemble(trunk, tensors, weights)


def test_a_trunk_is_torchvisions_and_the_formula_the_papers(
    case: tuple[Trunk, dict[str, Tensor], nn.Module],
) -> None:
    trunk, tensors, features = case
    assert trunk_of({name: tuple(tensor.shape) for name, tensor in tensors.items()}) is trunk
    a, b = pictures(1), pictures(2)
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    expected = torch.zeros(2, dtype=torch.float64)
    with torch.inference_mode():
        x, y = ((p - shift.view(3, 1, 1)) / scale.view(3, 1, 1) for p in (a, b))
        layers = []
        for place, layer in enumerate(features[: trunk.taps[-1] + 1]):
            x, y = layer(x), layer(y)
            if place in trunk.taps:
                layers.append((x.clone(), y.clone()))  # torchvision's activations overwrite in place
        for place, (one, other) in enumerate(layers):
            one, other = (z.double() / (z.double().norm(dim=1, keepdim=True) + 1e-10) for z in (one, other))
            weights = tensors[f"lin{place}.model.1.weight"].double()
            expected += (weights * (one - other) ** 2).sum(1).mean((1, 2))
        told = network(trunk, tensors)(a, b)
    torch.testing.assert_close(told.double(), expected, atol=1e-5, rtol=1e-5)


def test_names_of_other_programs_mean_the_same(case: tuple[Trunk, dict[str, Tensor], nn.Module]) -> None:
    """lpips numbers slices from 1 and keeps torchvision's numbers in them; torchmetrics counts SqueezeNet's anew."""
    trunk, tensors, _ = case
    a, b = pictures(1), pictures(2)
    renamed = {}
    for name, tensor in tensors.items():
        if name.startswith("features."):
            place = int(name.split(".")[1])
            part = sum(place > tap for tap in trunk.taps)
            kind = f"slices.{part}" if trunk.name == "squeeze" else f"slice{part + 1}"
            name = f"net.{kind}.{name.removeprefix('features.')}"
        renamed[name] = tensor
    assert trunk_of({name: tuple(tensor.shape) for name, tensor in renamed.items()}) is trunk
    assert torch.equal(network(trunk, renamed)(a, b), network(trunk, tensors)(a, b))


def test_laws(case: tuple[Trunk, dict[str, Tensor], nn.Module]) -> None:
    trunk, tensors, _ = case
    lpips = network(trunk, tensors)
    a = pictures(1)
    noise = pictures(5)
    assert torch.equal(lpips(a, a), torch.zeros(2))
    told = [lpips(a, (a + amount * noise).clamp(-1, 1)) for amount in (0.03, 0.1, 0.3)]
    assert (told[0] < told[1]).all()
    assert (told[1] < told[2]).all()
    assert torch.allclose(lpips(a, noise), lpips(noise, a), rtol=1e-6)
    assert torch.equal(lpips(a, noise), lpips(a.clone(), noise.clone()))
    where = spread(lpips.distances(a, noise), 40, 40)
    assert where.shape == (2, 40, 40)
    assert (where >= 0).all()
    small = pictures(1, edge=trunk.smallest_px)
    assert torch.isfinite(lpips(small, small.flip(-1))).all()
    with pytest.raises(ValueError, match=str(trunk.smallest_px)):
        lpips(pictures(1, edge=trunk.smallest_px - 1), pictures(2, edge=trunk.smallest_px - 1))


def test_wrong_weights_are_named(case: tuple[Trunk, dict[str, Tensor], nn.Module]) -> None:
    trunk, tensors, _ = case
    weights = channel_weights(tensors, trunk)
    assert weights is not None
    without = {name: tensor for name, tensor in tensors.items() if name != "features.0.bias"}
    with pytest.raises(WrongFile, match="lacks"):
        assemble(trunk, without, weights)
    with pytest.raises(WrongFile, match="shapes"):
        assemble(trunk, {**tensors, "features.0.bias": torch.zeros(5)}, weights)
    other = TRUNKS["vgg" if trunk.name != "vgg" else "alex"]
    with pytest.raises(WrongFile, match=other.name):
        channel_weights(tensors, other)
    assert channel_weights({}, trunk) is None


def test_other_files_hold_no_trunk() -> None:
    assert trunk_of({}) is None
    assert trunk_of({"features.0.weight": (64, 3, 3, 3)}) is None
    assert trunk_of({"conv1.weight": (64, 3, 7, 7)}) is None


def test_without_weights_all_channels_count_the_same() -> None:
    a, b = torch.rand(1, 4, 3, 3), torch.rand(1, 4, 3, 3)
    plain = pooled(layer_distances([a], [b]))
    assert torch.allclose(plain, pooled(layer_distances([a], [b], [torch.ones(4)])))
    with pytest.raises(ValueError):
        layer_distances([a], [b, b])
