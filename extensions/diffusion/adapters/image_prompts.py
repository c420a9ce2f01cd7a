"""IP-Adapters: pictures that a denoiser attends to beside the text. From the rows of a form to attention processors for
the time of a job, and to the embeddings of the pictures; what differs between denoisers is in ``image_prompt_hosts``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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
from .image_prompt_hosts import Host, Tensors, host_of, in_words, layout_of

KIND = "ip_adapter"
_WHAT = "IP-Adapter"
_FACE_REASON = (
    "it is of the FaceID kind, which needs the face recognition of InsightFace, whose models are licensed for "
    "non-commercial research alone"
)


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

    def __init__(self, rows: Sequence[ImagePrompt], params: Drawn, context: Context) -> None:
        self._context = context
        self._asked_encoder = str(params.image_prompt_encoder)
        self._rows = list(rows)
        self._tensors: list[Tensors] = []
        self._encoders: list[ImageEncoder] = []
        self._processors: dict[str, Any] = {}
        self._host: Host | None = None

    @property
    def active(self) -> bool:
        return bool(self._rows)

    def planned(self, plan: Plan, family: str) -> Plan:
        if not self._rows:
            return plan
        for row in self._rows:
            check_family(_WHAT, row.model, family)
        self._tensors = [read_adapter(row.model, self._context) for row in self._rows]
        self._host = self._host_of(plan)
        self._encoders = [
            find_encoder(row.model, _widths(tensors), self._asked_encoder, self._context)
            for row, tensors in zip(self._rows, self._tensors, strict=True)
        ]
        return plan

    def requests(self, dtype: torch.dtype) -> dict[str, Component]:
        return {_name(place): encoder.component(dtype) for place, encoder in enumerate(self._encoders)}

    def _host_of(self, plan: Plan) -> Host:
        """What takes the adapters. Raises ModelError where nothing does, or one is for another denoiser."""
        host = host_of(plan)
        if host is None:
            raise ModelError(
                f"Model {plan.title!r} is a {plan.cls.__name__}, which takes no IP-Adapter here.",
                hint="Models with a UNet do (Stable Diffusion 1 and 2, SDXL), FLUX.1, and Stable Diffusion 3.",
            )
        for row, tensors in zip(self._rows, self._tensors, strict=True):
            if layout_of(tensors) != host.layout:
                raise ModelError(
                    f"{_WHAT} {title_of(row.model)!r} was made for {in_words(layout_of(tensors))}; this model is a "
                    f"{plan.cls.__name__}.",
                    hint=FITTING_HINT,
                )
        if len(self._rows) > host.most:
            raise ModelError(f"{plan.cls.__name__} takes {host.most} IP-Adapter at a time.", hint="Leave one out.")
        if not host.regional and any(row.mask or row.blocks != "all" for row in self._rows):
            self._context.warn(f"{plan.cls.__name__} sees image prompts everywhere: masks and layers were ignored.")
        return host

    @contextmanager
    def around(self, pipe: Any, components: Mapping[str, Any]) -> Iterator[None]:
        if self._host is None:
            yield
            return
        denoiser = getattr(pipe, self._host.component)
        where = {"device": self._context.device, "dtype": denoiser.dtype}
        with ExitStack() as stack:
            try:
                self._processors = stack.enter_context(self._host.attached(denoiser, self._tensors, where))
            except (RuntimeError, ValueError, KeyError, IndexError) as error:
                raise cannot_load(_WHAT, self._rows[-1].model, error) from error
            stack.callback(self._processors.clear)
            yield

    def complete(
        self, call: Call, pipe: Any, components: Mapping[str, Any], own: Callable[[], Image.Image | None]
    ) -> None:
        host = self._host
        if host is None:
            return
        scale = call.arguments.get("guidance_scale")
        config = getattr(pipe, host.component).config
        guided = (scale is None or scale > 1) and not config.get("time_cond_proj_dim")
        seen = [self._embeds(place, components[_name(place)]) for place in range(len(self._rows))]
        call.arguments |= host.embeds([row for row, _ in seen], [row for _, row in seen], guided=guided)
        if host.regional and any(row.mask for row in self._rows):
            masks = [self._mask(row, (call.width, call.height)) for row in self._rows]
            call.arguments["cross_attention_kwargs"] = {"ip_adapter_masks": masks}
        self.step(0, 1)

    def _embeds(self, place: int, encoder: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """What the encoder sees in the pictures of an adapter, and in as many blank ones: [1, pictures, ...] each."""
        row, about, tensors = self._rows[place], self._encoders[place], self._tensors[place]
        pictures = [on_ground(open_picture(self._context, source)) for source in row.sources]
        pixels = about.pixels(pictures).to(self._context.device, encoder.dtype)
        hidden = not is_standard(tensors)

        def read(values: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                answer = encoder(values, output_hidden_states=hidden)
            found: torch.Tensor = answer.hidden_states[-2] if hidden else answer.image_embeds
            return found[None]

        embeds = read(pixels)
        if layout_of(tensors) == "flux":  # trained against a black picture
            black = about.pixels([Image.new("RGB", (64, 64))] * len(pictures))
            return embeds, read(black.to(pixels))
        return embeds, read(torch.zeros_like(pixels)) if hidden else torch.zeros_like(embeds)

    def _mask(self, row: ImagePrompt, size: tuple[int, int]) -> torch.Tensor | None:
        """float32 [1, pictures, H, W] in 0..1: where the pictures count."""
        if not row.mask:
            return None
        picture = fitted(on_ground(open_picture(self._context, row.mask)).convert("L"), size, "stretch")
        values = torch.from_numpy(np.asarray(picture, np.float32) / 255)
        return values.expand(1, len(row.sources), *values.shape)

    def step(self, done: int, steps: int) -> None:
        host = self._host
        for name, processor in self._processors.items() if host is not None else ():
            processor.scale = host.scale(
                [
                    row.span.at(done, steps)
                    if not host.regional or _counts(name, row.blocks, self._processors)
                    else 0.0
                    for row in self._rows
                ]
            )

    def infotext(self) -> dict[str, str]:
        return {
            f"IP-Adapter {place}": f"Model: {title_of(row.model)} [{row.model.sha256[:8]}], "
            f"Weight: {row.span.weight:g}, Guidance Start: {row.span.start:g}, Guidance End: {row.span.end:g}, "
            f"Blocks: {row.blocks}"
            for place, row in enumerate(self._rows)
        }


def rows_of(params: Drawn, context: Context) -> list[ImagePrompt]:
    """The rows of a form that name a model and count. Raises NotFound, ModelError, JobFailed for one without a
    picture.
    """
    rows = (_row(params, row, context) for row in range(1, IMAGE_PROMPTS + 1))
    return [row for row in rows if row is not None]


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
    """``image_proj`` and ``ip_adapter``, each name -> tensor, those of FLUX under diffusers' names. Raises ModelError,
    with the reason for FaceID.
    """
    assert model.path is not None
    found: Tensors = {"image_proj": {}, "ip_adapter": {}}
    for key, tensor in context.models.open_weights(model.path).items():
        part, _, name = key.partition(".")
        if part == "double_blocks":
            part, name = "ip_adapter", name.replace("processor.", "").replace("ip_adapter_double_stream_", "to_")
            name = name.replace("_proj.", "_ip.")
        part = "image_proj" if part == "ip_adapter_proj_model" else part
        if part in found:
            found[part][name] = tensor
    projection = found["image_proj"]
    if not projection or not found["ip_adapter"]:
        raise ModelError(
            f"{_WHAT} {title_of(model)!r} holds no image_proj and ip_adapter.",
            hint="Files in the layout of IP-Adapter's authors, of XLabs (FLUX.1) and of InstantX (SD3) can be used.",
        )
    plain = ("proj.weight", "proj.3.weight", "latents")
    if "0.to_k_ip.weight" in found["ip_adapter"] and not is_standard(found) and layout_of(found) != "sd3":
        raise ModelError(f"{_WHAT} {title_of(model)!r} cannot be used: it is of a layout that is not known here.")
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
