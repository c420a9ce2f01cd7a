"""What the report takes, declared once; light, read by the web process."""

from __future__ import annotations

from extensions.metrics.params import MADE, REAL, SETS, WAYS
from extensions.metrics.report.words import LANGUAGES
from webui.api import (
    ParameterValues,
    Params,
    PipelineSpec,
    choice,
    dynamic_choice,
    file,
    folder,
    images,
    integer,
    parameters,
    seed,
    text,
)


class ReportParams(Params):
    """Parameters of metrics.report."""

    language: str = choice("en", LANGUAGES, label="Language")
    title: str = text("Realism report", label="Title", max_length=120)
    real: str = folder("drawn:any", label="Where from", group=REAL, help=WAYS)
    real_file: str | None = file(label="Or a file", group=REAL, accept=SETS)
    generated: str = folder("", label="Where from", group=MADE, help=WAYS)
    generated_file: str | None = file(label="Or a file", group=MADE, accept=(".zip",))
    generated_images: tuple[str, ...] = images(label="Or pictures of the gallery", group=MADE, maximum=10_000)
    pipeline: str = dynamic_choice(
        "", "pipelines:image", label="Or made by a pipeline", group=MADE, help="Picture i has seed + i"
    )
    params: ParameterValues = parameters("pipeline", label="Its parameters", group=MADE)
    prompts: str | None = file(
        label="Prompts",
        group=MADE,
        accept=(".txt", ".jsonl"),
        help="One a line, for one picture each; or the metadata.jsonl of a data set with captions",
    )
    samples: int = integer(128, minimum=16, maximum=100_000, label="Most pictures of a set")
    seed: int = seed(2020)


PIPELINES: tuple[PipelineSpec, ...] = (
    PipelineSpec(
        id="metrics.report",
        title="Realism report",
        params=ReportParams,
        run="extensions.metrics.report.making:Report",
        tab="metrics",
        description="Scores, attributes, groups, neighbours, failures and the protocol on one page, to keep or print.",
        outputs="file",
    ),
)
