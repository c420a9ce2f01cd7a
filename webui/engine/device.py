"""Between the settings and everything that computes: which device, in which precision, with which threads, and how
exactly it repeats.
"""

from __future__ import annotations

import os
import platform
import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from webui.core.errors import SetupError
from webui.core.jobs import DeviceStatus
from webui.core.settings import Settings

from .memory import Memory, machine_memory, usable_cores

_STATUS_GRAIN_BYTES = 16 * 2**20
"""Reported use is rounded to this, so that a status is not news each time a page of memory is touched."""


@dataclass(frozen=True)
class Device:
    """Where pipelines compute. ``note`` says why a better device that is there was not chosen."""

    torch_device: torch.device
    dtype: torch.dtype
    name: str
    note: str = ""

    @property
    def kind(self) -> str:
        """cpu, cuda (ROCm too), mps or xpu."""
        return self.torch_device.type

    @property
    def dtype_name(self) -> str:
        return str(self.dtype).removeprefix("torch.")

    def recipe(self) -> dict[str, str]:
        """As recipes name it: class, name, dtype."""
        return {"class": self.kind, "name": self.name, "dtype": self.dtype_name}

    def memory(self) -> Memory:
        """Total and used now, other programs' use included where the driver tells it."""
        if self.kind in ("cuda", "xpu"):
            free, total = getattr(torch, self.kind).mem_get_info(self.torch_device)
            # What torch holds in reserve but has handed to nobody is free for the next model.
            module = getattr(torch, self.kind)
            idle = module.memory_reserved(self.torch_device) - module.memory_allocated(self.torch_device)
            return Memory(int(total), int(total - free - idle))
        if self.kind == "mps":
            return Memory(int(torch.mps.recommended_max_memory()), int(torch.mps.driver_allocated_memory()))
        return machine_memory()

    def empty_cache(self) -> None:
        """Give memory that torch holds in reserve back to the driver."""
        if self.kind in ("cuda", "xpu", "mps"):
            getattr(torch, self.kind).empty_cache()


def device_status(device: Device, *, models_bytes: int = 0, attention: str = "") -> DeviceStatus:
    """For the page's header; use in steps of 16 MiB."""
    memory = device.memory()
    used = memory.used_bytes
    return DeviceStatus(
        name=device.name,
        kind=device.kind,
        dtype=device.dtype_name,
        memory_total_bytes=memory.total_bytes,
        memory_used_bytes=None if used is None else used // _STATUS_GRAIN_BYTES * _STATUS_GRAIN_BYTES,
        models_bytes=models_bytes,
        attention=attention,
    )


def present_kinds() -> tuple[str, ...]:
    """Kinds of device that torch sees here, best first; cpu is always the last."""
    kinds = []
    if torch.cuda.is_available():
        kinds.append("cuda")
    if hasattr(torch, "xpu") and torch.xpu.is_available():
        kinds.append("xpu")
    if torch.backends.mps.is_available():
        kinds.append("mps")
    return (*kinds, "cpu")


def choose_device(settings: Settings) -> Device:
    """The device that ``settings.device`` (auto, cpu, cuda, cuda:1, mps, xpu) names; auto takes the best that works.

    Raises SetupError.
    """
    wanted = settings.device
    kinds = present_kinds()
    if wanted != "auto":
        device = _named(wanted, kinds)
        trouble = _trial(device)
        if trouble:
            raise SetupError(
                f"device {wanted!r} is there but does not compute: {trouble}.",
                hint="Check that its driver suits the installed torch build, or set device to cpu.",
            )
        return _describe(device)
    note = ""
    for kind in kinds:
        device = torch.device(kind, 0) if kind in ("cuda", "xpu") else torch.device(kind)
        trouble = _trial(device)
        if not trouble:
            return _describe(device, note)
        note = f"{kind} is there but does not compute: {trouble}"
    raise SetupError(
        f"no device computes, not even the processor: {note}.", hint="The installed torch is broken: install it again."
    )


