"""The texts that picture files carry, by name, whatever program wrote them; no pixel is decoded. ``metadata`` says
what they mean.

Names: a PNG's own keywords; for EXIF ``UserComment``, ``ImageDescription``, ``lifelike`` (our recipe, see ``encode``);
``comment`` of JPEG and GIF. Any bytes may be given: what is damaged is told in ``notes`` and never raised.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field
from typing import IO, Any

from PIL import Image

from .encode import MAKER_PREFIX, RECIPE_KEY, TAG_DESCRIPTION, TAG_EXIF, TAG_MAKER_NOTE, TAG_USER_COMMENT
from .pixels import MAX_PIXELS, Unreadable, open_header

MAX_TEXT_BYTES = 16 * 2**20
"""Of one text, unpacked. Longer ones are left out, with a note."""

_PNG = b"\x89PNG\r\n\x1a\n"
_SIZE_LIMIT = 2**31
_MAX_LABEL_BYTES = 200
_LABELS = {TAG_DESCRIPTION: "ImageDescription", 0x010F: "Make", 0x0110: "Model", 0x0131: "Software"}
"""EXIF texts that name a program. A camera's are read too, and mean nothing here."""


@dataclass
class Chunks:
    """What was found. ``format`` is such as PNG, empty for bytes that are no picture we know; ``whole``: the file
    reaches its proper end.
    """

    format: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    whole: bool = True


def read_chunks(source: IO[bytes], max_pixels: int = MAX_PIXELS) -> Chunks:
    """The texts of the picture in ``source``, a file open for reading that can seek. Raises OSError only where the
    file itself does.
    """
    start = source.read(len(_PNG))
    if start == _PNG:
        return _read_png(source)
    if not start:
        return Chunks(notes=["the file is empty"], whole=False)
    source.seek(0)
    return _read_other(source, max_pixels)


def _read_png(source: IO[bytes]) -> Chunks:
    found = Chunks("PNG")
    exif = b""
    while True:
        head = source.read(8)
        if len(head) < 8:
            found.whole = False
            found.notes.append("the PNG is cut short: it has no end chunk")
            break
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            break
        if length >= _SIZE_LIMIT:
            found.whole = False
            found.notes.append("the PNG is damaged: a chunk claims an impossible length")
            break
        if kind not in (b"IHDR", b"tEXt", b"zTXt", b"iTXt", b"eXIf") or length > MAX_TEXT_BYTES:
            if kind in (b"tEXt", b"zTXt", b"iTXt"):
                found.notes.append(f"a text of {length:,} bytes was left out: more than the {MAX_TEXT_BYTES:,} allowed")
            source.seek(length + 4, io.SEEK_CUR)
            continue
        data, checksum = source.read(length), source.read(4)
        if len(checksum) == 4 and zlib.crc32(kind + data) != int.from_bytes(checksum, "big"):
            found.notes.append(f"the PNG is damaged: the check sum of a chunk {kind.decode()} is wrong")
        if kind == b"IHDR" and length >= 10:
            found.width, found.height = struct.unpack(">II", data[:8])
            found.mode = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}.get(data[9], "")
        elif kind == b"eXIf":
            exif = data
        elif kind != b"IHDR":
            _add_png_text(found, kind, data)
    if exif:
        _add_exif(found, exif)
    return found


def _add_png_text(found: Chunks, kind: bytes, data: bytes) -> None:
    keyword, separator, rest = data.partition(b"\0")
    name = keyword.decode("latin-1", "replace")
    if not separator:
        return
    if kind == b"tEXt":
        found.texts[name] = _latin_or_utf8(rest)
        return
    if kind == b"zTXt":
        packed, text = True, rest[1:]
    else:
        packed = rest[:1] == b"\1"
        parts = rest[2:].split(b"\0", 2)
        text = parts[2] if len(parts) == 3 else b""
    if packed:
        unpacked = _unpack(text)
        if unpacked is None:
            found.notes.append(
                f"the text {name!r} was left out: it is damaged or unpacks to more than {MAX_TEXT_BYTES:,} bytes"
            )
            return
        text = unpacked
    found.texts[name] = text.decode("utf-8", "replace") if kind == b"iTXt" else _latin_or_utf8(text)


