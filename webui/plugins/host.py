"""Loads extensions, one at a time and each in isolation, and calls their hooks; both processes ask it what there is.

Stages of one extension: manifest, api, requirements, import, register, hooks, declare. It ends as loaded, disabled
(the user's wish), blocked (we
refused it) or failed (it raised), and whatever happens to one leaves the others as they are.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import logging
import sys
import time
import traceback
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pluggy

from webui.api import API_VERSION, Hooks
from webui.core.errors import ExtensionError, NotFound, SetupError
from webui.core.hook_use import HookBook
from webui.core.settings import ROOT, Settings
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

from .discover import FOLDER_PACKAGE, Found, extension_folders, find_folders, find_packages
from .guard import StartGuard
from .manifest import Manifest, ManifestError, api_mismatch, missing_extensions, missing_requirements, read_manifest
from .registry import DECLARING_HOOKS, DeclarationError, Declared

State = Literal["loaded", "disabled", "blocked", "failed"]
Stage = Literal["manifest", "api", "requirements", "import", "register", "hooks", "declare", ""]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExtensionRecord:
    """One extension as the page, the command line and the JSON route show it."""

    id: str
    title: str
    version: str
    state: State
    stage: Stage
    """Where it stopped; empty for a loaded one."""
    reason: str
    hint: str
    traceback: str
    builtin: bool
    path: str
    pipelines: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True)
class HookResult:
    """What one implementation of a hook answered, or raised."""

    extension: str
    value: Any = None
    error: BaseException | None = None


class _Stopped(Exception):
    """Ends the loading of one extension."""

    def __init__(self, state: State, stage: Stage, reason: str, hint: str = "", trace: str = "") -> None:
        super().__init__(reason)
        self.state, self.stage, self.reason, self.hint, self.trace = state, stage, reason, hint, trace


class ExtensionHost:
    """The loaded extensions and their declarations. Made by ``load``; does not change afterwards."""

    def __init__(self, settings: Settings, guard: StartGuard | None = None) -> None:
        self._settings = settings
        self._guard = guard or StartGuard(None)
        self._manager = pluggy.PluginManager("webui")
        self._manager.add_hookspecs(Hooks)
        self._known_hooks = frozenset(name for name in vars(Hooks) if not name.startswith("_"))
        self._records: list[ExtensionRecord] = []
        self._packages: dict[str, str] = {}
        self._declared = Declared()
        self.book = HookBook()
        """What hooks took in this process."""

    @classmethod
    def load(cls, settings: Settings, *, guard: StartGuard | None = None) -> ExtensionHost:
        """Load every extension that the settings allow. Raises SetupError with ``strict_extensions`` when one does not
        load.
        """
        host = cls(settings, guard)
        found = list(find_folders(extension_folders(settings), ROOT / "extensions"))
        if not settings.safe_mode:
            found += find_packages()
        host.load_found([one for one in found if one.builtin or not settings.safe_mode])
        if settings.strict_extensions:
            for record in host.extensions:
                if record.state in ("blocked", "failed"):
                    raise SetupError(
                        f"extension {record.id!r} {record.state} at {record.stage}: {record.reason}", hint=record.hint
                    )
        return host

    # What there is

    @property
    def extensions(self) -> tuple[ExtensionRecord, ...]:
        """Every extension that was found, in the order of loading."""
        return tuple(self._records)

    @property
    def pipelines(self) -> Mapping[str, PipelineSpec]:
        return types.MappingProxyType(self._declared.pipelines)

    @property
    def tabs(self) -> tuple[TabSpec, ...]:
        """In the order of the page. A tab that pipelines name and nobody declares is one too, titled by its id."""
        declared = self._declared.tabs
        named = dict.fromkeys(spec.tab for spec in self.pipelines.values() if spec.tab and spec.tab not in declared)
        plain = [TabSpec(id=name, title=name.replace("_", " ").capitalize()) for name in named]
        return tuple(sorted([*declared.values(), *plain], key=lambda tab: (tab.order, tab.id)))

    @property
    def model_kinds(self) -> Mapping[str, ModelKind]:
        return types.MappingProxyType(self._declared.model_kinds)

    @property
    def choices(self) -> Mapping[str, ChoiceSource]:
        return types.MappingProxyType(self._declared.choices)

    @property
    def prompt_syntaxes(self) -> Mapping[str, PromptSyntax]:
        return types.MappingProxyType(self._declared.prompt_syntaxes)

    @property
    def feature_networks(self) -> Mapping[str, FeatureNetwork]:
        return types.MappingProxyType(self._declared.feature_networks)

    @property
    def latent_spaces(self) -> Mapping[str, LatentSpace]:
        return types.MappingProxyType(self._declared.latent_spaces)

    @property
    def settings_specs(self) -> Mapping[str, SettingsSpec]:
        return types.MappingProxyType(self._declared.settings)

    @property
    def executors(self) -> Mapping[str, ExecutorSpec]:
        return types.MappingProxyType(self._declared.executors)

    @property
    def tunnels(self) -> Mapping[str, TunnelSpec]:
        return types.MappingProxyType(self._declared.tunnels)

    @property
    def commands(self) -> Mapping[str, CommandSpec]:
        return types.MappingProxyType(self._declared.commands)

    def owner_of(self, table: str, name: str) -> str:
        """The extension that declared ``name``; ``table`` as in ``Declared``. Raises NotFound."""
        try:
            return self._declared.owners[table, name]
        except KeyError:
            raise NotFound(f"no {table} named {name!r}") from None

    def versions(self) -> dict[str, str]:
        """Version of each loaded extension."""
        return {record.id: record.version for record in self._records if record.state == "loaded"}

    def forgive(self, extension: str) -> None:
        """Let one that a start ended or hung with be tried at the next."""
        self._guard.forgive(extension)

    # Calling into extensions

    def call_each(self, hook: str, /, **arguments: Any) -> list[HookResult]:
        """Call every implementation of ``hook`` by itself; an error is an answer too. In the order of loading."""
        return [self._call_one(impl, hook, arguments) for impl in self._implementations(hook)]

    def first(self, hook: str, /, **arguments: Any) -> Any:
        """The first answer that is not None; errors are logged and passed over."""
        for impl in self._implementations(hook):
            result = self._call_one(impl, hook, arguments)
            if result.error is not None:
                log.warning("extension %s: %s raised %r", result.extension, hook, result.error)
            elif result.value is not None:
                return result.value
        return None

    def implementers(self, hook: str) -> tuple[str, ...]:
        """Which extensions implement ``hook``, in the order of loading."""
        return tuple(impl.plugin_name for impl in self._implementations(hook))

    def call(self, extension: str, hook: str, /, **arguments: Any) -> HookResult:
        """Call one extension's implementation of ``hook``. Raises NotFound when it has none."""
        for impl in self._implementations(hook):
            if impl.plugin_name == extension:
                return self._call_one(impl, hook, arguments)
        raise NotFound(f"extension {extension!r} does not implement {hook}")

    def load_object(self, extension: str, target: str) -> Any:
        """The object at ``"package.module:name"``; a leading dot is the extension's own package.

        Raises ExtensionError.
        """
        module_name, _, name = target.partition(":")
        if module_name.startswith("."):
            module_name = self._packages.get(extension, f"{FOLDER_PACKAGE}.{extension}") + module_name
        try:
            return getattr(importlib.import_module(module_name), name)
        except (Exception, SystemExit) as error:
            raise ExtensionError(
                f"extension {extension!r}: cannot load {target!r}: {type(error).__name__}: {error}",
                extension=extension,
                hint="See the worker's log for the traceback; `ext list` shows the extension's state.",
            ) from error

    def _implementations(self, hook: str) -> list[Any]:
        caller = getattr(self._manager.hook, hook)
        order = {record.id: place for place, record in enumerate(self._records)}
        return sorted(caller.get_hookimpls(), key=lambda impl: order.get(impl.plugin_name, len(order)))

    def _call_one(self, impl: Any, hook: str, arguments: Mapping[str, Any]) -> HookResult:
        began = time.perf_counter()
        result = self._answer(impl, arguments)
        self.book.add(impl.plugin_name, hook, time.perf_counter() - began, result.error)
        return result

    @staticmethod
    def _answer(impl: Any, arguments: Mapping[str, Any]) -> HookResult:
        try:
            value = impl.function(*(arguments[name] for name in impl.argnames))
            if isinstance(value, types.GeneratorType):
                value = list(value)  # inside the try: a generator may raise midway
        except (Exception, SystemExit) as error:
            return HookResult(impl.plugin_name, error=error)
        return HookResult(impl.plugin_name, value=value)

    # Loading

    def load_found(self, found: Iterable[Found]) -> None:
        """In the order found, except that an extension waits for those it requires."""
        waiting: list[tuple[Found, Manifest]] = []
        seen: dict[str, Found] = {}
        for one in found:
            try:
                waiting.append((one, self._accept(one, seen)))
            except _Stopped as stop:
                self._record(one, None, stop)
        while waiting:
            loaded = self.versions()
            ready = [pair for pair in waiting if not missing_extensions(pair[1].requires_extensions, loaded)]
            for one, manifest in ready[:1] or waiting:
                self._load_one(one, manifest)
            waiting = [pair for pair in waiting if ready and pair is not ready[0]]

    def _accept(self, one: Found, seen: dict[str, Found]) -> Manifest:
        """The checks that need no import: manifest, identity, the user's wish, API version, requirements."""
        try:
            manifest = read_manifest(one.folder)
        except ManifestError as error:
            raise _Stopped("blocked", "manifest", str(error), "docs/writing-extensions.md shows a manifest.") from None
        if manifest.id != one.id:
            raise _Stopped(
                "blocked",
                "manifest",
                f"its manifest says id {manifest.id!r}, and it is installed as {one.id!r}",
                "Make the two names the same.",
            )
        if manifest.id in seen:
            raise _Stopped(
                "blocked",
                "manifest",
                f"the id {manifest.id!r} is taken by {seen[manifest.id].folder}",
                "Remove one of the two.",
            )
        seen[manifest.id] = one
        if manifest.id in self._settings.disabled_extensions:
            raise _Stopped("disabled", "", "disabled in the settings or by --disable-ext")
        if manifest.id in self._guard.culprits:
            raise _Stopped(
                "blocked",
                "import",
                "the last start ended or hung while it was imported",
                f"When it is mended: python launch.py ext enable {manifest.id}",
            )
        if reason := api_mismatch(manifest.api, API_VERSION):
            raise _Stopped("blocked", "api", reason, "Update the extension or Lifelike, whichever is older.")
        if missing := missing_requirements(manifest.requires):
            raise _Stopped(
                "blocked",
                "requirements",
                "it needs " + ", ".join(missing),
                "Install them into .venv, then start again.",
            )
        return manifest

    def _load_one(self, one: Found, manifest: Manifest) -> None:
        before = set(sys.modules)
        try:
            if missing := missing_extensions(manifest.requires_extensions, self.versions()):
                raise _Stopped(
                    "blocked",
                    "requirements",
                    "it needs the extensions " + ", ".join(missing),
                    "Install or enable them.",
                )
            module = self._import(one)
            try:
                self._register(one, module)
                answers = self._declarations(one)
                self._declared = self._declared.add_all(one.id, answers)
            except DeclarationError as error:
                raise _Stopped(
                    "blocked", "declare", str(error), "Mend the declaration; an id is never renamed."
                ) from None
            except (_Stopped, KeyboardInterrupt):
                raise
            except BaseException as error:  # objects of the extension run code of its own when they are looked at
                raise _Stopped(
                    "failed", "register", _said(error), "The traceback shows where.", _trace(error)
                ) from error
        except _Stopped as stop:
            if self._manager.has_plugin(one.id):
                self._manager.unregister(name=one.id)
            for name in set(sys.modules) - before:
                if name == one.package or name.startswith(one.package + "."):
                    del sys.modules[name]
            self._record(one, manifest, stop)
        else:
            self._packages[one.id] = one.package
            self._record(one, manifest, None)

    def _import(self, one: Found) -> types.ModuleType:
        try:
            with self._guard.importing(one.id):
                return (
                    _import_folder(one)
                    if one.package.startswith(FOLDER_PACKAGE + ".")
                    else importlib.import_module(one.package)
                )
        except (Exception, SystemExit) as error:
            raise _Stopped("failed", "import", _said(error), "The traceback shows where.", _trace(error)) from error

    def _register(self, one: Found, module: types.ModuleType) -> None:
        marked = {
            name: options for name, value in vars(module).items() if (options := getattr(value, "webui_impl", None))
        }
        for name, options in marked.items():
            hook = options.get("specname") or name
            if hook not in self._known_hooks:
                near = difflib.get_close_matches(hook, self._known_hooks, n=1)
                raise _Stopped(
                    "blocked",
                    "hooks",
                    f"there is no hook named {hook!r}",
                    f"Did you mean {near[0]!r}?" if near else "docs/hooks.md lists every hook.",
                )
            if options.get("wrapper") or options.get("hookwrapper"):
                raise _Stopped(
                    "blocked",
                    "hooks",
                    f"{name!r} is a wrapper",
                    "Each implementation is called by itself: wrap nothing.",
                )
        try:
            self._manager.register(module, name=one.id)
        except (pluggy.PluginValidationError, ValueError) as error:
            reason = str(error).strip().replace("\n", " ")
            raise _Stopped(
                "blocked", "register", reason, "docs/hooks.md shows each hook's arguments.", _trace(error)
            ) from error

    def _declarations(self, one: Found) -> dict[str, list[Any]]:
        answers: dict[str, list[Any]] = {}
        for hook in DECLARING_HOOKS:
            if one.id not in self.implementers(hook):
                continue
            result = self.call(one.id, hook)
            if result.error is not None:
                raise _Stopped(
                    "failed",
                    "declare",
                    f"{hook} raised {_said(result.error)}",
                    "The traceback shows where.",
                    _trace(result.error),
                )
            try:
                answers[hook] = list(result.value or ())
            except TypeError:
                raise _Stopped(
                    "blocked",
                    "declare",
                    f"{hook} gave a {type(result.value).__name__}, expected a list",
                    "Return a list, or yield.",
                ) from None
        return answers

    def _record(self, one: Found, manifest: Manifest | None, stop: _Stopped | None) -> None:
        hooks = () if stop else tuple(sorted(hook for hook in self._known_hooks if one.id in self.implementers(hook)))
        self._records.append(
            ExtensionRecord(
                id=one.id,
                title=(manifest.title if manifest and manifest.title else one.id.replace("_", " ").capitalize()),
                version=manifest.version if manifest else "",
                state=stop.state if stop else "loaded",
                stage=stop.stage if stop else "",
                reason=stop.reason if stop else "",
                hint=stop.hint if stop else "",
                traceback=stop.trace if stop else "",
                builtin=one.builtin,
                path=str(one.folder),
                pipelines=()
                if stop
                else tuple(spec.id for spec in self._declared.pipelines.values() if spec.extension == one.id),
                hooks=hooks,
                description=manifest.description if manifest else "",
            )
        )
        if stop is not None and stop.state != "disabled":
            log.warning("extension %s %s at %s: %s %s", one.id, stop.state, stop.stage, stop.reason, stop.hint)


def _import_folder(one: Found) -> types.ModuleType:
    """Import a folder as ``extensions.<id>`` by its path: every folder of extensions shares one package name."""
    existing = sys.modules.get(one.package)
    init = one.folder / "__init__.py"
    if existing is not None:
        if getattr(existing, "__file__", None) == str(init):
            return existing
        for name in [name for name in sys.modules if name == one.package or name.startswith(one.package + ".")]:
            del sys.modules[name]
    _parent_package()
    spec = importlib.util.spec_from_file_location(one.package, init, submodule_search_locations=[str(one.folder)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{init} is not a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[one.package] = module
    spec.loader.exec_module(module)
    return module


def _parent_package() -> None:
    """``extensions`` itself: the namespace package of the project's folder where that is on the path, else an empty
    one.
    """
    try:
        importlib.import_module(FOLDER_PACKAGE)
    except ModuleNotFoundError:
        package = types.ModuleType(FOLDER_PACKAGE)
        package.__path__ = []
        sys.modules[FOLDER_PACKAGE] = package


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
