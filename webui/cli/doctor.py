"""``doctor``: versions, device, attention with why not, disk, extension states; what to send along with a question."""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from webui import __version__
from webui.app import build_studio
from webui.cli.options import add_host_options, settings_from
from webui.core.settings import Settings

PACKAGES = (
    "torch", "torchvision", "diffusers", "transformers", "accelerate", "peft", "safetensors", "xformers", "gradio",
    "fastapi", "pluggy", "pydantic", "numpy", "pillow",
)  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Exit status 1 when something is wrong that stops the studio from working."""
    parser = argparse.ArgumentParser(prog="launch.py doctor", allow_abbrev=False, description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_host_options(parser)
    given = parser.parse_args(list(arguments))
    report = examine(settings_from(given))
    print(json.dumps(report, indent=2) if given.json else _text(report))
    return 0 if not report["problems"] else 1


def examine(settings: Settings) -> dict[str, Any]:
    """Everything that is worth knowing, JSON-ready."""
    studio = build_studio(settings)
    problems: list[str] = []
    versions = {name: _version(name) for name in PACKAGES}
    problems += [
        f"{name} is not installed: python launch.py setup"
        for name in ("torch", "diffusers", "gradio")
        if not versions[name]
    ]
    device, attention, chosen = _device(settings, problems)
    models = studio.catalog.entries()
    if not any(entry.kind == "text_to_image" and not entry.problem for entry in models):
        problems.append("there is no text-to-image model in " + ", ".join(map(str, settings.models_dirs)))
    free = shutil.disk_usage(_existing(settings)).free
    if free < 2**30:
        problems.append(f"only {free / 2**20:.0f} MiB are free where {settings.data_dir} lies")
    return {
        "lifelike": __version__,
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "packages": versions,
        "device": device,
        "attention": attention,
        "attention_chosen": chosen,
        "data_dir": str(settings.data_dir),
        "disk_free_bytes": free,
        "models": len(models),
        "models_with_problems": [{"ref": entry.ref, "problem": entry.problem} for entry in models if entry.problem],
        "extensions": [
            {"id": record.id, "version": record.version, "state": record.state, "stage": record.stage, "reason":
            record.reason}
            for record in studio.host.extensions
        ],
        "problems": problems,
    }  # fmt: skip


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


Rows = list[dict[str, Any]]


def _device(settings: Settings, problems: list[str]) -> tuple[dict[str, Any], Rows, Rows]:
    """The device as the worker would choose it, its attention backends, and what was measured to be the fastest for
    models. One that cannot be used is a problem, not a crash of the doctor.
    """
    try:
        from webui.engine.attention import choices, probe
        from webui.engine.device import choose_device, device_status
        from webui.engine.findings import FindingsFile, findings_path
        from webui.engine.results import library_versions
        from webui.engine.work import estimates_path

        device = choose_device(settings)
        status = device_status(device).model_dump(mode="json")
        reports = probe(device)
        place = findings_path(estimates_path(settings.data_dir, device.name, library_versions()), "attention")
        chosen = choices(FindingsFile(place))
    except Exception as error:  # whatever is broken in an installation of torch is exactly what is asked for
        problems.append(f"the device cannot be used: {type(error).__name__}: {error}")
        return {}, [], []
    told = [{"name": one.name, "usable": one.usable, "code": one.code, "reason": one.reason} for one in reports]
    return status, told, [one.model_dump(mode="json") for one in chosen]


def _existing(settings: Settings) -> str:
    place = settings.data_dir
    while not place.exists():
        place = place.parent
    return str(place)


def _text(report: dict[str, Any]) -> str:
    lines = [f"Lifelike {report['lifelike']}, Python {report['python']}, {report['system']}", "", "Packages"]
    lines += [f"  {name:<13} {version or 'not installed'}" for name, version in report["packages"].items()]
    device = report["device"]
    lines += ["", "Device", f"  {device.get('name', 'none')} ({device.get('kind', '?')}, {device.get('dtype', '?')})"]
    lines += ["", "Attention"]
    lines += [
        f"  {one['name']:<18} {'yes' if one['usable'] else 'no: ' + one['reason']}" for one in report["attention"]
    ]
    for one in report["attention_chosen"]:
        ratios = ", ".join(f"{name} {ratio:.2f}" for name, ratio in sorted(one["ratios"].items()))
        lines.append(f"  {one['backend']} for {one['model']} (seconds to torch's own: {ratios})")
    lines += ["", "Disk", f"  {report['disk_free_bytes'] / 2**30:.1f} GiB free for {report['data_dir']}"]
    lines += ["", "Extensions"]
    for one in report["extensions"]:
        lines.append(f"  {one['id']:<16} {one['version']:<8} {one['state']} {one['reason']}".rstrip())
    lines += ["", f"Models: {report['models']}"]
    lines += [f"  {one['ref']}: {one['problem']}" for one in report["models_with_problems"]]
    lines += ["", "Problems" if report["problems"] else "No problem found."]
    lines += [f"  {problem}" for problem in report["problems"]]
    return "\n".join(lines)
