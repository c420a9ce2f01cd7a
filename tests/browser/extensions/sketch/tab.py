"""Two tabs of the test's own making; the second cannot be built."""

from __future__ import annotations

import gradio as gr

from webui.api import TabContext


def build(context: TabContext) -> None:
    gr.Markdown("A tab of its own", elem_id="own-words")
    context.form("sketch.draw")


def build_broken(context: TabContext) -> None:
    with gr.Row():
        gr.Markdown("before")
        raise RuntimeError("this tab breaks while it is built")
