"""Tells a pipeline of diffusers what to draw: embeddings where its text encoders are CLIP's, plain text everywhere
else.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from extensions.diffusion.models.guidance import Call
from extensions.diffusion.prompts.embeddings import asked
from extensions.diffusion.prompts.words import Words

from .conditioning import Conditioned, embeds_arguments
from .inversion import Embeddings
from .text_encoding import ClipEncoders, Conditions, can_encode

_SAID_BY = ("prompt", "negative_prompt")


def speaks_clip(pipe: Any, components: Mapping[str, Any]) -> bool:
    """Whether the whole language of prompts can be told to this pipeline."""
    known = inspect.signature(type(pipe).__call__).parameters
    return "unet" in components and "prompt_embeds" in known and can_encode(components)


def encode(
    components: Mapping[str, Any],
    words: Words,
    steps: int,
    clip_skip: int,
    *,
    zero_blank: bool,
    embeddings: Embeddings | None = None,
) -> Conditions:
    """The embeddings of ``words``, from ``components`` with tokenizers and text encoders alone. Raises ModelError for
    one of ``embeddings`` that is another model's.
    """
    encoders = ClipEncoders(components, clip_skip, embeddings)
    return encoders.conditions(words.prompt, words.negative, steps, zero_blank=zero_blank)


def tell(pipe: Any, call: Call, conditions: Conditions, count: int) -> Callable[[], None]:
    """Put ``conditions`` into the call of ``pipe``, for ``count`` pictures. The answer is to be called before each run
    of the call: it begins the steps anew.
    """
    known = inspect.signature(type(pipe).__call__).parameters
    for name in _SAID_BY:
        call.arguments.pop(name, None)
    call.arguments.update(embeds_arguments(conditions, list(known)))
    if conditions.simple:
        return lambda: None
    conditioned = Conditioned(pipe.unet, conditions, count, lambda: int(getattr(pipe, "num_timesteps", 0) or 0))
    pipe.unet = conditioned
    return conditioned.restart


def left_out(pipe: Any, words: Words, clip_skip: int) -> str:
    """What a pipeline that takes plain text ignores of ``words``, as a sentence; empty where nothing."""
    names = {"weights": "weights", "AND": "AND", "BREAK": "BREAK"}
    if not hasattr(pipe, "encode_prompt"):
        names["schedules"] = "schedules and turns"
    ignored = [names[name] for name in names if name in words.features]
    if any(asked(text) for text in words.texts):
        ignored.append("embeddings")
    if clip_skip > 1:
        ignored.append("clip skip")
    if not ignored:
        return ""
    listed = ", ".join(ignored[:-1]) + (" and " if len(ignored) > 1 else "") + ignored[-1]
    return f"{type(pipe).__name__} reads plain text: {listed} of the prompt were left out."
