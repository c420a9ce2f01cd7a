"""Token counts of prompts, by the model's own tokenizer."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from webui.catalog.entry import ModelEntry
from webui.catalog.tokens import TokenCount, count

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789,.!"
MERGES = ["c a", "ca t</w>"]


def entry(folder: Path | None) -> ModelEntry:
    return ModelEntry("m", "m", "text_to_image", "diffusers", folder, tokenizer=folder)


def vocabulary() -> dict[str, int]:
    tokens = [*LETTERS, *(letter + "</w>" for letter in LETTERS), "ca", "cat</w>", "<|startoftext|>", "<|endoftext|>"]
    return {token: index for index, token in enumerate(tokens)}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary()))
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES]) + "\n")
    return tmp_path


def test_tokens_are_the_models(clip: Path) -> None:
    assert count(entry(clip), "a cat") == TokenCount(2, 75, 1)
    assert count(entry(clip), "CAT, cab") == TokenCount(4, 75, 1)  # cat , ca b
    assert count(entry(clip), "") == TokenCount(0, 75, 1)


def test_long_prompts_fill_several_chunks(clip: Path) -> None:
    assert count(entry(clip), "cat " * 75) == TokenCount(75, 75, 1)
    assert count(entry(clip), "cat " * 76) == TokenCount(76, 75, 2)


def test_the_limit_is_the_tokenizers(clip: Path) -> None:
    (clip / "tokenizer_config.json").write_text(
        json.dumps({"model_max_length": 18, "tokenizer_class": "CLIPTokenizer"})
    )
    assert count(entry(clip), "cat " * 17) == TokenCount(17, 16, 2)


def test_a_packed_list_of_merges_is_enough(tmp_path: Path) -> None:
    text = "\n".join(["#version: 0.2", *MERGES]) + "\n"
    (tmp_path / "merges.txt.gz").write_bytes(gzip.compress(text.encode()))
    assert count(entry(tmp_path), "a cat!") == TokenCount(3, 75, 1)


def test_a_tokenizer_file_of_the_newer_kind_is_read(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    folder = tmp_path_factory.mktemp("words")
    tokenizer = Tokenizer(WordLevel({"cat": 0, "[UNK]": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_truncation(2)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"model_max_length": 512, "tokenizer_class": "T5Tokenizer"})
    )
    assert count(entry(folder), "a cat and a dog") == TokenCount(5, 511, 1)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"model": 3}'])
def test_what_cannot_be_read_falls_back_to_words(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    found = count(entry(tmp_path), "a cat, 12")
    assert found == TokenCount(5, 75, 1, exact=False)


def test_without_a_tokenizer_words_are_counted() -> None:
    assert count(None, "a smiling person") == TokenCount(3, 75, 1, exact=False)
    assert count(entry(Path("/not/there")), "x").exact is False
