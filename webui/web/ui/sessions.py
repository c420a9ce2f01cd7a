"""What Gradio remembers of each open page, bounded: by itself it keeps half a megabyte of every page that was ever
opened.

A page that was closed is forgotten a while later; so is, of very many, the one that was not used for longest.
"""

from __future__ import annotations

import datetime
from copy import copy
from typing import Any

from gradio.state_holder import SessionState, StateHolder

MAX_PAGES = 1000
CLOSED_FOR = datetime.timedelta(minutes=10)
"""A connection that was cut comes back sooner, or the page is loaded anew."""
IDLE_S = 0.05
"""Between two looks at Gradio's own queue, which none of our events waits in. By itself it looks each millisecond."""


class _Page(SessionState):
    """Without a copy of each component's configuration: that serves links to a form's state, and none is made."""

    def __init__(self, blocks: Any) -> None:
        # Not the parent's own, whose work the copies are; what it sets besides is set here.
        self.blocks_config = copy(blocks.default_config)
        self.config_values: dict[int, Any] = {}
        self.state_data: dict[int, Any] = {}
        self._state_ttl: dict[int, Any] = {}
        self.is_closed = False
        self.STATE_TTL_WHEN_CLOSED = int(CLOSED_FOR.total_seconds())

    def __setitem__(self, key: int, value: Any) -> None:
        super().__setitem__(key, value)
        self.config_values.clear()

    def _update_config(self, key: int) -> None:
        """Nobody asks for it."""

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """Nobody asks for it."""


class PageStates(StateHolder):
    """In the place of Gradio's own holder of sessions."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self.session_data[session_id] = _Page(self.blocks)
        return super().__getitem__(session_id)

    def delete_all_expired_state(self) -> None:
        """Called by Gradio each second."""
        super().delete_all_expired_state()  # type: ignore[no-untyped-call]
        now = datetime.datetime.now()
        for session_id, state in list(self.session_data.items()):
            if state.is_closed and now - self.time_last_used.get(session_id, now) > CLOSED_FOR:
                self.session_data.pop(session_id, None)
                self.time_last_used.pop(session_id, None)


def bound(page: Any, app: Any) -> None:
    """For ``page``, mounted as the Gradio application ``app``."""
    page.state_session_capacity = MAX_PAGES
    page._queue.sleep_when_free = max(page._queue.sleep_when_free, IDLE_S)
    app.state_holder = PageStates()
    app.state_holder.set_blocks(page)
