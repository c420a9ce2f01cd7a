"""faces.talk: a face that speaks a sound or a text, as a film with that sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from extensions.faces.finding.choosing import drawn_component, the_face
from extensions.faces.finding.drawn import mouth_opening
from extensions.faces.finding.face import Face
from extensions.faces.params_talking import TalkParams
from extensions.faces.pixels.sheets import row_of
from extensions.faces.talking.film import write_film
from extensions.faces.talking.mouth import SpeakingFace
from extensions.faces.talking.sound import RATE, Samples, read_sound, spoken
from extensions.faces.talking.track import MouthTrack, correlation, mouth_track
from webui.api import Artifact, Context, FieldError, JobFailed, ParameterError

from .driving import speaking_portrait
from .within import data_url, run_within

_LEAST_SIDE_PX = 256
_MEASURED = 250
"""Frames that the network looks at, evenly chosen."""
_SHOWN = 5


class Talk:
    """faces.talk."""

    def run(self, params: TalkParams, context: Context) -> Iterator[Artifact]:
        """Artifacts: the film; some of its frames; the numbers. Raises ParameterError, JobFailed."""
        if not context.pending(3):
            return
        picture = context.open_image(params.image).convert("RGB")
        if params.animator.strip():
            yield from self._animated(params, picture, context)
            return
        samples = self._sound(params, context)
        side = params.size or max(_LEAST_SIDE_PX, *picture.size)
        picture = _scaled(picture, side)
        face = the_face(params, picture, context)
        track = mouth_track(samples, RATE, params.fps, params.seed)
        draw = self._frames_of(params, picture, face, track, context)
        frames: list[NDArray[np.uint8]] = []
        for i in range(len(track.opening)):
            frames.append(draw(i))
            context.progress(i + 1, len(track.opening), "drawing frames")
            context.preview(lambda: Image.fromarray(frames[-1]))
        context.work_dir.mkdir(parents=True, exist_ok=True)
        film = context.work_dir / "speaking.mp4"
        write_film(film, frames, params.fps, samples, RATE)
        numbers = {
            "seconds": round(len(samples) / RATE, 3),
            "frames": len(frames),
            "opening_asked_and_energy": round(correlation(track.opening, track.energy), 4),
            "visemes": {name: track.visemes.count(name) for name in sorted(set(track.visemes))},
            **self._measured(frames, track, face, context),
        }
        shown = sorted({int(i) for i in np.linspace(0, len(frames) - 1, _SHOWN)})
        wide = int(track.opening.argmax())
        shown = sorted({*shown, wide})
        yield Artifact("video", film, index=0, seed=params.seed, title=params.text[:80] or "Speaking face")
        words = [f"{i / params.fps:.2f} s, {track.visemes[i]}" for i in shown]
        yield Artifact("image", row_of([Image.fromarray(frames[i]) for i in shown], words), index=1, title="Frames")
        yield Artifact("scalar", numbers, index=2, title="Measured")

    def _frames_of(
        self, params: TalkParams, picture: Image.Image, face: Face, track: MouthTrack, context: Context
    ) -> Callable[[int], NDArray[np.uint8]]:
        """What draws frame ``i``: own networks, or the warp. Raises ParameterError, JobFailed, ModelError."""
        if params.network.strip():
            return speaking_portrait(params, picture, face, track, context).frame
        try:
            speaking = SpeakingFace(np.asarray(picture), face)
        except ValueError as error:
            raise JobFailed(f"This face cannot speak: {error}", hint="Place its landmarks as JSON.") from None

        def warped(i: int) -> NDArray[np.uint8]:
            opening = min(1.0, params.strength * float(track.opening[i]))
            blink = float(track.blink[i]) if params.blinking else 0.0
            return speaking.frame(opening, float(track.width[i]), blink)

        return warped

    def _sound(self, params: TalkParams, context: Context) -> Samples:
        if params.audio is not None:
            return read_sound(context.open_file(params.audio))
        if params.text.strip():
            return spoken(
                params.text.strip(), params.voice.strip(), params.words_a_minute, context.work_dir / "said.wav"
            )
        raise ParameterError([FieldError("audio", "give a sound, or a text where espeak-ng is installed")])

    def _measured(
        self, frames: list[NDArray[np.uint8]], track: MouthTrack, face: Face, context: Context
    ) -> dict[str, Any]:
        """The mouth's opening as the network for drawn faces sees it in the frames, beside the sound's energy."""
        component = drawn_component(context)
        if component is None or face.by not in ("drawn", "given"):
            return {"opening_measured": "not measured: no network for such faces"}
        chosen = np.unique(np.linspace(0, len(frames) - 1, min(_MEASURED, len(frames))).astype(int))
        seen = []
        with context.models.lease({"faces": component}) as parts, torch.no_grad():
            for place, i in enumerate(chosen):
                seen.append(mouth_opening(parts["faces"], Image.fromarray(frames[i]), face, context.device))
                context.progress(place + 1, len(chosen), "measuring frames")
        openings = np.array(seen)
        return {
            "opening_measured_and_energy": round(correlation(openings, track.energy[chosen]), 4),
            "opening_measured_and_asked": round(correlation(openings, track.opening[chosen]), 4),
            "opening_measured_most": round(float(openings.max()), 4),
        }

    def _animated(self, params: TalkParams, picture: Image.Image, context: Context) -> Iterator[Artifact]:
        """By another extension's pipeline, which takes ``image`` and ``audio`` and gives a video."""
        spec = context.pipelines.get(params.animator)
        if spec is None or spec.outputs != "video":
            raise ParameterError([FieldError("animator", "expected a pipeline that makes a video", params.animator)])
        audio = params.audio
        if audio is None:
            target = context.work_dir / "said.wav"
            self._sound(params, context)
            audio = str(target)
        given: dict[str, Any] = {"image": data_url(picture), "audio": audio}
        if spec.needs_consent:
            given["consent"] = params.consent
        made = [one for one in run_within(context, params.animator, given) if one.kind == "video"]
        if not made:
            raise JobFailed(f"{params.animator} made no film.")
        yield Artifact("video", Path(made[0].data), index=0, seed=params.seed, title="Speaking face")


def _scaled(picture: Image.Image, longer: int) -> Image.Image:
    scale = longer / max(picture.size)
    size = tuple(max(2, round(v * scale) // 2 * 2) for v in picture.size)
    return picture if size == picture.size else picture.resize(size, Image.Resampling.LANCZOS)  # type: ignore[arg-type]
