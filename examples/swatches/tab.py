"""The tab: words of its own above the declared form. Only this module imports gradio."""

from __future__ import annotations

import gradio as gr

from webui.api import TabContext


def build(context: TabContext) -> None:
    gr.Markdown("A swatch is a picture of one colour: a ground to paint on, or a reference for colours.")
    for spec in context.pipelines:
        context.form(spec.id)
