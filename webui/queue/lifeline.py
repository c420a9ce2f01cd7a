"""Between the server and its worker on Linux: asks the kernel to kill this process when its parent dies, then becomes
the worker.

Run as a script by SubprocessExecutor: ``python -I -S lifeline.py PARENT_PID PROGRAM ARGUMENT ...``. The request
outlives ``exec``, so it holds for any worker, even one that hangs with its standard input unread. Setting it between
fork and exec instead (``preexec_fn``) may deadlock in a process with threads. Standard library only, for it runs
without the installed packages.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Does not return but by the end of the process."""
    parent, command = int(arguments[0]), arguments[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it died before the request was made
        sys.exit(1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
