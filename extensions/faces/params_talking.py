"""What speaking faces, mixed faces and character sheets take; light, read by the web process."""

from __future__ import annotations

# The fields have the names of the functions that declare them.
import webui.api as declare

from .params import Finding
from .params_portraits import licence, network


class TalkParams(Finding):
    """Parameters of faces.talk."""

    audio: str | None = declare.audio(None, label="Sound", help="WAV, MP3, FLAC, Ogg; two minutes at most")
    text: str = declare.prompt(
        "",
        label="Text",
        help="In place of a sound, where espeak-ng is installed",
        rows=2,
        tokens=False,
        max_length=2000,
    )
    voice: str = declare.text(
        "",
        label="Voice",
        help="Of espeak-ng: en, en-us, de, cmn ...; empty: Mandarin for Chinese characters, else English",
        max_length=64,
    )
    words_a_minute: int = declare.integer(160, minimum=80, maximum=400, label="Words a minute", help="Of texts")
    animator: str = declare.dynamic_choice(
        "",
        "pipelines:video:image",
        label="Animator",
        help="A pipeline of another extension that takes image and audio; empty: the warp that comes with this one",
        advanced=True,
    )
    network: str = network(
        "faces.portraits",
        "A folder of LivePortrait's ONNX files in models/faces; empty: the warp that comes with this extension",
    )
    licence: str = licence("faces.portrait_licences")
    head_motion: float = declare.number(
        1.0,
        minimum=0.0,
        maximum=3.0,
        step=0.1,
        label="Head motion",
        help="For LivePortrait: how much the head sways and nods while it speaks; 0: not at all",
        group="Own network",
        advanced=True,
    )
    strength: float = declare.number(
        1.0, minimum=0.1, maximum=2.0, step=0.05, label="Strength", help="How wide the mouth opens"
    )
    blinking: bool = declare.boolean(True, label="Blinking")
    fps: int = declare.integer(25, minimum=8, maximum=60, label="Frames a second")
    size: int | None = declare.size(
        None, label="Longer side", help="In pixels; empty: the picture's, 256 at least", auto=None, maximum=2048
    )
    seed: int = declare.seed(help="When the eyes blink; -1 draws one at random")
    consent: bool = declare.consent()
