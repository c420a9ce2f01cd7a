"""The few of A1111's options that mean something here, kept in a file of their own beside the settings. A change is a
default for later requests of this interface; a job that is queued keeps what it was frozen with.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from webui.catalog.entry import ModelEntry
from webui.core.errors import FieldError, ParameterError, SetupError
from webui.core.settings import read_stored, write_stored
from webui.web.services import Services

KIND = "text_to_image"


class Options:
    """``_lock`` guards reading and writing the file as one."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._path = services.settings.data_dir / "sdapi.json"
        self._lock = threading.Lock()

    def view(self) -> dict[str, Any]:
        """All options, as clients read them and send them back."""
        stored = self._stored()
        entry = self._model(stored)
        return {
            "sd_model_checkpoint": title_of(entry) if entry else "",
            "sd_checkpoint_hash": entry.sha256 if entry else "",
            "sd_vae": stored.get("sd_vae", "Automatic"),
            "CLIP_stop_at_last_layers": stored.get("CLIP_stop_at_last_layers", 1),
            "samples_save": True,
            "samples_format": "png",
            "live_previews_enable": True,
        }

    def for_job(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """What a request's job is frozen with."""
        stored = self._stored()
        entry = self._model(stored)
        own = {**stored, "sd_model_checkpoint": entry.ref if entry else ""}
        return {**own, **{key: value for key, value in overrides.items() if value is not None}}

    def change(self, wanted: Mapping[str, Any]) -> None:
        """Store those that are known; the others are passed over, as clients send all that they were given. Raises
        ParameterError, NotFound, ModelError.
        """
        changes: dict[str, Any] = {}
        model = wanted.get("sd_model_checkpoint")
        if isinstance(model, str) and model:
            changes["sd_model_checkpoint"] = self._services.catalog.resolve(model, KIND).ref
        layers = wanted.get("CLIP_stop_at_last_layers")
        if layers is not None:
            if not isinstance(layers, int) or not 1 <= layers <= 12:
                raise ParameterError([FieldError("CLIP_stop_at_last_layers", "expected 1 to 12", repr(layers)[:80])])
            changes["CLIP_stop_at_last_layers"] = layers
        vae = wanted.get("sd_vae")
        if isinstance(vae, str):
            if vae not in ("", "Automatic", "None"):
                vae = self._services.catalog.resolve(vae, "vae").ref
            changes["sd_vae"] = vae or "Automatic"
        if changes:
            with self._lock:
                write_stored(self._path, changes)

    def _stored(self) -> dict[str, Any]:
        with self._lock:
            try:
                return read_stored(self._path)
            except SetupError:
                return {}

    def _model(self, stored: Mapping[str, Any]) -> ModelEntry | None:
        """The chosen model while it is there, else the default one."""
        chosen = stored.get("sd_model_checkpoint")
        entries = self._services.catalog.entries(KIND)
        found = next((entry for entry in entries if entry.ref == chosen and entry.usable), None)
        return found or self._services.catalog.default(KIND)


def title_of(entry: ModelEntry) -> str:
    """A model's name with its short hash, where that is known."""
    return f"{entry.ref} [{entry.sha256[:10]}]" if entry.sha256 else entry.ref
