"""Raw votes for other programs: a row each, as CSV and JSON, with every id resolved."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from .analysis import excluded
from .store import Rater
from .study import Study

COLUMNS = (
    "study", "rater", "rater_number", "excluded", "trial", "stage", "left", "left_set", "left_source", "right",
    "right_set", "right_source", "truth", "answer", "correct", "exposure_ms", "shown_ms", "seconds",
)  # fmt: skip
"""A single picture is the left one."""


def vote_rows(study: Study, raters: Sequence[Rater]) -> list[dict[str, Any]]:
    """Every answer, practice and attention trials and excluded raters too."""
    rows = []
    for rater in raters:
        reason = excluded(study, rater)
        for vote in rater.votes:
            row = dict.fromkeys(COLUMNS, "")
            row.update(study=study.id, rater=rater.id, rater_number=rater.number, excluded=reason)
            for side, picture in zip(("left", "right"), vote["pictures"], strict=False):
                known = study.by_id[picture]
                row[side] = picture
                row[f"{side}_set"] = study.by_set[known.set].name
                row[f"{side}_source"] = known.source if known.use != "scrambled" else f"{known.source} (scrambled)"
            for name in ("trial", "stage", "truth", "answer", "correct", "exposure_ms", "shown_ms", "seconds"):
                row[name] = "" if vote[name] is None else vote[name]
            rows.append(row)
    return rows


def votes_csv(study: Study, raters: Sequence[Rater]) -> str:
    """A table with a header. A cell that a spreadsheet would run as a formula begins with an apostrophe."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in vote_rows(study, raters):
        writer.writerow({name: _inert(value) for name, value in row.items()})
    return out.getvalue()


def votes_json(study: Study, raters: Sequence[Rater]) -> str:
    """The votes, and the study as it is kept but for its link."""
    body = json.loads(study.to_json())
    body.pop("link")
    return json.dumps({"study": body, "votes": vote_rows(study, raters)}, ensure_ascii=False, indent=1) + "\n"


def _inert(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
