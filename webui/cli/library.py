"""``library rebuild`` makes the gallery's index anew from the files; ``library import`` takes in pictures of others."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from webui.app import build_studio
from webui.cli.options import add_host_options, settings_from
from webui.library.imports import Imported, import_folder
from webui.library.library import Library
from webui.library.marks import MarkChange


def main(arguments: Sequence[str]) -> int:
    """Exit status 0."""
    parser = argparse.ArgumentParser(prog="launch.py library", allow_abbrev=False, description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="rebuild, import")
    add_host_options(commands.add_parser("rebuild", help="make the gallery's index anew from the files"))
    take = commands.add_parser(
        "import", help="take in every picture of a folder, with its metadata; again: nothing new"
    )
    take.add_argument("folder", type=Path, help="a folder of pictures that this or another program made")
    take.add_argument("--link", action="store_true", help="share the files on disk in place of copying them")
    take.add_argument("--tag", action="append", default=[], help="tag each; may be repeated")
    take.add_argument("--collection", action="append", default=[], help="put each into a collection; may be repeated")
    add_host_options(take)
    given = parser.parse_args(list(arguments))
    library = build_studio(settings_from(given)).library
    return _import(library, given) if given.command == "import" else _rebuild(library)


def _import(library: Library, given: argparse.Namespace) -> int:
    def told(done: Imported) -> bool:
        if done.seen % 100 == 0:
            print(f"{done.seen} files ...", file=sys.stderr)
        return True

    change = MarkChange(add_tags=tuple(given.tag), add_collections=tuple(given.collection))
    done = import_folder(library, given.folder, link=given.link, change=change, progress=told)
    print(f"{done.added} added, {done.known} known already, {done.skipped} others left alone.")
    return 0


def _rebuild(library: Library) -> int:
    found = library.rebuild(full=True)
    print(
        f"{found.added} indexed, {found.removed} rows without a file removed, {found.skipped} other files left alone."
    )
    return 0
