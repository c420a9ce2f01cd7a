"""From an ended job to the answer of ``txt2img`` and ``img2img``: pictures as bare base64 of PNG with their metadata,
the request with its defaults, and ``info``, a text that holds JSON.
"""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import webui
from webui.core.errors import LifelikeError
from webui.core.jobs import ArtifactRecord, Job
from webui.library import metadata
from webui.library.encode import RECIPE_KEY, write_image
from webui.library.pixels import decode, open_header
from webui.web.services import Services

from .requests import Generation, Img2Img

MAX_PIXELS = 400_000_000
"""Our own pictures may be larger than those that are let in."""


def answer(services: Services, body: Generation, job: Job, warnings: Sequence[str]) -> dict[str, Any]:
    records = sorted((one for one in job.artifacts if one.kind == "image"), key=lambda one: one.index)
    pictures = [_picture(services, record) for record in records]
    sent = [base64.b64encode(data).decode("ascii") for data, _ in pictures] if body.send_images else []
    told = [*warnings, *job.warnings]
    if job.error is not None:
        told.append(f"{job.error.message} {job.error.hint}".strip())
    info = _info(services, job, records, [text for _, text in pictures], told)
    return {"images": sent, "parameters": _parameters(body), "info": json.dumps(info, ensure_ascii=False)}


def _picture(services: Services, record: ArtifactRecord) -> tuple[bytes, str]:
    """The bytes of a PNG, and its infotext."""
    data = services.library.path(record.id).read_bytes()
    said = metadata.read(data, MAX_PIXELS)
    if record.media_type != "image/png":
        target = io.BytesIO()
        image = decode(open_header(io.BytesIO(data), MAX_PIXELS))
        write_image(target, image, "png", recipe=said.chunks.get(RECIPE_KEY, ""), infotext=said.infotext)
        data = target.getvalue()
    return data, said.infotext


def _parameters(body: Generation) -> dict[str, Any]:
    """The request with its defaults; the pictures that it brought do not go back, unless it asks."""
    given = body.model_dump(mode="json")
    if isinstance(body, Img2Img) and not body.include_init_images:
        given["init_images"] = given["mask"] = None
    return given


def _info(
    services: Services, job: Job, records: Sequence[ArtifactRecord], infotexts: Sequence[str], warnings: Sequence[str]
) -> dict[str, Any]:
    params: Mapping[str, Any] = job.params
    count = len(records)
    seeds = [record.seed for record in records]
    name, digest = _model(services, str(params.get("model") or ""))
    prompt, negative = str(params.get("prompt", "")), str(params.get("negative_prompt", ""))
    first = records[0] if records else None
    subseed = params.get("variation_seed", -1)
    return {
        "prompt": prompt,
        "all_prompts": [prompt] * count,
        "negative_prompt": negative,
        "all_negative_prompts": [negative] * count,
        "seed": params.get("seed", -1),
        "all_seeds": seeds,
        "subseed": subseed,
        "all_subseeds": [subseed] * count,
        "subseed_strength": params.get("variation_strength", 0),
        "width": first.width if first else params.get("width"),
        "height": first.height if first else params.get("height"),
        "sampler_name": params.get("sampler", ""),
        "scheduler": params.get("schedule", ""),
        "cfg_scale": params.get("guidance_scale"),
        "steps": params.get("steps"),
        "batch_size": params.get("batch_size", 1),
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": name,
        "sd_model_hash": digest,
        "sd_vae_name": params.get("vae") or None,
        "sd_vae_hash": None,
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": params.get("strength"),
        "extra_generation_params": {},
        "index_of_first_image": 0,
        "infotexts": list(infotexts),
        "styles": [],
        "job_timestamp": time.strftime("%Y%m%d%H%M%S", time.localtime(job.created_at)),
        "clip_skip": params.get("clip_skip") or 1,
        "is_using_inpainting_conditioning": False,
        "version": f"Lifelike {webui.__version__}",
        "job_id": job.id,
        "warnings": list(warnings),
    }


def _model(services: Services, ref: str) -> tuple[str, str]:
    """Title and short hash."""
    try:
        entry = services.catalog.resolve(ref)
    except LifelikeError:
        return ref, ""
    return entry.title, entry.sha256[:10]
