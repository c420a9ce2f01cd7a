"""studies.arena: contenders draw the same seeds, and the study grows while it is answered."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from PIL import Image

from extensions.studies.store import Answer, Studies
from extensions.studies.study import image_path
from webui.api import ParameterError
from webui.testing import Outcome, Studio, make_studio, run_pipeline

EXTENSIONS = Path(__file__).resolve().parents[2]
OTHERS = tuple(one.parent.name for one in EXTENSIONS.glob("*/extension.toml") if one.parent.name != "studies")
INKS = """
    from webui.api import Params, PipelineSpec, hookimpl, integer, prompt, seed

    class InkParams(Params):
        prompt: str = prompt(label="Prompt")
        shade: int = integer(0, minimum=0, maximum=255, label="Shade")
        size: int = integer(16, minimum=8, maximum=64, label="Size")
        seed: int = seed()

    class Seedless(Params):
        shade: int = integer(0, minimum=0, maximum=255, label="Shade")

    @hookimpl
    def register_pipelines():
        yield PipelineSpec(id="inks.draw", title="Draw", params=InkParams, run=".work:Draw")
        yield PipelineSpec(id="inks.again", title="Draw again", params=InkParams, run=".work:Draw")
        yield PipelineSpec(id="inks.seedless", title="Seedless", params=Seedless, run=".work:Draw")
        yield PipelineSpec(id="inks.count", title="Count", params=InkParams, run=".work:Draw", outputs="scalar")
"""
WORK = """
    import time

    from PIL import Image
    from webui.api import Artifact, JobFailed

    class Draw:
        def run(self, params, context):
            if params.shade == 255 or f"not {params.seed};" in params.prompt:
                raise JobFailed("the ink ran out.")
            time.sleep(0.03 if "slow" in params.prompt else 0)
            for index in context.pending(2):
                colour = (params.shade, (params.seed + index) % 256, len(params.prompt))
                image = Image.new("RGB", (params.size, params.size), colour)
                image.putpixel((0, 0), (1, 2, 3))
                yield Artifact("image", image, index=index, seed=params.seed + index)
