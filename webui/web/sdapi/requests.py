"""What A1111's clients send, with the defaults that they rely on. Unknown keys are passed over, and null means that a
key was not given.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from webui.web.http_api.body import json_limit, parse_model, parse_object, read_bytes

MAX_PICTURES = 16
"""Pictures that one request may bring along."""


class Body(BaseModel):
    """Base of all requests."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        return {key: one for key, one in value.items() if one is not None} if isinstance(value, dict) else value


class Generation(Body):
    """What txt2img and img2img share."""

    prompt: str = ""
    negative_prompt: str = ""
    styles: list[str] = Field(default_factory=list)
    seed: int = -1
    subseed: int = -1
    subseed_strength: float = 0.0
    sampler_name: str = ""
    sampler_index: str = ""
    scheduler: str = ""
    batch_size: int = Field(default=1, ge=1)
    n_iter: int = Field(default=1, ge=1)
    steps: int = 50
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    restore_faces: bool = False
    tiling: bool = False
    s_churn: float = 0.0
    override_settings: dict[str, Any] = Field(default_factory=dict)
    script_name: str = ""
    send_images: bool = True
    save_images: bool = False
    alwayson_scripts: dict[str, Any] = Field(default_factory=dict)


class Txt2Img(Generation):
    enable_hr: bool = False
    denoising_strength: float = 0.7
    hr_scale: float = 2.0
    hr_upscaler: str = "Latent"
    hr_second_pass_steps: int = 0
    hr_resize_x: int = 0
    hr_resize_y: int = 0


class Img2Img(Generation):
    init_images: list[str] = Field(default_factory=list, max_length=MAX_PICTURES)
    denoising_strength: float = 0.75
    resize_mode: int = Field(default=0, ge=0, le=3)
    mask: str = ""
    mask_blur: int = 4
    inpainting_fill: int = Field(default=0, ge=0, le=3)
    inpaint_full_res: bool = True
    inpaint_full_res_padding: int = 0
    inpainting_mask_invert: int = Field(default=0, ge=0, le=1)
    include_init_images: bool = False


class PngInfo(Body):
    image: str


class ExtraSingle(Body):
    image: str
    resize_mode: int = Field(default=0, ge=0, le=1)
    upscaling_resize: float = Field(default=2.0, gt=0, le=8)
    upscaling_resize_w: int = Field(default=512, ge=1)
    upscaling_resize_h: int = Field(default=512, ge=1)
    upscaling_crop: bool = True
    upscaler_1: str = "None"
    gfpgan_visibility: float = 0.0
    codeformer_visibility: float = 0.0


B = TypeVar("B", bound=Body)


async def read(request: Request, model: type[B], max_upload_bytes: int, pictures: int = 1) -> B:
    """The request's body, whatever media type it claims. Raises ParameterError, LifelikeHTTPError 400, TooLarge."""
    data = await read_bytes(request, json_limit(max_upload_bytes) * pictures)
    return await run_in_threadpool(lambda: parse_model(model, parse_object(data or b"{}", "the body")))
