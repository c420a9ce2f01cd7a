"""A server for the tests that kill one: five jobs for a real dispatcher and worker, then it waits to be killed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.queue.support import service


def main(folder: Path) -> None:
    jobs = service(folder)
    for number in range(5):
        jobs.submit(
            "fake.draw", {"images": 3, "steps": 4, "step_s": 0.02, "number": number}, owner=f"owner{number % 2}"
        )
    jobs.start()
    pid = None
    while pid is None:
        pid = jobs.workers()[0]["pid"]
        time.sleep(0.01)
    (folder / "worker.pid").write_text(str(pid))
    time.sleep(60)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
