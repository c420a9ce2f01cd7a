"""Collects every text of the page that a person reads, for the test of translations."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from webui.core.parameters import describe
from webui.core.specs import PipelineSpec, TabSpec
from webui.web.ui import i18n, routes
from webui.web.ui.shell import OWN_TABS
from webui.web.ui.values import form_help

_CALL = re.compile(r'\bt\(\s*"((?:[^"\\]|\\.)*)"')
_SAID = re.compile(r'"said": "([^"]+)"')
NAMES = {"Lifelike", "Language · 语言"}
"""The same in every language."""


def of_scripts() -> set[str]:
    """What our own scripts say, wherever ``t`` is called with a text."""
    found: set[str] = set()
    for name in routes.SCRIPTS:
        found.update(
            json.loads(f'"{text}"') for text in _CALL.findall((routes.STATIC / name).read_text(encoding="utf-8"))
        )
    forms = (routes.STATIC.parent / "forms.py").read_text(encoding="utf-8")
    return (
        found
        | set(_SAID.findall(forms))
        | set(OWN_TABS.values())
        | {"image", "video", "audio", "table", "plot", "file", "scalar"}
    )


def of_declarations(pipelines: Iterable[PipelineSpec], tabs: Iterable[TabSpec]) -> set[str]:
    """Titles, labels, hints, groups and options of pipelines and tabs."""
    found = {tab.title for tab in tabs}
    for spec in pipelines:
        found.add(spec.title)
        for row in describe(spec.params):
            found |= {row.label, form_help(row), row.group, str(row.extra.get("placeholder") or "")}
            found |= {label for value, label in row.options if label != value}
    return {text for text in found if text}


def of_field_errors(folders: Iterable[Path]) -> set[str]:
    """Messages of ``FieldError``, and of what makes one, with {} for each value; not those of other programs' clients,
    of the command line, and those that are another error's own.
    """
    found: set[str] = set()
    for path in (one for folder in folders for one in folder.rglob("*.py")):
        if {"tests", "sdapi", "cli"} & set(path.parts):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("FieldError", "_wrong"):
                found |= {
                    text for text in _templates(node.args[1] if len(node.args) > 1 else None) if text.strip("{}: ")
                }
    return found


def of_warnings(folders: Iterable[Path]) -> set[str]:
    """Texts of ``context.warn``, as they are written, with {} for each value; not those that are another's words."""
    found: set[str] = set()
    for path in (one for folder in folders for one in folder.rglob("*.py") if "tests" not in one.parts):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("warn", "_warn") and node.args:
                found |= _templates(node.args[0])
    return found


def _templates(node: ast.AST | None) -> set[str]:
    """A text of the source with {} for what is filled in; nothing where it is another's."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    if isinstance(node, ast.JoinedStr):
        return {"".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)}
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return {left + "{}" for left in _templates(node.left)}
    return set()


def of_blocks(blocks: Any) -> set[str]:
    """Labels and buttons in a built page."""
    return i18n.texts(blocks)
