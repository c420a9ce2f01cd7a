"""What a worker tells of the memory that models take, and what it can be told to do about it: plain data that any
process can hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

EntryState = Literal["absent", "loading", "ram", "moving", "device", "failed"]
"""absent -> loading -> ram -> moving -> device, and back to ram when it is evicted. Where device and main memory are
one, ram is never seen.
"""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class EntryMemory(_Data):
    """One component in a worker's cache. ``id`` names it in commands."""

    id: str
    component: str
    path: str
    dtype: str
    state: EntryState
    ram_bytes: int = 0
    device_bytes: int = 0
    holders: int = 0
    """Leases on it now."""
    hits: int = 0
    load_s: float = 0.0
    """The last load from its file."""
    move_s: float = 0.0
    """The last move to the device."""
    pinned: bool = False
    """Kept on request: never evicted to make room."""


ATTENTION_REASONS: Mapping[str, str] = {
    "needs_device": "needs {devices}, this device is {device}",
    "not_installed": "not installed (pip install {package})",
    "capability": "needs compute capability {least} or newer",
    "wrong": "gives wrong results here: off by {off}, allowed {allowed}",
    "raised": "fails here: {said}",
    "eight_bit": "8-bit: some models give black pictures with it; never chosen by itself",
    "last_resort": "slow and sparing: the last resort",
}
"""Code -> why an attention backend cannot be used, or what holds where it can. The page has them in its languages."""


class AttentionBackend(_Data):
    """One way to compute attention, and whether this machine can; ``reason`` says why not, or what holds where it
    can: the text of ``code`` in ``ATTENTION_REASONS`` with ``values``.
    """

    name: str
    usable: bool
    reason: str = ""
    code: str = ""
    values: Mapping[str, str] = {}


class AttentionChoice(_Data):
    """What was measured for a model on its own shapes, and taken. ``ratios``: seconds of each backend over those of
    torch's own, of those whose results were right.
    """

    model: str
    backend: str
    ratios: Mapping[str, float] = {}


class MemorySnapshot(_Data):
    """A worker's device and all that its cache holds. None: the device does not say."""

    device: str
    kind: str
    total_bytes: int | None = None
    free_bytes: int | None = None
    reserved_bytes: int = 0
    """Held by torch, whether in use or not."""
    allocated_bytes: int = 0
    budget_bytes: int | None = None
    """Most bytes of models and their work; None: all that the device has."""
    ram_budget_bytes: int = 0
    """Most bytes of models kept in main memory beside those on the device; 0 where the two are one."""
    device_models_bytes: int = 0
    ram_models_bytes: int = 0
    work_bytes: int = 0
    """Set aside for what is computed now."""
    loads: int = 0
    moves: int = 0
    evictions: int = 0
    ooms: int = 0
    entries: tuple[EntryMemory, ...] = ()
    attention: tuple[AttentionBackend, ...] = ()
    """Every backend; empty until they were tried, after the first job."""
    attention_choices: tuple[AttentionChoice, ...] = ()
