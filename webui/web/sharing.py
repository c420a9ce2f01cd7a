"""From ``--share`` to a public address: opens a tunnel beside the running server, watches it, and closes it. Whatever
goes wrong with it, the local page goes on.
"""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

import segno

from webui.core.errors import Conflict, LifelikeError, SetupError
from webui.core.specs import TunnelSpec

log = logging.getLogger(__name__)

State = Literal["off", "opening", "open", "failed", "stopped"]
WATCH_S = 2.0
RETRIES_S = (2.0, 10.0, 30.0, 60.0)
"""Pauses before a tunnel that broke is opened again; then it has failed."""


class Tunnel(Protocol):
    """What an open tunnel is. It may have ``alive`` too, False once it broke."""

    @property
    def url(self) -> str: ...
    def close(self) -> None: ...


Open = Callable[[int], Tunnel]
"""Opens a tunnel to a port of this machine. Raises LifelikeError, or anything."""
Load = Callable[[TunnelSpec], Any]
"""The function that a declaration names."""

BUILT_IN = ("gradio", "ssh")


def find_tunnel(wanted: str, declared: Mapping[str, TunnelSpec], load: Load, *, offline: bool = False) -> Open | None:
    """What opens the tunnel ``wanted``: ``none`` (None), ``gradio``, ``ssh:USER@HOST``, or the id of one that an
    extension declares, with ``:`` and its argument. Raises SetupError.
    """
    name, colon, argument = wanted.partition(":")
    if name in ("none", ""):
        return None
    if offline:
        raise SetupError("a studio that is offline is not shared.", hint="Start without --offline, or without --share.")
    if name == "gradio" and not colon:
        from .tunnels import gradio_share

        return gradio_share.open_tunnel
    if name == "ssh" and argument:
        from .tunnels import ssh

        return lambda port: ssh.open_tunnel(port, argument)
    spec = declared.get(name)
    if spec is None:
        known = ", ".join(["none", "gradio", "ssh:USER@HOST", *declared])
        raise SetupError(f"there is no tunnel {wanted[:80]!r}.", hint=f"There are: {known}.")
    opens = load(spec)
    takes = len(inspect.signature(opens).parameters)
    return (lambda port: opens(port, argument)) if takes > 1 else opens


@dataclass(frozen=True)
class Shared:
    """How far it is."""

    state: State = "off"
    kind: str = "none"
    url: str = ""
    problem: str = ""


class Sharing:
    """One tunnel. ``told`` hears of each change of its state, in the thread that watches it.

    ``_lock`` guards the state and the open tunnel; nothing else is taken under it.
    """

    def __init__(self, kind: str, opens: Open | None, told: Callable[[Shared], None] = lambda shared: None) -> None:
        self._opens = opens
        self.told = told
        self._lock = threading.Lock()
        self._shared = Shared(kind=kind if opens is not None else "none")
        self._tunnel: Tunnel | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._port = 0

    def view(self) -> Shared:
        with self._lock:
            return self._shared

    @property
    def origin(self) -> tuple[str, str]:
        """Scheme and host of the public address while there is one."""
        parts = urlsplit(self.view().url)
        return parts.scheme, parts.netloc.lower()

    def begin(self, port: int) -> None:
        """Open the tunnel to ``port`` of this machine, in a thread of its own; nothing where none is wanted."""
        self._port = port
        if self._opens is not None:
            self.again()

    def again(self) -> Shared:
        """Open it where it was stopped or failed. Raises Conflict."""
        if self._opens is None or not self._port:
            raise Conflict("This studio was not started to be shared.", hint="Start it with --share.")
        with self._lock:
            if self._shared.state in ("opening", "open"):
                return self._shared
            self._ended = threading.Event()
            self._shared = Shared("opening", self._shared.kind)
            self._thread = threading.Thread(target=self._keep, args=(self._ended,), name="sharing", daemon=True)
            self._thread.start()
        return self.view()

    def stop(self) -> Shared:
        """Close it; the local page goes on. May be called more than once."""
        self._ended.set()
        with self._lock:
            tunnel, self._tunnel = self._tunnel, None
            changed = self._shared.state in ("opening", "open")
            if changed:
                self._shared = Shared("stopped", self._shared.kind)
        if tunnel is not None:
            _close(tunnel)
        if changed:
            self.told(self.view())
        return self.view()

    def _keep(self, ended: threading.Event) -> None:
        """Open, watch, and open again where it breaks."""
        for pause_s in (*RETRIES_S, None):
            try:
                tunnel = self._open(ended)
            except Exception as error:
                if not isinstance(error, LifelikeError):
                    log.exception("the tunnel %s could not be opened", self._shared.kind)
                self._set(ended, Shared("failed", self._shared.kind, problem=str(error)[:600]))
                return
            if tunnel is None:
                return
            while not ended.wait(WATCH_S) and getattr(tunnel, "alive", True):
                pass
            if ended.is_set():
                return
            _close(tunnel)
            if pause_s is None:
                break
            self._set(ended, Shared("opening", self._shared.kind, problem="The tunnel broke, and is opened again."))
            if ended.wait(pause_s):
                return
        self._set(ended, Shared("failed", self._shared.kind, problem="The tunnel broke again and again."))

    def _open(self, ended: threading.Event) -> Tunnel | None:
        """None where it was stopped meanwhile."""
        assert self._opens is not None
        tunnel = self._opens(self._port)
        with self._lock:
            if not ended.is_set():
                self._tunnel = tunnel
                self._shared = Shared("open", self._shared.kind, tunnel.url)
        if ended.is_set():
            _close(tunnel)
            return None
        self.told(self.view())
        return tunnel

    def _set(self, ended: threading.Event, shared: Shared) -> None:
        with self._lock:
            if ended.is_set():
                return
            self._shared = shared
        self.told(shared)


def _close(tunnel: Tunnel) -> None:
    try:
        tunnel.close()
    except Exception:  # an extension's: the server goes on whatever it does
        log.exception("a tunnel could not be closed")


def qr_lines(url: str) -> str:
    """A QR code for a terminal, two rows in one line of text."""
    import io

    text = io.StringIO()
    segno.make(url, error="m", micro=False).terminal(out=text, compact=True)
    return text.getvalue()


def qr_svg(url: str) -> str:
    """A QR code as an SVG element, dark on white."""
    return str(segno.make(url, error="m", micro=False).svg_inline(scale=5, border=3, light="#fff", dark="#111"))
