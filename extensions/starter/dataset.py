"""The drawing world's way out: seeds -> an image folder with captions, as data-set loaders read it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from .world import Avatar, caption, draw_avatar, sample_avatar, visible


def describe_avatar(avatar: Avatar) -> dict[str, str]:
    """Attribute -> value, for those that the picture shows."""
    return {name: getattr(avatar, name) for name, shown in visible(avatar).items() if shown}


def write_image_folder(
    folder: Path,
    *,
    samples: int,
    seed: int,
    size: int = 128,
    full_captions: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Pictures as PNG and metadata.jsonl (file_name, text, attributes); returns the metadata's path.

    The folder convention of the `datasets` library. metadata.jsonl appears last, so a folder that has it is whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    metadata = folder / "metadata.jsonl"
    temporary = folder / f"metadata.tmp{os.getpid()}"
    with temporary.open("w", encoding="utf-8") as lines:
        for i in range(samples):
            avatar = sample_avatar(seed + i)
            name = f"{seed + i:08d}.png"
            picture = folder / f"{name}.tmp{os.getpid()}"
            draw_avatar(avatar, size).save(picture, format="PNG", compress_level=1)
            os.replace(picture, folder / name)
            row = {
                "file_name": name,
                "text": caption(avatar, seed + i, full=full_captions).text,
                "attributes": describe_avatar(avatar),
            }
            lines.write(json.dumps(row) + "\n")
            progress(i + 1, samples)
    os.replace(temporary, metadata)
    return metadata
