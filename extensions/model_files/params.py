"""What can be asked of model files."""

from __future__ import annotations

from webui.api import Params, boolean, model


class ConvertParams(Params):
    """Which pickled file becomes safetensors, and how."""

    model: str = model(kind="pickled", label="Pickled file", help="What PyTorch saved: .ckpt, .pt, .pth, .bin, .pkl")
    half: bool = boolean(False, label="In 16 bits", help="Half the size; refused where a value does not fit")
