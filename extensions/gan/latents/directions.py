"""Directions of meaning in a latent space: from a generator's weights, or from points, to unit vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .generator import Generator

_SVM_STEPS = 200


@dataclass(frozen=True)
class Directions:
    """``vectors`` float32 [K,D] of length 1, and for each a length ``scales`` [K] that is one step along it."""

    vectors: Tensor
    scales: Tensor


def affine_weights(generator: Generator) -> list[list[Tensor]]:
    """What reads each layer of a point, linearly: per layer the weights [features,D]."""
    if generator.family == "dcgan":
        weight = generator.network.main[0].weight  # [D,features,4,4]
        return [[weight.flatten(1).t()]]
    if not generator.mapped:
        raise ValueError("SeFa needs a generator whose first step is linear in its point: a StyleGAN or a DCGAN")
    synthesis = generator.network.synthesis
    rows: list[list[Tensor]] = [[] for _ in range(generator.layers)]
    if generator.family == "stylegan2":
        place = 0
        for block in synthesis.blocks():
            convolutions = [block.conv1] if block.first else [block.conv0, block.conv1]
            for layer in convolutions:
                rows[place].append(layer.affine.weight)
                place += 1
            rows[place].append(block.torgb.affine.weight)
    elif generator.family == "stylegan3":
        for place, name in enumerate(synthesis.layer_names):
            rows[place + 1].append(getattr(synthesis, name).affine.weight)
    else:
        rows[0].append(synthesis.first.affine.weight)
        for place, layer in enumerate(synthesis.layers):
            rows[place + 1].append(layer.epilogue.affine.weight)
    return rows


@torch.no_grad()
def sefa(weights: Sequence[Tensor], count: int) -> Directions:
    """Closed-form factorization (Shen and Zhou 2021, equation 8): the eigenvectors of A^T A with the largest
    eigenvalues, A the weights [F,D] below one another. ``scales`` are the singular values over the largest.
    """
    a = torch.cat([weight.detach().double().cpu() for weight in weights])
    values, vectors = torch.linalg.eigh(a.t() @ a)
    count = min(count, len(values))
    chosen = vectors.flip(1)[:, :count].t()
    sizes = values.flip(0)[:count].clamp(min=0).sqrt()
    return Directions(settled(chosen).float(), (sizes / sizes[0].clamp(min=1e-12)).float())


@torch.no_grad()
def principal(points: Tensor, count: int) -> Directions:
    """GANSpace (Harkonen et al. 2020, section 2.1): the principal components of points [N,D]; ``scales`` are their
    standard deviations.
    """
    centred = points.double().cpu()
    centred = centred - centred.mean(0)
    _, sizes, rows = torch.linalg.svd(centred, full_matrices=False)
    count = min(count, len(rows))
    return Directions(settled(rows[:count]).float(), (sizes[:count] / max(len(points) - 1, 1) ** 0.5).float())


def settled(vectors: Tensor) -> Tensor:
    """The signs, which the mathematics leaves open, chosen: the largest component is positive."""
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    return vectors * torch.where(largest < 0, -1.0, 1.0)


def boundary(points: Tensor, positive: Tensor, cost: float = 1.0) -> tuple[Tensor, float]:
    """InterFaceGAN (Shen et al. 2020, section 3.1): the unit normal [D] of a linear support vector machine between
    points [N,D] that are ``positive`` (bool [N]) and the others, and its accuracy on them. Squared hinge loss, bias
    not regularized, both classes weighing the same. Raises ValueError where one side is empty.
    """
    if not bool(positive.any()) or bool(positive.all()):
        raise ValueError("one side has no points")
    x = points.detach().double().cpu()
    centre, spread = x.mean(0), x.std(0).mean().clamp(min=1e-12)
    x = (x - centre) / spread
    sign = torch.where(positive.cpu(), 1.0, -1.0).double()
    weight_of = torch.where(positive.cpu(), 0.5 / positive.sum().item(), 0.5 / (~positive).sum().item()).double()
    with torch.inference_mode(False), torch.enable_grad():
        x, sign, weight_of = x.clone(), sign.clone(), weight_of.clone()
        normal = torch.zeros(x.shape[1], dtype=torch.float64, requires_grad=True)
        bias = torch.zeros((), dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([normal, bias], max_iter=_SVM_STEPS, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            margin = (1 - sign * (x @ normal + bias)).clamp(min=0)
            total = normal.square().sum() / (2 * len(x)) + cost * (weight_of * margin.square()).sum()
            total.backward()
            return total

        optimizer.step(loss)
    normal, bias = normal.detach(), bias.detach()
    right = ((x @ normal + bias) * sign > 0).double().mean()
    return (normal / normal.norm().clamp(min=1e-12)).float(), float(right)
