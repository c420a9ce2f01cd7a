"""Beside accepting and running: a job that makes a real person's picture show what it never showed has that person's
consent, or is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import FieldError, ParameterError
from .specs import PipelineSpec

FIELD = "consent"
"""The parameter that ``webui.api.consent`` declares; it is kept with the job and in the recipe."""


def check_consent(spec: PipelineSpec, values: Mapping[str, Any]) -> None:
    """Raises ParameterError where ``spec`` needs a consent that ``values`` do not hold."""
    if spec.needs_consent and values.get(FIELD) is not True:
        raise ParameterError(
            [FieldError(FIELD, "expected the consent of everyone shown", repr(values.get(FIELD)))],
            hint="Ask them first. What is made is marked as made by a machine, and an entry of the audit log is kept.",
        )
