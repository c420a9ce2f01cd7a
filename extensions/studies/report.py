"""studies.results: the numbers, a plot and the raw votes of a study as artifacts of a job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from webui.api import Artifact, Context, JobFailed

from . import exports
from .analysis import results
from .create import FOLDER
from .params import ResultsParams
from .plots import chart, plot
from .store import Studies


class Results:
    """studies.results."""

    def run(self, params: ResultsParams, context: Context) -> Iterator[Artifact]:
        """Artifacts: a table of the numbers, one of the raters, all as JSON, the plot as data and as
        SVG, the votes as CSV and JSON."""
        context.pending(7)
        studies = Studies(context.folders(FOLDER)[0])
        known = studies.all()
        if not known:
            raise JobFailed("there is no study yet.", hint="Make one with studies.create.")
        study = studies.get(params.study) if params.study else known[0]
        raters = study.raters()
        told = results(study.study, raters, partial=params.partial, replicates=params.replicates)
        if problem := told.get("preference", {}).get("problem"):
            context.warn(problem)
        title = study.study.title
        yield Artifact("table", numbers(told), index=0, title=title)
        yield Artifact("table", told["raters"]["each"], index=1, title=f"{title}: raters")
        yield Artifact("scalar", told, index=2, title=f"{title}: results")
        if drawn := chart(told):
            yield Artifact("plot", drawn, index=6, title=title)
        files = {"plot.svg": plot(told), "votes.csv": exports.votes_csv(study.study, raters)}
        files["votes.json"] = exports.votes_json(study.study, raters)
        for place, (name, text) in enumerate(files.items()):
            path = context.work_dir / name
            path.write_text(text, encoding="utf-8")
            yield Artifact("file", Path(path), index=3 + place, title=f"{title}: {name}")


def numbers(told: dict[str, Any]) -> list[dict[str, Any]]:
    """What is said of a study, a number a row."""
    rows: list[dict[str, Any]] = [_row("", "raters counted", {"value": told["counted"]})]
    rows.append(_row("", "raters excluded", {"value": told["raters"]["excluded"]}))
    rows.append(_row("", "answers counted", {"value": told["answers"]}))
    if realism := told.get("realism"):
        groups = [("all", realism)] if len(realism["sets"]) > 1 else []
        for name, one in [*groups, *((each["name"], each) for each in realism["sets"])]:
            rows += [_row(name, label, one[key]) for key, label in _REALISM.items() if key in one]
            rows.append(_row(name, "p against 50%", {"value": one["p"]}))
    if time := told.get("time"):
        rows.append(_row("", "threshold, ms", time["threshold_ms"]))
        rows.append(_row("", "modal exposure (HYPE), ms", time["modal_ms"]))
        rows.append(_row("", "late exposures", {"value": time["late"]}))
        rows.append(_row("", "raters beyond the range of exposures", {"value": time["beyond"]}))
    if preferred := told.get("preference"):
        for name, share in zip(preferred["names"], preferred["share"], strict=True):
            rows.append(_row(name, "preferred", share))
        for one in preferred.get("strengths", ()):
            rows.append(_row(one["name"], "Elo", one["elo"]))
            rows.append(_row(one["name"], "Bradley-Terry beta", {"value": one["beta"]}))
    return rows


_REALISM = {
    "error": "error rate",
    "fake_error": "fake error",
    "real_error": "real error",
    "error_real_left": "error, real left",
    "error_real_right": "error, real right",
    "d_prime": "d'",
    "criterion": "criterion",
}


def _row(name: str, number: str, told: dict[str, Any]) -> dict[str, Any]:
    return {"set": name, "number": number, **{key: told.get(key) for key in ("value", "low", "high")}}
