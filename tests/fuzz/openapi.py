"""Requests made from what the API says of itself, good ones and bad ones: schemathesis."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

EXAMPLES = 4
STREAMS = {"/api/v1/events", "/api/v1/jobs/{job_id}/events"}
"""They end only when the client does; tests/web/test_streams.py has them."""
LASTING = {"/api/v1/share", "/api/v1/me/sessions", "/api/v1/people/{name}"}
"""Where a good request would open a tunnel, or log the sender out or away: bad requests alone."""
LONGEST_QUERY = 20_000
"""What the tests' own client sends at most."""


def requests_of(document: dict[str, Any], examples: int = EXAMPLES) -> list[dict[str, Any]]:
    """``examples`` for each operation and mode of an OpenAPI ``document``, the same in every run."""
    logging.getLogger("schemathesis").setLevel(logging.ERROR)
    found: list[dict[str, Any]] = []
    for operation in (result.ok() for result in schemathesis.openapi.from_dict(document).get_all_operations()):
        lasting = operation.path in LASTING and operation.method.upper() != "GET"
        for mode in schemathesis.GenerationMode:
            if operation.path not in STREAMS and not (lasting and mode.is_positive):
                found += [as_request(case) for case in _cases(operation, mode, examples)]
    return [asked for asked in found if len(str(asked.get("params", ""))) <= LONGEST_QUERY]


def _cases(operation: Any, mode: Any, examples: int) -> list[Any]:
    made: list[Any] = []

    @settings(
        max_examples=examples, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def collect(case: Any) -> None:
        made.append(case)

    with suppress(Unsatisfiable):  # an operation without parameters cannot be asked wrongly
        collect()
    return made[:examples]


def as_request(case: Any) -> dict[str, Any]:
    """For the tests' own client, which takes bytes as content and no numbers as parts, and has its own address."""
    asked: dict[str, Any] = case.as_transport_kwargs(base_url="")
    asked.pop("cookies", None)
    if isinstance(asked.get("data"), bytes | str):
        asked["content"] = asked.pop("data")
    if asked.get("files"):
        asked["files"] = [(name, (part[0], _as_part(part[1]), *part[2:])) for name, part in asked["files"]]
    return asked


def _as_part(value: Any) -> Any:
    return value if isinstance(value, bytes | str) or hasattr(value, "read") else str(value)
