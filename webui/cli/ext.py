"""``ext``: what is loaded and why not, a check of one extension in a process of its own, and a second chance."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from webui.app import build_host, start_guard
from webui.cli.options import add_host_options, settings_from
from webui.core.errors import NotFound
from webui.plugins.check import IMPORT_LIMIT_S, check_extension


def main(arguments: Sequence[str]) -> int:
    """Exit status 1 when a check finds a problem."""
    parser = argparse.ArgumentParser(prog="launch.py ext", allow_abbrev=False, description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="list|check|enable")
    listing = commands.add_parser("list", help="every extension, its state and why")
    checking = commands.add_parser("check", help="load one in a process of its own, with limits of time and memory")
    checking.add_argument("extension", help="an id, or the path of its folder")
    checking.add_argument("--limit", type=float, default=IMPORT_LIMIT_S, metavar="SECONDS")
    enabling = commands.add_parser("enable", help="try again one that was left out after a start that ended or hung")
    enabling.add_argument("extension")
    for one in (listing, checking, enabling):
        one.add_argument("--json", action="store_true", help="print JSON")
        add_host_options(one)
    given = parser.parse_args(list(arguments))
    return {"list": _list, "check": _check, "enable": _enable}[given.command](given)


def _list(given: argparse.Namespace) -> int:
    records = build_host(settings_from(given)).extensions
    if given.json:
        print(json.dumps([asdict(record) for record in records], indent=2))
        return 0
    width = max((len(record.id) for record in records), default=0)
    for record in records:
        where = "" if record.state == "loaded" else f" at {record.stage}: {record.reason} {record.hint}"
        print(f"{record.id:<{width}}  {record.version or '-':<8} {record.state}{where}")
    return 0


def _check(given: argparse.Namespace) -> int:
    report = check_extension(_folder(given), limit_s=given.limit)
    if given.json:
        print(json.dumps(asdict(report), indent=2))
    else:
        print("\n".join(f"- {problem}" for problem in report.problems) or "no problem found")
    return 0 if report.ok else 1


def _folder(given: argparse.Namespace) -> Path:
    settings, wanted = settings_from(given), str(given.extension)
    for candidate in (*(folder / wanted for folder in settings.extensions_dirs), Path(wanted)):
        if candidate.is_dir():
            return candidate
    raise NotFound(f"no extension {wanted!r}: expected a folder, or an id that `ext list` shows.")


def _enable(given: argparse.Namespace) -> int:
    guard = start_guard(settings_from(given))
    guard.forgive(given.extension)
    print(f"{given.extension} is loaded again at the next start.")
    return 0
