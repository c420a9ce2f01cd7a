"""From a single file to where each component of its model comes from: the file itself, the configurations beside this
module, and, where the file holds less than a whole model, the user's other files and folders. Nothing is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from webui.api import ModelError, Models, ResolvedModel

from . import companions
from .building import fits
from .companions import Wanted, read_config
from .shapes import Shapes, told
from .weights import Part

CONFIGS = Path(__file__).resolve().parent / "configs"
"""One folder a family, in the layout of a diffusers folder without weights."""

DENOISERS = frozenset({"unet", "transformer"})
_DENOISER_PREFIXES = ("model.diffusion_model.", "net.")
_VAE_PREFIXES = ("first_stage_model.", "vae.")
_CLIP_L = "text_encoders.clip_l.transformer."
_CLIP_G = "text_encoders.clip_g.transformer."
_T5 = "text_encoders.t5xxl.transformer."
_TEXT_PREFIXES: Mapping[str, Mapping[str, str]] = {
    "sd1": {"text_encoder": "cond_stage_model.transformer."},
    "sd2": {"text_encoder": "cond_stage_model.model."},
    "sdxl": {
        "text_encoder": "conditioner.embedders.0.transformer.",
        "text_encoder_2": "conditioner.embedders.1.model.",
    },
    "sdxl_refiner": {"text_encoder_2": "conditioner.embedders.0.model."},
    "sd3": {"text_encoder": _CLIP_L, "text_encoder_2": _CLIP_G, "text_encoder_3": _T5},
    "flux": {"text_encoder": _CLIP_L, "text_encoder_2": _T5},
}
"""What a text encoder's names begin with in a whole checkpoint of the family."""
_OPTIONAL = {"sd3": "text_encoder_3"}
_CLASSES: Mapping[tuple[str, int], str] = {
    ("StableDiffusionPipeline", 9): "StableDiffusionInpaintPipeline",
    ("StableDiffusionPipeline", 8): "StableDiffusionInstructPix2PixPipeline",
    ("StableDiffusionXLPipeline", 9): "StableDiffusionXLInpaintPipeline",
    ("StableDiffusionXLPipeline", 8): "StableDiffusionXLInstructPix2PixPipeline",
    ("FluxPipeline", 384): "FluxFillPipeline",
    ("FluxPipeline", 128): "FluxControlPipeline",
}
"""The pipeline of a model whose denoiser takes more channels than its latents have."""
_BORROWED: Mapping[str, str] = {
    "flux2": "Flux2Transformer2DModel",
    "chroma": "ChromaTransformer2DModel",
    "lumina2": "Lumina2Transformer2DModel",
    "zimage": "ZImageTransformer2DModel",
    "qwenimage": "QwenImageTransformer2DModel",
    "sana": "SanaTransformer2DModel",
    "pixart": "PixArtTransformer2DModel",
    "auraflow": "AuraFlowTransformer2DModel",
    "hidream": "HiDreamImageTransformer2DModel",
    "krea2": "Krea2Transformer2DModel",
}
"""Families without a bundled configuration: their denoiser takes the rest from a diffusers folder with its class."""


@dataclass(frozen=True)
class SingleFile:
    """Where the components of a single file's model come from."""

    index: Mapping[str, Any]
    places: Mapping[str, Path]
    """Component -> folder of its configuration; of its weights too where ``parts`` has none for it."""
    parts: Mapping[str, Part]
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Component -> configuration values that the file tells."""
    notes: tuple[str, ...] = ()
    """What the user should know, in sentences."""


def read_single_file(model: ResolvedModel, models: Models, configs: Path = CONFIGS) -> SingleFile:
    """What the model of the file ``model`` consists of. Raises ModelError that says what is missing and where to put
    it, OSError.
    """
    assert model.path is not None
    shapes = models.shapes(model.path)
    index = read_config(configs / model.family / "model_index.json") if model.family else {}
    if index:
        return _bundled(model, model.path, index, configs / model.family, shapes, models)
    if model.family in _BORROWED:
        return _borrowed(model, model.path, shapes, models)
    raise ModelError(
        f"Model {model.ref!r} cannot be loaded: the family {model.family or 'unknown'} has no configuration here.",
        hint="Use the same model as a diffusers folder.",
    )


def _bundled(
    model: ResolvedModel, path: Path, index: dict[str, Any], base: Path, shapes: Shapes, models: Models
) -> SingleFile:
    family = model.family
    places: dict[str, Path] = {}
    parts: dict[str, Part] = {}
    changes: dict[str, Mapping[str, Any]] = {}
    missing: list[Wanted] = []
    for name, said in index.items():
        if not isinstance(said, list) or said[0] is None:
            continue
        places[name] = base / name
        wanted = Wanted(name, str(said[1]), read_config(base / name / "config.json"))
        if name in DENOISERS:
            parts[name] = Part(path, denoiser_prefix(shapes))
            changes[name] = told(wanted.class_name, without_prefix(shapes, parts[name].prefix), wanted.config)
        elif wanted.config:
            prefix = _prefix_in(shapes, family, name)
            if prefix is not None:
                parts[name] = Part(path, prefix)
                continue
            folder = companions.in_folder(models, family, wanted)
            file = None if folder is not None else companions.in_file(models, family, wanted)
            if folder is not None:
                places[name] = folder
            elif file is not None:
                parts[name] = Part(*file)
            else:
                missing.append(wanted)
    missing += _tokenizers(index, base, places, parts, changes, models, path)
    index, notes = _without_optional(family, dict(index), missing)
    if missing:
        raise ModelError(
            f"Model {model.ref!r} lacks {', '.join(wanted.words for wanted in missing)}.",
            hint="Put text encoders into models/text_encoders/, the VAE into models/vae/, T5's spiece.model into "
            f"models/tokenizers/t5/, or a diffusers folder of the family {family} anywhere below models/.",
        )
    channels = next((change["in_channels"] for change in changes.values() if "in_channels" in change), 0)
    index["_class_name"] = _CLASSES.get((index["_class_name"], channels), index["_class_name"])
    changes["scheduler"] = _scheduler(str(getattr(model, "variant", "")), changes)
    kept = [name for name in places if isinstance(index[name], list) and index[name][0] is not None]
    return SingleFile(
        index,
        {name: places[name] for name in kept},
        {name: parts[name] for name in kept if name in parts},
        changes,
        notes,
    )


def _prefix_in(shapes: Shapes, family: str, name: str) -> str | None:
    """What the names of a component begin with in a file that holds it."""
    prefixes = _VAE_PREFIXES if name == "vae" else (_TEXT_PREFIXES.get(family, {}).get(name, "\0"),)
    return next((prefix for prefix in prefixes if any(key.startswith(prefix) for key in shapes)), None)


def denoiser_prefix(shapes: Shapes) -> str:
    """What a denoiser's own names begin with in its file."""
    return next((prefix for prefix in _DENOISER_PREFIXES if any(key.startswith(prefix) for key in shapes)), "")


