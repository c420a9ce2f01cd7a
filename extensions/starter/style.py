"""Stages of their own: textures and drawings -> an encoder whose statistics tell manners apart, and a decoder that
draws what has the content of one picture and the statistics of another (AdaIN, Huang and Belongie 2017).
"""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from .config import StyleConfig, TrainingConfig
from .data import grid, to_image
from .loop import Hooks, Stage, save_atomic, step_generator
from .precision import mixed
from .style_data import HEADS, make_pool
from .style_networks import Decoder, Encoder, Statistics, normal, read_network, statistics, write_network
from .warm import copy_fitting

ENCODER_FILE, DECODER_FILE = "encoder.safetensors", "decoder.safetensors"
START = "style-start.pt"
"""The decoder that gives pictures back as they are: what AdaIN's begins from."""


class Manner(nn.Module):
    """Means and deviations of the coarsest scale -> head -> logits [N, values]: the statistics that AdaIN swaps."""

    def __init__(self, channels: tuple[int | str, ...]) -> None:
        super().__init__()
        widths = [int(c) for c in channels if not isinstance(c, str)]
        self.heads = nn.ModuleDict({n: nn.Linear(2 * widths[-1], len(v)) for n, v in HEADS.items()})

    def forward(self, activations: list[Tensor]) -> dict[str, Tensor]:
        last = activations[-1]
        its = statistics(last)
        told = torch.cat([its.means, its.deviations], dim=1).flatten(1)
        return {name: head(told) for name, head in self.heads.items()}


