"""Our own format: safetensors whose metadata say family and configuration. Written by the converter and by training."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from extensions.gan.recognise import CODE_FAMILIES, CONFIG_KEY, FAMILY_KEY, KIND_KEY
from webui.api import ModelError


def write_own(path: Path, network: nn.Module, family: str, config: Mapping[str, Any], *, half: bool = False) -> int:
    """Write ``network`` to ``path``, all or nothing; how many tensors that are. ``half``: numbers in 16 bits.

    Raises ModelError for values that 16 bits do not hold, OSError.
    """
    tensors = {}
    for name, tensor in network.state_dict().items():
        kept = tensor.detach().cpu()
        if half and kept.dtype == torch.float32:
            kept = kept.half()
            if not torch.isfinite(kept).all():
                raise ModelError(f"Tensor {name!r} has values beyond float16's 65504.", hint="Convert without 16 bits.")
        tensors[name] = kept.contiguous().clone()
    about = {
        KIND_KEY: "vqgan" if family in CODE_FAMILIES else "gan",
        FAMILY_KEY: family,
        CONFIG_KEY: json.dumps(config, sort_keys=True, separators=(",", ":")),
        "format": "pt",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        save_file(tensors, temporary, about)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return len(tensors)
