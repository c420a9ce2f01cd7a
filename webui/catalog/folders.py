"""Reads a diffusers folder (``model_index.json`` and its components' configurations) into a catalog entry, without
loading it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from webui.core.errors import ModelError

from .headers import read_header
from .recognise import NATIVE_SIZE_PX
from .torch_files import torch_header

INDEX = "model_index.json"
OVERRIDES = "lifelike.json"
"""Optional, beside the index: ``{"title": ..., "recommended": {...}, "examples": [{"title": ..., "prompt": ...}]}``."""

_JSON_LIMIT_BYTES = 4 * 2**20
_KNOWN_LIBRARIES = ("diffusers", "transformers")
_OTHER_KINDS = (
    ("PriorRedux", "ip_adapter"),
    ("Inpaint", "inpaint"),
    ("Img2Img", "image_to_image"),
    ("InstructPix2Pix", "image_to_image"),
    ("Upscale", "image_to_image"),
    ("Edit", "image_to_image"),
    ("Kontext", "image_to_image"),
    ("Depth2Img", "image_to_image"),
    ("ImageVariation", "image_to_image"),
    ("Video", "video"),
    ("Latte", "video"),
    ("Animate", "video"),
    ("TextToVideo", "video"),
)


@dataclass(frozen=True)
class FolderFacts:
    """What a diffusers folder is."""

    kind: str
    family: str
    title: str
    variant: str = ""
    recommended: Mapping[str, Any] = field(default_factory=dict)
    examples: tuple[Mapping[str, Any], ...] = ()
    tokenizer: Path | None = None
    problem: str = ""


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of at most 4 MiB. Raises ModelError that names the file."""
    try:
        if path.stat().st_size > _JSON_LIMIT_BYTES:
            raise ModelError(f"{path.name} is larger than {_JSON_LIMIT_BYTES // 2**20} MiB; that is no configuration.")
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path.parent.name}/{path.name} cannot be read: {error}.") from None
    if not isinstance(body, dict):
        raise ModelError(f"{path.parent.name}/{path.name} holds a {type(body).__name__}, expected an object.")
    return body


