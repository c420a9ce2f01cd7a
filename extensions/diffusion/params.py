"""What the diffusion pipelines can be asked, as forms, routes and the command line read it; imports nothing heavy."""

from __future__ import annotations

# The fields have the names of the functions that declare them.
import webui.api as declare

from .params_adapters import Adapted, Controlled, ImagePrompted

SAMPLERS = (
    "Automatic",
    "Euler",
    "Euler a",
    "DPM++ 2M",
    "DPM++ 2M SDE",
    "DPM++ SDE",
    "DPM++ 2S",
    "DPM++ 3M",
    "DDIM",
    "UniPC",
    "LCM",
    "TCD",
    "Heun",
    "DPM2",
    "DPM2 a",
    "LMS",
    "PNDM",
    "DEIS",
    "DDPM",
)
"""Automatic is the sampler that the model's makers chose."""

SCHEDULES = ("Automatic", "Karras", "Exponential", "Beta", "SGM Uniform", "Simple", "Normal", "DDIM")
"""How the noise levels are spread over the steps."""

QUANTIZATIONS = {
    "none": "None",
    "torchao_int8": "torchao int8",
    "torchao_float8": "torchao float8",
    "quanto_int8": "quanto int8",
    "quanto_int4": "quanto int4",
    "bitsandbytes_int8": "bitsandbytes int8",
    "bitsandbytes_nf4": "bitsandbytes NF4",
}
"""How the denoiser's matrices are kept; ``quantizing.BACKENDS`` has the same keys."""

ATTENTION = {
    "auto": "Automatic",
    "native": "torch",
    "sliced": "Sliced",
    "_native_flash": "torch flash",
    "_native_efficient": "torch efficient",
    "_native_cudnn": "torch cuDNN",
    "xformers": "xFormers",
    "sage": "SageAttention",
    "_flash_3": "FlashAttention 3",
}
"""Attention backends under diffusers' names; sliced is the last resort of little memory."""

GUIDANCE_METHODS = {
    "plain": "Plain (CFG)",
    "zero": "CFG-Zero*",
    "projected": "Projected (APG)",
    "tangential": "Tangential (TCFG)",
}
"""How the answers to prompt and negative prompt become one; ``compute.guiding`` has the same keys."""

PERTURBATIONS = {
    "none": "None",
    "pag": "Perturbed attention (PAG)",
    "slg": "Skipped layers (SLG)",
    "seg": "Smoothed energy (SEG)",
}
"""How the model is made worse, to be led away from what it then draws; ``compute.weakening`` has the same keys."""

PRECISIONS = ("Automatic", "float32", "bfloat16", "float16")

EXAMPLES = (
    {
        "title": "Red hair and glasses",
        "prompt": "a smiling person with long red hair and glasses, blue background",
        "seed": 1,
    },
    {
        "title": "A friend in a hat",
        "prompt": "a happy person with short black hair and a green hat, yellow background",
        "seed": 7,
    },
    {
        "title": "Sunglasses and a beard",
        "prompt": "a person with a brown beard, curly hair and sunglasses, pink background",
        "seed": 3,
    },
)
SIZE_PRESETS = ("512x512", "768x768", "1024x1024", "832x1216", "1216x832")


class Prompted(declare.Params):
    """What is drawn, and by which model."""

    prompt: str = declare.prompt(
        label="Prompt", help="What the picture shows", placeholder="Describe the picture", syntax="diffusion.prompt"
    )
    negative_prompt: str = declare.prompt(
        label="Negative prompt", help="What it should not show", rows=2, syntax="diffusion.prompt", negative=True
    )
    model: str = declare.model(kind="text_to_image", help="Empty: the first model of this kind")
    styles: tuple[str, ...] = declare.dynamic_choices(
        "diffusion.styles",
        label="Styles",
        group="Styles",
        help="Saved pieces of prompts that are put around these, in this order",
        edited_at="/ext/diffusion/styles",
    )


class Sized(declare.Params):
    """A size of one's own choice."""

    width: int | None = declare.size(
        label="Width", help="In pixels; empty: the model's own, else 512", presets=SIZE_PRESETS
    )
    height: int | None = declare.size(label="Height", help="In pixels; empty: the model's own, else 512")


