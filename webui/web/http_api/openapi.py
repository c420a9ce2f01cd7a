"""The OpenAPI document: FastAPI's, with each pipeline's parameters as a component and as an alternative of POST
/jobs.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from webui.core.specs import PipelineSpec
from webui.web.services import Services

from .errors import Problem
from .views import PREFIX

_REF = "#/components/schemas/"


def install(app: FastAPI, services: Services) -> None:
    """Make ``app.openapi()`` answer the whole document, made on the first request for it."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            _add_pipelines(document, list(services.host.pipelines.values()))
            _add_problems(document)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents for extending the document


def _add_pipelines(document: dict[str, Any], specs: list[PipelineSpec]) -> None:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for spec in specs:
        schemas.update(_components(spec))
    choices = [f"{_REF}job.{spec.id}" for spec in specs]
    request: dict[str, Any] = {
        "oneOf": [{"$ref": ref} for ref in choices],
        "discriminator": {"propertyName": "pipeline", "mapping": {spec.id: f"{_REF}job.{spec.id}" for spec in specs}},
    }
    schemas["JobRequest"] = request if specs else {"type": "object"}
    body = {"$ref": f"{_REF}JobRequest"}
    document["paths"][f"{PREFIX}/jobs"]["post"]["requestBody"] = {
        "required": True,
        "content": {
            "application/json": {"schema": body},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"job": body},
                    "required": ["job"],
                    "additionalProperties": {"type": "string", "format": "binary"},
                },
                "encoding": {"job": {"contentType": "application/json"}},
            },
        },
    }


def _components(spec: PipelineSpec) -> dict[str, Any]:
    """``params.<id>``, ``job.<id>`` and whatever the parameters' schema refers to, under names that no other pipeline
    has.
    """
    prefix = f"params.{spec.id}"
    params = spec.params.model_json_schema(ref_template=f"{_REF}{prefix}.{{model}}")
    named = {f"{prefix}.{name}": body for name, body in params.pop("$defs", {}).items()}
    job = {
        "type": "object",
        "title": spec.title,
        "description": spec.description,
        "properties": {
            "pipeline": {"type": "string", "const": spec.id},
            "params": {"$ref": _REF + prefix},
        },
        "required": ["pipeline", *(["params"] if params.get("required") else [])],
        "additionalProperties": False,
    }
    return {**named, prefix: params, f"job.{spec.id}": job}


def _add_problems(document: dict[str, Any]) -> None:
    """Every operation may answer with a problem document; FastAPI's own 422 is never sent."""
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    made = Problem.model_json_schema(ref_template=_REF + "{model}")
    schemas.update(made.pop("$defs", {}), Problem=made)
    answer = {
        "description": "What went wrong (RFC 9457)",
        "content": {"application/problem+json": {"schema": {"$ref": f"{_REF}Problem"}}},
    }
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = answer