def components_of(index: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Component name -> (library, class) of an index; components that are absent on purpose are left out."""
    return {
        name: (str(value[0]), str(value[1]))
        for name, value in index.items()
        if not name.startswith("_") and isinstance(value, list) and len(value) == 2 and value[0] is not None
    }


def component_folder(folder: Path, name: str, index: Mapping[str, Any]) -> Path:
    """Where a component lies: in its own folder, or in that of a model beside, where ``_shared`` of the index names it.
    Raises ModelError for a place beyond the models beside.
    """
    shared = index.get("_shared", {})
    if not isinstance(shared, dict):
        raise ModelError(f"_shared of {INDEX} is a {type(shared).__name__}, expected an object.")
    if name not in shared:
        return folder / name
    given, real = shared[name], folder.resolve()
    place = (real / given).resolve() if isinstance(given, str) and "\0" not in given else real.parent
    if real.parent not in place.parents:
        raise ModelError(f"_shared names {str(given)[:80]!r} for {name}, which is not inside the folder above it.")
    return place


def weight_files(folder: Path) -> list[Path]:
    """The weights of a diffusers folder's components, those of models beside it that it shares among them, sorted.
    Where a component has safetensors, its pickles are passed over.
    """
    places = {path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")}
    try:
        index = read_json(folder / INDEX)
        places |= {component_folder(folder, name, index) for name in components_of(index)}
    except ModelError:
        pass  # what is wrong with the index is said where the folder is inspected
    return sorted(path for place in places for path in _weights_in(place))


def _weights_in(place: Path) -> list[Path]:
    found = [path for path in place.glob("*.safetensors") if path.is_file()]
    return found or [path for path in place.glob("*.bin") if path.is_file()]


def inspect_folder(folder: Path) -> FolderFacts:
    """What ``folder`` is. Never raises for what is in it: a fault becomes the ``problem``."""
    try:
        index = read_json(folder / INDEX)
        said = index.get("_class_name")
        if not isinstance(said, str):
            raise ModelError(
                "It needs Python code of its own, which is never run." if said else f"{INDEX} names no class."
            )
        return _facts(folder, index, said)
    except ModelError as error:
        return FolderFacts("unknown", "", folder.name, problem=error.message)


def _facts(folder: Path, index: Mapping[str, Any], class_name: str) -> FolderFacts:
    components = components_of(index)
    configs = {name: _config(component_folder(folder, name, index)) for name in components}
    family = _family(class_name, configs, components)
    problem = _problem(folder, index, components)
    overrides, fault = _overrides(folder)
    scheduler = configs.get("scheduler", {})
    tokenizer = component_folder(folder, "tokenizer", index)
    return FolderFacts(
        kind=_kind(class_name, family, configs),
        family=family,
        title=str(overrides.get("title") or folder.name),
        variant="v_prediction" if scheduler.get("prediction_type") == "v_prediction" else "",
        recommended={**_recommended(family, index, configs, components), **_mapping(overrides.get("recommended"))},
        examples=tuple(item for item in _list(overrides.get("examples")) if isinstance(item, dict)),
        tokenizer=tokenizer if tokenizer.is_dir() else None,
        problem=problem or fault,
    )


def _config(folder: Path) -> dict[str, Any]:
    for name in ("config.json", "scheduler_config.json"):
        if (folder / name).is_file():
            return read_json(folder / name)
    return {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _overrides(folder: Path) -> tuple[Mapping[str, Any], str]:
    if not (folder / OVERRIDES).is_file():
        return {}, ""
    try:
        return read_json(folder / OVERRIDES), ""
    except ModelError as error:
        return {}, error.message


def _family(class_name: str, configs: Mapping[str, Mapping[str, Any]], components: Mapping[str, Any]) -> str:
    if class_name.startswith("StableDiffusion3"):
        return "sd3"
    if class_name.startswith("StableDiffusionXL"):
        return "sdxl" if "text_encoder" in components else "sdxl_refiner"
    if class_name.startswith(("StableDiffusion", "LatentConsistencyModel")):
        context = configs.get("unet", {}).get("cross_attention_dim")
        return "sd2" if context == 1024 else "sd1"
    name = class_name.removesuffix("Pipeline")
    for mark, _ in _OTHER_KINDS:
        name = name.replace(mark, "")
    return name.lower()


def _kind(class_name: str, family: str, configs: Mapping[str, Mapping[str, Any]]) -> str:
    for mark, kind in _OTHER_KINDS:
        if mark in class_name:
            return kind
    if family == "sdxl_refiner":
        return "image_to_image"
    if "ControlNet" in class_name or "T2I" in class_name or "Adapter" in class_name:
        return "controlnet"
    # A denoiser that takes twice the latents was made for editing, one more for inpainting, whatever its class.
    latent = configs.get("vae", {}).get("latent_channels", 4)
    extra = {2 * latent: "image_to_image", 2 * latent + 1: "inpaint"} if isinstance(latent, int) else {}
    return extra.get(configs.get("unet", {}).get("in_channels", 0), "text_to_image")


def _recommended(
    family: str,
    index: Mapping[str, Any],
    configs: Mapping[str, Mapping[str, Any]],
    components: Mapping[str, tuple[str, str]],
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    denoiser = configs.get("unet") or configs.get("transformer") or {}
    sample = denoiser.get("sample_size")
    vae = configs.get("vae") or configs.get("vqvae") or {}
    blocks = vae.get("block_out_channels") or vae.get("encoder_block_out_channels") or ()
    scale = 2 ** (len(blocks) - 1) if blocks else 8
    if isinstance(sample, (list, tuple)) and len(sample) == 2:
        found = {"height": sample[0] * scale, "width": sample[1] * scale}
    elif isinstance(sample, int):
        found = {"width": sample * scale, "height": sample * scale}
    elif family in NATIVE_SIZE_PX:
        found = {"width": NATIVE_SIZE_PX[family], "height": NATIVE_SIZE_PX[family]}
    elif denoiser:
        found = {"width": 1024, "height": 1024}
    found = {name: max(64, min(4096, round(value / 8) * 8)) for name, value in found.items()}
    if components.get("scheduler", ("", ""))[1] in ("LCMScheduler", "TCDScheduler"):
        found |= {"guidance_scale": 1.5, "steps": 8}
    if family == "flux":
        distilled = not denoiser.get("guidance_embeds", True)
        found |= {"guidance_scale": 0.0, "steps": 4} if distilled else {"guidance_scale": 3.5}
    return found


def _problem(folder: Path, index: Mapping[str, Any], components: Mapping[str, tuple[str, str]]) -> str:
    """Why the folder cannot be loaded; empty where nothing speaks against it."""
    for name, (library, class_name) in components.items():
        if name in ("safety_checker", "image_encoder", "feature_extractor"):
            continue
        here = component_folder(folder, name, index)
        if not here.is_dir():
            return f"Component {name} ({class_name}) is missing: there is no folder {name}/."
        if (here / (library + ".py")).is_file():
            return f"Component {name} needs Python code of its own, which is never run."
        if library in _KNOWN_LIBRARIES and _has_weights(class_name) and not _weights_in(here):
            return f"Component {name} has no weights: neither safetensors nor .bin."
    for path in weight_files(folder):
        try:
            (torch_header if path.suffix == ".bin" else read_header)(path)
        except ModelError as error:
            return f"{path.parent.name}/{path.name}: {error.message}"
        except OSError as error:
            return f"{path.parent.name}/{path.name} cannot be read: {error}."
    return ""


def _has_weights(class_name: str) -> bool:
    light = (
        "Scheduler",
        "Tokenizer",
        "TokenizerFast",
        "TokenizersBackend",
        "Processor",
        "FeatureExtractor",
        "Guider",
        "Guidance",
    )
    return not class_name.endswith(light)
