"""Options that several commands share, and the reading of a pipeline's declared parameters as options."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from webui.core.errors import FieldError, ParameterError
from webui.core.parameters import Parameter
from webui.core.settings import Settings, load_settings


def add_host_options(parser: argparse.ArgumentParser) -> None:
    """Where things are and which extensions load; every option also has a setting and a variable."""
    group = parser.add_argument_group("places and extensions")
    group.add_argument("--data-dir", type=Path, help="where pictures, jobs and settings are kept (default: outputs)")
    group.add_argument(
        "--models-dir",
        type=Path,
        action="append",
        dest="models_dirs",
        help="a further folder of models; may be repeated",
    )
    group.add_argument(
        "--extensions-dir", type=Path, action="append", dest="extensions_dirs", help="a further folder of extensions"
    )
    group.add_argument("--device", help="auto, cpu, cuda, cuda:1, mps or xpu (default: auto)")
    group.add_argument("--offline", action="store_true", default=None, help="never reach a model hub")
    group.add_argument(
        "--deterministic", action="store_true", default=None, help="only algorithms that repeat exactly on this device"
    )
    group.add_argument("--safe-mode", action="store_true", default=None, help="load the built-in extensions alone")
    group.add_argument(
        "--strict-ext", action="store_true", default=None, dest="strict_extensions", help="stop when one does not load"
    )
    group.add_argument(
        "--disable-ext", action="append", metavar="ID", dest="disabled_extensions", help="leave out; may be repeated"
    )


def settings_from(arguments: argparse.Namespace, **overrides: Any) -> Settings:
    """Settings with what the command line says; further folders add to those that are there."""
    defaults = load_settings({"data_dir": arguments.data_dir})
    said = {name: getattr(arguments, name, None) for name in Settings.model_fields}
    for name in ("models_dirs", "extensions_dirs", "disabled_extensions"):
        further = said[name]
        if further:
            said[name] = (*getattr(defaults, name), *further)
    return load_settings({**said, **overrides})


def add_parameters(parser: argparse.ArgumentParser, parameters: Sequence[Parameter]) -> None:
    """An option for each declared parameter. Values stay text: the declaration itself reads and checks them."""
    groups: dict[str, Any] = {}
    for row in parameters:
        if row.kind == "record":
            continue
        title = row.group or "parameters"
        group = groups.setdefault(title, parser.add_argument_group(title))
        help_text = " ".join(filter(None, [row.label + (":" if row.help else ""), row.help, _range(row)]))
        common: dict[str, Any] = {
            "dest": f"param_{row.name}",
            "default": argparse.SUPPRESS,
            "help": help_text.replace("%", "%%"),
        }
        if row.kind == "boolean":
            group.add_argument(row.option, action=argparse.BooleanOptionalAction, **common)
        elif row.kind == "images":
            group.add_argument(row.option, nargs="+", action="extend", metavar="FILE", **common)
        elif row.kind == "dynamic_choices":
            group.add_argument(row.option, nargs="+", action="extend", metavar="NAME", **common)
        else:
            group.add_argument(row.option, metavar=_metavar(row), **common)


def given_parameters(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was given of the options that ``add_parameters`` made."""
    return {name[6:]: value for name, value in vars(arguments).items() if name.startswith("param_")}


def as_options(error: ParameterError, parameters: Sequence[Parameter]) -> ParameterError:
    """The same error with each field under the name of its option."""
    options: Mapping[str, str] = {row.name: row.option for row in parameters}
    fields = [FieldError(options.get(field.name, field.name), field.message, field.got) for field in error.fields]
    return ParameterError(fields, hint=error.hint)


def _metavar(row: Parameter) -> str:
    if row.options:
        return "NAME"
    kinds = {
        "integer": "N",
        "seed": "N",
        "size": "PIXELS",
        "number": "X",
        "model": "MODEL",
        "image": "FILE",
        "file": "FILE",
    }
    return kinds.get(row.kind, "FILE" if row.kind in ("image_mask", "audio") else "TEXT")


def _range(row: Parameter) -> str:
    parts = []
    if row.options:
        parts.append("one of " + ", ".join(value for value, _ in row.options))
    elif row.kind in ("integer", "number", "size") and row.minimum is not None and row.maximum is not None:
        parts.append(f"{row.minimum:g} to {row.maximum:g}")
    if row.required:
        parts.append("required")
    elif row.default is None and row.auto is not None and "model's own" not in row.help:
        parts.append(f"default: the model's own, else {row.auto}")
    elif row.default not in (None, "", ()):
        parts.append(f"default: {row.default}")
    return f"({'; '.join(parts)})" if parts else ""