"""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    folder = tmp_path_factory.mktemp("arena")
    inks = folder / "extensions" / "inks"
    inks.mkdir(parents=True)
    (inks / "extension.toml").write_text('id = "inks"\nversion = "1.0"\napi = "1.4"\n')
    (inks / "__init__.py").write_text(dedent(INKS))
    (inks / "work.py").write_text(dedent(WORK))
    return make_studio(
        folder / "data", extensions_dirs=[EXTENSIONS, folder / "extensions"], models_dirs=[], disabled_extensions=OTHERS
    )


def arena(studio: Studio, **params: Any) -> Outcome:
    given = {
        "pipeline": "inks.draw",
        "contenders": 'Dark = {}\nLight = {"shade": 200}',
        "prompts": "a cat\na dogs",
        "pictures": 6,
        "seed": 10,
        **params,
    }
    cancel = given.pop("cancel_when", None)
    job = given.pop("job", None)
    return run_pipeline("studies.arena", given, studio.settings.data_dir, studio=studio, cancel_when=cancel, job=job)


def folder_of(studio: Studio, outcome: Outcome) -> Path:
    (found,) = (studio.settings.data_dir / "studies").glob(f"*-{outcome.job.id[-6:].lower()}")
    return found


def test_contenders_draw_the_same_prompts_and_seeds(studio: Studio) -> None:
    outcome = arena(studio)
    assert outcome.state == "done", outcome.error
    study = Studies(studio.settings.data_dir / "studies").get(folder_of(studio, outcome).name)
    made = study.study
    assert (made.kind, made.matched, made.width) == ("preference", True, 16)
    assert [one.name for one in made.sets] == ["Dark", "Light"]
    for one in made.pictures:
        if one.use == "scrambled":
            continue
        with Image.open(image_path(study.folder, one.id)) as image:
            shade = 0 if one.set == "s1" else 200
            assert image.getpixel((5, 5)) == (shade, 10 + one.place, len(("a cat", "a dogs")[one.place % 2]))
    assert len(made.used("main", "s1")) == 4
    assert len(made.used("practice", "s2")) == 2
    assert [record.kind for record in outcome.records] == ["scalar"], "pictures are the study's, not the gallery's"
    assert json.loads(outcome.paths[0].read_text())["study"] == made.id
    token, rater = study.begin("en")
    assert sum(one.stage == "main" for one in rater.plan) == 4, "as many as there are pictures for"
    for place, trial in enumerate(rater.plan):
        study.vote(token, Answer(place, trial.truth or "left"))
    assert study.rater(token).finished


def test_it_is_open_before_all_is_drawn_and_goes_on_after_a_stop(studio: Studio) -> None:
    studies = Studies(studio.settings.data_dir / "studies")
    met: list[int] = []

    def stop(outcome: Outcome) -> bool:
        for one in studies.all():
            if one.study.title == "Growing" and not met:
                met.append(len(one.study.used("main", "s1")))
                one.begin("en")
        return bool(met)

    stopped = arena(studio, title="Growing", prompts="slow", pictures=40, cancel_when=stop)
    assert stopped.state == "cancelled"
    study = studies.get(folder_of(studio, stopped).name)
    before = {one.id for one in study.study.pictures}
    plan = study.raters()[0].plan
    assert 2 <= len(study.study.used("main", "s1")) < 38
    study.set_closed(True)
    gone_on = arena(studio, title="Growing", pictures=40, job=stopped.job)
    assert gone_on.state == "done", gone_on.error
    study = studies.get(study.study.id)
    assert len(study.study.used("main", "s1")) == 38
    assert before < {one.id for one in study.study.pictures}, "what was drawn is kept"
    assert study.study.closed, "a growing study stays closed"
    assert study.raters()[0].plan == plan, "who began keeps their questions"


def test_other_pipelines_may_contend_with_what_they_have_in_common(studio: Studio) -> None:
    outcome = arena(
        studio, params='{"size": 24}', contenders='One = {}\nTwo = again {"shade": 7}\nThree = inks.again', pictures=4
    )
    assert outcome.state == "done", outcome.error
    study = Studies(studio.settings.data_dir / "studies").get(folder_of(studio, outcome).name).study
    assert [one.name for one in study.sets] == ["One", "Two", "Three"]
    assert study.width == 24


def test_a_seed_that_fails_is_left_out_and_told(studio: Studio) -> None:
    outcome = arena(studio, prompts="not 12; now", pictures=6)
    assert outcome.state == "done", outcome.error
    assert any("seed 12 is left out" in one for one in outcome.warnings)
    study = Studies(studio.settings.data_dir / "studies").get(folder_of(studio, outcome).name).study
    assert {one.place for one in study.pictures} == {0, 1, 3, 4, 5}


def test_a_contender_that_always_fails_ends_it_and_leaves_nothing_open(studio: Studio) -> None:
    outcome = arena(studio, contenders='A = {}\nB = {"shade": 255}')
    assert outcome.state == "failed"
    assert "the ink ran out" in str(outcome.error)
    assert not list((studio.settings.data_dir / "studies").glob(f"2*-{outcome.job.id[-6:].lower()}"))


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"contenders": "A = {}"}, "contenders", "2 to 12"),
        ({"contenders": "A = {}\nA = {}"}, "contenders", "another name"),
        ({"contenders": "A = {}\nB"}, "contenders", "lines such as"),
        ({"contenders": "A = {}\nB = {"}, "contenders", "JSON object"),
        ({"contenders": 'A = {}\nB = {"shade": 500}'}, "contenders", "B: shade"),
        ({"contenders": "A = {}\nB = nowhere {}"}, "pipeline", "id of a pipeline"),
        ({"contenders": "A = {}\nB = inks.count {}"}, "pipeline", "draws pictures"),
        ({"contenders": "A = {}\nB = inks.seedless {}"}, "pipeline", "with a seed"),
        ({"contenders": "A = {}\nB = studies.arena {}"}, "pipeline", "draws pictures"),
        ({"params": '{"shade": -1}'}, "params", "A: shade"),
        ({"pipeline": "inks.nothing"}, "pipeline", "id of a pipeline"),
    ],
)
def test_what_cannot_be_is_told_before_anything_runs(
    studio: Studio, params: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(ParameterError, match=words) as caught:
        arena(studio, **{"contenders": 'A = {}\nB = {"shade": 1}', **params})
    assert [one.name for one in caught.value.fields] == [field]
