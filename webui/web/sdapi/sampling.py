"""Samplers and schedules as A1111's clients name them, and as a pipeline declares them."""

from __future__ import annotations

from collections.abc import Sequence

from webui.core.errors import NotFound
from webui.library.infotext import split_sampler
from webui.library.programs import names


def find(wanted: str, offered: Sequence[str]) -> str:
    """The one of ``offered`` that ``wanted`` names, without regard to case; empty where there is none."""
    by_name = {name.casefold(): name for name in offered}
    return by_name.get(wanted.strip().casefold(), "")


def sampling(sampler: str, scheduler: str, samplers: Sequence[str], schedules: Sequence[str]) -> tuple[str, str]:
    """(sampler, schedule) of a pipeline that offers these; empty ones are not stated. Raises NotFound.

    A sampler's name may carry the schedule, as in ``DPM++ 2M Karras``; a schedule of its own goes before that.
    """
    plain, implied = split_sampler(sampler.strip())
    if not implied:
        plain, implied = (plain, "") if find(plain, samplers) else names.sampler(plain)
    found = find(plain, samplers)
    if sampler and not found:
        raise NotFound(f"Sampler not found: {sampler!r}.", hint=f"There are: {', '.join(samplers)}.")
    stated = names.schedule(scheduler)
    if stated.casefold() in ("", "automatic") and implied:
        stated = implied
    schedule = find(stated, schedules)
    if stated and not schedule:
        raise NotFound(f"Scheduler not found: {stated!r}.", hint=f"There are: {', '.join(schedules)}.")
    return found, schedule


def code_of(schedule: str) -> str:
    """A schedule's name as A1111 has it in code: ``SGM Uniform`` is ``sgm_uniform``."""
    return "ddim" if schedule == "DDIM" else schedule.lower().replace(" ", "_")