def _latin_or_utf8(data: bytes) -> str:
    """tEXt is Latin-1 by the standard; programs that put UTF-8 there are told by it being valid UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _unpack(data: bytes) -> bytes | None:
    machine = zlib.decompressobj()
    try:
        text = machine.decompress(data, MAX_TEXT_BYTES)
    except zlib.error:
        return None
    return text if machine.eof else None


def _read_other(source: IO[bytes], max_pixels: int) -> Chunks:
    found = Chunks()
    try:
        image = open_header(source, max_pixels)
    except Unreadable as error:
        found.notes.append(f"this file {error}")
        found.whole = False
        return found
    found.format, (found.width, found.height), found.mode = image.format or "", image.size, image.mode
    found.whole = _reaches_end(source, found.format)
    if not found.whole:
        found.notes.append(f"the {found.format} is cut short")
    comment = image.info.get("comment")
    if isinstance(comment, bytes | str) and comment:
        found.texts["comment"] = _latin_or_utf8(comment) if isinstance(comment, bytes) else comment
    exif = image.info.get("exif")
    if not isinstance(exif, bytes) and found.format in ("TIFF", "MPO"):
        exif = _guarded_exif_of(image)
    if isinstance(exif, bytes) and exif:
        _add_exif(found, exif)
    if recipe := _recipe_in_segments(getattr(image, "applist", [])):
        found.texts[RECIPE_KEY] = recipe
    return found


def _guarded_exif_of(image: Image.Image) -> bytes:
    try:
        return bytes(image.getexif().tobytes())
    except Exception:  # a damaged directory may make the decoder raise anything; there is then no text to read
        return b""


def _reaches_end(source: IO[bytes], image_format: str) -> bool:
    """Whether a JPEG has its end marker in its last bytes, and a WebP the length it states. True for other formats."""
    size = source.seek(0, io.SEEK_END)
    if image_format == "JPEG":
        source.seek(max(0, size - 4096))
        return b"\xff\xd9" in source.read()
    if image_format == "WEBP":
        source.seek(4)
        return int.from_bytes(source.read(4), "little") + 8 <= size
    return True


def _recipe_in_segments(segments: list[Any]) -> str:
    """Our recipe from a JPEG's APP10 segments; empty where there is none or a part is missing."""
    bodies = [data[len(MAKER_PREFIX) :] for name, data in segments if name == "APP10" and data.startswith(MAKER_PREFIX)]
    parts = {body[0]: body[2:] for body in bodies if len(body) > 2}
    if not parts or sorted(parts) != list(range(1, bodies[0][1] + 1)):
        return ""
    return b"".join(parts[number] for number in sorted(parts)).decode("utf-8", "replace")


def _add_exif(found: Chunks, data: bytes) -> None:
    try:
        exif = Image.Exif()
        exif.load(data)
        outer, details = dict(exif), dict(exif.get_ifd(TAG_EXIF))
        big_endian = exif.endian != "<"
    except Exception as error:  # the directory parser may raise anything on damaged bytes
        found.notes.append(f"the EXIF data are damaged ({type(error).__name__})")
        return
    inner = outer | details  # some writers put into the outer directory what belongs into the inner one
    maker = as_bytes(inner.get(TAG_MAKER_NOTE))
    if maker.startswith(MAKER_PREFIX):
        found.texts[RECIPE_KEY] = maker[len(MAKER_PREFIX) :].decode("utf-8", "replace")
    elif 0 < len(maker) <= _MAX_LABEL_BYTES and maker.isascii():
        found.texts["MakerNote"] = maker.rstrip(b"\0").decode("ascii")
    if comment := decode_user_comment(as_bytes(inner.get(TAG_USER_COMMENT)), big_endian):
        found.texts["UserComment"] = comment
    for tag, name in _LABELS.items():
        label = _latin_or_utf8(as_bytes(outer.get(tag))).rstrip("\0")
        key, colon, body = label.partition(":")
        if colon and key in ("prompt", "workflow") and body.lstrip().startswith("{"):
            found.texts.setdefault(key, body)  # how ComfyUI stores its graph in a WebP
        elif label and (tag == TAG_DESCRIPTION or len(label) <= _MAX_LABEL_BYTES):
            found.texts.setdefault(name, label)


def as_bytes(value: Any) -> bytes:
    """An EXIF value as it lay in the file: the decoder hands BYTE and UNDEFINED over as bytes, ASCII as str, odd
    counts as numbers.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("latin-1", "replace")
    if isinstance(value, int):
        value = (value,)
    if isinstance(value, tuple | list) and all(isinstance(one, int) and 0 <= one < 256 for one in value):
        return bytes(value)
    return b""


def decode_user_comment(data: bytes, big_endian: bool = True) -> str:
    """The text of an EXIF UserComment: eight bytes that name its code, if they are there, then UTF-16 of either byte
    order, UTF-8 or Latin-1.

    ``big_endian`` is the byte order of the EXIF block, which decides only where the text itself does not tell.
    """
    code, body = data[:8], data[8:]
    if code == b"UNICODE\0":
        return _utf16(body, big_endian)
    if code.rstrip(b"\0 ") in (b"ASCII", b"JIS", b""):
        return _utf16(body, big_endian) if body.count(0) > len(body) // 4 else _latin_or_utf8(body).rstrip("\0")
    return _utf16(data, big_endian) if data.count(0) > len(data) // 4 else _latin_or_utf8(data).rstrip("\0")


def _utf16(data: bytes, big_endian: bool) -> str:
    """UTF-16 by its mark, else by where its Latin letters have their zero bytes. Some writers put UTF-8 here: told by
    its not having any.
    """
    if len(data) % 2:
        data += b"\0"  # under the type ASCII the directory's reader takes the last zero byte for an end mark
    if data[:2] in (b"\xfe\xff", b"\xff\xfe"):
        return data.decode("utf-16", "replace").rstrip("\0")
    even, odd = data[0::2].count(0), data[1::2].count(0)
    if even + odd <= 1 and (text := _utf8_or_none(data.rstrip(b"\0"))):
        return text
    most, fewest, units = max(even, odd), min(even, odd), len(data) // 2
    telling = even != odd and (
        most * 2 >= units or (most >= 4 and most >= 3 * fewest)
    )  # letters such as U+4E00 have one
    big = even > odd if telling else big_endian
    return data.decode("utf-16-be" if big else "utf-16-le", "replace").rstrip("\0")


def _utf8_or_none(data: bytes) -> str | None:
    """Text only where it is mostly ASCII: letters of two bytes may be valid UTF-8 by accident."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    ascii_letters = sum(letter.isascii() for letter in text)
    return text if ascii_letters * 2 > len(text) else None
