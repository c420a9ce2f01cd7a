"""What a form answers to its viewer (``static/viewer.js``): a job, what is wrong, or what was done; JSON."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

from webui.core.errors import LifelikeError, ParameterError

_answers = itertools.count(1)


def refusal(error: LifelikeError) -> dict[str, Any]:
    """Words for the viewer: at their fields, where the error names some."""
    if isinstance(error, ParameterError):
        fields = [{"name": one.name, "message": one.message, "got": one.got} for one in error.fields]
        return {"errors": fields, "hint": error.hint}
    return {"problem": error.message, "hint": error.hint}


def answer(content: Mapping[str, Any]) -> str:
    """JSON for the viewer; numbered, so that the same answer twice is still a change."""
    return json.dumps({**content, "n": next(_answers)}, ensure_ascii=False, default=str)
