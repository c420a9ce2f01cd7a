"""A stage of its own: drawn pictures and their degraded small copies -> compact upscalers, one for each scale.

The layout is Real-ESRGAN's compact generator (Wang et al. 2021, "SRVGGNetCompact"): convolutions with PReLU at low
resolution, one pixel shuffle, added to the nearest-neighbour picture. Programs that read that layout read these files.
"""

from __future__ import annotations

import io
from pathlib import Path

import torch
from PIL import Image, ImageFilter
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from .config import TrainingConfig, UpscalerConfig
from .data import HELD_OUT, grid, subjects_at, to_image, to_tensor
from .drawing import draw_all, picture
from .loop import Hooks, Stage, step_generator
from .precision import mixed
from .warm import warm_start
from .world import Subject, draw


class CompactUpscaler(nn.Module):
    """float32 [N,3,h,w] in 0..1 -> [N,3,scale*h,scale*w], about 0..1."""

    def __init__(self, features: int, convolutions: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        body: list[nn.Module] = [nn.Conv2d(3, features, 3, padding=1), nn.PReLU(features)]
        for _ in range(convolutions):
            body += [nn.Conv2d(features, features, 3, padding=1), nn.PReLU(features)]
        for layer in body[::2]:
            # He et al. 2015 for PReLU's slope of 0.25; torch's own start fades to nothing in so deep a plain chain.
            nn.init.kaiming_normal_(layer.weight, a=0.25)
            nn.init.zeros_(layer.bias)
        last = nn.Conv2d(features, 3 * scale * scale, 3, padding=1)
        # Begins as the nearest-neighbour picture.
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.body = nn.ModuleList([*body, last])

    def forward(self, images: Tensor) -> Tensor:
        out = images
        for layer in self.body:
            out = layer(out)
        base = functional.interpolate(images, scale_factor=self.scale, mode="nearest")
        return functional.pixel_shuffle(out, self.scale) + base


def train_upscalers(config: TrainingConfig, folder: Path, hooks: Hooks | None = None) -> Path:
    """Train or go on training every scale; writes `folder`/upscaler/starter-x<scale>.safetensors."""
    for scale in config.upscaler.scales:
        _train_scale(config, folder, scale, hooks or Hooks())
    return folder / "upscaler"


def _train_scale(config: TrainingConfig, folder: Path, scale: int, hooks: Hooks) -> None:
    part, name = config.upscaler, f"upscaler-x{scale}"
    torch.manual_seed(config.seed + 10 + scale)
    model = CompactUpscaler(part.features, part.convolutions, scale)
    warm_start(model, config, "upscaler", file=file_name(scale), optional=True)
    model.to(config.device)
    stage = Stage(name, {"upscaler": model}, folder, part, config)
    stage.resume()

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        low, high = upscaling_batch(config, step, scale)
        low, high = low.to(config.device), high.to(config.device)
        with mixed(low.device):
            made = model(low).float()
        # Charbonnier's penalty (Lai et al. 2017): L1 with a smooth foot.
        loss = ((made - high).square() + 1e-6).sqrt().mean()
        return loss, {"psnr_db": float(psnr_db(made.detach(), high).mean())}

    def after(step: int) -> None:
        if step % config.grid_every == 0 or step == part.steps:
            with stage.average:
                sheet(model, config, scale).save(folder / f"{name}-{step:06d}.png")

    stage.run(loss_at, hooks, after)
    with stage.average:
        save_upscaler(model, folder / "upscaler" / file_name(scale))


def file_name(scale: int) -> str:
    """The file of one scale's weights."""
    return f"starter-x{scale}.safetensors"


def upscaling_batch(config: TrainingConfig, step: int, scale: int) -> tuple[Tensor, Tensor]:
    """Small and large crops: float32 [N,3,crop/scale,crop/scale] and [N,3,crop,crop] in 0..1."""
    part = config.upscaler
    generator = step_generator(config.seed, f"upscaler-x{scale}", step)
    low, high = [], []
    subjects = subjects_at(HELD_OUT // 8 + step * part.batch, part.batch)
    for drawn in draw_all(subjects, config.size, picture):
        corner = torch.randint(0, config.size - part.crop + 1, (2,), generator=generator)
        x, y = corner.tolist()
        large = Image.fromarray(drawn).crop((x, y, x + part.crop, y + part.crop))
        high.append(_unit(large))
        low.append(_unit(shrink(large, scale, part, generator)))
    return torch.stack(low), torch.stack(high)


def shrink(large: Image.Image, scale: int, part: UpscalerConfig, generator: torch.Generator | None) -> Image.Image:
    """An antialiased small copy; with a generator, some have a little blur, noise or JPEG marks."""
    side = large.width // scale
    filters = (Image.Resampling.BOX, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
    if generator is None:
        return large.resize((side, side), Image.Resampling.BICUBIC)
    u = torch.rand(5, generator=generator).tolist()
    if u[0] < part.degraded and u[1] < 0.4:
        large = large.filter(ImageFilter.GaussianBlur(0.8 * u[2]))
    small = large.resize((side, side), filters[int(u[3] * len(filters))])
    if u[0] >= part.degraded:
        return small
    if u[4] < 0.4:
        pixels = _unit(small)
        pixels = pixels + 0.02 * u[2] * torch.randn(pixels.shape, generator=generator)
        return to_image(pixels * 2 - 1)
    if u[4] < 0.8:
        packed = io.BytesIO()
        small.save(packed, format="JPEG", quality=60 + round(35 * u[2]))
        return Image.open(packed).convert("RGB")
    return small


def save_upscaler(model: CompactUpscaler, path: Path) -> None:
    """Half-precision weights under the names that readers of the compact layout expect."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().half().cpu().contiguous() for k, v in model.state_dict().items()}, path)


def load_upscaler(path: Path) -> CompactUpscaler:
    """An upscaler in evaluation mode, its shape read from its weights."""
    weights = {k: v.float() for k, v in load_file(path).items()}
    last = max(int(k.split(".")[1]) for k in weights)
    scale = round((weights[f"body.{last}.bias"].numel() / 3) ** 0.5)
    model = CompactUpscaler(weights["body.0.weight"].shape[0], last // 2 - 1, scale)
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False)


@torch.no_grad()
def compare_with_bicubic(model: CompactUpscaler, subjects: list[Subject], size: int) -> dict[str, float]:
    """Mean PSNR in dB of `model` and of bicubic resizing over drawings shrunk without degradations."""
    part, own, bicubic = UpscalerConfig(), [], []
    for subject in subjects:
        large = draw(subject, size)
        small, truth = shrink(large, model.scale, part, None), _unit(large)[None]
        own.append(float(psnr_db(model(_unit(small)[None]).clamp(0, 1), truth)))
        bicubic.append(float(psnr_db(_unit(small.resize(large.size, Image.Resampling.BICUBIC))[None], truth)))
    return {"psnr_db": sum(own) / len(own), "bicubic_psnr_db": sum(bicubic) / len(bicubic)}


def psnr_db(made: Tensor, truth: Tensor) -> Tensor:
    """float32 [N,3,H,W] in 0..1, twice -> [N] peak signal-to-noise ratios in dB."""
    return -10 * torch.log10((made - truth).square().mean(dim=(1, 2, 3)).clamp(min=1e-10))


@torch.no_grad()
def sheet(model: CompactUpscaler, config: TrainingConfig, scale: int) -> Image.Image:
    """Held-out drawings: enlarged by bicubic resizing above, by the network in the middle, as drawn below."""
    large = [draw(s, config.size) for s in subjects_at(HELD_OUT, 6)]
    small = [shrink(image, scale, config.upscaler, None) for image in large]
    device = next(model.parameters()).device
    made = model(torch.stack([_unit(s) for s in small]).to(device)).cpu()
    bicubic = [s.resize((config.size, config.size), Image.Resampling.BICUBIC) for s in small]
    return grid([*bicubic, *(to_image(m * 2 - 1) for m in made), *large], len(large))


def _unit(image: Image.Image) -> Tensor:
    """RGB picture -> float32 [3,H,W] in 0..1."""
    return to_tensor(image).add(1).div(2)
