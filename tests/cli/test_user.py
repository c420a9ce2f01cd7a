"""``launch.py user``, and the start of a server that others could reach."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from webui.accounts import passwords
from webui.accounts.people import Role
from webui.accounts.store import AccountStore
from webui.cli.__main__ import main

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real algorithm with little memory, and no built-in extension to be loaded."""
    monkeypatch.setattr(passwords, "_HASHER", passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    monkeypatch.setenv("LIFELIKE_EXTENSIONS_DIRS", "/nowhere")


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    def call(*words: str, status: int = 0, typed: str = PASSWORD) -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed + "\n"))
        assert main([*words, "--data-dir", str(tmp_path)]) == status
        said = capsys.readouterr()
        return said.out if status == 0 else said.err

    return call


def test_people_come_and_go(run: Callable[..., str], tmp_path: Path) -> None:
    assert "Nobody yet" in run("user", "list")
    run("user", "add", "olga", "--owner", "--password-stdin")
    link = run("user", "add", "kim", "--link").splitlines()[-1]
    accounts = AccountStore(tmp_path / "accounts.sqlite3")
    found = accounts.use_link(link.removeprefix("/login/"))
    assert found is not None
    assert (found.name, found.role) == ("kim", Role.GUEST)
    assert accounts.check_password("olga", PASSWORD)
    token = run("user", "token", "kim", "--scope", "read", "--title", "watcher").strip()
    assert accounts.token(token) is not None
    assert "watcher" in run("user", "tokens", "kim")
    run("user", "tokens", "kim", "--remove", "1")
    assert accounts.token(token) is None
    accounts.begin_session("kim")
    assert run("user", "logout", "kim") == "1 sessions ended.\n"
    assert "minutes: 5" in run("user", "quota", "kim", "--minutes", "5", "--pixels", "0")
    rows = {row["name"]: row for row in json.loads(run("user", "list", "--json"))}
    assert rows["kim"]["quota"] == {"waiting": 4, "pictures": 16, "pixels": 0, "steps": 60, "minutes": 5}
    assert (rows["olga"]["role"], rows["olga"]["password"]) == ("owner", True)
    run("user", "remove", "kim")
    accounts.close()
    assert "kim" not in run("user", "list")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("add", "Not a name", "--link"), 2, "expected 1 to 32"),
        (("add", "kim", "--password-stdin"), 2, "expected 10 to 256"),
        (("add", "kim"), 1, "no terminal"),
        (("link", "nobody"), 1, "there is no account"),
        (("token", "nobody"), 1, "there is no account"),
        (("remove", "nobody"), 1, "there is no account"),
    ],
)
def test_what_cannot_be_is_said(run: Callable[..., str], words: tuple[str, ...], status: int, said: str) -> None:
    assert said in run("user", *words, status=status, typed="short")


def test_nothing_is_opened_while_no_owner_could_log_in(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LIFELIKE_ACCESS_TOKEN", raising=False)
    said = run("serve", "--share", "--no-browser", "--safe-mode", status=1)
    assert "there is no account yet that could log in" in said
    assert "launch.py user add NAME --owner" in said


def test_tls_needs_files_that_fit(run: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("no certificate")
    said = run("serve", "--tls-cert", str(tmp_path / "x.pem"), "--no-browser", "--safe-mode", status=1)
    assert "needs a certificate and its key" in said
    both = ["--tls-cert", str(tmp_path / "x.pem"), "--tls-key", str(tmp_path / "x.pem")]
    assert "cannot use the certificate" in run("serve", *both, "--no-browser", "--safe-mode", status=1)
