"""From a study to the trials of one rater: which pictures, on which side, in which order.

Everything follows from the study's seed and the rater's number, so that a plan can be checked afterwards. Raters come
in pairs, 2k and 2k+1, who see the same trials mirrored and in reverse order: over a pair, side and place in the order
cancel exactly. Within a rater, the right answer is on either side equally often (but for an odd number of trials), and
over raters each picture is used equally often (but for one).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace

from .study import Picture, Study, Trial

_MIRROR = {"left": "right", "right": "left"}


def plan(study: Study, number: int) -> tuple[Trial, ...]:
    """The trials of rater ``number``, from 0 on: practice first, then main ones with attention trials among them; as
    many as the pictures that there are allow.
    """
    study = replace(study, trials=min(study.trials, most_trials(study)))
    main = _main(study, number)
    attention = [_attention(study, number, place) for place in range(study.attention)]
    return (*_practice(study, number), *_spread(main, attention, _random(study, "spread", number)))


def most_trials(study: Study) -> int:
    """Main trials in which a rater sees no picture, of preferences no couple, twice."""
    real = study.real_set
    counts = {one.id: len(study.used("main", one.id)) for one in study.sets}
    if real is None:
        return len(counts) * (len(counts) - 1) // 2 * min(counts.values())
    generated = [count for set_id, count in counts.items() if set_id != real.id]
    couples = min(counts[real.id], min(generated) * len(generated))
    return couples if study.kind == "two_choice" else 2 * couples


def _random(study: Study, *what: object) -> random.Random:
    return random.Random(":".join(map(str, (study.seed, *what))))


def _main(study: Study, number: int) -> list[Trial]:
    if study.kind == "yes_no":
        trials = _single(study, number)
        _random(study, "order", number // 2).shuffle(trials)
        return trials[::-1] if number % 2 else trials
    couples = _preferences(study, number // 2) if study.kind == "preference" else _real_or_not(study, number // 2)
    trials = [_couple(study, left, right) for left, right in couples]
    _random(study, "order", number // 2).shuffle(trials)
    return [mirrored(trial) for trial in reversed(trials)] if number % 2 else trials


def mirrored(trial: Trial) -> Trial:
    """The same with its sides swapped."""
    return replace(trial, pictures=trial.pictures[::-1], truth=_MIRROR.get(trial.truth, trial.truth))


def _couple(study: Study, left: Picture, right: Picture) -> Trial:
    truth = ""
    if study.kind == "two_choice":
        truth = "left" if study.by_set[left.set].real else "right"
    return Trial("main", (left.id, right.id), truth)


class _Turns:
    """The pictures of a set in an order of the study's own, handed out in turn over all raters; whoever skips the
    ``first`` goes on where those before ended. ``shifted``: by one more in each round, for couples that are new.
    """

    def __init__(self, study: Study, set_id: str, first: int, *, shifted: bool = False) -> None:
        self._pictures = list(study.used("main", set_id))
        _random(study, "turns", set_id).shuffle(self._pictures)
        self._next = first
        self._shifted = shifted

    def take(self) -> Picture:
        count = len(self._pictures)
        shift = self._next // count if self._shifted else 0
        picture = self._pictures[(self._next + shift) % count]
        self._next += 1
        return picture


def _generated_of(study: Study) -> list[str]:
    return [one.id for one in study.sets if not one.real]


def _shares(total: int, parts: Sequence[str], before: int) -> list[str]:
    """``total`` names from ``parts`` in turn, the first being that in turn after ``before``."""
    return [parts[(before + place) % len(parts)] for place in range(total)]


def _real_or_not(study: Study, base: int) -> list[tuple[Picture, Picture]]:
    """Real and generated for every trial, the real one on either side equally often."""
    real = study.real_set
    assert real is not None
    generated = _generated_of(study)
    turns = _turns(study, generated, base * study.trials)
    reals = _Turns(study, real.id, base * study.trials, shifted=True)
    sides = [place % 2 == 1 for place in range(study.trials)]
    _random(study, "sides", base).shuffle(sides)
    at_place = {one.place: one for one in study.used("main", real.id)}
    couples = []
    for set_id, swap in zip(_shares(study.trials, generated, base * study.trials), sides, strict=True):
        fake = turns[set_id].take()
        genuine = at_place[fake.place] if study.matched else reals.take()
        couples.append((fake, genuine) if swap else (genuine, fake))
    return couples


def _turns(study: Study, sets: Sequence[str], before: int) -> dict[str, _Turns]:
    """Of each of ``sets`` that take turns, after ``before`` trials in all."""
    return {
        set_id: _Turns(study, set_id, (before + len(sets) - 1 - place) // len(sets))
        for place, set_id in enumerate(sets)
    }


def _single(study: Study, number: int) -> list[Trial]:
    """One picture a trial, half of them real; of an odd number, the odd one is real for every second rater."""
    real = study.real_set
    assert real is not None
    generated = _generated_of(study)
    half, odd = divmod(study.trials, 2)
    counts = [half + (odd if (other + 1) % 2 else 0) for other in range(number + 1)]
    of_real, real_before = counts[-1], sum(counts[:-1])
    fake_before = number * study.trials - real_before
    reals, fakes = _Turns(study, real.id, real_before), _turns(study, generated, fake_before)
    trials = [Trial("main", (reals.take().id,), "yes") for _ in range(of_real)]
    for set_id in _shares(study.trials - of_real, generated, fake_before):
        trials.append(Trial("main", (fakes[set_id].take().id,), "no"))
    return trials


def _preferences(study: Study, base: int) -> list[tuple[Picture, Picture]]:
    """Every pair of sets in turn, with either one left in turn."""
    pairs = list(itertools.combinations([one.id for one in study.sets], 2))
    _random(study, "pairs").shuffle(pairs)
    before = base * study.trials
    couples = []
    for trial in range(before, before + study.trials):
        nth, pair = divmod(trial, len(pairs))
        first, second = pairs[pair]
        couple = _nth_couple(study, first, second, nth)
        couples.append(couple[::-1] if (nth + pair) % 2 else couple)
    return couples


def _nth_couple(study: Study, first: str, second: str, nth: int) -> tuple[Picture, Picture]:
    """The nth pair of pictures of two sets: of one place where they are matched, else of every combination in turn."""
    lefts, rights = list(study.used("main", first)), list(study.used("main", second))
    order = _random(study, "couples", first, second)
    if study.matched:
        rights_by_place = {one.place: one for one in rights}
        order.shuffle(lefts)
        left = lefts[nth % len(lefts)]
        return left, rights_by_place[left.place]
    order.shuffle(lefts)
    order.shuffle(rights)
    # The second set is shifted by one in each round of the first, so that combinations are new for as long as may be.
    shift = nth // len(lefts) if len(lefts) % len(rights) == 0 else 0
    return lefts[nth % len(lefts)], rights[(nth + shift) % len(rights)]


def _practice(study: Study, number: int) -> list[Trial]:
    """Trials with a known answer, in which raters learn what is asked; their pictures are used nowhere else."""
    if not study.practice:
        return []
    draw = _random(study, "practice", number // 2)
    if study.kind == "preference":
        trials = [_intact_or_not(study, number // 2, place, "practice") for place in range(study.practice)]
    else:
        trials = _practice_of_real(study, draw)
    sides = [place % 2 == 1 for place in range(len(trials))]
    draw.shuffle(sides)
    mirror = bool(number % 2)
    return [mirrored(trial) if side != mirror else trial for trial, side in zip(trials, sides, strict=True)]


def _practice_of_real(study: Study, draw: random.Random) -> list[Trial]:
    real = study.real_set
    assert real is not None
    reals = list(study.used("practice", real.id))
    fakes = [one for one in study.used("practice") if one.set != real.id]
    draw.shuffle(reals)
    draw.shuffle(fakes)
    trials = []
    for place in range(study.practice):
        one, other = reals[place % len(reals)], fakes[place % len(fakes)]
        if study.kind == "two_choice":
            trials.append(Trial("practice", (one.id, other.id), "left"))
        else:
            trials.append(
                Trial("practice", (one.id,), "yes") if place % 2 == 0 else Trial("practice", (other.id,), "no")
            )
    if study.kind == "yes_no":
        draw.shuffle(trials)
    return trials


def _intact_or_not(study: Study, base: int, place: int, stage: str) -> Trial:
    """A picture beside the same one in shuffled pieces: whoever looks knows which is meant."""
    broken = study.used("scrambled")
    scrambled = broken[(base + place) % len(broken)]
    intact = next(one for one in study.used("practice", scrambled.set) if one.place == scrambled.place)
    return Trial("attention" if stage == "attention" else "practice", (intact.id, scrambled.id), "left")


def _attention(study: Study, number: int, place: int) -> Trial:
    if study.kind == "yes_no":
        broken = study.used("scrambled")
        return Trial("attention", (broken[(number + place) % len(broken)].id,), "no")
    trial = _intact_or_not(study, number // 2, place, "attention")
    return mirrored(trial) if (place + number) % 2 else trial


def _spread(main: list[Trial], attention: Sequence[Trial], draw: random.Random) -> list[Trial]:
    """``main`` with ``attention`` among them: one at a random place of each of as many equal parts."""
    parts = len(attention)
    places = [
        draw.randint(len(main) * place // parts, max(len(main) * (place + 1) // parts - 1, len(main) * place // parts))
        for place in range(parts)
    ]
    mixed = list(main)
    for place, trial in sorted(zip(places, attention, strict=True), key=lambda pair: -pair[0]):
        mixed.insert(place, trial)
    return mixed
