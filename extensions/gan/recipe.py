"""What a training run depends on beside its data: a TOML file of ``configs`` -> Recipe. Light: pydantic and the
standard library.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

CONFIGS = Path(__file__).resolve().parent / "configs"
LOSSES = {
    "nonsaturating": "Non-saturating, R1",
    "hinge": "Hinge",
    "wgan-gp": "WGAN-GP",
    "r3gan": "R3GAN: relativistic, R1 and R2",
}
AUGMENTS = {"none": "None", "diffaugment": "DiffAugment", "ada": "ADA"}


class Recipe(BaseModel):
    """One model and how it is trained. Numbers that a kind of model does not know are passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    family: Literal["dcgan", "stylegan2", "biggan", "vae", "vqvae", "vqgan"]
    network: dict[str, Any] = Field(description="Parameters of the network, as networks/registry.py has them")
    critic: dict[str, Any] = Field({}, description="Parameters of the discriminator")
    pace: float = Field(0, ge=0, description="Pictures a second measured on one core, for the estimate in the form")

    steps: int = Field(10_000, ge=1)
    batch: int = Field(16, ge=1)
    rate: float = Field(0.002, gt=0)
    critic_rate: float = Field(0.002, gt=0)
    betas: tuple[float, float] = (0.0, 0.99)
    decay: float = Field(0.0, ge=0, le=1, description="Share of the steps, at the end, in which rates fall to a tenth")
    average: float = Field(10_000, gt=0, description="Half-life of the weights' moving average, in pictures")
    flip: bool = False

    loss: Literal["nonsaturating", "hinge", "wgan-gp", "r3gan"] = "nonsaturating"
    critic_steps: int = Field(1, ge=1, description="Steps of the discriminator for one of the generator")
    gamma: float = Field(0.0, ge=0, description="Weight of R1 (R3GAN: R2 too), of WGAN-GP lambda")
    penalty_every: int = Field(16, ge=1, description="Lazy regularization: every so many steps, so much stronger")
    path_weight: float = Field(0.0, ge=0, description="StyleGAN2's path length regularization")
    path_every: int = Field(4, ge=1)
    mixing: float = Field(0.9, ge=0, le=1, description="Share of StyleGAN2's pictures made of two styles")
    noise: bool = Field(True, description="StyleGAN2's noise at each layer: for hair and skin, not for drawings")
    anchor: float = Field(0.0, ge=0, description="StyleGAN2: weight of an encoder's pictures, given back; 0: none")
    aide_weight: float = Field(1.0, ge=0, description="Of a second discriminator, where one is named")
    aide_rate: float = Field(0.0005, gt=0)
    augment: Literal["none", "diffaugment", "ada"] = "none"
    ada_target: float = 0.6
    ada_pictures: float = Field(100_000, gt=0, description="Over which ADA's p goes from 0 to 1 at most")

    divergence: float = Field(1.0, ge=0, description="VAE: weight of the divergence from N(0, 1)")
    commitment: float = Field(0.25, ge=0, description="Codes: weight of the commitment")
    adversarial: float = Field(0.0, ge=0, description="VQGAN: weight of its discriminator; 0: none")
    adversarial_from: float = Field(
        0.3, ge=0, le=1, description="VQGAN, or with an anchor: share of the autoencoder's steps before it joins"
    )
    prior_share: float = Field(0.4, ge=0, lt=1, description="Codes: share of all steps that train the prior")
    prior_rate: float = Field(1e-3, gt=0)
    prior_batch: int = Field(32, ge=1)

    @property
    def resolution(self) -> int:
        """In pixels."""
        inner = self.network.get("autoencoder", self.network)
        return int(inner["resolution"])

    @property
    def classes(self) -> int:
        """That the network is made for; 0: none, and the data's are passed over."""
        said = self.network.get("conditioning") or {}
        return int(self.network.get("classes") or self.network.get("c_dim") or said.get("classes") or 0)

    def with_classes(self, count: int) -> Recipe:
        """For data with ``count`` classes, where the network knows classes at all."""
        if not self.classes or count == self.classes:
            return self
        network = dict(self.network)
        if "conditioning" in network:
            network["conditioning"] = {**network["conditioning"], "classes": count}
        else:
            network["classes" if "classes" in network else "c_dim"] = count
        return self.model_copy(update={"network": network})


def load_recipe(path: Path) -> Recipe:
    """Raises OSError, tomllib.TOMLDecodeError or pydantic.ValidationError, each naming the place."""
    return Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))


@cache
def presets() -> dict[str, Recipe]:
    """Name -> recipe of everything in ``configs``."""
    return {path.stem: load_recipe(path) for path in sorted(CONFIGS.glob("*.toml"))}
