"""The heart of every pipeline that draws: draws groups of pictures with leased components, in the precision that gives
finite values. What is drawn, a ``Task`` says.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from extensions.diffusion.adapters.attached import Attached
from extensions.diffusion.adapters.loras import Networks
from extensions.diffusion.compute import attention, guiding, intercept, quantizing, speed
from extensions.diffusion.compute.choosing import Chooser, candidates
from extensions.diffusion.compute.rungs import Measures
from extensions.diffusion.compute.staging import resident
from extensions.diffusion.models.guidance import Call
from extensions.diffusion.models.loading import Plan, assemble, make_plan, requests
from extensions.diffusion.models.vaes import with_vae
from extensions.diffusion.params import Drawn
from extensions.diffusion.params_adapters import bare
from extensions.diffusion.prompts.words import Words
from extensions.diffusion.text import scheduling, telling
from extensions.diffusion.text.inversion import Embeddings
from webui.api import Context, JobFailed, ResolvedModel, Work

from . import decoding, previews, seamless, ways
from .calling import make_call, too_long
from .samplers import make_scheduler, sampler_name
from .task import Task


def working_dtype(context: Context) -> torch.dtype:
    """The precision to begin with: the device's, but float32 on a CPU, where half precision is slower and coarser."""
    dtype: torch.dtype = torch.float32 if context.device.type == "cpu" else context.dtype
    return dtype


class NotFinite(Exception):
    """A stage gave NaN, infinities or a blank picture. ``stage`` is ``denoise`` or ``decode``."""

    def __init__(self, stage: str) -> None:
        super().__init__(stage)
        self.stage = stage


