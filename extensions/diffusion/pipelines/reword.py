"""The pipeline ``diffusion.reword``: a picture is inverted under the words that describe it, and drawn again under
other words, with the attention of the first (prompt-to-prompt, Hertz et al. 2022).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from extensions.diffusion.compute.handing import Handing, handed
from extensions.diffusion.compute.rungs import Measures
from extensions.diffusion.compute.staging import resident
from extensions.diffusion.drawing.decoding import decode, to_image
from extensions.diffusion.drawing.groups import working_dtype
from extensions.diffusion.drawing.inverting import Ladder, at_latents
from extensions.diffusion.drawing.making import found_model
from extensions.diffusion.models.loading import Plan, assemble, make_plan, requests
from extensions.diffusion.models.siblings import extra_channels
from extensions.diffusion.params_pictures import Reword
from extensions.diffusion.pictures.inputs import fitted, on_ground, open_picture
from extensions.diffusion.text.aligning import alignment, read_emphasis
from webui.api import Artifact, Context, FieldError, JobFailed, ModelError, ParameterError, Work

_AREA_MAX = 4


class RewordPipeline:
    """Artifact 0 is the picture, 1 the numbers: what the inversion and the autoencoder lost."""

    def run(self, params: Reword, context: Context) -> Iterator[Artifact]:
        """Raises ModelError, NotFound, ParameterError, JobFailed, Cancelled."""
        if not context.pending(2):
            return
        if not params.before.strip():
            raise ParameterError([FieldError("before", "say what the picture shows")])
        emphasis = read_emphasis(params.emphasis)
        model = found_model(params.model, context, "text_to_image")
        plan = make_plan(model, context.models)
        refuse_unfit(plan)
        picture = on_ground(open_picture(context, params.image))
        size = _size(picture.size, params, plan)
        small = fitted(picture, size, "stretch")
        work = Work("denoise", model.family, *size, 3)
        dtype = working_dtype(context)
        with (
            resident(context, requests(plan, lambda name: dtype), work, Measures(), exclusive=True) as parts,
            torch.inference_mode(),
        ):
            pipe = assemble(plan, parts, parts["scheduler"])
            run = _Run(pipe, parts["unet"], plan, params, context, emphasis)
            made, numbers = run.made(small)
        result = fitted(made, picture.size, "stretch")
        info = {"Denoising": "prompt to prompt", "Words before": params.before}
        yield Artifact("image", result, index=0, title=params.prompt, infotext=info)
        yield Artifact("scalar", numbers, index=1, title="Measured")


def refuse_unfit(plan: Plan) -> None:
    """Raises ModelError for what has no UNet with CLIP's words."""
    if not {"unet", "tokenizer", "vae"} <= plan.sources.keys() or extra_channels(plan):
        raise ModelError(
            f"Model {plan.title!r} is a {plan.cls.__name__}, in which words cannot be changed this way.",
            hint="Use Stable Diffusion 1, 2 or XL, or the starter.",
        )


def _size(own: tuple[int, int], params: Reword, plan: Plan) -> tuple[int, int]:
    """The picture's, brought near what the model was made for, in steps that its UNet can halve."""
    blocks, levels = plan.config("vae").get("block_out_channels") or (1,), plan.config("unet").get("block_out_channels")
    step = 2 ** (len(blocks) - 1) * 2 ** (len(levels or (1,)) - 1)
    native = int(plan.config("unet").get("sample_size") or 64) * 2 ** (len(blocks) - 1)
    if params.edge:
        scale = params.edge / max(own)
    else:
        scale = min(1.0, math.sqrt(_AREA_MAX * native**2 / (own[0] * own[1])))
        scale = max(scale, native / max(own)) if max(own) < native else scale
    width, height = (max(step, round(side * scale / step) * step) for side in own)
    return width, height


