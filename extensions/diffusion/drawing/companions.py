"""Pictures that accompany another through a denoiser: their calls are recorded when they are drawn, or when they are
led back to noise, and put beside its own, row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from extensions.diffusion.compute import rows
from extensions.diffusion.compute.sharing import Coupling, coupled
from extensions.diffusion.models.guidance import Call
from extensions.diffusion.models.siblings import UNET_HINT
from extensions.diffusion.params import Drawn
from extensions.diffusion.prompts.words import Words
from extensions.diffusion.text import telling
from webui.api import Context, JobFailed, ModelError


@dataclass(frozen=True)
class Asked:
    """One call of a denoiser."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def with_sample(self, sample: torch.Tensor) -> Asked:
        """The same with other latents [1,C,h,w], for each of its rows."""
        wide = sample.expand(rows.count(self.args, self.kwargs), *sample.shape[1:])
        if "sample" in self.kwargs:
            return Asked(self.args, {**self.kwargs, "sample": wide})
        return Asked((wide, *self.args[1:]), self.kwargs)

    @property
    def sample(self) -> torch.Tensor:
        found: torch.Tensor = self.kwargs["sample"] if "sample" in self.kwargs else self.args[0]
        return found


Record = list[Asked]
"""The calls of one picture, in their order."""


class _InPlace(torch.nn.Module):
    """What stands in a pipeline in place of its denoiser for one call."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)


class Recorder(_InPlace):
    """A denoiser whose calls are kept in ``record``."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.record: Record = []

    def restart(self) -> None:
        self.record.clear()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.record.append(Asked(args, kwargs))
        return self.inner(*args, **kwargs)


class Accompanied(_InPlace):
    """A denoiser that is asked for the companions' rows too, and answers its own."""

    def __init__(self, inner: Any, denoiser: torch.nn.Module, records: Sequence[Record], coupling: Coupling) -> None:
        """``denoiser``: the module whose attention is coupled, which is leased exclusively. ``records``: one for each
        companion, in the coupling's order.
        """
        super().__init__(inner)
        self._denoiser, self._records, self._coupling = (denoiser,), tuple(records), coupling
        self._calls = 0

    def restart(self) -> None:
        """The pipeline begins anew."""
        self._calls = 0

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As the denoiser's. Raises JobFailed where the companions were asked otherwise."""
        own = rows.count(args, kwargs)
        try:
            beside = [record[self._calls] for record in self._records]
            merged = [rows.merged([*(one.args for one in beside), args], own)]
            merged.append(rows.merged([*(one.kwargs for one in beside), kwargs], own))
        except (LookupError, RuntimeError) as error:
            raise JobFailed(
                "The pictures cannot be drawn beside one another: their steps or the lengths of their prompts differ.",
                hint="Keep all prompts below 75 tokens, without schedules, turns and AND.",
            ) from error
        self._calls += 1
        with coupled(self._denoiser[0], self._coupling, len(beside) + 1):
            answer = self.inner(*merged[0], **merged[1])
        whole = own * (len(beside) + 1)
        return rows.picked(answer, whole, slice(whole - own, whole))


@contextmanager
def _recording(pipe: Any, scheduler: Any) -> Iterator[Recorder]:
    """Within, ``pipe`` has that scheduler and a denoiser that records."""
    before = pipe.scheduler, pipe.unet
    recorder = Recorder(pipe.unet)
    pipe.scheduler, pipe.unet = scheduler, recorder
    try:
        yield recorder
    finally:
        pipe.scheduler, pipe.unet = before


