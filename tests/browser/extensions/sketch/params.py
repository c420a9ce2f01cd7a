"""What the test's pipelines take: between them every kind of widget."""

from __future__ import annotations

import webui.api as declare


class DrawParams(declare.Params):
    """Parameters of sketch.draw."""

    prompt: str = declare.prompt(label="Prompt", placeholder="Describe the picture", syntax="sketch.quiet")
    negative_prompt: str = declare.prompt(label="Negative prompt", rows=2)
    width: int | None = declare.size(label="Width", auto=128, presets=("128x128", "192x128", "128x192"))
    height: int | None = declare.size(label="Height", auto=128)
    steps: int | None = declare.integer(None, minimum=1, maximum=200, label="Steps", auto=8)
    guidance_scale: float | None = declare.number(
        None, minimum=0.0, maximum=30.0, step=0.1, label="Guidance scale", auto=4.0
    )
    seed: int = declare.seed()
    batch_count: int = declare.integer(1, minimum=1, maximum=16, label="Batch count", group="Batch")
    style: str = declare.choice("plain", {"plain": "Plain", "soft": "Soft"}, label="Style", group="Batch")
    step_s: float = declare.number(0.02, minimum=0.0, maximum=2.0, step=0.01, label="Seconds a step", advanced=True)
    fault: str = declare.choice(
        "none", ["none", "warn", "fail", "raise"], label="Fault", help="What goes wrong", advanced=True
    )


class BlendParams(declare.Params):
    """Parameters of sketch.blend."""

    image: str = declare.image(label="Picture")
    others: tuple[str, ...] = declare.images(label="More pictures")
    strength: float = declare.number(0.5, minimum=0.0, maximum=1.0, label="Strength")
    seed: int = declare.seed()


class EverythingParams(declare.Params):
    """One parameter of each kind."""

    title: str = declare.text("hello", label="Title", placeholder="One line")
    prompt: str = declare.prompt(label="Prompt")
    model: str = declare.model(kind="text_to_image")
    upscaler: str = declare.dynamic_choice("", "upscaler", label="Upscaler")
    moods: tuple[str, ...] = declare.dynamic_choices("sketch.moods", label="Moods")
    origin: str = declare.record("", label="Origin")
    count: int = declare.integer(3, minimum=0, maximum=10, label="Count")
    amount: float = declare.number(0.25, minimum=-1.0, maximum=1.0, label="Amount")
    mode: str = declare.choice("b", ["a", "b", "c", "d"], label="Mode")
    seed: int = declare.seed()
    width: int | None = declare.size(label="Width")
    height: int | None = declare.size(label="Height")
    tiled: bool = declare.boolean(True, label="Tiled", help="In tiles", advanced=True)
    image: str | None = declare.image(label="Picture to paint on", mask="mask")
    mask: str | None = declare.image(label="Mask")
    reference: str | None = declare.image(label="Reference")
    several: tuple[str, ...] = declare.images(label="Several pictures")
    tint: str = declare.colour("#336699", label="Tint")
    sound: str | None = declare.audio(label="Sound")
    archive: str | None = declare.file(label="Archive", accept=[".zip"])
    target: str = declare.folder("here", label="Folder")
    pipeline: str = declare.dynamic_choice("sketch.draw", "pipelines", label="Pipeline")
    parameter: str = declare.dynamic_choice("", "parameters", label="Parameter", of="pipeline")
    settings: declare.ParameterValues = declare.parameters("pipeline", label="Its parameters")
