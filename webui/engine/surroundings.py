"""What all jobs of a worker share, between the worker that starts once and the contexts of its jobs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

from webui.core.accepting import Acceptor
from webui.core.settings import Settings
from webui.library.uploads import interning
from webui.plugins.settings import extension_settings

from .cache import ModelCache
from .device import Device
from .findings import FindingsFile, findings_path
from .work import estimates_path

if TYPE_CHECKING:
    from webui.catalog.catalog import Catalog
    from webui.library.files import LibraryFiles
    from webui.library.uploads import UploadStore
    from webui.plugins.host import ExtensionHost


@dataclass(frozen=True)
class Surroundings:
    """What all jobs of a worker share."""

    settings: Settings
    host: ExtensionHost
    files: LibraryFiles
    uploads: UploadStore
    catalog: Catalog
    device: Device
    cache: ModelCache
    libraries: Mapping[str, str]
    """Versions, for recipes."""

    def findings(self, topic: str) -> FindingsFile:
        """See ``webui.api.Context.findings``. Raises ValueError on a topic that is no word."""
        if not re.fullmatch("[a-z_]+", topic):
            raise ValueError(f"findings: expected a topic of small letters, got {topic!r}")
        place = estimates_path(self.settings.data_dir, self.device.name, self.libraries)
        return self._findings.setdefault(topic, FindingsFile(findings_path(place, topic)))

    @cached_property
    def _findings(self) -> dict[str, FindingsFile]:
        return {}

    @cached_property
    def accept(self) -> Acceptor:
        """Freezes the parameters of a run within a run, as the web process does those of a job."""
        settings_of = partial(extension_settings, self.settings, self.host)
        return Acceptor(
            self.host.pipelines,
            self.catalog,
            interning(self.uploads, allow_paths=False),
            settings_of,
            lambda path, field: self.settings.requested_folder(path, os.environ, field),
        )
