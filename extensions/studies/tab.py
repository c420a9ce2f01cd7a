"""The tab: all studies with their live results, the forms of a new one and of an arena, a report."""

from __future__ import annotations

import gradio as gr

from webui.api import TabContext

from .create import DESK_PATH

_DESK = (
    f'<iframe src="{DESK_PATH}" title="Human studies" loading="lazy" '
    'style="width:100%;min-height:420px;border:0;display:block;background:none"></iframe>'
)


def build(context: TabContext) -> None:
    """Called by the page, inside a Blocks of its own."""
    with gr.Tabs(elem_id="ll-sub-studies", elem_classes="ll-subtabs"):
        with gr.Tab("Studies", id="form-studies-desk", elem_id="form-studies-desk"):
            gr.HTML(_DESK, padding=False, elem_id="studies-desk")
        with gr.Tab("New study", id="form-studies-create", elem_id="form-studies-create"):
            context.form("studies.create")
        with gr.Tab("Arena", id="form-studies-arena", elem_id="form-studies-arena"):
            context.form("studies.arena")
        with gr.Tab("Report", id="form-studies-results", elem_id="form-studies-results"):
            context.form("studies.results")
