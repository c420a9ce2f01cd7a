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
from .style_networks import Decoder, Encoder, adain, deviations, means, read_network, write_network

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
        told = torch.cat([means(last), deviations(last)], dim=1).flatten(1)
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
    encoder = read_network(folder / "style" / ENCODER_FILE).to(config.device)
    assert isinstance(encoder, Encoder)
    decoder = Decoder(encoder.channels)
    decoder.load_state_dict(torch.load(folder / START, map_location="cpu", weights_only=True)["decoder"])
    decoder.to(config.device)
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


def _losses(
    encoder: Encoder, decoder: Decoder, content: Tensor, style: Tensor, part: StyleConfig
) -> tuple[Tensor, dict[str, float]]:
    """Huang and Belongie 2017, equations 11 to 13, and the difference of those that are to come back as they are."""
    with torch.no_grad():
        wanted = encoder(style)
        target = adain(encoder(content)[-1], wanted[-1])
    made = decoder(target)
    found = encoder(made)
    kept = functional.mse_loss(found[-1].float(), target.float())
    styled = sum(
        functional.mse_loss(means(ours), means(theirs)) + functional.mse_loss(deviations(ours), deviations(theirs))
        for ours, theirs in zip(found, wanted, strict=True)
    )
    assert isinstance(styled, Tensor)
    same = (made[: part.identity] - content[: part.identity]).abs().mean() if part.identity else made.new_zeros(())
    told = {"content": float(kept.detach()), "style": float(styled.detach()), "same": float(same.detach())}
    return kept + part.style_weight * styled + part.identity_weight * same, told


@torch.no_grad()
def sheet(encoder: Encoder, decoder: Decoder, part: StyleConfig, config: TrainingConfig) -> Image.Image:
    """Held-out drawings at the left, held-out textures above, each drawing in the manner of each texture between."""
    pool = make_pool(part, config.size, held_out=6)
    both = torch.from_numpy(pool.pixels).permute(0, 3, 1, 2).float().div(127.5).sub(1).to(config.device)
    styles, contents = both[:6], both[6:]
    wanted, kept = encoder(styles)[-1], encoder(contents)[-1]
    cells = [Image.new("RGB", (config.size, config.size), (255, 255, 255)), *(to_image(one) for one in styles)]
    for content, activations in zip(contents, kept, strict=True):
        made = decoder(adain(activations[None].expand_as(wanted), wanted))
        cells += [to_image(content), *(to_image(one) for one in made)]
    return grid(cells, 7)
