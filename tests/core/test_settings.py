"""Settings: every source, in its order."""

from __future__ import annotations

from pathlib import Path

import pytest

from webui.core.errors import ParameterError, SetupError
from webui.core.settings import TOKEN_VARIABLE, Settings, load_settings, read_stored, write_stored


def test_the_command_line_beats_the_environment_beats_the_file(tmp_path: Path) -> None:
    write_stored(tmp_path / "settings.json", {"port": 1111, "image_quality": 50, "device": "cpu"})
    environment = {"LIFELIKE_DATA_DIR": str(tmp_path), "LIFELIKE_PORT": "2222", "LIFELIKE_IMAGE_QUALITY": "60"}
    settings = load_settings({"port": 3333, "host": None}, environment)
    assert (settings.port, settings.image_quality, settings.device, settings.host) == (3333, 60, "cpu", "127.0.0.1")


def test_lists_in_the_environment_use_the_path_separator(tmp_path: Path) -> None:
    settings = load_settings({"data_dir": tmp_path}, {"LIFELIKE_MODELS_DIRS": "/a:/b"})
    assert settings.models_dirs == (Path("/a"), Path("/b"))


@pytest.mark.parametrize("text", ["[1, 2]", "{", '{"port": "high"}', '{"no_such_setting": 1}'])
def test_a_wrong_file_is_a_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises(SetupError, match=r"settings\.json"):
        load_settings({"data_dir": tmp_path}, {})


def test_writing_merges_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "settings.json"
    write_stored(path, {"a": 1})
    write_stored(path, {"b": "ü 中文"})
    assert read_stored(path) == {"a": 1, "b": "ü 中文"}
    assert [one.name for one in path.parent.iterdir()] == ["settings.json"]


def test_a_requested_folder_is_below_the_data_folder_unless_the_owner_alone_asks(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    (data / "sets" / "a").mkdir(parents=True)
    elsewhere.mkdir()
    (data / "link").symlink_to(elsewhere)
    own, shared = Settings(data_dir=data), Settings(data_dir=data, host="0.0.0.0")
    assert own.requested_folder(str(elsewhere), {}) == elsewhere
    for settings, environ in ((own, {TOKEN_VARIABLE: "a-token-of-sixteen"}), (shared, {})):
        assert settings.requested_folder("sets/a", environ) == data / "sets" / "a"
        for path in (str(elsewhere), "../elsewhere", "link", "sets/../../elsewhere", "/"):
            with pytest.raises(ParameterError, match="below the data folder"):
                settings.requested_folder(path, environ)
    for path in ("", " ", "nothing", "a\0b", "~nobody-of-that-name/x"):
        with pytest.raises(ParameterError, match="a folder that is there"):
            own.requested_folder(path, {})


def test_beyond_this_machine_only_allowed_folders_are_named(tmp_path: Path) -> None:
    allowed, other = tmp_path / "allowed", tmp_path / "other"
    (allowed / "in").mkdir(parents=True)
    other.mkdir()
    (allowed / "out").symlink_to(other)
    settings = Settings(data_dir=tmp_path / "data", host="0.0.0.0", allowed_folders=(allowed,))
    assert settings.requested_folder(str(allowed / "in"), {}) == (allowed / "in").resolve()
    for path in (other, allowed / "out", allowed / ".." / "other", Path("/")):
        with pytest.raises(ParameterError, match="that is allowed"):
            settings.requested_folder(str(path), {})
