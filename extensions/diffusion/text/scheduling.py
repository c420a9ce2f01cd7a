"""Between a pipeline of diffusers and its denoiser, where the text encoders are not CLIP's alone (T5, language models):
gives each step the text that counts in it.

The pipeline encodes its prompt by a call of its own. The other texts are encoded by the same call, with all else as it
is; in the denoiser's arguments, what the first text came to is then recognised and given way to the step's own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from extensions.diffusion.models.guidance import Call
from extensions.diffusion.prompts.grammar import Prompt
from extensions.diffusion.prompts.program import plain
from extensions.diffusion.prompts.words import Words

_TIMES = ("timestep", "timesteps", "t")


def told(pipe: Any, call: Call, words: Words, steps: int, say: Callable[[str], None]) -> Callable[[], None] | None:
    """Have ``pipe`` follow the schedules and turns of ``words``. The answer is to be called before each run of the
    call; None where nothing changes between steps, or the pipeline has no place for it. ``say``: tells what is left
    out.
    """
    own = "negative_prompt" in call.arguments and bool(words.negative.text.strip())
    texts = [_texts(words.prompt, steps), _texts(words.negative, steps) if own else [""] * max(1, steps)]
    if all(len(set(row)) == 1 for row in texts):
        return None
    name = "transformer" if getattr(pipe, "transformer", None) is not None else "unet"
    if not hasattr(pipe, "encode_prompt") or getattr(pipe, name, None) is None:
        return None
    call.arguments["prompt"] = texts[0][0]
    if own:
        call.arguments["negative_prompt"] = texts[1][0]
    scheduled = Scheduled(getattr(pipe, name), texts, lambda: int(getattr(pipe, "num_timesteps", 0) or 0), say)
    pipe.encode_prompt = scheduled.encoding(pipe.encode_prompt)
    setattr(pipe, name, scheduled)
    return scheduled.restart


def _texts(prompt: Prompt, steps: int) -> list[str]:
    """The plain text of each step."""
    if not any(part.changes for part in prompt.parts):
        return [" ".join(text for part in prompt.parts if (text := plain(part.at(0, 1))))] * max(1, steps)
    return [
        " ".join(text for part in prompt.parts if (text := plain(part.at(step, steps))))
        for step in range(max(1, steps))
    ]


@dataclass(frozen=True)
class _Table:
    """What one call of the encoders came to: for the first text, and for each of the others."""

    first: tuple[torch.Tensor, ...]
    others: dict[tuple[str, str], tuple[torch.Tensor, ...]]

    @property
    def resized(self) -> bool:
        """Whether texts of other lengths have other shapes."""
        return any(
            one.shape != other.shape for row in self.others.values() for one, other in zip(self.first, row, strict=True)
        )


class Scheduled(torch.nn.Module):
    """A denoiser in whose place it stands in a pipeline for one call."""

    def __init__(
        self, inner: Any, texts: Sequence[Sequence[str]], calls: Callable[[], int], say: Callable[[str], None]
    ) -> None:
        """``texts``: prompt and negative prompt of each step. ``calls``: how many times of denoising there are, asked
        when it is called.
        """
        super().__init__()
        self.inner = inner
        self._texts = list(zip(*texts, strict=True))
        self._calls, self._say = calls, say
        self._tables: list[_Table] = []
        self._time: float | None = None
        self._call = -1
        self._met = False
        """Whether the first text was recognised in any call."""

    def restart(self) -> None:
        """The pipeline begins anew."""
        self._tables.clear()
        self._time, self._call = None, -1

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)

    def encoding(self, encode: Callable[..., Any]) -> Callable[..., Any]:
        """``encode`` of a pipeline, that keeps what the other texts come to."""
        signature = inspect.signature(encode)

        def encoded(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            given, first = dict(bound.arguments), encode(*args, **kwargs)
            others: dict[tuple[str, str], tuple[torch.Tensor, ...]] = {}
            for texts in dict.fromkeys(self._texts[1:]):
                swapped = {name: self._swapped_text(name, value, texts) for name, value in given.items()}
                if swapped != given:
                    bound.arguments.update(swapped)
                    others[texts] = tuple(_tensors(encode(*bound.args, **bound.kwargs)))
            if others:
                self._tables.append(_Table(tuple(_tensors(first)), others))
            return first

        return encoded

    def _swapped_text(self, name: str, value: Any, texts: tuple[str, str]) -> Any:
        if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            return [self._swapped_text(name, one, texts) for one in value]
        if not isinstance(value, str) or "prompt" not in name:
            return value
        order = (1, 0) if name.startswith("negative") else (0, 1)
        return next((texts[side] for side in order if value == self._texts[0][side] and value), value)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As the denoiser's."""
        texts = self._texts[self._step(args, kwargs)]
        table = next((one for one in self._tables if _is_told(one, (args, kwargs))), None)
        self._met = self._met or table is not None
        if table is None:
            if not self._met and self._call > 0:  # of the calls of a step, some are for the negative prompt
                self._say("schedules and turns have no effect on this family")
            return self.inner(*args, **kwargs)
        row = table.others.get(texts)
        if row is None:
            return self.inner(*args, **kwargs)
        if table.resized and any(_counts_lengths(value) for value in kwargs.values()):
            self._say("schedules and turns of texts of other lengths have no effect on this family")
            return self.inner(*args, **kwargs)
        return self.inner(*_swapped(args, table.first, row), **_swapped(kwargs, table.first, row))

    def _step(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        """Which step it is: pipelines call once or several times for each of their times."""
        found = next((kwargs[name] for name in _TIMES if name in kwargs), args[1] if len(args) > 1 else None)
        time = float(found.flatten()[0]) if isinstance(found, torch.Tensor) else found
        if time is None or time != self._time:
            self._time, self._call = time, self._call + 1
        steps = len(self._texts)
        calls = max(self._calls() or steps, self._call + 1)
        return min(steps - 1, self._call * steps // calls)


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _tensors(one)


def _is_told(table: _Table, arguments: Any) -> bool:
    """Whether the embeddings of the table's first text are among a call's arguments."""
    embeds = [one for one in table.first if one.is_floating_point() and one.ndim > 1]
    return any(_match(value, embeds, embeds) is not None for value in _flat(arguments))


def _flat(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _flat(one)


def _counts_lengths(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, int) for one in value)


def _swapped(value: Any, first: Sequence[torch.Tensor], row: Sequence[torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        found = _match(value, first, row)
        return value if found is None else found
    if isinstance(value, dict):
        return {name: _swapped(one, first, row) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_swapped(one, first, row) for one in value)
    return value


def _match(value: torch.Tensor, first: Sequence[torch.Tensor], row: Sequence[torch.Tensor]) -> torch.Tensor | None:
    """What of ``row`` stands for ``value``, which is one of ``first`` or two of them in one batch; None for neither."""
    for one, other in zip(first, row, strict=True):
        if _same(value, one):
            return other.to(value)
    for half, other in zip(first, row, strict=True):
        count = half.shape[0] if half.ndim else 0
        if not count or value.ndim != half.ndim or value.shape[0] <= count or not _same(value[:count], half):
            continue
        for rest, another in zip(first, row, strict=True):
            if _same(value[count:], rest):
                return torch.cat([other.to(value), another.to(value)])
    return None


def _same(value: torch.Tensor, other: torch.Tensor) -> bool:
    return value is other or (value.shape == other.shape and torch.equal(value, other.to(value)))
