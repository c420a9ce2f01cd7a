"""Small conversions between what browsers send and what parameters hold; used by the widgets."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder

from webui.core.errors import FieldError, ParameterError
from webui.core.parameters import Parameter

_RGB = re.compile(r"rgba?\(\s*([\d.]+)\s*,\s*([\d.]+)\s*,\s*([\d.]+)")


def form_help(row: Parameter) -> str:
    """A parameter's help, without what an empty value means where the form shows the value that it stands for."""
    if row.auto is None and row.kind != "model":
        return row.help
    parts = [part.strip() for part in row.help.split(";")]
    return "; ".join(part for part in parts if part and not part.lower().startswith("empty:"))


def object_text(value: Any) -> str:
    """An object of parameters as a person edits it: one a line; nothing for none. Text stays as it was typed."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=1) if value else ""


def hex_colour(met: Any) -> str:
    """``#rrggbb`` from what a browser's colour picker gives; anything else as it is, for the declaration to refuse."""
    found = _RGB.match(str(met))
    if found:
        return "#" + "".join(f"{min(255, round(float(part))):02x}" for part in found.groups())
    return str(met)[:7] if re.fullmatch(r"#[0-9a-fA-F]{8}", str(met)) else str(met)


def uploaded_file(name: str, value: str) -> Path:
    """``value`` as a path inside Gradio's upload folder. Raises ParameterError for any other."""
    path, root = Path(value).resolve(), Path(get_upload_folder()).resolve()
    if not path.is_relative_to(root) or not path.is_file():
        raise ParameterError([FieldError(name, "expected a file uploaded here", Path(value).name)])
    return path


def split_mask(met: Any) -> tuple[Any, Any]:
    """An image editor's value -> (picture, mask), PIL images or None. The mask is ``L``, 255 where it was painted."""
    if not isinstance(met, dict) or met.get("background") is None:
        return None, None
    picture = met["background"]
    mask = None
    for layer in met.get("layers") or ():
        alpha = layer.getchannel("A") if layer.mode == "RGBA" else None
        if alpha is not None and alpha.getbbox() is not None:
            mask = alpha.point(lambda value: 255 if value > 127 else 0)
            if mask.size != picture.size:
                mask = mask.resize(picture.size)
    return picture, mask


def png_bytes(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