def inverted(pipe: Any, arguments: Mapping[str, Any], clean: torch.Tensor) -> tuple[Record, torch.Tensor]:
    """The calls in which DDIM would draw the picture of the latents ``clean`` [1,C,h,w], and the noise that it would
    begin with: its equation followed backwards (Song et al. 2021, "Denoising Diffusion Implicit Models", section 4.3),
    by the pipeline itself. ``arguments``: of its call. The pipeline's scheduler is DDIM.
    """
    with _recording(pipe, _backwards(pipe.scheduler)) as recorder:
        noise = pipe(**{**arguments, "latents": clean, "output_type": "latent"})[0]
    # A step leads from the latents of its call to those of its timestep, with which the next one is called.
    reached = [one.sample[:1] for one in recorder.record[1:]] + [noise]
    record = [call.with_sample(sample) for call, sample in zip(recorder.record, reached, strict=True)]
    return record[::-1], noise


def _backwards(scheduler: Any) -> Any:
    """DDIM's steps towards noise. A step's answer is that of its timestep, to which it leads, and is read as such: as
    one of the level below, as DDIMInverseScheduler reads it, velocities tell of less noise than there is (a drawing on
    the starter then comes back at 25 dB with 20 steps, in place of 37).
    """
    from diffusers import DDIMInverseScheduler

    class Backwards(DDIMInverseScheduler):
        def step(self, model_output: Any, timestep: Any, sample: Any, return_dict: bool = True) -> Any:
            signal = self.alphas_cumprod[timestep]
            scale, noise = signal**0.5, (1 - signal) ** 0.5
            if answers == "v_prediction":
                model_output = scale * model_output + noise * sample
            elif answers == "sample":
                model_output = (sample - scale * model_output) / noise
            return super().step(model_output, timestep, sample, return_dict)

    answers = scheduler.config.get("prediction_type", "epsilon")
    return Backwards.from_config(scheduler.config, prediction_type="epsilon")


def drawn(pipe: Any, arguments: Mapping[str, Any]) -> Record:
    """The calls in which ``pipe`` draws what ``arguments`` say."""
    fresh = type(pipe.scheduler).from_config(pipe.scheduler.config)
    with _recording(pipe, fresh) as recorder:
        pipe(**{**arguments, "output_type": "latent"})
    found: Record = recorder.record
    return found


def encoded(pipe: Any, picture: Image.Image, width: int, height: int) -> torch.Tensor:
    """``picture`` as the denoiser's latents [1,C,h,w], without chance."""
    vae = pipe.vae
    pixels = pipe.image_processor.preprocess(picture, height=height, width=width)
    with torch.no_grad():
        answer = vae.encode(pixels.to(vae.device, vae.dtype))
    latents: torch.Tensor = answer.latent_dist.mode() if hasattr(answer, "latent_dist") else answer.latents
    shift = getattr(vae.config, "shift_factor", None) or 0.0
    return ((latents - shift) * vae.config.scaling_factor).to(pipe.unet.dtype)


def with_words(pipe: Any, call: Call, components: Mapping[str, Any], words: Words, params: Drawn) -> dict[str, Any]:
    """The arguments of ``call`` with ``words`` told. Raises JobFailed for words whose parts count in some steps alone,
    ModelError for a model that does not read embeddings.
    """
    if not telling.speaks_clip(pipe, components):
        raise ModelError(f"{type(pipe).__name__} cannot draw pictures beside one another.", hint=UNET_HINT)
    zero_blank = bool(pipe.config.get("force_zeros_for_empty_prompt"))
    conditions = telling.encode(components, words, params.steps or 1, params.clip_skip, zero_blank=zero_blank)
    if not conditions.simple:
        raise JobFailed("Prompts with schedules, turns and AND cannot be drawn beside one another.")
    told = Call(dict(call.arguments), width=call.width, height=call.height)
    telling.tell(pipe, told, conditions, 1)
    return told.arguments


def watched(context: Context, said: str) -> Callable[..., dict[str, Any]]:
    """A callback of a pipeline's call that tells progress and heeds a cancel."""

    def step(pipe: Any, number: int, timestep: Any, tensors: Any) -> dict[str, Any]:
        context.check_cancelled()
        context.progress(number + 1, max(number + 1, int(getattr(pipe, "num_timesteps", 0) or 0)), said)
        return {}

    return step
