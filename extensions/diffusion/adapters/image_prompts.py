"""IP-Adapters: pictures that a UNet attends to beside the text (Ye et al. 2023, "IP-Adapter", equation 5). From the
rows of a form to attention processors for the time of a job, and to the embeddings of the pictures.

diffusers' own layers and conversions of files are used; how they come to the UNet is ours, since the library would move
a module that the cache owns, and does not bring back the processors that were there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from extensions.diffusion.models.guidance import Call
from extensions.diffusion.models.loading import Plan
from extensions.diffusion.params import Drawn
from extensions.diffusion.params_adapters import IMAGE_PROMPTS
from extensions.diffusion.pictures.inputs import fitted, on_ground, open_picture
from webui.api import Component, Context, JobFailed, ModelError, ModelUse, ResolvedModel

from .attaching import FITTING_HINT, Span, cannot_load, check_family, title_of
from .image_encoders import ImageEncoder, find_encoder

KIND = "ip_adapter"
_WHAT = "IP-Adapter"
_FACE_REASON = (
    "it is of the FaceID kind, which needs the face recognition of InsightFace, whose models are licensed for "
    "non-commercial research alone"
)
Tensors = dict[str, dict[str, torch.Tensor]]


@dataclass(frozen=True)
class ImagePrompt:
    """One IP-Adapter of a job."""

    model: ResolvedModel
    sources: tuple[str, ...]
    mask: str | None
    blocks: str
    span: Span


class ImagePrompts:
    """The IP-Adapters of one job; ``attaching.Attachment``."""

    def __init__(self, params: Drawn, context: Context) -> None:
        """Raises NotFound, ModelError, JobFailed for a row without a picture."""
        self._context = context
        self._asked_encoder = str(params.image_prompt_encoder)
        rows = (_row(params, row, context) for row in range(1, IMAGE_PROMPTS + 1))
        self._rows = [row for row in rows if row is not None]
        self._tensors: list[Tensors] = []
        self._encoders: list[ImageEncoder] = []
        self._processors: dict[str, Any] = {}

    @property
    def active(self) -> bool:
        return bool(self._rows)

    def planned(self, plan: Plan, family: str) -> Plan:
        if not self._rows:
            return plan
        for row in self._rows:
            check_family(_WHAT, row.model, family)
        known = inspect.signature(plan.cls.__call__).parameters
        if "unet" not in plan.sources or "ip_adapter_image_embeds" not in known:
            raise ModelError(
                f"Model {plan.title!r} is a {plan.cls.__name__}, which takes no IP-Adapter here.",
                hint="Models with a UNet do: Stable Diffusion 1 and 2, SDXL.",
            )
        self._tensors = [read_adapter(row.model, self._context) for row in self._rows]
        self._encoders = [
            find_encoder(row.model, _widths(tensors), self._asked_encoder, self._context)
            for row, tensors in zip(self._rows, self._tensors, strict=True)
        ]
        return plan

    def requests(self, dtype: torch.dtype) -> dict[str, Component]:
        return {_name(place): encoder.component(dtype) for place, encoder in enumerate(self._encoders)}

    @contextmanager
    def around(self, pipe: Any, components: Mapping[str, Any]) -> Iterator[None]:
        if not self._rows:
            yield
            return
        unet = pipe.unet
        before = dict(unet.attn_processors)
        projection, kind = unet.encoder_hid_proj, unet.config.encoder_hid_dim_type
        try:
            self._attach(unet)
            yield
        finally:
            unet.encoder_hid_proj = projection  # first: a projection may have processors of its own
            unet.set_attn_processor(before)
            unet.config.encoder_hid_dim_type = kind
            self._processors = {}

    def _attach(self, unet: Any) -> None:
        from diffusers.models.embeddings import MultiIPAdapterImageProjection

        try:
            made = unet._convert_ip_adapter_attn_to_diffusers(self._tensors, low_cpu_mem_usage=False)
            layers = [
                unet._convert_ip_adapter_image_proj_to_diffusers(tensors["image_proj"], low_cpu_mem_usage=False)
                for tensors in self._tensors
            ]
        except (RuntimeError, ValueError, KeyError, IndexError) as error:
            raise cannot_load(_WHAT, self._rows[-1].model, error) from error
        # Those of self-attention stay the very objects they were.
        self._processors = {name: one for name, one in made.items() if isinstance(one, torch.nn.Module)}
        where = {"device": self._context.device, "dtype": unet.dtype}
        for processor in self._processors.values():
            processor.to(**where)
        unet.set_attn_processor({**unet.attn_processors, **self._processors})
        unet.encoder_hid_proj = MultiIPAdapterImageProjection(layers).to(**where)
        unet.config.encoder_hid_dim_type = "ip_image_proj"

    def complete(
        self, call: Call, pipe: Any, components: Mapping[str, Any], own: Callable[[], Image.Image | None]
    ) -> None:
        if not self._rows:
            return
        scale = call.arguments.get("guidance_scale")
        guided = (scale is None or scale > 1) and not pipe.unet.config.time_cond_proj_dim
        call.arguments["ip_adapter_image_embeds"] = [
            self._embeds(place, components[_name(place)], guided) for place in range(len(self._rows))
        ]
        if any(row.mask for row in self._rows):
            masks = [self._mask(row, (call.width, call.height)) for row in self._rows]
            call.arguments["cross_attention_kwargs"] = {"ip_adapter_masks": masks}
        self.step(0, 1)

    def _embeds(self, place: int, encoder: Any, guided: bool) -> torch.Tensor:
        """[1, pictures, ...], after as many of a blank picture where there is guidance."""
        row, about = self._rows[place], self._encoders[place]
        pictures = [on_ground(open_picture(self._context, source)) for source in row.sources]
        pixels = about.pixels(pictures).to(self._context.device, encoder.dtype)
        hidden = not is_standard(self._tensors[place])

        def read(values: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                answer = encoder(values, output_hidden_states=hidden)
            found: torch.Tensor = answer.hidden_states[-2] if hidden else answer.image_embeds
            return found[None]

        embeds = read(pixels)
        if not guided:
            return embeds
        return torch.cat([read(torch.zeros_like(pixels)) if hidden else torch.zeros_like(embeds), embeds])

    def _mask(self, row: ImagePrompt, size: tuple[int, int]) -> torch.Tensor | None:
        """float32 [1, pictures, H, W] in 0..1: where the pictures count."""
        if not row.mask:
            return None
        picture = fitted(on_ground(open_picture(self._context, row.mask)).convert("L"), size, "stretch")
        values = torch.from_numpy(np.asarray(picture, np.float32) / 255)
        return values.expand(1, len(row.sources), *values.shape)

    def step(self, done: int, steps: int) -> None:
        for name, processor in self._processors.items():
            processor.scale = [
                row.span.at(done, steps) if _counts(name, row.blocks, self._processors) else 0.0 for row in self._rows
            ]

    def infotext(self) -> dict[str, str]:
        return {
            f"IP-Adapter {place}": f"Model: {title_of(row.model)} [{row.model.sha256[:8]}], "
            f"Weight: {row.span.weight:g}, Guidance Start: {row.span.start:g}, Guidance End: {row.span.end:g}, "
            f"Blocks: {row.blocks}"
            for place, row in enumerate(self._rows)
        }


def _name(place: int) -> str:
    return f"image_prompt_encoder_{place}"


def _row(params: Drawn, row: int, context: Context) -> ImagePrompt | None:
    def asked(name: str) -> Any:
        return getattr(params, f"image_prompt_{row}_{name}")

    if not asked("model") or not asked("weight"):
        return None
    model = context.models.resolve(asked("model"), KIND)
    if model.path is None:
        raise ModelError(f"{_WHAT} {asked('model')!r} is not on this machine.")
    if not asked("images"):
        raise JobFailed(f"Image prompt {row} has no picture.", hint="Give it one, or no IP-Adapter.")
    context.use_model(ModelUse(ref=model.ref, sha256=model.sha256, role=KIND))
    start, end = sorted((asked("start"), asked("end")))
    return ImagePrompt(model, asked("images"), asked("mask"), asked("blocks"), Span(asked("weight"), start, end))


def read_adapter(model: ResolvedModel, context: Context) -> Tensors:
    """``image_proj`` and ``ip_adapter``, each name -> tensor. Raises ModelError, with the reason for FaceID."""
    assert model.path is not None
    found: Tensors = {"image_proj": {}, "ip_adapter": {}}
    for key, tensor in context.models.open_weights(model.path).items():
        part, _, name = key.partition(".")
        if part in found:
            found[part][name] = tensor
    projection = found["image_proj"]
    if not projection or not found["ip_adapter"]:
        raise ModelError(
            f"{_WHAT} {title_of(model)!r} holds no image_proj and ip_adapter, which adapters of UNets have.",
            hint="Those of FLUX and SD3 are of other kinds, and cannot be used yet.",
        )
    plain = ("proj.weight", "proj.3.weight", "latents")
    if any("lora" in name for name in found["ip_adapter"]) or not any(name in projection for name in plain):
        raise ModelError(f"{_WHAT} {title_of(model)!r} cannot be used: {_FACE_REASON}.")
    return found


def is_standard(tensors: Tensors) -> bool:
    """Whether it reads one vector a picture; the others read every patch of it."""
    return "proj.weight" in tensors["image_proj"]


def _widths(tensors: Tensors) -> tuple[str, int]:
    """What the image encoder must have: ``projection_dim`` or ``hidden_size``, of so many channels."""
    projection = tensors["image_proj"]
    if is_standard(tensors):
        return "projection_dim", int(projection["proj.weight"].shape[1])
    patches = projection.get("proj_in.weight", projection.get("proj.0.weight"))
    if patches is None:
        raise ModelError("An IP-Adapter has no layer that reads pictures.", hint=FITTING_HINT)
    return "hidden_size", int(patches.shape[1])


def _counts(name: str, blocks: str, processors: Mapping[str, Any]) -> bool:
    """Whether the attention of that name counts for ``blocks``.

    Wang et al. 2024, "InstantStyle", section 3.3: in SDXL the second attention of the first block on the way up carries
    style, the last one on the way down composition. In SD 1, whose blocks are less divided, style is all but the last
    block down and the first one up.
    """
    if blocks == "all":
        return True
    down, up = ([one for one in processors if one.startswith(side)] for side in ("down_blocks.", "up_blocks."))
    last_down, first_up = _block(down[-1]) if down else "", _block(up[0]) if up else ""
    composition = bool(down) and name.startswith(_attention(down[-1]) + ".")
    deep = any(".transformer_blocks.1." in one for one in processors)  # SDXL's have several layers each
    if deep:
        style = name.startswith(f"{first_up}.attentions.1.")
    else:
        style = _block(name) not in (last_down, first_up)
    return (style and "style" in blocks) or (composition and "composition" in blocks)


def _block(name: str) -> str:
    return ".".join(name.split(".")[:2])


def _attention(name: str) -> str:
    return ".".join(name.split(".")[:4])
