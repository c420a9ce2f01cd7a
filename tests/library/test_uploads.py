from __future__ import annotations

import base64
import hashlib
import io
import os
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from webui.core.errors import NotFound, ParameterError
from webui.library.uploads import UploadStore, data_url


@pytest.fixture
def store(tmp_path: Path) -> UploadStore:
    return UploadStore(tmp_path / "uploads", max_bytes=200_000, max_pixels=100_000)


def picture(fmt: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (12, 8), **save) -> bytes:
    target = io.BytesIO()
    Image.new(mode, size, save.pop("color", 0)).save(target, fmt, **save)
    return target.getvalue()


def bomb(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100_000))
        + chunk(b"IEND", b"")
    )


FORMATS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tiff", "AVIF": "avif"}


@pytest.mark.parametrize("fmt", FORMATS)
def test_each_picture_format_is_told_by_its_bytes(store, fmt: str) -> None:
    data = picture(fmt)
    ref = store.put(data, "a.html", expect="image")
    assert ref == f"upload:{hashlib.sha256(data).hexdigest()}.{FORMATS[fmt]}"
    assert store.path(ref).read_bytes() == data
    image = store.open_image(ref)
    assert (image.mode, image.size) == ("RGB", (12, 8))
    assert store.put(data) == ref
    assert len(list(store.root.rglob("*.*"))) == 1


@pytest.mark.parametrize(
    "value",
    [
        lambda data: data_url(data, "image/png"),
        lambda data: "data:;base64," + base64.b64encode(data).decode(),
        lambda data: "DATA:text/html;charset=utf-8;BASE64," + base64.b64encode(data).decode(),
        lambda data: "data:image/png," + "".join(f"%{byte:02x}" for byte in data),
        lambda data: base64.b64encode(data).decode(),
        lambda data: base64.urlsafe_b64encode(data).decode(),
        lambda data: base64.b64encode(data).decode().rstrip("="),
        lambda data: base64.b64encode(data).decode() + "==",
        lambda data: base64.encodebytes(data).decode().replace("\n", "\r\n"),
    ],
)
def test_every_way_to_state_bytes(store, value) -> None:
    for length in range(3):
        data = picture("PNG", size=(5 + length, 4))
        assert store.path(store.intern(value(data))).read_bytes() == data


def test_bare_base64_of_a_jpeg_is_no_path(store) -> None:
    text = base64.b64encode(picture("JPEG")).decode()
    assert text.startswith("/9j/")
    assert store.intern(text).endswith(".jpg")
    assert store.intern(text, allow_paths=True).endswith(".jpg")


def test_references_are_kept_and_must_exist(store, tmp_path: Path) -> None:
    ref = store.put(picture())
    assert store.intern(ref) == ref
    with pytest.raises(NotFound):
        store.intern(f"upload:{'0' * 64}.png")
    file = tmp_path / "a.png"
    file.write_bytes(picture())

    def resolve(artifact_id: str) -> Path:
        if artifact_id != "job-1":
            raise NotFound("no such artifact")
        return file

    with_artifacts = UploadStore(store.root, resolve_artifact=resolve)
    assert with_artifacts.intern("artifact:job-1") == "artifact:job-1"
    assert with_artifacts.open_image("artifact:job-1").size == (12, 8)
    with pytest.raises(NotFound):
        with_artifacts.intern("artifact:job-2")
    with pytest.raises(ParameterError):
        store.intern("artifact:job-1")  # nobody to ask


@pytest.mark.parametrize(
    "ref",
    [
        "upload:../../etc/passwd",
        "upload:" + "a" * 64 + "./../x",
        "upload:" + "a" * 64,
        "upload:" + "A" * 64 + ".png",
        "upload:" + "a" * 64 + ".png\n",
        "upload:" + "a" * 64 + ".png/../x",
        "artifact:../x-1",
        "artifact:a/b-1",
        "artifact:a",
        "artifact:",
        "upload:",
        "upload:" + "\uff10" * 64 + ".png",
        "artifact:a-\u0661",
        "upload:\0" + "a" * 63 + ".png",
    ],
)
def test_references_that_would_lead_elsewhere_are_refused(store, ref: str) -> None:
    asked: list[str] = []
    curious = UploadStore(store.root, resolve_artifact=lambda one: asked.append(one) or Path("/etc/passwd"))
    for where in (store, curious):
        with pytest.raises(ParameterError):
            where.path(ref)
        with pytest.raises(ParameterError):
            where.intern(ref)
    assert asked == []


