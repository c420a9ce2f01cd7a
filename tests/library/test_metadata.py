from __future__ import annotations

import gzip
import io
import json
import struct
import warnings
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from webui.core.recipes import Recipe
from webui.library import chunks, metadata
from webui.library.encode import write_image

UNICODE = st.text(st.characters(exclude_categories=("Cs",)), max_size=80)
FORMATS = ("png", "jpeg", "webp")
INFOTEXT = "a cat, 红发\nNegative prompt: dog\nSteps: 20, Sampler: Euler, Seed: 5"


def encoded(image_format: str = "png", mode: str = "RGB", **texts: str) -> bytes:
    target = io.BytesIO()
    write_image(target, Image.new(mode, (16, 12), 7 if mode == "L" else "red"), image_format, **texts)
    return target.getvalue()


def png(**texts: str) -> bytes:
    info = PngInfo()
    for name, value in texts.items():
        info.add_itxt(name, value)
    target = io.BytesIO()
    Image.new("RGB", (8, 8)).save(target, "PNG", pnginfo=info)
    return target.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(picture: bytes, chunk: bytes) -> bytes:
    """``picture`` with a chunk after its header."""
    return picture[:33] + chunk + picture[33:]


@pytest.mark.parametrize("image_format", FORMATS)
@given(
    params=st.dictionaries(
        UNICODE, UNICODE | st.integers() | st.booleans() | st.none() | st.lists(UNICODE, max_size=2), max_size=4
    ),
    prompt=UNICODE,
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_recipe_of_any_text_comes_back_byte_for_byte(image_format, params, prompt) -> None:
    text = Recipe(pipeline="a.b", params=params | {"prompt": prompt}, seed=2**60).to_json()
    meta = metadata.read(encoded(image_format, recipe=text, infotext=INFOTEXT, title="t"))
    assert meta.chunks["lifelike"] == text
    assert meta.recipe is not None
    assert meta.recipe.to_json() == text
    assert meta.pipeline == "a.b"
    assert meta.params["prompt"] == prompt
    assert meta.infotext == INFOTEXT
    assert not meta.notes


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize("letter", ["x", "红", "\U0001f98a"])
@pytest.mark.parametrize("length", [20_000, 60_000])
def test_a_recipe_too_long_for_one_segment_comes_back(image_format: str, letter: str, length: int) -> None:
    recipe = Recipe(pipeline="a.b", params={"prompt": letter * length}).to_json()
    meta = metadata.read(encoded(image_format, recipe=recipe, infotext=letter * length))
    assert meta.chunks["lifelike"] == recipe
    assert meta.whole


@pytest.mark.parametrize("image_format", FORMATS)
def test_the_same_pixels_and_recipe_give_the_same_bytes(image_format: str) -> None:
    assert encoded(image_format, recipe="{}", infotext="x") == encoded(image_format, recipe="{}", infotext="x")


def test_png_texts_are_in_the_chunks_that_other_programs_read() -> None:
    with Image.open(io.BytesIO(encoded(recipe="{}", infotext="ascii"))) as image:
        assert image.text == {"parameters": "ascii", "lifelike": "{}"}
    assert b"tEXtparameters\0ascii" in encoded(infotext="ascii")
    assert b"iTXtparameters" in encoded(infotext="红")
    assert b"tIME" not in encoded(infotext="x")


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "LA", "I;16", "F"])
def test_every_mode_can_be_written(image_format: str, mode: str) -> None:
    target = io.BytesIO()
    write_image(target, Image.new(mode, (9, 5)), image_format, recipe="{}")
    with Image.open(target) as image:
        image.load()
        assert image.size == (9, 5)
        assert image.mode == "RGB" or image_format != "jpeg"


def test_metadata_of_the_source_do_not_travel() -> None:
    source = Image.new("RGB", (4, 4))
    source.info.update(exif=b"Exif\0\0secret", icc_profile=b"p", comment=b"secret", parameters="old")
    target = io.BytesIO()
    write_image(target, source, "jpeg")
    assert b"secret" not in target.getvalue()
    assert source.info["comment"] == b"secret"


def exif_picture(comment: bytes, *, kind: int = 7, order: str = ">", fmt: str = "JPEG", **save) -> bytes:
    """A picture whose EXIF UserComment is ``comment`` under TIFF type ``kind``, in a directory of byte ``order``."""
    mark = b"MM\0*" if order == ">" else b"II*\0"
    main = struct.pack(order + "IHHHIII", 8, 1, 0x8769, 4, 1, 26, 0)
    details = struct.pack(order + "HHHIII", 1, 0x9286, kind, len(comment), 44, 0)
    target = io.BytesIO()
    Image.new("RGB", (8, 8)).save(target, fmt, exif=b"Exif\0\0" + mark + main + details + comment, **save)
    return target.getvalue()


