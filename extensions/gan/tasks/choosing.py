"""From a recipe to its task."""

from __future__ import annotations

from .adversarial import Adversarial
from .codes import Codes
from .common import Setting, Trainable
from .variational import Variational


def task_for(setting: Setting) -> Trainable:
    """Raises TypeError and ValueError for a network that is none, and for data that do not fit it."""
    recipe = setting.recipe
    if setting.data.size != recipe.resolution:
        raise ValueError(f"pictures are {setting.data.size} px, the network draws {recipe.resolution}")
    if recipe.family in ("vqvae", "vqgan"):
        return Codes(setting)
    return Variational(setting) if recipe.family == "vae" else Adversarial(setting)