@pytest.mark.parametrize(
    "value",
    [
        "/etc/passwd",
        "../x.png",
        "C:\\x.png",
        "",
        "file:///etc/passwd",
        "http://x/y.png",
        "a" * 13,
        "é" * 40,
        "====",
        "~/x",
    ],
)
def test_paths_and_addresses_from_requests_are_refused(store, value: str) -> None:
    with pytest.raises(ParameterError) as caught:
        store.intern(value, field="image")
    assert caught.value.fields[0].name == "image"


def test_a_path_is_taken_from_the_command_line_alone(store, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(picture())
    assert store.intern(str(file), allow_paths=True).startswith("upload:")
    with pytest.raises(ParameterError):
        store.intern(str(file))
    with pytest.raises(ParameterError, match="no such file"):
        store.intern(str(tmp_path / "none.png"), allow_paths=True)
    (tmp_path / "big.bin").write_bytes(b"x" * 200_001)
    with pytest.raises(ParameterError, match="more than the 200,000 allowed"):
        store.intern(str(tmp_path / "big.bin"), allow_paths=True)


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (b"", "a.png", "is empty"),
        (b"x" * 200_001, "a.bin", "more than the 200,000 allowed"),
        (bomb(400, 400), "a.png", "400 x 400 pixels, more than the 100,000 allowed"),
        (bomb(60_000, 60_000), "a.png", "far more than|more than the 100,000 allowed"),
        (bomb(2**31 - 1, 2**31 - 1), "a.png", "pixels|not one that can be read"),
        (bomb(0, 5), "a.png", "not one that can be read|no pixels"),
        (picture(size=(200, 200))[:-40], "a.png", "damaged or cut short"),
        (picture("JPEG", size=(200, 200))[:-300], "a.jpg", "damaged or cut short"),
        (picture("WEBP", size=(200, 200))[:-20], "a.webp", "not one that can be read|cut short"),
        (picture("GIF", size=(200, 200))[:30], "a.gif", "cut short|not one that can be read"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "a.png", "not one that can be read"),
        (b"\xff\xd8\xff" + b"\0" * 50, "a.jpg", "not one that can be read"),
        (b"<html><script>alert(1)</script>", "a.png", "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.svg", "not a picture"),
        (b"BM" + b"hello, this is a text", "a.bmp", "not a picture"),
        (b"%PDF-1.7", "a.JPEG", "not a picture"),
    ],
)
def test_bad_pictures_are_refused_with_a_reason(store, data: bytes, name: str, message: str) -> None:
    for expect in ("image", "file"):
        with pytest.raises(ParameterError, match=message):
            store.put(data, name, expect=expect, field="image")
    assert not store.root.exists()


@pytest.mark.parametrize(
    "value", ["A" * 300_000, "data:image/png;base64," + "A" * 300_000, "data:image/png," + "x" * 700_000]
)
def test_too_much_is_refused_before_it_is_decoded(store, value: str) -> None:
    with pytest.raises(ParameterError, match="larger than the 200,000 bytes allowed"):
        store.intern(value)


@pytest.mark.parametrize(
    "text",
    [
        "A" * 17,
        "AAAA=AAAAAAAAAAAAAAA",
        "A" * 20 + "!",
        "data:image/png;base64",
        "data:;base64,%%%%",
        "data:;base64," + "\u0410" * 30,
    ],
)
def test_broken_base64_is_refused(store, text: str) -> None:
    with pytest.raises(ParameterError, match=r"expected data:|nor base64"):
        store.intern(text)


