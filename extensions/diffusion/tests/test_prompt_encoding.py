"""Prompts as the denoiser is told them, against diffusers' own encoding and against loops written out by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from extensions.diffusion.models.guidance import Call
from extensions.diffusion.prompts.chunks import chunks
from extensions.diffusion.prompts.grammar import parse
from extensions.diffusion.prompts.words import Words
from extensions.diffusion.text import telling
from extensions.diffusion.text.conditioning import Conditioned
from extensions.diffusion.text.text_encoding import ClipEncoders, Conditions, emphasized
from webui.testing import Outcome

STEPS, SCALE = 6, 5.0
Pipe = Any


@pytest.fixture(scope="module")
def pipe(tiny: Callable[[str], Path]) -> Callable[[str], Pipe]:
    """A pipeline of diffusers over a tiny model, made anew each time over the same weights."""
    import diffusers

    loaded: dict[str, Any] = {}

    def make(family: str) -> Pipe:
        cls = diffusers.StableDiffusionXLPipeline if family == "sdxl" else diffusers.StableDiffusionPipeline
        if family not in loaded:
            loaded[family] = cls.from_pretrained(str(tiny(family)), local_files_only=True, dtype=torch.float32)
            # A trained encoder's embeddings have a mean, which weights must keep; those of random weights have none.
            norm = loaded[family].text_encoder.final_layer_norm
            torch.nn.init.constant_(norm.bias, 0.3)
        made = cls(**loaded[family].components)
        made.set_progress_bar_config(disable=True)
        return made

    return make


def conditions(pipe: Pipe, prompt: str, negative: str = "", clip_skip: int = 1, steps: int = STEPS) -> Conditions:
    zero_blank = bool(pipe.config.get("force_zeros_for_empty_prompt"))
    return telling.encode(pipe.components, Words.read(prompt, negative), steps, clip_skip, zero_blank=zero_blank)


def drawn(pipe: Pipe, prompt: str, negative: str = "", count: int = 1, scale: float = SCALE, **more: Any) -> Any:
    """Latents as our telling makes this pipeline draw them."""
    call = Call(arguments(count, scale, **more))
    restart = telling.tell(pipe, call, conditions(pipe, prompt, negative), count)
    restart()
    return pipe(**call.arguments)[0]


def arguments(count: int = 1, scale: float = SCALE, **more: Any) -> dict[str, Any]:
    generators = [torch.Generator("cpu").manual_seed(3 + place) for place in range(count)]
    asked = {"num_inference_steps": STEPS, "width": 64, "height": 64, "guidance_scale": scale, "output_type": "latent"}
    return {**asked, "num_images_per_prompt": count, "generator": generators, **more}


def by_hand(pipe: Pipe, at: Callable[[int], tuple[torch.Tensor, Sequence[tuple[float, torch.Tensor]]]]) -> Any:
    """Stable Diffusion's loop written out: ``at(step)`` is the negative embedding, and conditions with their weights.
    One call of the UNet for each.
    """
    scheduler = pipe.scheduler
    scheduler.set_timesteps(STEPS)
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator("cpu").manual_seed(3)) * scheduler.init_noise_sigma
    with torch.no_grad():
        for step, timestep in enumerate(scheduler.timesteps):
            negative, positive = at(step)
            seen = scheduler.scale_model_input(latents, timestep)
            base = pipe.unet(seen, timestep, encoder_hidden_states=negative).sample
            noise = base.clone()
            for weight, embeds in positive:
                noise += SCALE * weight * (pipe.unet(seen, timestep, encoder_hidden_states=embeds).sample - base)
            latents = scheduler.step(noise, timestep, latents).prev_sample
    return latents


def close(met: torch.Tensor, expected: torch.Tensor) -> bool:
    """Equal but for the rounding of one batch or another, over all steps."""
    return bool((met - expected).abs().max() < 1e-4 * expected.abs().max())


def plain(pipe: Pipe, text: str) -> torch.Tensor:
    """diffusers' embedding of a text of one chunk."""
    embeds: torch.Tensor = pipe.encode_prompt(text, "cpu", 1, False)[0].detach()
    return embeds


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
@pytest.mark.parametrize("text", ["a cat, sitting", "", "  Two Cats  ", "x" * 75])
def test_plain_text_is_encoded_as_diffusers_does(pipe: Any, family: str, text: str) -> None:
    made = pipe(family)
    met = conditions(made, text, "a dog")
    expected = made.encode_prompt(
        text, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=True, negative_prompt="a dog"
    )
    (positive,) = met.positive
    assert torch.equal(positive.at(0).embeds, expected[0])
    assert torch.equal(met.negative.at(0).embeds, expected[1])
    if family == "sdxl":
        assert torch.equal(positive.at(0).pooled, expected[2])
        assert torch.equal(met.negative.at(0).pooled, expected[3])


