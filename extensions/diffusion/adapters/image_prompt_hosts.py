"""The denoisers that IP-Adapters are attached to: UNets, FLUX's transformer and Stable Diffusion 3's. Which layout of
file is for which, how its layers come to the denoiser and go again, and what the pictures become in a call.

diffusers' own layers and conversions of files are used; how they come to the denoiser is ours, since the library would
move a module that the cache owns, and does not bring back the processors that were there.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch

from extensions.diffusion.models.loading import Plan

Tensors = dict[str, dict[str, torch.Tensor]]
_WORDS = {"unet": "a UNet", "flux": "FLUX.1", "sd3": "Stable Diffusion 3"}


class Host(Protocol):
    """One kind of denoiser."""

    layout: str
    """Of the files that are for it."""
    component: str
    most: int
    """Adapters at once."""
    regional: bool
    """Whether pictures may count in some layers and places alone."""

    def attached(self, denoiser: Any, tensors: Sequence[Tensors], where: Mapping[str, Any]) -> Any:
        """A context that gives the attention processors, by name, that have a ``scale``; afterwards the denoiser is as
        it was. Raises what the library does for tensors that do not fit.
        """

    def embeds(self, pictures: list[torch.Tensor], blank: list[torch.Tensor], *, guided: bool) -> dict[str, Any]:
        """The arguments of a call: what the encoder saw in each adapter's pictures, [1, pictures, ...], and in as many
        blank ones.
        """

    def scale(self, scales: list[float]) -> Any:
        """A processor's ``scale``."""


class UNetHost:
    """Ye et al. 2023, "IP-Adapter", equation 5."""

    layout, component, most, regional = "unet", "unet", 16, True

    @contextmanager
    def attached(self, denoiser: Any, tensors: Sequence[Tensors], where: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        from diffusers.models.embeddings import MultiIPAdapterImageProjection

        kind = denoiser.config.encoder_hid_dim_type
        made = denoiser._convert_ip_adapter_attn_to_diffusers(list(tensors), low_cpu_mem_usage=False)
        layers = [
            denoiser._convert_ip_adapter_image_proj_to_diffusers(one["image_proj"], low_cpu_mem_usage=False)
            for one in tensors
        ]
        with _swapped(denoiser, "encoder_hid_proj", MultiIPAdapterImageProjection(layers), made, where) as processors:
            denoiser.config.encoder_hid_dim_type = "ip_image_proj"
            try:
                yield processors
            finally:
                denoiser.config.encoder_hid_dim_type = kind

    def embeds(self, pictures: list[torch.Tensor], blank: list[torch.Tensor], *, guided: bool) -> dict[str, Any]:
        rows = zip(blank, pictures, strict=True)
        return {"ip_adapter_image_embeds": [torch.cat(pair) for pair in rows] if guided else pictures}

    def scale(self, scales: list[float]) -> Any:
        return scales


class FluxHost:
    """XLabs' adapters of FLUX.1: the pictures are seen by the double blocks."""

    layout, component, most, regional = "flux", "transformer", 16, False

    @contextmanager
    def attached(self, denoiser: Any, tensors: Sequence[Tensors], where: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        from diffusers.models.embeddings import MultiIPAdapterImageProjection

        made = denoiser._convert_ip_adapter_attn_to_diffusers(list(tensors), low_cpu_mem_usage=False)
        layers = [
            denoiser._convert_ip_adapter_image_proj_to_diffusers(one["image_proj"], low_cpu_mem_usage=False)
            for one in tensors
        ]
        with _swapped(denoiser, "encoder_hid_proj", MultiIPAdapterImageProjection(layers), made, where) as processors:
            yield processors

    def embeds(self, pictures: list[torch.Tensor], blank: list[torch.Tensor], *, guided: bool) -> dict[str, Any]:
        return {"ip_adapter_image_embeds": pictures, "negative_ip_adapter_image_embeds": blank}

    def scale(self, scales: list[float]) -> Any:
        return scales


class SD3Host:
    """InstantX's adapters of Stable Diffusion 3.5, which read every patch of SigLIP's and the time as well."""

    layout, component, most, regional = "sd3", "transformer", 1, False

    @contextmanager
    def attached(self, denoiser: Any, tensors: Sequence[Tensors], where: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        (only,) = tensors
        made = denoiser._convert_ip_adapter_attn_to_diffusers(only["ip_adapter"], low_cpu_mem_usage=False)
        projection = denoiser._convert_ip_adapter_image_proj_to_diffusers(only["image_proj"], low_cpu_mem_usage=False)
        with _swapped(denoiser, "image_proj", projection, made, where) as processors:
            yield processors

    def embeds(self, pictures: list[torch.Tensor], blank: list[torch.Tensor], *, guided: bool) -> dict[str, Any]:
        seen = pictures[0].flatten(1, 2)  # the patches of all pictures, one after the other
        return {"ip_adapter_image_embeds": torch.cat([torch.zeros_like(seen), seen]) if guided else seen}

    def scale(self, scales: list[float]) -> Any:
        return scales[0]


HOSTS: tuple[Host, ...] = (UNetHost(), FluxHost(), SD3Host())


def host_of(plan: Plan) -> Host | None:
    """What takes IP-Adapters in a model; None where nothing does."""
    if "ip_adapter_image_embeds" not in inspect.signature(plan.cls.__call__).parameters:
        return None
    name = plan.cls.__name__
    layout = "unet" if "unet" in plan.sources else "flux" if name.startswith("Flux") else ""
    layout = "sd3" if name.startswith("StableDiffusion3") else layout
    return next((host for host in HOSTS if host.layout == layout), None)


def layout_of(tensors: Tensors) -> str:
    """Which denoiser a file is for."""
    names = tensors["ip_adapter"]
    if any(".norm_ip." in name for name in names):
        return "sd3"
    # Those of FLUX have biases, which those of UNets have not.
    return "flux" if "0.to_k_ip.bias" in names else "unet"


def in_words(layout: str) -> str:
    """For a message."""
    return _WORDS[layout]


@contextmanager
def _swapped(
    denoiser: Any, name: str, projection: torch.nn.Module, made: Mapping[str, Any], where: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Within, ``denoiser`` has ``projection`` by that name, and those of the processors ``made`` that are modules;
    others stay the very objects they were.
    """
    processors = {key: one for key, one in made.items() if isinstance(one, torch.nn.Module)}
    before, had, old = dict(denoiser.attn_processors), hasattr(denoiser, name), getattr(denoiser, name, None)
    try:
        for processor in processors.values():
            processor.to(**where)
        denoiser.set_attn_processor({**before, **processors})
        setattr(denoiser, name, projection.to(**where))
        yield processors
    finally:
        # First the projection: it may have processors of its own.
        if had:
            setattr(denoiser, name, old)
        elif hasattr(denoiser, name):
            delattr(denoiser, name)
        denoiser.set_attn_processor(before)
