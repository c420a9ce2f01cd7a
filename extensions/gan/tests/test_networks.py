"""Published parameter counts, and each network's pieces against small references."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional

from extensions.gan.networks.biggan import BigGANDiscriminator, BigGANGenerator
from extensions.gan.networks.biggan_deep import (
    LAYERS_128,
    LAYERS_256,
    LAYERS_512,
    BigGANDeepDiscriminator,
    BigGANDeepGenerator,
    DiscriminatorBlock,
)
from extensions.gan.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from extensions.gan.networks.layers import Noise
from extensions.gan.networks.mapping import MappingNetwork
from extensions.gan.networks.prior import Cache, Prior, filtered, sample_codes
from extensions.gan.networks.spectral import fold_spectra, folded, normalize_spectra
from extensions.gan.networks.stylegan1 import StyleGAN1Generator
from extensions.gan.networks.stylegan2 import StyleGAN2Generator
from extensions.gan.networks.stylegan2_discriminator import StyleGAN2Discriminator, minibatch_stddev
from extensions.gan.networks.stylegan3 import StyleGAN3Generator
from extensions.gan.networks.vae import VAE, divergence
from extensions.gan.networks.vqvae import VQVAE, VectorQuantizer


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (lambda: StyleGAN2Generator(1024), 30_370_060),
        (lambda: StyleGAN2Discriminator(1024), 29_012_513),
        (lambda: StyleGAN2Generator(512), 30_276_583),
        (lambda: StyleGAN2Discriminator(512), 28_982_849),
        (lambda: StyleGAN2Generator(256, channel_base=16384), 24_767_458),
        (lambda: StyleGAN2Discriminator(256, channel_base=16384), 24_001_089),
        (lambda: MappingNetwork(512, 0, 512, 18), 2_101_248),
        # The published 26,219,627 count the 1x1 convolutions of the lower resolutions, which growing leaves behind.
        (lambda: StyleGAN1Generator(1024), 26_219_627 - 7_608),
        # Configurations T and R of the paper at 256 px: 23.3 and 15.8 million.
        (lambda: StyleGAN3Generator(256, channel_base=16384), 23_320_443),
        (lambda: StyleGAN3Generator(256, channel_max=1024, kernel=1, radial=True), 15_779_565),
        (lambda: BigGANGenerator(128), 70_433_988),
        (lambda: BigGANDiscriminator(128), 87_982_370),
        (lambda: BigGANDeepGenerator(layers=LAYERS_128), 50_388_609),
        (lambda: BigGANDeepGenerator(layers=LAYERS_256), 55_880_833),
        (lambda: BigGANDeepGenerator(layers=LAYERS_512), 56_163_905),
        (lambda: BigGANDeepDiscriminator(layers=LAYERS_128), 34_590_210),  # 34.6 million in the paper
        (lambda: DCGANGenerator(64), 3_576_704),
        (lambda: DCGANDiscriminator(64), 2_765_568),
    ],
)
def test_parameter_counts(make: Callable[[], nn.Module], parameters: int) -> None:
    with torch.device("meta"):
        assert count(make()) == parameters


def test_parameter_count_of_vqgan() -> None:
    from extensions.gan.networks.vqgan import VQGAN

    with torch.device("meta"):
        assert count(VQGAN()) == 72_141_699


def test_stylegan3_has_the_published_layers() -> None:
    made = StyleGAN3Generator(1024)
    assert count(made) == 22_313_167  # 22.3 M in the paper
    assert made.synthesis.layer_names[::7] == ["L0_36_512", "L7_276_323", "L14_1024_3"]
    assert made.num_ws == 16


def small_stylegans() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    narrow = {"z_dim": 16, "w_dim": 16, "channel_base": 256, "channel_max": 16}
    return {
        "1": StyleGAN1Generator(16, **narrow),
        "2": StyleGAN2Generator(16, c_dim=3, **narrow),
        "3t": StyleGAN3Generator(16, **narrow),
        "3r": StyleGAN3Generator(16, kernel=1, radial=True, **narrow),
    }


@pytest.mark.parametrize("name", ["1", "2", "3t", "3r"])
def test_stylegans_map_truncate_and_synthesize(name: str) -> None:
    network = small_stylegans()[name].eval()
    z = torch.randn((3, 16), generator=torch.Generator().manual_seed(0))
    condition = torch.eye(3) if name == "2" else None
    with torch.no_grad():
        network.mapping.w_avg.normal_(generator=torch.Generator().manual_seed(1))
        ws = network.mapping(z, condition)
        assert ws.shape == (3, network.num_ws, 16)
        images = network(z, condition)
        assert images.shape == (3, 3, 16, 16)
        torch.testing.assert_close(images[1:2], network.synthesis(ws[1:2]), atol=1e-5, rtol=1e-4)
        average = network.mapping(z, condition, psi=0.0)
        torch.testing.assert_close(average, network.mapping.w_avg.expand_as(average))
        half = network.mapping(z, condition, psi=0.5, cutoff=2)
        torch.testing.assert_close(half[:, :2], (ws[:, :2] + network.mapping.w_avg) / 2)
        assert torch.equal(half[:, 2:], ws[:, 2:])
    with pytest.raises(ValueError, match="expected w"):
        network.synthesis(ws[:, 1:])


def test_noise_modes_of_stylegan2() -> None:
    network = small_stylegans()["2"].eval()
    for block in network.synthesis.blocks():
        nn.init.constant_(block.conv1.noise_strength, 0.5)
    ws = network.mapping(torch.randn(2, 16), torch.eye(3)[:2])

    def made(mode: str, *seeds: int) -> torch.Tensor:
        with torch.no_grad():
            return network.synthesis(ws, Noise(mode, [torch.Generator().manual_seed(seed) for seed in seeds]))

    assert torch.equal(made("const"), made("const"))
    assert torch.equal(made("random", 1, 2), made("random", 1, 2))
    assert not torch.equal(made("random", 1, 2), made("random", 3, 4))
    assert not torch.equal(made("none"), made("const"))


def test_half_precision_blocks_are_near_full_ones() -> None:
    for name in ("2", "3t"):
        network = small_stylegans()[name].eval()
        z, condition = torch.randn(2, 16), torch.eye(3)[:2] if name == "2" else None
        with torch.no_grad():
            whole = network(z, condition)
            network.synthesis.use_half(2)
            half = network(z, condition)
        assert half.dtype == torch.float32
        assert not torch.equal(half, whole)
        assert float((half - whole).abs().max()) < 0.02 * float(whole.abs().max())


def test_translation_moves_what_stylegan3_draws() -> None:
    """A shift by whole pixels through the input's transform: the inner part of the picture moves with it."""
    network = StyleGAN3Generator(32, z_dim=8, w_dim=8, channel_base=512, channel_max=16).eval()
    with torch.no_grad():
        ws = network.mapping(torch.randn((1, 8), generator=torch.Generator().manual_seed(3)))
        before = network.synthesis(ws)
        network.synthesis.input.transform[0, 2] = -4 / 32  # in widths of the picture
        after = network.synthesis(ws)
    inner = slice(8, 24)
    moved = before[:, :, inner, slice(4, 20)]
    error = (after[:, :, inner, inner] - moved).square().mean()
    assert float(error) < 0.02 * float(moved.var())


