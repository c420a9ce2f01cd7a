"""Pictures by GANs, VAEs and VQGANs. This module only declares; what it declares is imported in the worker.

Who stands where: ``networks`` compute, ``formats`` read files into networks, ``latents`` hold what is done with points,
``pipelines`` are jobs of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from webui.api import ChoiceSource, LatentSpace, ModelKind, PipelineSpec, TabSpec, hookimpl

from .latents.shelf import direction_names, projection_names
from .params import ClassesParams, CodesParams, ConvertParams, MixParams, SampleParams, TruncationParams, WalkParams
from .params_editing import DirectionsParams, EditParams, ProjectParams
from .params_training import TrainParams
from .recognise import recognise_codes, recognise_gan

_FILES = (
    "Takes StyleGAN2-ADA and StyleGAN3 .pkl, StyleGAN2 .pt, BigGAN-deep, DCGAN and our safetensors from models/gan."
)


def _spec(name: str, title: str, params: type, run: str, description: str, outputs: str = "image") -> PipelineSpec:
    return PipelineSpec(
        id=f"gan.{name}",
        title=title,
        params=params,
        run=f"extensions.gan.pipelines.{run}",
        tab="gan",
        description=description,
        outputs=outputs,  # type: ignore[arg-type]
    )


@hookimpl
def register_pipelines() -> Iterable[PipelineSpec]:
    return [
        _spec(
            "sample",
            "Sample",
            SampleParams,
            "sampling:Sample",
            "Pictures of seeds, by StyleGANs, BigGAN, DCGAN and VAEs.",
        ),
        _spec("truncation", "Truncation", TruncationParams, "sampling:Truncation", "The same seeds at several psi."),
        _spec(
            "walk", "Walk", WalkParams, "walking:Walk", "A film along a way through the latent space.", outputs="video"
        ),
        _spec("mix", "Style mixing", MixParams, "mixing:Mix", "Styles of some pictures in others: a matrix."),
        _spec(
            "classes", "Class mixing", ClassesParams, "mixing:Classes", "From class to class, for BigGAN and its like."
        ),
        replace(
            _spec(
                "directions",
                "Directions",
                DirectionsParams,
                "editing:FindDirections",
                "Directions of meaning in a latent space, kept under a name.",
            ),
            guests=False,
        ),
        replace(
            _spec(
                "edit",
                "Edit by directions",
                EditParams,
                "editing:Edit",
                "Pictures moved along directions that were found.",
            ),
            live=True,
        ),
        replace(
            _spec(
                "project",
                "Projection",
                ProjectParams,
                "projecting:Project",
                "From a picture to the point of a StyleGAN that draws it best, for edits and walks.",
            ),
            guests=False,
        ),
        _spec(
            "complete",
            "Draw and complete with VQGAN",
            CodesParams,
            "coding:Complete",
            "Codes that a Transformer draws, whole or below the kept part of a picture.",
        ),
        _spec(
            "convert",
            "Convert to safetensors",
            ConvertParams,
            "converting:Convert",
            "The generator of any file that is read here, without running what is in it, as safetensors beside it.",
            outputs="table",
        ),
        replace(
            _spec(
                "train",
                "Training",
                TrainParams,
                "training:Train",
                "DCGAN, StyleGAN2, BigGAN, VAE, VQ-VAE and VQGAN from nothing, on your pictures or on drawn ones.",
            ),
            keeps_work=True,
            guests=False,
            examples=(
                {"title": "A few steps, to see it run", "preset": "vae-64", "samples": 256, "steps": 40, "sheets": 2},
                {"title": "Avatars by StyleGAN2", "preset": "stylegan2-64", "samples": 20_000},
                {"title": "Avatars by mood, BigGAN", "preset": "biggan-64", "label": "attributes.mood"},
            ),
        ),
    ]


@hookimpl
def register_tabs() -> Iterable[TabSpec]:
    return [TabSpec("gan", "GANs", order=30)]


@hookimpl
def register_model_kinds() -> Iterable[ModelKind]:
    folders = ("gan", "gans")
    return [
        ModelKind("gan", "GAN or VAE", folders=folders, recognise=recognise_gan),
        ModelKind("vqgan", "VQGAN or VQ-VAE", folders=(*folders, "vqgan"), recognise=recognise_codes),
    ]


@hookimpl
def register_latent_spaces() -> Iterable[LatentSpace]:
    return [LatentSpace("gan.latent", "GANs", "extensions.gan.pipelines.spaces:GanSpace", kind="gan")]


@hookimpl
def register_choices() -> Iterable[ChoiceSource]:
    return [
        ChoiceSource("gan.directions", "Directions", direction_names),
        ChoiceSource("gan.projections", "Projected pictures", projection_names),
    ]
