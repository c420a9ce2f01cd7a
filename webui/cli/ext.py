"""``ext``: what is loaded and why not; new extensions, their checks and tests; installing, updating, removing them."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from webui.app import build_host, start_guard
from webui.cli.options import add_host_options, settings_from
from webui.core.errors import Cancelled, NotFound, SetupError
from webui.core.settings import ROOT, read_stored, write_stored
from webui.testing.supervise import CHECK_LIMIT_S, Limits, check_extension, find_subject

YES = "do it without asking"


def main(arguments: Sequence[str]) -> int:
    """Exit status 1 when a check finds a problem."""
    given = _parser().parse_args(list(arguments))
    return COMMANDS[given.command](given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="launch.py ext", allow_abbrev=False, description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="|".join(COMMANDS))
    commands.add_parser("list", help="every extension, its state and why")
    new = commands.add_parser("new", help="write a whole extension, with tests that pass")
    new.add_argument("name", metavar="NAME", help="small letters, digits, underscores")
    new.add_argument("--pypi", action="store_true", help="as a project that can be published")
    new.add_argument("--into", type=Path, metavar="FOLDER", help="where its folder is made")
    checking = commands.add_parser("check", help="the contract, in a process of its own with limits of time and memory")
    checking.add_argument("extension", help="an id, or the path of its folder")
    checking.add_argument("--limit", type=float, default=CHECK_LIMIT_S, metavar="SECONDS", help="of each check")
    checking.add_argument("--memory", type=float, default=4.0, metavar="GIB", help="of the whole process")
    checking.add_argument("--no-jobs", action="store_true", help="only what needs no pipeline to run")
    testing = commands.add_parser("test", help="its own tests, by pytest")
    testing.add_argument("extension", help="an id, or the path of its folder")
    testing.add_argument("pytest", nargs=argparse.REMAINDER, help="further arguments of pytest")
    installing = commands.add_parser("install", help="from PyPI, a wheel, a folder or git; shown first, then asked")
    installing.add_argument("source", metavar="SOURCE", help="name, name==version, FILE.whl, FOLDER, git+https://...")
    updating = commands.add_parser("update", help="fetch it again; what does not load is undone")
    updating.add_argument("extension")
    updating.add_argument("--back", action="store_true", help="bring back the version before")
    removing = commands.add_parser("remove", help="take away one that was installed")
    removing.add_argument("extension")
    enabling = commands.add_parser("enable", help="load it at the next start, also after a start that ended or hung")
    enabling.add_argument("extension")
    disabling = commands.add_parser("disable", help="leave it out from the next start on")
    disabling.add_argument("extension")
    for one in (installing, updating, removing):
        one.add_argument("--yes", action="store_true", help=YES)
    for name, one in commands.choices.items():
        if name != "test":
            one.add_argument("--json", action="store_true", help="print JSON")
            add_host_options(one)
    return parser


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


def _new(given: argparse.Namespace) -> int:
    from webui.cli.extending.scaffold import new_extension

    into = given.into or (Path() if given.pypi else settings_from(given).own_extensions_dir)
    folder = new_extension(given.name, into.resolve(), pypi=given.pypi)
    if given.json:
        print(json.dumps({"folder": str(folder)}))
        return 0
    where = str(folder) if given.pypi or given.into else given.name
    print(f"{folder} is written.\n\nits tests:    python launch.py ext test {where}")
    print(f"the contract: python launch.py ext check {where}")
    return 0


def _check(given: argparse.Namespace) -> int:
    settings = settings_from(given)
    limits = Limits(check_s=given.limit, memory_bytes=int(given.memory * 2**30))
    report = check_extension(
        find_subject(given.extension, settings), settings, limits=limits, run_jobs=not given.no_jobs
    )
    print(report.as_json() if given.json else report.as_text())
    return 0 if report.ok else 1


def _test(given: argparse.Namespace) -> int:
    from webui.core.settings import load_settings

    if find_spec("pytest") is None:
        raise SetupError("the tests need pytest.", hint="pip install -r requirements-dev.txt -c constraints.txt")
    subject = find_subject(given.extension, load_settings())
    folder = subject.folder.parent if subject.package and not (subject.folder / "tests").is_dir() else subject.folder
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-P", "-m", "pytest", "--import-mode=importlib", "-p", "webui.testing.plugin"]
    # A folder of its own as root: settings of pytest that lie above it are not its own.
    command += ["--rootdir", str(folder), "-p", "no:cacheprovider", *(given.pytest or ["tests"])]
    return subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, check=False).returncode


def _install(given: argparse.Namespace) -> int:
    from webui.cli.extending.installer import Installer

    installer = Installer(settings_from(given), _asking(given))
    if given.command == "install":
        told = installer.install(given.source)
    elif given.command == "remove":
        told = installer.remove(given.extension)
    else:
        told = installer.go_back(given.extension) if given.back else installer.update(given.extension)
    if given.json:
        print(json.dumps(asdict(told), indent=2))
        return 0
    words = {
        "installed": f"{told.extension} {told.version} is installed. It is loaded at the next start.",
        "updated": f"{told.extension} {told.version} is in place of {told.before}. It is loaded at the next start.",
        "unchanged": f"{told.extension} {told.version} is the newest there is.",
        "went_back": f"{told.extension} {told.version} is back. It is loaded at the next start.",
        "removed": f"{told.extension} {told.before} is gone.",
    }
    print(words[told.done])
    if told.left:
        print("These came with it and are still there: " + ", ".join(told.left))
    return 0


def _asking(given: argparse.Namespace) -> Callable[[str], None]:
    """Shows what would be done; goes on with --yes, or a y that a person types."""

    def ask(question: str) -> None:
        print(question, file=sys.stderr)
        if given.yes:
            return
        if not sys.stdin.isatty():
            raise Cancelled("nobody can be asked here; --yes goes on without.")
        if input("[y/N] ").strip().lower() not in ("y", "yes"):
            raise Cancelled("nothing was changed.")

    return ask


def _wish(given: argparse.Namespace) -> int:
    """As the switch in the Extensions tab: written into the stored settings."""
    settings, extension, enable = settings_from(given), given.extension, given.command == "enable"
    if all(record.id != extension for record in build_host(settings).extensions):
        raise NotFound(f"there is no extension {extension!r}.", hint="`ext list` shows what there is.")
    stored = read_stored(settings.settings_path).get("disabled_extensions", ())
    disabled = [str(one) for one in stored if one != extension] + ([] if enable else [extension])
    write_stored(settings.settings_path, {"disabled_extensions": disabled})
    if enable:
        start_guard(settings).forgive(extension)
    if given.json:
        print(json.dumps({"extension": extension, "enabled": enable}))
    else:
        print(f"{extension} is {'loaded' if enable else 'left out'} at the next start.")
    return 0


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "list": _list,
    "new": _new,
    "check": _check,
    "test": _test,
    "install": _install,
    "update": _install,
    "remove": _install,
    "enable": _wish,
    "disable": _wish,
}
