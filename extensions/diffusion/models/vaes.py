"""Another VAE in a model's place: from the reference that a job names to a plan that loads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from webui.api import Context, ModelError, ModelUse

from .companions import read_config
from .loading import Plan
from .weights import Part

KIND = "vae"
_PREFIXES = ("", "first_stage_model.", "vae.")
_FIRST = "decoder.conv_in.weight"


def with_vae(plan: Plan, name: str, context: Context) -> Plan:
    """``plan`` with the VAE that ``name`` refers to; as it is where that is empty. Raises NotFound, ModelError where
    its latents are not the denoiser's.
    """
    if not name:
        return plan
    if "vae" not in plan.sources:
        raise ModelError(f"Model {plan.title!r} has no VAE that another could stand in for.")
    model = context.models.resolve(name, KIND)
    if model.path is None:
        raise ModelError(f"VAE {name!r} is not on this machine.")
    title = str(getattr(model, "title", "")) or name
    context.use_model(ModelUse(ref=model.ref, sha256=model.sha256, role="vae"))
    folder = model.path if model.path.is_dir() else model.path.parent
    config = read_config(folder / "config.json")
    if str(config.get("_class_name", "")).startswith("Autoencoder"):
        return _from_folder(plan, folder, config, title)
    return _from_file(plan, model.path, title, context)


def _from_folder(plan: Plan, folder: Path, config: Mapping[str, Any], title: str) -> Plan:
    _check(plan, config.get("latent_channels"), title)
    sources = {**plan.sources, "vae": (folder, "diffusers", str(config["_class_name"]))}
    parts = {key: part for key, part in plan.parts.items() if key != "vae"}
    return replace(plan, sources=sources, parts=parts, configs={**plan.configs, "vae": config})


def _from_file(plan: Plan, path: Path, title: str, context: Context) -> Plan:
    """A file without a configuration has that of the model's own VAE."""
    shapes = context.models.shapes(path)
    prefix = next((one for one in _PREFIXES if one + _FIRST in shapes), None)
    if prefix is None:
        raise ModelError(f"VAE {title!r} has no decoder of a kind that is known here.")
    _check(plan, shapes[prefix + _FIRST][1], title)
    return replace(plan, parts={**plan.parts, "vae": Part(path, prefix)})


def _check(plan: Plan, channels: Any, title: str) -> None:
    wanted = plan.config("vae").get("latent_channels", 4)
    if channels != wanted:
        raise ModelError(
            f"VAE {title!r} has {channels} latent channels, model {plan.title!r} has {wanted}.",
            hint="Use a VAE of the model's family.",
        )
