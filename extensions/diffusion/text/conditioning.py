"""Between a pipeline of diffusers and its UNet: gives each step the text that counts in it, and sums the conditions of
a composition in the guidance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from .text_encoding import Conditions, Encoded


def embeds_arguments(conditions: Conditions, known: Sequence[str]) -> dict[str, Any]:
    """The arguments of a pipeline's call, of those it has (``known``), that stand for its texts at the first step."""
    positive, negative = conditions.positive[0].at(0), conditions.negative.at(0)
    length = max(positive.embeds.shape[1], negative.embeds.shape[1])
    wanted = {
        "prompt_embeds": _completed(positive, conditions.blank, length),
        "negative_prompt_embeds": _completed(negative, conditions.blank, length),
        "pooled_prompt_embeds": positive.pooled,
        "negative_pooled_prompt_embeds": negative.pooled,
    }
    return {name: value for name, value in wanted.items() if name in known and value is not None}


def _completed(encoded: Encoded, blank: Encoded, length: int) -> torch.Tensor:
    missing = length - encoded.embeds.shape[1]
    return torch.cat([encoded.embeds, *[blank.embeds] * (missing // blank.embeds.shape[1])], dim=1)


class Conditioned(torch.nn.Module):
    """A UNet in whose place it stands in a pipeline for one call, for ``count`` pictures.

    The pipeline's own guidance, negative + scale * (answer - negative), is left to it: to several conditions this
    answers negative + sum of weight * (condition - negative). Texts of different lengths are given to the UNet in
    turns, and never more rows than the pipeline does.
    """

    def __init__(self, unet: Any, conditions: Conditions, count: int, calls: Callable[[], int]) -> None:
        """``calls`` says how often the pipeline calls the UNet for a picture; asked when it does."""
        super().__init__()
        self.inner = unet
        self._conditions = conditions
        self._count = count
        self._calls = calls
        self._call = 0

    compares = True
    """Its answer to the positive half depends on the negative one."""

    def restart(self) -> None:
        """The pipeline begins anew."""
        self._call = 0

    @contextmanager
    def again(self) -> Iterator[None]:
        """Within, calls are of the step that was last called."""
        before, self._call = self._call, max(0, self._call - 1)
        try:
            yield
        finally:
            self._call = before

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)

    def forward(
        self, sample: torch.Tensor, timestep: Any, encoder_hidden_states: torch.Tensor, *more: Any, **further: Any
    ) -> Any:
        """As the UNet's. ``sample`` [rows, channels, height, width]: the pictures, after as many again where there is
        guidance. Rows of any other number pass as they are.
        """
        calls = max(1, self._calls(), self._call + 1)
        # Samplers of a higher order call more often than there are steps.
        step = self._call * self._conditions.steps // calls
        self._call += 1
        rows = sample.shape[0]
        if rows not in (self._count, 2 * self._count):
            return self.inner(sample, timestep, encoder_hidden_states, *more, **further)
        guided = rows == 2 * self._count
        pictures = list(range(rows - self._count, rows))
        asked = [(condition.at(step), pictures) for condition in self._conditions.positive]
        if guided:
            asked.insert(0, (self._conditions.negative.at(step), list(range(self._count))))
        answers = self._answers(asked, sample, timestep, more, further)
        weights = [condition.weight for condition in self._conditions.positive]
        noise = (
            torch.cat([answers[0], _toward(answers[0], answers[1:], weights)]) if guided else _mean(answers, weights)
        )
        return (noise,) if further.get("return_dict") is False else _Answer(noise)

    def _answers(
        self,
        asked: Sequence[tuple[Encoded, list[int]]],
        sample: torch.Tensor,
        timestep: Any,
        more: Sequence[Any],
        further: dict[str, Any],
    ) -> list[torch.Tensor]:
        """What the UNet says to each text for its rows of ``sample``, in the order asked."""
        rows = sample.shape[0]
        at_once = max(1, rows // self._count)
        answers: dict[int, torch.Tensor] = {}
        for length in dict.fromkeys(encoded.embeds.shape[1] for encoded, _ in asked):
            same = [place for place, (encoded, _) in enumerate(asked) if encoded.embeds.shape[1] == length]
            for start in range(0, len(same), at_once):
                places = same[start : start + at_once]
                index = torch.tensor([row for place in places for row in asked[place][1]], device=sample.device)
                texts = [asked[place][0] for place in places]
                picked = {name: _rows(value, index, rows) for name, value in further.items()}
                _put_pooled(picked, texts, self._count)
                answer = self.inner(
                    sample[index],
                    _rows(timestep, index, rows),
                    _repeated([text.embeds for text in texts], self._count).to(sample),
                    *[_rows(value, index, rows) for value in more],
                    **picked,
                )[0]
                answers.update(zip(places, answer.split(self._count), strict=True))
        return [answers[place] for place in range(len(asked))]


class _Answer(tuple[torch.Tensor]):
    """A UNet's answer, by name or by place."""

    def __new__(cls, sample: torch.Tensor) -> _Answer:
        return super().__new__(cls, (sample,))

    @property
    def sample(self) -> torch.Tensor:
        return self[0]


def _toward(negative: torch.Tensor, answers: Sequence[torch.Tensor], weights: Sequence[float]) -> torch.Tensor:
    if len(answers) == 1 and weights[0] == 1.0:
        return answers[0]
    moves = [weight * (answer - negative) for weight, answer in zip(weights, answers, strict=True)]
    return negative + torch.stack(moves).sum(0)


def _mean(answers: Sequence[torch.Tensor], weights: Sequence[float]) -> torch.Tensor:
    """Without guidance there is nothing to move away from: the conditions are averaged by their weights."""
    total = sum(weights)
    if len(answers) == 1 or abs(total) < 1e-6:
        return answers[0]
    return torch.stack([weight / total * answer for weight, answer in zip(weights, answers, strict=True)]).sum(0)


def _repeated(rows: Sequence[torch.Tensor], count: int) -> torch.Tensor:
    return torch.cat([row.expand(count, *row.shape[1:]) for row in rows])


def _put_pooled(arguments: dict[str, Any], texts: Sequence[Encoded], count: int) -> None:
    added = arguments.get("added_cond_kwargs")
    if not isinstance(added, dict) or "text_embeds" not in added:
        return
    pooled = [text.pooled for text in texts if text.pooled is not None]
    if len(pooled) == len(texts):
        rows = _repeated(pooled, count).to(added["text_embeds"])
        arguments["added_cond_kwargs"] = {**added, "text_embeds": rows}


def _rows(value: Any, index: torch.Tensor, rows: int) -> Any:
    """The rows ``index`` of every tensor in ``value`` that has ``rows`` of them."""
    if isinstance(value, torch.Tensor):
        return value[index.to(value.device)] if value.ndim and value.shape[0] == rows else value
    if isinstance(value, dict):
        return {name: _rows(one, index, rows) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_rows(one, index, rows) for one in value)
    return value