def train_style_encoder(config: TrainingConfig, folder: Path, hooks: Hooks | None = None) -> Encoder:
    """Train or go on training on manners, and on giving pictures back; writes `folder`/style/encoder.safetensors."""
    part = config.style_encoder
    torch.manual_seed(config.seed + 11)
    encoder, manner, decoder = Encoder(part.channels), Manner(part.channels), Decoder(part.channels)
    modules: dict[str, nn.Module] = {"encoder": encoder, "manner": manner, "decoder": decoder}
    for module in modules.values():
        module.to(config.device)
    stage = Stage("style_encoder", modules, folder, part, config)
    stage.resume()
    pool = make_pool(part, config.size)

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = step_generator(config.seed, "style_encoder", step)
        places = pool.some(part.batch, part.textures, generator)
        pictures = pool.crops(places, part.crop, generator).to(config.device)
        with mixed(pictures.device):
            activations = encoder(pictures)
            logits, back = manner(activations), decoder(activations[-1])
        wrong = _wrong(logits, pool.rows[places].to(config.device))
        lost = (back.float() - pictures).abs().mean()
        return wrong + part.reconstruction * lost, {"manners": float(wrong.detach()), "l1": float(lost.detach())}

    stage.run(loss_at, hooks or Hooks())
    with stage.average:
        some = pool.crops(torch.arange(0, len(pool.pixels), -(-len(pool.pixels) // 256)), part.crop, torch.Generator())
        scale = encoder.equalise(some.to(config.device))
        with torch.no_grad():  # the decoder still reads what it was trained on
            decoder.features[0].weight.mul_(scale[None, :, None, None])  # type: ignore[operator, union-attr]
        write_network(folder / "style" / ENCODER_FILE, encoder.eval())
        save_atomic({"decoder": decoder.state_dict()}, folder / START)
    return encoder


def _wrong(logits: dict[str, Tensor], rows: Tensor) -> Tensor:
    """Cross-entropy over the heads; a picture without a direction says nothing of it."""
    losses = []
    for place, name in enumerate(HEADS):
        truth = rows[:, place]
        if (truth >= 0).any():
            losses.append(functional.cross_entropy(logits[name].float(), truth, ignore_index=-1))
    return torch.stack(losses).sum()


def train_style(config: TrainingConfig, folder: Path, hooks: Hooks | None = None) -> Decoder:
    """Train or go on training the decoder of AdaIN; writes `folder`/style/decoder.safetensors."""
    part = config.style
    torch.manual_seed(config.seed + 12)
    encoder = read_network(folder / "style" / ENCODER_FILE)
    assert isinstance(encoder, Encoder)
    decoder = Decoder(encoder.channels, part.skips)
    _begin(decoder, config, folder)
    # Where channels lie together convolutions this narrow are a tenth faster on a processor.
    encoder, decoder = (one.to(config.device, memory_format=torch.channels_last) for one in (encoder, decoder))
    stage = Stage("style", {"decoder": decoder}, folder, part, config)
    stage.resume()
    pool = make_pool(part, config.size)

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = step_generator(config.seed, "style", step)
        content = pool.crops(pool.some(part.batch, 0.15, generator), part.crop, generator).to(config.device)
        style = pool.crops(pool.some(part.batch, part.textures, generator), part.crop, generator).to(config.device)
        # Some are to come back as they are: what the statistics do not say is learnt from these.
        style[: part.identity] = content[: part.identity]
        with mixed(content.device):
            return _losses(encoder, decoder, content, style, part)

    def after(step: int) -> None:
        if step % config.grid_every == 0 or step == part.steps:
            with stage.average:
                sheet(encoder, decoder, part, config).save(folder / f"style-{step:06d}.png")

    stage.run(loss_at, hooks or Hooks(), after)
    with stage.average:
        write_network(folder / "style" / DECODER_FILE, decoder.eval())
    return decoder


def _begin(decoder: Decoder, config: TrainingConfig, folder: Path) -> None:
    """What gives pictures back as they are, or the decoder to begin from; skips that it lacks start without effect."""
    begun = config.start_folder
    if begun is not None and (begun / "style" / DECODER_FILE).is_file():
        state = read_network(begun / "style" / DECODER_FILE).state_dict()
    else:
        state = torch.load(folder / START, map_location="cpu", weights_only=True)["decoder"]
    copy_fitting(decoder, state)


def stylised(encoder: Encoder, decoder: Decoder, kept: list[Tensor], wanted: list[Statistics]) -> tuple[Tensor, Tensor]:
    """Pictures with the content of ``kept``, activations of all taps without their statistics from fine to coarse, and
    the statistics ``wanted``; and the last scale that they were drawn from.
    """
    targets = {tap: one * its.deviations + its.means for tap, one, its in zip(encoder.taps, kept, wanted, strict=True)}
    last = targets[encoder.taps[-1]]
    return decoder(last, [targets[tap] for tap in decoder.taken]), last


def _losses(
    encoder: Encoder, decoder: Decoder, content: Tensor, style: Tensor, part: StyleConfig
) -> tuple[Tensor, dict[str, float]]:
    """Huang and Belongie 2017, equations 11 to 13; the Gram matrices of Gatys et al. 2016; the activations of the two
    coarsest scales without their statistics (Park and Lee, Style-Attentional Networks, 2019, equation 6); and the
    difference of those that are to come back as they are.
    """
    with torch.no_grad():
        kept = [normal(one, statistics(one)) for one in encoder(content)]
        wanted = [statistics(one) for one in encoder(style)]
    made, target = stylised(encoder, decoder, kept, wanted)
    found = encoder(made)
    has = [statistics(one) for one in found]
    nothing = made.new_zeros(()).float()
    styled, grams = nothing, nothing
    for ours, theirs in zip(has, wanted, strict=True):
        styled = styled + functional.mse_loss(ours.means, theirs.means)
        styled = styled + functional.mse_loss(ours.deviations, theirs.deviations)
        sizes = theirs.grams.square().mean(dim=(1, 2)).clamp(min=1e-4)
        grams = grams + ((ours.grams - theirs.grams).square().mean(dim=(1, 2)) / sizes).mean() / len(found)
    same = (made[: part.identity] - content[: part.identity]).abs().mean() if part.identity else nothing
    parts = {
        "content": functional.mse_loss(found[-1].float(), target.float()),
        "style": styled,
        "gram": grams,
        "detail": sum((functional.mse_loss(normal(found[-k], has[-k]), kept[-k]) for k in (1, 2)), nothing),
        "same": same,
    }
    weights = (1.0, part.style_weight, part.gram_weight, part.detail_weight, part.identity_weight)
    loss = sum((weight * one for weight, one in zip(weights, parts.values(), strict=True)), nothing)
    return loss, {name: float(one.detach()) for name, one in parts.items()}


@torch.no_grad()
def sheet(encoder: Encoder, decoder: Decoder, part: StyleConfig, config: TrainingConfig) -> Image.Image:
    """Held-out drawings at the left, held-out textures above, each drawing in the manner of each texture between."""
    pool = make_pool(part, config.size, held_out=6)
    both = torch.from_numpy(pool.pixels).permute(0, 3, 1, 2).float().div(127.5).sub(1).to(config.device)
    styles, contents = both[:6], both[6:]
    wanted = [statistics(one) for one in encoder(styles)]
    cells = [Image.new("RGB", (config.size, config.size), (255, 255, 255)), *(to_image(one) for one in styles)]
    for content in contents:
        kept = [normal(one, statistics(one)) for one in encoder(content.expand_as(styles))]
        made, _ = stylised(encoder, decoder, kept, wanted)
        cells += [to_image(content), *(to_image(one) for one in made)]
    return grid(cells, 7)
