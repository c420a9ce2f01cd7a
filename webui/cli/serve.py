"""``serve``: the page and the HTTP interface, until it is stopped."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from webui.app import build_services
from webui.cli.options import add_host_options, settings_from


def main(arguments: Sequence[str]) -> int:
    """Exit status 0 when the server was stopped in order."""
    parser = argparse.ArgumentParser(prog="launch.py serve", allow_abbrev=False, description=__doc__)
    parser.add_argument("--port", type=int, help="the port to listen on (default: 7860; 0 takes a free one)")
    parser.add_argument(
        "--listen",
        nargs="?",
        const="0.0.0.0",
        dest="host",
        metavar="ADDRESS",
        help="listen on every address of this machine, or on ADDRESS; people log in then (launch.py user add NAME)",
    )
    parser.add_argument(
        "--share",
        nargs="?",
        const="gradio",
        metavar="HOW",
        help="a public link: gradio (the default of this option), ssh:USER@HOST, an extension's tunnel, or none",
    )
    proxy = parser.add_argument_group("behind a proxy, and TLS")
    proxy.add_argument(
        "--trusted-proxy",
        action="append",
        dest="trusted_proxies",
        metavar="ADDRESS",
        help="believe a proxy there on who asks and under which name; an address or a network; may be repeated",
    )
    proxy.add_argument("--root-path", metavar="PATH", help="below which path the proxy shows the studio, as /studio")
    proxy.add_argument("--tls-cert", type=Path, metavar="FILE", help="a certificate (PEM, with its chain) for https")
    proxy.add_argument("--tls-key", type=Path, metavar="FILE", help="its key")
    parser.add_argument(
        "--login", action="store_true", default=None, help="ask for a login on this machine's own address too"
    )
    parser.add_argument(
        "--api-sdapi", action="store_true", default=None, help="answer A1111's clients, at /sdapi/v1 (default: off)"
    )
    parser.add_argument(
        "--mcp",
        action="store_true",
        default=None,
        help="let assistants call pipelines, at /mcp (default: off)",
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open the browser")
    add_host_options(parser)
    given = parser.parse_args(list(arguments))
    services = build_services(settings_from(given))
    from webui.web.server import serve

    serve(services, open_browser=not given.no_browser)
    return 0
