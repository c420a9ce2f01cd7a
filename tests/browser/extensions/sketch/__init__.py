"""A test's extension: quick pictures drawn with Pillow, tabs of every kind, and one that breaks."""

from __future__ import annotations

from collections.abc import Iterable

from webui.api import (
    ChoiceSource,
    PipelineSpec,
    PromptQuestion,
    PromptReading,
    PromptRemark,
    PromptSyntax,
    TabSpec,
    hookimpl,
)

from .params import BlendParams, DrawParams, EverythingParams

EXAMPLES = (
    {"title": "A red hill", "prompt": "a red hill", "steps": 4},
    {"title": "A blue lake", "prompt": "a blue lake"},
)


@hookimpl
def register_pipelines() -> Iterable[PipelineSpec]:
    run = "extensions.sketch.pipelines:"
    return [
        PipelineSpec(
            id="sketch.draw", title="Draw", params=DrawParams, run=run + "Draw", tab="sketch", examples=EXAMPLES
        ),
        PipelineSpec(id="sketch.blend", title="Blend", params=BlendParams, run=run + "Blend", tab="tools"),
        PipelineSpec(
            id="sketch.everything", title="Everything", params=EverythingParams, run=run + "Everything", tab="tools"
        ),
    ]


@hookimpl
def register_choices() -> Iterable[ChoiceSource]:
    return [ChoiceSource("sketch.moods", "Moods", lambda folders: ["calm", "wild"])]


def read(question: PromptQuestion) -> PromptReading:
    """A language in which "LOUD" is remarked."""
    at = question.text.find("LOUD")
    remarks = (PromptRemark(at, at + 4, "{word} is loud", {"word": "LOUD"}, error=True),) if at >= 0 else ()
    return PromptReading((len(question.tokenize(question.text)),), remarks)


@hookimpl
def register_prompt_syntaxes() -> Iterable[PromptSyntax]:
    return [PromptSyntax("sketch.quiet", "Quiet", read)]


@hookimpl
def register_tabs() -> Iterable[TabSpec]:
    return [
        TabSpec("sketch", "Sketch", order=1),
        TabSpec("tools", "Tools", order=2),
        TabSpec("own", "Own tab", order=3, build=".tab:build"),
        TabSpec("broken", "Broken tab", order=4, build=".tab:build_broken"),
    ]
