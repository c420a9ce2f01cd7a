"""Networks, statistics, tiles and the search compute what they say."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from extensions.style.networks.encoder import VGG19, VGG19_CHANNELS, Decoder, Encoder, Plan
from extensions.style.networks.optimizing import Search, losses, search, style_targets
from extensions.style.networks.statistics import adain, deviations, fused, gram, means
from extensions.style.networks.tiles import decoded, encoded, padded
from extensions.style.recognise import recognise_encoder

from .layouts import small


def test_adain_gives_the_statistics_of_the_style() -> None:
    torch.manual_seed(0)
    content, style = torch.randn(1, 5, 9, 7) * 3 + 1, torch.rand(1, 5, 4, 6)
    made = adain(content, style)
    assert torch.allclose(means(made), means(style), atol=1e-5)
    assert torch.allclose(deviations(made), deviations(style), rtol=1e-3)


def test_fusion_is_a_mean_and_places_keep_apart() -> None:
    torch.manual_seed(0)
    content, one, other = (torch.randn(1, 5, 8, 8) for _ in range(3))
    assert torch.equal(fused(content, [one], [1.0], 0.0), content)
    assert torch.allclose(fused(content, [one], [1.0], 1.0), adain(content, one), atol=1e-6)
    mixed = fused(content, [one, other], [0.25, 0.75], 1.0)
    assert torch.allclose(mixed, 0.25 * adain(content, one) + 0.75 * adain(content, other), atol=1e-5)
    left = torch.zeros(1, 1, 8, 8)
    left[..., :3] = 1
    placed = fused(content, [one], [left], 1.0)
    assert torch.allclose(placed[..., :3], adain(content, one)[..., :3], atol=1e-6)
    assert torch.equal(placed[..., 3:], content[..., 3:])


def test_gram_is_the_mean_product_of_channels() -> None:
    activations = torch.randn(2, 3, 4, 5)
    expected = torch.einsum("ncij,ndij->ncd", activations, activations) / 20
    assert torch.allclose(gram(activations), expected, atol=1e-6)


@pytest.mark.parametrize("size", [(136, 200), (64, 264), (131, 77)])
def test_tiles_are_the_whole(size: tuple[int, int]) -> None:
    encoder, decoder = small()
    torch.manual_seed(1)
    pictures = padded(torch.rand(1, 3, *size))

    def encode(part: Tensor) -> list[Tensor]:
        found = encoder(part, (16, *decoder.taken))
        return [found[place] for place in (16, *decoder.taken)]

    whole = encode(pictures)
    tiled = encoded(encode, pictures, 64)
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(tiled, whole, strict=True))
    activations = [4 * torch.randn_like(one) for one in whole]  # as lively as a trained encoder's
    drawn = decoder(activations[0], activations[1:])
    assert drawn.shape == pictures.shape
    assert drawn.std() > 0.1
    assert (decoded(decoder, activations, 64) - drawn).abs().max() < 1 / 255 / 10


def test_a_decoder_sees_what_it_skips_to() -> None:
    encoder, decoder = small()
    picture = torch.rand(1, 3, 32, 32)
    found = encoder(picture, (16, 11, 6))
    drawn = decoder(found[16], [found[11], found[6]])
    for place in (0, 1):
        finer = [found[11], found[6]]
        finer[place] = finer[place] + 1
        assert not torch.allclose(decoder(found[16], finer), drawn)
    with pytest.raises(ValueError, match="skips"):
        Decoder((4, "A", 8), (7,))


def test_vgg19_sees_what_torchvisions_sees() -> None:
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    # Its layers at an eighth of their width: the order of the layers is what is compared.
    channels = tuple(one if isinstance(one, str) else one // 8 for one in VGG19_CHANNELS)
    theirs = torchvision.models.vgg.make_layers(list(channels), batch_norm=False).eval()
    for layer in theirs:
        if isinstance(layer, torch.nn.Conv2d):
            layer.padding_mode = "reflect"
            layer._reversed_padding_repeated_twice = (1, 1, 1, 1)
    ours = Encoder(Plan("", channels, VGG19.taps, VGG19.content, VGG19.mean, VGG19.std)).eval()
    weights = {f"features.{name}": value for name, value in theirs.state_dict().items()}
    ours.load_state_dict({name: weights[name] for name in ours.state_dict()})
    picture = torch.rand(1, 3, 64, 64)
    x, found = (picture - ours.mean) / ours.std, ours(picture)
    assert sorted(found) == [1, 6, 11, 20, 22, 29]
    for place, layer in enumerate(theirs):
        x = layer(x)
        if place in found:
            assert torch.allclose(found[place], x, atol=1e-5)


def test_vgg19_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "vgg19-dcbb9e9d.pth").write_bytes(b"PK")
    save_file({"features.34.weight": torch.zeros(512, 512, 3, 3, dtype=torch.float16)}, tmp_path / "a.safetensors")
    save_file({"features.34.weight": torch.zeros(512, 512, 1, 1, dtype=torch.float16)}, tmp_path / "b.safetensors")
    found = [recognise_encoder(tmp_path / name) for name in ("vgg19-dcbb9e9d.pth", "a.safetensors", "b.safetensors")]
    assert [None if one is None else one["family"] for one in found] == ["vgg19", "vgg19", None]


@pytest.mark.parametrize("way", ["lbfgs", "adam"])
def test_a_search_comes_nearer_to_both(way: str) -> None:
    encoder, _ = small()
    torch.manual_seed(2)
    content = torch.nn.functional.interpolate(torch.rand(1, 3, 4, 4), size=(40, 48), mode="bilinear")
    style = (torch.arange(40)[:, None] + torch.arange(40) > 40).float().expand(1, 3, 40, 40).contiguous()
    wanted = encoder(content, (16,))[16]
    styles = style_targets(encoder, [style], [1.0])
    before = losses(encoder, content, wanted, styles)
    steps: list[int] = []
    made = search(
        encoder, content, wanted, styles, Search(way, steps=12, style=100.0), lambda step, _: steps.append(step)
    )
    after = losses(encoder, made, wanted, styles)
    assert steps == list(range(1, 13))
    assert float(before[0]) == 0
    assert float(after[1]) < 0.3 * float(before[1])
    assert made.min() >= 0
    assert made.max() <= 1


def test_no_step_of_a_search_stands_still() -> None:
    """A step too far is taken back and a shorter one found, up to the last."""
    encoder, _ = small()
    torch.manual_seed(2)
    content = torch.nn.functional.interpolate(torch.rand(1, 3, 4, 4), size=(40, 48), mode="bilinear")
    stripes = (torch.sin(torch.arange(40) * 1.3) > 0).float().expand(1, 3, 40, 40).contiguous()
    wanted, styles = encoder(content, (16,))[16], style_targets(encoder, [stripes], [1.0])
    found: list[float] = []

    def told(step: int, picture: torch.Tensor) -> None:
        kept, styled = losses(encoder, picture, wanted, styles)
        found.append(float(kept + 100 * styled))

    search(encoder, content, wanted, styles, Search(steps=8, style=100.0, smoothness=0.0), told)
    assert all(later < earlier for earlier, later in itertools.pairwise(found)), found


def test_targets_of_several_are_their_weighted_mean() -> None:
    encoder, _ = small()
    one, other = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 40, 32)
    mixed = style_targets(encoder, [one, other], [0.25, 0.75])
    alone = [style_targets(encoder, [picture], [1.0]) for picture in (one, other)]
    for place, value in mixed.items():
        assert torch.allclose(value, 0.25 * alone[0][place] + 0.75 * alone[1][place], atol=1e-6)


def test_a_decoder_mirrors_its_encoder() -> None:
    encoder, decoder = small()
    ours = [layer for layer in encoder.features if isinstance(layer, torch.nn.Conv2d)]
    back = [layer for layer in decoder.features if isinstance(layer, torch.nn.Conv2d)]
    assert [(b.in_channels, b.out_channels) for b in back] == [(o.out_channels, o.in_channels) for o in reversed(ours)]
    assert isinstance(decoder, Decoder)
