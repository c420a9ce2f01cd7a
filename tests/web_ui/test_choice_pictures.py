"""Pictures of a choice: those that lie in the extension's own folder, found by their values."""

from __future__ import annotations

from pathlib import Path

import pytest

from webui.api import Params, PipelineSpec, choice
from webui.core.errors import NotFound
from webui.core.parameters import describe
from webui.web.ui.choice_pictures import ChoicePictures


class PickParams(Params):
    look: str = choice("a b", {"a b": "First", "../out": "Outside", "none": "Without"}, label="Look", pictures="looks")
    plain: str = choice("a", ["a", "b"], label="Plain")


def test_pictures_are_found_by_their_values_in_the_extension_alone(tmp_path: Path) -> None:
    (tmp_path / "own" / "looks").mkdir(parents=True)
    (tmp_path / "own" / "looks" / "a b.png").write_bytes(b"first")
    (tmp_path / "own" / "out.webp").write_bytes(b"in the extension still")
    (tmp_path / "own" / "looks" / "none.svg").write_bytes(b"of no kind that is served")
    spec = PipelineSpec(id="own.pick", title="Pick", params=PickParams, run="x:Y")
    look, plain = describe(PickParams)
    found = ChoicePictures({spec.id: spec}, {"own": tmp_path / "own"})
    shown = found.addresses(spec, look)
    assert list(shown) == ["a b", "../out"]
    assert shown["a b"].startswith("/ui/choices/own.pick/look?of=a%20b&v=")
    assert found.addresses(spec, plain) == {}
    assert found.answer("own.pick", "look", "a b").media_type == "image/png"
    outside = ChoicePictures({spec.id: spec}, {"own": tmp_path / "own" / "looks"})
    assert outside.addresses(spec, look) == {}
    for asked in (("own.pick", "look", "none"), ("own.pick", "plain", "a"), ("other", "look", "a b")):
        with pytest.raises(NotFound):
            found.answer(*asked)
