"""metrics.prompt_accuracy: pictures, their prompts and a judge -> whether they show what was asked, by attribute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from extensions.metrics.inputs.pictures import PictureSet
from extensions.metrics.inputs.refs import Asked
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

from .attributes import Group, Judged, by_attribute, groups, mean_of_attributes
from .params import AccuracyParams
from .prompts import prompts_of
from .reading import chunks, opened, said_of
from .telling import Column, Row, RowFile, Told, artifacts, teller

_NAME = "Prompt accuracy"


class PromptAccuracy:
    """metrics.prompt_accuracy."""

    def run(self, params: AccuracyParams, context: Context) -> Iterator[Artifact]:
        judge = _judge(params, context)
        made = params.pipeline and not (params.pictures or params.pictures_file or params.images)
        pictures = opened(
            Asked(
                "pictures",
                params.pictures,
                params.pictures_file,
                params.images,
                params.pipeline,
                params.params,
                params.prompts if made else None,
                params.seed,
                params.samples,
                usual=128,
            ),
            context,
        )
        prompts = prompts_of(pictures, params.prompt, None if made else params.prompts, context)
        asked = [judge.asked(prompt) for prompt in prompts]  # type: ignore[attr-defined]
        if not any(asked):
            raise JobFailed("the judge reads nothing that it tells apart in any of these prompts.")
        context.pending(6, [1000.0, *[1.0] * 5])
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
            one = Judged(asked_of(request, params.implied), shown)
            told_of = {"accuracy": one.accuracy, "wrong": one.wrong, "asked": one.asked, "seen": shown}
            rows.append({"picture": pictures.name(start + at), "prompt": prompt, **told_of})
        held.add(rows)
        tell(len(held), len(pictures))
    return held.rows


def asked_of(request: PromptRequest | None, implied: bool) -> dict[str, str]:
    """Attribute -> value that a picture is to show; empty where its prompt asks for nothing."""
    if request is None:
        return {}
    return {**(request.implied if implied else {}), **request.named}


def _told(
    params: AccuracyParams, context: Context, judge: FeatureExtractor, pictures: PictureSet, rows: Sequence[Row]
) -> Told:
    spec = context.feature_networks[params.judge]
    judged = [Judged(row["asked"], row["seen"]) for row in rows]
    heads, mean = by_attribute(judged), mean_of_attributes(judged, params.seed)
    found = groups(judged)
    unread = sum(row["accuracy"] is None for row in rows)
    if unread:
        context.warn(f"{unread} of {len(rows)} prompts ask for nothing that the judge tells apart: they are left out.")
    further = {
        "attribute_mean": {"value": mean.value, "low": mean.low, "high": mean.high, "interval": mean.way},
        "attributes": {
            head: {"value": one.value, "low": one.low, "high": one.high, "n": count}
            for head, (one, count) in heads.items()
        },
        "drawn_worse": [_row_of(group) for group in found if group.worse],
    }
    protocol: dict[str, Any] = {
        **said_of(pictures, context),
        "judge": spec.id,
        **judge.protocol,
        "implied_counted": params.implied,
        "seed": params.seed,
    }
    table = [
        {"attribute": head, "accuracy": one.value, "low": one.low, "high": one.high, "pictures": count}
        for head, (one, count) in sorted(heads.items(), key=lambda pair: pair[1][0].value)
    ]
    column = Column("accuracy", f"{_NAME}-{spec.title}: share of what a prompt asks for", "higher")
    more = [Artifact("table", table, title="Attributes, the worst first")]
    if found:
        more.append(Artifact("table", [_row_of(group) for group in found], title="Groups, who is drawn worse first"))
    title = f"{_NAME} of {len(rows)} pictures by {spec.title}"
    shown = [{name: row[name] for name in ("picture", "prompt", "accuracy", "wrong", "seen")} for row in rows]
    return Told(title, shown, [column], protocol, further, histograms=False, more=more)


def _row_of(group: Group) -> Row:
    one = group.difference
    row = {"attribute": group.attribute, "asked": group.value, "pictures": group.count, "accuracy": group.accuracy}
    row |= {"others": group.others, "difference": one.value, "low": one.low, "high": one.high}
    return {**row, "worse": group.worse}
