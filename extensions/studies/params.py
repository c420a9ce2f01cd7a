"""What can be asked of human studies, declared once; light, read by the web process."""

from __future__ import annotations

from typing import Any

from webui.api import (
    ParameterValues,
    Params,
    boolean,
    choice,
    dynamic_choice,
    folder,
    images,
    integer,
    number,
    parameters,
    prompt,
    record,
    seed,
    text,
)

KINDS = {
    "two_choice": "Which one is real?",
    "yes_no": "Is this one real?",
    "preference": "Which one do you prefer?",
}
TIMINGS = {"unlimited": "Unlimited", "staircase": "Ever shorter glimpses"}
FIRST, SECOND = "First set: the real pictures", "Second set"
TIMED_TRIALS, UNTIMED_TRIALS = 150, 40
"""The usual numbers of trials; 150 are a block of HYPE's staircase."""


def _name(default: str, group: str) -> Any:
    return text(default, label="Name", group=group, max_length=80, help="Raters never see it")


def _folder(group: str) -> Any:
    return folder(label="Folder of pictures", group=group)


def _collection(group: str) -> Any:
    return text(label="Collection of the gallery", group=group, max_length=80)


def _pictures(group: str) -> Any:
    return images(label="Pictures", group=group, maximum=500)


class CreateParams(Params):
    """Parameters of studies.create."""

    title: str = text("A study", label="Title", max_length=120, help="For you alone; raters never see it")
    kind: str = choice("two_choice", KINDS, label="Question")
    timing: str = choice(
        "unlimited", TIMINGS, label="Time to look", help="A staircase finds the shortest glimpse that tells them apart"
    )
    first_name: str = _name("Real", FIRST)
    first_folder: str = _folder(FIRST)
    first_collection: str = _collection(FIRST)
    first_pictures: tuple[str, ...] = _pictures(FIRST)
    second_name: str = _name("Generated", SECOND)
    second_folder: str = _folder(SECOND)
    second_collection: str = _collection(SECOND)
    second_pictures: tuple[str, ...] = _pictures(SECOND)
    more: str = prompt(
        label="More sets",
        rows=3,
        tokens=False,
        group="More sets",
        placeholder="Steps 50 = collection:Fifty steps",
        help="One a line: a name, =, then a folder or collection: and its name",
    )
    trials: int = integer(
        0,
        minimum=0,
        maximum=1000,
        label="Trials of each rater",
        help="0: 40, or 150 of each staircase of glimpses",
        group="Trials",
    )
    practice: int = integer(
        3, minimum=0, maximum=20, label="Practice trials", help="Raters are told the answer", group="Trials"
    )
    attention: int = integer(
        4,
        minimum=0,
        maximum=20,
        label="Attention trials",
        help="With an obvious answer; who misses it is excluded, and reported",
        group="Trials",
    )
    matched: bool = boolean(
        False,
        label="Matched pictures",
        help="The first of one set is shown with the first of the other, and so on: same prompt and seed",
        group="Trials",
    )
    ties: bool = boolean(
        True, label="Allow no preference", help="Preferences only; a tie is half a win", group="Trials"
    )
    max_raters: int = integer(200, minimum=1, maximum=10_000, label="Most raters", group="Trials", advanced=True)
    attention_share: float = number(
        0.75, minimum=0, maximum=1, step=0.05, label="Attention trials to get right", group="Trials", advanced=True
    )
    per_set: int = integer(
        300, minimum=2, maximum=5000, label="Most pictures of a set", group="Pictures", advanced=True
    )
    size: int = integer(
        0,
        minimum=0,
        maximum=2048,
        label="Longest edge",
        help="In pixels, the same for all pictures; 0: as large as the smallest one allows",
        group="Pictures",
        advanced=True,
    )
    same_compression: bool = boolean(
        False,
        label="Same compression",
        help="JPEG once for every picture, so that compression tells nothing",
        group="Pictures",
        advanced=True,
    )
    staircases: int = integer(
        3,
        minimum=1,
        maximum=6,
        label="Staircases",
        help="One after the other; a rater's threshold is their median. HYPE takes three, one is quicker",
        group="Glimpses",
        advanced=True,
    )
    start_ms: int = integer(
        500, minimum=50, maximum=2000, step=10, label="First exposure", help="In ms", group="Glimpses", advanced=True
    )
    down_ms: int = integer(
        10,
        minimum=1,
        maximum=200,
        label="Shorter by",
        help="In ms, after a right answer",
        group="Glimpses",
        advanced=True,
    )
    up_ms: int = integer(
        30,
        minimum=1,
        maximum=500,
        label="Longer by",
        help="In ms, after a wrong answer",
        group="Glimpses",
        advanced=True,
    )
    lowest_ms: int = integer(
        100, minimum=16, maximum=2000, label="Shortest exposure", help="In ms", group="Glimpses", advanced=True
    )
    highest_ms: int = integer(
        1000, minimum=50, maximum=5000, label="Longest exposure", help="In ms", group="Glimpses", advanced=True
    )
    question: str = text(
        label="Question in your words",
        max_length=300,
        help="Raters see it in place of the usual one",
        group="Words",
        advanced=True,
    )
    consent: str = prompt(
        label="Consent in your words",
        rows=4,
        tokens=False,
        max_length=4000,
        help="What raters must agree to, in place of the usual text",
        group="Words",
        advanced=True,
    )
    seed: int = seed(advanced=True)


