"""``python -m tests.fuzz``: a JSON line for each kind of fuzz; exit status 1 where an answer was wrong."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.fuzz.attack import attack
from tests.fuzz.corpus import cases
from tests.fuzz.openapi import EXAMPLES, requests_of
from tests.fuzz.senders import open_senders


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="for each operation of the API and mode")
    parser.add_argument("--out", type=Path, help="keep the lines in this file too")
    given = parser.parse_args()
    lines: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="lifelike-fuzz-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with open_senders(folder) as senders:
            document = senders["open"].app.openapi()  # type: ignore[attr-defined]
            for kind, requests in (
                ("corpus", [case.as_request() for case in cases()]),
                ("openapi", requests_of(document, given.examples)),
            ):
                started = time.monotonic()
                tallies = {sender: attack(client, requests, folder) for sender, client in senders.items()}
                for sender, tally in tallies.items():
                    sys.stderr.writelines(f"{sender}: {line}\n" for line in tally.wrong)
                lines.append(
                    {
                        "fuzz": kind,
                        "cases": len(requests),
                        "requests": sum(tally.statuses.total() for tally in tallies.values()),
                        "statuses": {
                            sender: {str(status): count for status, count in sorted(tally.statuses.items())}
                            for sender, tally in tallies.items()
                        },
                        "wrong": sum(len(tally.wrong) for tally in tallies.values()),
                        "seconds": round(time.monotonic() - started, 1),
                    }
                )
                sys.stdout.write(json.dumps(lines[-1]) + "\n")
                sys.stdout.flush()
    if given.out:
        given.out.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return int(any(line["wrong"] for line in lines))


if __name__ == "__main__":
    sys.exit(main())
