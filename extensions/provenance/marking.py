"""Middle of the extension: a result on its way to the library -> its marks, in this order: label and watermark in the
pixels, then recipe and texts by the host, then the signature over the whole file, then the audit log.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from PIL import Image

from webui.api import FileContext, ImageContext, JobFailed

from . import manifests, watermark
from .audit import write_entry
from .certificates import own_identity
from .label import labelled
from .wanted import PERSON, origin_of, sources_of

CERTIFICATES = "certificates"
AUDIT_LOG = "audit.jsonl"
KINDS = ("generated", "edited", "person")
"""By the two highest bits of a watermark's data; the rest are the recipe's."""


def marked_pixels(image: Image.Image, context: ImageContext) -> Image.Image | None:
    """The picture with label and watermark as the settings say; None where they ask for neither."""
    words = str(context.settings.get("label", "")).strip()
    made = labelled(image, words) if words else image
    if context.settings.get("watermark", True) and min(made.size) >= watermark.LEAST_PX:
        made = watermark.embed(made if made.mode in ("L", "LA", "RGBA") else made.convert("RGB"), mark_of(context))
    return made if made is not image else None


def mark_of(context: ImageContext) -> int:
    """32 bits: what kind of thing it is, and 30 bits of the SHA-256 of parameters, place and seed."""
    recipe = context.recipe
    text = recipe.model_copy(update={"extensions": {}, "libraries": {}, "device": {}}).to_json()
    digest = int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:4], "big")
    return KINDS.index(origin_of(context)) << 30 | digest >> 2


def mark(source: Path, target: Path, context: FileContext) -> bool:
    """Sign the file and, where it must be marked, read the marks back and write the audit log. Raises JobFailed,
    OSError, c2pa.C2paError.
    """
    if not manifests.can_sign(context.media_type):
        return False
    folder = Path(context.folders(CERTIFICATES)[0])
    identity = own_identity(folder)
    version = context.recipe.libraries.get("lifelike", "")
    manifests.sign(source, target, context.media_type, origin_of(context), version, identity)
    if context.must_mark:
        marks = _verified(target, context, identity.authority)
        write_entry(Path(context.folders("provenance")[0]) / AUDIT_LOG, _entry(target, context, marks))
    return True


def _verified(path: Path, context: FileContext, authority: bytes) -> list[str]:
    """The marks that another reader finds in the finished file. Raises JobFailed where one is missing."""
    manifest = manifests.read(path, context.media_type, authority)
    if manifest is None or manifest.state != "Trusted":
        raise JobFailed(f"the signature was not found again ({manifest.state if manifest else 'none'}).")
    marks = ["c2pa"]
    if context.kind == "image" and context.settings.get("watermark", True):
        with Image.open(path) as picture:
            if min(picture.size) >= watermark.LEAST_PX:
                found = watermark.read(picture)
                if found is None or KINDS[min(found.data >> 30, 2)] != PERSON:
                    raise JobFailed("the watermark was not found again.", hint="A larger picture holds it better.")
                marks.append("watermark")
    return marks


def _entry(path: Path, context: FileContext, marks: list[str]) -> dict[str, Any]:
    """What is kept of a result: who asked for what, with which consent, from which files; no picture, no prompt."""
    job = context.job
    return {
        "consent": job.params.get("consent") is True,
        "index": context.index,
        "job": job.id,
        "marks": marks,
        "media_type": context.media_type,
        "owner": job.owner,
        "pipeline": job.pipeline,
        "result_sha256": _sha256(path),
        "sources_sha256": {name: _sha256(context.open_file(ref)) for name, ref in sources_of(context).items()},
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
