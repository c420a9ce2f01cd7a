"""What clients ask of A1111's scripts: units of ControlNet become our control fields; all others are told of by
name.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from webui.core.errors import NotFound
from webui.core.parameters import Parameter

_CONTROLNET = "controlnet"
_MODULES: Mapping[str, str] = {
    "": "none",
    "none": "none",
    "canny": "canny",
    "lineart": "lineart",
    "lineart_standard": "lineart",
    "scribble_pidinet": "sketch",
    "invert": "invert",
    "tile_resample": "tile",
}
"""Their preprocessors by name (what stands in brackets left off), and ours that do the same."""
_BALANCED = ("", "0", "balanced")


@dataclass
class Scripts:
    """What scripts come to: parameters, and words about what was left out."""

    params: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def read(scripts: Mapping[str, Any], rows: Mapping[str, Parameter], controls: Mapping[str, str]) -> Scripts:
    """``controls``: references of control networks by name. Raises NotFound for one that is not there."""
    found = Scripts()
    for name, script in scripts.items():
        if not _is_active(script):
            continue
        if name.casefold() == _CONTROLNET and "control_1_model" in rows:
            arguments = script.get("args") if isinstance(script, dict) else script
            _control(arguments if isinstance(arguments, list) else [arguments], rows, controls, found)
        else:
            found.warnings.append(f"alwayson_scripts.{name[:80]} was ignored: there is no counterpart here")
    return found


def _is_active(script: Any) -> bool:
    """Whether a client asked for anything: many send a script's name with no arguments, or with False alone."""
    arguments = script.get("args") if isinstance(script, dict) else script
    return bool(arguments) and arguments != [False]


def _control(units: Sequence[Any], rows: Mapping[str, Parameter], controls: Mapping[str, str], found: Scripts) -> None:
    wanted = [unit for unit in units if isinstance(unit, dict) and _is_on(unit)]
    places = list(itertools.takewhile(lambda one: f"control_{one}_model" in rows, itertools.count(1)))
    for number, unit in zip(places, wanted, strict=False):
        module = str(unit.get("module") or "").casefold().partition(" (")[0].strip()
        way = _MODULES.get(module)
        if way is None:
            known = ", ".join(sorted(filter(None, _MODULES)))
            found.warnings.append(
                f"unit {number} of ControlNet was ignored: its preprocessor {module[:40]!r} is not here; send the "
                f"finished map with the module 'none', or use one of {known}"
            )
            continue
        found.params |= {f"control_{number}_{name}": value for name, value in _unit(unit, way, controls).items()}
        if str(unit.get("control_mode", "")).casefold() not in _BALANCED:
            found.warnings.append(
                f"control_mode of unit {number} of ControlNet was ignored: both sides are balanced here"
            )
    if len(wanted) > len(places):
        found.warnings.append(f"units of ControlNet beyond {len(places)} were ignored: {len(wanted) - len(places)}")


def _is_on(unit: Mapping[str, Any]) -> bool:
    model = str(unit.get("model") or "None")
    return bool(unit.get("enabled", True)) and model.casefold() != "none"


def _unit(unit: Mapping[str, Any], way: str, controls: Mapping[str, str]) -> dict[str, Any]:
    name = str(unit["model"]).rpartition(" [")[0] or str(unit["model"])
    ref = controls.get(name) or (name if name in controls.values() else "")
    if not ref:
        known = ", ".join(controls) or "none"
        raise NotFound(f"there is no ControlNet {name[:80]!r}.", hint=f"There are: {known}.")
    given: dict[str, Any] = {"model": ref, "preprocessor": way}
    picture = unit.get("image") or unit.get("input_image")
    if isinstance(picture, dict):
        picture = picture.get("image")
    if picture:
        given["image"] = str(picture)
    numbers = {"weight": "weight", "guidance_start": "start", "guidance_end": "end"}
    given |= {ours: unit[theirs] for theirs, ours in numbers.items() if isinstance(unit.get(theirs), int | float)}
    return given
