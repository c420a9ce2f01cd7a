"""faces.find: where the faces of a picture are, as a picture, as JSON and as a mask."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from extensions.faces.finding.choosing import find_faces
from extensions.faces.params import FindParams
from extensions.faces.pixels.overlay import overlay
from extensions.faces.pixels.regions import region_mask
from webui.api import Artifact, Context


class Find:
    """faces.find."""

    def run(self, params: FindParams, context: Context) -> Iterator[Artifact]:
        """Artifacts: the overlay; JSON that the other forms take back; the mask of a region of all faces."""
        if not context.pending(3):
            return
        picture = context.open_image(params.image).convert("RGB")
        context.progress(0, 1, "looking")
        faces = find_faces(params, picture, context)
        if not faces:
            context.warn("No face was found. Another finder may see one, or say where it is as JSON.")
        context.progress(1, 1, "looking")
        yield Artifact("image", overlay(picture, faces), index=0, title=f"{len(faces)} faces")
        told = {"size": list(picture.size), "faces": [face.told() for face in faces]}
        yield Artifact("scalar", told, index=1, title="Faces")
        mask = np.zeros((picture.height, picture.width), np.float32)
        for face in faces:
            if face.parts is not None:
                mask = np.maximum(mask, region_mask(face, params.region, params.grow))
        yield Artifact("image", Image.fromarray((255 * mask).astype(np.uint8)).convert("RGB"), index=2, title="Mask")
