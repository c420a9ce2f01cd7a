"""Parts of the page showing what the HTTP interface says: header, gallery, queue, extensions; drawn by ``static/``."""

from __future__ import annotations

from typing import Any

import gradio as gr


def header() -> Any:
    """Name, state of the application, language, dark or light, help."""
    return _panel("header", "ll-header")


def gallery() -> Any:
    """Everything that was made."""
    return _panel("gallery", "ll-gallery")


def queue() -> Any:
    """Every job and its state."""
    return _panel("queue", "ll-queue")


def extensions() -> Any:
    """Every extension, what became of it and why."""
    return _panel("extensions", "ll-extensions")


def failed_tab(title: str, reason: str) -> Any:
    """In place of a tab that could not be built."""
    return _panel("failedTab", "ll-failed-tab", title=title, reason=reason)


def _panel(name: str, classes: str, **props: Any) -> Any:
    return gr.HTML(
        value="",
        html_template="<div></div>",
        js_on_load=f"Lifelike.{name}.mount(element, props)",
        apply_default_css=False,
        elem_id=f"ll-{name.lower()}",
        elem_classes=classes,
        **{f"data_{key}": value for key, value in props.items()},
    )
