"""``library rebuild``: the gallery's index made anew from the files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from webui.app import build_studio
from webui.cli.options import add_host_options, settings_from


def main(arguments: Sequence[str]) -> int:
    """Exit status 0."""
    parser = argparse.ArgumentParser(prog="launch.py library", allow_abbrev=False, description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="rebuild")
    add_host_options(commands.add_parser("rebuild", help=__doc__))
    given = parser.parse_args(list(arguments))
    found = build_studio(settings_from(given)).library.rebuild(full=True)
    print(
        f"{found.added} indexed, {found.removed} rows without a file removed, {found.skipped} other files left alone."
    )
    return 0
