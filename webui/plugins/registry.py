"""What the loaded extensions declared, gathered by kind; each extension's declarations enter together or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from webui.core.consent import FIELD as CONSENT
from webui.core.parameters import Params, describe
from webui.core.specs import (
    ChoiceSource,
    CommandSpec,
    ExecutorSpec,
    FeatureNetwork,
    LatentSpace,
    ModelKind,
    PipelineSpec,
    PromptSyntax,
    SettingsSpec,
    TabSpec,
    TunnelSpec,
)

DECLARING_HOOKS: Mapping[str, tuple[str, type]] = MappingProxyType(
    {
        "register_pipelines": ("pipelines", PipelineSpec),
        "register_tabs": ("tabs", TabSpec),
        "register_model_kinds": ("model_kinds", ModelKind),
        "register_choices": ("choices", ChoiceSource),
        "register_prompt_syntaxes": ("prompt_syntaxes", PromptSyntax),
        "register_feature_networks": ("feature_networks", FeatureNetwork),
        "register_latent_spaces": ("latent_spaces", LatentSpace),
        "register_settings": ("settings", SettingsSpec),
        "register_executors": ("executors", ExecutorSpec),
        "register_tunnels": ("tunnels", TunnelSpec),
        "register_commands": ("commands", CommandSpec),
    }
)
"""Hook -> (the registry's table, what it must return)."""

_PIPELINE_ID = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_RUN = re.compile(r"\.?[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class DeclarationError(Exception):
    """A declaration breaks a rule; the text says which."""


@dataclass
class Declared:
    """Tables of declarations by id."""

    pipelines: dict[str, PipelineSpec] = field(default_factory=dict)
    tabs: dict[str, TabSpec] = field(default_factory=dict)
    model_kinds: dict[str, ModelKind] = field(default_factory=dict)
    choices: dict[str, ChoiceSource] = field(default_factory=dict)
    prompt_syntaxes: dict[str, PromptSyntax] = field(default_factory=dict)
    feature_networks: dict[str, FeatureNetwork] = field(default_factory=dict)
    latent_spaces: dict[str, LatentSpace] = field(default_factory=dict)
    settings: dict[str, SettingsSpec] = field(default_factory=dict)
    executors: dict[str, ExecutorSpec] = field(default_factory=dict)
    tunnels: dict[str, TunnelSpec] = field(default_factory=dict)
    commands: dict[str, CommandSpec] = field(default_factory=dict)
    owners: dict[tuple[str, str], str] = field(default_factory=dict)
    """(table, id) -> extension."""

    def add_all(self, extension: str, answers: Mapping[str, Iterable[Any]]) -> Declared:
        """A new ``Declared`` with every declaration of ``extension`` added; ``self`` never changes.

        Raises DeclarationError.
        """
        merged = Declared(**{name: dict(table) for name, table in vars(self).items()})
        for hook, specs in answers.items():
            table_name, expected = DECLARING_HOOKS[hook]
            table: dict[str, Any] = getattr(merged, table_name)
            for given in specs:
                if not isinstance(given, expected):
                    raise DeclarationError(f"{hook} gave a {type(given).__name__}, expected {expected.__name__}")
                spec: Any = given
                name = spec.name if isinstance(spec, CommandSpec) else spec.id
                _check(extension, spec)
                if name in table:
                    owner = merged.owners[table_name, name]
                    raise DeclarationError(
                        f"{table_name[:-1].replace('_', ' ')} {name!r} is already registered by {owner!r}"
                    )
                table[name] = spec
                merged.owners[table_name, name] = extension
        return merged


def _check(extension: str, spec: Any) -> None:
    """Rules of single declarations."""
    if isinstance(spec, PipelineSpec) and (not _PIPELINE_ID.fullmatch(spec.id) or spec.extension != extension):
        raise DeclarationError(f"pipeline id {spec.id!r}: expected {extension}.<name> in lower case")
    if isinstance(spec, (PipelineSpec, FeatureNetwork, LatentSpace)) and not _RUN.fullmatch(spec.run):
        raise DeclarationError(f"{spec.id!r}: run is {spec.run!r}, expected 'package.module:Class'")
    if isinstance(spec, FeatureNetwork) and not (spec.dim > 0 and spec.resizes):
        raise DeclarationError(f"feature network {spec.id!r}: expected features and a way to resize")
    if isinstance(spec, (ChoiceSource, PromptSyntax, FeatureNetwork, LatentSpace)) and not (
        _PIPELINE_ID.fullmatch(spec.id) and spec.id.startswith(f"{extension}.")
    ):
        raise DeclarationError(f"id {spec.id!r}: expected {extension}.<name> in lower case")
    if isinstance(spec, (PipelineSpec, SettingsSpec)):
        if not (isinstance(spec.params, type) and issubclass(spec.params, Params)):
            raise DeclarationError(f"{spec.id!r}: params must be a subclass of webui.api.Params, got {spec.params!r}")
        try:
            describe(spec.params)
        except Exception as error:  # pydantic raises many kinds for what it cannot turn into a schema
            raise DeclarationError(f"{spec.id!r}: its parameters cannot be described: {error}") from error
    if isinstance(spec, PipelineSpec) and spec.needs_consent and CONSENT not in spec.params.model_fields:
        raise DeclarationError(
            f"pipeline {spec.id!r} needs consent: expected the parameter consent = webui.api.consent()"
        )
