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


def add(app: Application) -> None:
    """Add the routes to ``app``."""
    book = StyleBook(app.folders(FOLDER))
    wildcards = app.folders(WILDCARDS)

    def listed() -> dict[str, Any]:
        return {"styles": [vars(style) for style in book.all()]}

    def save(name: str, text: StyleText) -> dict[str, Any]:
        style = Style(" ".join(name.split()), text.prompt, text.negative_prompt)
        book.save(style)
        return vars(style)

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
        (f"{base}/wildcards", "GET", wildcard_names),
    ):
        app.http.add_api_route(path, run, methods=[method], include_in_schema=False)
