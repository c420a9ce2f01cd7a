"""From a resolved model to components that the cache can load one by one, and from leased components to a pipeline
view.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from webui.api import Component, ComponentKey, LifelikeError, ModelError, ResolvedModel

from . import speed
from .libraries import find_class
from .single_file import CONFIGS, load_part, part_of

_LEFT_OUT = frozenset({"safety_checker"})
"""Components that are never loaded. What to show is for the person at the machine to decide."""
_VARIANT = re.compile(r"[\w-]+?\.(?P<variant>[A-Za-z0-9_]+)(?:-\d+-of-\d+)?\.safetensors")
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

_NEEDED: Mapping[str, str] = dict.fromkeys(
    ("flux", "sd3"), ", nor has this program T5's vocabulary, which its prompts go through"
)
"""What else a single file of a family would take, beyond what is bundled."""

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
    checkpoint: Path | None = None
    """The single file that holds all weights; None: each lies in its component's folder."""
    variant: str = ""

    def config(self, *names: str) -> Mapping[str, Any]:
        """The configuration of the first of ``names`` that the model has."""
        return next((self.configs[name] for name in names if name in self.configs), {})


def make_plan(model: ResolvedModel, *, configs: Path = CONFIGS) -> Plan:
    """Read what ``model`` consists of. ``configs``: the configurations that single files are read with. Raises
    ModelError.
    """
    if model.path is None:
        raise ModelError(f"Model {model.ref!r} is not on this machine.")
    checkpoint = model.path if model.format == "single_file" else None
    folder = model.path if checkpoint is None else configs / model.family
    if not (folder / "model_index.json").is_file():
        raise ModelError(
            f"Model {model.ref!r} cannot be loaded: "
            + (
                "there is no model_index.json in its folder."
                if checkpoint is None
                else f"the family {model.family or 'unknown'} has no configuration here{_NEEDED.get(model.family, '')}."
            ),
            hint="Use a diffusers folder, or a single file of SD 1.x or SDXL.",
        )
    return _plan_from_index(folder, checkpoint, model)


def _plan_from_index(folder: Path, checkpoint: Path | None, model: ResolvedModel) -> Plan:
    index = _read_json(folder / "model_index.json")
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
            sources[key] = (_place(folder, key, index, model.ref), str(value[0]), str(value[1]))
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
    variant = str(getattr(model, "variant", "")) if checkpoint is not None else ""
    return Plan(cls, model.ref, sources, options, found, checkpoint, variant)


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
    return {name: _request(plan, name, dtype_of(name), options.facts(name)) for name in plan.sources}


def assemble(plan: Plan, components: Mapping[str, Any], scheduler: Any) -> Any:
    """A pipeline over leased components, with a scheduler of its own. Takes well under a millisecond; holds no
    weights.
    """
    arguments = {**plan.options, **components}
    if "scheduler" in arguments:
        arguments["scheduler"] = scheduler
    pipe = plan.cls(**arguments)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _request(plan: Plan, name: str, dtype: torch.dtype, facts: Mapping[str, bool]) -> Component:
    folder, library, class_name = plan.sources[name]
    light = class_name.endswith(_LIGHT)
    dtype_name = "" if light else str(dtype).removeprefix("torch.")
    in_checkpoint = plan.checkpoint is not None and not light
    place = plan.checkpoint if plan.checkpoint is not None and in_checkpoint else folder
    if plan.checkpoint is not None and not place.exists():  # a tokenizer: made from the bundled vocabulary
        place = part_of(name)
    shaped = {
        "class": f"{library}.{class_name}",
        "config": plan.configs.get(name, {}),
        "variant": plan.variant,
        **facts,
    }
    try:
        digest = hashlib.sha256(json.dumps(shaped, sort_keys=True).encode()).hexdigest()[:16]
        key = ComponentKey.of(place, name, dtype_name, config=digest)
    except FileNotFoundError:
        raise ModelError(
            f"Model {plan.title!r} lacks its component {name} ({class_name}): there is no {place}."
        ) from None
    if plan.checkpoint is not None:
        checkpoint, variant = plan.checkpoint, plan.variant

        def load() -> Any:
            return load_part(checkpoint, name, find_class(library, class_name), folder, dtype, variant)
    else:

        def load() -> Any:
            return _load_from_folder(folder, library, class_name, dtype, light=light)

    return Component(key, lambda: _explained(lambda: speed.apply(load(), facts, dtype), plan, name))


def _load_from_folder(folder: Path, library: str, class_name: str, dtype: torch.dtype, *, light: bool) -> Any:
    cls = find_class(library, class_name)
    if light or not issubclass(cls, torch.nn.Module):
        return cls.from_pretrained(str(folder), local_files_only=True)
    # Without a dtype transformers keeps the file's and diffusers takes float32: the call would die on the mix.
    name = "dtype" if cls.__module__.startswith("transformers.") else "torch_dtype"
    arguments: dict[str, Any] = {name: dtype, "use_safetensors": True, "local_files_only": True}
    variant = choose_variant([path.name for path in folder.glob("*.safetensors")], dtype)
    if variant:
        arguments["variant"] = variant
    return cls.from_pretrained(str(folder), **arguments).eval()


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
