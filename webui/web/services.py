"""What the composition root hands to the web room: every part of the application that routes and forms call."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webui.accounts.store import AccountStore
    from webui.catalog.catalog import Catalog
    from webui.core.settings import Settings
    from webui.library.library import Library
    from webui.library.uploads import UploadStore
    from webui.plugins.host import ExtensionHost
    from webui.queue.service import JobService


@dataclass(frozen=True)
class Services:
    """Made once by the composition root; nothing of the web room makes or replaces a part of it.

    ``jobs`` is not started yet: the server starts it after its first answer, and stops it.
    """

    settings: Settings
    host: ExtensionHost
    jobs: JobService
    library: Library
    catalog: Catalog
    uploads: UploadStore
    accounts: AccountStore
    asks_login: bool = False
    """Whether these are the parts as those who ask may see them (``scoped``)."""
    started_at: float = field(default_factory=time.time)
    """Seconds since 1970."""
