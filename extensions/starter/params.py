"""What the starter's pipelines take, declared once; light, read by the web process."""

from __future__ import annotations

from webui.api import Params, boolean, choice, folder, integer, number, seed, size, text


class DrawParams(Params):
    """Parameters of starter.draw."""

    samples: int = integer(
        16, minimum=1, maximum=1_000_000, label="Pictures", help="Picture i is the drawing of seed + i"
    )
    domain: str = choice("any", {"any": "Both", "avatar": "Avatars", "scene": "Scenes"}, label="What is drawn")
    style: str = choice(
        "any",
        {
            "any": "Any style",
            "flat": "Flat colours",
            "sketch": "Pencil sketch",
            "watercolour": "Watercolour",
            "pixel": "Pixel art",
            "halftone": "Halftone print",
        },
        label="Style",
    )
    language: str = choice(
        "en",
        {"en": "English", "zh": "Chinese", "any": "Both"},
        label="Language of captions",
        help="Both: one caption in five is Chinese",
    )
    width: int = size(128, label="Size", minimum=16, maximum=1024, help="Side of the square picture in pixels")
    seed: int = seed()
    full_captions: bool = boolean(False, label="Full captions", help="Name every attribute that the picture shows")
    folder: str = folder(
        label="Data set folder",
        help="Write an image folder with metadata.jsonl here instead of single results; needed above 1,000 pictures",
    )


class TexturesParams(Params):
    """Parameters of starter.textures."""

    samples: int = integer(12, minimum=1, maximum=1000, label="Pictures", help="Picture i is the texture of seed + i")
    family: str = choice(
        "any",
        {
            "any": "Any family",
            "waves": "Waves",
            "hatching": "Hatching",
            "bricks": "Bricks",
            "dots": "Dots",
            "cells": "Mosaic",
            "marble": "Marble",
            "clouds": "Clouds",
            "contours": "Contour lines",
            "strokes": "Brush strokes",
            "stipple": "Stipple",
            "weave": "Weave",
            "swirls": "Swirls",
        },
        label="Family",
    )
    scale: str = choice("any", {"any": "Any", "fine": "Fine", "medium": "Medium", "coarse": "Coarse"}, label="Scale")
    width: int = size(256, label="Size", minimum=16, maximum=2048, help="Side of the square picture in pixels")
    seed: int = seed()


class TrainParams(Params):
    """Parameters of starter.train."""

    preset: str = choice(
        "cpu", {"cpu": "CPU, a few hours", "cuda": "CUDA GPU", "tiny": "A few steps, to see it run"}, label="Preset"
    )
    stage: str = choice(
        "all",
        {
            "all": "All",
            "autoencoder": "Autoencoder",
            "judge": "Judge",
            "denoiser": "Denoiser",
            "decoder": "Decoder polish",
            "text": "Text encoder",
            "upscaler": "Upscalers",
            "faces": "Faces, landmarks and parts",
            "style_encoder": "Encoder of style transfer",
            "style": "Decoder of style transfer",
            "edit": "Instruction editing",
            "lora": "LoRA of each drawing style",
            "controlnet": "ControlNet of line drawings",
        },
        label="Stage",
        advanced=True,
    )
    config: str = text(label="Configuration file", help="A TOML file that replaces the preset", advanced=True)
    from_bundled: bool = boolean(
        False,
        label="Begin with the bundled weights",
        help="What fits is copied, what is new starts untrained; a checkpoint in the folder comes first",
    )
    folder: str = folder(
        label="Training folder",
        help="Checkpoints and sheets stay here, and a later run goes on from them; empty: with the job",
    )
    seed: int = seed(0)


class EvaluateParams(Params):
    """Parameters of starter.evaluate."""

    samples: int = integer(512, minimum=8, maximum=10_000, label="Held-out captions")
    steps: int = integer(20, minimum=1, maximum=200, label="Steps")
    guidance_scale: float = number(4.0, minimum=1.0, maximum=30.0, step=0.5, label="Guidance scale")
    drawings: int = integer(
        5000,
        minimum=32,
        maximum=100_000,
        label="Drawings to compare with",
        help="How many drawn pictures the generated ones are compared with as sets",
        advanced=True,
    )
    model: str = folder(label="Model directory", help="Empty: the bundled starter model", advanced=True)
    judge: str = folder(label="Judge directory", help="Empty: the bundled judge", advanced=True)
    card: str = text(label="Model card", help="Write the model card with these numbers to this file", advanced=True)
