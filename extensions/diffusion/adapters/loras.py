"""LoRAs: from the rows of a form and the tags of a prompt to networks attached to a pipeline's modules for one run.

Nothing is fused: weights that were added and taken away again would not be the same bits. A network of weight 0 is not
attached at all. Whoever attaches holds the modules alone (an exclusive lease); afterwards they are as they were.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from extensions.diffusion.params import Drawn
from extensions.diffusion.params_adapters import LORA_ROWS
from extensions.diffusion.prompts.words import Words
from webui.api import Context, ModelError, ModelUse, NotFound, ResolvedModel

from . import lycoris
from .lora_blocks import of_blocks

KIND = "lora"


@dataclass(frozen=True)
class Network:
    """A LoRA file and how strongly it counts."""

    title: str
    path: Path
    unet: float
    text_encoder: float
    sha256: str = ""


class Networks:
    """The networks of one job; each is looked up once, and its file is read once."""

    def __init__(self, params: Drawn, context: Context) -> None:
        self._rows = [
            (name, float(getattr(params, f"lora_{row}_weight")))
            for row in range(1, LORA_ROWS + 1)
            if (name := str(getattr(params, f"lora_{row}", "")).strip())
        ]
        self._blocks = params.lora_blocks
        self._context = context
        self._found: dict[str, ResolvedModel | None] = {}
        self._tensors: dict[Path, dict[str, torch.Tensor]] = {}
        self.used: dict[str, str] = {}
        """Title -> sha256 of those that were attached."""

    def chosen(self, words: Words) -> tuple[Network, ...]:
        """Those that a group of pictures is drawn with; the same file twice adds up. Raises NotFound and ModelError for
        the form's rows; a tag that names nothing is said and left out.
        """
        asked = [(self._resolve(name), weight, weight) for name, weight in self._rows]
        asked += [(self._from_tag(tag.name), tag.unet, tag.text_encoder) for tag in words.networks]
        summed: dict[Path, Network] = {}
        for model, unet, text_encoder in asked:
            if model is None or model.path is None:
                continue
            before = summed.get(model.path, Network("", model.path, 0.0, 0.0))
            title = str(getattr(model, "title", "")) or model.path.stem
            summed[model.path] = Network(
                title, model.path, before.unet + unet, before.text_encoder + text_encoder, model.sha256
            )
        return tuple(one for one in summed.values() if one.unet or one.text_encoder)

    def _resolve(self, name: str) -> ResolvedModel:
        if self._found.get(name) is None:
            self._found[name] = self._context.models.resolve(name, KIND)
        model = self._found[name]
        assert model is not None
        if model.path is None:
            raise NotFound(f"There is no LoRA {name!r}.", hint="Put its file into models/loras.")
        return model

    def _from_tag(self, name: str) -> ResolvedModel | None:
        try:
            return self._resolve(name)
        except NotFound as error:
            self._context.warn(f"The prompt names a LoRA that is not there, which was left out: {error.message}")
            return None

    @contextmanager
    def attached(self, pipe: Any, networks: Sequence[Network]) -> Iterator[None]:
        """Within, ``pipe`` draws with ``networks``. Its modules must be leased exclusively. Raises ModelError for one
        that does not fit.
        """
        if not networks:
            yield
            return
        modules = {name: getattr(pipe, name, None) for name in getattr(type(pipe), "_lora_loadable_modules", ())}
        if not modules or not hasattr(pipe, "load_lora_weights"):
            raise ModelError(f"{type(pipe).__name__} takes no LoRA.", hint="Draw without one.")
        further = [network for network in networks if lycoris.is_beyond_lora(self._read(network))]
        plain = [network for network in networks if network not in further]
        try:
            with self._beyond(modules, further):
                for place, network in enumerate(plain):
                    self._attach(pipe, f"lora_{place}", network)
                if plain:
                    pipe.set_adapters(
                        [f"lora_{place}" for place in range(len(plain))],
                        [_weights(modules, network) for network in plain],
                    )
                _on_device(modules.values(), self._context.device)
                for network in networks:
                    self.used[network.title] = network.sha256
                    self._context.use_model(ModelUse(ref=network.title, sha256=network.sha256, role="lora"))
                yield
        finally:
            for name, module in modules.items():  # the run may have put something before a module
                setattr(pipe, name, module)
            pipe.unload_lora_weights()

    def _read(self, network: Network) -> dict[str, torch.Tensor]:
        if network.path not in self._tensors:
            tensors = self._context.models.open_weights(network.path)
            try:
                self._tensors[network.path] = of_blocks(tensors, self._blocks)
            except ValueError as error:
                raise _misfit(network.title, str(error)) from None
        return self._tensors[network.path]

    @contextmanager
    def _beyond(self, modules: dict[str, Any], networks: Sequence[Network]) -> Iterator[None]:
        """Within, ``modules`` compute with networks that are no plain LoRAs. Raises ModelError."""
        rows = [(self._read(network), _weights(modules, network)) for network in networks]
        with ExitStack() as stack:
            try:
                lost_of = stack.enter_context(lycoris.attached(modules, rows))
            except lycoris.Misfit as error:
                raise _misfit(networks[error.network].title, str(error)) from error
            for network, lost in zip(networks, lost_of, strict=True):
                if lost:
                    self._context.warn(f"LoRA {network.title!r}: {lost} of its layers are not in this model.")
            yield

    def _attach(self, pipe: Any, name: str, network: Network) -> None:
        tensors = self._read(network)
        _fitting(
            lambda: pipe.load_lora_weights(dict(tensors), adapter_name=name, low_cpu_mem_usage=False), network.title
        )
        if not any(name in names for names in pipe.get_list_adapters().values()):
            raise _misfit(network.title, "none of its layers is in the model")


def _on_device(modules: Iterable[Any], device: torch.device) -> None:
    """Networks go to the device by themselves: the cache moves what it loaded, and they were not there then."""
    for module in modules:
        for name, parameter in module.named_parameters() if isinstance(module, torch.nn.Module) else ():
            if "lora_" in name:
                parameter.data = parameter.data.to(device)


def _weights(modules: dict[str, Any], network: Network) -> dict[str, float]:
    return {
        name: network.text_encoder if name.startswith("text_encoder") else network.unet
        for name, module in modules.items()
        if module is not None
    }


def _fitting(load: Callable[[], None], title: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # peft doubts that a second adapter is meant
            load()
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        said = " ".join(str(error).split())[:200]
        raise _misfit(title, f"{type(error).__name__}: {said}") from error


def _misfit(title: str, reason: str) -> ModelError:
    return ModelError(
        f"LoRA {title!r} does not fit this model: {reason}.",
        hint="Use it with a model of the family that it was trained on.",
    )
