"""metrics.clip_score: pictures and their prompts -> CLIPScore, by a CLIP that a person named."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import torch

from extensions.metrics.features.weights import sha256
from webui.api import (
    Artifact,
    Component,
    ComponentKey,
    Context,
    FieldError,
    JobFailed,
    ModelError,
    ParameterError,
    Work,
)

from .clip_score import PREFIX, WEIGHT, Clip, load_clip
from .params import ClipParams
from .prompts import prompts_of
from .reading import chunks, pictures_of, said_of
from .telling import Column, RowFile, Told, artifacts, teller

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+(@[\w.-]+)?")
_FILES = ["*.json", "*.txt", "model.safetensors"]


class ClipScore:
    """metrics.clip_score."""

    def run(self, params: ClipParams, context: Context) -> Iterator[Artifact]:
        folder = _folder(params.model, context)
        pictures = pictures_of(params, context)
        prompts = prompts_of(pictures, params.prompt, params.prompts, context)
        weights = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
        if weights is None:
            raise ParameterError([FieldError("model", f"has none of {', '.join(_WEIGHTS)}", folder.name)])
        context.pending(5, [1000.0, 1.0, 1.0, 1.0, 1.0])
        component = Component(ComponentKey.of(folder, "clip", "float32"), lambda: _load(folder))
        held, tell = RowFile(context.work_dir / "rows.jsonl"), teller(context, "Scoring pictures")
        tell(len(held), len(pictures))
        with context.models.lease({"clip": component}) as parts:
            config = parts["clip"].model.config
        for start, batch in chunks(pictures, len(held), lambda picture: picture, params.batch):
            texts = prompts[start : start + len(batch)]
            with (
                context.models.lease({"clip": component}, work=Work("other", batch=len(batch))) as parts,
                torch.inference_mode(),
            ):
                clip: Clip = parts["clip"]
                clip.model.to(context.device)
                prepared = torch.stack([clip.prepare(picture) for picture in batch]).to(context.device)
                scores = clip.scores(prepared, texts).tolist()
            held.add(
                [
                    {"picture": pictures.name(start + at), "prompt": texts[at], "clip_score": score}
                    for at, score in enumerate(scores)
                ]
            )
            tell(len(held), len(pictures))
        protocol = {
            **said_of(pictures, context),
            "clip": params.model,
            "weights": sha256(weights),
            "image_px": config.vision_config.image_size,
            "patch_px": config.vision_config.patch_size,
            "weight": WEIGHT,
            "prefix": PREFIX,
            "formulas": "Hessel et al. 2021",
        }
        name = f"CLIPScore ({os.path.basename(params.model.rstrip('/'))})"
        told = Told(
            f"CLIPScore of {len(pictures)} pictures", held.rows, [Column("clip_score", name, "higher")], protocol
        )
        yield from artifacts(context, told)


def _load(folder: Path) -> Clip:
    try:
        return load_clip(folder)
    except (OSError, ValueError, KeyError) as error:
        said = " ".join(str(error).split())[:300]
        raise ModelError(f"{folder.name} holds no CLIP as transformers saves it: {said}") from error


def _folder(ref: str, context: Context) -> Path:
    """Where the model lies: below a folder called clip, or a folder that the person may name, or what the hub has,
    fetched because a person named it. Raises ParameterError, JobFailed.
    """
    for base in context.folders("clip"):
        if ref and ref == Path(ref).name and (base / ref).is_dir():
            return base / ref
    if not _HUB_ID.fullmatch(ref):
        try:
            return context.open_folder(ref)
        except ParameterError as error:
            raise ParameterError([FieldError("model", one.message, one.got) for one in error.fields]) from None
    from huggingface_hub import snapshot_download

    name, _, revision = ref.partition("@")
    token = os.environ.get("HF_TOKEN") or False
    try:
        return Path(
            snapshot_download(
                name, revision=revision or None, allow_patterns=_FILES, token=token, local_files_only=context.offline
            )
        )
    except Exception as error:  # the hub's client raises errors of the library beneath it
        said = " ".join(str(error).split())[:300]
        raise JobFailed(f"{ref} cannot be fetched: {said}", hint="Name a folder instead.") from error
