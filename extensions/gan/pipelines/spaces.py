"""The latent space that other extensions measure: ``webui.api.LatentGenerator`` of any generator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from extensions.gan.formats.loading import Loaded, read
from extensions.gan.latents.generator import Generator, Held, seeded
from extensions.gan.networks.layers import Noise
from extensions.gan.networks.registry import build
from webui.api import Component, ModelError, Models

from .making import component, no_model


def blank(models: Models, path: Path, family: str) -> Generator:
    """The generator without its weights: it tells sizes and draws z."""
    contents = read(models, path, family)
    with torch.device("meta"):
        network = build(contents.family, contents.config)
    return Generator(Held(Loaded(network, contents.family, contents.config)))


class GanSpace:
    """Any generator of kind ``gan``; not truncated."""

    def __init__(self, models: Models, model: str) -> None:
        """Raises NotFound, ModelError."""
        found = models.resolve(model, "gan")
        if found.path is None or not found.path.is_file():
            raise ModelError(f"Model {found.ref!r} is no file on this machine.", hint=no_model("gan"))
        self._protocol = {"model": found.ref, "weights": found.sha256, "family": found.family, "truncation": 1.0}
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._component = component(models, found, device)
        self._blank = blank(models, found.path, found.family)

    @property
    def components(self) -> Mapping[str, Component]:
        return {"network": self._component}

    @property
    def protocol(self) -> Mapping[str, Any]:
        return self._protocol

    @property
    def mapped(self) -> bool:
        return self._blank.mapped

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        return self._blank.draw(count, generator)

    def labels(self, count: int, generator: torch.Generator) -> Tensor | None:
        """One-hot float32 [N,classes]."""
        classes = self._blank.classes
        if not classes:
            return None
        return torch.nn.functional.one_hot(torch.randint(classes, (count,), generator=generator), classes).float()

    def map(self, parts: Mapping[str, Any], z: Tensor, labels: Tensor | None) -> Tensor:
        points = Generator(parts["network"]).points(z, labels)
        return points if self.mapped else points[:, 0]

    def synthesize(self, parts: Mapping[str, Any], w: Tensor, labels: Tensor | None, noise_seed: int) -> Tensor:
        generator = Generator(parts["network"])
        points = w if self.mapped else w[:, None]
        noise = Noise("random", [seeded(noise_seed) for _ in range(len(points))]) if self.mapped else None
        return generator.pictures(points, labels, noise=noise).float()
