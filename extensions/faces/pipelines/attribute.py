"""faces.attribute: one named thing of a face changed, the rest kept: by an editing model, by other words after
inversion, or in a StyleGAN's space.
"""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from extensions.faces.accepting import REWORD
from extensions.faces.judging.captions import captions
from extensions.faces.judging.judge import read_all, wanted_value, wish_in
from extensions.faces.params_editing import AttributeParams
from extensions.faces.pixels.cutting import cut
from extensions.faces.vocabulary import CHANGES
from webui.api import Artifact, Context, FieldError, ParameterError

from .edit import artifacts
from .placing import Place, find_place, region_of
from .tries import best_candidate
from .ways import along_direction, instructed, reworded


class Attribute:
    """faces.attribute."""

    def run(self, params: AttributeParams, context: Context) -> Iterator[Artifact]:
        """Artifacts: the picture; it beside the one before; the numbers. Raises JobFailed where no face is found."""
        if not context.pending(3):
            return
        words, wish = asked(params, context)
        if params.method == "instruct" and not words:
            raise ParameterError([FieldError("prompt", "say what to change, or choose a change")])
        if not wish:
            # Without a wish likeness alone would choose: the candidate that is changed least.
            params = params.model_copy(update={"tries": 1})
        picture = context.open_image(params.image).convert("RGB")
        place = find_place(params, picture, context, region_of(params.region, wish))
        side = place.where.side
        if params.method == "gan":
            way = along_direction(params, context, side)
        elif params.method == "reword":
            before, after = described(params, context, picture, place, wish)
            words, way = after, reworded(params, context, before, after, side)
        else:
            way = instructed(context, params.pipeline, params.params, words, params.edge, side)
        best = best_candidate(context, params, picture, place, way, wish)
        yield from artifacts(picture, place, best, words)


def asked(params: AttributeParams, context: Context) -> tuple[str, str]:
    """The words of the edit, and what the judge should read then: as is said, else as the words or the change say."""
    words = params.direction.strip() if params.method == "gan" else params.prompt.strip()
    said = params.attribute.strip()
    _, usual, wish = CHANGES.get(params.change, ("", "", ""))
    if not words:
        return usual, said or wish
    said = said or wish_in(context, params.judge, _new_words(params, words))
    # A direction's name may say nothing.
    return words, said or (wish if params.method == "gan" else "")


def _new_words(params: AttributeParams, words: str) -> str:
    """What of a description was not said of the picture already; all of an instruction."""
    if params.method != "reword" or not params.before.strip():
        return words
    known = set(params.before.lower().split())
    return " ".join(word for word in words.split() if word.lower() not in known)


def described(
    params: AttributeParams, context: Context, picture: Image.Image, place: Place, wish: str
) -> tuple[str, str]:
    """The captions of the face before and after: a person's, else from what the judge reads. Raises ParameterError."""
    if params.before.strip():
        if not params.prompt.strip():
            raise ParameterError([FieldError("prompt", "say what the picture should show")])
        return params.before.strip(), params.prompt.strip()
    (read,), heads = read_all(context, params.judge, [cut(picture, place.where, place.where.side)])
    wanted = wanted_value(wish, heads)
    before, after = captions(read, heads, wanted) if wanted is not None else ("", "")
    if not before:
        raise ParameterError(
            [FieldError("before", "say what the picture shows, and under Words what it should show")],
            hint=f"The judge {params.judge} has no words for this change.",
        )
    context.log.info("%s: %r, then %r", REWORD, before, after)
    return before, after
