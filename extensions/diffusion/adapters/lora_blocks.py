"""Beside the LoRAs: of a LoRA's layers those of one block alone, by their names.

In SDXL two blocks are told apart (Frenkel et al., Implicit Style-Content Separation using B-LoRA, 2024): the first
attention of the first upward block holds what is shown, the second how it looks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

_T = TypeVar("_T")

_BLOCKS = {
    "content": re.compile(r"up_blocks[._]0[._]attentions[._]0[._]|output_blocks[._]0[._]1[._]"),
    "style": re.compile(r"up_blocks[._]0[._]attentions[._]1[._]|output_blocks[._]1[._]1[._]"),
}
"""As diffusers and as the original code name them."""


def of_blocks(tensors: Mapping[str, _T], blocks: str) -> dict[str, _T]:
    """Those of ``tensors`` that stand in ``blocks``: all, style or content. Raises ValueError where none does."""
    if blocks == "all":
        return dict(tensors)
    found = {name: value for name, value in tensors.items() if _BLOCKS[blocks].search(name)}
    if not found:
        raise ValueError(f"none of its layers stands in the block of {blocks}")
    return found
