"""metrics.report: two sets -> the other scores, run within this job -> one HTML page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from extensions.metrics.inputs.pictures import PictureSet
from extensions.metrics.inputs.refs import Asked, open_set
from extensions.metrics.pictures.prompts import prompts_of
from extensions.metrics.pictures.reading import opened
from extensions.metrics.sets.frechet import Moments
from webui.api import Artifact, Cancelled, Context, JobFailed, LifelikeError

from . import sections
from .found import Found
from .page import Section, page
from .params import ReportParams
from .words import Words

_MOST_ARTIFACTS = 64
"""Of a run within this one: more than any of them makes."""


class Report:
    """metrics.report."""

    def run(self, params: ReportParams, context: Context) -> Iterator[Artifact]:
        context.pending(1)
        self._context, self._runs = context, 0
        self._named: dict[str, str] = {}
        made = opened(
            Asked(
                "generated",
                params.generated,
                params.generated_file,
                params.generated_images,
                params.pipeline,
                params.params,
                None if self._own(params) else params.prompts,
                params.seed,
                params.samples,
                usual=params.samples,
            ),
            context,
        )
        prompts = self._prompts(made, params)
        made = self._written(made, "generated", prompts)
        real = open_set(
            Asked("real", params.real, params.real_file, seed=params.seed, count=params.samples, usual=params.samples),
            context,
        )
        real = real if isinstance(real, Moments) else self._written(real, "real", ())
        sets = {"real": self._ref(real, params.real, params.real_file), **self._made_ref(made, params)}
        compared = self._run("metrics.compare", {**sets, "samples": params.samples, "seed": params.seed})
        near = self._run("metrics.neighbours", {**sets, "samples": params.samples, "pairs": 12})
        single = {name.replace("generated", "pictures"): value for name, value in self._made_ref(made, params).items()}
        single["images"] = single.pop("pictures_images", ())
        drawings = str(params.real).startswith("drawn:")
        quality = self._run(
            "metrics.image_quality",
            {**single, "samples": params.samples, "niqe": "drawings" if drawings else "photographs"},
        )
        t = Words(params.language, context.words(params.language))
        judged = Found(error="The pictures do not say what they were made from.")
        if prompts:
            judged = self._run(
                "metrics.prompt_accuracy",
                {**single, "samples": params.samples, "prompts": self._own(params), "seed": params.seed},
            )
        context.progress(1, 1, "Writing the report")
        told = [
            sections.samples(made, real if not isinstance(real, Moments) else None, prompts, t),
            sections.scores(compared, t),
            *sections.attributes(judged, t),
            *sections.failures(judged, made, t),
            sections.neighbours(near, t),
            sections.quality(quality, t),
            sections.protocol({"compare": compared, "single pictures": quality, "prompts": judged}, self._named, t),
        ]
        title = t(params.title)
        text = page(title, _summary(made, real, judged, t), [one for one in told if one is not None], t.language)
        path = context.work_dir / "report.html"
        path.write_text(text, encoding="utf-8")
        yield Artifact("file", path, index=0, title=title)

    # Sets

    def _prompts(self, made: PictureSet, params: ReportParams) -> list[str]:
        """What the pictures were to show; nothing where that is not known."""
        try:
            return prompts_of(made, "", self._own(params), self._context)
        except (LifelikeError, ValueError) as error:
            if isinstance(error, Cancelled):
                raise
            return []

    @staticmethod
    def _own(params: ReportParams) -> str | None:
        """The file of prompts where pictures are not made with it, but were."""
        elsewhere = params.generated or params.generated_file or params.generated_images
        return params.prompts if elsewhere or not params.pipeline else None

    def _written(self, pictures: PictureSet, name: str, prompts: Sequence[str]) -> PictureSet:
        """A set that is made while it is read, as files of this job, so that it is made once; others as they are."""
        if not pictures.runs_pipelines:
            return pictures
        folder = self._context.work_dir / name
        folder.mkdir(parents=True, exist_ok=True)
        there = len(list(folder.glob("*.png")))
        total = len(pictures)
        for index, one in enumerate(pictures.read(there, lambda picture: picture), start=there):
            temporary = folder / f"{index:06}.part"
            one.save(temporary, "PNG")
            temporary.replace(folder / f"{index:06}.png")
            self._context.progress(index + 1, total, f"Making {name} pictures")
        if prompts:
            rows = [{"file_name": f"{index:06}.png", "text": words} for index, words in enumerate(prompts)]
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (folder / "metadata.jsonl").write_text(lines, encoding="utf-8")
        found = open_set(Asked(name, str(folder)), self._context)
        if isinstance(found, Moments):
            raise JobFailed(f"no {name} pictures were made.")
        self._named[str(folder)] = pictures.title
        found.title = pictures.title
        return found

    @staticmethod
    def _folder(pictures: Any) -> Path | None:
        whole = getattr(pictures, "whole", pictures)
        folder: Path | None = getattr(whole, "folder", None)
        return folder

    def _ref(self, real: Any, ref: str, file: str | None) -> str:
        folder = self._folder(real)
        return str(folder) if folder is not None else "" if file else ref

    def _made_ref(self, made: PictureSet, params: ReportParams) -> dict[str, Any]:
        folder = self._folder(made)
        if folder is not None:
            return {"generated": str(folder)}
        if params.generated_images:
            return {"generated_images": params.generated_images}
        if params.generated_file:
            return {"generated_file": params.generated_file}
        return {"generated": params.generated}

    # Runs

    def _run(self, pipeline: str, params: Mapping[str, Any]) -> Found:
        """What another score tells; why not, where it cannot."""
        found = Found()
        self._runs += 1
        try:
            self._context.run(
                pipeline, params, index=self._runs * _MOST_ARTIFACTS, count=_MOST_ARTIFACTS, take=found.take
            )
        except Cancelled:
            raise
        except LifelikeError as error:
            found.error = error.message
        return found


def _summary(made: PictureSet, real: PictureSet | Moments, judged: Found, t: Words) -> str:
    beside = (
        t("known statistics")
        if isinstance(real, Moments)
        else t("{count} of {title}", count=len(real), title=real.title)
    )
    count = len(made)
    words = [t("{count} generated pictures ({title}) beside {beside}.", count=count, title=made.title, beside=beside)]
    mean = judged.numbers.get("attribute_mean")
    if mean:
        shares = {key: f"{mean[key]:.1%}" for key in ("value", "low", "high")}
        words.append(t("They show {value} of what was asked ({low} to {high}, the mean over attributes).", **shares))
    return " ".join(words)


__all__ = ["Report", "Section"]