@given(st.text(max_size=80))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_is_taken_or_refused(store, text: str) -> None:
    try:
        ref = store.intern(text)
    except (ParameterError, NotFound):
        return
    assert store.path(ref).is_relative_to(store.root)


@pytest.mark.parametrize(
    ("data", "name", "ending"),
    [
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "x.exe", "wav"),
        (b"fLaC", "", "flac"),
        (b"OggS\0", "", "ogg"),
        (b"ID3\3", "", "mp3"),
        (b"\xff\xfb\x90\0", "", "mp3"),
        (b"\0\0\0\x18ftypM4A ", "", "m4a"),
        (b"\0\0\0\x18ftypisom", "", "mp4"),
        (b"a,b\n1,2", "t.csv", "csv"),
        (b"hello", "t.html", "bin"),
        (b"<svg/>", "", "bin"),
        (b"hello", "t.txt/../../x", "bin"),
        (b"hello", "", "bin"),
        (b"BM hello", "t.txt", "txt"),
    ],
)
def test_other_kinds_get_a_harmless_ending(store, data: bytes, name: str, ending: str) -> None:
    ref = store.put(data, name)
    assert ref.rpartition(".")[2] == ending
    with pytest.raises(ParameterError, match="picture"):
        store.open_image(ref, field="image")
    if ending in ("csv", "bin", "txt"):
        with pytest.raises(ParameterError, match="not a sound"):
            store.put(data, name, expect="audio")


def test_an_animation_gives_its_first_frame(store) -> None:
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "green", "blue")]
    for fmt in ("GIF", "WEBP", "PNG", "AVIF"):
        target = io.BytesIO()
        options = (
            {"lossless": True} if fmt == "WEBP" else {"quality": 100, "subsampling": "4:4:4"} if fmt == "AVIF" else {}
        )
        frames[0].save(target, fmt, save_all=True, append_images=frames[1:], **options)
        red, green, blue = store.open_image(store.put(target.getvalue())).convert("RGB").getpixel((3, 3))
        assert red > 240
        assert max(green, blue) < 15


def test_pictures_come_out_upright(store) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = store.open_image(store.put(picture("JPEG", size=(40, 20), exif=exif.tobytes())))
    assert image.size == (20, 40)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_does_not_stop_a_good_picture(store) -> None:
    data = picture("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    assert store.open_image(store.put(data)).size == (12, 8)


@pytest.mark.parametrize(
    ("fmt", "mode", "expected"),
    [
        ("JPEG", "CMYK", "RGB"),
        ("JPEG", "L", "RGB"),
        ("PNG", "P", "RGB"),
        ("PNG", "LA", "RGBA"),
        ("PNG", "RGBA", "RGBA"),
        ("PNG", "1", "RGB"),
        ("PNG", "I;16", "RGB"),
        ("TIFF", "I;16", "RGB"),
        ("TIFF", "F", "RGB"),
        ("TIFF", "CMYK", "RGB"),
        ("TIFF", "LAB", "RGB"),
        ("GIF", "P", "RGB"),
    ],
)
def test_modes_become_rgb_or_rgba(store, fmt: str, mode: str, expected: str) -> None:
    assert store.open_image(store.put(picture(fmt, mode))).mode == expected


def test_transparent_palettes_and_deep_samples_keep_their_values(store) -> None:
    target = io.BytesIO()
    palette = Image.new("P", (4, 4), 3)
    palette.putpalette(bytes(range(256)) * 3)
    palette.save(target, "PNG", transparency=3)
    assert store.open_image(store.put(target.getvalue())).getpixel((0, 0))[3] == 0
    deep = picture("PNG", "I;16", color=32_896)
    assert store.open_image(store.put(deep)).getpixel((0, 0)) == (128, 128, 128)


def test_a_half_written_upload_is_written_again(store) -> None:
    ref = store.put(picture())
    path = store.path(ref)
    os.truncate(path, 5)
    store.put(picture())
    assert path.read_bytes() == picture()
