"""Embeddings in prompts: an embedding of the vectors of words is those words, to the last bit, wherever it stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from extensions.diffusion.prompts import reading
from extensions.diffusion.prompts.chunks import chunks
from extensions.diffusion.prompts.embeddings import Names, Numbers, tables, vector_count
from extensions.diffusion.prompts.program import Span
from webui.api import PromptQuestion
from webui.testing import Outcome, Studio, model_files

Generate = Callable[..., Outcome]
WORD = "cat"
"""What the embeddings stand for: three tokens of the tiny tokenizer, a letter each."""


def vectors(folder: Path, encoder: str = "text_encoder") -> torch.Tensor:
    """The rows of WORD in a text encoder's own table."""
    from transformers import CLIPTextModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(str(folder / encoder.replace("text_encoder", "tokenizer")))
    table = CLIPTextModel.from_pretrained(str(folder / encoder)).get_input_embeddings().weight
    return table[tokenizer(WORD, add_special_tokens=False)["input_ids"]].detach().clone()


@pytest.fixture(scope="module")
def embeddings(tiny: Any, models_dir: Path) -> Path:
    """The same vectors in every layout, a pair of SDXL's, and others of another width."""
    folder = models_dir / "embeddings"
    folder.mkdir(exist_ok=True)
    rows = vectors(tiny("sd1"))
    save_file({"emb_params": rows}, str(folder / "felis.safetensors"))
    told = {"string_to_token": {"*": 265}, "string_to_param": {"*": torch.nn.Parameter(rows)}, "name": "x", "step": 5}
    torch.save(told, folder / "felis-old v1.2.pt")
    torch.save({"<felis>": rows}, folder / "felis_bin.bin")
    torch.save({"<one>": rows[0]}, folder / "lettre.bin")
    save_file({"emb_params": torch.randn(2, 40)}, str(folder / "wide.safetensors"))
    pair = {"clip_l": vectors(tiny("sdxl")), "clip_g": vectors(tiny("sdxl"), "text_encoder_2")}
    save_file(pair, str(folder / "felisxl.safetensors"))
    return folder


def pixels(outcome: Outcome) -> bytes:
    assert outcome.state == "done", outcome.error
    return outcome.images[0].tobytes()


@pytest.mark.parametrize("name", ["felis", "FELIS", "felis-old v1.2", "felis_bin", "embedding:felis.safetensors"])
def test_a_name_is_its_vectors(generate: Generate, embeddings: Path, name: str) -> None:
    assert pixels(generate("sd1", prompt=f"a {name}, big")) == pixels(generate("sd1", prompt=f"a {WORD}, big"))


def test_sdxl_takes_a_pair(generate: Generate, embeddings: Path) -> None:
    assert pixels(generate("sdxl", prompt="a felisxl")) == pixels(generate("sdxl", prompt=f"a {WORD}"))


@pytest.mark.parametrize("form", ["({}:1.4) a", "[{}:dog:0.5]", "a AND {} :0.6", "a BREAK {}", "[a|{}]", "([{}]:0.5)"])
def test_every_form_of_a_prompt_takes_them(generate: Generate, embeddings: Path, form: str) -> None:
    as_word = pixels(generate("sd1", prompt=form.format(WORD), negative_prompt=WORD, steps=3))
    for name in ("felis", r"embedding\:felis"):  # a bare colon would be one of the schedule's
        assert pixels(generate("sd1", prompt=form.format(name), negative_prompt=name, steps=3)) == as_word
    assert pixels(generate("sd1", prompt="(embedding:felis:1.4) a", steps=3)) == pixels(
        generate("sd1", prompt="(felis:1.4) a", steps=3)
    )


def test_the_picture_tells_its_embeddings_and_nothing_is_left_behind(
    generate: Generate, embeddings: Path, studio: Studio
) -> None:
    import hashlib

    base = pixels(generate("sd1"))
    outcome = generate("sd1", prompt="a felis, felis, embedding:lettre")
    digest = hashlib.sha256((embeddings / "felis.safetensors").read_bytes()).hexdigest()
    with Image.open(outcome.paths[0]) as image:
        assert f"felis: {digest[:12]}, lettre: " in image.info["parameters"]
        assert "TI hashes" in image.info["parameters"]
        assert digest in image.info["lifelike"]
    assert pixels(generate("sd1")) == base


