"""gan.project: from a picture to the point of a StyleGAN that draws it best."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from extensions.gan.latents import shelf
from extensions.gan.latents.generator import to_uint8
from extensions.gan.latents.projection import layered_distance, project
from extensions.gan.montage import matrix
from extensions.gan.params_editing import ProjectParams
from webui.api import Artifact, Context, FeatureExtractor, LayeredExtractor

from .making import leased, needs_layers, refuse


class Project:
    """gan.project."""

    def run(self, params: ProjectParams, context: Context) -> Iterator[Artifact]:
        """Artifacts: the projected picture, it beside the wanted one, the distance."""
        if not context.pending(2):
            return
        name = shelf.checked_name(params.name) if params.name.strip() else ""
        if name and shelf.place(context.folders, shelf.PROJECTIONS, name) is not None:
            raise refuse("name", "this name is taken: choose another")
        extractor = context.feature_extractor(params.network)
        if not isinstance(extractor, LayeredExtractor):
            raise refuse("network", "expected a network that hands out its layers, such as starter.judge")
        picture = context.open_image(params.image).convert("RGB")
        with (
            leased(context, params.model) as generator,
            context.models.lease({"judge": extractor.component}) as parts,
        ):
            needs_layers(generator)
            target = square(picture, generator.resolution)
            wanted = to_tensor(target).to(context.device)
            layers = reader(extractor, parts["judge"], context)  # type: ignore[arg-type]

            def report(step: int, loss: float, made: Tensor) -> None:
                context.progress(step, params.steps, f"distance {loss:.4f}")
                context.preview(lambda: to_picture(made))

            with torch.inference_mode(False):
                point, made, distance = project(
                    generator,
                    layered_distance(layers, wanted.clone(), params.pixels),
                    steps=params.steps,
                    each_layer=params.space == "w+",
                    optimize_noise=params.noise,
                    seed=params.seed,
                    report=report,
                )
        if name:
            said = {"model": params.model, "space": params.space, "steps": params.steps, "distance": round(distance, 6)}
            shelf.put(context.folders, shelf.PROJECTIONS, name, {"w": point}, said)
        result = to_picture(made)
        yield Artifact("image", result, index=0, seed=params.seed, title=name or "Projection")
        beside = matrix(
            [[target, result]], columns_named=["picture", f"{params.space.upper()}, distance {distance:.4f}"]
        )
        yield Artifact("image", beside, index=1, seed=params.seed, title="Compared")


def square(picture: Image.Image, edge: int) -> Image.Image:
    """The middle square at ``edge`` px."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    cut = picture.crop((left, top, left + side, top + side))
    return cut.resize((edge, edge), Image.Resampling.LANCZOS)


def to_tensor(picture: Image.Image) -> Tensor:
    """float32 [1,3,R,R] in -1..1."""
    pixels = torch.from_numpy(np.asarray(picture, np.float32).copy())
    return pixels.permute(2, 0, 1)[None].div(127.5).sub(1).contiguous()


def to_picture(images: Tensor) -> Image.Image:
    """The first of float [N,3,R,R]."""
    return Image.fromarray(to_uint8(images[:1])[0].numpy())


def reader(extractor: FeatureExtractor, network: object, context: Context) -> Callable[[Tensor], Sequence[Tensor]]:
    """Pictures float32 [N,3,R,R] in -1..1 -> the layers of the network, with gradients.

    ``prepare`` knows PIL images alone: what it does to black and to white tells the size and the range that it makes,
    and this does the same to tensors.
    """
    low, high = (
        torch.from_numpy(np.asarray(extractor.prepare(Image.new("RGB", (64, 64), (shade,) * 3)), np.float32).copy())
        for shade in (0, 255)
    )
    size = low.shape[-2:]
    black = low.mean((1, 2))[None, :, None, None].to(context.device)
    white = high.mean((1, 2))[None, :, None, None].to(context.device)

    def layers(pictures: Tensor) -> Sequence[Tensor]:
        if pictures.shape[-2:] != size:
            enlarge = pictures.shape[-1] < size[-1]
            mode = {"mode": "bilinear", "align_corners": False} if enlarge else {"mode": "area"}
            pictures = functional.interpolate(pictures, size=tuple(size), **mode)
        prepared = black + (pictures + 1) / 2 * (white - black)
        found: Sequence[Tensor] = extractor.layers(network, prepared)  # type: ignore[attr-defined]
        return found

    return layers
