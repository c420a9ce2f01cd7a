"""What to do when a computation runs out of the device's memory: one measure after the other, the cheapest first, and
the work is taken up again where it stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")

RUNGS = (
    "drop_idle_stages",
    "vae_slicing",
    "vae_tiling",
    "sliced_attention",
    "split_guidance",
    "split_batch",
    "offload_denoiser",
    "vae_on_cpu",
)
"""What a pipeline may offer, from what costs little to what costs most time. Before them the engine collects garbage,
then evicts all that nobody leases; what the job itself does not need now goes next, since that changes no bit. None of
them changes the picture by more than rounding, tiles aside, whose seams may show.
"""

log = logging.getLogger(__name__)


class OutOfRungs(Exception):
    """All measures were taken. ``taken`` names them, ``said`` is the device's last word."""

    def __init__(self, taken: tuple[str, ...], said: str) -> None:
        super().__init__(said)
        self.taken = taken
        self.said = said


def climb(
    attempt: Callable[[], T],
    knobs: Mapping[str, Callable[[], None]],
    *,
    engine: Mapping[str, Callable[[], None]],
    is_oom: Callable[[BaseException], bool],
    raised: Callable[[str], None],
) -> T:
    """What ``attempt`` gives, called again after each measure until it goes through.

    ``attempt`` goes on from its own state (last latents, generator). ``engine``: measures taken first, in their
    order; ``knobs``: the pipeline's, any of ``RUNGS``. ``raised`` is told each measure before it is taken. Raises
    OutOfRungs, ValueError for an unknown knob, and what else ``attempt`` raises.
    """
    unknown = sorted(set(knobs) - set(RUNGS))
    if unknown:
        raise ValueError(f"unknown knobs {', '.join(unknown)}; expected some of {', '.join(RUNGS)}")
    measures = [*engine.items(), *((name, knobs[name]) for name in RUNGS if name in knobs)]
    taken: list[str] = []
    while True:
        try:
            return attempt()
        except Exception as error:
            if not is_oom(error):
                raise
            said = str(error).split("\n")[0]
        # Outside the block: the traceback, which keeps the failed attempt's tensors alive, is gone.
        if len(taken) == len(measures):
            raise OutOfRungs(tuple(taken), said)
        name, measure = measures[len(taken)]
        taken.append(name)
        log.warning("out of memory; next measure: %s", name)
        raised(name)
        measure()
