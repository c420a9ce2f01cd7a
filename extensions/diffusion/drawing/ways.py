"""From what a job asks of guidance to the denoiser that answers so: only what the pipeline does not do by itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from extensions.diffusion.compute import guiding
from extensions.diffusion.compute.speed import Speed
from extensions.diffusion.compute.weakening import Weakening
from extensions.diffusion.models.guidance import Call
from extensions.diffusion.params import Drawn


def guide(
    pipe: Any,
    call: Call,
    components: Mapping[str, Any],
    params: Drawn,
    speed: Speed,
    *,
    count: int,
    steps: int,
    say: Callable[[str], None],
) -> Callable[[], None]:
    """Have the denoiser of ``pipe`` answer by the job's way of guidance, for ``count`` pictures of ``steps`` steps. The
    answer is to be called before each run of the call. ``say``: tells what is left out.
    """
    way = _way(call.arguments.get("guidance_scale"), type(pipe).__call__, params, speed, say)
    if way is None:
        return lambda: None
    if not guiding.takes(type(pipe).__name__):
        say(f"{type(pipe).__name__} has its own guidance alone: the method was ignored.")
        return lambda: None
    name = "unet" if hasattr(pipe, "unet") else "transformer"
    guided = guiding.Guided(
        getattr(pipe, name),
        way,
        count,
        flow=type(pipe.scheduler).__name__.startswith("FlowMatch"),
        steps=lambda: int(getattr(pipe, "num_timesteps", 0) or steps),
        denoiser=components.get(name),
    )
    setattr(pipe, name, guided)
    return guided.restart


def _way(
    scale: float | None, called: Any, params: Drawn, speed: Speed, say: Callable[[str], None]
) -> guiding.Way | None:
    """None where the pipeline itself does all that was asked for."""
    weakening = None
    if params.perturbation != "none" and params.perturbation_scale:
        if speed.step_cache or speed.step_forecast or speed.compiled:
            say(
                "A model that is compiled, or whose steps are reused, cannot be made worse: that guidance was left out."
            )
        else:
            start, end = sorted((params.perturbation_start, params.perturbation_end))
            weakening = Weakening(params.perturbation, params.perturbation_scale, start, end)
    guides = scale is not None and scale > 1
    method = params.guidance_method if guides else guiding.PLAIN
    own = "guidance_rescale" in inspect.signature(called).parameters
    rescale = params.guidance_rescale if guides else 0.0
    if method == guiding.PLAIN and weakening is None and (own or not rescale):
        return None
    return guiding.Way(method, float(scale or 1.0), rescale, weakening)