class Sampled(declare.Params):
    """How noise becomes a picture."""

    steps: int | None = declare.integer(
        None,
        minimum=1,
        maximum=200,
        label="Steps",
        auto=20,
        help="More are slower and finer; empty: the model's own, else 20",
    )
    guidance_scale: float | None = declare.number(
        None,
        minimum=0.0,
        maximum=30.0,
        step=0.1,
        label="Guidance scale",
        auto=7.0,
        help="How closely the picture follows the prompt; empty: the model's own, else 7",
    )
    sampler: str = declare.choice(
        "Automatic", SAMPLERS, label="Sampler", group="Sampling", help="Automatic: the model's own"
    )
    schedule: str = declare.choice(
        "Automatic", SCHEDULES, label="Schedule", group="Sampling", help="How noise levels are spread over the steps"
    )
    seed: int = declare.seed(help="-1 draws one at random; picture i of a job has seed + i")
    clip_skip: int = declare.integer(
        1,
        minimum=1,
        maximum=12,
        label="Clip skip",
        group="Prompt",
        advanced=True,
        help="Which layer of CLIP is read, counted from the last; SDXL begins at 2",
    )


class Varied(declare.Params):
    """How noise and guidance are changed."""

    variation_strength: float = declare.number(
        0.0,
        minimum=0.0,
        maximum=1.0,
        label="Variation strength",
        group="Variation",
        advanced=True,
        help="Above 0 all pictures share the seed and are turned so far towards their variation seed",
    )
    variation_seed: int = declare.seed(
        0,  # nothing drawn at random: a picture without variations has the same recipe each time
        label="Variation seed",
        group="Variation",
        advanced=True,
        help="-1 draws one at random; picture i has it + i",
    )
    guidance_method: str = declare.choice(
        "plain",
        GUIDANCE_METHODS,
        label="Guidance method",
        group="Sampling",
        advanced=True,
        help="Zero*: the negative answer is scaled to the positive one. Projected: less saturation at high scales. "
        "Tangential: what both answers share is damped",
    )
    guidance_rescale: float = declare.number(
        0.0,
        minimum=0.0,
        maximum=1.0,
        label="Guidance rescale",
        group="Sampling",
        advanced=True,
        help="Takes back the contrast that much guidance adds, by any method; 0.7 suits v-prediction",
    )
    perturbation: str = declare.choice(
        "none",
        PERTURBATIONS,
        label="Led away from a worse model",
        group="Sampling",
        advanced=True,
        help="Each step also asks the model with its middle blocks disturbed, and moves away from that answer: clearer "
        "forms, half as slow again. Beside the guidance method; for Stable Diffusion, PixArt, Hunyuan-DiT and Kolors",
    )
    perturbation_scale: float = declare.number(
        3.0, minimum=0.0, maximum=15.0, step=0.1, label="How far", group="Sampling", advanced=True, help="0: not at all"
    )
    perturbation_start: float = declare.number(
        0.0, minimum=0.0, maximum=1.0, step=0.01, label="From this share of the steps", group="Sampling", advanced=True
    )
    perturbation_end: float = declare.number(
        1.0,
        minimum=0.0,
        maximum=1.0,
        step=0.01,
        label="To this share of the steps",
        group="Sampling",
        advanced=True,
        help="Stable Diffusion 3.5 skips layers from 0.01 to 0.2",
    )


class Batched(declare.Params):
    """How many pictures."""

    batch_size: int = declare.integer(
        1, minimum=1, maximum=16, label="Batch size", group="Batch", help="Pictures made at once"
    )
    batch_count: int = declare.integer(
        1, minimum=1, maximum=100, label="Batch count", group="Batch", help="How many such batches"
    )


class Computed(declare.Params):
    """How the device computes it."""

    attention: str = declare.choice(
        "auto",
        ATTENTION,
        label="Attention",
        group="Speed",
        advanced=True,
        help="Automatic: the one of the settings, else torch's own; another is tried first",
    )
    precision: str = declare.choice(
        "Automatic",
        PRECISIONS,
        label="Precision",
        group="Speed",
        advanced=True,
        help="Automatic: the device's. A picture differs a little between precisions",
    )
    vae_tiling: bool = declare.boolean(
        False, label="VAE in tiles", group="Speed", advanced=True, help="Less memory for large pictures; seams may show"
    )
    compile: bool = declare.boolean(
        False, label="Compile", group="Speed", advanced=True, help="Slow the first time, then faster; needs a compiler"
    )
    channels_last: bool = declare.boolean(
        False, label="Channels last", group="Speed", advanced=True, help="A memory layout that some devices prefer"
    )
    storage_8bit: bool = declare.boolean(
        False, label="Weights in 8 bits", group="Speed", advanced=True, help="Half the memory; the picture changes"
    )
    quantization: str = declare.choice(
        "none",
        QUANTIZATIONS,
        label="Quantization",
        group="Speed",
        advanced=True,
        help="The denoiser in 8 or 4 bits, by a package that you installed; the picture changes",
    )
    step_cache: bool = declare.boolean(
        False,
        label="Reuse steps",
        group="Speed",
        advanced=True,
        help="Skips blocks that changed little since the last step; the picture changes",
    )
    step_forecast: bool = declare.boolean(
        False,
        label="Forecast steps",
        group="Speed",
        advanced=True,
        help="Computes every third step in full and extrapolates those between; the picture changes",
    )