def _named(wanted: str, kinds: tuple[str, ...]) -> torch.device:
    choices = f"Set device to auto or to one of: {', '.join(kinds)}."
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise SetupError(
            f"device {wanted!r} is not known; expected auto, cpu, cuda, cuda:1, mps or xpu.", hint=choices
        ) from None
    if device.type not in kinds:
        raise SetupError(
            f"device {wanted!r} is not on this machine, or the installed torch build cannot use it.", hint=choices
        )
    if device.type in ("cuda", "xpu"):
        count = getattr(torch, device.type).device_count()
        if (device.index or 0) >= count:
            raise SetupError(
                f"device {wanted!r} is not there: this machine has {count} of {device.type}, counted from 0.",
                hint=choices,
            )
        return torch.device(device.type, device.index or 0)
    return torch.device(device.type)


def _trial(device: torch.device) -> str:
    """Why a device does not compute: a driver too old for the build or a chip it has no kernels for shows at the
    first use only. Empty: it does.
    """
    try:
        ones = torch.ones(8, 8, device=device)
        return "" if float((ones @ ones).sum().cpu()) == 512.0 else "a product of two matrices came out wrong"
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        return str(error).strip().split("\n")[0] or type(error).__name__


def _describe(device: torch.device, note: str = "") -> Device:
    return Device(device, suited_dtype(device.type, _has_bf16(device)), _name(device), note)


def suited_dtype(kind: str, has_bf16: bool) -> torch.dtype:
    """The precision to compute in.

    bf16 where the chip has it, since its range is that of fp32 and no stage overflows; else fp16. A CPU computes in
    fp32 although many have bf16 instructions: those that have them gain less than twice, those that lack them emulate
    them slowly, and the rounding differs between them, while a picture made on a CPU should be the same on the next
    one.
    """
    if kind == "cpu":
        return torch.float32
    return torch.bfloat16 if has_bf16 else torch.float16


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return False
    try:
        torch.ones(2, 2, device=device, dtype=torch.bfloat16).matmul(
            torch.ones(2, 2, device=device, dtype=torch.bfloat16)
        )
    except (RuntimeError, TypeError):
        return False
    return True


def _name(device: torch.device) -> str:
    if device.type in ("cuda", "xpu"):
        return str(getattr(torch, device.type).get_device_name(device))
    return processor_name()


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's model, as its maker writes it where the system tells."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or platform.machine() or "cpu"


def configure_torch(settings: Settings) -> None:
    """Set threads and repeatability of the whole process. To be called before anything computes."""
    torch.set_num_threads(usable_cores())
    if settings.deterministic:
        # "error": an operation that cannot repeat exactly must fail rather than break the promise. This is
        # use_deterministic_algorithms(True) without its import of the compiler, which takes seconds.
        torch.set_deterministic_debug_mode("error")
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False


def configure_environment(settings: Settings, environ: dict[str, str] | None = None) -> None:
    """Environment variables that libraries read when they are imported: call it before they are. Nothing reports
    home; offline means offline.
    """
    environment = os.environ if environ is None else environ
    environment["HF_HUB_DISABLE_TELEMETRY"] = "1"
    environment["DO_NOT_TRACK"] = "1"
    if settings.offline:
        environment["HF_HUB_OFFLINE"] = "1"
        environment["TRANSFORMERS_OFFLINE"] = "1"
    if settings.deterministic:
        # cuBLAS picks among algorithms by its free workspace unless that has a fixed size.
        environment["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"


@contextmanager
def fresh_state(params: Mapping[str, Any]) -> Iterator[None]:
    """One job's view of torch's process-wide state: random generators seeded by the job, and gradient mode and
    default dtype put back.

    Pipelines draw from ``context.generator``; the seeding makes those repeat that draw from the global generators by
    mistake.
    """
    given = params.get("seed")
    seed = given if isinstance(given, int) and given >= 0 else 0
    random.seed(seed)
    _seed_torch(seed)
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed % 2**32)
    gradients, dtype, threads = torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_grad_enabled(gradients)
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)


def _seed_torch(seed: int) -> None:
    """Every global generator of torch that is in use. ``torch.manual_seed`` keeps one more queued call, with its
    stack, for each time it is called before CUDA is.
    """
    torch.default_generator.manual_seed(seed)
    for module in (torch.cuda, torch.xpu):
        if module.is_initialized():
            module.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)
