"""Pictures and a studio for the tests of this extension."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from webui.testing import make_studio


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_studio(tmp_path_factory.mktemp("style-data"))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """warm, cold and stripes: 64 x 48 pixels each; clear: as warm, half of it transparent."""
    folder = tmp_path_factory.mktemp("style-pictures")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:48, 0:64] / 64
    noise = rng.uniform(0, 0.2, (48, 64, 3))
    warm = np.stack([0.5 + 0.4 * x, 0.3 + 0.3 * y, 0.1 + 0 * x], axis=-1)
    cold = np.stack([0.1 + 0.2 * y, 0.3 + 0.2 * x, 0.6 + 0.3 * y], axis=-1)
    stripes = np.where((np.sin(60 * (x + y)) > 0)[..., None], [0.9, 0.8, 0.2], [0.1, 0.2, 0.5])
    found = {}
    for name, values in (("warm", warm), ("cold", cold), ("stripes", stripes)):
        found[name] = folder / f"{name}.png"
        Image.fromarray((255 * np.clip(values + noise - 0.1, 0, 1)).astype(np.uint8)).save(found[name])
    clear = Image.open(found["warm"]).convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    found["clear"] = folder / "clear.png"
    clear.save(found["clear"])
    return found
