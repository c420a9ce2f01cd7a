"""``models list``: every model file that is found, what it is, and what is wrong with it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from webui.app import build_studio
from webui.cli.options import add_host_options, settings_from


def main(arguments: Sequence[str]) -> int:
    """Exit status 0."""
    parser = argparse.ArgumentParser(prog="launch.py models", allow_abbrev=False, description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="list")
    listing = commands.add_parser("list", help=__doc__)
    listing.add_argument("--kind", default="", help="only of this kind, such as text_to_image or lora")
    listing.add_argument("--json", action="store_true", help="print JSON")
    add_host_options(listing)
    given = parser.parse_args(list(arguments))
    entries = build_studio(settings_from(given)).catalog.entries(given.kind)
    if given.json:
        rows = [
            {"ref": entry.ref, "title": entry.title, "kind": entry.kind, "family": entry.family, "format": entry.format,
             "size_bytes": entry.size_bytes, "path": str(entry.path), "problem": entry.problem}
            for entry in entries
        ]  # fmt: skip
        print(json.dumps(rows, indent=2))
        return 0
    width = max((len(entry.ref) for entry in entries), default=0)
    for entry in entries:
        size = f"{entry.size_bytes / 2**20:.1f} MiB"
        print(f"{entry.ref:<{width}}  {entry.kind:<14} {entry.family or '-':<8} {size:>12}  {entry.problem}".rstrip())
    return 0
