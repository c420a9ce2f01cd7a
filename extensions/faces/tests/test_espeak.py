"""What the real espeak-ng says, in English and Chinese: a mouth opens with its energy and takes the vowels' shapes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("cv2")
pytest.importorskip("av")

from extensions.faces.talking.sound import RATE, speaker, spoken, voices_of
from extensions.faces.talking.track import correlation, mouth_track
from extensions.faces.tests.test_talking import ROW, portrait
from webui.testing import make_studio, run_pipeline

needs_speaker = pytest.mark.skipif(
    not speaker().endswith("espeak-ng"), reason="espeak-ng, which says the texts, is not installed"
)


def test_characters_are_spoken_as_mandarin_unless_another_voice_is_chosen() -> None:
    assert voices_of("你好", "") == voices_of("你好", "cmn") == ("cmn-latn-pinyin", "cmn")
    assert voices_of("你好", "yue") == ("yue",)
    assert voices_of("ni hao", "") == ("en",)
    assert voices_of("ni3 hao3", "cmn") == ("cmn",)


@needs_speaker
@pytest.mark.parametrize(
    ("text", "viseme"),
    [
        ("Ah! Ah! Ah!", "open"),
        ("啊，妈妈，爸爸", "open"),
        ("Ee, bee, me, he", "spread"),
        ("衣，七，米", "spread"),
        ("Moon, zoo, who", "round"),
        ("屋，五，不", "round"),
    ],
)
def test_vowels_shape_the_mouth_and_energy_opens_it(text: str, viseme: str, tmp_path: Path) -> None:
    samples = spoken(text, "", 160, tmp_path / "said.wav")
    track = mouth_track(samples, RATE, 25)
    assert correlation(track.opening, track.energy) > 0.9
    speaking = Counter(name for name in track.visemes if name not in ("rest", "hiss"))
    assert speaking.most_common(1)[0][0] == viseme
    assert "rest" in track.visemes
    assert {track.visemes[i] for i in np.flatnonzero(track.energy < 0.002)} <= {"rest"}


@needs_speaker
@pytest.mark.parametrize("text", ["She says yes.", "四是四，十是十"])
def test_hissing_is_told_apart(text: str, tmp_path: Path) -> None:
    assert mouth_track(spoken(text, "", 160, tmp_path / "said.wav"), RATE, 25).visemes.count("hiss") >= 2


@needs_speaker
@pytest.mark.parametrize(("text", "seconds"), [("Hello, moon.", (0.7, 2.0)), ("你好，月亮。", (0.7, 2.0))])
def test_a_face_says_a_text(text: str, seconds: tuple[float, float], tmp_path: Path) -> None:
    portrait().save(tmp_path / "in.png")
    studio = make_studio(tmp_path / "data", models_dirs=[tmp_path / "none"])
    given = {"image": str(tmp_path / "in.png"), "faces": json.dumps([ROW]), "consent": True, "fps": 10, "size": 200}
    outcome = run_pipeline("faces.talk", {**given, "text": text}, tmp_path, studio=studio)
    assert outcome.state == "done", outcome.error
    told = json.loads(outcome.paths[2].read_text())
    assert seconds[0] < told["seconds"] < seconds[1]
    assert told["opening_asked_and_energy"] > 0.8
    assert len(told["visemes"]) >= 2
