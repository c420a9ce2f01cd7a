"""``bench NAME``: runs a script of benchmarks/, which prints JSON with ratios against a raw baseline."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from webui.core.settings import ROOT


def main(arguments: Sequence[str]) -> int:
    """Exit status of the measurement; 2 when there is none of that name."""
    scripts = {path.stem: path for path in sorted((ROOT / "benchmarks").glob("[a-z]*.py"))}
    name = arguments[0] if arguments else ""
    if name not in scripts:
        print(f"usage: python launch.py bench NAME [options]\n\nmeasurements: {', '.join(scripts)}", file=sys.stderr)
        return 0 if name in ("-h", "--help") else 2
    return subprocess.run([sys.executable, str(scripts[name]), *arguments[1:]], cwd=ROOT, check=False).returncode
