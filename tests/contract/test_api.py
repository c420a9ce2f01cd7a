"""The face that extensions see: what it exports, which hooks there are, and that the words about them keep up."""

from __future__ import annotations

import inspect
from pathlib import Path

import pluggy

from webui import api

ROOT = Path(__file__).resolve().parents[2]
HOOKS = {name: value for name, value in vars(api.Hooks).items() if inspect.isfunction(value)}


def test_what_is_exported_is_what_is_there() -> None:
    ours = {
        name: value for name, value in vars(api).items() if not name.startswith("_") and not inspect.ismodule(value)
    }
    public = {name for name, value in ours.items() if getattr(value, "__module__", "").startswith("webui")}
    assert public <= set(api.__all__), public - set(api.__all__)
    assert all(hasattr(api, name) for name in api.__all__)
    assert len(set(api.__all__)) == len(api.__all__)


def test_the_hooks_are_those_of_this_api_version() -> None:
    """A new hook raises the minor version, a changed one the major: change this list together with API_VERSION."""
    signatures = {name: list(inspect.signature(hook).parameters)[1:] for name, hook in HOOKS.items()}
    assert api.API_VERSION == "1.7"
    assert signatures == {
        "register_pipelines": [],
        "register_tabs": [],
        "register_model_kinds": [],
        "register_choices": [],
        "register_prompt_syntaxes": [],
        "register_feature_networks": [],
        "register_latent_spaces": [],
        "register_settings": [],
        "register_executors": [],
        "register_tunnels": [],
        "register_commands": [],
        "app_started": ["app"],
        "app_stopping": [],
        "prepare_job": ["job"],
        "process_image": ["image", "context"],
        "mark_file": ["source", "target", "context"],
        "artifact_saved": ["record"],
        "job_finished": ["job"],
        "read_metadata": ["chunks"],
        "resolve_model": ["ref"],
    }


def test_pluggy_reads_every_hook() -> None:
    manager = pluggy.PluginManager("webui")
    manager.add_hookspecs(api.Hooks)
    assert {name for name in vars(manager.hook) if not name.startswith("_")} == set(HOOKS)


def test_every_hook_is_documented() -> None:
    page = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
    for name, hook in HOOKS.items():
        arguments = ", ".join(list(inspect.signature(hook).parameters)[1:])
        assert f"## `{name}({arguments})`" in page, f"docs/hooks.md has no section for {name}({arguments})"
