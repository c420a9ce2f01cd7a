"""The folder of studies: files are the truth, and everything in memory is read from them again.

    studies/<id>/study.json      what it is, with the origin of every picture
    studies/<id>/images/         the pictures as raters see them, under random names
    studies/<id>/raters.jsonl    who began, with which trials; who finished
    studies/<id>/votes.jsonl     every answer, a line each, on disk before the rater is told
    studies/<id>/closed          is there while no answers are taken

Raters are random ids. Nothing is kept of their addresses, browsers or times but the day.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from webui.api import LifelikeError, NotFound

from .design import plan
from .journal import append_line, read_lines
from .study import FILE, LINK, STUDY_ID, DamagedStudy, Study, Trial, image_path

RATERS, VOTES, CLOSED = "raters.jsonl", "votes.jsonl", "closed"


_BEGUN_PER_RATER = 10
"""How many may begin for each rater that a study takes."""


class Refused(LifelikeError):
    """A study takes no rater or no answer now. ``reason``: closed, full or order."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass
class Rater:
    """One person's way through a study."""

    id: str
    key: str
    """SHA-256 of the token that only the rater's browser has."""
    number: int
    plan: tuple[Trial, ...]
    language: str = "en"
    day: str = ""
    votes: list[dict[str, Any]] = field(default_factory=list)
    """In the order of the trials."""

    @property
    def next(self) -> int:
        """The trial that comes next; past the last one at the end."""
        return len(self.votes)

    @property
    def finished(self) -> bool:
        return self.next >= len(self.plan)

    def exposure_ms(self, study: Study) -> int | None:
        """How long the next pictures are shown; None: as long as the rater likes."""
        if study.staircase is None or self.finished:
            return None
        if self.plan[self.next].stage == "practice":
            return study.staircase.highest_ms
        answers = [bool(one["correct"]) for one in self.votes if one["stage"] == "main"]
        return study.staircase.next_ms(answers, study.trials)


@dataclass(frozen=True)
class Answer:
    """What a rater sent."""

    trial: int
    answer: str
    seconds: float | None = None
    """From the sight of the pictures to the answer."""
    shown_ms: float | None = None
    """How long they were shown, as the browser measured it; timed studies only."""


class OpenStudy:
    """One study with its raters. Threads may share it: its lock guards the raters and both files."""

    def __init__(self, folder: Path) -> None:
        """Raises DamagedStudy, OSError."""
        self.folder = folder
        self._lock = threading.Lock()
        self._stamp = 0
        self._study = self._read()
        self._raters: dict[str, Rater] = {}
        self._by_key: dict[str, Rater] = {}
        for row in read_lines(folder / RATERS):
            self._take_rater(row)
        for row in read_lines(folder / VOTES):
            self._take_vote(row)

    @property
    def study(self) -> Study:
        return self._study

    def refresh(self) -> None:
        """Read the study again where its file has changed: an arena gets pictures while people answer. What cannot be
        read changes nothing.
        """
        with self._lock:
            try:
                if (self.folder / FILE).stat().st_mtime_ns != self._stamp:
                    self._study = self._read()
            except (DamagedStudy, OSError):
                return

    def _read(self) -> Study:
        self._stamp = (self.folder / FILE).stat().st_mtime_ns
        study = Study.from_json((self.folder / FILE).read_text(encoding="utf-8"))
        return replace(study, closed=study.closed or (self.folder / CLOSED).exists())

    def raters(self) -> list[Rater]:
        """As they are now: copies, in the order in which they began."""
        with self._lock:
            return [replace(one, votes=list(one.votes)) for one in self._raters.values()]

    def picture(self, picture_id: str) -> Path:
        """A picture's file. Raises NotFound for what is not in the study."""
        if picture_id not in self._study.by_id:
            raise NotFound("this study has no such picture.")
        return image_path(self.folder, picture_id)

    def begin(self, language: str) -> tuple[str, Rater]:
        """A new rater, and the token that is theirs alone. Raises Refused, OSError."""
        token = secrets.token_urlsafe(16)
        with self._lock:
            if self._study.closed:
                raise Refused("This study is closed.", "closed")
            # Who agreed and went away takes no place, but for a flood of them.
            answered = sum(1 for one in self._raters.values() if one.votes)
            most = self._study.max_raters
            if answered >= most or len(self._raters) >= _BEGUN_PER_RATER * most:
                raise Refused("This study has all the raters that it needs.", "full")
            number = len(self._raters)
            row = {
                "rater": secrets.token_hex(8),
                "key": hashlib.sha256(token.encode()).hexdigest(),
                "number": number,
                "language": language,
                "consent": True,
                "day": time.strftime("%Y-%m-%d", time.gmtime()),
                "plan": [asdict(one) for one in plan(self._study, number)],
            }
            append_line(self.folder / RATERS, row)
            self._take_rater(row)
            return token, self._copy(self._raters[str(row["rater"])])

    def rater(self, token: str) -> Rater:
        """Who holds ``token``. Raises NotFound."""
        with self._lock:
            # By its hash: what a comparison takes says nothing of the token.
            found = self._by_key.get(hashlib.sha256(token.encode()).hexdigest())
            if found is not None:
                return self._copy(found)
        raise NotFound("this study has no rater with that token.")

    def vote(self, token: str, answer: Answer) -> Rater:
        """Take an answer; the rater after it. One that was taken before changes nothing, so that a browser may send it
        again. Raises NotFound, Refused, OSError; ValueError for an answer that the study has not.
        """
        rater_id = self.rater(token).id
        with self._lock:
            rater, study = self._raters[rater_id], self._study
            if answer.trial < rater.next:
                return self._copy(rater)
            if study.closed:
                raise Refused("This study is closed.", "closed")
            if answer.trial > rater.next or rater.finished:
                raise Refused(f"Trial {rater.next} comes next, not {answer.trial}.", "order")
            if answer.answer not in study.answers:
                raise ValueError(f"expected one of {', '.join(study.answers)}")
            row = _vote_row(study, rater, answer)
            append_line(self.folder / VOTES, row)
            self._take_vote(row)
            return self._copy(rater)

    def set_closed(self, closed: bool) -> Study:
        """Close the study for all answers, or open it again. Raises OSError."""
        with self._lock:
            if closed:
                (self.folder / CLOSED).touch()
            else:
                (self.folder / CLOSED).unlink(missing_ok=True)
            self._study = replace(self._study, closed=closed)
            return self._study

    @staticmethod
    def _copy(rater: Rater) -> Rater:
        return replace(rater, votes=list(rater.votes))

    def _take_rater(self, row: Mapping[str, Any]) -> None:
        try:
            trials = tuple(
                Trial(one["stage"], tuple(one["pictures"]), one["truth"])
                for one in row["plan"]
                if all(picture in self._study.by_id for picture in one["pictures"])
            )
            rater = Rater(
                str(row["rater"]), str(row["key"]), int(row["number"]), trials, str(row["language"]), str(row["day"])
            )
        except (KeyError, TypeError, ValueError):
            return
        self._by_key.setdefault(rater.key, self._raters.setdefault(rater.id, rater))

    def _take_vote(self, row: Mapping[str, Any]) -> None:
        rater = self._raters.get(str(row.get("rater")))
        if rater is not None and row.get("trial") == rater.next and not rater.finished:
            rater.votes.append(dict(row))


