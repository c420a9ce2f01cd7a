"""What all pipelines of generators share: leasing a model, and drawing pictures in batches that change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from extensions.gan.formats.loading import load
from extensions.gan.latents.generator import Generator, Held, to_uint8
from webui.api import (
    Component,
    ComponentKey,
    Context,
    FieldError,
    JobFailed,
    ModelError,
    Models,
    ModelUse,
    NotFound,
    ParameterError,
    ResolvedModel,
)


def resolved(context: Context, ref: str, kind: str) -> ResolvedModel:
    """The model, recorded in the recipe. Raises JobFailed that says what to do where there is none at all."""
    try:
        found = context.models.resolve(ref, kind)
    except NotFound as error:
        if ref.strip():
            raise
        raise JobFailed(no_model(kind), hint=error.hint) from None
    if found.path is None or not found.path.is_file():
        raise ModelError(f"Model {found.ref!r} is no file on this machine.", hint=no_model(kind))
    context.use_model(ModelUse(ref=found.ref, sha256=found.sha256))
    return found


def no_model(kind: str) -> str:
    """What to put where."""
    if kind == "vqgan":
        return (
            "There is no VQGAN yet. Put one into models/gan: a .ckpt of taming-transformers with its .yaml beside, "
            "or safetensors that this application wrote."
        )
    return (
        "There is no generator yet. Put one into models/gan: a StyleGAN2-ADA or StyleGAN3 .pkl, "
        "a StyleGAN2 .pt of the rosinality layout, BigGAN-deep with its config.json, a DCGAN .pth, "
        "or safetensors that this application wrote; or train one by the form Training."
    )


def component(models: Models, model: ResolvedModel, device: Any) -> Component:
    """The network of ``model``. On a graphics card StyleGAN's largest layers compute in 16 bits."""
    assert model.path is not None
    path, family = model.path, model.family
    mixed = torch.device(device).type == "cuda"

    def make() -> Held:
        held = Held(load(models, path, family))
        if mixed:
            held.to(memory_format=torch.channels_last)  # what tensor cores read without turning it around
            if held.family in ("stylegan2", "stylegan3"):
                held.network.synthesis.use_half()
        return held

    return Component(ComponentKey.of(path, "network", "mixed" if mixed else "float32"), make)


@contextmanager
def leased(context: Context, ref: str) -> Iterator[Generator]:
    """A generator for the time of the block."""
    model = resolved(context, ref, "gan")
    with context.models.lease({"network": component(context.models, model, context.device)}) as parts:
        yield Generator(parts["network"])


@dataclass(frozen=True)
class Batch:
    """How many pictures are computed at once."""

    size: int

    @staticmethod
    def of(context: Context, wanted: int = 8) -> Batch:
        """One by one on a processor, where more at once round otherwise and gain little, and wherever results must
        repeat exactly.
        """
        alone = context.device.type == "cpu" or context.deterministic
        return Batch(1 if alone else wanted)

    def parts(self, rows: Sequence[int]) -> Iterator[list[int]]:
        for start in range(0, len(rows), self.size):
            yield list(rows[start : start + self.size])


@torch.no_grad()
def drawn(
    generator: Generator,
    points: Tensor,
    condition: Tensor | None,
    seeds: Sequence[int],
    context: Context,
    *,
    psi: float = 1.0,
    noise: str = "const",
    batch: int = 8,
    said: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[int, Image.Image]]:
    """(place, picture) of each of ``points`` [N,L,D], in order. ``said(done, all)`` hears of every batch."""
    total = len(points)
    for rows in Batch.of(context, batch).parts(range(total)):
        made = generator.pictures(
            points[rows],
            None if condition is None else condition[rows],
            psi=psi,
            noise=generator.noise(noise, [seeds[row] for row in rows]),
        )
        if said is not None:
            said(rows[-1] + 1, total)
        for row, pixels in zip(rows, to_uint8(made), strict=True):
            yield row, Image.fromarray(pixels.numpy())


def progress(context: Context, words: str) -> Callable[[int, int], None]:
    return lambda done, total: context.progress(done, total, words)


def refuse(field: str, words: str) -> ParameterError:
    """An error at one field."""
    return ParameterError([FieldError(field, words)])


def needs_layers(generator: Generator, field: str = "model") -> None:
    """Raises ParameterError where points have no layers to choose from."""
    if not generator.mapped:
        raise refuse(field, "this needs a StyleGAN: other generators have no layers of style")
