"""``library rebuild`` makes the gallery's index anew, ``import`` takes in pictures, ``export`` writes a zip of them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from webui.app import build_studio
from webui.cli.options import add_host_options, settings_from
from webui.core.errors import JobFailed
from webui.library import zipped
from webui.library.imports import Imported, import_folder
from webui.library.library import Library
from webui.library.marks import MarkChange


def main(arguments: Sequence[str]) -> int:
    """Exit status 0."""
    parser = argparse.ArgumentParser(prog="launch.py library", allow_abbrev=False, description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="rebuild, import, export")
    add_host_options(commands.add_parser("rebuild", help="make the gallery's index anew from the files"))
    take = commands.add_parser(
        "import", help="take in every picture of a folder, with its metadata; again: nothing new"
    )
    take.add_argument("folder", type=Path, help="a folder of pictures that this or another program made")
    take.add_argument("--link", action="store_true", help="share the files on disk in place of copying them")
    take.add_argument("--tag", action="append", default=[], help="tag each; may be repeated")
    take.add_argument("--collection", action="append", default=[], help="put each into a collection; may be repeated")
    add_host_options(take)
    give = commands.add_parser("export", help="write pictures into a zip, with what was said of them")
    give.add_argument("out", type=Path, help="the zip to write; what is there is replaced")
    give.add_argument("--query", default="", help='only those that fit, as in the gallery: "tag:portrait rating:>=4"')
    add_host_options(give)
    given = parser.parse_args(list(arguments))
    library = build_studio(settings_from(given)).library
    run = {"import": _import, "export": _export, "rebuild": _rebuild}[given.command]
    return run(library, given)


def _import(library: Library, given: argparse.Namespace) -> int:
    def told(done: Imported) -> bool:
        if done.seen % 100 == 0:
            print(f"{done.seen} files ...", file=sys.stderr)
        return True

    change = MarkChange(add_tags=tuple(given.tag), add_collections=tuple(given.collection))
    done = import_folder(library, given.folder, link=given.link, change=change, progress=told)
    print(f"{done.added} added, {done.known} known already, {done.skipped} others left alone.")
    return 0


def _export(library: Library, given: argparse.Namespace) -> int:
    temporary = given.out.with_name(f".{given.out.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            for chunk in zipped.stream(library, library.each(given.query)):
                file.write(chunk)
        os.replace(temporary, given.out)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise JobFailed(f"{given.out} cannot be written: {error.strerror or error}.") from None
    print(f"{library.count(given.query)} artifacts in {given.out}.")
    return 0


def _rebuild(library: Library, _: argparse.Namespace) -> int:
    found = library.rebuild(full=True)
    print(
        f"{found.added} indexed, {found.removed} rows without a file removed, {found.skipped} other files left alone."
    )
    return 0
