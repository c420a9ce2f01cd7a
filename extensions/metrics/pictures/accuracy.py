"""metrics.prompt_accuracy: pictures, their prompts and a judge -> whether they show what was asked, by attribute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from extensions.metrics.inputs.pictures import PictureSet
from extensions.metrics.inputs.refs import Asked
from extensions.metrics.sets.interval import Estimate, share
from webui.api import (
    Artifact,
    Context,
    FeatureExtractor,
    FieldError,
    JobFailed,
    ParameterError,
    PromptJudge,
    PromptRequest,
    Work,
)

from .params import AccuracyParams
from .prompts import prompts_of
from .reading import chunks, opened, said_of
from .telling import Column, Row, RowFile, Told, artifacts, teller

_NAME = "Prompt accuracy"
_RESAMPLES = 2000


class PromptAccuracy:
    """metrics.prompt_accuracy."""

    def run(self, params: AccuracyParams, context: Context) -> Iterator[Artifact]:
        judge = _judge(params, context)
        pictures = opened(
            Asked(
                "pictures",
                params.pictures,
                params.pictures_file,
                params.images,
                params.pipeline,
                params.params,
                params.prompts if params.pipeline else None,
                params.seed,
                params.samples,
                usual=128,
            ),
            context,
        )
        file = None if params.pipeline and not params.pictures else params.prompts
        prompts = prompts_of(pictures, params.prompt, file, context)
        asked = [judge.asked(prompt) for prompt in prompts]  # type: ignore[attr-defined]
        if not any(asked):
            raise JobFailed("the judge reads nothing that it tells apart in any of these prompts.")
        context.pending(5, [1000.0, 1.0, 1.0, 1.0, 1.0])
        rows = _rows(params, context, judge, pictures, list(zip(prompts, asked, strict=True)))
        yield from artifacts(context, _told(params, context, judge, pictures, rows))


def _judge(params: AccuracyParams, context: Context) -> FeatureExtractor:
    reader = context.feature_extractor(params.judge, params.weights)
    if not isinstance(reader, PromptJudge):
        raise ParameterError([FieldError("judge", "expected a network that reads prompts too", params.judge)])
    return reader


def _rows(
    params: AccuracyParams,
    context: Context,
    judge: FeatureExtractor,
    pictures: PictureSet,
    wanted: Sequence[tuple[str, PromptRequest | None]],
) -> list[Row]:
    """A row a picture: what was asked of each attribute, what was seen, and the share that is right."""
    held, tell = RowFile(context.work_dir / "rows.jsonl"), teller(context, "Judging pictures")
    tell(len(held), len(pictures))
    for start, batch in chunks(pictures, len(held), judge.prepare, params.batch):
        with (
            context.models.lease({"judge": judge.component}, work=Work("other", batch=len(batch))) as parts,
            torch.inference_mode(),
        ):
            told = judge.read(parts["judge"], torch.from_numpy(np.stack(batch)).to(context.device))
            seen = {head: told[head].argmax(dim=1).tolist() for head in judge.heads}
        rows = []
        for at in range(len(batch)):
            prompt, request = wanted[start + at]
            shown = {head: judge.heads[head][places[at]] for head, places in seen.items()}
            rows.append({"picture": pictures.name(start + at), "prompt": prompt, **_judged(request, shown, params)})
        held.add(rows)
        tell(len(held), len(pictures))
    return held.rows


def _judged(request: PromptRequest | None, shown: Mapping[str, str], params: AccuracyParams) -> Row:
    """Which attributes are as asked; nothing where the prompt asks for nothing."""
    if request is None:
        return {"accuracy": None, "right": [], "wrong": []}
    asked = {**(request.implied if params.implied else {}), **request.named}
    right = [head for head, value in asked.items() if shown[head] == value]
    wrong = [f"{head}: {value} asked, {shown[head]} seen" for head, value in asked.items() if shown[head] != value]
    return {"accuracy": len(right) / len(asked) if asked else None, "right": sorted(right), "wrong": sorted(wrong)}


def by_attribute(rows: Sequence[Row]) -> dict[str, Estimate]:
    """Head -> the share of pictures that show what was asked, with Wilson's interval; heads that were asked for."""
    counts: dict[str, list[int]] = {}
    for row in rows:
        for head in row["right"]:
            counts.setdefault(head, []).append(1)
        for words in row["wrong"]:
            counts.setdefault(words.partition(":")[0], []).append(0)
    return {head: share(sum(hits), len(hits), "Wilson, over pictures") for head, hits in sorted(counts.items())}


def mean_of_attributes(rows: Sequence[Row], seed: int) -> Estimate:
    """The mean over attributes of their shares, each attribute counting the same; its interval is a bootstrap over
    pictures (Efron 1979), since one picture's attributes stand and fall together.
    """
    heads = sorted(by_attribute(rows))
    right = np.array([[head in row["right"] for head in heads] for row in rows], np.float64)
    asked = right + np.array([[_missed(row, head) for head in heads] for row in rows], np.float64)
    drawn = np.random.default_rng(seed).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), _RESAMPLES)
    hits, counts = drawn @ right, drawn @ asked
    shares = np.divide(hits, counts, out=np.full_like(hits, np.nan), where=counts > 0)
    low, high = np.percentile(np.nanmean(shares, axis=1), (2.5, 97.5))
    value = float((right.sum(axis=0) / asked.sum(axis=0)).mean())
    return Estimate(value, float(low), float(high), f"bootstrap over {len(rows)} pictures")


def _told(
    params: AccuracyParams, context: Context, judge: FeatureExtractor, pictures: PictureSet, rows: Sequence[Row]
) -> Told:
    spec = context.feature_networks[params.judge]
    heads = by_attribute(rows)
    counts = {head: sum(head in row["right"] or _missed(row, head) for row in rows) for head in heads}
    mean = mean_of_attributes(rows, params.seed)
    unread = sum(row["accuracy"] is None for row in rows)
    if unread:
        context.warn(f"{unread} of {len(rows)} prompts ask for nothing that the judge tells apart: they are left out.")
    further = {
        "attribute_mean": {"value": mean.value, "low": mean.low, "high": mean.high, "interval": mean.way},
        "attributes": {
            head: {"value": one.value, "low": one.low, "high": one.high, "n": counts[head]}
            for head, one in heads.items()
        },
    }
    protocol: dict[str, Any] = {
        **said_of(pictures, context),
        "judge": spec.id,
        **judge.protocol,
        "implied_counted": params.implied,
        "seed": params.seed,
    }
    table = [
        {"attribute": head, "accuracy": one.value, "low": one.low, "high": one.high, "pictures": counts[head]}
        for head, one in sorted(heads.items(), key=lambda pair: pair[1].value)
    ]
    column = Column("accuracy", f"{_NAME}-{spec.title}: share of what a prompt asks for", "higher")
    more = [Artifact("table", table, title="Attributes, the worst first")]
    title = f"{_NAME} of {len(rows)} pictures by {spec.title}"
    return Told(title, rows, [column], protocol, further, histograms=False, more=more)


def _missed(row: Row, head: str) -> bool:
    return any(words.partition(":")[0] == head for words in row["wrong"])
