"""The durable memory of all jobs, between JobService and the dispatchers: one SQLite file that outlives every process.

States move only so, and every move is one transaction:

    queued  -> running     claim_next
    queued  -> cancelled   request_cancel
    running -> done, failed, cancelled   apply
    running -> queued, failed, cancelled   interrupt (its worker or server is gone)
    failed, cancelled -> queued   retry
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui.core.errors import Conflict, NotFound
from webui.core.jobs import (
    ArtifactRecord,
    ErrorInfo,
    Job,
    JobArtifact,
    JobCancelled,
    JobDone,
    JobFailedEvent,
    JobProgress,
    JobStarted,
    JobState,
    JobWarning,
    Progress,
)
from webui.queue.schema import connect, take_ownership

MAX_ATTEMPTS = 2
"""A job whose worker died goes back to the queue until it was tried this often, and once more for each artifact."""
MAX_STARTS = 6
"""And this often where the death says nothing of the job: the server's, or a worker's before it took the job up."""

_MAX_WARNINGS = 100
_ENDED = tuple(state for state in JobState if state.ended)

# The order in which claim_next will take what waits now, if nothing is added: interrupted jobs, then turn after turn
# over the owners.
_WAITING = "FROM jobs LEFT JOIN owners ON owners.owner = jobs.owner WHERE state = 'queued'"
_CLAIM = f"SELECT jobs.* {_WAITING} ORDER BY interrupted DESC, COALESCE(served, 0), place LIMIT 1"
_POSITIONS = f"""
    WITH waiting AS (
        SELECT id, jobs.owner AS owner, interrupted, place, COALESCE(served, 0) AS served {_WAITING}
    ), turns AS (
        SELECT id, interrupted, served,
            CASE WHEN interrupted THEN 0 ELSE ROW_NUMBER() OVER own END AS turn,
            CASE WHEN interrupted THEN place ELSE FIRST_VALUE(place) OVER own END AS head
        FROM waiting WINDOW own AS (PARTITION BY owner, interrupted ORDER BY place)
    )
    SELECT id, ROW_NUMBER() OVER (ORDER BY interrupted DESC, turn, served, head) - 1 AS position FROM turns