@pytest.mark.parametrize(
    ("family", "clip_skip", "layer"), [("sd1", 1, -1), ("sd1", 2, -2), ("sdxl", 1, -2), ("sdxl", 2, -2)]
)
def test_clip_skip_counts_from_the_last_layer(pipe: Any, family: str, clip_skip: int, layer: int) -> None:
    """The last layers' states, in Stable Diffusion through the last norm; both encoders' in SDXL."""
    made = pipe(family)
    expected = []
    for tokenizer, encoder in (
        (made.tokenizer, made.text_encoder),
        (getattr(made, "tokenizer_2", None), getattr(made, "text_encoder_2", None)),
    ):
        if encoder is not None:
            ids = tokenizer("a cat", padding="max_length", return_tensors="pt").input_ids
            states = encoder(ids, output_hidden_states=True).hidden_states[layer]
            expected.append(states if family == "sdxl" else encoder.final_layer_norm(states))
    met = conditions(made, "a cat", clip_skip=clip_skip).positive[0].at(0).embeds
    torch.testing.assert_close(met, torch.cat(expected, dim=-1))


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
@pytest.mark.parametrize("negative", ["", "a dog"])
def test_plain_text_draws_the_very_latents_of_diffusers(pipe: Any, family: str, negative: str) -> None:
    said = {"negative_prompt": negative} if negative else {}
    expected = pipe(family)("a cat", **said, **arguments(2))[0]
    assert torch.equal(drawn(pipe(family), "a cat", negative, count=2), expected)


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_blank_negative_prompt_is_what_the_pipeline_takes_for_it(pipe: Any, family: str) -> None:
    met = conditions(pipe(family), "a cat", "  ")
    assert bool((met.negative.at(0).embeds == 0).all()) == (family == "sdxl")


def test_weights_multiply_embeddings_and_keep_the_mean(pipe: Any) -> None:
    made = pipe("sd1")
    embeds = plain(made, "ab cd")
    weights = torch.ones(77)
    weights[3:5] = 1.5  # start, a, b, then c and d
    expected = embeds * weights[None, :, None]
    expected = expected * (embeds.mean() / expected.mean())
    met = conditions(made, "ab (cd:1.5)").positive[0].at(0).embeds
    torch.testing.assert_close(met, expected)
    torch.testing.assert_close(met.mean(), embeds.mean())


def test_each_encoder_of_sdxl_keeps_its_own_mean_and_pools_without_weights(pipe: Any) -> None:
    made = pipe("sdxl")
    text = "a (cat:1.4)"
    both = conditions(made, text).positive[0].at(0)
    without = made.encode_prompt("a cat", device="cpu", do_classifier_free_guidance=False)
    assert torch.equal(both.pooled, without[2])
    for part in (slice(0, 32), slice(32, 80)):
        torch.testing.assert_close(both.embeds[..., part].mean(), without[0][..., part].mean())
        assert not torch.allclose(both.embeds[..., part], without[0][..., part])


def test_weights_that_cancel_out_stay_finite() -> None:
    embeds = torch.tensor([[[1.0, 1.0], [1.0, 1.0]]])
    for weights in ([1.0, -1.0], [1.0, -3.0], [1.0, -0.95]):
        expected = torch.tensor([[[weight, weight] for weight in weights]])
        assert torch.equal(emphasized(embeds, weights), expected)
    assert torch.isfinite(emphasized(embeds, [0.0, 0.0])).all()


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_long_prompt_is_read_in_chunks(pipe: Any, family: str) -> None:
    """Each chunk is encoded as if it were a prompt; the pooled embedding is the first one's."""
    made = pipe(family)
    words = [f"{'abcdefgh'[place % 8]}" for place in range(190)]
    met = conditions(made, " ".join(words)).positive[0].at(0)
    each = [
        made.encode_prompt(
            " ".join(words[start : start + 75]),
            device="cpu",
            num_images_per_prompt=1,
            do_classifier_free_guidance=False,
        )
        for start in (0, 75, 150)
    ]
    assert torch.equal(met.embeds, torch.cat([row[0] for row in each], dim=1))
    if family == "sdxl":
        assert torch.equal(met.pooled, each[0][2])


