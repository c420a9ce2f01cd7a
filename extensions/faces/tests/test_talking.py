"""Speaking faces: the track follows the sound, the frames follow the track, the film holds both."""

from __future__ import annotations

import json
import stat
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw

pytest.importorskip("cv2")
pytest.importorskip("torch")

from extensions.faces.finding.face import Face, read_face
from extensions.faces.talking.film import write_film
from extensions.faces.talking.mouth import SpeakingFace
from extensions.faces.talking.sound import RATE, read_sound, speaker, spoken
from extensions.faces.talking.track import blinks, correlation, mouth_track
from webui.api import JobFailed, ParameterError
from webui.testing import make_studio, run_pipeline

LANDMARKS = {
    "left pupil": [76, 88], "right pupil": [124, 88], "mouth left": [82, 136], "mouth right": [118, 136],
    "upper lip": [100, 136], "lower lip": [100, 136], "chin": [100, 164],
    "left eye outer": [66, 88], "left eye inner": [86, 88], "left eye top": [76, 80], "left eye bottom": [76, 96],
    "right eye outer": [134, 88], "right eye inner": [114, 88], "right eye top": [124, 80],
    "right eye bottom": [124, 96],
}  # fmt: skip
ROW = {"box": [50, 50, 150, 164], "landmarks": LANDMARKS}


def voice(seconds: float = 2.0) -> np.ndarray:
    """Syllables of two vowels with pauses."""
    t = np.arange(round(RATE * seconds)) / RATE
    envelope = np.clip(np.sin(2 * np.pi * 1.6 * t), 0, None) ** 0.7
    tone = np.sin(2 * np.pi * 130 * t) + 0.6 * np.sin(2 * np.pi * 720 * t) + 0.3 * np.sin(2 * np.pi * 1300 * t)
    return (0.4 * envelope * tone).astype(np.float32)


def portrait() -> Image.Image:
    picture = Image.new("RGB", (200, 200), (150, 190, 230))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((50, 40, 150, 166), fill=(236, 190, 150))
    for x in (76, 124):
        draw.ellipse((x - 10, 80, x + 10, 96), fill="white")
        draw.ellipse((x - 4, 84, x + 4, 92), fill=(60, 40, 20))
    draw.line((82, 136, 118, 136), fill=(180, 60, 70), width=4)
    return picture


@pytest.fixture(scope="module")
def speaking() -> SpeakingFace:
    picture = portrait()
    return SpeakingFace(np.asarray(picture), read_face(ROW, picture.size))


def dark_height(frame: np.ndarray) -> int:
    """Dark pixels of the mouth in its middle column: how far it is open."""
    column = frame[110:175, 100].astype(int)
    return int(((column.sum(1) < 260) | (column.min(1) > 235)).sum())


def test_the_mouth_opens_with_the_energy_and_rests_in_silence() -> None:
    track = mouth_track(voice(), RATE, 25)
    assert len(track.opening) == 50
    assert correlation(track.opening, track.energy) > 0.9
    assert track.opening.max() > 0.6
    quiet = track.energy < 0.01
    assert quiet.any()
    assert track.opening[quiet].max() < 0.25
    assert {"rest"} < set(track.visemes)


def test_silence_does_not_speak() -> None:
    track = mouth_track(np.zeros(RATE, np.float32), RATE, 25)
    assert not track.opening.any()
    assert set(track.visemes) == {"rest"}


