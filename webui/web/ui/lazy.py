"""A form whose components are made when it is first looked at: a page of all forms at once is slow to open.

Gradio makes a tab's content in the browser when the tab is first shown; a small component in the form's place says so
then, and the server makes the form for this page alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import gradio as gr
from gradio.context import LocalContext

from .forms import Form

_ON_LOAD = "Lifelike.forms.await(element, props, trigger); /* sends 'show' */"


def build(form: Form, mark: Callable[[Iterable[Any]], None]) -> None:
    """Put a place for ``form`` into the open Blocks. ``mark`` is given its components each time they are made."""
    place = gr.HTML(
        value="",
        html_template="<div class='ll-awaited' aria-busy='true'></div>",
        js_on_load=_ON_LOAD,
        apply_default_css=False,
        elem_id=f"await-{form.slug}",
        form=form.slug,
    )

    # An HTML's own events are no listeners of the kind that gr.render takes; it needs no more of one than this.
    shown = SimpleNamespace(__self__=place, has_trigger=True, event_name="show", callback=None)

    def make() -> None:
        # Each page has components of its own: a form keeps hold of those that it built.
        fresh = form.again()
        config = LocalContext.blocks_config.get(None)
        before = set(config.blocks) if config else set()
        fresh.build()
        if config:
            mark([block for number, block in config.blocks.items() if number not in before])

    gr.render(triggers=[shown], queue=False, show_progress="hidden", trigger_mode="once")(make)
