"""First station of training: a TOML file -> TrainingConfig. Light: pydantic and the standard library."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

BUNDLED = Path(__file__).resolve().parents[2] / "models" / "starter"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StageConfig(_Part):
    """What every stage's optimisation needs."""

    steps: int = Field(1000, ge=1)
    batch: int = Field(32, ge=1)
    rate: float = 1e-3
    matrix_rate: float = Field(
        0.0, ge=0, description="Rate of Muon for the matrices between hidden features, convolutions too; 0: AdamW alone"
    )
    decay: float = Field(0.3, description="Share of the steps, at the end, in which the rate falls to zero")
    ema: float = Field(0.99, description="Decay of the weights' moving average, which is what a stage leaves")


class AutoencoderConfig(StageConfig):
    """The f8 autoencoder's shape and training."""

    channels: tuple[int, ...] = (16, 32, 64, 96)
    layers: int = 1
    groups: int = Field(2, description="Norm groups; few, because many small groups wash flat colours out")
    latent_channels: int = 8
    steps: int = Field(8000, ge=1)
    crop_steps: float = Field(
        0.65, ge=0, le=1, description="Share of the steps that see 64-pixel crops, the rest whole pictures"
    )
    crop: int = 64
    crop_batch: int = 16
    batch: int = 8
    rate: float = 1.5e-3
    ema: float = 0.998
    kl: float = 2e-4
    feature_weight: float = Field(3.0, description="Extra weight of eyes, mouth, beard and eyewear in the loss")
    edge: float = Field(0.5, description="Weight of the edge term")
    whiten_samples: int = Field(512, ge=32, description="Drawings that the latents' mean and covariance come from")
    coarse: float = Field(4.0, description="Weight of the 8x8 means: without it colour is learned long after shape")


class DecoderConfig(StageConfig):
    """The decoder's further training on whole pictures, encoder and latents kept."""

    steps: int = Field(2000, ge=1)
    batch: int = 8
    decay: float = 0.5
    ema: float = 0.995
    pool: int = Field(4000, ge=1, description="Pictures of the whole world, encoded once")
    noise: float = Field(0.05, description="Noise on the (unit variance) latents, so that near misses decode well too")


class TextConfig(StageConfig):
    """The text encoder's training on captions alone."""

    steps: int = Field(800, ge=1)
    batch: int = 64
    decay: float = 0.4
    instructions: float = Field(0.25, ge=0, le=1, description="Share of a batch that are instructions for edits")


class DenoiserConfig(StageConfig):
    """The text encoder's and the UNet's shape, and the UNet's training on whitened latents."""

    channels: tuple[int, ...] = (64, 128, 128)
    layers: int = 1
    head_dim: int = 32
    text_width: int = 192
    text_layers: int = 3
    text_hidden: int = 384
    pool: int = Field(20000, description="Drawn pictures encoded once; captions are worded anew every time")
    steps: int = Field(3000, ge=1)
    batch: int = 64
    ema: float = 0.998
    caption_drop: float = 0.1
    min_snr_gamma: float = Field(
        0.0,
        description="Min-SNR weights, 0 for none: captions decide at high noise, where these are small",
    )
    high_noise: float = Field(
        0.6, ge=0, le=1, description="Share of a batch from time step `high_noise_from` on: only there does text decide"
    )
    high_noise_from: int = Field(
        450, ge=0, lt=1000, description="Eyewear is decided above 700, the small mouth further down"
    )
    feature_weight: float = Field(12.0, description="Extra weight of eyes, mouth and eyewear in the loss")
    preview_seeds: int = 4
    preview_steps: int = 20
    guidance: float = Field(
        4.0, description="The guidance scale used for sample grids and recommended in the model card"
    )


class JudgeConfig(StageConfig):
    """The attribute classifier, whose penultimate layer of 4 x width is the feature network of the measures."""

    size: int = 64
    width: int = 32
    steps: int = Field(1500, ge=1)
    batch: int = 64
    rate: float = 2e-3
    decay: float = 0.5
    held_out: int = Field(1000, description="Drawings that its own accuracy is measured on when it is finished")


class EditConfig(StageConfig):
    """The instruction-editing UNet: the denoiser's layout with the picture's latent as further input channels."""

    channels: tuple[int, ...] = Field(
        (48, 96, 96), description="Narrower than the denoiser's: most of what it makes stands in its input"
    )
    pool: int = Field(8000, description="Pairs of before and after, encoded once")
    caption_drop: float = Field(0.05, description="Share of a batch without its instruction")
    image_drop: float = Field(0.05, description="Share of a batch without its picture")
    both_drop: float = Field(0.05, description="Share of a batch without either")
    changed_weight: float = Field(4.0, description="Extra weight of the places that the edit changes in the loss")
    rate: float = 5e-4
    image_guidance: float = Field(1.5, description="The image guidance scale recommended with the model")