class _Run:
    """One edit with leased parts."""

    def __init__(
        self, pipe: Any, unet: Any, plan: Plan, params: Reword, context: Context, emphasis: Mapping[str, float]
    ) -> None:
        self.pipe, self.unet, self.vae = pipe, unet, pipe.vae
        self.params, self.context, self.device = params, context, context.device
        self.ladder = Ladder.of(pipe.scheduler.config, params.steps)
        before, after = params.before.strip(), params.prompt.strip()
        aligned = alignment(pipe.tokenizer, before, after, emphasis)
        self.handing = Handing(*(one.to(self.device) for one in (aligned.matrix, aligned.kept, aligned.factors)))
        self.pooled = "text_encoder_2" in plan.sources
        self.words = [self._told(text) for text in (before, params.negative_prompt.strip() or before, after)]

    def made(self, picture: Image.Image) -> tuple[Image.Image, dict[str, Any]]:
        """The picture drawn anew, and the numbers."""
        params, ladder = self.params, self.ladder
        self.sides = picture.size
        clean = self._encoded(picture)
        total = ladder.steps
        way = ladder.inverted(
            clean, self._source, params.refinements, lambda done, _: self._progress(done, total, "inverting")
        )
        again = ladder.redrawn(way, self._source) if params.measured else None
        mask = self._mask(clean)
        latents = way[-1]
        with handed(self.unet, self.handing):
            for rung in range(total, 0, -1):
                passed = (total - rung) / total
                self.handing.cross, self.handing.own = passed < params.cross_keep, passed < params.self_keep
                source, answer = self._answers(way[rung], latents, ladder.times[rung - 1])
                moved = ladder.moved(latents, answer, rung, rung - 1)
                if params.corrected:
                    # What a plain step from the kept latents misses the kept ones below by, which is the inversion's
                    # error: without it the same words give the same picture, exactly.
                    moved = moved + way[rung - 1] - ladder.moved(way[rung], source, rung, rung - 1)
                latents = moved if mask is None else mask * moved + (1 - mask) * way[rung - 1]
                self._progress(total - rung + 1, total, "drawing")
                self.context.preview(lambda shown=latents: self._decoded(shown))
        if not torch.isfinite(latents).all():
            raise JobFailed("The model gave no valid picture.", hint="Try less guidance or more steps.")
        return self._decoded(latents), self._numbers(picture, clean, way, again)

    def _progress(self, done: int, total: int, message: str) -> None:
        self.context.check_cancelled()
        self.context.progress(done, total, message)

    def _told(self, text: str) -> tuple[Tensor, Tensor | None]:
        """Embeddings [1,tokens,width] and, for XL, pooled ones [1,width]."""
        most = self.pipe.tokenizer.model_max_length
        if len(self.pipe.tokenizer(text).input_ids) > most:
            self.context.warn(f"Of the words only the first {most - 2} tokens are read.")
        made = self.pipe.encode_prompt(
            prompt=text, device=self.device, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        return made[0], made[2] if self.pooled else None

    def _predict(self, latents: Tensor, time: int, rows: list[int]) -> Tensor:
        """The UNet's answer, float32, to latents [N,C,h,w], each told the words of its row."""
        embeds = torch.cat([self.words[row][0] for row in rows])
        more: dict[str, Any] = {}
        if self.pooled:
            width, height = self.sides
            ids = torch.tensor([[height, width, 0, 0, height, width]] * len(rows), device=self.device)
            pooled = torch.cat([self.words[row][1] for row in rows])  # type: ignore[misc]
            more["added_cond_kwargs"] = {"text_embeds": pooled, "time_ids": ids.to(embeds)}
        weight = self.vae.dtype
        answer: Tensor = self.unet(latents.to(weight), time, encoder_hidden_states=embeds, **more).sample
        return answer.float()

    def _source(self, latents: Tensor, time: int) -> Tensor:
        return self._predict(latents, time, [0])

    def _answers(self, kept: Tensor, latents: Tensor, time: int) -> tuple[Tensor, Tensor]:
        """What the UNet says of the kept latents, and of those that are drawn, guided away from the words before
        (negative-prompt inversion: Miyake et al. 2023) or from the negative prompt.
        """
        scale = self.params.guidance_scale if self.params.guidance_scale is not None else 7.0
        if scale == 1:
            source, target = self._predict(torch.cat([kept, latents]), time, [0, 2])
            return source[None], target[None]
        source, negative, target = self._predict(torch.cat([kept, latents, latents]), time, [0, 1, 2])
        return source[None], (negative + scale * (target - negative))[None]

    def _encoded(self, picture: Image.Image) -> Tensor:
        """float32 [1,C,h,w], in the UNet's scale."""
        pixels = torch.from_numpy(np.asarray(picture, np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
        latents = self.vae.encode(pixels.to(self.device, self.vae.dtype)).latent_dist.mode().float()
        config = self.vae.config
        scaling, shift = config.get("scaling_factor") or 1.0, config.get("shift_factor") or 0.0
        return (latents - shift) * scaling

    def _decoded(self, latents: Tensor) -> Image.Image:
        return to_image(decode(self.vae, latents))

    def _mask(self, latents: Tensor) -> Tensor | None:
        if self.params.mask is None:
            return None
        size = self.sides
        grey = self.context.open_image(self.params.mask).convert("L").resize(size, Image.Resampling.BILINEAR)
        mask = torch.from_numpy((np.asarray(grey) >= 128).astype(np.float32)).to(self.device)
        if not mask.any():
            return None
        return at_latents(mask, (latents.shape[-2], latents.shape[-1]))

    def _numbers(self, picture: Image.Image, clean: Tensor, way: list[Tensor], again: Tensor | None) -> dict[str, Any]:
        numbers: dict[str, Any] = {
            "steps": self.ladder.steps,
            "autoencoder_db": _psnr_db(picture, self._decoded(clean)),
            "noise_mean_square": round(float(way[-1].square().mean()), 4),
        }
        if again is not None:
            error = (again - clean).square().mean() / clean.square().mean()
            numbers["inversion_error"] = round(float(error.sqrt()), 5)
            numbers["inversion_db"] = _psnr_db(picture, self._decoded(again))
        return numbers


def _psnr_db(a: Image.Image, b: Image.Image) -> float:
    error = np.square(np.asarray(a.convert("RGB"), np.float64) - np.asarray(b.convert("RGB"))).mean()
    return round(min(100.0, 10 * math.log10(255**2 / max(float(error), 1e-9))), 2)
