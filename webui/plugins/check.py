"""Checks one extension in a process of its own, with limits: an import that never ends or eats the machine is found
here.

``check_extension`` is called by the command line; it starts this module as a script, which loads the one folder and
prints a JSON report.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from webui.core.settings import ROOT, Settings

IMPORT_LIMIT_S = 30.0
MEMORY_LIMIT_BYTES = 4 * 2**30
HEAVY = ("torch", "diffusers", "transformers", "gradio")


@dataclass(frozen=True)
class CheckReport:
    """``ok`` and what stands against it; ``facts`` is the extension's record."""

    ok: bool
    problems: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


def check_extension(folder: Path, *, limit_s: float = IMPORT_LIMIT_S) -> CheckReport:
    """Load ``folder`` in a subprocess and look at what it declares."""
    command = [sys.executable, "-m", "webui.plugins.check", str(folder.resolve())]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
    }
    with tempfile.TemporaryDirectory(prefix="lifelike-check-") as empty:
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=limit_s, cwd=empty, env=environment, check=False
            )
        except subprocess.TimeoutExpired:
            return CheckReport(False, (f"its import did not end within {limit_s:g} s",))
    try:
        body = json.loads(done.stdout.splitlines()[-1])
        return CheckReport(body["ok"], tuple(body["problems"]), body["facts"])
    except (IndexError, ValueError, KeyError, TypeError):
        tail = "\n".join(done.stderr.splitlines()[-5:])
        return CheckReport(False, (f"it ended the process that imported it (exit status {done.returncode}): {tail}",))


def _inspect(folder: Path) -> CheckReport:
    from .discover import found_folder
    from .host import ExtensionHost

    before = set(sys.modules)
    host = ExtensionHost(Settings(extensions_dirs=()))
    host.load_found([found_folder(folder)])
    record = host.extensions[0]
    problems = (
        [] if record.state == "loaded" else [f"{record.state} at {record.stage}: {record.reason} {record.hint}".strip()]
    )
    for name in HEAVY:
        if name in set(sys.modules) - before:
            problems.append(f"it imports {name} when it is loaded: move that into the module that `run` names")
    for spec in host.pipelines.values():
        try:
            json.dumps(spec.params.model_json_schema())
        except (TypeError, ValueError) as error:
            problems.append(f"pipeline {spec.id}: its schema is not JSON: {error}")
    return CheckReport(not problems, tuple(problems), asdict(record))


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))


def main() -> int:
    """Entry of the subprocess: the folder is its one argument."""
    _limit_memory()
    answer = sys.stdout
    sys.stdout = sys.stderr  # whatever the extension prints stays out of the report
    report = _inspect(Path(sys.argv[1]))
    answer.write("\n" + json.dumps(asdict(report)) + "\n")
    answer.flush()
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