HIRES_LATENT = {
    "latent": ("bilinear", False),
    "latent (antialiased)": ("bilinear", True),
    "latent (bicubic)": ("bicubic", False),
    "latent (nearest-exact)": ("nearest-exact", False),
}
"""Ways to enlarge latents: torch's mode of interpolation, and whether it is antialiased."""
HIRES_MODES = {
    "latent": "Latent",
    "latent (antialiased)": "Latent, smooth",
    "latent (bicubic)": "Latent, bicubic",
    "latent (nearest-exact)": "Latent, nearest",
    "lanczos": "Lanczos",
}
REFINER_KINDS = "image_to_image|text_to_image"


class Hires(declare.Params):
    """Passes over the finished picture."""

    hires_scale: float = declare.number(
        1.0,
        minimum=1.0,
        maximum=4.0,
        step=0.05,
        label="Hires scale",
        group="Hires fix",
        advanced=True,
        help="Above 1 the picture is enlarged so far and drawn over",
    )
    hires_mode: str = declare.choice(
        "latent", HIRES_MODES, label="Enlarged by", group="Hires fix", advanced=True, help="Latents want more strength"
    )
    hires_upscaler: str = declare.dynamic_choice(
        "",
        "upscaler",
        label="Upscaler",
        group="Hires fix",
        advanced=True,
        help="A network that enlarges in place of the way above",
    )
    hires_strength: float = declare.number(
        0.7,
        minimum=0.05,
        maximum=1.0,
        label="Hires strength",
        group="Hires fix",
        advanced=True,
        help="How far the second pass may go",
    )
    hires_steps: int = declare.integer(
        0, minimum=0, maximum=200, label="Hires steps", group="Hires fix", advanced=True, help="0: as many as the first"
    )
    hires_sampler: str = declare.choice(
        "Same", ("Same", *SAMPLERS), label="Hires sampler", group="Hires fix", advanced=True
    )
    refiner: str = declare.dynamic_choice(
        "",
        REFINER_KINDS,
        label="Refiner",
        group="Refiner",
        advanced=True,
        help="Another model that goes over the picture, such as SDXL's refiner",
    )
    refiner_strength: float = declare.number(
        0.2, minimum=0.0, maximum=1.0, label="Refiner strength", group="Refiner", advanced=True
    )
    refiner_start: float = declare.number(
        1.0,
        minimum=0.1,
        maximum=1.0,
        step=0.05,
        label="Refiner takes over at",
        group="Refiner",
        advanced=True,
        help="Below 1 it goes on from the unfinished picture there, where both models can, as SDXL's",
    )


class Settled(declare.Params):
    """What a picture's prompts were made from, in its recipe: they hold what styles and wildcards came to."""

    prompt_template: str = declare.record("", label="Prompt as typed")
    negative_template: str = declare.record("", label="Negative prompt as typed")
    applied_styles: tuple[str, ...] = declare.record((), label="Styles that were put on")


class Made(Computed, ImagePrompted, Controlled, Adapted, Batched, Varied, Sampled):
    """How a picture is made, whatever it shows and begins with."""


class Drawn(Settled, Made, Prompted):
    """What every pipeline that draws is asked, whatever it begins with."""


class Txt2Img(Drawn, Made, Hires, Sized, Prompted):
    """Text to image. The bases stand in this order because fields do, from the last to the first."""


class DiffusionSettings(declare.Params):
    """Settings of the extension."""

    default_text_to_image: str = declare.model(
        kind="text_to_image", label="Default model", help="Used where a request names none; empty: the starter"
    )
    attention: str = declare.choice(
        "auto", ATTENTION, label="Attention", help="What Automatic means; Automatic itself means torch's own"
    )
