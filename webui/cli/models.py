"""``models``: the model files that are found, what each is and what is wrong with it; pickles made into safetensors."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from webui.app import build_studio
from webui.catalog.catalog import Catalog
from webui.catalog.entry import ModelEntry, kind_words
from webui.cli.options import add_host_options, settings_from
from webui.core.errors import ModelError


def main(arguments: Sequence[str]) -> int:
    """Exit status 0."""
    given = _parser().parse_args(list(arguments))
    catalog = build_studio(settings_from(given), allow_paths=True).catalog
    command: int = given.run(catalog, given)
    return command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="launch.py models", allow_abbrev=False, description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="list|rescan|info|convert")
    listing = commands.add_parser("list", help="every model that is found")
    listing.add_argument("--kind", default="", help="only of this kind, such as text_to_image or lora")
    listing.add_argument("--family", default="", help="only of this family, such as sd1 or flux")
    listing.add_argument("--broken", action="store_true", help="only those that cannot be used")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=_list)
    rescan = commands.add_parser("rescan", help="read the folders again, and say what came and went")
    rescan.add_argument("--hash", action="store_true", help="read every file for its sha256, which is kept")
    rescan.set_defaults(run=_rescan)
    info = commands.add_parser("info", help="all that is known of one model, with its hashes")
    info.add_argument("ref", metavar="REF", help="a reference of `models list`, a title, a file name, a hash or a path")
    info.set_defaults(run=_info)
    convert = commands.add_parser("convert", help="make safetensors of a pickled file, without running what is in it")
    convert.add_argument("file", metavar="FILE", help="a path, or a reference of `models list`")
    convert.add_argument("--out", type=Path, help="the file to write (default: beside the original)")
    convert.add_argument("--fp16", action="store_true", help="store floats in 16 bits")
    convert.set_defaults(run=_convert)
    for command in (listing, rescan, info, convert):
        add_host_options(command)
    return parser


def _list(catalog: Catalog, given: argparse.Namespace) -> int:
    entries = [
        entry
        for entry in catalog.entries(given.kind)
        if given.family in ("", entry.family) and not (given.broken and entry.usable)
    ]
    if given.json:
        print(json.dumps([_row(entry) for entry in entries], indent=2))
        return 0
    width = max((len(entry.ref) for entry in entries), default=0)
    for entry in entries:
        size = f"{entry.size_bytes / 2**20:.1f} MiB"
        print(f"{entry.ref:<{width}}  {entry.kind:<14} {entry.family or '-':<8} {size:>12}  {entry.problem}".rstrip())
    return 0


def _rescan(catalog: Catalog, given: argparse.Namespace) -> int:
    before = {entry.ref for entry in catalog.known()}
    start = time.perf_counter()
    entries = catalog.refresh()
    seconds = time.perf_counter() - start
    after = {entry.ref for entry in entries}
    for mark, refs in (("+", after - before), ("-", before - after)):
        print(*(f"{mark} {ref}\n" for ref in sorted(refs)), sep="", end="")
    broken = sum(not entry.usable for entry in entries)
    print(f"{len(entries)} models in {seconds:.2f} s, {broken} of them cannot be used")
    if given.hash:
        _hash_all(catalog, entries)
    return 0


def _hash_all(catalog: Catalog, entries: Iterable[ModelEntry]) -> None:
    for entry in entries:
        if not entry.sha256 and entry.usable:
            print(f"{catalog.hashed(entry).sha256[:10]}  {entry.ref}")


def _info(catalog: Catalog, given: argparse.Namespace) -> int:
    entry = catalog.find(given.ref)
    if entry.usable:
        entry = catalog.hashed(entry)
    row: dict[str, Any] = {
        **_row(entry),
        "variant": entry.variant,
        "lacks": ", ".join(entry.lacks),
        "recommended": dict(entry.recommended),
        "sha256": entry.sha256,
        "short_hash": entry.short_hash,  # A1111 and AutoV2
        "old_short_hash": entry.old_hash,
        "auto_v3": entry.auto_v3,
    }
    width = max(len(name) for name in row)
    for name, value in row.items():
        print(f"{name:<{width}}  {kind_words(value) if name == 'kind' else value}".rstrip())
    return 0


def _convert(catalog: Catalog, given: argparse.Namespace) -> int:
    from webui.engine.convert import convert  # imports torch

    here = Path(given.file).expanduser()
    source = here if here.is_file() else catalog.find(given.file).path
    if source is None or not source.is_file() or source.suffix == ".safetensors":
        raise ModelError(f"{given.file!r} is no pickled file; expected .ckpt, .pt, .pth, .bin or .pkl.")
    target = given.out or source.with_suffix(".safetensors")
    count = convert(source, target, half=given.fp16)
    print(f"{target}: {count} tensors, {target.stat().st_size / 2**20:.1f} MiB, read back and the same")
    return 0


def _row(entry: ModelEntry) -> dict[str, Any]:
    names = ("ref", "title", "kind", "family", "format", "size_bytes", "problem")
    return {**{name: getattr(entry, name) for name in names}, "path": str(entry.path)}