def test_break_fills_a_chunk_up(pipe: Any) -> None:
    made = pipe("sd1")
    met = conditions(made, "a cat BREAK a dog").positive[0].at(0).embeds
    assert torch.equal(met, torch.cat([plain(made, "a cat"), plain(made, "a dog")], dim=1))


@pytest.mark.parametrize(
    ("tokens", "sizes"),
    [
        ([1] * 75, [75]),
        ([1] * 76, [75, 1]),
        ([1] * 60 + [0] + [1] * 30, [61, 30]),
        ([1] * 54 + [0] + [1] * 30, [75, 10]),
        ([1] * 55 + [0] + [1] * 30, [56, 30]),
        ([1] * 75 + [0] + [1] * 3, [75, 4]),
        ([0] * 160, [75, 75, 10]),
        ([], [0]),
    ],
)
def test_a_chunk_breaks_after_its_last_comma(tokens: list[int], sizes: list[int]) -> None:
    """Token 0 is the comma."""
    body = parse("x").parts[0].at(0, 1)
    made = chunks(body, lambda _text: tokens, 0, 75)
    assert [len(chunk.tokens) for chunk in made] == sizes
    assert [token for chunk in made for token in chunk.tokens] == tokens


def test_break_at_the_end_begins_nothing() -> None:
    body = parse("a BREAK BREAK b BREAK").parts[0].at(0, 1)
    assert [len(chunk.tokens) for chunk in chunks(body, lambda text: [ord(text)], None, 75)] == [1, 0, 1]


def test_a_schedule_is_what_swapping_embeddings_between_steps_is(pipe: Any) -> None:
    made = pipe("sd1")
    negative, one, other = (plain(made, text) for text in ("", "a cat", "a dog"))

    def swap(_pipe: Any, step: int, _timestep: Any, _tensors: Any) -> dict[str, Any]:
        return {"prompt_embeds": torch.cat([negative, other if step + 1 >= 2 else one])}

    expected = pipe("sd1")("a cat", callback_on_step_end=swap, **arguments())[0]
    assert torch.equal(drawn(pipe("sd1"), "a [cat:dog:2]"), expected)
    assert torch.equal(drawn(pipe("sd1"), "a [cat:dog:0.34]"), expected)
    assert not torch.equal(drawn(pipe("sd1"), "a [cat:dog:3]"), expected)


def test_turns_alternate_and_a_negative_prompt_has_schedules_too(pipe: Any) -> None:
    made = pipe("sd1")
    cat, dog, rain, sun = (plain(made, text) for text in ("cat", "dog", "rain", "sun"))
    expected = by_hand(made, lambda step: (sun if step >= 3 else rain, [(1.0, dog if step % 2 else cat)]))
    assert close(drawn(pipe("sd1"), "[cat|dog]", "[rain:sun:3]"), expected)


def test_conditions_are_summed_with_their_weights(pipe: Any) -> None:
    made = pipe("sd1")
    cat, dog, hat, none = (plain(made, text) for text in ("cat", "dog", "hat", ""))
    expected = by_hand(made, lambda step: (none, [(1.0, cat), (0.5, dog), (-0.3, hat)]))
    assert close(drawn(pipe("sd1"), "cat AND dog :0.5 AND hat :-0.3"), expected)
    assert not close(drawn(pipe("sd1"), "cat AND dog :0.5 AND hat :-0.2"), expected)


def test_texts_of_different_lengths_meet_as_they_are(pipe: Any) -> None:
    made = pipe("sd1")
    long = torch.cat([plain(made, "cat"), plain(made, "hat")], dim=1)
    dog, rain = plain(made, "dog"), plain(made, "rain")
    expected = by_hand(made, lambda step: (rain, [(1.0, long), (0.7, dog)]))
    assert close(drawn(pipe("sd1"), "cat BREAK hat AND dog :0.7", "rain"), expected)


def test_a_picture_of_a_composition_is_the_same_alone_and_in_a_batch(pipe: Any) -> None:
    for family in ("sd1", "sdxl"):
        alone = drawn(pipe(family), "cat AND [dog:hat:0.5] BREAK red")
        batch = drawn(pipe(family), "cat AND [dog:hat:0.5] BREAK red", count=2)
        assert close(batch[:1], alone)
        assert not close(batch[1:], alone)