def test_minibatch_stddev_is_the_explicit_one() -> None:
    x = torch.randn((6, 4, 3, 3), generator=torch.Generator().manual_seed(0))
    found = minibatch_stddev(x, group=3, features=2)
    assert found.shape == (6, 6, 3, 3)
    for n in range(6):
        group = x[[n % 2, n % 2 + 2, n % 2 + 4]]
        for feature in range(2):
            part = group[:, 2 * feature : 2 * feature + 2]
            deviation = torch.sqrt(((part - part.mean(0)) ** 2).mean(0) + 1e-8).mean()
            torch.testing.assert_close(found[n, 4 + feature], deviation.expand(3, 3))


def test_spectral_norm_is_the_largest_singular_value() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8, 5))
    kept = [network[0].weight.detach().clone(), network[2].weight.detach().clone()]
    normalize_spectra(network)
    for _ in range(60):  # a step of power iteration each
        network(torch.randn(2, 3, 3, 3))
    fold_spectra(network.eval())
    for layer, weight in zip((network[0], network[2]), kept, strict=True):
        expected = weight / torch.linalg.svdvals(weight.flatten(1))[0]
        torch.testing.assert_close(layer.weight.detach(), expected, atol=1e-4, rtol=1e-3)
        left, _, right = torch.linalg.svd(weight.flatten(1), full_matrices=False)
        torch.testing.assert_close(folded(weight, left[:, 0], right[0]), expected, atol=1e-5, rtol=1e-4)


