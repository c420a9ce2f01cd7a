"""``--share ssh:USER@HOST``: a reverse tunnel by the system's OpenSSH client, to a machine that others reach.

The client reads the user's own configuration: keys, ports and jumps are set there. It never asks anything: a host whose
key is not known, or a login that needs a password, is an error with words.
"""

from __future__ import annotations

import collections
import re
import shutil
import subprocess
import threading
from collections.abc import Sequence

from webui.core.errors import SetupError

START_S = 30.0
_TARGET = re.compile(
    r"(?:(?P<user>[A-Za-z0-9._][A-Za-z0-9._-]*)@)?(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*)(?::(?P<port>\d{1,5}))?"
)
_ALLOCATED = re.compile(r"Allocated port (\d+) for remote forward")
_FORWARDED = re.compile(r"remote forward success for|All remote forwarding requests processed")
_QUIET_S = 5.0


class SshTunnel:
    """A running client of ssh, and what it says, which a thread reads: a pipe that nobody reads would stop it.

    ``url`` is known once ``wait_open`` answered the port of the other side.
    """

    def __init__(self, command: Sequence[str], wanted: int) -> None:
        self.url = ""
        self._wanted = wanted
        self.said: collections.deque[str] = collections.deque(maxlen=50)
        self._allocated: int | None = None
        self._settled = threading.Event()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, name="ssh-tunnel", daemon=True)
        self._reader.start()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait_open(self) -> int | None:
        """The port of the other side once it is open, the wanted one or its choice (0); None where that failed."""
        self._settled.wait(START_S)
        return (self._wanted or self._allocated) if self._settled.is_set() and self.alive else None

    def close(self) -> None:
        """May be called more than once."""
        if self.alive:
            self._process.terminate()
            try:
                self._process.wait(_QUIET_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait(_QUIET_S)
        self._reader.join(_QUIET_S)

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                if not line.startswith(("debug1:", "OpenSSH_", "Warning: Permanently added")):
                    self.said.append(line.strip())
                if found := _ALLOCATED.search(line):
                    self._allocated = int(found[1])
                if found or (self._wanted and _FORWARDED.search(line)):
                    self._settled.set()
        self._process.wait()
        self._settled.set()


def open_tunnel(port: int, target: str, options: Sequence[str] = ()) -> SshTunnel:
    """``port`` of this machine as a port of ``target``, ``[USER@]HOST[:PORT]``; without PORT the other side chooses.

    ``options``: further arguments of ssh. The address is HTTP, on the other machine's loopback unless its sshd allows
    more (GatewayPorts): put a proxy with TLS before it. Raises SetupError.
    """
    found = _TARGET.fullmatch(target)
    if found is None or int(found["port"] or 0) > 65535:
        raise SetupError(f"{target[:80]!r} is no target of ssh.", hint="Expected ssh:USER@HOST or ssh:USER@HOST:PORT.")
    program = shutil.which("ssh")
    if program is None:
        raise SetupError("there is no program ssh on this machine.", hint="Install OpenSSH's client.")
    destination = f"{found['user']}@{found['host']}" if found["user"] else found["host"]
    wanted = int(found["port"] or 0)
    command = [
        program, "-v", "-N", "-T", "-R", f"{wanted}:127.0.0.1:{port}",
        "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes",
        "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3", "-o", "ConnectTimeout=15",
        *options, "--", destination,
    ]  # fmt: skip
    tunnel = SshTunnel(command, wanted)
    remote = tunnel.wait_open()
    if remote is None:
        tunnel.close()
        raise _failed(tunnel.said, destination)
    tunnel.url = f"http://{found['host']}:{remote}/"
    return tunnel


def _failed(said: Sequence[str], destination: str) -> SetupError:
    words = " ".join([line for line in said if line][-3:])[:400]
    if "Host key verification failed" in words:
        hint = f"Its key is not known here: run `ssh {destination}` once, and look at the key before you accept it."
    elif "Permission denied" in words:
        hint = f"Let `ssh {destination}` in without a password: a key, and an agent that holds it."
    else:
        hint = f"See whether `ssh {destination}` works, and whether its sshd allows forwarding (AllowTcpForwarding)."
    return SetupError(f"ssh could not open the tunnel: {words or 'it said nothing within its time'}", hint=hint)