def test_conditions_of_sdxl_bring_their_pooled_embeddings(pipe: Any) -> None:
    """Condition by condition: what the UNet is given is what its own encoding gives."""
    made = pipe("sdxl")
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    handle = made.unet.register_forward_pre_hook(
        lambda _module, _args, said: seen.append((said["added_cond_kwargs"]["text_embeds"], _args[2])), with_kwargs=True
    )
    drawn(made, "cat AND dog :0.5", "rain")
    handle.remove()
    of = {
        text: made.encode_prompt(text, device="cpu", do_classifier_free_guidance=False)
        for text in ("cat", "dog", "rain")
    }
    (first, first_embeds), (second, second_embeds) = seen[:2]
    assert torch.equal(first, torch.cat([of["rain"][2], of["cat"][2]]))
    assert torch.equal(second, of["dog"][2])
    assert torch.equal(first_embeds, torch.cat([of["rain"][0], of["cat"][0]]))
    assert torch.equal(second_embeds, of["dog"][0])


def test_without_guidance_conditions_are_averaged(pipe: Any) -> None:
    alone = drawn(pipe("sd1"), "cat", scale=1.0)
    assert close(drawn(pipe("sd1"), "cat AND cat :3", scale=1.0), alone)


def test_samplers_that_ask_twice_a_step_keep_the_schedule(pipe: Any) -> None:
    import diffusers

    met: list[int] = []

    class Watched(Conditioned):
        def forward(self, *args: Any, **more: Any) -> Any:
            before = self._call
            met.append(before * self._conditions.steps // max(1, self._calls()))
            return super().forward(*args, **more)

    made = pipe("sd1")
    made.scheduler = diffusers.HeunDiscreteScheduler.from_config(made.scheduler.config)
    call = Call(arguments())
    telling.tell(made, call, conditions(made, "[cat:dog:3]"), 1)
    made.unet.__class__ = Watched
    made(**call.arguments)
    assert len(met) == 2 * STEPS - 1
    assert met == sorted(met)
    assert set(met) == set(range(STEPS))


def test_the_same_text_is_encoded_once(pipe: Any) -> None:
    made = pipe("sd1")
    encoders = ClipEncoders(made.components)
    body = parse("cat").parts[0].at(0, 1)
    assert encoders.encode(body) is encoders.encode(body)


def same(one: Outcome, other: Outcome) -> bool:
    for outcome in (one, other):
        assert outcome.state == "done", outcome.error
    return [image.tobytes() for image in one.images] == [image.tobytes() for image in other.images]


@pytest.mark.parametrize(
    ("prompt", "meaning"),
    [
        ("[cat:dog:1.0]", "cat"),
        ("[cat:dog:0]", "dog"),
        ("(cat:1.0)", "cat"),
        (r"\(cat\)", r"\(cat\)"),
        ("cat BREAK", "cat"),
    ],
)
def test_a_job_understands_the_language(generate: Callable[..., Outcome], prompt: str, meaning: str) -> None:
    assert same(generate("sd1", prompt=prompt), generate("sd1", prompt=meaning))


def test_a_job_tells_what_is_wrong_in_a_prompt_and_where(generate: Callable[..., Outcome]) -> None:
    outcome = generate("sd1", prompt="a cat,\n(dog:1,5)", negative_prompt="<lora:x:1>")
    assert outcome.state == "done"
    assert any(words.startswith("In the prompt, at 2:6: 1,5 is no weight") for words in outcome.warnings)
    assert any("Networks in a negative prompt" in words for words in outcome.warnings)
    assert not any("cut off" in words for words in generate("sd1", prompt="x" * 200).warnings)


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_other_families_read_the_text_and_say_what_they_leave_out(
    generate: Callable[..., Outcome], family: str
) -> None:
    outcome = generate(family, prompt="a (cat:1.5) [sitting:running:0.5]")
    assert any("reads plain text: weights of the prompt" in words for words in outcome.warnings)
    assert same(outcome, generate(family, prompt="a cat [sitting:running:0.5]"))
    assert not same(outcome, generate(family, prompt="a cat sitting"))
    assert not any("plain text" in words for words in generate(family, prompt="a cat").warnings)
