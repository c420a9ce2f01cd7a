"""The pipeline ``provenance.check``: what a picture or film says of where it comes from, and whether that holds."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from pathlib import Path

import c2pa
from PIL import Image

from webui.api import Artifact, Context, ParameterError

from . import manifests, watermark
from .certificates import known_authority
from .marking import CERTIFICATES, KINDS
from .params import CheckParams

Row = dict[str, str]
_STATES = {
    "Trusted": "whole, signed by this installation",
    "Valid": "whole, signed by someone not known here",
    "Invalid": "broken: the file was changed after it was signed, or the manifest is damaged",
}
_SOURCE_WORDS = {
    "trainedAlgorithmicMedia": "made by a machine",
    "compositeWithTrainedAlgorithmicMedia": "a picture that a machine changed",
    "digitalCapture": "taken by a camera",
}


class Check:
    """One row for each kind of mark, found or not."""

    def run(self, params: CheckParams, context: Context) -> Iterator[Artifact]:
        """Raises NotFound."""
        ref = params.image or params.file or ""
        path = context.open_file(ref)
        authority = known_authority(Path(context.folders(CERTIFICATES)[0]))
        rows = [_manifest_row(path, authority), *_picture_rows(path, ref, context)]
        yield Artifact("table", rows, title="What it says of its origin")


def _manifest_row(path: Path, authority: bytes) -> Row:
    media_type = _media_type(path)
    if not manifests.can_sign(media_type):
        return _row("C2PA manifest", "not possible", f"{media_type or 'this kind of file'} cannot hold one")
    try:
        manifest = manifests.read(path, media_type, authority)
    except c2pa.C2paError as error:
        return _row("C2PA manifest", "Invalid", f"{_STATES['Invalid']} ({str(error)[:200]})")
    if manifest is None:
        return _row("C2PA manifest", "none", "never signed, or taken off by whoever saved the file again")
    said = [_STATES.get(manifest.state, manifest.state)]
    said += [_SOURCE_WORDS.get(one, one) for one in manifest.source_types]
    said += [f"by {manifest.generator}"] if manifest.generator else []
    said += [f"signer {manifest.signer}"] if manifest.signer else []
    said += list(manifest.faults) if manifest.state == "Invalid" else []
    return _row("C2PA manifest", manifest.state, "; ".join(said))


def _picture_rows(path: Path, ref: str, context: Context) -> list[Row]:
    try:
        picture = context.open_image(ref)
    except ParameterError:
        return []
    found = watermark.read(picture)
    if found is None:
        mark = _row("watermark", "none", "never put, or lost by cropping or strong changes")
    else:
        kind = KINDS[found.data >> 30] if found.data >> 30 < len(KINDS) else "unknown"
        words = {
            "generated": "made by a machine",
            "edited": "edited by a machine",
            "person": "shows a real person, edited",
        }
        strength = min(1.0, found.strength / watermark.MARGIN)
        mark = _row(
            "watermark", kind, f"{words.get(kind, kind)}; mark {found.data:08x}; {strength:.0%} of its strength left"
        )
    made = context.made_with(path)
    told = ", ".join(f"{name} {value}" for name, value in list(made.items())[:12] if value not in (None, "", [], {}))
    recipe = (
        _row("recipe", "found", told[:500]) if made else _row("recipe", "none", "the file says nothing of parameters")
    )
    return [mark, recipe]


def _media_type(path: Path) -> str:
    """By what the file begins with; by its ending for what is no picture."""
    try:
        with Image.open(path) as picture:
            return Image.MIME.get(picture.format or "", "")
    except (OSError, ValueError, Image.DecompressionBombError):
        return mimetypes.guess_type(path.name)[0] or ""


def _row(mark: str, found: str, meaning: str) -> Row:
    return {"mark": mark, "found": found, "meaning": meaning}
