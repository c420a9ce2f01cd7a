"""Sweeps over the parameters of any pipeline. This module only declares; the work is imported in the worker."""

from __future__ import annotations

from collections.abc import Iterable

from webui.api import PipelineSpec, SettingsSpec, TabSpec, hookimpl

from .accepting import accept
from .params import SweepParams, SweepSettings


@hookimpl
def register_pipelines() -> Iterable[PipelineSpec]:
    return [
        PipelineSpec(
            id="sweep.grid",
            title="Sweep",
            params=SweepParams,
            run="extensions.sweep.sweep:Sweep",
            tab="sweep",
            description="Any pipeline over many values of up to three of its parameters: labelled grids and a table.",
            accept=accept,
            keeps_work=True,
            examples=(
                {
                    "title": "Steps and guidance",
                    "pipeline": "diffusion.txt2img",
                    "x": "steps",
                    "x_values": "5, 10, 20",
                    "y": "guidance_scale",
                    "y_values": "1-7 (+3)",
                    "params": {"prompt": "a woman with red hair, smiling"},
                },
                {
                    "title": "Quality against guidance",
                    "pipeline": "diffusion.txt2img",
                    "x": "guidance_scale",
                    "x_values": "1, 2, 4, 7",
                    "params": {"prompt": "a smiling person with red hair"},
                    "pictures": 16,
                    "scores": ["metrics.prompt_accuracy", "metrics.fd"],
                    "real": "drawn:any?style=flat",
                },
            ),
        )
    ]


@hookimpl
def register_tabs() -> Iterable[TabSpec]:
    return [TabSpec("sweep", "Sweep", order=60)]


@hookimpl
def register_settings() -> Iterable[SettingsSpec]:
    return [SettingsSpec("sweep", "Sweep", SweepSettings)]
