"""``python -m webui.cli``: reads the first word and hands over to the module of that command."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from webui.core.errors import LifelikeError, ParameterError

COMMANDS = {
    "serve": "the page and the HTTP interface (the default)",
    "run": "run a pipeline here, without a server",
    "reproduce": "make a picture again from its own file, and compare",
    "ext": "list and check extensions",
    "models": "list the models that are found",
    "library": "rebuild the index of the gallery from the files",
    "user": "who may log in where the studio is shared",
    "doctor": "what this installation has: versions, device, attention, disk, extensions",
    "bench": "measurements, as JSON",
}


def usage() -> str:
    """The help of the first word."""
    rows = "\n".join(f"  {name:<10} {summary}" for name, summary in COMMANDS.items())
    return f"usage: python launch.py [COMMAND] [options]\n\n{rows}\n\nCOMMAND --help tells its options.\n"


def main(arguments: Sequence[str]) -> int:
    """Run one command. The exit status: 0 done, 1 failed, 2 the arguments were wrong, 130 interrupted."""
    rest = list(arguments)
    if rest[:1] in (["--help"], ["-h"], ["help"]):
        print(usage())
        return 0
    name = rest.pop(0) if rest and not rest[0].startswith("-") else "serve"
    try:
        if name not in COMMANDS:
            from webui.cli.extra import run_declared

            return run_declared(name, rest, usage())
        command = importlib.import_module(f"webui.cli.{name}")
        return int(command.main(rest))
    except ParameterError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except LifelikeError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
