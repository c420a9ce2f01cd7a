"""Going from one cached model of SD 1.5's size to another: the milliseconds from asking to a pipeline ready to be
called, and how much memory fifty such switches add.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import _sd15
import torch

from extensions.diffusion.drawing.samplers import make_scheduler
from extensions.diffusion.models.loading import assemble, make_plan, requests
from webui.engine.memory import machine_memory
from webui.testing import make_studio


def main() -> int:
    parser = _sd15.options(__doc__ or "")
    parser.add_argument("--switches", type=int, default=50)
    given = parser.parse_args()
    with _sd15.models_folder(2) as models, tempfile.TemporaryDirectory() as data:
        studio = make_studio(Path(data), models_dirs=[models], cache_bytes=64 * 2**30, offline=True)
        cache = studio.runner().cache
        refs = ["diffusers/sd15_0", "diffusers/sd15_1"]
        first = [switch(studio, cache, ref) for ref in refs]
        for ref in refs:  # once more: whatever is kept after the first use is kept now
            switch(studio, cache, ref)
        before = machine_memory().used_bytes or 0
        times = [switch(studio, cache, refs[number % 2]) for number in range(given.switches)]
        after = machine_memory().used_bytes or 0
    result = {
        "first_load_s": [round(value, 3) for value in first],
        "switches": given.switches,
        "switch_ms": round(statistics.median(times) * 1000, 3),
        "switch_ms_max": round(max(times) * 1000, 3),
        "machine_memory_growth_mib": round((after - before) / 2**20, 1),
    }
    _sd15.tell("switch", result, given.out)
    return 0


def switch(studio: Any, cache: Any, ref: str) -> float:
    """Seconds from the reference to an assembled pipeline."""
    dtype: torch.dtype = _sd15.model_dtype()
    began = time.perf_counter()
    plan = make_plan(studio.catalog.resolve(ref, "text_to_image"))
    with cache.lease(requests(plan, lambda _: dtype)) as components:
        assemble(plan, components, make_scheduler(components["scheduler"]))
        return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
