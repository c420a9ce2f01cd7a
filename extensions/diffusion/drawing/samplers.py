"""From the sampler and schedule that people know by name to a diffusers scheduler made fresh for one job."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from extensions.diffusion.params import SAMPLERS, SCHEDULES
from webui.api import ModelError


@dataclass(frozen=True)
class Sampler:
    """A diffusers scheduler class and what is set on it. ``flow``: it can follow a flow-matching model as well."""

    class_name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    flow: bool = False
    schedules: bool = True
    """Whether it has schedules to choose from: consistency samplers bring their own."""


_NAMED: Mapping[str, Sampler] = {
    "Euler": Sampler("EulerDiscreteScheduler"),
    "Euler a": Sampler("EulerAncestralDiscreteScheduler"),
    "DPM++ 2M": Sampler("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "solver_order": 2}, flow=True),
    "DPM++ 2M SDE": Sampler(
        "DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_order": 2}, flow=True
    ),
    "DPM++ SDE": Sampler("DPMSolverSinglestepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_order": 2}),
    "DPM++ 2S": Sampler("DPMSolverSinglestepScheduler", {"algorithm_type": "dpmsolver++", "solver_order": 2}),
    "DPM++ 3M": Sampler("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "solver_order": 3}, flow=True),
    "DDIM": Sampler("DDIMScheduler"),
    "UniPC": Sampler("UniPCMultistepScheduler", flow=True),
    "LCM": Sampler("LCMScheduler", schedules=False),
    "TCD": Sampler("TCDScheduler", schedules=False),
    "Heun": Sampler("HeunDiscreteScheduler"),
    "DPM2": Sampler("KDPM2DiscreteScheduler"),
    "DPM2 a": Sampler("KDPM2AncestralDiscreteScheduler"),
    "LMS": Sampler("LMSDiscreteScheduler"),
    # Without its Runge-Kutta warm-up, PNDM is the PLMS sampler that checkpoints were published with.
    "PNDM": Sampler("PNDMScheduler", {"skip_prk_steps": True}),
    "DEIS": Sampler("DEISMultistepScheduler", flow=True),
    "DDPM": Sampler("DDPMScheduler"),
}

_FLOW_NAMED: Mapping[str, Sampler] = {
    "Euler": Sampler("FlowMatchEulerDiscreteScheduler", flow=True),
    "LCM": Sampler("FlowMatchLCMScheduler", flow=True, schedules=False),
}
"""Classes made for flow matching, under the names of their counterparts."""

_CONSISTENCY = ("LCMScheduler", "TCDScheduler", "FlowMatchLCMScheduler")

_SCHEDULES: Mapping[str, Mapping[str, Any]] = {
    "Automatic": {},
    "Karras": {"use_karras_sigmas": True},
    "Exponential": {"use_exponential_sigmas": True},
    "Beta": {"use_beta_sigmas": True},
    "SGM Uniform": {"timestep_spacing": "trailing"},
    "Simple": {"timestep_spacing": "trailing"},
    "Normal": {"timestep_spacing": "linspace"},
    "DDIM": {"timestep_spacing": "leading"},
}

_LATENT_DEFAULTS: Mapping[str, Any] = {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
"""What latent diffusion wants where the model's own scheduler has no say; the classes' defaults are made for pixels."""


def make_scheduler(own: Any, sampler: str = "Automatic", schedule: str = "Automatic") -> Any:
    """A fresh scheduler for one run, made from the model's ``own``. Raises ModelError where the choice does not fit
    the model.
    """
    if sampler == "Automatic":
        chosen = _of_model(own)
        cls = type(own)
    else:
        chosen = _fitting(own, sampler)
        cls = _scheduler_class(chosen.class_name)
    spread = _schedule_changes(cls, _schedules(cls, chosen, flow=_is_flow(own)), sampler, schedule)
    changes = {**_fill(own, cls), **chosen.changes, **_flow_changes(own, cls), **spread}
    return cls.from_config(own.config, **changes)


def samplers_for(own: Any) -> tuple[str, ...]:
    """The samplers that fit a model whose own scheduler this is, in the order of the list."""
    return tuple(name for name in SAMPLERS if name == "Automatic" or _lookup(own, name) is not None)


def schedules_for(own: Any, sampler: str) -> tuple[str, ...]:
    """The schedules that ``sampler`` has for such a model."""
    chosen = _of_model(own) if sampler == "Automatic" else _fitting(own, sampler)
    cls = _scheduler_class(chosen.class_name) if sampler != "Automatic" else type(own)
    return _schedules(cls, chosen, flow=_is_flow(own))


def sampler_name(scheduler: Any) -> str:
    """The known name of a scheduler; its class's name without one."""
    config = scheduler.config
    for table in (_NAMED, _FLOW_NAMED):
        for name, row in table.items():
            if row.class_name == type(scheduler).__name__ and all(config.get(k) == v for k, v in row.changes.items()):
                return name
    return type(scheduler).__name__.removesuffix("Scheduler")


