"""Studies on disk: nothing lost, nothing twice, read again from the files alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from extensions.studies import journal
from extensions.studies.staircase import Staircase
from extensions.studies.store import VOTES, Answer, OpenStudy, Refused, Studies, titles
from extensions.studies.study import DamagedStudy, Study
from extensions.studies.tests.conftest import make_study
from webui.api import NotFound

Kept = Callable[..., OpenStudy]


def answer_all(study: OpenStudy, token: str, *, upto: int = 1000, right: bool = True) -> None:
    rater = study.rater(token)
    for trial in range(rater.next, min(upto, len(rater.plan))):
        truth = rater.plan[trial].truth or "left"
        wrong = {"left": "right", "right": "left", "yes": "no", "no": "yes"}[truth]
        study.vote(token, Answer(trial, truth if right else wrong, seconds=1.5))


def test_a_study_is_the_same_after_its_file() -> None:
    for study in (make_study(), make_study(kind="yes_no", staircase=Staircase(), notes=("a", "b"), question="¿?")):
        assert Study.from_json(study.to_json()) == study


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(format=2),
        lambda body: body.update(id="../evil"),
        lambda body: body.update(link="short"),
        lambda body: body.update(kind="other"),
        lambda body: body["pictures"][0].update(id="../../etc/passwd"),
        lambda body: body.pop("sets"),
        lambda body: body.update(unknown=1),
    ],
)
def test_a_damaged_study_is_told_and_the_others_are_served(
    kept: Kept, tmp_path: Path, change: Callable[[dict[str, object]], object]
) -> None:
    study = kept()
    body = json.loads(study.study.to_json())
    change(body)
    with pytest.raises(DamagedStudy):
        Study.from_json(json.dumps(body))
    other = tmp_path / "studies" / "other"
    other.mkdir()
    (other / "study.json").write_text(json.dumps(body))
    assert [one.study.id for one in Studies(tmp_path / "studies").all()] == [study.study.id]


def test_votes_are_there_after_a_restart_and_the_rater_goes_on(kept: Kept, tmp_path: Path) -> None:
    study = kept()
    token, rater = study.begin("en")
    answer_all(study, token, upto=7)
    again = Studies(tmp_path / "studies").get(study.study.id)
    assert again.rater(token).next == 7
    assert again.rater(token) == study.rater(token)
    assert again.rater(token).plan == rater.plan
    answer_all(again, token)
    assert again.rater(token).finished


def test_the_token_is_nowhere_on_disk(kept: Kept) -> None:
    study = kept()
    token, _ = study.begin("en")
    answer_all(study, token)
    for file in study.folder.glob("*.json*"):
        assert token not in file.read_text()
    with pytest.raises(NotFound):
        study.rater("another")


def test_an_answer_sent_twice_counts_once_and_the_first_one(kept: Kept) -> None:
    study = kept()
    token, _ = study.begin("en")
    study.vote(token, Answer(0, "left"))
    rater = study.vote(token, Answer(0, "right"))
    assert rater.next == 1
    assert rater.votes[0]["answer"] == "left"
    assert len((study.folder / VOTES).read_text().splitlines()) == 1


def test_an_answer_out_of_turn_or_of_no_option_is_refused(kept: Kept) -> None:
    study = kept()
    token, _ = study.begin("en")
    with pytest.raises(Refused, match="Trial 0 comes next"):
        study.vote(token, Answer(1, "left"))
    with pytest.raises(ValueError, match="left, right"):
        study.vote(token, Answer(0, "tie"))
    answer_all(study, token)
    with pytest.raises(Refused):
        study.vote(token, Answer(14, "left"))


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_line_that_was_cut_short_costs_that_answer_alone(kept: Kept, tmp_path: Path, cut: int) -> None:
    """Power fails while the third answer is written: it was never acknowledged, and is given again."""
    study = kept()
    token, _ = study.begin("en")
    answer_all(study, token, upto=3)
    votes = study.folder / VOTES
    votes.write_bytes(votes.read_bytes()[:-cut])
    again = Studies(tmp_path / "studies").get(study.study.id)
    assert again.rater(token).next == (3 if cut == 1 else 2), "without its line's end alone it is whole"
    answer_all(again, token)
    assert Studies(tmp_path / "studies").get(study.study.id).rater(token).finished


def test_rubbish_in_the_journal_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    journal.append_line(path, {"a": 1})
    with path.open("ab") as file:
        file.write(b'\xff\xfe\n[1]\n"text"\n{"b": ')
    journal.append_line(path, {"c": "é"})
    assert journal.read_lines(path) == [{"a": 1}, {"c": "é"}]
    assert journal.read_lines(tmp_path / "none") == []


def test_a_closed_or_full_study_takes_nobody(kept: Kept, tmp_path: Path) -> None:
    study = kept(max_raters=1)
    study.begin("en")
    token, _ = study.begin("en")
    study.vote(token, Answer(0, "left"))
    with pytest.raises(Refused, match="all the raters"):
        study.begin("en")
    study.set_closed(True)
    with pytest.raises(Refused, match="closed"):
        study.vote(token, Answer(1, "left"))
    assert Studies(tmp_path / "studies").get(study.study.id).study.closed
    study.set_closed(False)
    assert study.vote(token, Answer(1, "left")).next == 2


def test_those_who_begin_and_go_away_fill_no_study_but_do_not_flood_it(kept: Kept) -> None:
    study = kept(max_raters=2)
    for _ in range(20):
        study.begin("en")
    with pytest.raises(Refused, match="all the raters"):
        study.begin("en")


def test_exposures_go_up_and_down_with_the_answers_to_main_trials_alone(kept: Kept) -> None:
    study = kept(kind="yes_no", staircase=Staircase(), trials=10)
    token, rater = study.begin("en")
    assert rater.exposure_ms(study.study) == 1000, "practice is unhurried"
    answer_all(study, token, upto=2)
    exposure = 500
    while not (rater := study.rater(token)).finished:
        assert rater.exposure_ms(study.study) == exposure
        trial = rater.plan[rater.next]
        correct = rater.next % 3 != 0
        other = {"yes": "no", "no": "yes"}[trial.truth]
        study.vote(token, Answer(rater.next, trial.truth if correct else other))
        if trial.stage == "main":
            exposure += -10 if correct else 30
    assert rater.exposure_ms(study.study) is None
    shown = [one["exposure_ms"] for one in rater.votes if one["stage"] == "main"]
    assert shown[0] == 500


def test_only_pictures_of_the_study_have_a_file(kept: Kept) -> None:
    study = kept()
    assert study.picture(study.study.pictures[0].id).is_file()
    for name in ("0" * 32, "../study", "study.json", "", study.study.pictures[0].id.upper() + "x"):
        with pytest.raises(NotFound):
            study.picture(name)


def test_studies_come_and_go_with_their_folders(kept: Kept, tmp_path: Path) -> None:
    studies = Studies(tmp_path / "studies")
    assert studies.all() == []
    assert titles(tmp_path / "studies") == []
    first = kept()
    second = kept(id="20260102-two-abcdef", link="B" * 22, created_at=2.0)
    (tmp_path / "studies" / ".20260103-unfinished.tmp").mkdir()
    assert [one.study.id for one in studies.all()] == [second.study.id, first.study.id]
    assert titles(tmp_path / "studies") == [second.study.id, first.study.id]
    assert studies.by_link("B" * 22).study.id == second.study.id
    second.folder.rename(tmp_path / "gone")
    with pytest.raises(NotFound):
        studies.get(second.study.id)
    with pytest.raises(NotFound):
        studies.by_link("B" * 22)
    for wrong in ("../studies", "C" * 22, "", "x" * 5000):
        with pytest.raises(NotFound):
            studies.by_link(wrong)
