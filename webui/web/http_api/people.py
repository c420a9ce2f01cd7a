"""The routes of accounts: one's own password, sessions and tokens under /me; everyone's, the owner's, under /people."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from webui.accounts.people import Account, Role, Session, Token
from webui.accounts.store import LINK_S
from webui.core.errors import Conflict, FieldError, Forbidden, ParameterError
from webui.core.guests import Quota
from webui.core.jobs import JobState
from webui.web.principal import MACHINE, Principal, of_request
from webui.web.quotas import DAY_S
from webui.web.services import Services

from .body import json_body, parse_model, read_json

Name = Annotated[str, Path(max_length=32)]
_BODY_BYTES = 10_000


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class PasswordOrder(_Order):
    old: str = Field(default="", max_length=256)
    new: str = Field(max_length=256)


class TokenOrder(_Order):
    title: str = Field(default="", max_length=80)
    scopes: list[str] = Field(min_length=1, max_length=3, description="read, generate, admin")
    days: float | None = Field(default=None, gt=0, le=3650, description="How long it lasts; null: until it is removed")


class PersonOrder(_Order):
    name: str = Field(max_length=32)
    role: str = "guest"


class Used(BaseModel):
    minutes: float = Field(description="Of the machine's time within 24 hours")
    waiting: int = Field(description="Jobs that wait or run")


class Me(BaseModel):
    name: str
    role: str = Field(description="owner or guest")
    login: bool = Field(description="Whether the server asks for a login")
    scopes: list[str]
    quota: Quota | None = Field(description="Of guests; 0: no limit")
    used: Used | None
    session: int | None = Field(description="The session's id, of browsers")


class PersonView(BaseModel):
    name: str
    role: str
    has_password: bool
    quota: Quota
    used: Used
    sessions: list[Session]
    tokens: int


class People(BaseModel):
    people: list[PersonView]


class NewLink(BaseModel):
    name: str
    path: str = Field(description="Opened once, it logs in; never told again")
    hours: float = Field(description="How long it is good")


class NewToken(BaseModel):
    secret: str = Field(description="Never told again")
    token: Token


class Sessions(BaseModel):
    sessions: list[Session]


class Tokens(BaseModel):
    tokens: list[Token]


class Ended(BaseModel):
    ended: int


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["people"])
    _add_own(routes, services)
    _add_everyones(routes, services)
    return routes


def _add_own(routes: APIRouter, services: Services) -> None:
    accounts = services.accounts

    def who(request: Request) -> Principal:
        principal = of_request(request)
        if principal is None and services.asks_login:
            raise Forbidden("It is not known who asks.", hint="Log in again.")
        return principal or MACHINE

    def person(request: Request) -> Principal:
        """Who asks, where that is somebody with an account and not a program. Raises Forbidden."""
        principal = who(request)
        if principal.way != "session":
            raise Forbidden("That is done by a person who is logged in.", hint="Or on the command line: launch.py user")
        return principal

    @routes.get("/me", summary="Who asks, and what is left of a guest's quota")
    def me(request: Request) -> Me:
        principal = who(request)
        guest = principal.is_guest
        return Me(
            name=principal.name,
            role=principal.role.value,
            login=services.asks_login,
            scopes=sorted(principal.scopes),
            quota=principal.quota if guest else None,
            used=_used(services, principal.job_owner) if guest else None,
            session=principal.session_id,
        )

    @routes.put("/me/password", openapi_extra=json_body(PasswordOrder), summary="Choose another password")
    async def password(request: Request) -> Ended:
        """Every session of the account ends, this one too."""
        principal = person(request)
        order = parse_model(PasswordOrder, await read_json(request, _BODY_BYTES))
        return await run_in_threadpool(_change_password, services, principal.name, order)

    @routes.get("/me/sessions", summary="Browsers that are logged in")
    def sessions(request: Request) -> Sessions:
        return Sessions(sessions=accounts.sessions(person(request).name))

    @routes.delete("/me/sessions", summary="Log out everywhere")
    def end_all(request: Request) -> Ended:
        return Ended(ended=accounts.end_sessions(person(request).name))

    @routes.delete("/me/sessions/{session_id}", summary="Log out one browser")
    def end_one(request: Request, session_id: int) -> Ended:
        return Ended(ended=accounts.end_sessions(person(request).name, session_id))

    @routes.get("/me/tokens", summary="Tokens of programs")
    def tokens(request: Request) -> Tokens:
        return Tokens(tokens=accounts.tokens(person(request).name))

    @routes.post("/me/tokens", status_code=201, openapi_extra=json_body(TokenOrder), summary="Make a token")
    async def add_token(request: Request) -> NewToken:
        principal = person(request)
        order = parse_model(TokenOrder, await read_json(request, _BODY_BYTES))
        lasts_s = order.days * DAY_S if order.days is not None else None
        made = await run_in_threadpool(accounts.add_token, principal.name, order.scopes, order.title, lasts_s)
        return NewToken(secret=made[0], token=made[1])

    @routes.delete("/me/tokens/{token_id}", status_code=204, summary="Make a token void")
    def remove_token(request: Request, token_id: int) -> None:
        accounts.remove_token(person(request).name, token_id)


def _add_everyones(routes: APIRouter, services: Services) -> None:
    accounts = services.accounts

    @routes.get("/people", summary="Everyone who may log in, and who is")
    def people() -> People:
        """Owner alone."""
        return People(people=[_view(services, account) for account in accounts.people()])

    @routes.post(
        "/people", status_code=201, openapi_extra=json_body(PersonOrder), summary="Let somebody in: a link to log in by"
    )
    async def add(request: Request) -> NewLink:
        order = parse_model(PersonOrder, await read_json(request, _BODY_BYTES))
        if order.role not in {role.value for role in Role}:
            raise ParameterError([FieldError("role", "expected owner or guest", order.role[:40])])
        return await run_in_threadpool(_let_in, order.name, Role(order.role))

    @routes.post("/people/{name}/link", status_code=201, summary="Another link to log in by")
    def link(name: Name) -> NewLink:
        return _link(name)

    @routes.put("/people/{name}/quota", openapi_extra=json_body(Quota), summary="What a guest may ask for")
    async def quota(name: Name, request: Request) -> PersonView:
        wanted = parse_model(Quota, await read_json(request, _BODY_BYTES))
        return _view(services, await run_in_threadpool(accounts.set_quota, name, wanted))

    @routes.delete("/people/{name}/sessions", summary="Log somebody out everywhere")
    def end_sessions(name: Name) -> Ended:
        return Ended(ended=accounts.end_sessions(accounts.get(name).name))

    @routes.delete("/people/{name}", summary="Take somebody's account away; what was made with it stays")
    def remove(name: Name, request: Request) -> Ended:
        """Their jobs that wait or run are cancelled."""
        principal = of_request(request)
        if principal is not None and principal.name == name:
            raise Conflict("You cannot take away your own account.", hint="Another owner can, or launch.py user remove")
        account = accounts.get(name)
        accounts.remove(name)
        return Ended(ended=_cancel_all(services, account))

    def _let_in(name: str, role: Role) -> NewLink:
        accounts.add(name, role)
        return _link(name)

    def _link(name: str) -> NewLink:
        return NewLink(name=name, path=f"/login/{accounts.make_link(name)}", hours=LINK_S / 3600)


def _change_password(services: Services, name: str, order: PasswordOrder) -> Ended:
    accounts = services.accounts
    known = not accounts.get(name).has_password or (
        accounts.locked_s(name) == 0 and accounts.check_password(name, order.old) is not None
    )
    if not known:
        raise ParameterError([FieldError("old", "is not the present password")])
    before = len(accounts.sessions(name))
    accounts.set_password(name, order.new)
    return Ended(ended=before)


def _cancel_all(services: Services, account: Account) -> int:
    """Of a guest alone: owners' jobs are the studio's."""
    if account.role is Role.OWNER:
        return 0
    ended = 0
    for state in (JobState.QUEUED, JobState.RUNNING):
        for job in services.jobs.list(state, account.name, limit=500):
            services.jobs.cancel(job.id)
            ended += 1
    return ended


def _used(services: Services, owner: str) -> Used:
    counts = services.jobs.counts(owner)
    seconds = services.jobs.seconds_used(owner, time.time() - DAY_S)
    return Used(minutes=round(seconds / 60, 2), waiting=counts[JobState.QUEUED] + counts[JobState.RUNNING])


def _view(services: Services, account: Account) -> PersonView:
    said: dict[str, Any] = account.model_dump(exclude={"created_at"})
    return PersonView(
        **said,
        used=_used(services, account.name if account.role is Role.GUEST else "local"),
        sessions=services.accounts.sessions(account.name),
        tokens=len(services.accounts.tokens(account.name)),
    )


__all__ = ["router"]