def _is_flow(own: Any) -> bool:
    config = own.config
    return (
        type(own).__name__.startswith("FlowMatch")
        or config.get("prediction_type") == "flow_prediction"
        or bool(config.get("use_flow_sigmas"))
    )


def _of_model(own: Any) -> Sampler:
    name = type(own).__name__
    return Sampler(name, flow=_is_flow(own), schedules=name not in _CONSISTENCY)


def _lookup(own: Any, name: str) -> Sampler | None:
    if _is_flow(own):
        found = _FLOW_NAMED.get(name) or _NAMED.get(name)
        return found if found is not None and found.flow else None
    # A scheduler that lists compatible classes is one of the family that shares the discrete noise schedule.
    if not getattr(type(own), "_compatibles", None) and type(own).__name__ not in _CONSISTENCY:
        return None
    return _NAMED.get(name)


def _fitting(own: Any, name: str) -> Sampler:
    found = _lookup(own, name)
    if found is None:
        kind = "flow matching" if _is_flow(own) else type(own).__name__
        raise ModelError(
            f"Sampler {name!r} does not fit this model, which samples by {kind}.",
            hint="It can use: " + ", ".join(samplers_for(own)) + ".",
        )
    return found


def _scheduler_class(name: str) -> Any:
    import diffusers

    return getattr(diffusers, name)


def _schedules(cls: Any, chosen: Sampler, *, flow: bool) -> tuple[str, ...]:
    if not chosen.schedules or (flow and not cls.__name__.startswith("FlowMatch")):
        # Consistency samplers bring their own; general solvers replace theirs by the model's flow.
        return ("Automatic",)
    known = inspect.signature(cls.__init__).parameters
    return tuple(name for name in SCHEDULES if set(_SCHEDULES[name]) <= set(known))


def _schedule_changes(cls: Any, fitting: tuple[str, ...], sampler: str, schedule: str) -> dict[str, Any]:
    if schedule == "Automatic":
        return {}
    if schedule not in fitting:
        raise ModelError(
            f"Sampler {sampler!r} has no schedule {schedule!r} on this model.", hint=f"It has: {', '.join(fitting)}."
        )
    known = inspect.signature(cls.__init__).parameters
    # One way of spreading excludes the others: a model's own choice must not stay switched on beside it.
    off = {name: False for row in _SCHEDULES.values() for name in row if name.startswith("use_") and name in known}
    return {**off, **_SCHEDULES[schedule]}


def _fill(own: Any, cls: Any) -> dict[str, Any]:
    """Latent diffusion's settings where the model's own scheduler does not state them and the class would take
    another default.
    """
    if cls is type(own):
        return {}
    known = inspect.signature(cls.__init__).parameters
    left_open = set(own.config.get("_use_default_values") or ())
    stated = set(own.config) - left_open
    return {name: value for name, value in _LATENT_DEFAULTS.items() if name in known and name not in stated}


def _flow_changes(own: Any, cls: Any) -> dict[str, Any]:
    known = inspect.signature(cls.__init__).parameters
    if not _is_flow(own) or cls is type(own) or "use_flow_sigmas" not in known:
        return {}
    shift = own.config.get("shift") or own.config.get("flow_shift") or 1.0
    return {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": shift}
