"""Guests of a shared link: they edit faces with consent as the owner does, and leave nothing but results behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from webui.api import ParameterError
from webui.testing import Studio, make_studio

HERE = Path(__file__).resolve().parent
ONE_PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"
)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return make_studio(tmp_path_factory.mktemp("faces"))


def asked(studio: Studio, pipeline: str, owner: str, **params: Any) -> dict[str, Any]:
    return studio.freeze(studio.host.pipelines[pipeline], {"image": ONE_PIXEL, **params}, owner)


@pytest.mark.parametrize("pipeline", ["faces.edit", "faces.attribute", "faces.swap", "faces.expression", "faces.talk"])
def test_a_guest_is_asked_for_consent_as_everyone_is(studio: Studio, pipeline: str) -> None:
    more = {"source": ONE_PIXEL} if pipeline in ("faces.swap", "faces.expression") else {}
    with pytest.raises(ParameterError) as caught:
        asked(studio, pipeline, "kim", **more)
    assert [one.name for one in caught.value.fields] == ["consent"]
    kept = asked(studio, pipeline, "kim", consent=True, **more)
    assert kept["consent"] is True
    assert studio.host.pipelines[pipeline].needs_consent


def test_a_guest_projects_no_face_into_the_owners_folder(studio: Studio) -> None:
    given = {"consent": True, "method": "gan", "direction": "smile"}
    with pytest.raises(Exception, match="owner") as caught:
        asked(studio, "faces.attribute", "kim", **given)
    assert type(caught.value).__name__ == "Forbidden"
    assert not isinstance(caught.value, ParameterError)


def test_a_guest_names_no_file_of_the_machine(studio: Studio) -> None:
    with pytest.raises(ParameterError):
        studio.freeze(studio.host.pipelines["faces.find"], {"image": str(HERE / "in.png")}, "kim")
