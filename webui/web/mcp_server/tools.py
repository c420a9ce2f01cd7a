"""Pipelines as an assistant sees them: a name, a description and a JSON Schema, all from the one declaration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mcp_types import Tool, ToolAnnotations

from webui.core.parameters import FILE_KINDS, Parameter, describe
from webui.core.specs import PipelineSpec

_FILE = "A data URL, base64, or artifact:<id> of something made here."
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_-]")


def tool_name(pipeline: str) -> str:
    """A pipeline's id in the letters that every client takes: ``diffusion.txt2img`` is ``diffusion_txt2img``."""
    return _NOT_A_NAME.sub("_", pipeline)[:64]


def tool_of(spec: PipelineSpec) -> Tool:
    description = " ".join(filter(None, [f"{spec.title}.", spec.description, f"Makes: {spec.outputs}."]))
    return Tool(
        name=tool_name(spec.id),
        title=spec.title,
        description=description,
        input_schema=schema_of(spec),
        annotations=ToolAnnotations(title=spec.title, read_only_hint=False, destructive_hint=False),
    )


def schema_of(spec: PipelineSpec) -> dict[str, Any]:
    """The parameters' JSON Schema without what only a form reads."""
    schema = spec.params.model_json_schema()
    rows = {row.name: row for row in describe(spec.params)}
    properties = {name: _property(body, rows[name]) for name, body in schema.get("properties", {}).items()}
    said = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**said, "required": schema["required"]} if schema.get("required") else said


def _property(body: Mapping[str, Any], row: Parameter) -> dict[str, Any]:
    said = {key: value for key, value in body.items() if key != "widget"}
    further = []
    if row.kind in FILE_KINDS:
        further.append(_FILE)
    if row.options and any(value != label for value, label in row.options):
        further.append("; ".join(f"{value}: {label}" for value, label in row.options))
    if further:
        said["description"] = " ".join([str(said.get("description", "")), *further]).strip()
    return said
