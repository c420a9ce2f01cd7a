"""When a job of style is accepted: what a declaration cannot say of its references; light, read by the web process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webui.api import Acceptance, FieldError, ParameterError

from .params import Placed, Referenced


def accept(params: Referenced, acceptance: Acceptance) -> Mapping[str, Any]:
    """``params`` as they are. Raises ParameterError where weights or masks are not those of the references."""
    count = len(params.references) or 1
    weights_of(params.weights, count)
    if isinstance(params, Placed):
        masks_for(params.masks, count)
    return params.model_dump()


def masks_for(masks: tuple[str, ...], count: int) -> tuple[str, ...]:
    """``masks``, which are none or ``count``. Raises ParameterError."""
    if masks and len(masks) != count:
        raise ParameterError([FieldError("masks", f"expected none or {count}, one for each reference", len(masks))])
    return masks


def weights_of(text: str, count: int) -> list[float]:
    """Shares of ``count`` references, 1 in all, from numbers between commas; empty: equal ones. Raises
    ParameterError.
    """
    try:
        given = [float(part) for part in text.replace(";", ",").split(",") if part.strip()]
    except ValueError:
        raise ParameterError([FieldError("weights", "expected numbers between commas, such as 2, 1", text)]) from None
    if not given:
        return [1 / count] * count
    good = len(given) == count and min(given) >= 0 and 0 < sum(given) < float("inf")
    if not good:
        raise ParameterError(
            [FieldError("weights", f"expected {count} numbers, none negative and not all 0", text)],
            hint="One for each reference, in their order.",
        )
    return [weight / sum(given) for weight in given]
