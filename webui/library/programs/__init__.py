"""Between a picture's texts (``chunks``) and ``metadata``: what other programs wrote, one module a program.

A reader takes the texts by name and answers None where they are not its program's. It raises nothing, evaluates nothing
and takes time linear in what it is given. The first answer counts, so the order is from the most particular mark to the
least.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import a1111, comfyui, fooocus, generic, invokeai, novelai, swarmui
from .reading import Reading

Reader = Callable[[Mapping[str, str]], Reading | None]

READERS: tuple[Reader, ...] = (
    swarmui.read,
    fooocus.read,
    novelai.read,
    a1111.read,
    invokeai.read,
    comfyui.read,
    generic.read,
)


def read(chunks: Mapping[str, str]) -> Reading | None:
    """What the texts of a picture say of how another program made it."""
    return next((reading for reader in READERS if (reading := reader(chunks)) is not None), None)


__all__ = ["READERS", "Reader", "Reading", "read"]