def test_vowels_are_told_from_hissing() -> None:
    t = np.arange(RATE) / RATE
    noise = np.random.RandomState(0).randn(RATE)
    spectrum = np.fft.rfft(noise)
    spectrum[: 3000 * RATE // RATE] = 0
    hiss = np.fft.irfft(spectrum).astype(np.float32)
    open_vowel = (np.sin(2 * np.pi * 760 * t) + 0.2 * np.sin(2 * np.pi * 1200 * t)).astype(np.float32)
    round_vowel = (np.sin(2 * np.pi * 300 * t) + 0.2 * np.sin(2 * np.pi * 700 * t)).astype(np.float32)
    tracks = [mouth_track(0.3 * s / np.abs(s).max(), RATE, 25) for s in (hiss, open_vowel, round_vowel)]
    assert [max(set(t.visemes), key=t.visemes.count) for t in tracks] == ["hiss", "open", "round"]
    assert tracks[0].opening.mean() < tracks[1].opening.mean()
    assert tracks[2].width.mean() < 0.9


def test_blinks_are_of_their_seed() -> None:
    assert (blinks(500, 25, 3) == blinks(500, 25, 3)).all()
    assert (blinks(500, 25, 3) != blinks(500, 25, 4)).any()
    assert 0.02 < (blinks(2500, 25, 0) > 0.5).mean() < 0.2


def test_frames_follow_the_track(speaking: SpeakingFace) -> None:
    assert (speaking.frame(0.0) == speaking.picture).all()
    heights = [dark_height(speaking.frame(opening)) for opening in (0, 0.25, 0.5, 0.75, 1.0)]
    assert heights == sorted(heights)
    assert heights[-1] >= heights[0] + 8
    wide = speaking.frame(1.0)
    # Far from the face nothing moves; the jaw goes down.
    assert (wide[:70] == speaking.picture[:70]).all()
    assert (wide[:, :30] == speaking.picture[:, :30]).all()
    assert (wide[150:190, 95:105] != speaking.picture[150:190, 95:105]).any()


def test_lids_fall_over_the_eyes_alone(speaking: SpeakingFace) -> None:
    closed = speaking.frame(0.0, blink=1.0)
    assert np.abs(closed[88, 76].astype(int) - (236, 190, 150)).max() < 30
    changed = (closed != speaking.picture).any(2)
    assert not changed[:74].any()
    assert not changed[104:].any()


def test_an_open_mouth_keeps_its_inside(speaking: SpeakingFace) -> None:
    picture = portrait()
    ImageDraw.Draw(picture).ellipse((90, 128, 110, 146), fill=(90, 20, 30))
    row = {**ROW, "landmarks": {**LANDMARKS, "mouth left": [90, 137], "mouth right": [110, 137],
           "upper lip": [100, 128], "lower lip": [100, 146]}}  # fmt: skip
    face = SpeakingFace(np.asarray(picture), read_face(row, picture.size))
    heights = [dark_height(face.frame(opening)) for opening in (0, 0.5, 1.0)]
    assert heights[0] < heights[1] < heights[2]
    assert heights[0] > 0


def test_a_mouth_without_width_is_refused() -> None:
    with pytest.raises(ValueError, match="narrower"):
        SpeakingFace(np.zeros((20, 20, 3), np.uint8), Face((5, 5, 7, 8)).completed())


def test_the_film_holds_frames_and_sound(tmp_path: Path) -> None:
    frames = [np.full((65, 64, 3), 10 * i, np.uint8) for i in range(12)]
    sound = voice(0.5)
    for name in ("a.mp4", "b.mp4"):
        assert write_film(tmp_path / name, iter(frames), 24, sound, RATE) == 12
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    with av.open(str(tmp_path / "a.mp4")) as film:
        assert (film.streams.video[0].width, film.streams.video[0].height) == (64, 64)
        assert sum(1 for _ in film.decode(video=0)) == 12
    again = read_sound(tmp_path / "a.mp4")
    assert len(again) == pytest.approx(len(sound), abs=2500)
    size = RATE // 20
    loud = [np.sqrt((s[: len(sound) // size * size].reshape(-1, size) ** 2).mean(1)) for s in (sound, again)]
    assert correlation(loud[0].astype(float), loud[1].astype(float)) > 0.8
    with pytest.raises(ValueError, match="one frame"):
        write_film(tmp_path / "c.mp4", iter(()), 24, sound, RATE)
    assert {p.name for p in tmp_path.iterdir()} == {"a.mp4", "b.mp4"}


def write_wav(path: Path, samples: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path


def test_what_is_no_sound_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "a.wav"
    wrong.write_bytes(b"no sound at all")
    with pytest.raises(ParameterError, match="sound"):
        read_sound(wrong)
    with pytest.raises(ParameterError, match="shorter"):
        read_sound(write_wav(tmp_path / "b.wav", np.zeros(100)))
    with pytest.raises(ParameterError, match="longer"):
        read_sound(write_wav(tmp_path / "c.wav", np.zeros(121 * RATE)))


def test_texts_need_a_speaker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert speaker() == ""
    with pytest.raises(JobFailed, match="speaks"):
        spoken("hello", "en", 160, tmp_path / "said.wav")


@pytest.mark.skipif(not hasattr(stat, "S_IXUSR") or not Path("/bin/sh").exists(), reason="needs a shell")
def test_a_text_goes_to_the_speaker_and_no_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = write_wav(tmp_path / "ready.wav", voice(0.5))
    program = tmp_path / "espeak-ng"
    program.write_text(
        f'#!/bin/sh\n/bin/cat > "{tmp_path}/text"\necho "$@" > "{tmp_path}/args"\n/bin/cp "{ready}" "$6"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    samples = spoken("-w /etc/passwd; rm $HOME", "en-us", 160, tmp_path / "said.wav")
    assert len(samples) == RATE // 2
    assert (tmp_path / "text").read_text() == "-w /etc/passwd; rm $HOME"
    assert (tmp_path / "args").read_text().split() == f"-v en-us -s 160 -w {tmp_path}/said.wav --stdin".split()
    with pytest.raises(ParameterError, match="voice"):
        spoken("hello", "en -f /etc/passwd", 160, tmp_path / "said.wav")


def test_a_face_speaks_as_a_job(tmp_path: Path) -> None:
    portrait().save(tmp_path / "in.png")
    write_wav(tmp_path / "in.wav", voice(1.0))
    studio = make_studio(tmp_path / "data", models_dirs=[tmp_path / "none"])
    given = {"image": str(tmp_path / "in.png"), "faces": json.dumps([ROW]), "consent": True, "fps": 10, "size": 200}
    outcome = run_pipeline("faces.talk", {**given, "audio": str(tmp_path / "in.wav")}, tmp_path, studio=studio)
    assert outcome.state == "done", outcome.error
    with av.open(str(outcome.paths[0])) as film:
        assert sum(1 for _ in film.decode(video=0)) == 10
        assert film.streams.audio
    told = json.loads(outcome.paths[2].read_text())
    assert told["opening_asked_and_energy"] > 0.8
    assert run_pipeline("faces.talk", given, tmp_path, studio=studio).state == "failed"
