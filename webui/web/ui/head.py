"""The first lines of the page's HTML: what runs before Gradio, so that language and colours come without a flash."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webui import __version__
from webui.core.parameters import FILE_KINDS, Parameter

from . import routes
from .arranging import slug
from .forms import Form
from .shell import BuiltTab, in_order

MAX_EXAMPLES = 6

_HEAD = b"<head>"
_NAME_TAGS = (
    '<meta name="description" content="Lifelike: a studio for generated images that measures how real they look.">'
    '<meta name="color-scheme" content="light dark">'
)


def config(
    tabs: Sequence[BuiltTab], tables: Mapping[str, Mapping[str, str]], locale: str, base: str = ""
) -> dict[str, Any]:
    """What the scripts know from the start, as JSON: languages, tabs, and what each form can take. ``base``: the path
    below which the page is shown.
    """
    forms = [form_config(built, form) for built in tabs for form in built.forms]
    return {
        "version": __version__,
        "base": base,
        "locale": locale,
        "strings": tables,
        "tabs": [f"tab-{one if isinstance(one, str) else slug(one.spec.id)}" for one in in_order(tabs)],
        "forms": forms,
    }


def form_config(built: BuiltTab, form: Form) -> dict[str, Any]:
    """One form as the scripts see it."""
    rows = form.rows
    model = next((row for row in rows if row.kind == "model"), None)
    painted = {row.extra.get("mask") for row in rows if row.kind == "image_mask"}  # in the editor of its picture
    return {
        "slug": form.slug,
        "pipeline": form.spec.id,
        "title": form.spec.title,
        "description": form.spec.description,
        "tab": f"tab-{slug(built.spec.id)}",
        "subtab": f"form-{form.slug}" if f"form-{form.slug}" in built.subtabs else "",
        "labels": {row.name: row.label for row in rows},
        "options": {row.name: named_options(row) for row in rows if row.options},
        "usual": usual(form),
        "images": [
            {"name": row.name, "label": row.label, "kind": row.kind, "rare": row.advanced}
            for row in rows
            if row.kind in ("image", "images", "image_mask") and row.name not in painted
        ],
        "before": next((row.name for row in rows if row.required and row.kind in ("image", "image_mask")), ""),
        "outputs": form.spec.outputs,
        "keeps_work": form.spec.keeps_work,
        "needs_file": any(row.required and row.kind in FILE_KINDS for row in rows),
        "holds": form.held(),
        "takers": [{"pipeline": holder.id, "title": holder.title} for holder, _ in form.takers()],
        "prompts": {
            row.name: {"syntax": row.extra.get("syntax", ""), "negative": bool(row.extra.get("negative"))}
            for row in rows
            if row.kind == "prompt" and row.extra.get("tokens")
        },
        "seed": next((row.name for row in rows if row.kind == "seed"), ""),
        "models": model.source.split("|") if model else [],
        "model": str(form.defaults.get(model.name) or "") if model else "",
        "needs_model": model is not None and not form.defaults.get(model.name),
        "model_folder": form.model_folder(model) if model else "",
        "sizes": form.model_sizes(),
        "examples": [dict(one) for one in form.examples()[:MAX_EXAMPLES]],
    }


def named_options(row: Parameter) -> dict[str, str]:
    """Of a choice: value -> label, where they differ."""
    return {value: label for value, label in row.options if label != value}


def usual(form: Form) -> dict[str, Any]:
    """Values of rare settings that a picture's description leaves out: those that they have by themselves."""
    return {row.name: row.default for row in form.rows if row.advanced and row.kind not in FILE_KINDS}


def first_lines(values: Mapping[str, Any]) -> bytes:
    """HTML for the beginning of the head."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), default=str)
    # "</script" and "<!--" would end or change the script element they stand in.
    safe = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    base = str(values.get("base", ""))
    styles = "".join(f'<link rel="stylesheet" href="{base}{routes.address(name)}">' for name in routes.STYLES)
    scripts = "".join(f'<script src="{base}{routes.address(name)}"></script>' for name in routes.SCRIPTS)
    icon = f'<link rel="icon" type="image/svg+xml" href="{base}{routes.address("mark.svg")}">'
    return f"{_NAME_TAGS}{icon}{styles}<script>window.LIFELIKE={safe};</script>{scripts}".encode()


class HeadFirst:
    """ASGI middleware around Gradio: puts ``lines`` at the beginning of the head of its page, and nowhere else."""

    def __init__(self, app: ASGIApp, lines: bytes) -> None:
        self._app = app
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD") or not _is_page(scope):
            await self._app(scope, receive, send)
            return
        start: Message = {}
        body = bytearray()

        async def gather(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            if message["type"] != "http.response.body":
                await send(message)
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body", False):
                await self._send_changed(start, bytes(body), send)

        await self._app(scope, receive, gather)

    async def _send_changed(self, start: Message, body: bytes, send: Send) -> None:
        headers = MutableHeaders(raw=start["headers"])
        if headers.get("content-type", "").startswith("text/html"):
            body = body.replace(_HEAD, _HEAD + self._lines, 1)
            if "content-length" in headers:
                headers["content-length"] = str(len(body))
            headers["cache-control"] = "no-store"
        await send(start)
        await send({"type": "http.response.body", "body": body})


def _is_page(scope: Scope) -> bool:
    path = str(scope["path"])
    root = str(scope.get("root_path", ""))
    return (path[len(root) :] if root and path.startswith(root) else path) in ("", "/")
