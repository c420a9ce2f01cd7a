"""Scores of single pictures and pairs as jobs: what they find, what they refuse, that they go on and repeat."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from extensions.metrics.pictures.heat import error_of, error_sheet, heat_colours
from extensions.metrics.pictures.lpips import TRUNKS, Lpips, trunk_of
from extensions.metrics.pictures.perceptual import published_channels
from extensions.metrics.pictures.pristine import load
from extensions.metrics.pictures.telling import Column, RowFile, histogram, summary
from extensions.metrics.tests.conftest import numbers
from extensions.metrics.tests.leaves import blurred, noisy
from webui.testing import Outcome, Studio, make_studio, run_pipeline

Score = Callable[..., Outcome]
COUNT = 9


@pytest.fixture(scope="module")
def drawn(studio: Studio) -> Path:
    """Drawings, and a metadata.jsonl beside them that says what they show."""
    folder = studio.settings.data_dir / "sets" / "drawn"
    said = {"samples": COUNT, "style": "flat", "full_captions": True, "folder": str(folder), "seed": 0}
    outcome = run_pipeline("starter.draw", said, studio.settings.data_dir, studio=studio)
    assert outcome.state == "done", outcome.error
    return folder


def rows_of(drawn: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (drawn / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def spoiled(studio: Studio, drawn: Path) -> Path:
    """The same, blurred and noisy, but for the first, which is untouched; their names end otherwise."""
    folder = studio.settings.data_dir / "sets" / "spoiled"
    folder.mkdir(parents=True)
    for place, row in enumerate(rows_of(drawn)):
        with Image.open(drawn / row["file_name"]) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        pixels = noisy(blurred(pixels, 1), 8, place) if place else pixels
        Image.fromarray(pixels).save(folder / Path(row["file_name"]).with_suffix(".bmp").name)
    return folder


def table(outcome: Outcome, index: int) -> list[dict[str, str]]:
    path = next(p for r, p in zip(outcome.records, outcome.paths, strict=True) if r.index == index)
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def scores_of(outcome: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = numbers(outcome)["scores"]
    return found


def named(scores: dict[str, Any], start: str) -> dict[str, Any]:
    (key,) = [name for name in scores if name.startswith(start)]
    told: dict[str, Any] = scores[key]
    return told


# Without a reference


def test_quality_tells_spoiled_pictures_from_clean_ones(score: Score, drawn: Path, spoiled: Path) -> None:
    clean, worse = (scores_of(score("image_quality", pictures=one, niqe="drawings")) for one in (drawn, spoiled))
    for name in ("NIQE", "BRISQUE features"):
        assert named(clean, name)["value"] < named(worse, name)["value"]
        assert named(clean, name)["low"] < named(clean, name)["value"] < named(clean, name)["high"]
    assert named(clean, "Colourfulness")["n"] == COUNT


def test_quality_repeats_and_tells_its_protocol(score: Score, drawn: Path) -> None:
    first, second = (score("image_quality", pictures=drawn, niqe="drawings") for _ in range(2))
    kinds = [record.kind for record in first.records]
    assert kinds == ["scalar", "table", "table", "file", *["plot"] * 4]
    assert [p.read_bytes() for p in first.paths] == [p.read_bytes() for p in second.paths]
    lines = [json.loads(line) for line in first.paths[3].read_text(encoding="utf-8").splitlines()]
    assert {line["score"] for line in lines} == set(scores_of(first))
    for line in lines:
        assert line["n"] == COUNT
        assert line["pristine"]["patch_px"] == 32
        assert len(line["pristine"]["sha256"]) == 64
        assert line["versions"]["numpy"]
    assert [row["picture"] for row in table(first, 1)] == [row["file_name"] for row in rows_of(drawn)]


def test_what_was_scored_is_not_scored_again(score: Score, drawn: Path) -> None:
    stopped = score(
        "image_quality", pictures=drawn, niqe="drawings", cancel_when=lambda o: bool(o.progress and o.progress[-1].step)
    )
    whole = score("image_quality", pictures=drawn, niqe="drawings")
    again = score("image_quality", job=stopped.job)
    assert stopped.state == "cancelled"
    assert table(again, 1) == table(whole, 1)


def test_pictures_too_small_for_the_model_are_told(score: Score, drawn: Path) -> None:
    outcome = score("image_quality", pictures=drawn)
    assert not [name for name in scores_of(outcome) if name.startswith("NIQE")]
    assert any("have no NIQE" in words and "96" in words for words in outcome.warnings)


def test_a_model_of_ones_own_is_fitted_and_used(score: Score, studio: Studio, drawn: Path) -> None:
    fitted = score("fit_pristine", pictures=drawn, patch=32, title="../mine")
    assert fitted.state == "done", fitted.error
    assert fitted.records[0].title == f"../mine: {load(fitted.paths[0]).patches} patches of 32 pixels from 9 pictures"
    reference = studio.uploads.put(fitted.paths[0].read_bytes(), "mine.npz")
    told = scores_of(score("image_quality", pictures=drawn, niqe="own", niqe_file=reference))
    assert named(told, "NIQE, pristine model: ../mine")["value"] < 5
    few = score("fit_pristine", pictures=drawn, patch=128)
    assert few.state == "failed"
    assert "sharp patches" in few.error.message


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"niqe": "own"}, "niqe_file"),
        ({"brisque_model": "model"}, "brisque_range"),
        ({"brisque_model": "model", "brisque_range": "model"}, "svm-scale"),
        ({"pictures": ""}, "pictures: is required"),
    ],
)
def test_what_is_missing_or_wrong_is_named(
    score: Score, studio: Studio, drawn: Path, params: dict[str, str], says: str
) -> None:
    model = studio.uploads.put(b"svm_type epsilon_svr\nkernel_type rbf\ngamma 1\nrho 0\nSV\n1 1:1\n", "allmodel.txt")
    said = {name: model if value == "model" else value for name, value in params.items()}
    outcome = score("image_quality", **{"pictures": drawn, **said})
    assert outcome.state == "failed"
    assert says in outcome.error.message


def test_brisque_is_scored_by_the_regression_that_is_named(score: Score, studio: Studio, drawn: Path) -> None:
    model = studio.uploads.put(b"svm_type epsilon_svr\nkernel_type rbf\ngamma 0\nrho -3\nSV\n4 1:1\n", "model.txt")
    ranges = "x\n-1 1\n" + "".join(f"{place + 1} 0 1\n" for place in range(36))
    told = score(
        "image_quality", pictures=drawn, brisque_model=model, brisque_range=studio.uploads.put(ranges.encode(), "r.txt")
    )
    assert named(scores_of(told), "BRISQUE")["value"] == pytest.approx(7)  # 4 exp(0) + 3 for every picture
    assert len(numbers(told)["protocol"]["brisque"]["model"]) == 64


# Against a reference


def test_pairs_by_name_score_by_how_far_they_are_apart(score: Score, drawn: Path, spoiled: Path) -> None:
    outcome = score(
        "against_reference", pictures=spoiled, references=drawn, pair_by="name", perceptual="starter", maps=2
    )
    rows = table(outcome, 1)
    assert all(Path(row["picture"]).stem == Path(row["reference"]).stem for row in rows)
    assert (rows[0]["psnr"], float(rows[0]["ssim"]), float(rows[0]["lpips"])) == ("inf", 1.0, 0.0)
    assert all(float(row["ssim"]) < 1 and float(row["lpips"]) > 0.01 for row in rows[1:])
    told = numbers(outcome)
    assert told["identical"] == 1
    assert named(told["scores"], "PSNR")["n"] == COUNT - 1
    assert "MS-SSIM (4 of 5 scales)" in told["scores"]
    assert told["protocol"]["perceptual"] == "LPIPS-starter"
    assert [image.size for image in outcome.images] == [(3 * 128 + 8, 160)] * 2


def test_a_reference_alone_stands_beside_all(score: Score, studio: Studio, drawn: Path) -> None:
    reference = studio.uploads.put((drawn / rows_of(drawn)[3]["file_name"]).read_bytes(), "3.png")
    outcome = score(
        "against_reference", pictures=drawn, reference_images=[reference], perceptual="starter", maps=0, samples=4
    )
    psnr = [row["psnr"] for row in table(outcome, 1)]
    assert [value == "inf" for value in psnr] == [False, False, False, True]


@pytest.mark.parametrize(
    ("more", "says"), [({"samples": 0}, "make no pairs"), ({"pair_by": "name"}, "no picture has the name")]
)
def test_sets_that_make_no_pairs_are_refused(
    score: Score, drawn: Path, made: Path, more: dict[str, Any], says: str
) -> None:
    outcome = score("against_reference", pictures=drawn, references=made, perceptual="starter", **more)
    assert outcome.state == "failed"
    assert says in outcome.error.message


def test_lpips_is_taken_where_its_weights_are(drawn: Path, tmp_path: Path) -> None:
    features = tmp_path / "models" / "features"
    features.mkdir(parents=True)
    studio = make_studio(tmp_path / "data", models_dirs=[tmp_path / "models"])

    def compare(**params: Any) -> Outcome:
        said = {"pictures": str(drawn), "references": str(drawn), "maps": 0, "samples": 3, **params}
        return run_pipeline("metrics.against_reference", said, studio.settings.data_dir, studio=studio)

    missing = compare(perceptual="squeeze")
    assert missing.state == "failed"
    assert missing.error is not None
    assert "squeezenet1_1" in missing.error.hint
    torch.manual_seed(2)
    network = Lpips(TRUNKS["squeeze"])
    tensors = {f"features.{name}": tensor for name, tensor in network.features.state_dict().items()}
    torch.save(tensors, features / "squeezenet1_1.pth")
    told = numbers(compare(perceptual="squeeze"))
    assert named(told["scores"], "LPIPS-squeeze 0.1")["value"] == 0
    assert told["protocol"]["channels"].startswith("published")
    wrong = compare(perceptual="vgg", weights="features/squeezenet1_1.pth")
    assert wrong.error is not None
    assert "LPIPS-vgg" in wrong.error.message


def test_published_channels_are_whole() -> None:
    for trunk in TRUNKS.values():
        channels = published_channels(trunk)
        assert [len(one) for one in channels] == list(trunk.channels)
        assert all((one >= 0).all() for one in channels)
        assert trunk_of({f"features.{n}": t.shape for n, t in Lpips(trunk).features.state_dict().items()}) is trunk


def test_the_error_map_is_dark_where_pictures_agree() -> None:
    a = Image.new("RGB", (20, 10), (10, 20, 30))
    b = a.copy()
    b.paste((110, 120, 130), (5, 2, 8, 6))
    error = error_of(a, b)
    assert set(np.unique(error)) == {0.0, 100.0}
    heat = np.asarray(error_sheet(a, b))[:10, 2 * (20 + 4) : 2 * (20 + 4) + 20].astype(int).sum(axis=2)
    assert (heat[error == 0] < 10).all()
    assert (heat[error > 0] > 600).all()
    light = heat_colours(np.linspace(0, 1, 50)[None]).astype(float) @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(light[0]) > 0).all()
    with pytest.raises(ValueError):
        error_of(a, a.resize((5, 5)))


# Prompts


def test_drawings_show_what_their_captions_say(score: Score, drawn: Path) -> None:
    told = numbers(score("prompt_accuracy", pictures=drawn))
    assert told["attribute_mean"]["value"] > 0.95
    assert told["attribute_mean"]["low"] <= told["attribute_mean"]["value"] <= told["attribute_mean"]["high"]
    assert told["protocol"]["judge"] == "starter.judge"
    assert all(
        0 < row["n"] <= COUNT and row["low"] <= row["value"] <= row["high"] for row in told["attributes"].values()
    )


def test_a_wrong_prompt_is_wrong_where_it_is(score: Score, studio: Studio) -> None:
    """A drawn person with glasses and no hat, in a file that says a crown was asked for."""
    said = {"samples": 40, "domain": "avatar", "style": "flat", "full_captions": True, "seed": 7}
    people = run_pipeline("starter.draw", said, studio.settings.data_dir, studio=studio)
    worn = ("cap", "beanie", "hat", "crown", "sunglasses")
    captions = [re.split(r"\W+", record.title) for record in people.records]
    place = next(i for i, words in enumerate(captions) if "glasses" in words and not set(worn) & set(words))
    data, about = io.BytesIO(), PngInfo()
    about.add_text("parameters", "a person with glasses and a crown\nSteps: 1, Seed: 1, Size: 128x128")
    people.images[place].convert("RGB").save(data, "PNG", pnginfo=about)
    picture = studio.uploads.put(data.getvalue())
    outcome = score("prompt_accuracy", images=[picture], implied=False)
    attributes = numbers(outcome)["attributes"]
    assert {name: row["value"] for name, row in attributes.items()} == {"avatar.eyewear": 1, "avatar.hat": 0}
    assert "avatar.hat: crown asked, none seen" in table(outcome, 1)[0]["wrong"]
    given = score("prompt_accuracy", images=[picture], implied=False, prompt="a person without a hat")
    assert numbers(given)["attributes"]["avatar.hat"]["value"] == 1


def test_pictures_are_made_and_judged(score: Score) -> None:
    """Of drawings, which show nothing of a prompt: what is asked for is judged, and is mostly not there."""
    outcome = score(
        "prompt_accuracy",
        pipeline="starter.draw",
        params={"domain": "avatar"},
        prompt="a person with a crown",
        samples=8,
    )
    told = numbers(outcome)
    assert told["protocol"]["n"] == 8
    assert told["attributes"]["avatar.hat"]["n"] == 8
    assert told["attributes"]["avatar.hat"]["value"] < 0.6


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({}, "no prompt was found in"),
        ({"prompt": "quantum chromodynamics"}, "reads nothing"),
        ({"prompt": "a person", "judge": "metrics.nothing"}, "metrics.nothing"),
    ],
)
def test_prompts_that_are_missing_or_say_nothing(
    score: Score, spoiled: Path, params: dict[str, str], says: str
) -> None:
    outcome = score("prompt_accuracy", pictures=spoiled, **params)
    assert outcome.state == "failed"
    assert says in outcome.error.message


# CLIPScore


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIP of random weights as ``save_pretrained`` writes one."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizerFast

    folder = tmp_path_factory.mktemp("clip")
    letters = [chr(code) for code in range(33, 127)]
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: place for place, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)
    text = {"vocab_size": len(words), "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    text |= {"num_attention_heads": 2, "max_position_embeddings": 77}
    text |= {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    vision = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision |= {"image_size": 32, "patch_size": 16}
    torch.manual_seed(2)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))
    with torch.no_grad():  # transformers begins with weights too small to tell pictures apart
        for parameter in model.parameters():
            parameter.normal_(0, 0.5)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def test_clip_score_is_transformers_own_cosine(score: Score, drawn: Path, clip: Path) -> None:
    from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizerFast

    outcome = score("clip_score", pictures=drawn, model=clip, batch=4)
    rows = table(outcome, 1)
    model, tokenizer = CLIPModel.from_pretrained(clip).eval(), CLIPTokenizerFast.from_pretrained(clip)
    processor = CLIPImageProcessor.from_pretrained(clip)
    expected = []
    for row in rows:
        tokens = tokenizer([f"A photo depicts {row['prompt']}"], truncation=True, return_tensors="pt")
        with Image.open(drawn / row["picture"]) as picture, torch.inference_mode():
            pixels = processor(images=picture.convert("RGB"), return_tensors="pt")["pixel_values"]
            answer = model(pixel_values=pixels, **tokens)
        cosine = float((answer.image_embeds * answer.text_embeds).sum())
        expected.append(2.5 * max(cosine, 0))
    assert [float(row["clip_score"]) for row in rows] == pytest.approx(expected, abs=1e-5)
    assert len(set(expected)) > 1
    protocol = numbers(outcome)["protocol"]
    assert (protocol["weight"], protocol["prefix"], protocol["image_px"]) == (2.5, "A photo depicts ", 32)
    assert len(protocol["weights"]) == 64


def test_what_is_no_clip_is_named(score: Score, drawn: Path) -> None:
    outcome = score("clip_score", pictures=drawn, model=drawn)
    assert outcome.state == "failed"
    assert outcome.error.kind in ("ParameterError", "ModelError", "NotFound"), outcome.error


# Tables


def test_means_have_intervals_and_leave_out_what_is_not_a_number() -> None:
    rows = [{"a": value} for value in (1.0, 2.0, 3.0, float("inf"), float("nan"), None)]
    (told,) = summary(rows, [Column("a", "A", "lower"), Column("b", "B")])
    assert (told["value"], told["n"], told["least"], told["most"]) == (2.0, 3, 1.0, 3.0)
    assert told["low"] < 2 < told["high"]
    (flat,) = summary([{"a": 1.0}] * 4, [Column("a", "A")])
    assert (flat["low"], flat["interval"]) == (None, "none: all pictures have the same")


def test_a_histogram_counts_everything() -> None:
    values = list(np.random.default_rng(0).normal(size=500))
    points = histogram(Column("a", "A"), values)["series"][0]["points"]
    assert sum(count for _, count in points) == 500
    assert np.ptp(np.diff([x for x, _ in points])) < 1e-9


def test_rows_outlive_a_cut_in_the_middle_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    RowFile(path).add([{"a": 1}, {"a": float("inf")}])
    with path.open("a") as file:
        file.write('{"a": 3')
    held = RowFile(path)
    assert held.rows == [{"a": 1}, {"a": float("inf")}]
    held.add([{"a": 4}])
    assert [row["a"] for row in RowFile(path).rows] == [1, float("inf"), 4]
