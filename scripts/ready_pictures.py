"""The ready references of style transfer, as the small pictures that its forms show of them.

python scripts/ready_pictures.py [--into extensions/style/ready]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from extensions.style.params import READY, READY_SEED
from extensions.style.pictures.reading import drawing_of
from webui.testing import make_studio, run_pipeline

ROOT = Path(__file__).resolve().parents[1]
SIDE_PX = 112
"""Twice what a form shows, for screens that are twice as fine."""


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--into", type=Path, default=ROOT / "extensions" / "style" / "ready")
    folder: Path = reader.parse_args().into
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        studio = make_studio(Path(scratch) / "data")
        for name in READY:
            pipeline, asked = drawing_of(name, READY_SEED)
            outcome = run_pipeline(pipeline, asked, Path(scratch), studio=studio)
            if outcome.state != "done":
                raise SystemExit(f"{name}: {outcome.error}")
            small = outcome.images[0].convert("RGB").resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
            small.save(folder / f"{name}.webp", quality=60, method=6)


if __name__ == "__main__":
    main()
