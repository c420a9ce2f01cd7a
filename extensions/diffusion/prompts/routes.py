"""Styles and wildcards over HTTP, below /ext/diffusion/."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from webui.api import Application

from .styles import FOLDER, Style, StyleBook
from .wildcards import FOLDER as WILDCARDS
from .wildcards import Wildcards


class StyleText(BaseModel):
    """What a style is saved with."""

    model_config = ConfigDict(extra="forbid")

    prompt: str = ""
    negative_prompt: str = ""


class NewName(BaseModel):
    """What a style is called from now on."""

    model_config = ConfigDict(extra="forbid")

    name: str


_FIELDS = ({"name": "prompt", "label": "Prompt"}, {"name": "negative_prompt", "label": "Negative prompt"})
"""The texts of a style, as the page edits them."""


def add(app: Application) -> None:
    """Add the routes to ``app``."""
    book = StyleBook(app.folders(FOLDER))
    wildcards = app.folders(WILDCARDS)

    def listed() -> dict[str, Any]:
        own = book.own_names()
        entries = [{**vars(style), "own": style.name in own} for style in book.all()]
        return {"fields": _FIELDS, "entries": entries, "styles": [vars(style) for style in book.all()]}

    def save(name: str, text: StyleText) -> dict[str, Any]:
        style = Style(" ".join(name.split()), text.prompt, text.negative_prompt)
        book.save(style)
        return vars(style)

    def rename(name: str, new: NewName) -> dict[str, Any]:
        return vars(book.rename(name, " ".join(new.name.split())))

    def delete(name: str) -> dict[str, Any]:
        book.delete(name)
        return {"deleted": name}

    def wildcard_names() -> dict[str, Any]:
        return {"wildcards": Wildcards(wildcards).names()}

    base = "/ext/diffusion"
    for path, method, run in (
        (f"{base}/styles", "GET", listed),
        (f"{base}/styles/{{name}}", "PUT", save),
        (f"{base}/styles/{{name}}", "DELETE", delete),
        (f"{base}/styles/{{name}}/rename", "POST", rename),
        (f"{base}/wildcards", "GET", wildcard_names),
    ):
        app.http.add_api_route(path, run, methods=[method], include_in_schema=False)
