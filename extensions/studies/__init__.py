"""Human studies of realism and preference. This module only declares; the work is imported in the worker, routes when
the application serves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from webui.api import ChoiceSource, PipelineSpec, SettingsSpec, TabSpec, hookimpl

from .accepting import accept
from .contenders import accept_arena
from .params import ArenaParams, CreateParams, ResultsParams, StudiesSettings


def _known_studies(folders: Any) -> Sequence[str]:
    from .store import titles

    return ("", *titles(folders("studies")[0]))


@hookimpl
def register_pipelines() -> Iterable[PipelineSpec]:
    return [
        PipelineSpec(
            id="studies.create",
            title="New study",
            params=CreateParams,
            run=".create:Create",
            tab="studies",
            description="Two or more sets of pictures become a blinded study, with a link for those who answer.",
            outputs="scalar",
            accept=accept,
        ),
        PipelineSpec(
            id="studies.arena",
            title="Arena",
            params=ArenaParams,
            run=".arena:Arena",
            tab="studies",
            description="Models or settings draw the same prompts and seeds, and people choose while they draw.",
            outputs="scalar",
            keeps_work=True,
            accept=accept_arena,
        ),
        PipelineSpec(
            id="studies.results",
            title="Report",
            params=ResultsParams,
            run=".report:Results",
            tab="studies",
            description="The numbers of a study with their intervals, a plot and the raw votes.",
            outputs="table",
        ),
    ]


@hookimpl
def register_tabs() -> Iterable[TabSpec]:
    return [TabSpec("studies", "Human studies", order=80, build=".tab:build")]


@hookimpl
def register_choices() -> Iterable[ChoiceSource]:
    return [ChoiceSource("studies.studies", "Studies", _known_studies)]


@hookimpl
def register_settings() -> Iterable[SettingsSpec]:
    return [SettingsSpec("studies", "Human studies", StudiesSettings)]


@hookimpl
def app_started(app: Any) -> None:
    from .create import FOLDER, RATE_PATH
    from .desk import DeskRoutes
    from .routes import RaterRoutes
    from .store import Studies

    studies = Studies(app.folders(FOLDER)[0])
    own = dict(app.settings.get("extensions", {}).get("studies", {}))
    routes = RaterRoutes(studies, StudiesSettings(**own).votes_per_second)
    app.without_login(RATE_PATH)
    app.http.include_router(routes.router())
    app.http.include_router(DeskRoutes(studies).router())
