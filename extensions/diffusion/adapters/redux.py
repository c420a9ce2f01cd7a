"""Redux: what SigLIP sees in pictures, put behind the prompt of FLUX.1 as if it were words. From the rows of image
prompts whose model is one to the embeddings of a call. Computed as ``diffusers.FluxPriorReduxPipeline`` does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from extensions.diffusion.models.guidance import Call
from extensions.diffusion.models.loading import Plan
from extensions.diffusion.params import Drawn
from extensions.diffusion.pictures.inputs import on_ground, open_picture
from webui.api import Component, ComponentKey, Context, ModelError, ResolvedModel

from .attaching import FITTING_HINT, check_family, title_of
from .image_encoders import ImageEncoder, find_encoder
from .image_prompts import ImagePrompt

_WHAT = "Redux"
_UP, _DOWN = "redux_up.weight", "redux_down.weight"


class Redux:
    """The Redux models of one job; ``attaching.Attachment``."""

    def __init__(self, rows: Sequence[ImagePrompt], params: Drawn, context: Context) -> None:
        """``rows``: those of ``is_redux``. Raises NotFound, ModelError where an image encoder is missing."""
        self._context = context
        self._rows = list(rows)
        self._shapes = [context.models.shapes(_file(row.model)) for row in rows]
        asked = str(params.image_prompt_encoder)
        self._encoders: list[ImageEncoder] = [
            find_encoder(replace(row.model, path=_file(row.model)), ("hidden_size", shapes[_UP][1]), asked, context)
            for row, shapes in zip(rows, self._shapes, strict=True)
        ]
        self._seen: list[torch.Tensor] = []
        self._negative = ""

    @property
    def active(self) -> bool:
        return bool(self._rows)

    def planned(self, plan: Plan, family: str) -> Plan:
        for row, shapes in zip(self._rows, self._shapes, strict=True):
            check_family(_WHAT, row.model, family)
            width = plan.config("transformer").get("joint_attention_dim")
            if not _is_flux(plan) or width != shapes[_DOWN][0]:
                raise ModelError(
                    f"{_WHAT} {title_of(row.model)!r} was made for FLUX.1; model {plan.title!r} is a "
                    f"{plan.cls.__name__}.",
                    hint=FITTING_HINT,
                )
            if row.mask or row.blocks != "all" or (row.span.start, row.span.end) != (0.0, 1.0):
                self._context.warn("Redux counts everywhere and in every step: mask, layers and span were ignored.")
        return plan

    def requests(self, dtype: torch.dtype) -> dict[str, Component]:
        found: dict[str, Component] = {}
        for place, (row, encoder) in enumerate(zip(self._rows, self._encoders, strict=True)):
            path = _file(row.model)
            key = ComponentKey.of(path, "redux", str(dtype).removeprefix("torch."))
            found[f"redux_encoder_{place}"] = encoder.component(dtype)
            found[f"redux_{place}"] = Component(key, partial(self._loaded, path, dtype))
        return found

    def _loaded(self, path: Path, dtype: torch.dtype) -> Any:
        from diffusers.pipelines.flux.modeling_flux import ReduxImageEncoder

        tensors = {name: row.to(dtype) for name, row in self._context.models.open_weights(path).items()}
        network = ReduxImageEncoder(int(tensors[_UP].shape[1]), int(tensors[_DOWN].shape[0]))
        try:
            network.load_state_dict(tensors, assign=True)
        except RuntimeError as error:
            raise ModelError(f"{_WHAT} {path.name} cannot be loaded: {' '.join(str(error).split())[:200]}") from error
        return network.eval()

    @contextmanager
    def around(self, pipe: Any, components: Mapping[str, Any]) -> Iterator[None]:
        """Each encoding of a prompt by ``pipe``, which lives for one call, is followed by what was seen."""
        encode = pipe.encode_prompt
        signature = inspect.signature(encode)

        @wraps(encode)  # whoever schedules words reads its signature
        def encoded(*args: Any, **kwargs: Any) -> Any:
            embeds, pooled, ids = encode(*args, **kwargs)
            told = signature.bind(*args, **kwargs).arguments.get("prompt")
            if self._negative and told in (self._negative, [self._negative]):
                return embeds, pooled, ids
            seen = torch.cat(self._seen, dim=1).to(embeds)
            more = ids.new_zeros(seen.shape[1], ids.shape[-1])  # as words have: no place in the picture
            return torch.cat([embeds, seen.expand(embeds.shape[0], -1, -1)], dim=1), pooled, torch.cat([ids, more])

        pipe.encode_prompt = encoded
        try:
            yield
        finally:
            del pipe.encode_prompt
            self._seen.clear()

    def complete(
        self, call: Call, pipe: Any, components: Mapping[str, Any], own: Callable[[], Image.Image | None]
    ) -> None:
        self._negative = str(call.arguments.get("negative_prompt") or "")
        self._seen = [
            self._tokens(place, components[f"redux_encoder_{place}"], components[f"redux_{place}"])
            for place in range(len(self._rows))
        ]

    def _tokens(self, place: int, encoder: Any, embedder: Any) -> torch.Tensor:
        """[1, patches, width]: the mean over the pictures of a row, by its weight."""
        row = self._rows[place]
        pictures = [on_ground(open_picture(self._context, source)) for source in row.sources]
        pixels = self._encoders[place].pixels(pictures).to(self._context.device, encoder.dtype)
        with torch.no_grad():
            seen: torch.Tensor = embedder(encoder(pixels).last_hidden_state).image_embeds
        return seen.mean(dim=0, keepdim=True) * row.span.weight

    def step(self, done: int, steps: int) -> None:
        """It counts in every step."""

    def infotext(self) -> dict[str, str]:
        return {
            f"{_WHAT} {place}": f"Model: {title_of(row.model)} [{row.model.sha256[:8]}], Weight: {row.span.weight:g}"
            for place, row in enumerate(self._rows)
        }


def is_redux(row: ImagePrompt, context: Context) -> bool:
    """Whether an image prompt's model is one, as its tensors tell. Raises ModelError for what cannot be read."""
    assert row.model.path is not None
    return row.model.path.is_dir() or _UP in context.models.shapes(row.model.path)


def _file(model: ResolvedModel) -> Path:
    """Its weights: a file, or those of a diffusers folder. Raises ModelError where the folder lacks them."""
    path = model.path
    assert path is not None
    if not path.is_dir():
        return path
    found = sorted((path / "image_embedder").glob("*.safetensors"))
    if not found:
        raise ModelError(f"{_WHAT} {title_of(model)!r} lacks image_embedder/*.safetensors.")
    return found[0]


def _is_flux(plan: Plan) -> bool:
    """Whether a pipeline tells its denoiser CLIP's pooled text beside T5's words, as FLUX.1's do."""
    known = inspect.signature(plan.cls.__call__).parameters
    return plan.cls.__name__.startswith("Flux") and "pooled_prompt_embeds" in known