class ArenaParams(Params):
    """Parameters of studies.arena."""

    title: str = text("An arena", label="Title", max_length=120, help="For you alone; raters never see it")
    pipeline: str = dynamic_choice("diffusion.txt2img", "pipelines:image", label="Pipeline")
    params: ParameterValues = parameters(
        "pipeline", label="Its parameters", help="What all contenders have in common, as JSON"
    )
    contenders: str = prompt(
        label="Contenders",
        rows=4,
        tokens=False,
        placeholder='Few steps = {"steps": 5}',
        help="One a line: a name, =, then what is its own as JSON; a pipeline's id may stand before it",
    )
    prompts: str = prompt(
        label="Prompts", rows=4, tokens=False, help="One a line, in turn; empty: as in the parameters"
    )
    pictures: int = integer(
        24,
        minimum=4,
        maximum=1000,
        label="Seeds",
        help="Pictures of each contender; people may answer after the fourth",
    )
    trials: int = integer(30, minimum=2, maximum=1000, label="Trials of each rater", group="Trials")
    attention: int = integer(
        3,
        minimum=0,
        maximum=20,
        label="Attention trials",
        help="With an obvious answer; who misses it is excluded, and reported",
        group="Trials",
    )
    ties: bool = boolean(
        True, label="Allow no preference", help="Preferences only; a tie is half a win", group="Trials"
    )
    max_raters: int = integer(200, minimum=1, maximum=10_000, label="Most raters", group="Trials", advanced=True)
    size: int = integer(
        0,
        minimum=0,
        maximum=2048,
        label="Longest edge",
        help="In pixels, the same for all pictures; 0: as large as the smallest one allows",
        group="Pictures",
        advanced=True,
    )
    question: str = text(
        label="Question in your words",
        max_length=300,
        help="Raters see it in place of the usual one",
        group="Words",
        advanced=True,
    )
    consent: str = prompt(
        label="Consent in your words",
        rows=4,
        tokens=False,
        max_length=4000,
        help="What raters must agree to, in place of the usual text",
        group="Words",
        advanced=True,
    )
    seed: int = seed()
    plan: Any = record(None, label="The contenders as they were understood")


class ResultsParams(Params):
    """Parameters of studies.results."""

    study: str = dynamic_choice("", "studies.studies", label="Study", help="The newest one where none is chosen")
    partial: bool = boolean(
        True, label="Count unfinished raters", help="Those who gave at least one answer and passed the attention trials"
    )
    replicates: int = integer(
        2000, minimum=100, maximum=20_000, step=100, label="Samples of raters", help="For the intervals", advanced=True
    )


class StudiesSettings(Params):
    """Settings of the extension."""

    votes_per_second: float = number(
        3.0, minimum=0.2, maximum=500, step=0.1, label="Answers a second", help="Of one rater, in the long run"
    )
