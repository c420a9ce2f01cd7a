"""Words of the command line that extensions declare."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from webui.app import build_host
from webui.core.settings import load_settings


def run_declared(name: str, arguments: Sequence[str], usage: str) -> int:
    """Run the declared command ``name``; 2 when nobody declares it. ``usage`` is shown then."""
    host = build_host(load_settings())
    spec = host.commands.get(name)
    if spec is None:
        declared = "".join(f"  {one.name:<10} {one.summary}\n" for one in host.commands.values())
        print(f"there is no command {name!r}.\n\n{usage}{declared}", file=sys.stderr)
        return 2
    run = host.load_object(host.owner_of("commands", name), spec.run)
    return int(run(list(arguments)))