def test_biggan_takes_mixtures_of_classes() -> None:
    torch.manual_seed(0)
    generator = BigGANGenerator(32, width=4, z_dim=16, classes=5, shared_dim=8, attention=16).eval()
    z = torch.randn(2, generator.z_dim)
    one, other = torch.eye(5)[[0, 0]], torch.eye(5)[[3, 3]]
    with torch.no_grad():
        images = generator(z, (one + other) / 2)
        assert images.shape == (2, 3, 32, 32)
        assert not torch.allclose(images, generator(z, one))
    logits = BigGANDiscriminator(32, width=4, classes=5, attention=16)(images, torch.tensor([0, 3]))
    assert logits.shape == (2, 1)
    with pytest.raises(ValueError, match="expected z"):
        generator(z[:, 1:], one)


def test_biggan_deep_snaps_truncation_to_its_statistics() -> None:
    layers = ((False, 2, 2), (True, 2, 1), (True, 1, 1))
    network = BigGANDeepGenerator(layers=layers, z_dim=8, classes=4, width=16, attention_at=1).eval()
    nn.init.normal_(network.generator.bn.running_means)
    z, condition = torch.randn(2, 8), torch.eye(4)[:2]
    with torch.no_grad():
        made = {psi: network(z, condition, psi) for psi in (0.5, 0.505, 0.52, 1.0)}
    assert made[0.5].shape == (2, 3, 16, 16)
    assert torch.equal(made[0.5], made[0.505])  # 0.505 * 50 is nearest to 25
    assert not torch.equal(made[0.5], made[0.52])


def test_biggan_deep_judges_by_projection() -> None:
    torch.manual_seed(0)
    layers = ((False, 2, 2), (True, 2, 1), (True, 1, 1))
    network = normalize_spectra(BigGANDeepDiscriminator(layers=layers, classes=4, width=16, attention=8)).eval()
    assert [type(block).__name__ for block in network.blocks].count("SelfAttention") == 1
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        one, other = (network(images, torch.full((2,), kind)) for kind in (0, 1))
        features = network.conv_from_rgb(images)
        for block in network.blocks:
            features = block(features)
        features = functional.relu(features).sum((2, 3))
        by_hand = network.linear(features) + (network.embed.weight[1] * features).sum(1, keepdim=True)
        assert torch.allclose(network(images, torch.ones(2, dtype=torch.long)), by_hand)
    assert one.shape == (2, 1)
    assert not torch.allclose(one, other)
    with pytest.raises(ValueError, match=r"expected \[N,C,16,16\]"):
        network(images[..., 1:], torch.zeros(2, dtype=torch.long))


def test_a_deep_block_keeps_its_input_beside_what_it_adds() -> None:
    torch.manual_seed(0)
    block = DiscriminatorBlock(4, 8, down=True)
    nn.init.zeros_(block.conv_3.weight)
    nn.init.zeros_(block.conv_3.bias)
    x = torch.randn(1, 4, 6, 6)
    small = functional.avg_pool2d(x, 2)
    with torch.no_grad():
        assert torch.equal(block(x), torch.cat([small, block.conv_sc(small)], 1))


