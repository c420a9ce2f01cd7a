"""Top of this room: files -> networks, leased from the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from extensions.style.recognise import DECODER, ENCODER, own_config
from webui.api import Component, ComponentKey, Context, ModelError, ModelUse, NotFound, ResolvedModel

from .encoder import VGG19, Encoder, own_decoder, own_plan


def encoder_component(context: Context, ref: str) -> Component:
    """The encoder behind ``ref``; empty: the starter's. Raises NotFound, ModelError."""
    model = _found(context, ref, ENCODER, "Put torchvision's vgg19 weights into models/vgg, or choose the starter's.")
    return _component(context, model, ENCODER)


def decoder_component(context: Context, ref: str = "") -> Component:
    """The decoder behind ``ref``; empty: the starter's. Raises NotFound, ModelError."""
    return _component(context, _found(context, ref, DECODER, "It comes with the starter models."), DECODER)


def _found(context: Context, ref: str, kind: str, hint: str) -> ResolvedModel:
    if ref:
        model = context.models.resolve(ref, kind)
    else:
        listed = context.models.listed(kind)
        model = next((one for one in listed if one.family == "starter"), None) or next(iter(listed), None)
        if model is None:
            raise NotFound(f"There is no {kind.replace('_', ' ')}.", hint=hint)
    if model.path is None:
        raise NotFound(f"{ref!r} is not on this machine.", hint=hint)
    return model


def _component(context: Context, model: ResolvedModel, kind: str) -> Component:
    path = model.path
    assert path is not None
    file = path if path.is_file() else next(iter(sorted(path.glob("*.safetensors"))), path)
    context.use_model(ModelUse(ref=model.ref, sha256=model.sha256, role=kind))
    return Component(ComponentKey.of(file, kind, "float32"), lambda: _load(context, file, kind))


def _load(context: Context, path: Path, kind: str) -> Any:
    weights = context.models.open_weights(path, ("features.", "skips."))
    config = own_config(path, kind)
    try:
        if config is None:
            network: torch.nn.Module = Encoder(VGG19)
        else:
            network = Encoder(own_plan(config)) if kind == ENCODER else own_decoder(config)
        wanted = network.state_dict()
        network.load_state_dict({name: weights[name].float() for name in wanted})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{path.name} is no encoder or decoder of style: {type(error).__name__}: {said}",
            hint="Expected torchvision's VGG-19, or a file written by the starter's training.",
        ) from error
    return network.eval().requires_grad_(False)