"""


@dataclass(frozen=True)
class Claim:
    """A job taken from the queue, now running. ``fresh``: it never ran before, so nothing of it can be on disk."""

    job: Job
    fresh: bool


Jobs = list[Job]


class JobStore:
    """Jobs in the SQLite file ``path``. All methods may be called from any thread, and several processes may open one
    file.

    ``_lock`` guards the one connection and ``_progress``; no other lock is taken while it is held.
    """

    def __init__(self, path: Path, *, progress_interval_s: float = 1.0) -> None:
        """Open or make the file. Raises SetupError. Progress is written at most once in ``progress_interval_s`` for
        each job.
        """
        self._path = path
        self._progress_interval_s = progress_interval_s
        self._lock = threading.RLock()
        self._progress: dict[str, tuple[Progress, float]] = {}
        self._db = connect(path)
        self._sole: sqlite3.Connection | None = None

    def close(self) -> None:
        """Let go of the file. Nothing may be called afterwards."""
        with self._lock:
            self._db.close()
            if self._sole is not None:
                self._sole.close()
                self._sole = None

    def own(self) -> None:
        """Become the one process that runs these jobs, until ``close`` or death. Raises SetupError when another is."""
        with self._lock:
            if self._sole is None:
                self._sole = take_ownership(self._path)

    @contextmanager
    def _transaction(self, *, outlives_power_cut: bool = False) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if outlives_power_cut:
                self._db.execute("PRAGMA synchronous=FULL")
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            finally:
                if outlives_power_cut:
                    self._db.execute("PRAGMA synchronous=NORMAL")

    # --- reading

    def get(self, job_id: str) -> Job:
        """Raises NotFound."""
        with self._lock:
            row = self._row(job_id)
            return self._jobs([row])[0]

    def page(
        self,
        state: JobState | Sequence[JobState] | None = None,
        owner: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> Jobs:
        """Newest first, at most ``limit``. ``before``: the id of the last job of the page before. Raises NotFound for
        an unknown one.
        """
        wheres, values = ["1"], list[Any]()
        with self._lock:
            if state is not None:
                states = [state] if isinstance(state, JobState) else list(state)
                wheres.append(f"state IN ({_marks(states)})")
                values += [one.value for one in states]
            if owner is not None:
                wheres.append("owner = ?")
                values.append(owner)
            if before is not None:
                wheres.append("seq < ?")
                values.append(self._row(before)["seq"])
            sql = f"SELECT * FROM jobs WHERE {' AND '.join(wheres)} ORDER BY seq DESC LIMIT ?"
            return self._jobs(self._db.execute(sql, [*values, max(0, limit)]).fetchall())

    def counts(self, owner: str | None = None) -> dict[JobState, int]:
        """Jobs in each state, of everyone or of one owner."""
        where, values = ("", ()) if owner is None else (" WHERE owner = ?", (owner,))
        with self._lock:
            rows = self._db.execute(f"SELECT state, COUNT(*) FROM jobs{where} GROUP BY state", values).fetchall()
        return dict.fromkeys(JobState, 0) | {JobState(name): count for name, count in rows}

    def seconds_used(self, owner: str, since: float) -> float:
        """How long jobs of ``owner`` ran since ``since`` (s since 1970), in s; of those that run, until now."""
        sql = (
            "SELECT coalesce(sum(max(0, coalesce(finished_at, :now) - max(started_at, :since))), 0) FROM jobs"
            " WHERE owner = :owner AND started_at IS NOT NULL AND state != 'queued'"
            " AND coalesce(finished_at, :now) > :since"
        )
        with self._lock:
            row = self._db.execute(sql, {"owner": owner, "since": since, "now": time.time()}).fetchone()
        return float(row[0])

    def positions(self) -> dict[str, int]:
        """How many jobs are before each that waits."""
        with self._lock:
            return dict(self._db.execute(_POSITIONS).fetchall())

    def cancel_requested(self, job_id: str) -> bool:
        """Whether someone wants this job, which may be running, to end. Raises NotFound."""
        with self._lock:
            return bool(self._row(job_id)["cancel_requested"])

    def _row(self, job_id: str) -> sqlite3.Row:
        row: sqlite3.Row | None = self._db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is None:
            raise NotFound(
                f"there is no job {job_id!r}.", hint="It may have been cleared away; its pictures are in the gallery."
            )
        return row

    def _jobs(self, rows: Sequence[sqlite3.Row]) -> Jobs:
        ids = [row["id"] for row in rows]
        artifacts: dict[str, list[ArtifactRecord]] = {job_id: [] for job_id in ids}
        sql = f"SELECT job_id, record FROM artifacts WHERE job_id IN ({_marks(ids)}) ORDER BY job_id, position"
        for job_id, record in self._db.execute(sql, ids):
            artifacts[job_id].append(ArtifactRecord.model_validate_json(record))
        waits = any(row["state"] == JobState.QUEUED for row in rows)
        positions = self.positions() if waits else {}
        return [self._job(row, artifacts[row["id"]], positions.get(row["id"])) for row in rows]

    def _job(self, row: sqlite3.Row, artifacts: Sequence[ArtifactRecord], position: int | None) -> Job:
        progress = Progress.model_validate_json(row["progress"])
        if row["state"] == JobState.RUNNING and row["id"] in self._progress:
            progress = self._progress[row["id"]][0]
        return Job(
            id=row["id"],
            pipeline=row["pipeline"],
            params=json.loads(row["params"]),
            owner=row["owner"],
            state=JobState(row["state"]),
            created_at=row["created_at"],
            started_at=row["started_at"],
            finished_at=row["finished_at"],
            attempts=row["attempts"],
            progress=progress,
            error=ErrorInfo.model_validate_json(row["error"]) if row["error"] else None,
            warnings=tuple(json.loads(row["warnings"])),
            artifacts=tuple(artifacts),
            position=position,
        )

    # --- moving

    def add(self, job: Job) -> Job:
        """Put a new job at the end of its owner's queue; once this returns, not even a power cut loses it. Raises
        Conflict for an id already used.
        """
        with self._transaction(outlives_power_cut=True) as db:
            columns = "id, pipeline, params, owner, state, created_at, place"
            values = (job.id, job.pipeline, json.dumps(job.params), job.owner, JobState.QUEUED, job.created_at)
            try:
                db.execute(f"INSERT INTO jobs ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", (*values, _next(db, "place")))
            except sqlite3.IntegrityError:
                raise Conflict(f"there is a job {job.id!r} already.") from None
            return self.get(job.id)

    def claim_next(self) -> Claim | None:
        """Take the job whose turn it is and make it running; None when nothing waits. No two callers ever get the
        same job.

        Jobs that were interrupted come first, for they had their turn; then the oldest job of the owner who was
        served longest ago.
        """
        with self._transaction() as db:
            row = db.execute(_CLAIM).fetchone()
            if row is None:
                return None
            if not row["interrupted"]:
                db.execute("REPLACE INTO owners VALUES (?, ?)", (row["owner"], _next(db, "served")))
            counts = {"attempts": row["attempts"] + 1, "runs": row["runs"] + 1}
            _set(db, row["id"], state=JobState.RUNNING, interrupted=0, started_at=time.time(), **counts)
            return Claim(self.get(row["id"]), fresh=row["runs"] == 0)

    def apply(self, event: object) -> bool:
        """Fold what a worker said of a job into it. False when that changes nothing, such as an end of a job that is
        not running.

        Ends, artifacts and warnings are on disk when this returns; progress is kept in memory and written now and then.
        """
        match event:
            case JobProgress():
                return self._apply_progress(event.job_id, event.progress)
            case JobArtifact():
                return self._apply_artifact(event.job_id, event.artifact)
            case JobWarning():
                return self._apply_warning(event.job_id, event.message)
            case JobStarted():
                return self._update_running(event.job_id, started_at=time.time())
            case JobDone():
                last, _ = self._progress.get(event.job_id, (Progress(), 0.0))
                finished = last.model_copy(update={"fraction": 1.0, "eta_s": None})
                return self._end(event.job_id, JobState.DONE, progress=finished.model_dump_json())
            case JobFailedEvent():
                return self._end(event.job_id, JobState.FAILED, error=event.error.model_dump_json())
            case JobCancelled():
                return self._end(event.job_id, JobState.CANCELLED)
        return False

    def _update_running(self, job_id: str, **columns: Any) -> bool:
        with self._transaction() as db:
            return _set(db, job_id, "state = 'running'", **columns)

    def _apply_progress(self, job_id: str, progress: Progress) -> bool:
        with self._lock:
            now = time.monotonic()
            known = self._progress.get(job_id)
            if known is not None and now - known[1] < self._progress_interval_s:
                self._progress[job_id] = (progress, known[1])
                return True
            if not self._update_running(job_id, progress=progress.model_dump_json()):
                return False
            self._progress[job_id] = (progress, now)
            return True

    def _apply_artifact(self, job_id: str, artifact: ArtifactRecord) -> bool:
        with self._transaction() as db:
            self._row(job_id)
            db.execute("REPLACE INTO artifacts VALUES (?, ?, ?)", (job_id, artifact.index, artifact.model_dump_json()))
        return True

    def _apply_warning(self, job_id: str, message: str) -> bool:
        with self._transaction() as db:
            warnings = json.loads(self._row(job_id)["warnings"])
            if message in warnings or len(warnings) >= _MAX_WARNINGS:
                return False
            _set(db, job_id, warnings=json.dumps([*warnings, message]))
        return True

    def _end(self, job_id: str, state: JobState, **columns: Any) -> bool:
        with self._lock:
            if state is not JobState.DONE and job_id in self._progress:
                columns["progress"] = self._progress[job_id][0].model_dump_json()
            moved = self._update_running(job_id, state=state.value, finished_at=time.time(), **columns)
            self._progress.pop(job_id, None)
            return moved

    def interrupt(self, job_id: str, error: ErrorInfo, *, counts: bool = True, attempts: int = MAX_ATTEMPTS) -> Job:
        """A running job lost its worker: back to the queue, or cancelled where that was wanted, or failed with
        ``error`` where it was tried ``attempts`` times. ``counts=False``: nothing went wrong, do not count this
        attempt. A job that is not running stays as it is. Raises NotFound.
        """
        with self._transaction() as db:
            row = self._row(job_id)
            if row["state"] == JobState.RUNNING:
                if row["cancel_requested"]:
                    _set(db, job_id, state=JobState.CANCELLED, finished_at=time.time())
                elif counts and row["attempts"] >= attempts:
                    _set(db, job_id, state=JobState.FAILED, error=error.model_dump_json(), finished_at=time.time())
                else:
                    tried = row["attempts"] - (0 if counts else 1)
                    _set(db, job_id, state=JobState.QUEUED, interrupted=1, attempts=tried, progress="{}")
                self._progress.pop(job_id, None)
            return self.get(job_id)

    def recover(self) -> Jobs:
        """To be called once by the process that ``own``s the file, before it runs anything: whatever is running was
        left by one that died.

        Each goes the way of ``interrupt``. Returns them as they are now.
        """
        error = ErrorInfo(
            kind="WorkerDied",
            message=f"the server ended {MAX_STARTS} times while this job ran, so it is not tried again.",
            hint="If the job is the cause (memory, a driver), ask for less; else run it again: it goes on.",
        )
        running = self.page(JobState.RUNNING, limit=2**31)
        return [self.interrupt(job.id, error, attempts=MAX_STARTS) for job in running]

    def request_cancel(self, job_id: str) -> Job:
        """A waiting job is cancelled at once; a running one is marked, and its dispatcher must end it; an ended one
        stays. Raises NotFound.
        """
        with self._transaction() as db:
            row = self._row(job_id)
            if row["state"] == JobState.QUEUED:
                _set(db, job_id, state=JobState.CANCELLED, interrupted=0, finished_at=time.time())
            elif row["state"] == JobState.RUNNING:
                _set(db, job_id, cancel_requested=1)
            return self.get(job_id)

    def retry(self, job_id: str) -> Job:
        """Put a failed or cancelled job at the end of its owner's queue, with what it finished kept. Raises NotFound,
        Conflict.
        """
        with self._transaction(outlives_power_cut=True) as db:
            row = self._row(job_id)
            if row["state"] not in (JobState.FAILED, JobState.CANCELLED):
                raise Conflict(f"job {job_id} is {row['state']}; only a failed or cancelled job can be tried again.")
            place = _next(db, "place")
            _set(db, job_id, state=JobState.QUEUED, place=place, attempts=0, interrupted=0, cancel_requested=0)
            _set(db, job_id, error=None, finished_at=None, progress="{}", warnings="[]")
            return self.get(job_id)

    def prune(self, keep: int) -> int:
        """Forget the oldest ended jobs but ``keep``; their files and the library's index are not touched. Returns how
        many.
        """
        with self._transaction() as db:
            old = f"SELECT seq FROM jobs WHERE state IN ({_marks(_ENDED)}) ORDER BY seq DESC LIMIT -1 OFFSET ?"
            gone = db.execute(f"DELETE FROM jobs WHERE seq IN ({old})", (*_ENDED, keep)).rowcount
            db.execute("DELETE FROM owners WHERE owner NOT IN (SELECT owner FROM jobs)")
            return gone


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _set(db: sqlite3.Connection, job_id: str, only_if: str = "1", **columns: Any) -> bool:
    """Update columns of one job where the condition ``only_if`` holds; whether it did."""
    names = ", ".join(f"{name} = ?" for name in columns)
    changed = db.execute(f"UPDATE jobs SET {names} WHERE id = ? AND {only_if}", (*columns.values(), job_id)).rowcount
    return changed == 1


def _next(db: sqlite3.Connection, counter: str) -> int:
    (value,) = db.execute("UPDATE counters SET value = value + 1 WHERE name = ? RETURNING value", (counter,)).fetchone()
    return int(value)
