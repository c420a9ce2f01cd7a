"""Every sampler with every schedule it has, on a real (tiny) model; and what does not fit is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from extensions.diffusion.drawing.samplers import make_scheduler, sampler_name, samplers_for, schedules_for
from extensions.diffusion.models.loading import assemble, make_plan, requests
from extensions.diffusion.params import SAMPLERS, SCHEDULES
from webui.api import ModelError

Tiny = Callable[[str], Path]
DISCRETE = [name for name in SAMPLERS if name != "Automatic"]
FLOW = ["Euler", "DPM++ 2M", "DPM++ 2M SDE", "DPM++ 3M", "UniPC", "LCM", "DEIS"]


class Loaded:
    """A model's plan and its components, loaded once."""

    def __init__(self, folder: Path) -> None:
        model = SimpleNamespace(ref=folder.name, path=folder, format="diffusers", family="", sha256="", recommended={})
        self.plan = make_plan(model)
        self.components = {
            name: request.load() for name, request in requests(self.plan, lambda _: torch.float32).items()
        }

    @property
    def own(self) -> Any:
        return self.components["scheduler"]

    def latents(self, sampler: str, schedule: str, steps: int = 2) -> torch.Tensor:
        pipe = assemble(self.plan, self.components, make_scheduler(self.own, sampler, schedule))
        answer = pipe(
            "a",
            num_inference_steps=steps,
            width=32,
            height=32,
            generator=torch.Generator("cpu").manual_seed(1),
            output_type="latent",
        )
        return answer[0]


@pytest.fixture(scope="module")
def loaded(tiny: Tiny) -> Callable[[str], Loaded]:
    made: dict[str, Loaded] = {}

    def load(family: str) -> Loaded:
        if family not in made:
            made[family] = Loaded(tiny(family))
        return made[family]

    return load


@pytest.mark.parametrize("sampler", DISCRETE)
def test_every_schedule_of_every_sampler_gives_finite_latents(loaded: Callable[[str], Loaded], sampler: str) -> None:
    model = loaded("sd1")
    schedules = schedules_for(model.own, sampler)
    assert schedules[0] == "Automatic"
    for schedule in schedules:
        latents = model.latents(sampler, schedule)
        assert torch.isfinite(latents).all(), schedule
        assert latents.std() > 0.01, schedule


@pytest.mark.parametrize("sampler", FLOW)
@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_flow_matching_models_have_samplers_of_their_own(
    loaded: Callable[[str], Loaded], family: str, sampler: str
) -> None:
    model = loaded(family)
    for schedule in schedules_for(model.own, sampler):
        latents = model.latents(sampler, schedule)
        assert torch.isfinite(latents).all(), schedule
        assert latents.std() > 0.01, schedule


def test_the_lists_say_what_fits(loaded: Callable[[str], Loaded]) -> None:
    assert samplers_for(loaded("sd1").own) == SAMPLERS
    assert set(samplers_for(loaded("sd3").own)) == {"Automatic", *FLOW}
    assert schedules_for(loaded("sd1").own, "LCM") == ("Automatic",)
    assert set(schedules_for(loaded("sd1").own, "Euler")) == set(SCHEDULES)
    assert "Karras" not in schedules_for(loaded("sd1").own, "Euler a")


def test_a_choice_makes_a_fresh_scheduler_of_its_class(loaded: Callable[[str], Loaded]) -> None:
    own = loaded("sd1").own
    one, two = make_scheduler(own, "DPM++ 2M", "Karras"), make_scheduler(own, "DPM++ 2M", "Karras")
    assert one is not two
    assert type(one).__name__ == "DPMSolverMultistepScheduler"
    assert one.config.use_karras_sigmas
    assert one.config.beta_schedule == "scaled_linear"
    plain = make_scheduler(own)
    assert plain is not own
    assert type(plain) is type(own)


@pytest.mark.parametrize("sampler", DISCRETE)
def test_a_scheduler_is_known_by_its_name(loaded: Callable[[str], Loaded], sampler: str) -> None:
    assert sampler_name(make_scheduler(loaded("sd1").own, sampler)) == sampler


def test_latent_models_are_not_clipped_by_a_default_for_pixels(loaded: Callable[[str], Loaded]) -> None:
    from diffusers import EulerDiscreteScheduler

    silent = EulerDiscreteScheduler(prediction_type="v_prediction")
    made = make_scheduler(silent, "DDIM")
    assert made.config.clip_sample is False
    assert made.config.prediction_type == "v_prediction"


def test_a_schedule_of_the_models_own_gives_way(loaded: Callable[[str], Loaded]) -> None:
    from diffusers import EulerDiscreteScheduler

    own = EulerDiscreteScheduler(use_karras_sigmas=True)
    made = make_scheduler(own, "Euler", "Exponential")
    assert not made.config.use_karras_sigmas
    assert made.config.use_exponential_sigmas
    assert make_scheduler(own, "Automatic").config.use_karras_sigmas


def test_what_does_not_fit_is_refused_with_what_does(loaded: Callable[[str], Loaded]) -> None:
    with pytest.raises(ModelError, match="'Heun' does not fit this model") as caught:
        make_scheduler(loaded("flux").own, "Heun")
    assert "UniPC" in caught.value.hint
    with pytest.raises(ModelError, match="no schedule 'Karras'"):
        make_scheduler(loaded("sd1").own, "Euler a", "Karras")
