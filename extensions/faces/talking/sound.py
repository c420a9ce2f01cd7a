"""Sounds in and out: any file that PyAV reads -> samples; text -> samples by espeak-ng, where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from webui.api import FieldError, JobFailed, ParameterError

RATE = 16_000
"""Samples a second."""
LONGEST_S = 120.0
_VOICE = re.compile(r"[A-Za-z]{2,3}([-_+][A-Za-z0-9]{1,16}){0,3}")
_SPEAKING_LIMIT_S = 120
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_MANDARIN = ("cmn-latn-pinyin", "cmn")
"""Voices for characters, the better first: of espeak-ng 1.51 the second reads their pinyin as English letters."""

Samples = NDArray[np.float32]


def read_sound(path: Path) -> Samples:
    """The first sound of a file as float32 [N] in -1..1, one channel, 16,000 a second. Raises ParameterError."""
    import av

    parts: list[Samples] = []
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise _wrong("holds no sound")
            resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
            count = 0
            for frame in container.decode(container.streams.audio[0]):
                parts += [f.to_ndarray().reshape(-1) for f in resampler.resample(frame)]
                count = sum(map(len, parts[-1:])) + count
                if count > LONGEST_S * RATE:
                    raise _wrong(f"lasts longer than {LONGEST_S:.0f} seconds")
            parts += [f.to_ndarray().reshape(-1) for f in resampler.resample(None)]
    except (av.FFmpegError, OSError) as error:
        raise _wrong(f"cannot be read as a sound: {error}") from None
    samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    if len(samples) < RATE // 20:
        raise _wrong("is shorter than a twentieth of a second")
    return np.nan_to_num(samples.astype(np.float32)).clip(-1, 1)


def speaker() -> str:
    """The program that speaks; empty where none is installed."""
    return next((found for name in ("espeak-ng", "espeak") if (found := shutil.which(name))), "")


def voices_of(text: str, voice: str) -> tuple[str, ...]:
    """Voices to try for a text, the best first; ``voice``: a chosen one, else Mandarin for characters and English."""
    if voice in ("", "cmn", "zh") and _CHINESE.search(text):
        return _MANDARIN
    return (voice or "en",)


def spoken(text: str, voice: str, words_a_minute: int, target: Path) -> Samples:
    """A text as espeak-ng says it in a voice, or in the one that ``voices_of`` finds; the file stays at ``target``.

    Raises JobFailed, ParameterError.
    """
    program = speaker()
    if not program:
        raise JobFailed(
            "Nothing on this machine speaks texts.", hint="Install espeak-ng, or give a sound: WAV, MP3, FLAC, Ogg."
        )
    if voice and not _VOICE.fullmatch(voice):
        raise ParameterError([FieldError("voice", "expected a voice such as en, en-us, de, cmn", voice)])
    target.parent.mkdir(parents=True, exist_ok=True)
    said = ""
    for one in voices_of(text, voice):
        target.unlink(missing_ok=True)
        command = [program, "-v", one, "-s", str(words_a_minute), "-w", str(target), "--stdin"]
        try:
            done = subprocess.run(
                command, input=text.encode(), capture_output=True, timeout=_SPEAKING_LIMIT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise JobFailed(f"{Path(program).name} did not speak: {error}") from error
        if not done.returncode and target.is_file():
            return read_sound(target)
        said = done.stderr.decode(errors="replace").strip()[:300]
    raise JobFailed(f"{Path(program).name} did not speak: {said or 'it gave no reason'}")


def _wrong(message: str) -> ParameterError:
    return ParameterError([FieldError("audio", message)])
