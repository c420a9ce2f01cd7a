"""The page at "/": made once from what the extensions declare, and mounted into the web process's application."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import gradio as gr
from fastapi import FastAPI
from starlette.routing import Mount

from webui.core.errors import Forbidden
from webui.core.specs import Folders
from webui.web.principal import asking
from webui.web.services import Services

from . import head, i18n, routes, sessions, shell
from .choice_pictures import ChoicePictures
from .forms import FormServices
from .options import ModelOptions
from .presets import PresetStore
from .theme import make_theme
from .widgets import Files


def form_services(services: Services) -> FormServices:
    """What forms need, out of what the composition root gave."""
    return FormServices(
        options=ModelOptions(
            services.catalog, choice_lists(services), services.host.pipelines, choice_labels(services)
        ),
        presets=PresetStore(services.settings.data_dir / "presets", _folder_of_asking if services.asks_login else str),
        files=Files(put=services.uploads.put, path=services.uploads.path),
        submit=services.jobs.submit,
        pictures=ChoicePictures(services.host.pipelines, _folders(services)),
    )


def _folders(services: Services) -> dict[str, Path]:
    """Of each loaded extension."""
    return {one.id: Path(one.path) for one in services.host.extensions if one.state == "loaded" and one.path}


def _folder_of_asking() -> str:
    """Also while the page is made, when nobody asks: the names it is made with are read anew for each who does."""
    try:
        return asking().folder
    except Forbidden:
        return "nobody"


def choice_lists(services: Services) -> dict[str, Callable[[], Sequence[str]]]:
    """The lists that extensions declared, by name."""
    folders = services.settings.folders
    lists: dict[str, Callable[[], Sequence[str]]] = {
        name: partial(source.choices, folders) for name, source in services.host.choices.items()
    }
    host = services.host
    lists["feature_networks"] = lambda: tuple(host.feature_networks)
    lists["latent_spaces"] = lambda: tuple(host.latent_spaces)
    lists["measures"] = lambda: tuple(one.id for spec in host.pipelines.values() for one in spec.measures)
    return lists


def choice_labels(services: Services) -> dict[str, Callable[[], Mapping[str, str]]]:
    """What entries of those lists are shown as, where their texts have a ``label``."""

    def labels(texts: Callable[[Folders], Mapping[str, Mapping[str, str]]]) -> Mapping[str, str]:
        return {name: text["label"] for name, text in texts(services.settings.folders).items() if text.get("label")}

    declared = services.host.choices.items()
    return {name: partial(labels, source.texts) for name, source in declared if source.texts is not None}


def mount(app: FastAPI, services: Services) -> FastAPI:
    """Add the page and its own routes to ``app``. A route added later is reached only if it is put before the mount."""
    tables = i18n.load_tables(list(_folders(services).values()))
    forms = form_services(services)
    tabs = shell.build_tabs(services, forms)
    mark = partial(i18n.mark, tables=tables)
    page = shell.build_blocks(tabs, mark)
    mark(page.blocks.values())
    words = i18n.for_gradio(tables)
    # Before mounting: the page's own copy of its configuration is made there, and Gradio reads the words from it.
    page.i18n_instance = words
    page.queue(api_open=False)
    routes.add(app, services.uploads, forms.pictures.answer)
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        theme=make_theme(),
        i18n=words,
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        max_file_size=services.settings.max_upload_bytes,
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
    )
    lines = head.first_lines(head.config(tabs, tables, services.settings.locale, services.settings.root_path))
    for route in app.router.routes:
        if isinstance(route, Mount) and route.path == "":
            sessions.bound(page, route.app)
            route.app = head.HeadFirst(route.app, lines)
    return app
