"""From a resolved model to components that the cache can load one by one, and from leased components to a pipeline
view.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from webui.api import Component, ComponentKey, LifelikeError, ModelError, Models, ResolvedModel

from extensions.diffusion.compute import quantizing, speed
from .building import build_from_pickles, build_part, build_tokenizer
from .clip_vocabulary import FOLDER as CLIP_FOLDER
from .libraries import find_class
from .single_file import CONFIGS, read_single_file
from .weights import Part

_LEFT_OUT = frozenset({"safety_checker"})
"""Components that are never loaded. What to show is for the person at the machine to decide."""
_VARIANT = re.compile(r"[\w-]+?\.(?P<variant>[A-Za-z0-9_]+)(?:-\d+-of-\d+)?\.(?:safetensors|bin)")
_LIGHT = (
    "Scheduler",
    "Tokenizer",
    "TokenizerFast",
    "TokenizersBackend",
    "SentencePieceBackend",
    "Processor",
    "ProcessorFast",
    "FeatureExtractor",
)

_AS_IT_COMES = speed.Speed()

DtypeOf = Callable[[str], torch.dtype]
"""The precision of a component, by its name."""


@dataclass(frozen=True)
class Plan:
    """How a model becomes a pipeline. Nothing of it is loaded yet."""

    cls: Any
    """The pipeline's class."""
    title: str
    sources: Mapping[str, tuple[Path, str, str]]
    """Component -> (folder, library, class)."""
    options: Mapping[str, Any]
    """Constructor arguments that are not components, None for components that are absent."""
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Component -> its configuration."""
    parts: Mapping[str, Part] = field(default_factory=dict)
    """Component -> its weights in a single file; of the others they lie in the component's folder."""
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Component -> configuration values that the single file tells."""
    notes: tuple[str, ...] = ()
    """What the user should know of how the model was put together."""
    models: Models | None = None
    """Opens weights that the libraries do not."""

    def config(self, *names: str) -> Mapping[str, Any]:
        """The configuration of the first of ``names`` that the model has."""
        return next((self.configs[name] for name in names if name in self.configs), {})


def make_plan(model: ResolvedModel, models: Models | None = None, *, configs: Path = CONFIGS) -> Plan:
    """Read what ``model`` consists of. ``models`` opens pickled weights and finds what a single file lacks; a diffusers
    folder with safetensors needs none. ``configs``: the configurations that single files are read with. Raises
    ModelError.
    """
    if model.path is None:
        raise ModelError(f"Model {model.ref!r} is not on this machine.")
    if model.format == "single_file":
        if models is None:
            raise ModelError(f"Model {model.ref!r} is a single file, for which make_plan needs models.")
        found = read_single_file(model, models, configs)
        plan = _plan_from_index(found.index, found.places, model)
        changed = {name: {**config, **found.changes.get(name, {})} for name, config in plan.configs.items()}
        return replace(
            plan, configs=changed, parts=found.parts, changes=found.changes, notes=found.notes, models=models
        )
    if not (model.path / "model_index.json").is_file():
        raise ModelError(
            f"Model {model.ref!r} cannot be loaded: there is no model_index.json in its folder.",
            hint="Use a diffusers folder, or a single file.",
        )
    index = _read_json(model.path / "model_index.json")
    places = {key: _place(model.path, key, index, model.ref) for key, value in index.items() if isinstance(value, list)}
    return replace(_plan_from_index(index, places, model), models=models)


def _plan_from_index(index: Mapping[str, Any], places: Mapping[str, Path], model: ResolvedModel) -> Plan:
    """The plan of a pipeline whose components lie in ``places``."""
    name = index.get("_class_name")
    if not isinstance(name, str):
        raise ModelError(f"Model {model.ref!r} needs Python code of its own, which is never run.")
    try:
        cls = find_class("diffusers", name)
    except LookupError:
        raise ModelError(
            f"Model {model.ref!r} is a {name}, which the installed diffusers does not have.",
            hint="A newer diffusers may.",
        ) from None
    known = inspect.signature(cls.__init__).parameters
    sources: dict[str, tuple[Path, str, str]] = {}
    options: dict[str, Any] = {}
    left_out = set(_LEFT_OUT)
    if (index.get("safety_checker") or [None])[0] is not None and (index.get("image_encoder") or [None])[0] is None:
        left_out.add("feature_extractor")  # it only serves the checker
    for key, value in index.items():
        if key.startswith("_") or key not in known:
            continue
        if not isinstance(value, list):
            options[key] = value
        elif value[0] is None or key in left_out:
            options[key] = None
        else:
            sources[key] = (places[key], str(value[0]), str(value[1]))
    for key, parameter in known.items():
        if (
            key not in (*sources, *options, "self")
            and parameter.default is parameter.empty
            and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ):
            options[key] = None
    if "requires_safety_checker" in known:
        options["requires_safety_checker"] = False
    if "add_watermarker" in known:
        options["add_watermarker"] = False
    found = {key: _config(place) for key, (place, _, _) in sources.items()}
    return Plan(cls, model.ref, sources, options, found)


def _place(folder: Path, name: str, index: Mapping[str, Any], title: str) -> Path:
    """Where a component lies: in its own folder, or, where ``_shared`` of the index names it, in that of a model beside
    this one, whose component it then is in the cache as well. Raises ModelError for a path beyond the models beside.
    """
    shared = index.get("_shared", {})
    if not isinstance(shared, dict):
        raise ModelError(f"Model {title!r}: _shared is a {type(shared).__name__}, expected an object.")
    if name not in shared:
        return folder / name
    given, real = shared[name], folder.resolve()
    beside = real.parent
    place = (real / given).resolve() if isinstance(given, str) and "\0" not in given else beside
    if beside not in place.parents:
        raise ModelError(
            f"Model {title!r}: _shared names {given!r} for {name}, which is not inside {beside}.",
            hint="Only components of models in the same folder can be shared, such as ../avatar/vae.",
        )
    return place


def requests(plan: Plan, dtype_of: DtypeOf, options: speed.Speed = _AS_IT_COMES) -> dict[str, Component]:
    """What to lease. Components with the same key are shared by every pipeline. Raises ModelError where files are
    missing.
    """
    return {name: _request(plan, name, dtype_of(name), options) for name in plan.sources}


def assemble(plan: Plan, components: Mapping[str, Any], scheduler: Any) -> Any:
    """A pipeline over leased components, with a scheduler of its own. Takes well under a millisecond; holds no
    weights.
    """
    arguments = {**plan.options, **components}
    controls = [arguments.pop(name) for name in sorted(arguments) if name.startswith("controlnet_")]
    if controls:
        arguments["controlnet"] = controls[0] if len(controls) == 1 else controls
    if "scheduler" in arguments:
        arguments["scheduler"] = scheduler
    known = inspect.signature(plan.cls.__init__).parameters
    pipe = plan.cls(**{name: one for name, one in arguments.items() if name in known})  # attachments are called by us
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _request(plan: Plan, name: str, dtype: torch.dtype, options: speed.Speed) -> Component:
    facts, quantization = options.facts(name), options.quantized(name)
    folder, library, class_name = plan.sources[name]
    light = class_name.endswith(_LIGHT)
    dtype_name = "" if light else str(dtype).removeprefix("torch.")
    part, changes = plan.parts.get(name), plan.changes.get(name, {})
    place = part.path if part is not None else folder
    if light and name.startswith("tokenizer") and not folder.exists() and plan.parts:
        place = CLIP_FOLDER / "merges.txt.gz"  # made from the bundled vocabulary
    shaped = {
        "class": f"{library}.{class_name}",
        "config": plan.configs.get(name, {}),
        "prefix": part.prefix if part is not None else None,
        "changes": changes,
        **facts,
    }
    try:
        digest = hashlib.sha256(json.dumps(shaped, sort_keys=True).encode()).hexdigest()[:16]
        kept = "" if quantization == quantizing.NONE else quantization
        key = ComponentKey.of(place, name, dtype_name, quantization=kept, config=digest)
    except FileNotFoundError:
        raise ModelError(
            f"Model {plan.title!r} lacks its component {name} ({class_name}): there is no {place}."
        ) from None
    models = plan.models

    def load() -> Any:
        cls = find_class(library, class_name)
        if part is not None and models is not None:
            return build_part(part, cls, folder, changes, dtype, models)
        if name.startswith("tokenizer") and plan.parts:
            return build_tokenizer(cls, folder, changes)
        return _load_from_folder(folder, cls, dtype, light=light, changes=changes, models=models)

    return Component(key, lambda: _explained(lambda: speed.apply(load(), facts, dtype, quantization), plan, name))


def _load_from_folder(
    folder: Path, cls: Any, dtype: torch.dtype, *, light: bool, changes: Mapping[str, Any], models: Models | None
) -> Any:
    if light or not issubclass(cls, torch.nn.Module):
        known = inspect.signature(cls.__init__).parameters
        fitting = {key: value for key, value in changes.items() if key in known}
        return cls.from_pretrained(str(folder), local_files_only=True, **fitting)
    names = [path.name for path in folder.glob("*.safetensors")]
    pickled = [] if names else [path for path in folder.glob("*.bin") if path.is_file()]
    if pickled and models is not None:
        variant = choose_variant([path.name for path in pickled], dtype)
        return build_from_pickles(cls, folder, _of_variant(pickled, variant), dtype, models)
    # Without a dtype transformers keeps the file's and diffusers takes float32: the call would die on the mix.
    name = "dtype" if cls.__module__.startswith("transformers.") else "torch_dtype"
    arguments: dict[str, Any] = {name: dtype, "use_safetensors": True, "local_files_only": True}
    variant = choose_variant(names, dtype)
    if variant:
        arguments["variant"] = variant
    return cls.from_pretrained(str(folder), **arguments).eval()


def _of_variant(files: list[Path], variant: str) -> list[Path]:
    """The files of one variant: one, or its shards."""
    return sorted(
        path
        for path in files
        if ((found := _VARIANT.fullmatch(path.name)) is not None and found.group("variant") == variant)
        or (found is None and not variant)
    )


def choose_variant(names: list[str], dtype: torch.dtype) -> str:
    """Which variant of the weights files to load; empty for the plain ones. Half precision takes fp16 where both are
    there.
    """
    variants = {found.group("variant") if (found := _VARIANT.fullmatch(name)) else "" for name in names}
    if "fp16" in variants and (dtype != torch.float32 or "" not in variants):
        return "fp16"
    return "" if "" in variants or not variants else min(variants)


def _explained(load: Callable[[], Any], plan: Plan, name: str) -> Any:
    """``load()``, with words for what the libraries raise. Running out of memory stays what it is: the cache handles
    it.
    """
    try:
        return load()
    except (LifelikeError, torch.OutOfMemoryError):
        raise
    except LookupError as error:
        raise ModelError(
            f"Model {plan.title!r}: its component {name} is a {error}, which the installed libraries do not have."
        ) from error
    except (OSError, ValueError, RuntimeError, TypeError, ImportError, AttributeError) as error:
        said = " ".join(str(error).split())
        raise ModelError(
            f"Model {plan.title!r}: its component {name} cannot be loaded: {type(error).__name__}: {said[:400]}",
            hint="The folder or file may be incomplete or of another version.",
        ) from error


def _config(folder: Path) -> Mapping[str, Any]:
    for name in ("config.json", "scheduler_config.json"):
        if (folder / name).is_file():
            return _read_json(folder / name)
    return {}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}.") from error
    if not isinstance(body, dict):
        raise ModelError(f"{path} holds a {type(body).__name__}, expected an object.")
    return body
