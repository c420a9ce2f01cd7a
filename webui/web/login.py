"""The login, before anything of Gradio is loaded: one plain page without a script, for passwords and one-time links.

A link is used up by the button on its page, not by opening it: what chat programs fetch for a preview opens links too.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from webui.accounts.people import Account
from webui.accounts.store import AccountStore

from .access import LOGIN_PATH, LOGOUT_PATH, address_of, too_many
from .doors import MAX_SECRET_CHARS, Doors
from .guessing import GuessLimit
from .principal import Principal

_NAME_MAX, _PASSWORD_MAX = 64, 256

WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Log in",
        "name": "Name",
        "password": "Password",
        "go": "Log in",
        "enter": "Enter as {name}",
        "link": "This link logs you in once.",
        "wrong": "Name and password do not fit.",
        "late": "This link was used, or is too old. Ask for a new one.",
        "locked": "Too many wrong passwords. Try again in {seconds} s.",
        "note": "The owner of this studio can give you a name and a password, or a link.",
    },
    "zh-CN": {
        "title": "登录",
        "name": "用户名",
        "password": "密码",
        "go": "登录",
        "enter": "进入",
        "link": "此链接只能登录一次。",
        "wrong": "用户名或密码不正确。",
        "late": "此链接已被使用或已过期，请索取新链接。",
        "locked": "密码错误次数过多，请在 {seconds} 秒后重试。",
        "note": "用户名和密码或登录链接由本工作室的所有者提供。",
    },
}


def install(app: FastAPI, doors: Doors, accounts: AccountStore, limit: GuessLimit) -> None:
    """Add the routes of the login, which no guard asks for a login."""

    @app.get(LOGIN_PATH, include_in_schema=False)
    async def ask(request: Request, next: str = "/") -> Response:
        if await run_in_threadpool(doors.by_cookie, request.scope) is not None:
            return RedirectResponse(_root(request) + safe_next(next), 303)
        return _password_page(request, next)

    @app.post(LOGIN_PATH, include_in_schema=False)
    async def log_in(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=8, max_part_size=4096)
        name, password, wanted = (str(form.get(key, "")) for key in ("name", "password", "next"))
        name = name.strip().lower()[:_NAME_MAX]
        address = address_of(request.scope)
        wait_s = limit.wait_s(address)
        if wait_s > 0:
            return _password_page(request, wanted, "locked", 429, wait_s)
        wait_s = await run_in_threadpool(accounts.locked_s, name)
        if wait_s > 0:
            return _password_page(request, wanted, "locked", 429, wait_s)
        account = await run_in_threadpool(accounts.check_password, name, password[: _PASSWORD_MAX + 1])
        if account is None:
            limit.wrong(address)
            return _password_page(request, wanted, "wrong", 401, name=name)
        return await _let_in(request, account, wanted)

    @app.get(LOGIN_PATH + "/{secret}", include_in_schema=False)
    async def offer(request: Request, secret: str) -> Response:
        return _link_page(request, secret)

    @app.post(LOGIN_PATH + "/{secret}", include_in_schema=False)
    async def enter(request: Request, secret: str) -> Response:
        address = address_of(request.scope)
        wait_s = limit.wait_s(address)
        if wait_s > 0:
            return too_many(wait_s)
        account = await run_in_threadpool(accounts.use_link, secret[:MAX_SECRET_CHARS])
        if account is None:
            limit.wrong(address)
            return _password_page(request, "/", "late", 401)
        return await _let_in(request, account, "/")

    @app.post(LOGOUT_PATH, include_in_schema=False)
    async def log_out(request: Request) -> Response:
        principal: Principal | None = await run_in_threadpool(doors.by_cookie, request.scope)
        if principal is not None and principal.session_id is not None:
            await run_in_threadpool(accounts.end_sessions, principal.name, principal.session_id)
        response = RedirectResponse(_root(request) + LOGIN_PATH, 303, {"Cache-Control": "no-store"})
        doors.take_cookie(response, request.scope)
        return response

    async def _let_in(request: Request, account: Account, wanted: str) -> Response:
        agent = request.headers.get("user-agent", "")
        secret, _ = await run_in_threadpool(accounts.begin_session, account.name, agent)
        response = RedirectResponse(_root(request) + safe_next(wanted), 303, {"Cache-Control": "no-store"})
        doors.give_cookie(response, request.scope, secret)
        return response


def safe_next(wanted: str) -> str:
    """A path of this server, whatever ``wanted`` is: nobody is led to another one after a login."""
    if not re.fullmatch(r"/(?![/\\])[^\\\x00-\x20\x7f-\uffff]{0,2000}", wanted):
        return "/"
    parts = urlsplit(wanted)
    if parts.scheme or parts.netloc or parts.path in (LOGIN_PATH, LOGOUT_PATH):
        return "/"
    return wanted


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", ""))


def language(header: str) -> str:
    """The language of the page for an Accept-Language header: Chinese where it comes before English."""
    for part in header.split(","):
        tag = part.partition(";")[0].strip().lower()
        if tag.startswith("zh"):
            return "zh-CN"
        if tag.startswith("en"):
            return "en"
    return "en"


def _password_page(
    request: Request, wanted: str, problem: str = "", status: int = 200, wait_s: float = 0.0, name: str = ""
) -> Response:
    tongue = language(request.headers.get("accept-language", ""))
    words = WORDS[tongue]
    said = words[problem].format(seconds=int(wait_s) + 1) if problem else ""
    form = (
        f'<form method="post" action="{html.escape(_root(request) + LOGIN_PATH)}">'
        f'<input type="hidden" name="next" value="{html.escape(safe_next(wanted))}">'
        f'<label for="name">{words["name"]}</label><input id="name" name="name" value="{html.escape(name)}" '
        'autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="32" required'
        f"{'' if name else ' autofocus'}>"
        f'<label for="password">{words["password"]}</label><input id="password" name="password" type="password" '
        f'autocomplete="current-password" maxlength="{_PASSWORD_MAX}" required{" autofocus" if name else ""}>'
        f"<button>{words['go']}</button></form><p class=note>{words['note']}</p>"
    )
    headers = {"Retry-After": str(int(wait_s) + 1)} if wait_s else {}
    return _page(tongue, words["title"], said, form, status, headers)


def _link_page(request: Request, secret: str) -> Response:
    tongue = language(request.headers.get("accept-language", ""))
    words = WORDS[tongue]
    action = html.escape(f"{_root(request)}{LOGIN_PATH}/{secret[:MAX_SECRET_CHARS]}")
    button = f"<button autofocus>{words['go']}</button>"
    form = f'<p>{words["link"]}</p><form method="post" action="{action}">{button}</form>'
    return _page(tongue, words["title"], "", form, 200, {})


def _page(tongue: str, title: str, said: str, form: str, status: int, headers: Mapping[str, str]) -> Response:
    alert = f'<p class=said role="alert">{html.escape(said)}</p>' if said else ""
    body = (
        f'<!doctype html><html lang="{tongue}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="color-scheme" '
        f'content="light dark"><meta name="robots" content="noindex"><title>{title} · Lifelike</title>'
        f"<style>{_STYLE}</style></head><body><main><h1>Lifelike</h1>{alert}{form}</main></body></html>"
    )
    return HTMLResponse(body, status, {"Cache-Control": "no-store", "Content-Security-Policy": _POLICY, **headers})


_STYLE = (
    ":root{color-scheme:light dark;--back:#f6f7f9;--card:#fff;--ink:#1c2330;--soft:#5a6475;--line:#c3cad6;--do:#3347b8}"
    "@media(prefers-color-scheme:dark){:root{--back:#0f131a;--card:#181e28;--ink:#e8ecf3;--soft:#a3adbd;--line:#3b4555;"
    "--do:#4b61dd}}*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1rem;"
    "background:var(--back);color:var(--ink);font:16px/1.5 system-ui,sans-serif}main{width:100%;max-width:22rem;"
    "background:var(--card);border:1px solid var(--line);border-radius:12px;padding:1.75rem}h1{font-size:1.4rem;"
    "margin:0 0 1rem}label{display:block;margin:.9rem 0 .3rem;font-weight:600}input,button{font:inherit;width:100%;"
    "min-height:44px;padding:.5rem .7rem;border-radius:8px;border:1px solid var(--line);background:transparent;"
    "color:inherit}button{margin-top:1.3rem;background:var(--do);border-color:var(--do);color:#fff;font-weight:600;"
    "cursor:pointer}:focus-visible{outline:3px solid var(--do);outline-offset:2px}.said{margin:0;padding:.6rem .8rem;"
    "border-radius:8px;border:1px solid currentColor;color:light-dark(#a11a1a,#ff9b9b)}.note{color:var(--soft);"
    "font-size:.875rem;margin:1.2rem 0 0}"
)
_POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)

__all__ = ["install", "language", "safe_next"]
