"""``python -m tests.chaos --kills 100``: a JSON line for each kind of fault; exit status 1 where something was lost."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.chaos import faults, kills

LOSSES = ("lost_jobs", "unstated_ends", "lost_artifacts", "temporary_files")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="keep the lines in this file too")
    given = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory(prefix="lifelike-chaos-", ignore_cleanup_errors=True) as folder:
        for told in (
            kills.run(Path(folder) / "kills", given.kills, given.seed),
            faults.run(Path(folder) / "faults"),
        ):
            lines.append(told)
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
    if given.out:
        given.out.write_text("".join(json.dumps(told) + "\n" for told in lines), encoding="utf-8")
    return int(any(told[name] for told in lines for name in LOSSES))


if __name__ == "__main__":
    sys.exit(main())
