"""What kind of file some bytes are, by the bytes alone; names and types that a sender states are not believed."""

from __future__ import annotations

import io
from typing import Literal

from PIL import Image

from .pixels import Unreadable, open_header

Kind = Literal["image", "audio", "video", "other"]

_IMAGES = {
    "PNG": "png", "JPEG": "jpg", "MPO": "jpg", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "DIB": "bmp", "TIFF":
    "tiff", "AVIF": "avif",
}  # fmt: skip
"""Endings of the picture formats that are taken, by Pillow's name of the format."""

IMAGE_ENDINGS = frozenset({*_IMAGES.values(), "jpeg", "tif", "svg", "heic", "heif"})
"""Endings with which a file says that it is a picture."""

_SAFE_ENDINGS = frozenset(
    {"txt", "csv", "json", "jsonl", "md", "yaml", "toml", "npz", "npy", "safetensors", "zip", "tar", "gz", "pdf"}
)
"""Endings that are taken from a name: none of them is run by a browser."""

MAX_HEADER_PIXELS = 2**40
"""When only the format is asked for."""


def looks_like_image(data: bytes) -> bool:
    """Whether ``data`` begin as one of the picture formats do that are taken."""
    return (
        data.startswith(
            (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
        )
        or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")
        or (data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis", b"mif1"))
    )


def image_ending(image: Image.Image) -> str:
    """The ending for an opened picture's format. Raises Unreadable for a format that is not taken."""
    ending = _IMAGES.get(image.format or "")
    if ending is None:
        taken = ", ".join(sorted({*_IMAGES.values()}))
        raise Unreadable(f"has the format {image.format}, expected one of {taken}")
    return ending


def identify(data: bytes, name: str = "") -> tuple[Kind, str]:
    """(kind, ending) of ``data``. For pictures the bytes' own header must hold; of ``name`` only a harmless ending is
    used.

    Raises Unreadable for what begins like a picture and is none.
    """
    if looks_like_image(data):
        try:
            return "image", image_ending(open_header(io.BytesIO(data), MAX_HEADER_PIXELS))
        except Unreadable:
            if not data.startswith(b"BM"):  # two letters that a text may begin with
                raise
    if (found := _media(data)) is not None:
        return found
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    return "other", ending if ending in _SAFE_ENDINGS else "bin"


def _media(data: bytes) -> tuple[Kind, str] | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "audio", "wav"
    if data[:4] == b"fLaC":
        return "audio", "flac"
    if data[:4] == b"OggS":
        return "audio", "ogg"
    if data[:3] == b"ID3" or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2):
        return "audio", "mp3"
    if data[4:8] == b"ftyp":
        return ("audio", "m4a") if data[8:11] == b"M4A" else ("video", "mp4")
    if data[:4] == b"\x1a\x45\xdf\xa3":
        return "video", "webm"
    return None