def without_prefix(shapes: Shapes, prefix: str) -> dict[str, tuple[int, ...]]:
    """The rows that begin with ``prefix``, without it."""
    return {key.removeprefix(prefix): shape for key, shape in shapes.items() if key.startswith(prefix)}


def _tokenizers(
    index: Mapping[str, Any],
    base: Path,
    places: dict[str, Path],
    parts: Mapping[str, Part],
    changes: dict[str, Mapping[str, Any]],
    models: Models,
    path: Path,
) -> list[Wanted]:
    """Fill in the tokenizers' ``places`` and ``changes``; those that are nowhere."""
    missing = []
    for name in [name for name in places if name.startswith("tokenizer") and not places[name].is_dir()]:
        encoder = read_config(base / name.replace("tokenizer", "text_encoder") / "config.json")
        if not str(index[name][1]).startswith("T5"):
            # The encoders that OpenCLIP trained, which have another activation, were trained with padding by token 0.
            changes[name] = {"pad_token": "!"} if encoder.get("hidden_act") == "gelu" else {}
            continue
        own = parts.get(name.replace("tokenizer", "text_encoder"))
        near = tuple(dict.fromkeys((own.path if own else path, path)))
        folder = companions.t5_tokenizer(models, int(encoder.get("vocab_size", 0)), near)
        if folder is None:
            missing.append(Wanted(name, str(index[name][1]), {}))
        else:
            places[name] = folder
    return missing


def _without_optional(
    family: str, index: dict[str, Any], missing: list[Wanted]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """``index`` without the text encoder that the family can do without, where it or its tokenizer is ``missing``; they
    are taken off that list.
    """
    encoder = _OPTIONAL.get(family, "")
    both = {encoder, encoder.replace("text_encoder", "tokenizer")}
    gone = [wanted for wanted in missing if wanted.name in both]
    if not gone:
        return index, ()
    missing[:] = [wanted for wanted in missing if wanted.name not in both]
    words = " and ".join(wanted.words for wanted in gone)
    return {**index, **{name: [None, None] for name in both}}, (
        f"The model runs without {words}: CLIP alone reads prompts.",
    )


def _scheduler(variant: str, changes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Values of the scheduler's configuration that the file tells."""
    if variant.startswith("v_prediction"):
        pure = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"} if variant.endswith("zsnr") else {}
        return {"prediction_type": "v_prediction", **pure}
    if changes.get("transformer", {}).get("guidance_embeds") is False:  # FLUX.1 schnell
        return {"shift": 1.0, "use_dynamic_shifting": False}
    return {}


def _borrowed(model: ResolvedModel, path: Path, shapes: Shapes, models: Models) -> SingleFile:
    """The denoiser of a file in the place of that of a diffusers folder."""
    class_name = _BORROWED[model.family]
    rows = [
        (row, folder, index)
        for row, folder, index in companions.folders(models)
        if isinstance(index.get("transformer"), list) and index["transformer"][1] == class_name
    ]
    prefix = denoiser_prefix(shapes)
    inner = without_prefix(shapes, prefix)
    if len(rows) > 1:
        rows = [row for row in rows if fits(class_name, row[1] / "transformer", inner)]
    if not rows:
        raise ModelError(
            f"Model {model.ref!r} holds its denoiser alone, a {class_name}: its text encoder, tokenizer, VAE and "
            "scheduler are missing.",
            hint=f"Put a diffusers folder of the same model (family {model.family}) anywhere below models/; its "
            "denoiser may be of another training, but must be of the same size.",
        )
    editor = "edit" in path.stem.lower()  # its tensors are those of the model that it was trained from

    def rank(row: tuple[ResolvedModel, Path, Mapping[str, Any]]) -> tuple[bool, bool, str]:
        fitting = ("Edit" in str(row[2].get("_class_name"))) == editor
        return not fitting, getattr(row[0], "kind", "") != "text_to_image", row[0].ref

    _, folder, index = min(rows, key=rank)
    places = {name: folder / name for name, said in index.items() if isinstance(said, list) and said[0] is not None}
    changes = told(class_name, inner, read_config(folder / "transformer" / "config.json"))
    note = f"Everything but the denoiser comes from {folder.name}."
    return SingleFile(index, places, {"transformer": Part(path, prefix)}, {"transformer": changes}, (note,))