def _vote_row(study: Study, rater: Rater, answer: Answer) -> dict[str, Any]:
    """A vote that says all of itself: other programs need no second file to read it."""
    trial = rater.plan[answer.trial]
    return {
        "rater": rater.id,
        "trial": answer.trial,
        "stage": trial.stage,
        "pictures": list(trial.pictures),
        "sets": [study.by_id[one].set for one in trial.pictures],
        "truth": trial.truth,
        "answer": answer.answer,
        "correct": answer.answer == trial.truth if trial.truth else None,
        "exposure_ms": rater.exposure_ms(study),
        "shown_ms": answer.shown_ms,
        "seconds": answer.seconds,
    }


def write_study(folder: Path, study: Study) -> None:
    """Write ``study.json``, all or nothing. Raises OSError."""
    temporary = folder / f"{FILE}.{os.getpid()}.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(study.to_json())
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, folder / FILE)


class Studies:
    """All studies of a data folder, read when they are first asked for. Threads may share it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._open: dict[str, OpenStudy] = {}
        self._links: dict[str, str] = {}

    def all(self) -> list[OpenStudy]:
        """Every study that can be read, the newest first."""
        self._look()
        with self._lock:
            found = list(self._open.values())
        return sorted(found, key=lambda one: (one.study.created_at, one.study.id), reverse=True)

    def get(self, study_id: str) -> OpenStudy:
        """Raises NotFound."""
        if STUDY_ID.fullmatch(study_id):
            if not (self.root / study_id / FILE).is_file() or study_id not in self._open:
                self._look()
            with self._lock:
                found = self._open.get(study_id)
            if found is not None:
                found.refresh()
                return found
        raise NotFound(f"there is no study {study_id[:64]!r}.")

    def by_link(self, link: str) -> OpenStudy:
        """Raises NotFound."""
        if LINK.fullmatch(link):
            with self._lock:
                known = self._links.get(link)
            if known is None:
                self._look()
                with self._lock:
                    known = self._links.get(link)
            if known is not None:
                return self.get(known)
        raise NotFound("this link leads to no study.")

    def _look(self) -> None:
        """Open what came since the last time; forget what is gone."""
        there = study_folders(self.root)
        with self._lock:
            for gone in set(self._open) - {folder.name for folder in there}:
                del self._open[gone]
            for folder in there:
                if folder.name in self._open:
                    continue
                try:
                    self._open[folder.name] = OpenStudy(folder)
                except (DamagedStudy, OSError):
                    continue
            self._links = {one.study.link: name for name, one in self._open.items()}


def study_folders(root: Path) -> list[Path]:
    """Folders of finished studies, by name; what is being made has a name with a dot in front."""
    try:
        entries = sorted(root.iterdir())
    except OSError:
        return []
    return [one for one in entries if STUDY_ID.fullmatch(one.name) and (one / FILE).is_file()]


def titles(root: Path) -> list[str]:
    """Ids of the studies, the newest first: light, for the list of a form."""
    made = []
    for folder in study_folders(root):
        try:
            body = json.loads((folder / FILE).read_text(encoding="utf-8"))
            made.append((float(body["created_at"]), folder.name))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return [name for _, name in sorted(made, reverse=True)]
