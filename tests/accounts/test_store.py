"""Accounts on a file: who gets in, for how long, and what of it is kept."""

from __future__ import annotations

import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from webui.accounts import passwords, schema
from webui.accounts.people import Role, Scope, check_name, check_scopes
from webui.accounts.store import FREE_TRIES, SESSION_MAX_S, SESSION_S, AccountStore
from webui.core.errors import Conflict, NotFound, ParameterError, SetupError
from webui.core.guests import Quota

PASSWORD = "correct horse battery"


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module", autouse=True)
def light_hashes() -> Iterator[None]:
    """The real algorithm with little memory: what is tested here is not how long it takes."""
    patch = pytest.MonkeyPatch()
    patch.setattr(passwords, "_HASHER", passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    yield
    patch.undo()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[AccountStore]:
    store = AccountStore(tmp_path / "accounts.sqlite3", clock)
    yield store
    store.close()


def test_nothing_is_made_before_it_is_needed(tmp_path: Path) -> None:
    AccountStore(tmp_path / "accounts.sqlite3").close()
    assert not list(tmp_path.iterdir())


def test_a_password_opens_and_another_does_not(accounts: AccountStore) -> None:
    accounts.add("kim", Role.GUEST, PASSWORD)
    found = accounts.check_password("kim", PASSWORD)
    assert found is not None
    assert (found.name, found.role, found.has_password) == ("kim", Role.GUEST, True)
    assert accounts.check_password("kim", PASSWORD + "x") is None
    assert accounts.check_password("lee", PASSWORD) is None
    accounts.add("lee", Role.GUEST)
    assert accounts.check_password("lee", "") is None, "without a password none opens"


def test_the_same_letters_are_the_same_password(accounts: AccountStore) -> None:
    accounts.add("kim", Role.GUEST, "Cafe\u0301 au lait")
    assert accounts.check_password("kim", "Caf\u00e9 au lait")


def test_nothing_that_opens_is_in_the_file(accounts: AccountStore) -> None:
    accounts.add("kim", Role.GUEST, PASSWORD)
    session, _ = accounts.begin_session("kim")
    token, _ = accounts.add_token("kim", ["read"])
    link = accounts.make_link("kim")
    accounts.close()
    held = b"".join(path.read_bytes() for path in accounts.path.parent.iterdir())
    assert all(secret.encode() not in held for secret in (PASSWORD, session, token, token[3:], link))
    assert b"$argon2id$" in held
    if sys.platform != "win32":
        assert stat.S_IMODE(accounts.path.stat().st_mode) == 0o600


def test_todays_hashes_are_the_recommended_ones() -> None:
    hasher = passwords.PasswordHasher()
    assert (hasher.time_cost, hasher.memory_cost, hasher.parallelism, hasher.type.name) == (3, 65536, 4, "ID")


def test_a_hash_of_weaker_settings_is_made_anew(accounts: AccountStore, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts.add("kim", Role.GUEST, PASSWORD)
    stronger = passwords.PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    monkeypatch.setattr(passwords, "_HASHER", stronger)
    assert accounts.check_password("kim", PASSWORD)
    (kept,) = sqlite3.connect(accounts.path).execute("SELECT password FROM users").fetchone()
    assert not stronger.check_needs_rehash(kept)


def test_wrong_passwords_lock_a_name_for_longer_and_longer(accounts: AccountStore, clock: Clock) -> None:
    accounts.add("kim", Role.GUEST, PASSWORD)
    for name in ("kim", "nobody"):
        for _ in range(FREE_TRIES):
            assert accounts.locked_s(name) == 0
            assert accounts.check_password(name, "wrong wrong wrong") is None
        assert accounts.locked_s(name) == 30, "as for a name that there is not"
    clock.now += 30
    assert accounts.locked_s("kim") == 0
    accounts.check_password("kim", "wrong wrong wrong")
    assert accounts.locked_s("kim") == 60
    for _ in range(40):
        accounts.check_password("kim", "wrong wrong wrong")
    assert accounts.locked_s("kim") == 900
    clock.now += 900
    assert accounts.check_password("kim", PASSWORD)
    assert accounts.locked_s("kim") == 0


def test_a_session_lasts_while_it_is_used_and_not_for_ever(accounts: AccountStore, clock: Clock) -> None:
    accounts.add("kim", Role.GUEST)
    secret, session = accounts.begin_session("kim", "Firefox")
    began = clock.now
    while clock.now + SESSION_S - 1 < began + SESSION_MAX_S:
        clock.now += SESSION_S - 1
        found = accounts.session(secret)
        assert found is not None
        assert (found[0].name, found[1].id, found[1].agent) == ("kim", session.id, "Firefox")
    clock.now = began + SESSION_MAX_S + 1
    assert accounts.session(secret) is None


def test_an_idle_session_ends(accounts: AccountStore, clock: Clock) -> None:
    accounts.add("kim", Role.GUEST)
    secret, _ = accounts.begin_session("kim")
    clock.now += SESSION_S + 61
    assert accounts.session(secret) is None
    assert accounts.sessions("kim") == []


def test_sessions_end_one_by_one_all_at_once_and_with_the_password(accounts: AccountStore) -> None:
    accounts.add("kim", Role.GUEST, PASSWORD)
    accounts.add("lee", Role.GUEST)
    others, _ = accounts.begin_session("lee")
    (first, one), (second, _) = accounts.begin_session("kim"), accounts.begin_session("kim")
    assert accounts.end_sessions("lee", one.id) == 0, "not by another's name"
    assert accounts.end_sessions("kim", one.id) == 1
    assert accounts.session(first) is None
    assert accounts.session(second) is not None
    accounts.set_password("kim", "another long password")
    assert accounts.session(second) is None
    third, _ = accounts.begin_session("kim")
    assert accounts.end_sessions("kim") == 1
    assert accounts.session(third) is None
    assert accounts.session(others) is not None


def test_what_ends_in_one_process_has_ended_in_another(accounts: AccountStore) -> None:
    accounts.add("kim", Role.GUEST)
    secret, _ = accounts.begin_session("kim")
    other = AccountStore(accounts.path, accounts._clock)
    assert other.session(secret) is not None
    accounts.end_sessions("kim")
    assert other.session(secret) is None
    other.close()


def test_a_link_opens_once_and_in_time(accounts: AccountStore, clock: Clock) -> None:
    accounts.add("kim", Role.GUEST)
    used, late = accounts.make_link("kim"), accounts.make_link("kim", 60)
    account = accounts.use_link(used)
    assert account is not None
    assert account.name == "kim"
    assert accounts.use_link(used) is None
    clock.now += 61
    assert accounts.use_link(late) is None
    assert accounts.use_link("") is None


def test_a_token_has_its_scopes_and_those_they_include(accounts: AccountStore, clock: Clock) -> None:
    accounts.add("kim", Role.GUEST)
    secret, token = accounts.add_token("kim", ["generate"], "scripts", 60)
    assert token.scopes == (Scope.READ, Scope.GENERATE)
    found = accounts.token(secret)
    assert found is not None
    assert found[1].id == token.id
    assert accounts.tokens("kim")[0].seen_at == clock.now
    clock.now += 61
    assert accounts.token(secret) is None
    lasting, kept = accounts.add_token("kim", ["read"])
    with pytest.raises(NotFound):
        accounts.remove_token("lee", kept.id)
    accounts.remove_token("kim", kept.id)
    assert accounts.token(lasting) is None


@pytest.mark.parametrize(
    ("scopes", "words"), [(["admin"], "cannot have admin"), (["all"], "expected"), ([], "expected")]
)
def test_a_guest_has_no_token_beyond_its_rights(scopes: list[str], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        check_scopes(scopes, Role.GUEST)


def test_nothing_is_left_of_an_account(accounts: AccountStore) -> None:
    accounts.add("kim", Role.OWNER, PASSWORD)
    session, _ = accounts.begin_session("kim")
    token, _ = accounts.add_token("kim", ["admin"])
    link = accounts.make_link("kim")
    accounts.remove("kim")
    assert (accounts.session(session), accounts.token(token), accounts.use_link(link)) == (None, None, None)
    with pytest.raises(NotFound):
        accounts.get("kim")


def test_an_owner_needs_a_way_in(accounts: AccountStore, clock: Clock) -> None:
    accounts.add("guest", Role.GUEST, PASSWORD)
    assert not accounts.has_way_in()
    accounts.add("kim", Role.OWNER)
    assert not accounts.has_way_in()
    accounts.make_link("kim", 60)
    assert accounts.has_way_in()
    clock.now += 61
    assert not accounts.has_way_in()
    accounts.set_password("kim", PASSWORD)
    assert accounts.has_way_in()


def test_names_are_unique_and_safe(accounts: AccountStore) -> None:
    accounts.add("kim", Role.GUEST)
    with pytest.raises(Conflict):
        accounts.add("kim", Role.OWNER)
    for name in ("", "Kim", "../x", "a/b", "local", "con", "-x", "a" * 33, "ü", "a b", "a\n"):
        with pytest.raises(ParameterError):
            check_name(name)


@pytest.mark.parametrize("password", ["", "short", "x" * 257])
def test_passwords_have_a_length(password: str) -> None:
    with pytest.raises(ParameterError, match="expected 10 to 256"):
        passwords.hash_password(password)


def test_a_quota_is_kept(accounts: AccountStore) -> None:
    accounts.add("kim", Role.GUEST)
    quota = Quota(waiting=1, pictures=2, pixels=3, steps=4, minutes=5)
    assert accounts.set_quota("kim", quota).quota == quota
    assert [one.quota for one in accounts.people()] == [quota]


def test_the_head_is_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.HEAD]


def test_a_file_of_a_newer_version_or_a_broken_one_is_told_of(accounts: AccountStore, tmp_path: Path) -> None:
    accounts.add("kim", Role.GUEST)
    accounts.close()
    with sqlite3.connect(accounts.path) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SetupError, match="unknown to this version"):
        AccountStore(accounts.path).people()
    broken = tmp_path / "broken.sqlite3"
    broken.write_bytes(b"no database at all, only text" * 100)
    with pytest.raises(SetupError, match="cannot use the accounts"):
        AccountStore(broken).people()
