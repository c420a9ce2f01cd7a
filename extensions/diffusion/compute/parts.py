"""A component that is too large for the device, computed there block by block: each has its weights there for the time
of its call alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch

_SHARE, _LEAST_BYTES = 0.05, 2**20
"""A block is at most this share of its component, unless it is small in itself."""

Bring = Callable[[torch.nn.Module], AbstractContextManager[None]]


@contextmanager
def streamed(module: torch.nn.Module, bring: Bring) -> Iterator[None]:
    """Within, the weights of ``module``, which lie in main memory, are on the device block by block while it computes.
    ``bring`` has those of a block there.

    Needs the module exclusively. Raises what ``bring`` does, out of the module's forward too.
    """
    blocks, loose = _blocks(module, max(_LEAST_BYTES, int(_SHARE * _bytes(module))))
    with ExitStack() as stack:
        stack.enter_context(bring(loose))
        for block in blocks:
            own = _Block(bring, block)
            stack.callback(block.register_forward_pre_hook(own.enter).remove)
            # Its weights go when it fails too: running out of memory is one of the ways.
            stack.callback(block.register_forward_hook(own.leave, always_call=True).remove)
        yield


class _Block:
    def __init__(self, bring: Bring, module: torch.nn.Module) -> None:
        self._bring, self._module = bring, module
        self._there: ExitStack | None = None

    def enter(self, module: torch.nn.Module, args: Any) -> None:
        there = ExitStack()
        there.enter_context(self._bring(self._module))
        self._there = there

    def leave(self, module: torch.nn.Module, args: Any, result: Any) -> None:
        there, self._there = self._there, None
        if there is not None:
            there.close()


def _blocks(module: torch.nn.Module, most_bytes: int) -> tuple[list[torch.nn.Module], torch.nn.Module]:
    """The largest modules below ``module`` of at most ``most_bytes`` that are called as such; and what belongs to none,
    as a module of its own.
    """
    blocks: list[torch.nn.Module] = []
    loose = torch.nn.Module()

    def descend(parent: torch.nn.Module) -> None:
        for name, tensor in (*parent.named_parameters(recurse=False), *parent.named_buffers(recurse=False)):
            row = f"{name}_{len(loose._parameters) + len(loose._buffers)}"
            if isinstance(tensor, torch.nn.Parameter):
                loose.register_parameter(row, tensor)
            else:
                loose.register_buffer(row, tensor)
        for child in parent.children():
            called = type(child).forward is not torch.nn.Module.forward  # lists of modules are never called
            whole = _bytes(child) <= most_bytes or isinstance(child, torch.nn.MultiheadAttention)
            if called and (whole or not any(True for _ in child.children())):
                blocks.append(child)
            else:
                descend(child)

    descend(module)
    return blocks, loose


def _bytes(module: torch.nn.Module) -> int:
    tensors = (*module.parameters(), *module.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