def test_discriminator_with_classes_projects() -> None:
    torch.manual_seed(0)
    network = StyleGAN2Discriminator(16, c_dim=3, channel_base=256, channel_max=16, mapping_layers=2)
    images = torch.randn(4, 3, 16, 16)
    one, other = network(images, torch.eye(3)[[0, 0, 0, 0]]), network(images, torch.eye(3)[[1, 1, 1, 1]])
    assert one.shape == (4, 1)
    assert not torch.allclose(one, other)


def test_straight_through_gradient() -> None:
    quantizer = VectorQuantizer(7, 3)
    nn.init.normal_(quantizer.embedding.weight)
    z = torch.randn((2, 3, 4, 4), requires_grad=True)
    quantized = quantizer(z)
    weights = torch.randn_like(quantized.values)
    (quantized.values * weights).sum().backward()
    assert torch.equal(z.grad, weights)  # the gradient of the values is that of z, and the codebook gets none
    assert quantizer.embedding.weight.grad is None
    flat = z.detach().permute(0, 2, 3, 1).flatten(0, 2)
    assert torch.equal(quantized.codes.flatten(), torch.cdist(flat, quantizer.embedding.weight).argmin(1))
    assert torch.equal(
        quantizer.lookup(quantized.codes), quantized.values.detach().round(decimals=6)
    ) or torch.allclose(quantizer.lookup(quantized.codes), quantized.values, atol=1e-6)


def test_autoencoders_come_back_at_their_size() -> None:
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    codes = VQVAE(32, width=16, codes=32, code_dim=8)
    made, quantized = codes(images)
    torch.testing.assert_close(codes.decode(codes.encode(images)), made, atol=1e-5, rtol=1e-4)
    assert quantized.codes.shape == (2, 8, 8)
    vae = VAE(32, z_dim=8, channel_base=256, channel_max=32)
    mean, log_variance = vae.encode(images)
    assert vae(mean).shape == images.shape
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(divergence(mean, log_variance), expected)


def test_prior_with_its_cache_reads_what_it_reads_without() -> None:
    torch.manual_seed(0)
    prior = Prior(11, 9, width=16, blocks=2, heads=4).eval()
    nn.init.normal_(prior.pos_emb)
    tokens = torch.randint(0, 11, (2, 9))
    cache = Cache()
    parts = [prior(part, cache) for part in tokens.split([3, 1, 1, 4], 1)]
    torch.testing.assert_close(torch.cat(parts, 1), prior(tokens), atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="at most 9 tokens"):
        prior(tokens[:, :1], cache)


def test_filters_of_sampling() -> None:
    logits = torch.tensor([[0.1, 0.4, 0.2, 0.3]]).log()
    assert filtered(logits, top_k=2).isinf().tolist() == [[True, False, True, False]]
    assert filtered(logits, top_p=0.69).isinf().tolist() == [[True, False, True, False]]
    assert filtered(logits, top_p=0.71).isinf().tolist() == [[True, False, False, False]]
    assert filtered(logits, top_p=0.0).isinf().sum() == 3
    cold = filtered(logits, temperature=0.5).softmax(-1)
    torch.testing.assert_close(cold, logits.exp().square() / logits.exp().square().sum())
    with pytest.raises(ValueError, match="temperature"):
        filtered(logits, temperature=0)


def test_codes_are_drawn_by_row_and_keep_what_is_known() -> None:
    torch.manual_seed(0)
    prior = Prior(13, 17, width=16, blocks=2, heads=2).eval()
    condition = torch.tensor([[10], [10]])
    known = torch.tensor([[1, 2, 3], [4, 5, 6]])

    def drawn(rows: slice, *seeds: int) -> torch.Tensor:
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        return sample_codes(prior, condition[rows], known[rows], 16, 10, generators, top_k=5)

    both = drawn(slice(0, 2), 8, 9)
    assert both.shape == (2, 16)
    assert torch.equal(both[:, :3], known)
    assert int(both.max()) < 10
    assert torch.equal(both[1:], drawn(slice(1, 2), 9))
