"""From a client's request to a pipeline of ours and its parameters, as far as that pipeline declares them; what it does
not is told as warnings, or refused where ignoring it would give another picture than was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from webui.core.errors import FieldError, NotFound, ParameterError
from webui.core.parameters import Parameter, describe
from webui.core.specs import PipelineSpec

from . import scripts
from .requests import Generation, Img2Img, Txt2Img
from .sampling import find, sampling
from .upscalers import LATENT_ALIASES

TXT2IMG, IMG2IMG, INPAINT = "diffusion.txt2img", "diffusion.img2img", "diffusion.inpaint"
UPSCALE = "diffusion.upscale"
RESIZE_MODES = ("stretch", "crop", "fill", "stretch")
"""By number; 3 resizes latents, for which the picture itself is resized here."""
FILLS = ("fill", "original", "noise", "nothing")
"""What is under the mask at the start, by number."""


@dataclass
class Asked:
    """A job to submit."""

    pipeline: str
    params: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


def pipeline_of(body: Generation) -> str:
    if isinstance(body, Img2Img):
        return INPAINT if body.mask else IMG2IMG
    return TXT2IMG


def translate(
    body: Generation,
    spec: PipelineSpec,
    options: Mapping[str, Any],
    networks: Mapping[str, str] | None = None,
    controls: Mapping[str, str] | None = None,
) -> Asked:
    """``options``: the interface's own, with the request's ``override_settings`` over them; ``networks`` and
    ``controls``: references of upscalers and of control networks by name. Raises ParameterError, NotFound.
    """
    rows = {row.name: row for row in describe(spec.params)}
    if body.script_name:
        raise ParameterError([FieldError("script_name", "there are no scripts here", body.script_name[:80])])
    asked = Asked(spec.id, {}, _ignored(body, rows))
    asked.params.update(_shared(body, rows, options))
    told = scripts.read(body.alwayson_scripts, rows, controls or {})
    asked.params.update(told.params)
    asked.warnings += told.warnings
    if isinstance(body, Img2Img):
        asked.params.update(_pictures(body, rows))
    elif isinstance(body, Txt2Img) and body.enable_hr:
        asked.params.update(_second_pass(body, rows, networks or {}))
    _vary(body, rows, asked)
    return asked


def _shared(body: Generation, rows: Mapping[str, Parameter], options: Mapping[str, Any]) -> dict[str, Any]:
    sampler, schedule = sampling(
        body.sampler_name or body.sampler_index,
        body.scheduler,
        _values(rows.get("sampler")),
        _values(rows.get("schedule")),
    )
    given: dict[str, Any] = {
        "prompt": body.prompt,
        "negative_prompt": body.negative_prompt,
        "model": str(options.get("sd_model_checkpoint") or ""),
        "width": _side(body.width),
        "height": _side(body.height),
        "steps": body.steps,
        "guidance_scale": body.cfg_scale,
        "sampler": sampler,
        "schedule": schedule,
        "seed": max(body.seed, -1),
        "batch_size": body.batch_size,
        "batch_count": body.n_iter,
    }
    if body.tiling:
        given["seamless"] = "both"
    if body.styles:
        given["styles"] = body.styles
    clip_skip = options.get("CLIP_stop_at_last_layers")
    if "clip_skip" in rows and isinstance(clip_skip, int) and clip_skip > 1:
        given["clip_skip"] = clip_skip
    vae = str(options.get("sd_vae") or "")
    if "vae" in rows and vae not in ("", "Automatic", "None"):
        given["vae"] = vae
    return {name: value for name, value in given.items() if name in rows and (value != "" or name == "prompt")}


def _values(row: Parameter | None) -> list[str]:
    return [value for value, _ in row.options] if row is not None else []


def _side(pixels: int) -> int:
    """Latents have an eighth of the picture's sides, so a remainder is cut off, as these clients expect."""
    return max(64, pixels // 8 * 8)


def _pictures(body: Img2Img, rows: Mapping[str, Parameter]) -> dict[str, Any]:
    if not body.init_images:
        raise ParameterError([FieldError("init_images", "expected at least one picture")])
    given: dict[str, Any] = {
        "image": body.init_images[0],
        "strength": body.denoising_strength,
        "resize_mode": RESIZE_MODES[body.resize_mode],
    }
    if len(body.init_images) > 1:
        if "images" not in rows:
            raise ParameterError([FieldError("init_images", "takes one picture here", f"{len(body.init_images)}")])
        given["images"] = body.init_images[1:]
    if body.mask:
        given |= {
            "mask": body.mask,
            "mask_blur": body.mask_blur,
            "mask_invert": bool(body.inpainting_mask_invert),
            "masked_content": FILLS[body.inpainting_fill],
            "only_masked": body.inpaint_full_res,
            "padding": body.inpaint_full_res_padding,
        }
    return {name: value for name, value in given.items() if name in rows}


def _second_pass(body: Txt2Img, rows: Mapping[str, Parameter], networks: Mapping[str, str]) -> dict[str, Any]:
    if "hires_scale" not in rows:
        raise ParameterError([FieldError("enable_hr", "there is no second pass here; send the picture to img2img")])
    scale = max(body.hr_resize_x / _side(body.width), body.hr_resize_y / _side(body.height)) or body.hr_scale
    given: dict[str, Any] = {
        "hires_scale": scale,
        "hires_steps": body.hr_second_pass_steps,
        "hires_strength": body.denoising_strength,
    }
    wanted = body.hr_upscaler.strip().casefold()
    mode = find(LATENT_ALIASES.get(wanted, wanted), _values(rows.get("hires_mode")))
    network = find(body.hr_upscaler, list(networks))
    if not mode and not network:
        known = ", ".join([*_values(rows.get("hires_mode")), *networks])
        raise NotFound(f"there is no upscaler {body.hr_upscaler[:80]!r}.", hint=f"There are: {known}.")
    given |= {"hires_mode": mode} if mode else {"hires_upscaler": networks[network]}
    return {name: value for name, value in given.items() if name in rows}


def _vary(body: Generation, rows: Mapping[str, Parameter], asked: Asked) -> None:
    if body.subseed_strength <= 0:
        return
    if "variation_strength" in rows:
        asked.params |= {"variation_seed": max(body.subseed, -1), "variation_strength": body.subseed_strength}
    else:
        asked.warnings.append("subseed_strength was ignored: this pipeline has no variations")


def _ignored(body: Generation, rows: Mapping[str, Parameter]) -> list[str]:
    """What changes a picture elsewhere and has no counterpart here."""
    stated = {
        "styles": bool(body.styles) and "styles" not in rows,
        "restore_faces": body.restore_faces,
        "tiling": body.tiling and "seamless" not in rows,
        "s_churn": body.s_churn != 0,
    }
    ignored = [name for name, is_stated in stated.items() if is_stated]
    return [f"{name} was ignored: there is no counterpart here" for name in ignored]
