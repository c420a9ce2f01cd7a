"""``--share``: Gradio's tunnel, opened beside the page. Gradio's own ``share=True`` would make even the local page load
its scripts from elsewhere; so only the tunnel is used, and every byte of the page is ours.

On the first time a program (frpc) is fetched from Hugging Face, checked by its sha256; the address is random, ends in
gradio.live, and lives for a week at most.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import Any

from webui.core.errors import SetupError


class GradioTunnel:
    """``webui.api`` tunnel: ``url``, ``alive``, ``close``."""

    def __init__(self, url: str, tunnel: Any) -> None:
        self.url = url
        self._process = tunnel.proc
        self._tunnel = tunnel

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """May be called more than once."""
        process, self._process = self._process, None
        self._tunnel.proc = None  # its own ``kill``, called at exit, would print to where our lines go
        if process is not None:
            process.terminate()
            with contextlib.suppress(Exception):
                process.wait(5)


def open_tunnel(port: int) -> GradioTunnel:
    """A public address for ``port`` of this machine; takes seconds. Raises SetupError."""
    from gradio import networking, tunneling

    known = len(tunneling.CURRENT_TUNNELS)
    try:
        url = networking.setup_tunnel("127.0.0.1", port, secrets.token_urlsafe(32), None, None)
    except Exception as error:  # the network, the service, the program: each raises classes of its own
        for tunnel in tunneling.CURRENT_TUNNELS[known:]:
            GradioTunnel("", tunnel).close()
        raise SetupError(
            f"Gradio's sharing service could not be used: {type(error).__name__}: {str(error).splitlines()[0][:200]}",
            hint="It needs the internet (api.gradio.app, huggingface.co). Without: --share ssh:USER@HOST, or --listen.",
        ) from error
    return GradioTunnel(url, tunneling.CURRENT_TUNNELS[-1])
