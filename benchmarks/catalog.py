"""Times the list of models on many small files: the first scan, a new process's first list, a rescan, one more file.

    .venv/bin/python benchmarks/catalog.py --files 10000

Prints JSON, in seconds. The bounds are 1 s for the first list of a new process and 0.3 s for a rescan.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from webui.catalog.catalog import Catalog  # noqa: E402
from webui.core.settings import Settings  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        for number in range(given.files):
            write_lora(models / "loras" / f"{number // 200:03}" / f"{number:05}.safetensors", number)
        settings = Settings(data_dir=Path(folder) / "data", models_dirs=(models,))
        first = seconds(Catalog(settings).entries)
        again = statistics.median(seconds(Catalog(settings).entries) for _ in range(given.repeats))
        catalog = Catalog(settings)
        catalog.entries()
        rescan = statistics.median(seconds(catalog.refresh) for _ in range(given.repeats))
        write_lora(models / "loras" / "new.safetensors", 1)
        one_more = seconds(catalog.refresh)
        rows = len(catalog.entries())
    found = {"first_scan": first, "first_list_again": again, "rescan": rescan, "rescan_with_one_more": one_more}
    print(json.dumps({"files": rows, **{name: round(value, 4) for name, value in found.items()}}))
    return 0 if again < 1.0 and rescan < 0.3 else 1


def seconds(call: object) -> float:
    start = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - start


def write_lora(path: Path, number: int) -> None:
    """A LoRA of one layer in safetensors' format, with data."""
    rows = {
        f"lora_unet_{number}_attn2_to_k.lora_{part}.weight": {
            "dtype": "F16",
            "shape": shape,
            "data_offsets": [start, start + 32],
        }
        for part, shape, start in (("down", [4, 4], 0), ("up", [4, 4], 32))
    }
    raw = json.dumps(rows).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + bytes(64))


if __name__ == "__main__":
    sys.exit(main())
