"""Between the host and the starter's own modules: jobs -> drawings, training runs and measurements as artifacts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from webui.api import Artifact, Context, JobFailed

from .config import BUNDLED, TrainingConfig, load_config
from .dataset import Selection, shown_attributes, write_image_folder
from .params import DrawParams, EvaluateParams, TexturesParams, TrainParams
from .world import draw
from .world.textures import draw_texture, sample_texture

if TYPE_CHECKING:
    from .loop import Hooks

CONFIGS = Path(__file__).resolve().parent / "configs"
_SINGLES = 1000
# What training leaves in its folder, as it is bundled.
MODELS = ("avatar", "judge", "edit", "controlnet", "lora", "upscaler", "faces", "style")


class DrawPipeline:
    """starter.draw: single pictures, or an image folder with an overview."""

    def run(self, params: DrawParams, context: Context) -> Iterator[Artifact]:
        if params.folder:
            yield from self._folder(params, context)
            return
        if params.samples > _SINGLES:
            raise JobFailed(
                f"starter.draw: {params.samples} single pictures were asked for, at most {_SINGLES} are made; "
                "name a folder to write a data set"
            )
        selection = _selection(params)
        for index in context.pending(params.samples):
            seed = params.seed + index
            subject = selection.subject(seed)
            yield Artifact(
                "image",
                draw(subject, params.width),
                index=index,
                seed=seed,
                title=selection.text(subject, seed),
                infotext=shown_attributes(subject),
            )
            context.progress(1, 1, "drawing")

    def _folder(self, params: DrawParams, context: Context) -> Iterator[Artifact]:
        target = Path(params.folder).expanduser()
        written = write_image_folder(
            target,
            samples=params.samples,
            seed=params.seed,
            size=params.width,
            selection=_selection(params),
            progress=lambda done, total: context.progress(done, total, "drawing"),
        )
        # The library takes the file it is given, so it gets a copy and the data set stays whole.
        context.work_dir.mkdir(parents=True, exist_ok=True)
        copied = Path(shutil.copy(written, context.work_dir / written.name))
        yield Artifact("file", copied, index=0, seed=params.seed, title=f"{params.samples} pictures in {target}")


class TexturesPipeline:
    """starter.textures: a picture for each seed."""

    def run(self, params: TexturesParams, context: Context) -> Iterator[Artifact]:
        for index in context.pending(params.samples):
            seed = params.seed + index
            family = None if params.family == "any" else params.family
            texture = sample_texture(seed, family, None if params.scale == "any" else params.scale)
            shown = {"Family": texture.family, "Scale": texture.scale}
            yield Artifact(
                "image",
                draw_texture(texture, params.width),
                index=index,
                seed=seed,
                title=f"{texture.scale} {texture.family}",
                infotext={**shown, "Direction": texture.direction} if texture.direction else shown,
            )
            context.progress(1, 1, "drawing")


class TrainPipeline:
    """starter.train: the stages one after another; every finished stage is kept, and found again by the next run."""

    def run(self, params: TrainParams, context: Context) -> Iterator[Artifact]:
        from .train import STAGES, run_stage

        config = _config(params)
        folder = Path(params.folder).expanduser() if params.folder else context.work_dir / "starter"
        folder.mkdir(parents=True, exist_ok=True)
        hooks = _hooks(context)
        for name in STAGES if params.stage == "all" else (params.stage,):
            context.log.info("starter: stage %s in %s", name, folder)
            run_stage(name, config, folder, hooks)
        index = 0
        for name in STAGES:
            sheets = sorted(folder.glob(f"{name}-*.png"))
            if sheets:
                with Image.open(sheets[-1]) as sheet:
                    yield Artifact(
                        "image", sheet.convert("RGB"), index=index, seed=params.seed, title=f"{name}: last sheet"
                    )
                index += 1
        yield Artifact("table", _curve(folder), index=index, title="Loss")
        for name in MODELS:
            if (folder / name).is_dir():
                index += 1
                packed = shutil.make_archive(str(folder / name), "zip", folder / name)
                yield Artifact("file", Path(packed), index=index, seed=params.seed, title=f"Model directory {name}")


class EvaluatePipeline:
    """starter.evaluate: one JSON of measured quality, and a sheet of pictures."""

    def run(self, params: EvaluateParams, context: Context) -> Iterator[Artifact]:
        from .card import write_card
        from .data import grid
        from .evaluate import evaluate

        shown: list[Image.Image] = []
        numbers = evaluate(
            Path(params.model).expanduser() if params.model else BUNDLED / "avatar",
            Path(params.judge).expanduser() if params.judge else BUNDLED / "judge",
            samples=params.samples,
            steps=params.steps,
            guidance=params.guidance_scale,
            drawings=params.drawings,
            hooks=_hooks(context),
            keep=lambda image, text, seed: shown.append(image) if len(shown) < 64 else None,
        )
        if params.card:
            write_card(Path(params.card).expanduser(), numbers)
        yield Artifact("scalar", numbers, index=0, title="Quality of the starter model")
        yield Artifact("image", grid(shown, 8), index=1, title="Pictures made from held-out captions")


def _selection(params: DrawParams) -> Selection:
    return Selection(params.domain, params.style, params.language, params.full_captions)


def _config(params: TrainParams) -> TrainingConfig:
    path = Path(params.config).expanduser() if params.config else CONFIGS / f"{params.preset}.toml"
    try:
        config = load_config(path)
    except (OSError, ValueError) as error:
        raise JobFailed(f"starter.train: {path} is no training configuration: {error}") from error
    start = "bundled" if params.from_bundled else config.start
    return config.model_copy(update={"seed": params.seed, "start": start})


def _hooks(context: Context) -> Hooks:
    from .loop import Hooks

    return Hooks(
        progress=lambda step, steps, message: context.progress(step, steps, message), check=context.check_cancelled
    )


def _curve(folder: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for log in sorted(folder.glob("*.jsonl")):
        rows += [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [{"stage": r["stage"], "step": r["step"], "loss": r["loss"]} for r in rows]
