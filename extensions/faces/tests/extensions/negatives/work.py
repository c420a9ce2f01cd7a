"""The negative of a picture."""

from PIL import Image, ImageOps

from webui.api import Artifact


class Negative:
    """negatives.make: of seed 0 the picture itself, of seed 1 a third of its negative, of seed 3 the negative."""

    def run(self, params, context):
        """One picture."""
        picture = context.open_image(params.image).convert("RGB")
        yield Artifact("image", Image.blend(picture, ImageOps.invert(picture), min(params.seed, 3) / 3))
