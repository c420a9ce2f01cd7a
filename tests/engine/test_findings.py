"""What was measured is kept on disk, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from webui.engine.attention import choices
from webui.engine.findings import FindingsFile, findings_path


def test_what_is_kept_is_there_for_the_next_process(tmp_path: Path) -> None:
    path = findings_path(tmp_path / "memory" / "card_torch-2.9.json", "attention")
    assert path.name == "card_torch-2.9.attention.json"
    findings = FindingsFile(path)
    assert findings.get("a") is None
    findings.keep("a", {"backend": "native"})
    findings.keep("b", 2)
    assert FindingsFile(path).all() == {"a": {"backend": "native"}, "b": 2}
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    with pytest.raises(TypeError):
        findings.keep("c", object())
    assert FindingsFile(path).get("b") == 2


@pytest.mark.parametrize("text", ["", "[1]", "{", "\0"])
def test_a_damaged_file_is_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    findings = FindingsFile(path)
    assert findings.all() == {}
    findings.keep("a", {"model": "sd1", "backend": "native", "ratios": {"native": 1.0}})
    findings.keep("b", "no choice at all")
    assert [(row.model, row.backend) for row in choices(FindingsFile(path))] == [("sd1", "native")]
