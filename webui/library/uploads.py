"""Bytes that come in with a request, kept under the hash of their content, and the references by which jobs name them.

A reference is ``upload:<sha256>.<ending>`` or ``artifact:<job id>-<index>``; nothing else that a request says becomes
part of a path. Pictures are checked when they come in: format by their bytes, pixels by their header before anything
is decoded, then that they can be decoded.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import unquote_to_bytes

from PIL import Image

from webui.core.errors import FieldError, NotFound, ParameterError
from webui.core.parameters import Parameter

from .disk import write_new
from .pixels import MAX_PIXELS, Unreadable, decode, open_header
from .sniff import IMAGE_ENDINGS, identify, image_ending

Expected = Literal["image", "audio", "file"]

UPLOAD_REF = re.compile(r"upload:(?P<sha>[0-9a-f]{64})\.(?P<ending>[0-9a-z]{1,12})", re.ASCII)
ARTIFACT_REF = re.compile(r"artifact:(?P<id>[0-9A-Za-z-]{1,64}-[0-9]{1,9})", re.ASCII)

_DATA_URL = re.compile(r"data:[^,]{0,1000}?(?P<coded>;base64)?,", re.IGNORECASE)
_URL_SAFE = str.maketrans("-_", "+/")
_BLANKS = str.maketrans("", "", " \t\r\n")
_MIN_BASE64 = 16
"""Fewer letters are no file of any kind: more likely a name."""


class UploadStore:
    """The folder of uploads. ``resolve_artifact`` finds the file of an artifact's id and raises NotFound."""

    def __init__(
        self,
        root: Path,
        max_bytes: int = 64 * 2**20,
        max_pixels: int = MAX_PIXELS,
        resolve_artifact: Callable[[str], Path] | None = None,
    ) -> None:
        self.root = Path(root).resolve()
        self.max_bytes = max_bytes
        self.max_pixels = max_pixels
        self._resolve_artifact = resolve_artifact

    def put(self, data: bytes, name: str = "", *, expect: Expected = "file", field: str = "file") -> str:
        """Keep ``data`` and return their reference; the same bytes give the same one. ``name`` is used for harmless
        endings only.

        Raises ParameterError that names ``field``: too big, empty, a picture that is broken or too large, or not what
        ``expect`` says.
        """
        if not data:
            raise _wrong(field, "is empty, expected a file")
        if len(data) > self.max_bytes:
            raise _wrong(field, f"has {len(data):,} bytes, more than the {self.max_bytes:,} allowed")
        try:
            kind, ending = identify(data, name)
            if kind == "image":
                decode(open_header(io.BytesIO(data), self.max_pixels))
        except Unreadable as error:
            raise _wrong(field, f"this picture {error}") from None
        claims_image = name.rpartition(".")[2].lower() in IMAGE_ENDINGS if "." in name else False
        if kind != "image" and (expect == "image" or claims_image):
            raise _wrong(field, "is not a picture that can be read, expected PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF")
        if expect == "audio" and kind not in ("audio", "video"):
            raise _wrong(field, "is not a sound, expected WAV, FLAC, OGG, MP3 or M4A")
        return self._keep(data, ending)

    def intern(self, value: str, *, allow_paths: bool = False, expect: Expected = "file", field: str = "file") -> str:
        """The lasting reference for what a request may state as a file: a reference, a data URL, or bare base64.

        ``allow_paths``, for the command line alone, takes the path of a file too. A reference must name something that
        exists. Raises ParameterError that names ``field``, NotFound.
        """
        if value.startswith(("upload:", "artifact:")):
            self.path(value, field=field)
            return value
        if value[:5].lower() == "data:":
            return self.put(self._from_data_url(value, field), expect=expect, field=field)
        if allow_paths and (path := _existing_file(value)) is not None:
            return self._put_file(path, expect, field)
        if allow_paths and "." in value[:4096]:  # never in base64
            raise _wrong(field, "there is no such file", value)
        return self.put(self._from_base64(value, field), expect=expect, field=field)

    def path(self, ref: str, *, field: str = "file") -> Path:
        """The file behind a reference. Raises ParameterError for what is no reference, NotFound where nothing is
        behind it.
        """
        if found := UPLOAD_REF.fullmatch(ref):
            path = self._place(found["sha"], found["ending"])
            if not path.is_file():
                raise NotFound(f"there is no upload {ref}.", hint="Send the file again.")
            return path
        if (found := ARTIFACT_REF.fullmatch(ref)) and self._resolve_artifact is not None:
            return self._resolve_artifact(found["id"])
        raise _wrong(field, "is no reference to a file, expected upload:<sha256>.<ending> or artifact:<id>", ref)

    def open_image(self, ref: str, *, field: str = "image") -> Image.Image:
        """The picture behind a reference: RGB or RGBA, upright, the first frame of an animation. Raises
        ParameterError, NotFound.
        """
        path = self.path(ref, field=field)
        try:
            with path.open("rb") as file:
                image = open_header(file, self.max_pixels)
                image_ending(image)
                return decode(image)
        except Unreadable as error:
            raise _wrong(field, f"this picture {error}", ref) from None

    def claim(self, ref: str, guest: str) -> None:
        """Remember that ``guest`` sent these bytes. Another who knows their hash, from a recipe, say, has not."""
        if found := UPLOAD_REF.fullmatch(ref):
            mark = self._claim(guest, found)
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()

    def is_from(self, ref: str, guest: str) -> bool:
        """Whether ``guest`` sent them."""
        found = UPLOAD_REF.fullmatch(ref)
        return found is not None and self._claim(guest, found).is_file()

    def _claim(self, guest: str, found: re.Match[str]) -> Path:
        return self.root / "guests" / guest / f"{found['sha']}.{found['ending']}"

    def _place(self, sha256: str, ending: str) -> Path:
        return self.root / sha256[:2] / f"{sha256}.{ending}"

    def _keep(self, data: bytes, ending: str) -> str:
        digest = hashlib.sha256(data).hexdigest()
        path = self._place(digest, ending)
        if not path.is_file() or path.stat().st_size != len(data):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{digest[:16]}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
            write_new(temporary, data)
            os.replace(temporary, path)
        return f"upload:{digest}.{ending}"

    def _put_file(self, path: Path, expect: Expected, field: str) -> str:
        size = path.stat().st_size
        if size > self.max_bytes:
            raise _wrong(field, f"has {size:,} bytes, more than the {self.max_bytes:,} allowed", str(path))
        try:
            data = path.read_bytes()
        except OSError as error:
            raise _wrong(field, f"cannot be read ({error.strerror})", str(path)) from None
        return self.put(data, path.name, expect=expect, field=field)

    def _from_data_url(self, value: str, field: str) -> bytes:
        head = _DATA_URL.match(value)
        if head is None:
            raise _wrong(field, "is a broken data URL, expected data:<type>;base64,<data>", value)
        body = value[head.end() :]
        if head["coded"]:
            return self._from_base64(unquote_to_bytes(body).decode("latin-1") if "%" in body[:4096] else body, field)
        if len(body) > 3 * self.max_bytes:
            raise _wrong(field, f"is larger than the {self.max_bytes:,} bytes allowed")
        return unquote_to_bytes(body)

    def _from_base64(self, value: str, field: str) -> bytes:
        """Standard or URL-safe base64, with or without blanks and padding. Its size is judged before it is decoded."""
        if len(value) > self.max_bytes // 3 * 4 * 1.1 + 1024:
            raise _wrong(field, f"is larger than the {self.max_bytes:,} bytes allowed")
        body = value.translate(_BLANKS).rstrip("=").translate(_URL_SAFE)
        try:
            if len(body) < _MIN_BASE64 or len(body) % 4 == 1:
                raise ValueError("length")
            return binascii.a2b_base64(body.encode("ascii") + b"=" * (-len(body) % 4), strict_mode=True)
        except ValueError:
            raise _wrong(field, "is neither a reference to a file, nor a data URL, nor base64", value) from None


def _existing_file(value: str) -> Path | None:
    if len(value) > 4096 or "\0" in value:
        return None
    path = Path(value).expanduser()
    try:
        return path if path.is_file() else None
    except OSError:
        return None


def _wrong(field: str, message: str, got: str = "") -> ParameterError:
    shown = got if len(got) <= 80 else got[:77] + "..."
    return ParameterError([FieldError(field, message, shown)])


def data_url(data: bytes, media_type: str) -> str:
    """``data`` as a data URL."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def interning(uploads: UploadStore, *, allow_paths: bool, guest: str = "") -> Callable[[Parameter, str], str]:
    """``UploadStore.intern`` for the values of file parameters, new ones as sent by ``guest``; it raises ParameterError
    alone.
    """

    def intern(row: Parameter, value: str) -> str:
        expect: Expected = "image" if row.kind in ("image", "image_mask", "images") else "file"
        expect = "audio" if row.kind == "audio" else expect
        try:
            ref = uploads.intern(value, allow_paths=allow_paths, expect=expect, field=row.name)
            if guest and ref != value:
                uploads.claim(ref, guest)
            return ref
        except NotFound as error:
            raise ParameterError([FieldError(row.name, error.message)], hint=error.hint) from None

    return intern
