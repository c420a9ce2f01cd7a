"""What people write beside a file or into its name, which its weights do not tell; read where the catalog reads it."""

from __future__ import annotations

import re
from pathlib import Path

_YAML_LIMIT_BYTES = 64 * 1024
_PARAMETRIZATION = re.compile(r"""parameterization["']?\s*:\s*["']?v\b""")
_SMALLER = re.compile(r"512|base|eps", re.IGNORECASE)


def says_v_prediction(path: Path) -> bool:
    """Whether an SD2 checkpoint predicts velocity: its weights look the same either way.

    A ``.yaml`` of the same name decides, as in the programs that read the published configurations; without one the
    name does: the models of 512 px carry ``512`` or ``base``, all others descend from the one of 768 px.
    """
    beside = path.with_suffix(".yaml")
    try:
        with beside.open(encoding="utf-8", errors="replace") as stream:
            return bool(_PARAMETRIZATION.search(stream.read(_YAML_LIMIT_BYTES)))
    except OSError:
        return not _SMALLER.search(path.stem)
