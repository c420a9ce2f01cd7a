"""``user``: who may log in where the studio is shared, how, and how much of it a guest may use."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
import time
from collections.abc import Sequence

from webui.accounts.people import Role
from webui.accounts.store import LINK_S, AccountStore
from webui.cli.options import add_host_options, settings_from
from webui.core.errors import FieldError, ParameterError, SetupError
from webui.core.guests import Quota

_DAY_S = 24 * 3600.0


def main(arguments: Sequence[str]) -> int:
    """Exit status 0."""
    given = _parser().parse_args(list(arguments))
    accounts = AccountStore(settings_from(given).accounts_path)
    try:
        command: int = given.run(accounts, given)
    finally:
        accounts.close()
    return command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="launch.py user", allow_abbrev=False, description=__doc__)
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="add|list|link|password|token|tokens|quota|logout|remove"
    )

    def add(name: str, help_text: str, run: object, *, named: bool = True) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help_text, allow_abbrev=False)
        if named:
            command.add_argument("name", metavar="NAME")
        command.set_defaults(run=run)
        add_host_options(command)
        return command

    new = add("add", "let somebody in: a guest, unless --owner", _add)
    new.add_argument("--owner", action="store_true", help="may do everything, as you do")
    new.add_argument("--link", action="store_true", help="print a link that logs in once, in place of a password")
    _add_stdin(new)
    listing = add("list", "everyone, and who is logged in", _list, named=False)
    listing.add_argument("--json", action="store_true", help="print JSON")
    add("link", "print a link that logs in once", _link).add_argument(
        "--hours", type=float, default=LINK_S / 3600, help="how long it is good (default: 24)"
    )
    _add_stdin(add("password", "set a password; ends every session of the account", _password))
    token = add("token", "make a token for a program, printed once", _token)
    token.add_argument(
        "--scope", action="append", choices=["read", "generate", "admin"], help="default: generate; may be repeated"
    )
    token.add_argument("--title", default="", help="what it is for")
    token.add_argument("--days", type=float, help="how long it lasts (default: until it is removed)")
    tokens = add("tokens", "list tokens, or make one void", _tokens)
    tokens.add_argument("--remove", type=int, metavar="ID")
    quota = add("quota", "what a guest may ask for; 0: no limit", _quota)
    for field in Quota.model_fields:
        quota.add_argument(f"--{field}", type=int, metavar="N")
    add("logout", "end every session of an account", _logout)
    add("remove", "take an account away; what was made with it stays", _remove)
    return parser


def _add_stdin(command: argparse.ArgumentParser) -> None:
    command.add_argument("--password-stdin", action="store_true", help="read the password from standard input")


def _ask_password(given: argparse.Namespace) -> str:
    """Never from the command line itself, which other users of a machine can read. Raises SetupError."""
    if given.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise SetupError("there is no terminal to ask for a password.", hint="Use --password-stdin, or `user link`.")
    password = getpass.getpass("Password (10 characters or more): ")
    if getpass.getpass("The same again: ") != password:
        raise SetupError("the two were not the same.", hint="Try again.")
    return password


def _add(accounts: AccountStore, given: argparse.Namespace) -> int:
    role = Role.OWNER if given.owner else Role.GUEST
    password = "" if given.link else _ask_password(given)
    accounts.add(given.name, role, password)
    print(f"{given.name} is {'an owner' if given.owner else 'a guest'} of this studio.")
    return _say_link(accounts, given.name, LINK_S / 3600) if given.link else 0


def _list(accounts: AccountStore, given: argparse.Namespace) -> int:
    rows = [
        {
            "name": one.name,
            "role": one.role.value,
            "password": one.has_password,
            "sessions": len(accounts.sessions(one.name)),
            "tokens": len(accounts.tokens(one.name)),
            "quota": one.quota.model_dump(),
        }
        for one in accounts.people()
    ]
    if given.json:
        print(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        print(f"{row['name']:<32}  {row['role']:<5}  {row['sessions']} sessions, {row['tokens']} tokens")
    if not rows:
        print("Nobody yet. The owner's account: launch.py user add NAME --owner")
    return 0


def _link(accounts: AccountStore, given: argparse.Namespace) -> int:
    if not 0 < given.hours <= 24 * 30:
        raise ParameterError([FieldError("--hours", "expected more than 0 and at most 720", str(given.hours))])
    return _say_link(accounts, given.name, given.hours)


def _say_link(accounts: AccountStore, name: str, hours: float) -> int:
    secret = accounts.make_link(name, hours * 3600)
    print(f"Logs {name} in once, within {hours:g} hours. Put it behind the studio's address:")
    print(f"/login/{secret}")
    return 0


def _password(accounts: AccountStore, given: argparse.Namespace) -> int:
    accounts.get(given.name)
    accounts.set_password(given.name, _ask_password(given))
    print(f"{given.name} has a new password, and is logged out everywhere.")
    return 0


def _token(accounts: AccountStore, given: argparse.Namespace) -> int:
    lasts_s = given.days * _DAY_S if given.days is not None else None
    secret, token = accounts.add_token(given.name, given.scope or ["generate"], given.title, lasts_s)
    print(f"Token {token.id} of {given.name}, for: {', '.join(token.scopes)}. It is not shown again:", file=sys.stderr)
    print(secret)
    return 0


def _tokens(accounts: AccountStore, given: argparse.Namespace) -> int:
    accounts.get(given.name)
    if given.remove is not None:
        accounts.remove_token(given.name, given.remove)
        print(f"Token {given.remove} is void.")
        return 0
    for token in accounts.tokens(given.name):
        used = time.strftime("%Y-%m-%d", time.localtime(token.seen_at)) if token.seen_at else "never used"
        print(f"{token.id:>4}  {', '.join(token.scopes):<24}  {used:<10}  {token.title}".rstrip())
    return 0


def _quota(accounts: AccountStore, given: argparse.Namespace) -> int:
    said = {name: value for name in Quota.model_fields if (value := getattr(given, name)) is not None}
    negative = [name for name, value in said.items() if value < 0]
    if negative:
        raise ParameterError([FieldError(f"--{negative[0]}", "expected 0 or more", str(said[negative[0]]))])
    quota = Quota.model_validate({**accounts.get(given.name).quota.model_dump(), **said})
    accounts.set_quota(given.name, quota)
    print("  ".join(f"{name}: {value or 'no limit'}" for name, value in quota.model_dump().items()))
    return 0


def _logout(accounts: AccountStore, given: argparse.Namespace) -> int:
    print(f"{accounts.end_sessions(accounts.get(given.name).name)} sessions ended.")
    return 0


def _remove(accounts: AccountStore, given: argparse.Namespace) -> int:
    accounts.remove(given.name)
    print(f"{given.name} has no account any more.")
    return 0
