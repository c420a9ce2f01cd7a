"""Puts the page together: header, the extensions' tabs, gallery, queue and extensions, in one Blocks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from webui.core.errors import ExtensionError, NotFound
from webui.core.jobs import Job
from webui.core.specs import PipelineSpec, TabSpec
from webui.web.services import Services

from . import lazy, panels
from .arranging import slug
from .forms import Form, FormServices

log = logging.getLogger(__name__)

OWN_TABS: Mapping[str, str] = {"gallery": "Gallery", "queue": "Queue", "extensions": "Extensions"}
"""Tabs of the host's own. Gallery and queue stand where tabs of ``GALLERY_ORDER`` would, the extensions at the end."""
GALLERY_ORDER = 110
"""Above the default of ``TabSpec.order``: what is made stands after what makes it, before what is rarely used."""


class TabBuilder:
    """``webui.api.TabContext``: what a custom tab's ``build`` receives."""

    def __init__(self, tab: TabSpec, services: Services, forms: FormServices) -> None:
        self._tab = tab
        self._services = services
        self._forms = forms
        self.built: list[Form] = []

    @property
    def pipelines(self) -> Sequence[PipelineSpec]:
        return tuple(pipelines_of(self._services, self._tab))

    def form(self, pipeline: str) -> Any:
        """Put a pipeline's form here. Raises NotFound."""
        spec = self._services.host.pipelines.get(pipeline)
        if spec is None:
            raise NotFound(f"There is no pipeline {pipeline!r}.")
        again = sum(one.spec.id == spec.id for one in self.built)
        element = slug(spec.id) if spec.tab == self._tab.id else f"{slug(self._tab.id)}-{slug(spec.id)}"
        form = Form(spec, self._forms, f"{element}-{again + 1}" if again else element)
        form.build()
        self.built.append(form)
        return form

    def submit(self, pipeline: str, params: Mapping[str, Any]) -> Job:
        job: Job = self._services.jobs.submit(pipeline, params)
        return job


def pipelines_of(services: Services, tab: TabSpec) -> list[PipelineSpec]:
    """Those whose form stands in ``tab``: its own extension's first, then what others put there."""
    specs = [spec for spec in services.host.pipelines.values() if spec.tab == tab.id]
    try:
        owner = services.host.owner_of("tabs", tab.id)
    except NotFound:  # nobody declares it, or who does is switched off
        return specs
    return sorted(specs, key=lambda spec: spec.extension != owner)


@dataclass(frozen=True)
class BuiltTab:
    """A tab, ready to be rendered: its own Blocks, or why there is none."""

    spec: TabSpec
    forms: tuple[Form, ...] = ()
    blocks: Any = None
    problem: str = ""

    @property
    def subtabs(self) -> frozenset[str]:
        """The ids of tabs within it: one for each form where a declared tab has several, a custom tab's own."""
        if self.blocks is None:
            return frozenset(f"form-{form.slug}" for form in self.forms if len(self.forms) > 1)
        ids = (block.elem_id for block in self.blocks.blocks.values() if isinstance(block, gr.Tab))
        return frozenset(one for one in ids if one)


def build_custom(tab: TabSpec, services: Services, forms: FormServices) -> BuiltTab:
    """Build ``tab`` in a Blocks of its own, before the page's: an exception in a nested one ends the page's too."""
    builder = TabBuilder(tab, services, forms)
    try:
        extension = services.host.owner_of("tabs", tab.id)
        build = services.host.load_object(extension, tab.build)
        with gr.Blocks(analytics_enabled=False) as blocks:
            build(builder)
    except (Exception, SystemExit) as error:  # an extension's code: its fault must not take the page down
        told = error.message if isinstance(error, ExtensionError) else f"{type(error).__name__}: {error}"
        log.exception("tab %r could not be built", tab.id)
        return BuiltTab(tab, problem=told)
    return BuiltTab(tab, tuple(builder.built), blocks)


def build_tabs(services: Services, forms: FormServices) -> list[BuiltTab]:
    """Every tab of the extensions that has something to show, in order; forms of declared tabs are not built yet."""
    tabs = []
    for tab in services.host.tabs:
        if tab.build:
            tabs.append(build_custom(tab, services, forms))
            continue
        specs = pipelines_of(services, tab)
        if specs:
            tabs.append(BuiltTab(tab, tuple(Form(spec, forms) for spec in specs)))
    return tabs


def in_order(tabs: Sequence[BuiltTab]) -> list[BuiltTab | str]:
    """All tabs of the page as they stand: built ones, and the names of the host's own."""
    before = [built for built in tabs if built.spec.order < GALLERY_ORDER]
    after = [built for built in tabs if built.spec.order >= GALLERY_ORDER]
    return [*before, "gallery", "queue", *after, "extensions"]


def build_blocks(tabs: Sequence[BuiltTab], mark: Callable[[Iterable[Any]], None] = lambda blocks: None) -> Any:
    """The page. ``mark`` is given the components that are made later, when a form is first looked at."""
    first = next((form for built in tabs for form in built.forms if built.blocks is None), None)

    def put(form: Form) -> None:
        # The first form is what a person waits for; the others' components come when they are first looked at.
        form.build() if form is first else lazy.build(form, mark)

    with gr.Blocks(title="Lifelike", analytics_enabled=False, fill_width=True, delete_cache=(3600, 24 * 3600)) as page:
        panels.header()
        with gr.Tabs(elem_id="ll-tabs", elem_classes="ll-tabs", overflow_behavior="wrap"):
            for one in in_order(tabs):
                if isinstance(one, str):
                    with gr.Tab(OWN_TABS[one], id=f"tab-{one}", elem_id=f"tab-{one}"):
                        getattr(panels, one)()
                    continue
                with gr.Tab(one.spec.title, id=f"tab-{one.spec.id}", elem_id=f"tab-{slug(one.spec.id)}"):
                    _fill(one, put)
    return page


def _fill(built: BuiltTab, put: Callable[[Form], None]) -> None:
    if built.problem:
        panels.failed_tab(built.spec.title, built.problem)
    elif built.blocks is not None:
        built.blocks.render()
    elif len(built.forms) == 1:
        put(built.forms[0])
    else:
        with gr.Tabs(elem_id=f"ll-sub-{slug(built.spec.id)}", elem_classes="ll-subtabs", overflow_behavior="wrap"):
            for form in built.forms:
                with gr.Tab(form.spec.title, id=f"form-{form.slug}", elem_id=f"form-{form.slug}"):
                    put(form)
