"""The drawing world's way out: seeds -> an image folder with captions, as data-set loaders read it."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .world import SPECS, Subject, describe, draw, sample

CHINESE_SHARE = 0.2
# zlib's run-length strategy: drawings have flat areas, and it takes a fifth less time for files a twentieth larger.
_RUN_LENGTH = 3


@dataclass(frozen=True)
class Selection:
    """Which pictures of the world, and in what words.

    domain: a key of SPECS, or "any". style: a value of the domains' style, or "any". language: "en", "zh", or "any",
    of which one caption in five is Chinese.
    """

    domain: str = "any"
    style: str = "any"
    language: str = "en"
    full_captions: bool = False

    def subject(self, seed: int) -> Subject:
        """The subject of this seed."""
        subject = sample(seed, None if self.domain == "any" else self.domain)
        return subject if self.style == "any" else subject.with_(style=self.style)

    def text(self, subject: Subject, seed: int) -> str:
        """The caption of this subject under this wording seed."""
        return describe(subject, seed, full=self.full_captions, language=self.language_of(seed)).text

    def language_of(self, seed: int) -> str:
        """The language of this seed's caption."""
        if self.language != "any":
            return self.language
        return "zh" if random.Random(f"language:{seed}").random() < CHINESE_SHARE else "en"


def shown_attributes(subject: Subject) -> dict[str, str]:
    """Attribute -> value, for those that the picture shows."""
    spec = SPECS[subject.domain]
    return {name: spec[name][label] for name, label in subject.labels().items() if label >= 0}


def write_image_folder(
    folder: Path,
    *,
    samples: int,
    seed: int,
    size: int = 128,
    selection: Selection | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Pictures as PNG and metadata.jsonl (file_name, text, language, domain, attributes); returns the metadata's path.

    The folder convention of the `datasets` library. metadata.jsonl appears last, so a folder that has it is whole.
    """
    selection = selection or Selection()
    folder.mkdir(parents=True, exist_ok=True)
    metadata = folder / "metadata.jsonl"
    temporary = folder / f"metadata.tmp{os.getpid()}"
    with temporary.open("w", encoding="utf-8") as lines:
        for i in range(samples):
            subject = selection.subject(seed + i)
            name = f"{seed + i:08d}.png"
            picture = folder / f"{name}.tmp{os.getpid()}"
            draw(subject, size).save(picture, format="PNG", compress_level=1, compress_type=_RUN_LENGTH)
            os.replace(picture, folder / name)
            row = {
                "file_name": name,
                "text": selection.text(subject, seed + i),
                "language": selection.language_of(seed + i),
                "domain": subject.domain,
                "attributes": shown_attributes(subject),
            }
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
            progress(i + 1, samples)
    os.replace(temporary, metadata)
    return metadata
