"""Training's order, and its entry without the application: python -m extensions.starter.train --folder DIR."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from .config import TrainingConfig, load_config
from .loop import Hooks

STAGES = ("autoencoder", "decoder", "text", "judge", "denoiser")


def run_stage(name: str, config: TrainingConfig, folder: Path, hooks: Hooks | None = None) -> None:
    """Train one stage in `folder`, or go on with it. Raises ValueError for a stage that is not in STAGES."""
    if config.threads:
        torch.set_num_threads(config.threads)
    if name == "autoencoder":
        from .autoencoder import train_autoencoder

        train_autoencoder(config, folder, hooks)
    elif name == "decoder":
        from .decoder import train_decoder

        train_decoder(config, folder, hooks)
    elif name == "text":
        from .text import train_text_encoder

        train_text_encoder(config, folder, hooks)
    elif name == "judge":
        from .judge import train_judge

        train_judge(config, folder, hooks)
    elif name == "denoiser":
        from .denoiser import train_denoiser

        train_denoiser(config, folder, hooks)
    else:
        raise ValueError(f"training stage: expected one of {', '.join(STAGES)}; got {name!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the starter model from nothing.")
    parser.add_argument("--config", type=Path, default=Path(__file__).parent / "configs" / "cpu.toml")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--stage", choices=STAGES, action="append")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    config = load_config(options.config)
    for name in options.stage or STAGES:
        run_stage(name, config, options.folder)


if __name__ == "__main__":
    main()
