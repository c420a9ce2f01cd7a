"""What may be set, and what a check takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webui.api import (
    Acceptance,
    FieldError,
    ParameterError,
    Params,
    boolean,
    choice,
    dynamic_choices,
    file,
    image,
    text,
)


class ProvenanceSettings(Params):
    """Of what is marked by choice. Results of pipelines that need consent are marked whatever is set here."""

    when: str = choice(
        "off",
        {"off": "Off: same seed, same bytes", "chosen": "Results of the chosen pipelines", "always": "All results"},
        label="Mark results",
        help="What shows real people is marked in any case. A signed file differs in its bytes each time.",
    )
    pipelines: tuple[str, ...] = dynamic_choices("pipelines:image|video", label="Chosen pipelines")
    watermark: bool = boolean(
        True, label="Invisible watermark", help="In the pixels: stays when the file's marks are lost"
    )
    label: str = text("", label="Visible label", help="Such as AI generated; empty: none")


class CheckParams(Params):
    """A picture, or any file."""

    image: str | None = image(label="Picture")
    file: str | None = file(label="Film or other file")


def accept_check(params: CheckParams, acceptance: Acceptance) -> Mapping[str, Any]:
    """Raises ParameterError where there is nothing to check."""
    if not (params.image or params.file):
        raise ParameterError([FieldError("image", "is required")])
    return params.model_dump()
