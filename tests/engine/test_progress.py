"""Progress and previews: told often enough, never too often, never backwards, and the last word never lost."""

from __future__ import annotations

import base64
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from webui.core.errors import Cancelled
from webui.core.jobs import JobPreview, JobProgress, Progress
from webui.engine.progress import PROGRESS_INTERVAL_S, PreviewGate, ProgressMeter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def meter() -> tuple[ProgressMeter, list[Progress], Clock]:
    told: list[Progress] = []
    clock = Clock()

    def emit(event: JobProgress) -> None:
        told.append(event.progress)

    return ProgressMeter("job", emit, clock), told, clock


def test_fraction_counts_images_times_steps() -> None:
    progress, told, clock = meter()
    progress.expect(4, 1)
    clock.now += 1
    progress.step(5, 10)
    assert (told[-1].fraction, told[-1].image, told[-1].images) == (0.375, 1, 4)
    progress.image_saved(1)
    assert (told[-1].fraction, told[-1].image) == (0.5, 2)
    progress.step(10, 10, batch=2)
    assert told[-1].fraction == 1.0
    progress.step(10, 10, batch=99)
    assert told[-1].fraction == 1.0


def test_a_job_without_images_counts_steps() -> None:
    progress, told, _ = meter()
    progress.step(3, 4, "training")
    assert (told[-1].fraction, told[-1].images, told[-1].message) == (0.75, 0, "training")
    progress.step(1, 0)
    assert told[-1].fraction == 0.75


def test_time_left_comes_from_recent_speed() -> None:
    progress, told, clock = meter()
    progress.expect(1, 0)
    clock.now += 60  # the first step loads a model
    for step in range(1, 51):
        progress.step(step, 100)
        clock.now += 2
    assert told[-1].step == 50
    assert told[-1].eta_s == pytest.approx(100, rel=0.01)


def test_steps_are_told_ten_times_a_second_and_the_last_one_always() -> None:
    progress, told, clock = meter()
    progress.expect(1, 0)
    for step in range(1, 1001):
        clock.now += 0.001
        progress.step(step, 1000)
    assert len(told) <= 2 + 1.0 / PROGRESS_INTERVAL_S + 1
    assert told[-1].step == 1000


def test_what_was_held_back_is_told_on_demand() -> None:
    progress, told, clock = meter()
    progress.step(1, 10)
    clock.now += 0.01
    progress.step(2, 10)
    assert told[-1].step == 1
    progress.flush()
    progress.flush()
    assert [one.step for one in told] == [1, 2]


def test_a_new_stage_is_told_at_once() -> None:
    progress, told, _ = meter()
    progress.step(1, 10, "sampling")
    progress.step(1, 3, "decoding")
    assert [one.message for one in told] == ["sampling", "decoding"]


@given(
    st.integers(0, 5),
    st.lists(st.one_of(st.tuples(st.integers(-1, 12), st.integers(-1, 10), st.integers(0, 4)), st.none()), max_size=30),
)
def test_fraction_stays_in_bounds_and_never_goes_back(images: int, calls: list[tuple[int, int, int] | None]) -> None:
    progress, told, clock = meter()
    progress.expect(images, 0)
    for call in calls:
        clock.now += 0.2
        if call is None:
            progress.image_saved(len(told))
        else:
            progress.step(call[0], call[1], batch=call[2])
    fractions = [one.fraction for one in told]
    assert fractions == sorted(fractions)
    assert all(0.0 <= fraction <= 1.0 for fraction in fractions)
    assert all(one.eta_s is None or one.eta_s >= 0 for one in told)


# Previews


def gate(interval_s: float = 0.25) -> tuple[PreviewGate, list[JobPreview], Clock]:
    told: list[JobPreview] = []
    clock = Clock()
    return PreviewGate("job", told.append, interval_s, clock), told, clock


def test_previews_are_small_jpegs() -> None:
    previews, told, _ = gate()
    assert previews.offer(Image.new("RGBA", (2000, 1000), "red"), 3) == ""
    picture = Image.open(io.BytesIO(base64.b64decode(told[0].data)))
    assert (picture.format, picture.size, told[0].index, told[0].media_type) == ("JPEG", (512, 256), 3, "image/jpeg")


def test_at_most_four_a_second_and_made_only_when_due() -> None:
    previews, told, clock = gate()
    made = 0

    def make() -> Image.Image:
        nonlocal made
        made += 1
        return Image.new("RGB", (8, 8))

    for _ in range(1000):
        previews.offer(make, 0)
        clock.now += 0.002
    assert made == len(told) == 8


def test_slow_previews_take_a_small_share_of_the_time() -> None:
    previews, told, clock = gate()
    spent = 0.0

    def make() -> Image.Image:
        nonlocal spent
        clock.now += 0.5
        spent += 0.5
        return Image.new("RGB", (8, 8))

    began = clock.now
    for _ in range(1000):
        previews.offer(make, 0)
        clock.now += 0.1
    assert len(told) > 1
    assert spent / (clock.now - began) < 0.06


def test_images_made_together_take_turns() -> None:
    previews, told, clock = gate()
    for _ in range(20):
        for index in range(4):
            previews.offer(Image.new("RGB", (8, 8)), index)
        clock.now += 0.25
    assert {index: sum(event.index == index for event in told) for index in range(4)} == dict.fromkeys(range(4), 5)


def test_one_that_is_never_offered_again_does_not_stop_the_rest() -> None:
    previews, told, clock = gate()
    for index in (0, 1, *[1] * 10):
        previews.offer(Image.new("RGB", (8, 8)), index)
        clock.now += 0.25
    assert [event.index for event in told].count(1) >= 5
    previews.images_changed()
    previews.offer(Image.new("RGB", (8, 8)), 2)
    assert told[-1].index == 2


def test_a_preview_that_fails_ends_the_previews_alone() -> None:
    previews, told, clock = gate()

    def broken() -> Image.Image:
        raise ValueError("bad latents")

    assert previews.offer(broken, 0) == "previews failed and were turned off for this job: ValueError: bad latents"
    clock.now += 1
    assert previews.offer(Image.new("RGB", (8, 8)), 0) == ""
    assert told == []


def test_a_cancel_inside_a_preview_passes() -> None:
    previews, _, _ = gate()

    def cancelled() -> Image.Image:
        raise Cancelled

    with pytest.raises(Cancelled):
        previews.offer(cancelled, 0)