class ControlConfig(StageConfig):
    """The ControlNet that reads line drawings; its blocks have no attention, which keeps it small."""

    conditioning_channels: tuple[int, ...] = (8, 16, 32, 64)
    pool: int = Field(4000, description="Pictures encoded once; the denoiser's pool serves where it is larger")
    caption_drop: float = 0.1


class LoraConfig(StageConfig):
    """One LoRA on the denoiser's UNet for each drawing style."""

    rank: int = Field(4, ge=1)
    pool: int = Field(1500, description="Pictures of one style, encoded once")
    steps: int = Field(300, ge=1)
    styles: tuple[str, ...] = Field((), description="Empty: every style but flat")


class UpscalerConfig(StageConfig):
    """One compact upscaler for each scale."""

    scales: tuple[int, ...] = (2, 4)
    features: int = 48
    convolutions: int = 16
    crop: int = Field(96, description="Side of the high-resolution crop in pixels; a multiple of every scale")
    batch: int = 16
    steps: int = Field(2000, ge=1)
    degraded: float = Field(0.5, ge=0, le=1, description="Share of the low pictures with blur, noise or JPEG marks")


class FacesConfig(StageConfig):
    """The network that finds faces, their landmarks and their parts."""

    size: int = Field(128, multiple_of=16, description="Side of a picture in pixels")
    channels: tuple[int, ...] = (16, 32, 64, 96)
    batch: int = 24
    steps: int = Field(1500, ge=1)
    rate: float = 2e-3
    decay: float = 0.5
    ema: float = 0.99
    sigma: float = Field(1.2, description="Of a landmark's wanted heat, in cells of two pixels")
    feature_weight: float = Field(3.0, description="Weight of the small parts, such as eyes and mouth")
    held_out: int = Field(512, ge=16, description="Examples that it is measured on when it is finished")


class StyleConfig(StageConfig):
    """Style transfer: an encoder of manners (stage style_encoder), then the decoder of AdaIN on it (stage style)."""

    channels: tuple[int | str, ...] = Field(
        (16, 16, "A", 40, 40, "A", 80, 80, "A", 160), description="Of the encoder's convolutions; A halves the sides"
    )
    pool: int = Field(1500, ge=8, description="Textures, and as many drawings, drawn once")
    crop: int = Field(64, multiple_of=8, description="Side of what a step sees in pixels")
    textures: float = Field(0.6, ge=0, le=1, description="Share of textures among what manners are learnt from")
    batch: int = 12
    steps: int = Field(2000, ge=1)
    rate: float = 1e-3
    ema: float = 0.995
    reconstruction: float = Field(4.0, description="Weight of giving the picture back, of the encoder's training")
    skips: tuple[int, ...] = Field((11, 6), description="Taps of the encoder that the decoder sees too, from coarse")
    style_weight: float = Field(10.0, description="Lambda of the paper, of the decoder's training")
    gram_weight: float = Field(1.0, description="Weight of the Gram matrices' relative difference")
    detail_weight: float = Field(1.0, description="Weight of activations without their statistics, against the content")
    identity: int = Field(2, ge=0, description="Pictures of a batch whose style is their own")
    identity_weight: float = Field(20.0, description="Weight of the difference of these from what they were")


class TrainingConfig(_Part):
    """Everything that a training run depends on. The same file and seed give the same run on the same machine."""

    seed: int = 0
    size: int = 128
    scope: Literal["whole", "flat", "plain"] = Field(
        "flat", description="What the base model and its editing learn to draw; flat leaves the styles to the LoRAs"
    )
    start: str = Field(
        "",
        description="Weights to begin from: empty for none, bundled, or a folder laid out as models/starter; "
        "what fits is copied, what is new starts untrained",
    )
    threads: int = Field(0, description="CPU threads, 0 for torch's own choice")
    device: str = "cpu"
    workers: int = Field(0, ge=0, description="Processes that draw pictures; 0 leaves it to the one that trains")
    log_every: int = 50
    save_every: int = 250
    grid_every: int = 500
    autoencoder: AutoencoderConfig = AutoencoderConfig()
    decoder: DecoderConfig = DecoderConfig()
    text: TextConfig = TextConfig()
    denoiser: DenoiserConfig = DenoiserConfig()
    judge: JudgeConfig = JudgeConfig()
    edit: EditConfig = EditConfig()
    controlnet: ControlConfig = ControlConfig()
    lora: LoraConfig = LoraConfig()
    upscaler: UpscalerConfig = UpscalerConfig()
    faces: FacesConfig = FacesConfig()
    style_encoder: StyleConfig = StyleConfig()
    style: StyleConfig = StyleConfig()

    @property
    def start_folder(self) -> Path | None:
        """Where the weights to begin from lie; None where training begins from nothing."""
        if not self.start:
            return None
        return BUNDLED if self.start == "bundled" else Path(self.start).expanduser()


def load_config(path: Path) -> TrainingConfig:
    """Read a TOML file. Raises OSError, tomllib.TOMLDecodeError or pydantic.ValidationError, each naming the place."""
    return TrainingConfig.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