@pytest.mark.parametrize("fmt", ["JPEG", "WEBP", "PNG", "AVIF"])
@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize("kind", [1, 2, 7], ids=["BYTE", "ASCII", "UNDEFINED"])
@pytest.mark.parametrize("code", ["utf-16-be", "utf-16-le", "utf-16"])
def test_user_comment_in_utf16_of_either_order(fmt: str, order: str, kind: int, code: str) -> None:
    meta = metadata.read(exif_picture(b"UNICODE\0" + INFOTEXT.encode(code), kind=kind, order=order, fmt=fmt))
    assert meta.infotext == INFOTEXT
    assert meta.params["seed"] == 5


@pytest.mark.parametrize(
    "comment",
    [
        b"ASCII\0\0\0" + INFOTEXT.encode(),
        b"\0\0\0\0\0\0\0\0" + INFOTEXT.encode(),
        b"\0\0\0\0\0\0\0\0" + INFOTEXT.encode("utf-16-le"),
        INFOTEXT.encode(),
        INFOTEXT.encode() + b"\0",
        b"UNICODE\0" + INFOTEXT.encode(),
    ],
    ids=["ascii", "undefined", "undefined-16", "bare", "bare-nul", "utf8-as-unicode"],
)
def test_user_comment_in_other_codes(comment: bytes) -> None:
    assert metadata.read(exif_picture(comment)).infotext == INFOTEXT


@pytest.mark.parametrize("code", ["utf-16-be", "utf-16-le"])
def test_a_comment_without_latin_letters_takes_the_directory_s_order(code: str) -> None:
    order = code == "utf-16-be"
    assert chunks.decode_user_comment(b"UNICODE\0" + "一只猫".encode(code), order) == "一只猫"


def test_our_recipe_is_read_first_then_exif_then_parameters() -> None:
    text = Recipe(pipeline="a.b", params={"seed": 1}).to_json()
    both = exif_picture(b"UNICODE\0" + INFOTEXT.encode("utf-16-be"), fmt="PNG")
    other = "z\nSteps: 1, Sampler: x, Seed: 77"
    meta = metadata.read(with_chunk(both, png_chunk(b"tEXt", b"parameters\0" + other.encode())))
    assert (meta.params["seed"], meta.recipe) == (5, None)
    both = with_chunk(both, png_chunk(b"iTXt", b"lifelike\0\0\0\0\0" + text.encode()))
    meta = metadata.read(both)
    assert (meta.params, meta.infotext) == ({"seed": 1}, INFOTEXT)


def test_a_camera_s_comment_does_not_hide_the_parameters() -> None:
    picture = exif_picture(b"ASCII\0\0\0taken in Rome", fmt="PNG")
    assert (
        metadata.read(with_chunk(picture, png_chunk(b"tEXt", b"parameters\0" + INFOTEXT.encode()))).params["seed"] == 5
    )


def test_json_under_parameters() -> None:
    nested = {
        "sui_image_params": {
            "prompt": "cat",
            "negativeprompt": "dog",
            "seed": "12345678901234567890",
            "cfgscale": 7,
            "steps": 20.0,
        }
    }
    meta = metadata.read(png(parameters=json.dumps(nested)))
    assert meta.params == {
        "prompt": "cat",
        "negative_prompt": "dog",
        "seed": 12345678901234567890,
        "guidance_scale": 7.0,
        "steps": 20,
    }
    flat = {
        "prompt": "cat",
        "seed": True,
        "steps": "many",
        "width": [1],
        "base_model": {"name": "m"},
        "scheduler": "karras",
    }
    assert metadata.read(png(parameters=json.dumps(flat))).params == {
        "prompt": "cat",
        "model": "m",
        "schedule": "karras",
    }
    broken = metadata.read(png(parameters="{not json"))
    assert broken.params == {"prompt": "{not json"}


def test_other_programs_are_recognised() -> None:
    graph = {"3": {"class_type": "KSampler", "inputs": {}}, "4": {"class_type": "VAEDecode"}}
    comfy = metadata.read(png(prompt=json.dumps(graph), workflow="{}"))
    assert (comfy.program, list(comfy.unmapped)) == ("ComfyUI", ["KSampler (3)"])
    assert metadata.read(png(workflow="[" * 100_000)).notes == ["its graph is damaged, or longer than what is read"]
    invoke = metadata.read(png(invokeai_metadata='{"positive_prompt": "cat", "seed": 4, "model": {"name": "m"}}'))
    assert invoke.program == "InvokeAI"
    assert invoke.params == {"prompt": "cat", "seed": 4, "model": "m"}


