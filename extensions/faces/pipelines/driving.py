"""Expressions and speech by LivePortrait's networks, as a person supplies them: what faces.expression and faces.talk
hand over to.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from extensions.faces.finding.choosing import the_face
from extensions.faces.finding.face import Face
from extensions.faces.params_mixing import ExpressionParams
from extensions.faces.params_talking import TalkParams
from extensions.faces.portraits.animating import Animated, SpeakingPortrait, driving_motion
from extensions.faces.portraits.files import accepted_portrait
from extensions.faces.portraits.motion import Motion, Transfer
from extensions.faces.portraits.network import Portrait
from extensions.faces.talking.track import MouthTrack
from webui.api import Context, ModelUse


def driven(
    params: ExpressionParams, picture: Image.Image, ours: Face, other: Image.Image, theirs: Face, context: Context
) -> Image.Image:
    """The picture with the other face's motion. Raises ParameterError that shows the licence, JobFailed, ModelError."""
    portrait = _portrait(params, context)
    animated = Animated(portrait, np.asarray(picture), ours.completed())
    motion = driving_motion(portrait, np.asarray(other), theirs.completed())
    how = Transfer(params.motion == "relative", params.eyes, params.mouth, params.pose)
    result = animated.driven(motion, how, params.strength, _at_rest(params, portrait, context))
    _note(portrait, context)
    return Image.fromarray(result)


def speaking_portrait(
    params: TalkParams, picture: Image.Image, face: Face, track: MouthTrack, context: Context
) -> SpeakingPortrait:
    """What draws the frames of a film. Raises ParameterError that shows the licence, ModelError."""
    portrait = _portrait(params, context)
    speaking = SpeakingPortrait(
        Animated(portrait, np.asarray(picture), face.completed()),
        track,
        params.fps,
        strength=params.strength,
        blinking=params.blinking,
        sway=params.head_motion,
        seed=params.seed,
    )
    _note(portrait, context)
    return speaking


def _portrait(params: Any, context: Context) -> Portrait:
    return Portrait(accepted_portrait(params.network, params.licence, context.folders("faces")))


def _at_rest(params: ExpressionParams, portrait: Portrait, context: Context) -> Motion | None:
    if params.rest is None or params.motion != "relative":
        return None
    picture = context.open_image(params.rest).convert("RGB")
    asked = params.model_copy(update={"faces": "", "face": 1})
    return driving_motion(portrait, np.asarray(picture), the_face(asked, picture, context).completed())


def _note(portrait: Portrait, context: Context) -> None:
    """Every file that was used goes into the recipe."""
    for path in portrait.used:
        context.use_model(ModelUse(ref=f"{portrait.folder.name}{path.name}", sha256=_sha256(path)))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
