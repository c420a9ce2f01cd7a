"""Training's order, and its entry without the application: python -m extensions.starter.train --folder DIR."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from pathlib import Path

import torch

from .config import TrainingConfig, load_config
from .drawing import drawing_processes
from .loop import Hooks

# Stage -> the module and function that train it. Stages stand in the order in which they need each other.
_TRAINERS = {
    "autoencoder": "autoencoder:train_autoencoder",
    "decoder": "decoder:train_decoder",
    "text": "text:train_text_encoder",
    "judge": "judge:train_judge",
    "denoiser": "denoiser:train_denoiser",
    "upscaler": "upscaler:train_upscalers",
    "faces": "faces:train_faces",
    "style_encoder": "style:train_style_encoder",
    "style": "style:train_style",
    "edit": "edit:train_editor",
    "lora": "lora:train_loras",
    "controlnet": "controlnet:train_controlnet",
}
STAGES = tuple(_TRAINERS)


def run_stage(name: str, config: TrainingConfig, folder: Path, hooks: Hooks | None = None) -> None:
    """Train one stage in `folder`, or go on with it. Raises ValueError for a stage that is not in STAGES."""
    if name not in _TRAINERS:
        raise ValueError(f"training stage: expected one of {', '.join(STAGES)}; got {name!r}")
    if config.threads:
        torch.set_num_threads(config.threads)
    module, function = _TRAINERS[name].split(":")
    with drawing_processes(config.workers):
        getattr(importlib.import_module(f"{__package__}.{module}"), function)(config, folder, hooks)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the starter models.")
    parser.add_argument("--config", type=Path, default=Path(__file__).parent / "configs" / "cpu.toml")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--stage", choices=(*STAGES, "all"), action="append")
    parser.add_argument("--start", help="Weights to begin from: bundled, or a folder laid out as models/starter")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    config = load_config(options.config)
    if options.start is not None:
        config = config.model_copy(update={"start": options.start})
    asked = options.stage or ["all"]
    # Told to end, a stage saves where it is first, as it does when it is interrupted.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    for name in STAGES if "all" in asked else asked:
        run_stage(name, config, options.folder)


if __name__ == "__main__":
    main()
