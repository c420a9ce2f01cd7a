"""Between the server and its worker on Linux: asks the kernel to kill this process when its parent dies, and before
others when memory runs out, then becomes the worker.

Run as a script by SubprocessExecutor: ``python -I -S lifeline.py PARENT_PID PROGRAM ARGUMENT ...``. The request
outlives ``exec``, so it holds for any worker, even one that hangs with its standard input unread. Setting it between
fork and exec instead (``preexec_fn``) may deadlock in a process with threads. Standard library only, for it runs
without the installed packages.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_FIRST_TO_GO = "500"
"""Of -1000 to 1000: a worker is replaced and its job goes on, the server and other programs are not."""


def main(arguments: list[str]) -> None:
    """Does not return but by the end of the process."""
    parent, command = int(arguments[0]), arguments[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it died before the request was made
        sys.exit(1)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as rank:
        rank.write(_FIRST_TO_GO)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
