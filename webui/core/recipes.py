"""The recipe of a picture: what is needed to make it again, and nothing that differs between two runs of one job."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

RECIPE_FORMAT = 1


class ModelUse(BaseModel):
    """A model that took part, by its reference in the catalog and the hash of its bytes."""

    model_config = ConfigDict(frozen=True)

    ref: str
    sha256: str = ""
    role: str = "model"


class Recipe(BaseModel):
    """Frozen parameters and the environment. No time and no job id: same seed, same bytes."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int = RECIPE_FORMAT
    pipeline: str
    params: dict[str, Any] = Field(default_factory=dict)
    index: int = 0
    """Which artifact of the job this is."""
    seed: int | None = None
    models: tuple[ModelUse, ...] = ()
    extensions: dict[str, str] = Field(default_factory=dict)
    libraries: dict[str, str] = Field(default_factory=dict)
    device: dict[str, str] = Field(default_factory=dict)
    """class (cpu, cuda, mps, xpu), name, dtype."""

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces, Unicode as it is."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> Recipe:
        """Raises pydantic.ValidationError on anything that is not a recipe."""
        return Recipe.model_validate_json(text)