def test_what_is_not_there_or_does_not_fit_is_said(generate: Generate, embeddings: Path) -> None:
    left_out = generate("sd1", prompt="a cat embedding:nowhere")
    assert pixels(left_out) == pixels(generate("sd1", prompt="a cat"))
    assert any("no embedding nowhere" in words for words in left_out.warnings)
    word = generate("sd1", prompt="a wide cat")
    assert any("'wide' does not fit" in words and "read as a word" in words for words in word.warnings)
    for family, name, said in (("sd1", "wide", "40 channels"), ("sdxl", "felis", "only text encoder")):
        refused = generate(family, prompt=f"a embedding:{name}")
        assert refused.error is not None
        assert said in refused.error.message


def test_names_are_words_of_their_own() -> None:
    names = Names(["bad-hands-5", "cat", "catwalk", "v1.3 style"])
    found = [(named.name, named.text) for named in names.find("Cat, catwalks catwalk cats BAD-HANDS-5. v1.3 style")]
    assert found == [
        ("cat", "Cat"),
        ("catwalk", "catwalk"),
        ("bad-hands-5", "BAD-HANDS-5"),
        ("v1.3 style", "v1.3 style"),
    ]
    asked = names.find("embedding:sub/cat.pt, embedding:cat-2 embedding:cat. embedding:catwalk")
    assert [named.name for named in asked] == ["cat", "", "cat", "catwalk"]
    assert "".join(p if isinstance(p, str) else p.text for p in names.pieces("a cat or embedding:x")) == (
        "a cat or embedding:x"
    )
    assert list(Names([]).pieces("")) == [""]


def test_chunks_never_part_an_embedding() -> None:
    numbers = Numbers()
    of = {"w": [7], "e": numbers.of("e", 4), "f": numbers.of("f", 90)}

    def tokenize(text: str) -> list[int]:
        return [token for letter in text for token in of[letter]]

    sizes = [len(chunk.tokens) for chunk in chunks(((Span("w" * 73 + "e" + "w", 1.0),),), tokenize, None, 75)]
    assert sizes == [73, 5]
    sizes = [len(chunk.tokens) for chunk in chunks(((Span("f", 1.0),),), tokenize, None, 75)]
    assert sizes == [75, 15]  # one that no chunk holds is parted all the same


def test_layouts_are_told_by_shapes() -> None:
    assert tables({"clip_g": (2, 1280), "clip_l": (2, 768)}) == {"clip_l": "clip_l", "clip_g": "clip_g"}
    assert tables({"string_to_param.*": (3, 768), "string_to_token.*": ()}) == {"": "string_to_param.*"}
    assert tables({"a": (3, 768), "b": (3, 768)}) == {}
    assert vector_count({"<word>": (768,)}) == 1
    assert vector_count({"emb_params": (5, 768)}) == 5


def test_the_counter_counts_vectors_and_remarks_on_what_is_missing(studio: Studio, embeddings: Path) -> None:
    studio.catalog.refresh()
    files = model_files(studio)

    def ask(text: str, family: str = "sd1") -> Any:
        return reading.read(
            PromptQuestion(
                text=text,
                negative=False,
                family=family,
                seed=0,
                folders=lambda name: (),
                tokenize=lambda words: [1] * len(words.split()),
                limit=75,
                token=lambda token: None,
                models=files.listed,
                shapes=files.shapes,
            )
        )

    assert ask("a felis, big").chunks == (1 + 3 + 2,)
    assert ask("a felisxl").chunks == (4,)
    missing = ask("one embedding:nowhere two")
    assert missing.chunks == (2,)
    (remark,) = missing.remarks
    assert (remark.start, remark.end, remark.values["name"]) == (4, 21, "nowhere")
    assert "another family" in ask("felisxl").remarks[0].message
