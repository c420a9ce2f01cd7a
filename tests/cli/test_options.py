"""Declared parameters as options of the command line: several names at once, and what no person sets."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

import webui.api as declare
from webui.cli.options import add_parameters, given_parameters
from webui.cli.run import seen_from_here
from webui.core.parameters import describe
from webui.core.validating import freeze


class Styled(declare.Params):
    """Parameters of the two kinds."""

    styles: tuple[str, ...] = declare.dynamic_choices("easel.styles", label="Styles", maximum=3)
    origin: str = declare.record("", label="Origin")


def test_several_names_follow_one_option_and_records_have_none() -> None:
    parser = argparse.ArgumentParser()
    add_parameters(parser, describe(Styled))
    given = given_parameters(parser.parse_args(["--styles", "Soft", "Oil"]))
    assert freeze(Styled, given) == {"styles": ["Soft", "Oil"], "origin": ""}
    assert given_parameters(parser.parse_args(["--styles", "Soft", "--styles", "Oil"])) == given  # or each its own
    assert "--origin" not in parser.format_help()


def test_a_recipe_brings_its_records_back() -> None:
    assert freeze(Styled, {"origin": "a __hat__"}) == {"styles": [], "origin": "a __hat__"}


def test_folders_are_seen_from_where_the_command_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Placed(declare.Params):
        place: str = declare.folder(label="Place")
        words: str = declare.text(label="Words")

    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    given = {"place": "photos", "words": "photos"}
    assert seen_from_here(given, describe(Placed)) == {"place": str(tmp_path / "photos"), "words": "photos"}
    assert seen_from_here({"place": "collection:Best"}, describe(Placed)) == {"place": "collection:Best"}
