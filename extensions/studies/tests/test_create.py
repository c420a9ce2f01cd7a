"""studies.create and studies.results, run as the application runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from extensions.studies import pictures
from extensions.studies.store import Answer, OpenStudy, Studies
from extensions.studies.study import image_path
from extensions.studies.tests.conftest import fill, picture
from webui.api import ParameterError
from webui.testing import Outcome, Studio, make_studio, run_pipeline

EXTENSIONS = Path(__file__).resolve().parents[2]
OTHERS = tuple(one.parent.name for one in EXTENSIONS.glob("*/extension.toml") if one.parent.name != "studies")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """With this extension alone."""
    return make_studio(
        tmp_path_factory.mktemp("data"), extensions_dirs=[EXTENSIONS], models_dirs=[], disabled_extensions=OTHERS
    )


def create(studio: Studio, **params: Any) -> Outcome:
    return run_pipeline("studies.create", {"seed": 3, **params}, studio.settings.data_dir, studio=studio)


def made(outcome: Outcome) -> OpenStudy:
    assert outcome.state == "done", outcome.error
    told = json.loads(outcome.paths[0].read_text())
    return Studies(outcome.studio.settings.data_dir / "studies").get(told["study"])


def test_two_folders_become_a_blinded_study(studio: Studio, tmp_path: Path) -> None:
    """Photographs in JPEG with their tags, generated ones in PNG with their prompts, all of other sizes."""
    real, fake = tmp_path / "photographs", tmp_path / "StyleGAN"
    (real / "more").mkdir(parents=True)
    fake.mkdir()
    for place in range(9):
        tags = Image.Exif()
        tags[0x010F] = "Camera"
        target = real / ("more" if place > 6 else "") / f"IMG_{place}.JPG"
        picture(place, (90, 60)).save(target, exif=tags)
        said = PngImagePlugin.PngInfo()
        said.add_text("parameters", "a secret prompt")
        picture(100 + place, (64, 64)).save(fake / f"{place}.png", pnginfo=said)
    (real / "notes.txt").write_text("no picture")
    outcome = create(studio, title="Faces: StyleGAN!", first_folder=str(real), second_folder=str(fake), trials=6)
    study = made(outcome)
    assert study.study.id.split("-", 1)[1].startswith("faces-stylegan")
    assert (study.study.width, study.study.height) == (60, 60), "square, since shapes differ, and as the smallest one"
    assert (study.study.trials, study.study.practice, study.study.attention) == (6, 3, 4)
    assert len(study.study.used("main", "s1")) == len(study.study.used("main", "s2")) == 6
    names = {path.stem for path in (study.folder / "images").iterdir()}
    assert names == set(study.study.by_id)
    for one in study.study.pictures:
        data = image_path(study.folder, one.id).read_bytes()
        with Image.open(image_path(study.folder, one.id)) as image:
            assert (image.format, image.mode, image.size, image.info) == ("PNG", "RGB", (60, 60), {})
        assert all(secret not in data for secret in (b"secret", b"Camera", b"tEXt", b"eXIf", b"tIME", b"iCCP"))
    assert any("unequally many" in one for one in outcome.warnings), "JPEG against PNG is told"
    assert not list((studio.settings.data_dir / "studies").glob(".*"))


def test_pixels_of_the_common_size_are_not_touched(studio: Studio, tmp_path: Path) -> None:
    first, second = fill(tmp_path / "a", 8), fill(tmp_path / "b", 8, first=50)
    study = made(create(studio, first_folder=str(first), second_folder=str(second), trials=4))
    for one in study.study.used("main"):
        source = (first if one.set == "s1" else second) / one.source
        with Image.open(image_path(study.folder, one.id)) as shown, Image.open(source) as original:
            assert shown.tobytes() == original.convert("RGB").tobytes()


def test_the_same_seed_chooses_the_same_pictures_under_other_names(studio: Studio, tmp_path: Path) -> None:
    first, second = fill(tmp_path / "a", 12), fill(tmp_path / "b", 12)
    told = [made(create(studio, first_folder=str(first), second_folder=str(second), per_set=8)) for _ in range(2)]
    chosen = [[(one.set, one.place, one.use) for one in study.study.pictures] for study in told]
    assert chosen[0] == chosen[1]
    assert not {one.id for one in told[0].study.pictures} & {one.id for one in told[1].study.pictures}
    assert told[0].study.link != told[1].study.link


def test_collections_and_chosen_pictures_are_sets_too(studio: Studio, tmp_path: Path) -> None:
    from webui.testing import put_pictures

    ids = put_pictures(studio, [picture(place, (32, 32)) for place in range(8)], collection="Best of")
    files = fill(tmp_path / "b", 8, size=(32, 32))
    outcome = create(
        studio, kind="preference", first_collection="Best of", first_name="Ours",
        second_pictures=[str(path) for path in sorted(files.iterdir())], second_name="Theirs",
        more=f"Third = collection:Best of\nFourth = {files}", practice=2, attention=0, timing="unlimited", trials=12,
    )  # fmt: skip
    study = made(outcome)
    assert [one.name for one in study.study.sets] == ["Ours", "Theirs", "Third", "Fourth"]
    assert {one.source for one in study.study.pictures if one.set == "s1"} == {f"artifact:{one}" for one in ids}
    assert study.study.real_set is None
    assert study.study.used("scrambled"), "practice of a preference needs one"


def test_a_timed_study_has_masks_of_both_sets(studio: Studio, tmp_path: Path) -> None:
    first, second = fill(tmp_path / "a", 8), fill(tmp_path / "b", 8, first=9)
    outcome = create(studio, kind="yes_no", timing="staircase", first_folder=str(first), second_folder=str(second))
    study = made(outcome)
    assert study.study.staircase is not None
    assert len(study.study.used("mask")) == 4
    assert outcome.job.params["trials"] == 450
    assert study.study.staircase.blocks == 3
    assert study.study.trials == 12, "as many as there are pictures for"
    assert any("for 12 trials of a rater, not 450" in one for one in outcome.warnings)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({}, "first_folder"),
        ({"first_folder": "a", "first_collection": "b"}, "first_folder"),
        ({"first_folder": "a", "second_folder": "b", "second_name": " "}, "second_name"),
        ({"first_folder": "a", "second_folder": "b", "second_name": "real"}, "second_folder"),
        ({"first_folder": "a", "second_folder": "b", "more": "no source"}, "more"),
        ({"first_folder": "a", "second_folder": "b", "more": "c = collection:"}, "more"),
        ({"first_folder": "a", "second_folder": "b", "kind": "preference", "timing": "staircase"}, "timing"),
        ({"first_folder": "a", "second_folder": "b", "timing": "staircase", "start_ms": 60}, "start_ms"),
        ({"first_folder": "a", "second_folder": "b", "kind": "other"}, "kind"),
        ({"first_folder": "a", "second_folder": "b", "more": "\n".join(f"s{n} = x" for n in range(11))}, "more"),
    ],
)
def test_what_cannot_be_is_told_at_its_field_before_anything_runs(
    studio: Studio, params: dict[str, Any], field: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        create(studio, **params)
    assert [one.name for one in caught.value.fields] == [field]


@pytest.mark.parametrize(
    ("counts", "more", "words"),
    [
        ((8, 1), {}, "1 pictures, expected 2 or more"),
        ((8, 4), {}, "needs 5 or more"),
        ((8, 9), {"matched": True}, "as many pictures in each set"),
    ],
)
def test_sets_that_do_not_suffice_make_nothing(
    studio: Studio, tmp_path: Path, counts: tuple[int, int], more: dict[str, Any], words: str
) -> None:
    before = set((studio.settings.data_dir / "studies").glob("*"))
    first, second = fill(tmp_path / "a", counts[0]), fill(tmp_path / "b", counts[1])
    outcome = create(studio, first_folder=str(first), second_folder=str(second), **more)
    assert outcome.state == "failed"
    assert outcome.error is not None
    assert words in outcome.error.message
    assert set((studio.settings.data_dir / "studies").glob("*")) == before


def test_a_broken_picture_is_named(studio: Studio, tmp_path: Path) -> None:
    first, second = fill(tmp_path / "a", 8), fill(tmp_path / "b", 8)
    (second / "003.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    outcome = create(studio, first_folder=str(first), second_folder=str(second))
    assert outcome.state == "failed"
    assert "003.png cannot be read" in str(outcome.error)
    assert not list((studio.settings.data_dir / "studies").glob(".*"))


def test_a_report_has_numbers_plot_and_votes(studio: Studio, tmp_path: Path) -> None:
    first, second = fill(tmp_path / "a", 8), fill(tmp_path / "b", 8)
    study = made(create(studio, title="Reported", first_folder=str(first), second_folder=str(second), trials=4))
    for seed in range(3):
        token, rater = study.begin("en")
        for place, trial in enumerate(rater.plan):
            answer = trial.truth if trial.stage != "main" or (place + seed) % 3 else "left"
            study.vote(token, Answer(place, answer, seconds=1.0))
    outcome = run_pipeline(
        "studies.results", {"study": study.study.id, "replicates": 200}, studio.settings.data_dir, studio=studio
    )
    assert outcome.state == "done", outcome.error
    assert [record.kind for record in outcome.records] == ["table", "table", "scalar", "plot", "file", "file", "file"]
    table, raters, told, chart, drawn, votes, _ = (path.read_text() for path in outcome.paths)
    (series,) = json.loads(chart)["series"]
    assert series["name"] == "Generated"
    assert len(series["points"][0]) == 4, "with its interval"
    assert "Generated,error rate," in table
    assert len(raters.splitlines()) == 4
    assert json.loads(told)["counted"] == 3
    assert drawn.startswith("<svg")
    assert len(votes.splitlines()) == 1 + 3 * 11


def test_a_study_that_there_is_not_has_no_report(studio: Studio, tmp_path: Path) -> None:
    outcome = run_pipeline("studies.results", {"study": "../etc"}, studio.settings.data_dir, studio=studio)
    assert outcome.state == "failed"
    empty = make_studio(tmp_path, extensions_dirs=[EXTENSIONS], models_dirs=[], disabled_extensions=OTHERS)
    outcome = run_pipeline("studies.results", {}, tmp_path, studio=empty)
    assert "there is no study yet" in str(outcome.error)


def test_sizes_and_shapes() -> None:
    assert pictures.common_size([(64, 64), (128, 128)]) == (64, 64)
    assert pictures.common_size([(640, 480), (320, 240)]) == (320, 240)
    assert pictures.common_size([(640, 480), (480, 640)]) == (480, 480)
    assert pictures.common_size([(4000, 3000)]) == (1024, 768)
    assert pictures.common_size([(4000, 3000)], longest=512) == (512, 384)


def test_a_scrambled_picture_has_the_same_colours_elsewhere() -> None:
    import random

    image = picture(1, (67, 45))
    broken = pictures.scramble(image, random.Random(1))
    assert broken.size == image.size
    assert broken.tobytes() != image.tobytes()
    even = picture(1, (64, 64))
    mixed = pictures.scramble(even, random.Random(1))
    assert sorted(even.get_flattened_data()) == sorted(mixed.get_flattened_data())


def test_transparency_becomes_white_and_links_are_not_followed(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    (tmp_path / ".c.png").write_bytes((tmp_path / "a.png").read_bytes())
    found = pictures.in_folder(tmp_path)
    assert [path.name for path in found] == ["a.png"]
    assert pictures.open_file(found[0]).getpixel((0, 0)) == (255, 255, 255)
