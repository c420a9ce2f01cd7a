"""The place beside each form where its jobs are watched; ``static/viewer.js`` draws it from the job's event stream."""

from __future__ import annotations

from typing import Any

import gradio as gr

_ON_LOAD = "Lifelike.viewer.mount(element, props, trigger, watch); /* sends 'apply' and 'hand' */"


def build(slug: str, pipeline: str) -> Any:
    """A component whose value is an answer of ``forms.Form``; its event ``apply`` carries what is put into the form,
    ``hand`` the pipeline that what is set there goes to."""
    return gr.HTML(
        value="",
        html_template="<div class='ll-viewer'></div>",
        js_on_load=_ON_LOAD,
        apply_default_css=False,
        elem_id=f"viewer-{slug}",
        elem_classes="ll-stage",
        form=slug,
        pipeline=pipeline,
    )
