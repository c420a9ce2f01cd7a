"""Times the gallery's questions on an index of many pictures: pages, searches that find much, little and nothing.

    .venv/bin/python benchmarks/gallery.py --pictures 100000

Prints JSON: the slowest of ``--repeats`` of each question, in milliseconds. The bound for a page of 60 is 100 ms.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from webui.core.jobs import ArtifactRecord  # noqa: E402
from webui.core.recipes import ModelUse, Recipe  # noqa: E402
from webui.library.index import Index  # noqa: E402
from webui.library.marks import Marks  # noqa: E402
from webui.library.rows import Entry  # noqa: E402

BOUND_MS = 100.0
BATCH = 2000
WORDS = (
    "person", "hair", "glasses", "background", "smiling", "long", "short", "red",
    "blue", "green", "hat", "beard", "crown", "sweater", "laughing", "pink",
)  # fmt: skip
QUERIES = {
    "word_in_all": "person",
    "two_words": "laughing crown",
    "rare_word": "unicorn",
    "word_in_none": "zeppelin",
    "short_word_in_none": "qz",
    "chinese_two_letters": "红发",
    "chinese_in_none": "蓝鲸",
    "without_a_common_word": "-person",
    "without_a_word": "-crown",
    "seed": "seed:777",
    "steps_in_none": "steps:>=500",
    "parameter": "precision:float16",
    "parameter_in_none": "precision:int8",
    "parameter_unknown": "unheard_of:5",
    "words_and_parameters": "red hair steps:20 -hat precision:Automatic",
    "model_part": "model:star",
    "model_in_none": "model:nowhere",
    "sampler": 'sampler:"Euler a"',
    "date": "date:1970-01-01",
    "favourite": "favourite:yes",
    "rating": "rating:>=4",
    "rating_in_none": "rating:5",
    "tag": "tag:portrait",
    "tag_of_most": "tag:keep",
    "tag_in_none": "tag:nobody",
    "collection": 'collection:"Best of"',
    "negative_prompt": "negative_prompt:*quality*",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="use the index in this file, made where it is missing")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = given.keep or Path(folder) / "library.sqlite3"
        started = time.perf_counter()
        index = Index(path)
        if index.fresh:
            fill(index, given.pictures)
        filled_s = time.perf_counter() - started
        times = {name: slowest(call, given.repeats) for name, call in questions(index).items()}
        size = path.stat().st_size
        index.close()
    slow = {name: value for name, value in times.items() if value >= BOUND_MS}
    said = {"pictures": given.pictures, "index_bytes": size, "fill_s": round(filled_s, 1), "bound_ms": BOUND_MS}
    print(json.dumps({**said, "slowest_ms": max(times.values()), "over_bound": slow, "ms": times}, indent=1))
    return 1 if slow else 0


def questions(index: Index) -> dict[str, Callable[[], object]]:
    """Each returns a page of 60, as the gallery asks for it."""
    asked: dict[str, Callable[[], object]] = {
        "first_page": lambda: index.page(limit=60),
        "middle_page": lambda: index.page(limit=60, cursor=str(_middle(index))),
        "favourites": lambda: index.page(limit=60, favourites=True),
        "trash": lambda: index.page(limit=60, trashed=True),
        "tags": lambda: index.names("tag"),
        "collections": lambda: index.names("collection"),
        "neighbours": lambda: index.neighbours(f"j{_middle(index) % 1000:06}-0"),
    }
    for name, query in QUERIES.items():
        asked[name] = lambda query=query: index.page(query, limit=60)
    return asked


def _middle(index: Index) -> int:
    return index.page(limit=1).items[0].n // 2


def slowest(call: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return round(max(times), 2)


def fill(index: Index, pictures: int) -> None:
    chance = random.Random(1)
    batch: list[Entry] = []
    for entry in entries(pictures, chance):
        batch.append(entry)
        if len(batch) == BATCH:
            index.put_all(batch)
            batch = []
    index.put_all(batch)


def entries(pictures: int, chance: random.Random) -> Iterator[Entry]:
    for number in range(pictures):
        words = chance.sample(WORDS[1:], 8)
        prompt = f"a person with {' '.join(words)}, number {number}"
        prompt += "，一个红发的人" if number % 10 == 0 else ""
        prompt += ", a unicorn" if number % 20_000 == 7 else ""
        yield entry_of(number, prompt, chance)


def entry_of(number: int, prompt: str, chance: random.Random) -> Entry:
    params: dict[str, Any] = {
        "prompt": prompt,
        "negative_prompt": "blurry, low quality",
        "model": chance.choice(("starter/avatar", "checkpoints/dream.safetensors")),
        "width": 512,
        "height": 512,
        "steps": chance.choice((10, 20, 30)),
        "guidance_scale": chance.choice((4.0, 7.0)),
        "sampler": chance.choice(("Euler a", "DPM++ 2M")),
        "schedule": "Karras",
        "seed": number,
        "batch_size": 1,
        "batch_count": 4,
        "attention": "auto",
        "precision": "float16" if number % 500 == 0 else "Automatic",
        **dict.fromkeys(("vae_tiling", "compile", "channels_last", "storage_8bit", "step_cache"), False),
    }
    recipe = Recipe(
        pipeline="diffusion.txt2img",
        params=params,
        seed=number,
        models=(ModelUse(ref=params["model"], sha256="ab" * 32),),
        libraries=dict.fromkeys(("torch", "diffusers", "transformers", "numpy", "pillow"), "1.0.0"),
        device={"class": "cuda", "name": "a device", "dtype": "float16"},
    )
    record = ArtifactRecord(
        id=f"j{number:06}-0",
        job_id=f"j{number:06}",
        index=0,
        kind="image",
        path=f"2026-01-01/{number}.png",
        media_type="image/png",
        size_bytes=500_000,
        sha256=f"{number:064x}",
        pipeline="diffusion.txt2img",
        seed=number,
        width=512,
        height=512,
        created_at=float(number),
    )
    marks = Marks(
        rating=4 if number % 50 == 0 else 0,
        tags=(("keep",) if number % 10 else ()) + (("portrait",) if number % 300 == 0 else ()),
        collections=("Best of",) if number % 1000 == 0 else (),
    )
    return Entry(record, recipe, favourite=number % 100 == 0, trashed=number % 1000 == 1, marks=marks)


if __name__ == "__main__":
    sys.exit(main())
