"""The routes of model memory: what is where and who holds it; pin, unload, budget."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from webui.core.errors import Conflict, FieldError, NotFound, ParameterError
from webui.core.jobs import BudgetCommand, MemoryCommand, PinCommand, UnloadCommand
from webui.core.memory import AttentionBackend, AttentionChoice, EntryMemory, MemorySnapshot
from webui.web.services import Services


class EntryView(BaseModel):
    """One component of a model in a worker's memory."""

    id: str = Field(description="Names it in the routes that pin and unload")
    model: str = Field(description="The model it belongs to, below its models folder")
    component: str
    dtype: str
    state: str = Field(description="absent, loading, ram, moving, device or failed")
    ram_bytes: int
    device_bytes: int
    holders: int = Field(description="Jobs that use it now")
    hits: int = Field(description="How often it was wanted and there")
    load_s: float = Field(description="Seconds its last load from disk took")
    move_s: float = Field(description="Seconds its last move to the device took")
    pinned: bool


class WorkerMemoryView(BaseModel):
    """A worker's device and what its models take; null figures: the device does not say."""

    worker: str
    device: str
    kind: str
    total_bytes: int | None
    free_bytes: int | None
    reserved_bytes: int
    allocated_bytes: int
    budget_bytes: int | None = Field(description="Most bytes of models and their work; null: all that the device has")
    ram_budget_bytes: int
    device_models_bytes: int
    ram_models_bytes: int
    work_bytes: int = Field(description="Set aside for what is computed now")
    loads: int
    moves: int
    evictions: int
    ooms: int = Field(description="How often memory ran out and a sparer way was taken")
    attention: str = Field(description="How attention is computed, where the worker said so")
    attention_choices: list[AttentionChoice] = Field(description="What was measured for models on their own shapes")
    attention_backends: list[AttentionBackend] = Field(
        description="Every way, and why not; empty until they were tried, after the first job"
    )
    entries: list[EntryView]


class MemoryView(BaseModel):
    workers: list[WorkerMemoryView] = Field(description="Those that told of their memory; none before the first model")


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    worker: str = Field(default="", description="Name of the worker; empty for all")


class PinOrder(_Order):
    entry: str = Field(description="Id of the component")
    pinned: bool = True


class UnloadOrder(_Order):
    entry: str = Field(default="", description="Id of the component; empty: all that no job uses and nobody pinned")


class BudgetOrder(_Order):
    budget_bytes: int = Field(ge=0, description="0: as the settings say")


class Told(BaseModel):
    """An order is passed on and obeyed as soon as nothing stands against it; `GET /memory` shows what came of it."""

    workers: int = Field(description="Workers that were told")


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["memory"])

    def tell(command: MemoryCommand, worker: str, entry: str = "") -> Told:
        memories = {name: memory for name, memory, _ in _memories(services)}
        if worker and worker not in (row["name"] for row in services.jobs.workers()):
            raise NotFound(f"there is no worker {worker!r}.", hint="GET /api/v1/memory names them.")
        known = {one.id for memory in memories.values() for one in memory.entries}
        if entry and entry not in known:
            raise NotFound("there is no such component in memory.", hint="GET /api/v1/memory lists what there is.")
        told = services.jobs.tell_workers(command, worker)
        if not told:
            raise Conflict("no worker runs, so there are no models in memory.", hint="The first job starts one.")
        return Told(workers=told)

    @routes.get("/memory", summary="What models take, where, and who holds them")
    def memory() -> MemoryView:
        roots = services.settings.models_dirs
        return MemoryView(workers=[_view(*row, roots) for row in _memories(services)])

    @routes.put("/memory/pin", status_code=202, summary="Keep a component in memory, or no longer")
    def pin(order: PinOrder) -> Told:
        return tell(PinCommand(entry_id=order.entry, pinned=order.pinned), order.worker, order.entry)

    @routes.post("/memory/unload", status_code=202, summary="Give up a component, or all that are idle")
    def unload(order: UnloadOrder) -> Told:
        return tell(UnloadCommand(entry_id=order.entry), order.worker, order.entry)

    @routes.put("/memory/budget", status_code=202, summary="Bound what models may take, until the server ends")
    def budget(order: BudgetOrder) -> Told:
        totals = [memory.total_bytes for _, memory, _ in _memories(services) if memory.total_bytes]
        if totals and order.budget_bytes > max(totals):
            raise ParameterError(
                [FieldError("budget_bytes", f"is more than the device has, {max(totals)}", str(order.budget_bytes))]
            )
        return tell(BudgetCommand(budget_bytes=order.budget_bytes), order.worker)

    return routes


def _memories(services: Services) -> list[tuple[str, MemorySnapshot, str]]:
    """Worker, its memory, its attention backend; of those that told."""
    return [
        (row["name"], row["memory"], row["device"].attention if row["device"] else "")
        for row in services.jobs.workers()
        if row["memory"] is not None and row["state"] != "stopped"
    ]


def _view(worker: str, memory: MemorySnapshot, attention: str, roots: Sequence[Path]) -> WorkerMemoryView:
    said: dict[str, Any] = memory.model_dump(exclude={"entries", "attention"})
    entries = [EntryView(model=model_name(one, roots), **one.model_dump(exclude={"path"})) for one in memory.entries]
    entries.sort(key=lambda one: (one.model, -one.device_bytes - one.ram_bytes, one.component))
    return WorkerMemoryView(
        worker=worker, attention=attention, attention_backends=list(memory.attention), entries=entries, **said
    )


def model_name(entry: EntryMemory, roots: Sequence[Path]) -> str:
    """The model's path below its models folder; its last two parts where it lies in none: no path of this machine."""
    path = PurePath(entry.path)
    for root in roots:
        if path.is_relative_to(root.absolute()):
            path = path.relative_to(root.absolute())
            break
    else:
        path = PurePath(*path.parts[-2:]) if len(path.parts) > 2 else path
    folder = path.parent if path.name == entry.component and path.parent.name else path
    return folder.as_posix()
