"""What the dropdowns of models offer, and the values a chosen model recommends: from the catalog to the forms."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from webui.catalog.catalog import Catalog, titles
from webui.core.errors import LifelikeError
from webui.core.parameters import Parameter, describe
from webui.core.specs import PipelineSpec

_NONE: Mapping[str, PipelineSpec] = MappingProxyType({})

log = logging.getLogger(__name__)


class ModelOptions:
    """The catalog and the pipelines as forms read them: no error of a model file stops a page from being built."""

    def __init__(
        self,
        catalog: Catalog,
        lists: Mapping[str, Callable[[], Sequence[str]]] | None = None,
        pipelines: Mapping[str, PipelineSpec] = _NONE,
        labels: Mapping[str, Callable[[], Mapping[str, str]]] | None = None,
    ) -> None:
        """``lists``: what choices that are no models are taken from, by name; ``labels``: what of these are shown as
        something else, by the same names.
        """
        self._catalog = catalog
        self._lists = lists or {}
        self._labels = labels or {}
        self._pipelines = pipelines

    def offered(self, row: Parameter, of: str = "", fresh: bool = False) -> list[tuple[str, str]]:
        """(label, value) of all that the list of ``row`` offers. ``of``: the pipeline that ``row.of`` names now.
        ``fresh``: where models are listed, their folders are looked at again.
        """
        source, outputs, needed = (*row.source.split(":"), "", "")[:3]
        if row.kind == "dynamic_choice" and source == "pipelines":
            return [
                (spec.title, spec.id)
                for spec in self._pipelines.values()
                if (not outputs or spec.outputs in outputs.split("|"))
                and (not needed or needed in spec.params.model_fields)
                and not holders([spec])
            ]
        if row.kind == "dynamic_choice" and source == "parameters":
            spec = self._pipelines.get(of)
            rows = describe(spec.params) if spec is not None else ()
            return [("None", ""), *((one.label, one.name) for one in rows if one.kind != "record")]
        return self.choices(row.source, fresh)

    def takers(self, spec: PipelineSpec) -> list[tuple[PipelineSpec, Parameter]]:
        """Pipelines that can run ``spec``, each with its parameter that holds the parameters of ``spec``."""
        found = []
        for holder, row in holders(self._pipelines.values()):
            named = next((one for one in describe(holder.params) if one.name == row.of), None)
            if named is not None and spec.id in (value for _, value in self.offered(named)):
                found.append((holder, row))
        return found

    def choices(self, kind: str, fresh: bool = False) -> list[tuple[str, str]]:
        """(label, reference) of every usable model of ``kind``, or of the list of that name; ``fresh`` as above."""
        if kind in self._lists:
            labels = self._labelled(kind)
            return [(labels.get(name) or name, name) for name in self._listed(kind)]
        if fresh:
            self._catalog.refresh()
        usable = [entry for entry in self._catalog.entries(kind) if entry.usable]
        return [(label, ref) for ref, label in titles(usable)]

    def folder_of(self, kind: str) -> str:
        """The folder that models of ``kind`` are put into, as a person sees it: ``models/checkpoints``."""
        return f"models/{self._catalog.folder_of(kind)}".rstrip("/")

    def _listed(self, name: str) -> Sequence[str]:
        try:
            return tuple(str(one) for one in self._lists[name]())
        except Exception:  # an extension's function: whatever it raises, the form is shown without its list
            log.exception("the list %s cannot be read", name)
            return ()

    def _labelled(self, name: str) -> Mapping[str, str]:
        """Of a list, what is not shown as it is."""
        if name not in self._labels:
            return {}
        try:
            return {one: str(label) for one, label in self._labels[name]().items()}
        except Exception:  # as above; without its labels
            log.exception("the labels of the list %s cannot be read", name)
            return {}

    def default(self, kind: str) -> str:
        """The reference that an empty one stands for; empty where there is no model."""
        entry = self._catalog.default(kind)
        return entry.ref if entry is not None else ""

    def recommended(self, kind: str, ref: str) -> Mapping[str, Any]:
        """Values that suit the model ``ref``; nothing for one that is not known."""
        try:
            return self._catalog.resolve(ref, kind).recommended
        except LifelikeError:
            return {}

    def examples(self, kind: str, ref: str) -> tuple[Mapping[str, Any], ...]:
        """Parameter sets that show what the model ``ref`` can do."""
        try:
            return tuple(getattr(self._catalog.resolve(ref, kind), "examples", ()))
        except LifelikeError:
            return ()

    def automatic(self, rows: Sequence[Parameter], params: Mapping[str, Any]) -> dict[str, Any]:
        """What None stands for in each of ``rows`` with an automatic value, for the models that ``params`` choose."""
        suggests: dict[str, Any] = {}
        for row in rows:
            if row.kind == "model":
                suggests.update(self.recommended(row.source, str(params.get(row.name) or "")))
        return {row.name: suggests.get(row.name, row.auto) for row in rows if row.auto is not None}


def holders(pipelines: Iterable[PipelineSpec]) -> list[tuple[PipelineSpec, Parameter]]:
    """Those of ``pipelines`` that run another one, with the parameter that holds the other's parameters."""
    return [(spec, row) for spec in pipelines for row in describe(spec.params) if row.kind == "parameters"]
