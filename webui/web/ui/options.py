"""What the dropdowns of models offer, and the values a chosen model recommends: from the catalog to the forms."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from webui.catalog.catalog import Catalog, titles
from webui.core.errors import LifelikeError
from webui.core.parameters import Parameter

log = logging.getLogger(__name__)


class ModelOptions:
    """The catalog as forms read it: no error of a model file stops a page from being built."""

    def __init__(self, catalog: Catalog, lists: Mapping[str, Callable[[], Sequence[str]]] | None = None) -> None:
        """``lists``: what choices that are no models are taken from, by name."""
        self._catalog = catalog
        self._lists = lists or {}

    def choices(self, kind: str) -> list[tuple[str, str]]:
        """(label, reference) of every usable model of ``kind``, or of the list of that name."""
        if kind in self._lists:
            return [(name, name) for name in self._listed(kind)]
        usable = [entry for entry in self._catalog.entries(kind) if entry.usable]
        return [(label, ref) for ref, label in titles(usable)]

    def _listed(self, name: str) -> Sequence[str]:
        try:
            return tuple(str(one) for one in self._lists[name]())
        except Exception:  # an extension's function: whatever it raises, the form is shown without its list
            log.exception("the list %s cannot be read", name)
            return ()

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

    def refresh(self) -> None:
        """Look at the folders again."""
        self._catalog.refresh()

    def automatic(self, rows: Sequence[Parameter], params: Mapping[str, Any]) -> dict[str, Any]:
        """What None stands for in each of ``rows`` with an automatic value, for the models that ``params`` choose."""
        suggests: dict[str, Any] = {}
        for row in rows:
            if row.kind == "model":
                suggests.update(self.recommended(row.source, str(params.get(row.name) or "")))
        return {row.name: suggests.get(row.name, row.auto) for row in rows if row.auto is not None}
