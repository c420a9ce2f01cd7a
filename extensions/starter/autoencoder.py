"""Training's first stage: drawn pictures -> AutoencoderKL of factor 8, its latents whitened inside quant_conv."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor
from torch.nn import functional

from .config import AutoencoderConfig, TrainingConfig
from .data import HELD_OUT, grid, masks, pictures, subjects_at, to_image
from .loop import Hooks, Stage, step_generator
from .precision import mixed
from .scope import scope_named
from .warm import warm_start
from .world import Subject, sample


def build_autoencoder(config: AutoencoderConfig, size: int) -> AutoencoderKL:
    """An untrained autoencoder; no attention, so that crops and whole pictures teach the same network."""
    n = len(config.channels)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * n,
        up_block_types=("UpDecoderBlock2D",) * n,
        block_out_channels=config.channels,
        layers_per_block=config.layers,
        latent_channels=config.latent_channels,
        norm_num_groups=config.groups,
        sample_size=size,
        scaling_factor=1.0,
        mid_block_add_attention=False,
        force_upcast=False,
    )


def train_autoencoder(config: TrainingConfig, folder: Path, hooks: Hooks | None = None) -> AutoencoderKL:
    """Train or go on training; writes sheets on the way and the averaged, whitened model to `folder`/vae."""
    part = config.autoencoder
    torch.manual_seed(config.seed)
    model = build_autoencoder(part, config.size).to(config.device, memory_format=torch.channels_last)
    warm_start(model, config, "avatar/vae")
    stage = Stage(
        "autoencoder",
        {"vae": model},
        folder,
        part,
        config,
    )
    stage.resume()

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = step_generator(config.seed, "autoencoder", step)
        images, weights = _batch(config, step, generator)
        return _loss(model, images.to(config.device), weights.to(config.device), part, generator)

    def after(step: int) -> None:
        if step % config.grid_every == 0 or step == part.steps:
            with stage.average:
                sheet(model, config).save(folder / f"autoencoder-{step:06d}.png")

    stage.run(loss_at, hooks or Hooks(), after)
    with stage.average:
        trained = model_copy(model, part, config.size)
    whiten(trained, config)
    trained.save_pretrained(folder / "vae")
    return trained


def model_copy(model: AutoencoderKL, part: AutoencoderConfig, size: int) -> AutoencoderKL:
    """A detached copy in evaluation mode, so that the running stage keeps its own weights."""
    twin = build_autoencoder(part, size)
    twin.load_state_dict({k: v.detach().cpu().clone() for k, v in model.state_dict().items()})
    return twin.eval().requires_grad_(False)


def _batch(config: TrainingConfig, step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pictures [N,3,h,w] in -1..1 and loss weights [N,1,h,w]: crops first, whole pictures later."""
    part = config.autoencoder
    if step >= part.steps * part.crop_steps:
        subjects = _subjects(config, step, part.batch)
        return pictures(subjects, config.size), 1 + part.feature_weight * masks(subjects, config.size)
    # Two crops of each drawing: one about the face, where the detail is, and one anywhere.
    subjects = _subjects(config, step, part.crop_batch // 2)
    images, weights = pictures(subjects, config.size), 1 + part.feature_weight * masks(subjects, config.size)
    room = config.size - part.crop
    corners = torch.randint(0, room + 1, (part.crop_batch // 2, 2, 2), generator=generator)
    spread = max(1, config.size // 8)
    corners[:, 0] = (room // 2 - spread // 2 + corners[:, 0] % spread).clamp(0, room)
    cut_images, cut_weights = [], []
    for i, pair in enumerate(corners.tolist()):
        for y, x in pair:
            window = (slice(None), slice(y, y + part.crop), slice(x, x + part.crop))
            cut_images.append(images[i][window])
            cut_weights.append(weights[i][window])
    return torch.stack(cut_images), torch.stack(cut_weights)


def _subjects(config: TrainingConfig, step: int, count: int) -> list[Subject]:
    """Every second one of the whole world, the others of the part of it that the base model learns to draw."""
    scope = scope_named(config.scope)
    return [scope.subject(seed) if seed % 2 else sample(seed) for seed in range(step * 64, step * 64 + count)]


def _loss(
    model: AutoencoderKL, images: Tensor, weights: Tensor, part: AutoencoderConfig, generator: torch.Generator
) -> tuple[Tensor, dict[str, float]]:
    """The picture loss through a sampled latent, and a little KL."""
    with mixed(images.device):
        moments = model.quant_conv(model.encoder(images)).float()
        mean, log_variance = moments.chunk(2, dim=1)
        log_variance = log_variance.clamp(-20, 10)
        noise = torch.randn(mean.shape, generator=generator).to(mean.device)
        made = model.decoder(model.post_quant_conv(mean + noise * (0.5 * log_variance).exp())).float()
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
    loss, scalars = picture_loss(made, images, weights, part)
    return loss + part.kl * kl, {**scalars, "kl": float(kl.detach())}


def picture_loss(
    made: Tensor, images: Tensor, weights: Tensor, part: AutoencoderConfig
) -> tuple[Tensor, dict[str, float]]:
    """L1 + L2 weighted by the feature mask, L1 of neighbours' differences (edges) and of 8x8 means (colour).

    made, images: float32 [N,3,H,W] in -1..1; weights: float32 [N,1,H,W].
    """
    error = made - images
    pixel = (weights * (error.abs() + error.square())).mean()
    edge = (weights[..., 1:] * error.diff(dim=-1).abs()).mean() + (
        weights[..., 1:, :] * error.diff(dim=-2).abs()
    ).mean()
    coarse = functional.avg_pool2d(error, 8).abs().mean()
    loss = pixel + part.edge * edge + part.coarse * coarse
    psnr = -10 * torch.log10(error.detach().square().mean() / 4)
    return loss, {"psnr_db": float(psnr), "coarse": float(coarse.detach())}


@torch.no_grad()
def encode(model: AutoencoderKL, images: Tensor) -> Tensor:
    """float32 [N,3,H,W] in -1..1 -> latent means, float32 [N,C,H/8,W/8]."""
    device = next(model.parameters()).device
    with mixed(device):
        return model.quant_conv(model.encoder(images.to(device))).float().chunk(2, dim=1)[0].cpu()


@torch.no_grad()
def whiten(model: AutoencoderKL, config: TrainingConfig) -> None:
    """Fold zero mean, unit variance and no correlation between latent channels into quant_conv and post_quant_conv.

    Zero-phase whitening (W = C^-1/2): z = W (x - mean) leaves channels where they were, so scaling_factor stays 1.0.
    """
    count = config.autoencoder.whiten_samples
    rows = [encode(model, pictures(subjects_at(HELD_OUT // 2 + i, 32), config.size)) for i in range(0, count, 32)]
    flat = torch.cat(rows).double().permute(1, 0, 2, 3).flatten(1)
    mean, covariance = flat.mean(1), torch.cov(flat)
    values, vectors = torch.linalg.eigh(covariance)
    matrix = vectors @ torch.diag(values.rsqrt()) @ vectors.T
    inverse = vectors @ torch.diag(values.sqrt()) @ vectors.T
    c = mean.numel()
    quant, post = model.quant_conv, model.post_quant_conv
    weight, bias = quant.weight.double().flatten(1).cpu(), quant.bias.double().cpu()
    weight[:c], bias[:c] = matrix @ weight[:c], matrix @ (bias[:c] - mean)
    bias[c:] += 2 * matrix.norm(dim=1).log()
    quant.weight.copy_(weight.view_as(quant.weight))
    quant.bias.copy_(bias)
    back = post.weight.double().flatten(1).cpu()
    post.bias.copy_(post.bias.double().cpu() + back @ mean)
    post.weight.copy_((back @ inverse).view_as(post.weight))


@torch.no_grad()
def reconstruct(model: AutoencoderKL, images: Tensor) -> Tensor:
    """float32 [N,3,H,W] in -1..1 -> the same pictures through the latent means."""
    device = next(model.parameters()).device
    with mixed(device):
        return model.decode(encode(model, images).to(device)).sample.float().cpu()


def sheet(model: AutoencoderKL, config: TrainingConfig) -> Image.Image:
    """Held-out drawings above their reconstructions."""
    images = pictures(subjects_at(HELD_OUT, 16), config.size)
    made = reconstruct(model, images)
    rows = [image for i in (0, 8) for part in (images, made) for image in part[i : i + 8]]
    return grid([to_image(t) for t in rows], 8)
