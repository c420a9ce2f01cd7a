"""Serves the application: takes the port, prepares the process for Gradio, runs uvicorn until it is told to end."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import sys
import threading
import webbrowser
from collections.abc import Callable
from urllib.parse import quote

import uvicorn

from webui.core.errors import SetupError
from webui.core.settings import Settings

from . import allocator, faststart
from .access import AccessPolicy
from .application import create_app, gradio_temp_dir
from .http_api.streams import OpenStreams
from .services import Services
from .sharing import Shared, qr_lines

STOP_S = 3
"""Seconds that open requests get to end when the server stops."""


class _Server(uvicorn.Server):
    """uvicorn that tells when it answers, and ends the event streams before it waits for connections to close."""

    def __init__(self, config: uvicorn.Config, streams: OpenStreams, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._streams, self._on_ready = streams, on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._streams.stop()
        await super().shutdown(sockets)


def serve(services: Services, open_browser: bool, say: Callable[[str], None] | None = None) -> None:
    """Serve until the process is told to end (SIGINT, SIGTERM). ``say`` shows the user a line: the address, once it
    answers.

    Raises SetupError where the address cannot be listened on, another server runs this data folder's jobs, or others
    could reach it and nobody could log in.
    """
    settings = services.settings
    policy = AccessPolicy.decide(settings, os.environ)
    if policy.asks and not policy.token and not services.accounts.has_way_in():
        raise _nobody_could_enter(settings)
    _check_tls(settings)
    with contextlib.closing(listen(settings.host, settings.port)) as listening:
        _prepare_process(settings)
        with faststart.without_collector():
            app = create_app(services, policy)
        port = listening.getsockname()[1]
        address = browser_address(settings.host, port, policy.token, settings.root_path, tls=bool(settings.tls_cert))
        tell = say or _say
        app.state.sharing.told = lambda shared: tell(_words_of(shared))

        def ready() -> None:
            tell(f"Lifelike runs at {address} (Ctrl+C ends it)")
            app.state.sharing.begin(port)
            if open_browser:
                # It may wait for the browser to end.
                threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

        # Whoever reaches us directly could write any address into a proxy's headers, and guess tokens from each of
        # them.
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_graceful_shutdown=STOP_S,
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
        )
        server = _Server(config, app.state.streams, ready)
        failures: list[Exception] = []

        def stop_for(error: Exception) -> None:
            failures.append(error)
            server.should_exit = True

        app.state.start.on_failure = stop_for
        # uvicorn raises SIGINT again once it has stopped in order.
        with contextlib.suppress(KeyboardInterrupt):
            server.run([listening])
        if failures:
            raise failures[0]


def _check_tls(settings: Settings) -> None:
    """Raises SetupError."""
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise SetupError("TLS needs a certificate and its key.", hint="Give both: --tls-cert FILE --tls-key FILE")
    if settings.tls_cert is None or settings.tls_key is None:
        return
    if settings.share != "none":
        raise SetupError("a tunnel carries plain HTTP to this machine.", hint="Leave out --tls-cert, or --share.")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise SetupError(
            f"cannot use the certificate {settings.tls_cert} with the key {settings.tls_key}: {error}.",
            hint="Both are PEM files; the key has no password.",
        ) from None


def _nobody_could_enter(settings: Settings) -> SetupError:
    return SetupError(
        "others could reach this server, and there is no account yet that could log in.",
        hint=f"Make the owner's: launch.py user add NAME --owner --data-dir {settings.data_dir}; and for each guest:"
        " launch.py user add NAME. Without --listen, --share and --login none is needed: this machine alone is served.",
    )


def _words_of(shared: Shared) -> str:
    match shared.state:
        case "open":
            return f"Shared at {shared.url} with those who can log in:\n{qr_lines(shared.url)}"
        case "failed":
            return f"Not shared: {shared.problem} This machine's own page goes on."
        case "stopped":
            return "Not shared any more; this machine's own page goes on."
    return shared.problem or "The tunnel is being opened."


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _prepare_process(settings: Settings) -> None:
    """What Gradio reads of its surroundings, and how memory is kept."""
    allocator.spare_memory()
    temporary = gradio_temp_dir(settings)
    temporary.mkdir(parents=True, exist_ok=True)
    faststart.set_environment(temporary)
    if all(folder.is_absolute() for folder in (settings.data_dir, *settings.models_dirs, *settings.extensions_dirs)):
        # Gradio serves any file below the working folder that a function answers with.
        empty = temporary.with_name("empty")
        empty.mkdir(exist_ok=True)
        os.chdir(empty)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Taken before the slow part of the start: a port in use is told at once, and who comes early
    waits.

    Raises SetupError.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise SetupError(
            f"there is no address {host!r} to listen on: {error}.", hint="Give one with --listen."
        ) from None
    listening = socket.socket(family, kind, protocol)
    try:
        if sys.platform == "win32":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise _cannot_listen(host, port, error) from None
    return listening


def _cannot_listen(host: str, port: int, error: OSError) -> SetupError:
    if error.errno == errno.EADDRINUSE:
        return SetupError(
            f"port {port} of {host} is in use, perhaps by another Lifelike: look at http://127.0.0.1:{port}/.",
            hint=f"Choose another with --port {port + 1 if port < 65535 else 7860} (--port 0 takes any that is free).",
        )
    if error.errno == errno.EACCES:
        return SetupError(
            f"port {port} needs rights that this user does not have.", hint="Choose one from 1024 on, with --port."
        )
    return SetupError(
        f"cannot listen on {host} port {port}: {error.strerror or error}.",
        hint="Choose others with --listen and --port.",
    )


def browser_address(host: str, port: int, token: str, root_path: str = "", *, tls: bool = False) -> str:
    """Where a browser finds the server: a host that stands for every address becomes one that others can reach, too."""
    name = _own_address() if host in ("0.0.0.0", "::", "") else host
    shown = f"[{name}]" if ":" in name else name
    return f"{'https' if tls else 'http'}://{shown}:{port}{root_path}/" + (f"?token={quote(token)}" if token else "")


def _own_address() -> str:
    """The address of this machine in its network. Connecting a UDP socket sends nothing; it only looks up the route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


__all__ = ["browser_address", "create_app", "listen", "serve"]
