"""Finds what a model's file does not hold among the other models: folders of its family, single text encoders and VAEs,
a tokenizer. Looks at tables and configurations alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui.api import ModelError, Models, ResolvedModel

_DECISIVE = (
    "latent_channels",
    "scaling_factor",
    "shift_factor",
    "hidden_size",
    "num_hidden_layers",
    "d_model",
    "num_layers",
    "vocab_size",
)
"""Configuration values by which two text encoders or VAEs are told apart."""
_HINTS: Mapping[str, tuple[str, ...]] = {
    "sdxl": ("xl",),
    "sdxl_refiner": ("xl",),
    "flux": ("ae", "flux"),
    "sd3": ("sd3",),
    "sd1": ("ft-mse", "ft-ema", "sd15", "sd1"),
    "sd2": ("ft-mse", "ft-ema", "sd2"),
}
"""What the VAE files of families whose VAEs look alike are called."""
_WORDS = {"AutoencoderKL": "the VAE", "T5EncoderModel": "the text encoder T5 (t5xxl)"}
_TOKENIZER_FILES = ("spiece.model", "tokenizer.json")
_TOKENIZER_FOLDERS = ("tokenizers", "text_encoders", "text_encoder", "clip")


@dataclass(frozen=True)
class Wanted:
    """A component that must come from elsewhere, and the configuration it has to have."""

    name: str
    class_name: str
    config: Mapping[str, Any]

    @property
    def words(self) -> str:
        """For a message."""
        if self.class_name.startswith("T5Tokenizer"):
            return "the tokenizer of T5 (spiece.model)"
        if self.class_name.startswith("CLIPText"):
            return f"the text encoder CLIP {'G' if self.config.get('hidden_size', 0) > 1024 else 'L'} ({self.name})"
        return _WORDS.get(self.class_name, f"{self.name} ({self.class_name})")


def folders(models: Models) -> Iterator[tuple[ResolvedModel, Path, dict[str, Any]]]:
    """Every diffusers folder with its path and index."""
    for model in models.listed():
        if model.format == "diffusers" and model.path is not None:
            index = read_config(model.path / "model_index.json")
            if index:
                yield model, model.path, index


def in_folder(models: Models, family: str, wanted: Wanted) -> Path | None:
    """The component's folder in a diffusers folder of the same family."""
    for model, path, index in folders(models):
        said = index.get(wanted.name)
        place = path / wanted.name
        if model.family == family and isinstance(said, list) and said[1:] == [wanted.class_name] and place.is_dir():
            found = read_config(place / "config.json")
            if all(found.get(key) == wanted.config.get(key) for key in _DECISIVE if key in wanted.config):
                return place
    return None


def in_file(models: Models, family: str, wanted: Wanted) -> tuple[Path, str] | None:
    """The single file with the component's weights, and what its names begin with. Raises ModelError where several may
    be meant.
    """
    kind = "vae" if wanted.class_name == "AutoencoderKL" else "text_encoder"
    found: list[tuple[Path, str]] = []
    for model in models.listed(kind):
        if model.path is None or model.format != "single_file":
            continue
        prefix = _vae_prefix(models, model.path, wanted) if kind == "vae" else _text_prefix(models, model.path, wanted)
        if prefix is not None:
            found.append((model.path, prefix))
    if kind == "vae":
        hints = _HINTS.get(family, ())
        others = [hint for name, row in _HINTS.items() if name != family for hint in row if hint not in hints]
        # A name that another family's VAE has is no candidate; a name of this family's goes first.
        found = [row for row in found if not _named(row[0], others) or _named(row[0], hints)]
        found = [row for row in found if _named(row[0], hints)] or found
    if len(found) > 1 and kind == "vae":
        names = ", ".join(path.name for path, _ in found[:4])
        raise ModelError(f"Any of {names} may be {wanted.words}.", hint="Leave one of them in the models folders.")
    return found[0] if found else None


def _named(path: Path, hints: tuple[str, ...] | list[str]) -> bool:
    stem = path.stem.lower()
    return any(stem == hint if len(hint) < 3 and hint != "xl" else hint in stem for hint in hints)


def _vae_prefix(models: Models, path: Path, wanted: Wanted) -> str | None:
    shapes = _shapes(models, path)
    deepest = tuple(wanted.config.get("block_out_channels", ()))[-1:]
    for prefix in ("", "first_stage_model.", "vae."):
        shape = shapes.get(prefix + "decoder.conv_in.weight", ())
        if shape[:2] == (*deepest, wanted.config.get("latent_channels")):
            return prefix
    return None


def _text_prefix(models: Models, path: Path, wanted: Wanted) -> str | None:
    shapes = _shapes(models, path)
    config = wanted.config
    if wanted.class_name.startswith("T5"):
        names, size = (
            ("shared.weight", "encoder.embed_tokens.weight"),
            (config.get("vocab_size"), config.get("d_model")),
        )
    else:
        names, size = (
            (
                "text_model.embeddings.token_embedding.weight",
                "embeddings.token_embedding.weight",
                "token_embedding.weight",
            ),
            (config.get("vocab_size"), config.get("hidden_size")),
        )
    for prefix in ("", "transformer.", "model."):
        if any(shapes.get(prefix + name) == size for name in names):
            return prefix
    return None


def _shapes(models: Models, path: Path) -> Mapping[str, tuple[int, ...]]:
    try:
        return models.shapes(path)
    except (ModelError, OSError):  # it has changed since it was listed
        return {}


def t5_tokenizer(models: Models, vocabulary: int, near: tuple[Path, ...]) -> Path | None:
    """A folder with T5's tokenizer: of a diffusers folder whose T5 has as many tokens, or beside the files ``near``."""
    for _, path, index in folders(models):
        for name, said in index.items():
            if isinstance(said, list) and str(said[-1]).startswith("T5Tokenizer") and (path / name).is_dir():
                encoder = read_config(path / name.replace("tokenizer", "text_encoder") / "config.json")
                if encoder.get("vocab_size") == vocabulary:
                    return path / name
    for file in near:
        above = [place / name for place in list(file.parents)[:3] for name in _TOKENIZER_FOLDERS]
        for place in (file.parent, *above):
            for folder in (
                place,
                *(sorted(item for item in place.iterdir() if item.is_dir()) if place.is_dir() else ()),
            ):
                if _is_t5_tokenizer(folder):
                    return folder
    return None


def _is_t5_tokenizer(folder: Path) -> bool:
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        return False
    said = str(read_config(folder / "tokenizer_config.json").get("tokenizer_class", ""))
    return said.startswith("T5") or (not said and "t5" in folder.name.lower())


def read_config(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}
