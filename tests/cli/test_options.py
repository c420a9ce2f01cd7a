"""Declared parameters as options of the command line: several names at once, and what no person sets."""

from __future__ import annotations

import argparse

import webui.api as declare
from webui.cli.options import add_parameters, given_parameters
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
    assert "--origin" not in parser.format_help()


def test_a_recipe_brings_its_records_back() -> None:
    assert freeze(Styled, {"origin": "a __hat__"}) == {"styles": [], "origin": "a __hat__"}
