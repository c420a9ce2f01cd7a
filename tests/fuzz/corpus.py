"""A corpus of bad requests: method, path and body, by kind."""

from __future__ import annotations

import base64
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

API = "/api/v1"
PATHS = (
    "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "....//....//etc/passwd", "/etc/passwd",
    "C:\\Windows\\win.ini", "..\\..\\x", "\x00", "a\x00.png", "file:///etc/passwd", "con", "~root", "~/.ssh/id_rsa",
    "$HOME", "`id`", "|id", "a" * 5000, ".", "..", " ", "\u202egnp.exe", "%", "%00", "\ud7ff\uffff", "//host/share",
)  # fmt: skip
ADDRESSES = (
    "http://127.0.0.1:1/x.png", "http://169.254.169.254/latest/meta-data/", "http://[::1]/a.png", "ftp://a/b.png",
    "http://localhost/x", "gopher://a:1/_x", "https://example.org/a.png", "http://0x7f000001/", "//example.org/a.png",
    "data:text/html,<script>alert(1)</script>", "data:image/png;base64,@@@", "data:image/svg+xml,<svg onload=alert(1)>",
)  # fmt: skip
WORDS = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"'><svg/onload=alert(1)>", "{{7*7}}", "${7*7}",
    "'; DROP TABLE jobs; --", "\" OR 1=1", "%s%s%n", "\r\nSet-Cookie: a=b", "\x1b[31m", "\u0000", "\U0001f600" * 500,
    "seed:>=", "steps:>=x", "a" * 9_999, "(" * 3000, "*", "\"", "-", "NEAR(", "\\", "%_", "seed:99999999999999999999",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, [], {}, "", "x", -1, 0, 10**30, -(10**30), 1.5, 1e308, "1e999", [[]], {"a": {}}, "NaN", [1] * 5000,
    {"__proto__": 1}, {"__class__": "x"}, "upload:" + "0" * 64, "artifact:0", "upload:../x", "artifact:../../x",
)  # fmt: skip
RAW = (
    b"", b"{", b"[", b"null", b"[]", b'"x"', b"1", b'{"pipeline":', b"\xff\xfe\x00",
    b'{"pipeline":"paint","params":NaN}',
    b"[" * 20_000, b'{"a":' * 5_000, b'{"pipeline":"paint","pipeline":"x"}', b'{"pipeline":"\\ud800"}', b"\x00" * 100,
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One request; ``files`` as a multipart form."""

    kind: str
    method: str
    path: str
    json: Any = None
    content: bytes | None = None
    files: dict[str, tuple[str, bytes, str]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)

    def as_request(self) -> dict[str, Any]:
        """For ``httpx.Client.request``."""
        return {
            "method": self.method,
            "url": self.path,
            "json": self.json,
            "content": self.content,
            "files": self.files or None,
            "headers": {name: value.encode("latin-1") for name, value in self.headers.items()},
            "params": self.params or None,
        }


def cases() -> list[Case]:
    """All of them, in the same order every time."""
    return [*_paths(), *_addresses(), *_words(), *_values(), *_raw(), *_pictures(), *_headers(), *_archives()]


def _paths() -> Iterator[Case]:
    from urllib.parse import quote

    for path in PATHS:
        safe = path if "%" in path and len(path) > 2 else quote(path.encode("utf-8", "surrogatepass"), safe="")
        for prefix in ("artifacts", "jobs", "collections"):
            yield Case("path", "GET", f"{API}/{prefix}/{safe}")
        yield Case("path", "GET", f"/ui/{safe}")
        yield Case("path", "POST", f"{API}/jobs", json={"pipeline": "copy", "params": {"image": path}})


def _addresses() -> Iterator[Case]:
    for address in ADDRESSES:
        yield Case("address", "POST", f"{API}/jobs", json={"pipeline": "copy", "params": {"image": address}})
        yield Case("address", "POST", f"{API}/uploads", json={"url": address})


def _words() -> Iterator[Case]:
    for word in WORDS:
        yield Case("words", "GET", f"{API}/artifacts", params={"query": word, "filters": word[:200]})
        yield Case("words", "POST", f"{API}/jobs", json={"pipeline": word[:3000], "params": {}})
        yield Case("words", "GET", f"{API}/jobs", params={"pipeline": word[:500], "before": word[:500]})
        yield Case("words", "POST", f"{API}/prompt", json={"pipeline": "paint", "text": word})


def _values() -> Iterator[Case]:
    for value in VALUES:
        yield Case("json", "POST", f"{API}/jobs", json={"pipeline": "paint", "params": {"count": value}})
        yield Case("json", "POST", f"{API}/jobs", json={"pipeline": "copy", "params": {"image": value}})
        yield Case("json", "POST", f"{API}/jobs", json={"pipeline": "paint", "params": value})
        yield Case("json", "POST", f"{API}/selection", json={"ids": value, "action": value})
        yield Case("json", "PATCH", f"{API}/artifacts/x", json={"rating": value})


def _raw() -> Iterator[Case]:
    for body in RAW:
        for path in ("jobs", "uploads", "prompt", "metadata"):
            yield Case("raw", "POST", f"{API}/{path}", content=body, headers={"Content-Type": "application/json"})
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (b"", b"--x", b"--x\r\n\r\n", b"--x--\r\n" * 50, b"--x\r\nContent-Disposition: form-data\r\n\r\na"):
        yield Case("raw", "POST", f"{API}/uploads", content=body, headers=multipart)
        yield Case("raw", "POST", f"{API}/jobs", content=body, headers=multipart)


def png(width: int = 4, height: int = 4) -> bytes:
    """A whole one."""
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (9, 9, 9)).save(stream, format="PNG")
    return stream.getvalue()


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def pictures() -> dict[str, bytes]:
    """Files that say they are pictures."""
    whole = png()
    start, end = whole[:8], whole[-12:]
    huge = start + _chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    bomb = huge + _chunk(b"IDAT", zlib.compress(b"\x00" * 2_000_000)) + end
    text = whole[:-12] + _chunk(b"zTXt", b"prompt\0\0" + zlib.compress(b"a" * 50_000_000)) + end
    return {
        "empty": b"",
        "cut": whole[:-20],
        "start_alone": start,
        "no_pixels": start + _chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0)) + end,
        "zero_size": start + _chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 0, 8, 2, 0, 0, 0)) + end,
        "pixel_bomb": bomb,
        "text_bomb": text,
        "wrong_sum": whole[:20] + b"\xff" + whole[21:],
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        "html": b"<html><script>alert(1)</script></html>",
        "pickle": b"\x80\x04cos\nsystem\n(S'id'\ntR.",
        "gif_cut": b"GIF89a\xff\xff\xff\xff\xf7\x00\x00",
        "jpeg_cut": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
        "tiff_loop": b"II*\x00\x08\x00\x00\x00\x01\x00\x00\x01\x03\x00\x01\x00\x00\x00\x01\x00\x00\x00\x08\x00\x00\x00",
        "webp_cut": b"RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\xff",
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
        "zip": _zip({"a.png": whole}),
        "json_text": whole[:-12] + _chunk(b"tEXt", b"lifelike\0" + b"{" * 3000) + end,
        "broken_text": whole[:-12] + _chunk(b"iTXt", b"lifelike\0\x01\x09\xff\xff") + end,
    }


def _pictures() -> Iterator[Case]:
    names = ("a.png", "../../x.png", "<b>.png", 'a"\r\nX-Evil: 1.png', "a" * 300 + ".png", ".htaccess")
    for body in pictures().values():
        yield Case("picture", "POST", f"{API}/uploads", files={"file": ("a.png", body, "image/png")})
        yield Case("picture", "POST", f"{API}/metadata", files={"file": ("a.png", body, "image/png")})
        said = "data:image/png;base64," + base64.b64encode(body[:100_000]).decode()
        yield Case("picture", "POST", f"{API}/jobs", json={"pipeline": "copy", "params": {"image": said}})
    for name in names:
        yield Case("name", "POST", f"{API}/uploads", files={"file": (name, png(), "image/png")})


def _headers() -> Iterator[Case]:
    for name, value in (
        ("Range", "bytes=-1"), ("Range", "bytes=9-1"), ("Range", "bytes=" + "0-1," * 1000),
        ("Accept-Language", "x" * 9000),
        ("If-None-Match", "x" * 5000), ("Cookie", "a=" + "b" * 5000), ("Authorization", "Bearer " + "x" * 5000),
        ("Content-Type", "multipart/form-data"), ("Content-Type", "x" * 2000), ("Last-Event-ID", "\u00ff"),
        ("X-Forwarded-For", "1.2.3.4, " * 500), ("X-Forwarded-Host", "evil.example"), ("Forwarded", "for=;host="),
    ):  # fmt: skip
        yield Case("header", "GET", f"{API}/artifacts", headers={name: value})
        yield Case("header", "POST", f"{API}/jobs", content=b"{}", headers={name: value})


def _zip(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return stream.getvalue()


def _archives() -> Iterator[Case]:
    bodies = (_zip({"../../evil.png": png()}), _zip({"big": b"\0" * 20_000_000}), _zip({}), b"PK\x03\x04rubbish")
    for body in bodies:
        yield Case("archive", "POST", f"{API}/uploads", files={"file": ("a.zip", body, "application/zip")})
        yield Case("archive", "POST", f"{API}/import", files={"file": ("a.zip", body, "application/zip")})
