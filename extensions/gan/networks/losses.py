"""What GANs are trained by: from logits, pictures and points to losses."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def generator_loss(fake: Tensor) -> Tensor:
    """Non-saturating (Goodfellow et al. 2014): logits [N,1] -> scalar."""
    return functional.softplus(-fake).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Its counterpart: logits [N,1] each -> scalar."""
    return functional.softplus(-real).mean() + functional.softplus(fake).mean()


def hinge_generator_loss(fake: Tensor) -> Tensor:
    """Of BigGAN (Lim and Ye 2017)."""
    return -fake.mean()


def hinge_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    return functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()


def r1_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """The squared gradient of the logits with respect to real pictures [N,C,H,W], which require it (Mescheder et al.
    2018): the mean over N, to be weighted with gamma / 2.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def path_lengths(images: Tensor, ws: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """|J^T y| of each picture (Karras et al. 2020, section 3.2): images [N,C,H,W] made of ws [N,L,D], y normal and as
    strong as a picture's pixels are many -> [N], the mean square over the layers taken.
    """
    y = torch.randn(images.shape, generator=generator).to(images) / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad((images * y).sum(), ws, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()


def wasserstein_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Of WGAN (Arjovsky et al. 2017): with a penalty that keeps the gradient near length 1."""
    return fake.mean() - real.mean()


def relativistic_loss(worse: Tensor, better: Tensor) -> Tensor:
    """Of R3GAN (Huang et al. 2024, equation 2): logits of pairs, for the discriminator (fake, real), for the generator
    (real, fake).
    """
    return functional.softplus(worse - better).mean()


def gradient_penalty(logits: Tensor, between: Tensor) -> Tensor:
    """Of WGAN-GP (Gulrajani et al. 2017, equation 3): how far the gradient at ``between`` [N,C,H,W], which requires it,
    is from length 1; to be weighted with lambda, 10 in the paper.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), between, create_graph=True)
    lengths = (gradient.square().sum((1, 2, 3)) + 1e-12).sqrt()
    return (lengths - 1).square().mean()
