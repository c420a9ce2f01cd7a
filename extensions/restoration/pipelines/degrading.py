"""The pipeline ``restoration.degrade``: a good picture made bad, and the mask of its scratches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from extensions.restoration.params import DegradeParams
from extensions.restoration.pictures.arrays import to_picture, to_pixels
from extensions.restoration.pictures.degrading import Damage, degrade
from webui.api import Artifact, Context


class Degrade:
    """Artifact 0 is the picture; 1, where it is scratched at all, the mask of the scratches."""

    def run(self, params: DegradeParams, context: Context) -> Iterator[Artifact]:
        """Raises NotFound, ParameterError."""
        pending = context.pending(2 if params.scratches > 0 else 1)
        if not pending:
            return
        damage = Damage(params.noise, params.jpeg, params.blur, params.fading, params.scratches)
        made, scratched = degrade(to_pixels(context.open_image(params.image)), damage, params.seed % 2**63)
        if 0 in pending:
            yield Artifact("image", to_picture(made), index=0, seed=params.seed)
        if 1 in pending:
            mask = to_picture(scratched.astype(np.float32)).convert("RGB")
            yield Artifact("image", mask, index=1, seed=params.seed, title="Scratches")
