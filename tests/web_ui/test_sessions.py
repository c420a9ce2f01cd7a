"""What is remembered of open pages stays small, and ends."""

from __future__ import annotations

import datetime

import gradio as gr

from webui.web.ui.sessions import CLOSED_FOR, MAX_PAGES, PageStates


def _holder() -> PageStates:
    with gr.Blocks(analytics_enabled=False) as page:
        gr.Textbox("a")
    page.state_session_capacity = 3
    holder = PageStates()
    holder.set_blocks(page)
    return holder


def test_no_page_has_copies_of_the_components_configurations() -> None:
    holder = _holder()
    state = holder["one"]
    number, block = next(iter(holder.blocks.blocks.items()))
    assert holder["one"] is state
    assert state[number] is block
    state[number] = block
    state._update_value_in_config(number, "b")
    assert state.config_values == {}


def test_a_closed_page_is_forgotten_after_a_while_and_an_open_one_is_not() -> None:
    holder = _holder()
    for name in ("closed", "open", "just closed"):
        holder[name].is_closed = "closed" in name
        holder.time_last_used[name] -= CLOSED_FOR + datetime.timedelta(seconds=1)
    assert holder["just closed"].is_closed
    holder.delete_all_expired_state()
    assert set(holder.session_data) == set(holder.time_last_used) == {"open", "just closed"}


def test_of_too_many_the_one_not_used_for_longest_goes() -> None:
    holder = _holder()
    for name in ("1", "2", "3", "1", "4"):
        assert holder[name] is not None
    assert set(holder.session_data) == {"3", "1", "4"}
    assert MAX_PAGES >= 500