class Drawing:
    """One job's way of drawing with one model."""

    def __init__(self, model: ResolvedModel, params: Drawn, context: Context, configs: Path, task: Task) -> None:
        """Reads what the model consists of. Raises ModelError where it cannot do the task."""
        params = params if task.attached else bare(params)
        self._params = params
        self._context = context
        self._task = task
        self._attached = Attached(params, context)
        plan = self._attached.planned(task.planned(make_plan(model, context.models, configs=configs)), model.family)
        self._plan = with_vae(plan, params.vae, context)
        for note in self._plan.notes:
            context.warn(note)
        self._family = model.family
        self._plain = decoding.is_plain(self._plan)
        # Kernels of a CPU round differently for different batch sizes: pictures are then drawn one at a time.
        self.alone = context.device.type == "cpu" or context.deterministic
        self._dtype = speed.chosen_dtype(params, working_dtype(context))
        self._wide: set[str] = set()
        """Stages that are computed in float32 because half precision failed."""
        if self._dtype == torch.float16 and self._plain and _wants_wide_vae(self._plan):
            self._wide.add("decode")
        self.sampler = params.sampler
        self._speed = speed.Speed.of(params)
        weights = {name: part.path for name, part in self._plan.parts.items() if name in speed.DENOISERS}
        quantizing.check(params.quantization, context.device, weights)
        self._networks = Networks(params, context)
        self._embeddings = Embeddings(context, strict=task.attached)
        self._measures = Measures(self._usable_attention(), self._chooser(), together=task.alters)

    def draw(self, indices: Sequence[int]) -> list[Image.Image]:
        """The pictures of these indices, made together; picture i has seed + i. Raises Cancelled, JobFailed,
        ModelError.
        """
        while True:
            try:
                return self._draw(indices)
            except NotFinite as error:
                stage, said = error.stage, "gave invalid values"
            except attention.BackendFailed as error:
                stage, said = "denoise", f"failed: {error}"
            # Here the traceback no longer holds the failed attempt's tensors.
            backend = self._measures.attention
            if backend != attention.NATIVE and stage == "denoise":
                self._context.warn(f"Attention by {backend} {said}; torch's own is used instead.")
                self._measures.attention = attention.NATIVE
            else:
                self._widen(stage)

    def _widen(self, stage: str) -> None:
        """Have ``stage`` computed in float32 from now on. Raises JobFailed where it is already."""
        if stage in self._wide or self._dtype == torch.float32:
            raise JobFailed(
                "The model gave no valid picture (NaN or a blank one).",
                hint="Try another sampler, fewer extremes of guidance, or another model.",
            )
        self._wide.add(stage)
        name = str(self._dtype).removeprefix("torch.")
        words = {"denoise": "The denoiser", "decode": "The VAE"}[stage]
        self._context.warn(f"{words} gave invalid values in {name} and is computed in float32.")

    def _asked_attention(self) -> str:
        """By the job, else by the settings."""
        asked = self._params.attention
        return str(self._context.settings.get("attention", "auto")) if asked == "auto" else asked

    def _chooser(self) -> Chooser | None:
        """Where nobody asked for a backend. Not for models that are compiled, which would be compiled anew for it."""
        if self._asked_attention() != "auto" or self._context.deterministic or self._speed.compiled:
            return None
        device = self._context.device
        names = candidates(device, self._dtype)
        return Chooser(self._plan.title, self._context.findings("attention"), names, device) if names else None

    def _usable_attention(self) -> str:
        """The backend that was asked for; torch's own where that is left to us, or cannot run here."""
        asked = self._asked_attention()
        if asked == "auto":
            return attention.NATIVE
        reason = attention.trouble(asked, self._context.device, self._dtype)
        if reason:
            self._context.warn(f"Attention by {asked} cannot be used: {reason}. Torch's own is used instead.")
            return attention.NATIVE
        return asked

    def _dtype_of(self, component: str) -> torch.dtype:
        if "denoise" in self._wide or (component == "vae" and "decode" in self._wide):
            return torch.float32
        return self._dtype

    def _draw(self, indices: Sequence[int]) -> list[Image.Image]:
        params = self._params
        work = Work("denoise", self._family, *self._task.asked_size(indices), len(indices))
        words = self._task.words(indices)
        networks = self._networks.chosen(words) if self._task.attached else ()
        wanted = {
            **requests(self._plan, self._dtype_of, self._speed),
            **self._attached.requests(self._dtype_of("controlnet")),
        }
        # Whoever attaches something to modules has them alone for that time.
        alone = bool(networks) or self._attached.alone or params.seamless != "none" or params.perturbation != "none"
        alone = alone or self._task.alters
        with resident(self._context, wanted, work, self._measures, exclusive=alone) as components:
            scheduler = None
            if "scheduler" in components:
                scheduler = make_scheduler(components["scheduler"], params.sampler, params.schedule)
                self.sampler = sampler_name(scheduler)
            pipe = assemble(self._plan, components, scheduler)
            modules = [part for part in components.values() if isinstance(part, torch.nn.Module)]
            with (
                self._networks.attached(pipe, networks),
                self._attached.around(pipe, components),
                seamless.wrapped(modules, params.seamless),
            ):
                images = self._called(pipe, components, words, indices)
        return self._task.finished(images, indices)

    def _called(
        self, pipe: Any, components: Mapping[str, Any], words: Words, indices: Sequence[int]
    ) -> list[Image.Image]:
        """What an assembled pipeline draws."""
        width, height = self._task.size(pipe, self._plan, indices)
        said = self._params.model_copy(update={"prompt": words.plain_prompt, "negative_prompt": words.plain_negative})
        call = make_call(pipe, self._plan, said, width, height, len(indices))
        self._task.complete(call, pipe, self._plan, indices)
        self._attached.complete(call, pipe, components, lambda: self._task.source(indices[0]))
        self._warn_of(call.notes, words.notes())
        restarts = [
            self._task.accompany(pipe, call, components, indices),
            self._tell(call, pipe, components, words, len(indices)),
            ways.guide(
                pipe,
                call,
                components,
                self._params,
                self._speed,
                count=len(indices),
                steps=self._task.steps,
                say=self._context.warn,
            ),
        ]
        denoisers = [components[name] for name in speed.DENOISERS & components.keys()]
        images = self._run(pipe, call, indices, denoisers, restarts)
        self._check_size(images, width, height)
        return images

    def _run(
        self,
        pipe: Any,
        call: Call,
        indices: Sequence[int],
        denoisers: Sequence[Any],
        restarts: Sequence[Callable[[], None]],
    ) -> list[Image.Image]:
        """Denoise and decode."""
        arguments = {**call.arguments, **self._watch(pipe, indices, call.width, call.height)}
        arguments["output_type"] = "latent" if self._plain else "pil"
        seeded = "generator" in inspect.signature(type(pipe).__call__).parameters

        def draw() -> Any:
            generators = [self._task.generator(index) for index in indices]
            if seeded:  # from the start each time: a second attempt draws the same picture
                arguments["generator"] = generators if len(generators) > 1 else generators[0]
            for restart in restarts:
                restart()
            self._attached.step(0, 1)
            # Some pipelines encode control pictures by chance of their own: the same whatever was loaded before.
            torch.default_generator.manual_seed(0)
            if self._context.device.type == "cuda":
                torch.cuda.manual_seed_all(0)
            for module in denoisers:
                speed.forget_steps(module)
            with self._task.noise(generators, indices):
                return pipe(**arguments)

        self._context.check_cancelled()
        # Components repeat their own calls where memory runs out; this is for what a pipeline computes between them.
        output = self._context.models.attempt(draw, {})
        if not self._plain:
            return self._blank_checked(list(_pictures(output)))
        if not torch.isfinite(output[0]).all():
            raise NotFinite("denoise")
        return list(self._decoded(pipe.vae, output[0]))

    def _decoded(self, vae: Any, latents: torch.Tensor) -> Iterator[Image.Image]:
        for row in latents.split(1):
            self._context.check_cancelled()
            pixels = self._context.models.attempt(partial(decoding.decode, vae, row), {})
            if not torch.isfinite(pixels).all():
                raise NotFinite("decode")
            yield decoding.to_image(pixels)

    def _blank_checked(self, images: list[Image.Image]) -> list[Image.Image]:
        """A picture of one colour is how NaN looks once it is a picture."""
        if any(decoding.is_flat(image) for image in images):
            if self._dtype != torch.float32 and "denoise" not in self._wide:
                raise NotFinite("denoise")
            self._context.warn("A picture has a single colour; the model or its settings may be at fault.")
        return images

    def _watch(self, pipe: Any, indices: Sequence[int], width: int, height: int) -> dict[str, Any]:
        """The callback argument of this pipeline, new style or old, that tells progress, shows previews and heeds a
        cancel.
        """
        known = inspect.signature(type(pipe).__call__).parameters
        asked = self._params.steps or 1

        def step(number: int, latents: Any) -> None:
            scheduler = getattr(pipe, "scheduler", None)
            total = (
                max(int(getattr(pipe, "num_timesteps", 0) or 0), number, 1)
                if scheduler is not None
                else max(asked, number)
            )
            self._context.progress(number, total, batch=len(indices))
            if isinstance(latents, torch.Tensor):
                self._show(pipe, latents, indices[0], width, height)

        def at_end(pipe: Any, number: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            changed = self._task.after_step(pipe, number, timestep, tensors)
            self._attached.step(number + 1, int(getattr(pipe, "num_timesteps", 0) or 0) or asked)
            step(number + 1, changed.get("latents", tensors.get("latents")))
            return changed

        if "callback_on_step_end" in known:
            return {"callback_on_step_end": at_end}
        if "callback" in known:
            old: Callable[[int, Any, Any], None] = lambda number, _timestep, latents: step(number + 1, latents)  # noqa: E731
            return {"callback": old, "callback_steps": 1} if "callback_steps" in known else {"callback": old}
        return {}

    def _show(self, pipe: Any, latents: torch.Tensor, index: int, width: int, height: int) -> None:
        seen = previews.visible(latents, pipe, width, height)
        if seen is not None:
            vae = pipe.vae

            def make() -> Image.Image:
                with intercept.past():  # 32 latents are decoded once, wherever the VAE is
                    return previews.preview(seen, vae, width, height)

            self._context.preview(make, index)

    def _check_size(self, images: list[Image.Image], width: int, height: int) -> None:
        for image in images:
            if image.size != (width, height):
                self._context.warn(f"The model drew {image.width}x{image.height} instead of {width}x{height}.")

    def _tell(
        self, call: Call, pipe: Any, components: Mapping[str, Any], words: Words, count: int
    ) -> Callable[[], None]:
        """Tell the pipeline what to draw. The answer is to be called before each attempt."""
        clip_skip = self._params.clip_skip
        if telling.speaks_clip(pipe, components):
            zero_blank = bool(pipe.config.get("force_zeros_for_empty_prompt"))
            conditions = telling.encode(
                components,
                words,
                self._task.steps,
                clip_skip,
                zero_blank=zero_blank,
                embeddings=self._embeddings,
            )
            return telling.tell(pipe, call, conditions, count)
        notes = [telling.left_out(pipe, words, clip_skip)]
        said: set[str] = set()

        def say(reason: str) -> None:
            if reason not in said:
                said.add(reason)
                self._context.warn(f"{type(pipe).__name__}: {reason}; they were left out.")

        restart = scheduling.told(pipe, call, words, self._task.steps, say)
        for name, text in (("prompt", words.plain_prompt), ("negative prompt", words.plain_negative)):
            lost = too_long(pipe, text)
            if lost:
                notes.append(f"The {name} is {lost} tokens longer than the model reads; its end was cut off.")
        self._warn_of(notes)
        return restart or (lambda: None)

    def infotext(self) -> dict[str, str]:
        """What the drawing adds to the text that other programs read."""
        pairs = {"Sampler": self.sampler}
        if self._params.guidance_method != guiding.PLAIN:
            pairs["Guidance method"] = self._params.guidance_method
        if self._params.perturbation != "none":
            pairs["Perturbation"] = f"{self._params.perturbation} {self._params.perturbation_scale:g}"
        for key, used in (("Lora hashes", self._networks.used), ("TI hashes", self._embeddings.used)):
            if used:
                pairs[key] = ", ".join(f"{name}: {digest[:12]}" for name, digest in used.items())
        return {**pairs, **self._attached.infotext()}

    def _warn_of(self, *notes: Sequence[str]) -> None:
        for note in filter(None, itertools.chain(*notes)):
            self._context.warn(note)

    @property
    def plan(self) -> Plan:
        return self._plan


def _wants_wide_vae(plan: Plan) -> bool:
    """Whether the VAE is known to overflow in float16. Every VAE's configuration says so by default: it is meant where
    the pipeline's class acts on it, as SDXL's does.
    """
    return hasattr(plan.cls, "upcast_vae") and bool(plan.config("vae").get("force_upcast"))


def _pictures(output: Any) -> Sequence[Any]:
    """The pictures in a pipeline's answer. Raises JobFailed on anything else, such as a video's frames."""
    first = output[0]
    rows = [first] if isinstance(first, Image.Image) else first
    if not isinstance(rows, list) or not all(isinstance(row, Image.Image) for row in rows):
        raise JobFailed(f"The model answered with {type(first).__name__}, not with pictures.")
    return rows