@pytest.mark.parametrize("packed", [False, True])
def test_text_hidden_in_the_alpha_channel(packed: bool) -> None:
    body = gzip.compress(INFOTEXT.encode()) if packed else INFOTEXT.encode()
    data = (b"stealth_pngcomp" if packed else b"stealth_pnginfo") + struct.pack(">I", len(body) * 8) + body
    bits = "".join(f"{byte:08b}" for byte in data)
    image = Image.new("RGBA", (64, 48), (1, 2, 3, 254))
    for place, bit in enumerate(bits):
        image.putpixel((place // 48, place % 48), (1, 2, 3, 254 + int(bit)))
    target = io.BytesIO()
    image.save(target, "PNG")
    meta = metadata.read(target.getvalue())
    assert meta.infotext == INFOTEXT
    assert meta.params["seed"] == 5


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (13, 12), (64, 64)])
def test_no_hidden_text_is_found_where_there_is_none(size: tuple[int, int]) -> None:
    target = io.BytesIO()
    Image.new("RGBA", size, (9, 9, 9, 255)).save(target, "PNG")
    assert metadata.read(target.getvalue()).infotext == ""


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_are_read(data: bytes) -> None:
    assert isinstance(metadata.read(data).notes, list)


@pytest.mark.parametrize("image_format", FORMATS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_damage_is_told_and_not_raised(image_format: str, data: st.DataObject) -> None:
    picture = bytearray(encoded(image_format, recipe=Recipe(pipeline="a.b").to_json(), infotext=INFOTEXT))
    for _ in range(data.draw(st.integers(1, 4))):
        picture[data.draw(st.integers(0, len(picture) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(picture)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # decoders warn of what they pass over
        meta = metadata.read(bytes(picture[:cut]))
    assert meta.recipe is None or meta.recipe.pipeline


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_file_that_is_cut_short_is_not_whole(image_format: str) -> None:
    picture = encoded(image_format, recipe="{}", infotext=INFOTEXT)
    assert metadata.read(picture).whole
    short = metadata.read(picture[:-14])
    assert not short.whole
    assert any("cut short" in note or "not one that can be read" in note for note in short.notes)
    assert metadata.read(b"").notes == ["the file is empty"]


def test_a_missing_file_is_told(tmp_path) -> None:
    assert "cannot be read" in metadata.read(tmp_path / "none.png").notes[0]


def test_a_damaged_recipe_leaves_the_rest() -> None:
    meta = metadata.read(png(lifelike='{"format": 1}', parameters=INFOTEXT))
    assert meta.recipe is None
    assert "recipe is damaged" in meta.notes[0]
    assert meta.params["seed"] == 5


def test_texts_that_unpack_without_end_are_left_out() -> None:
    bomb = zlib.compress(b"x" * (chunks.MAX_TEXT_BYTES + 1), 9)
    for chunk in (png_chunk(b"zTXt", b"parameters\0\0" + bomb), png_chunk(b"iTXt", b"parameters\0\1\0\0\0" + bomb)):
        meta = metadata.read(with_chunk(encoded(), chunk))
        assert meta.infotext == ""
        assert "left out" in meta.notes[0]
    assert metadata.read(
        with_chunk(encoded(), png_chunk(b"zTXt", b"parameters\0\0" + zlib.compress(INFOTEXT.encode())))
    ).infotext


def test_a_picture_of_too_many_pixels_is_not_decoded() -> None:
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 200_000, 200_000, 8, 6, 0, 0, 0))
    bomb = (
        b"\x89PNG\r\n\x1a\n" + head + png_chunk(b"tEXt", b"parameters\0" + INFOTEXT.encode()) + png_chunk(b"IEND", b"")
    )
    meta = metadata.read(bomb)
    assert meta.params["seed"] == 5
    assert "only its texts were read" in meta.notes[0]
    target = io.BytesIO()
    Image.new("1", (9000, 9000)).save(target, "BMP")
    assert "more than the 64,000,000 allowed" in metadata.read(target.getvalue()).notes[0]


def test_latin_1_and_utf_8_in_plain_text_chunks() -> None:
    for code in ("latin-1", "utf-8"):
        meta = metadata.read(with_chunk(encoded(), png_chunk(b"tEXt", b"parameters\0" + "café".encode(code))))
        assert meta.params == {"prompt": "café"}
