"""How real are these pictures? This module only declares; the work is imported in the worker.

Who stands where: ``inputs`` is where pictures come from, ``features`` reads them with a network, ``sets`` compares sets
of features, ``pictures`` scores single pictures and pairs, ``report`` puts all of it on one page.
"""

from __future__ import annotations

from collections.abc import Iterable

from webui.api import ChoiceSource, FeatureNetwork, ModelKind, PipelineSpec, SettingsSpec, TabSpec, hookimpl

from . import declared
from .params import MetricsSettings
from .pictures.declared import PIPELINES as OF_PICTURES
from .report.params import PIPELINES as OF_REPORTS


@hookimpl
def register_pipelines() -> Iterable[PipelineSpec]:
    return (*declared.PIPELINES, *OF_PICTURES, *OF_REPORTS)


@hookimpl
def register_tabs() -> Iterable[TabSpec]:
    return [TabSpec("metrics", "Quality", order=70)]


@hookimpl
def register_feature_networks() -> Iterable[FeatureNetwork]:
    return declared.NETWORKS


@hookimpl
def register_model_kinds() -> Iterable[ModelKind]:
    return declared.KINDS


@hookimpl
def register_choices() -> Iterable[ChoiceSource]:
    return declared.CHOICES


@hookimpl
def register_settings() -> Iterable[SettingsSpec]:
    return [SettingsSpec("metrics", "Quality", MetricsSettings)]
