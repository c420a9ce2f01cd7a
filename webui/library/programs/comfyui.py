"""ComfyUI: the graph under ``prompt`` (as it was run) or ``workflow`` (as the editor stores it), followed from the
saved picture back to what our parameters can say.

The way: picture, sampler, then each of the sampler's inputs: conditioning to the texts, model to its file through its
networks, latent to its size. With several samplers in a row the first is read, which composes the picture; the others,
and every node on the way that no parameter stands for, are named in ``unmapped``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import names
from .comfyui_workflow import to_prompt
from .reading import Reading, as_object, as_prompt, as_real, as_stem, as_text, as_whole, load_object

PROGRAM = "ComfyUI"
MAX_PASSES = 16
"""Samplers in a row; each costs a walk through the graph."""
MAX_DEPTH = 200
"""Links followed in a row; a longer chain is left."""

_MODEL_NAMES = ("ckpt_name", "unet_name", "model_name", "base_ckpt_name")
_PLUMBING = frozenset(
    {"CLIPLoader", "DualCLIPLoader", "TripleCLIPLoader", "VAELoader", "VAEDecode", "VAEDecodeTiled", "VAEEncode",
     "LoadImage", "KSamplerSelect", "BasicScheduler", "RandomNoise", "CFGGuider", "BasicGuider", "Reroute"}
)  # fmt: skip
"""Nodes that say nothing beside what was read, or what needs no parameter."""


def read(chunks: Mapping[str, str]) -> Reading | None:
    prompt = load_object(chunks.get("prompt", ""))
    if prompt is None or not any("class_type" in as_object(node) for node in prompt.values()):
        workflow = load_object(chunks.get("workflow", ""))
        if workflow is None or "nodes" not in workflow:
            if "workflow" not in chunks:
                return None
            return Reading(PROGRAM, notes=["its graph is damaged, or longer than what is read"])
        prompt = to_prompt(workflow)
    return _Follower(prompt).reading()


class _Follower:
    """One reading of one graph. Each of its walks visits a node at most once, so it takes time linear in the graph."""

    def __init__(self, prompt: Mapping[str, Any]) -> None:
        self._nodes = {str(name): as_object(node) for name, node in prompt.items()}
        self._used: set[str] = set()
        self._reading = Reading(PROGRAM)

    def reading(self) -> Reading:
        outputs = self._outputs()
        reached = list(self._upstream(outputs)) if outputs else list(self._nodes)
        samplers = [name for name in reached if self._is_sampler(name)]
        if samplers:
            first = self._first_pass(samplers[0])
            self._take_sampler(first)
            self._used.add(first)
        else:
            self._reading.notes.append("its graph has no sampler that is known here")
        for name in reached:
            kind = self._kind(name)
            if name not in self._used and name not in outputs and kind not in _PLUMBING:
                plain = {key: value for key, value in self._inputs(name).items() if self._link(value) is None}
                self._reading.leave(f"{kind} ({name})", plain or "used")
        return self._reading

    def _kind(self, name: str) -> str:
        return str(self._nodes[name].get("class_type", ""))

    def _inputs(self, name: str) -> Mapping[str, Any]:
        return as_object(self._nodes[name].get("inputs"))

    def _link(self, value: Any) -> str | None:
        """The node that a value comes from; None for a plain value."""
        if isinstance(value, list) and len(value) == 2 and isinstance(value[1], int) and str(value[0]) in self._nodes:
            return str(value[0])
        return None

    def _source(self, name: str, *keys: str) -> str | None:
        """The node linked to the first of ``keys`` that has one."""
        inputs = self._inputs(name)
        return next((found for key in keys if (found := self._link(inputs.get(key))) is not None), None)

    def _upstream(self, starts: list[str]) -> Iterator[str]:
        """Every node that ``starts`` depend on, the nearest first, ``starts`` included."""
        seen, waiting = set(starts), list(starts)
        for name in waiting:
            yield name
            for value in self._inputs(name).values():
                source = self._link(value)
                if source is not None and source not in seen:
                    seen.add(source)
                    waiting.append(source)

    def _outputs(self) -> list[str]:
        """Nodes that save a picture, else those that show one."""
        for word in ("save", "preview"):
            found = [name for name in self._nodes if word in (kind := self._kind(name).lower()) and "image" in kind]
            if found:
                return found
        return []

    def _is_sampler(self, name: str) -> bool:
        inputs = self._inputs(name)
        return "guider" in inputs or (
            {"positive", "model"} <= inputs.keys() and bool({"seed", "noise_seed"} & inputs.keys())
        )

    def _first_pass(self, name: str) -> str:
        """The sampler at the beginning of a row of them, by way of their latents and pictures."""
        met = {name}
        while (latent := self._source(name, "latent_image", "samples", "latent", "image")) is not None:
            earlier = next((one for one in self._upstream([latent]) if self._is_sampler(one)), None)
            if earlier is None or earlier in met or len(met) > MAX_PASSES:
                break
            met.add(earlier)
            name = earlier
        return name

    def _take_sampler(self, name: str) -> None:
        params = self._reading.params
        guider, sigmas = self._source(name, "guider") or name, self._source(name, "sigmas") or name
        places = (name, guider, sigmas, self._source(name, "noise") or name, self._source(name, "sampler") or name)
        self._used.update(places)
        self._take_texts(guider)
        self._take_number("seed", as_whole, places, "seed", "noise_seed")
        self._take_number("steps", as_whole, places, "steps")
        self._take_number("guidance_scale", as_real, places, "cfg")
        params.update(self._distilled_guidance(guider))
        for key, words in (("sampler", ("sampler_name",)), ("schedule", ("scheduler",))):
            found = next(
                (text for place in places for word in words if (text := as_text(self._inputs(place).get(word)))), None
            )
            if found:
                params[key] = names.sampler(found)[0] if key == "sampler" else names.schedule(found)
        self._take_model(self._source(guider, "model") or self._source(name, "model"))
        self._take_latent(name, places)

    def _take_number(self, name: str, convert: Any, places: tuple[str, ...], *keys: str) -> None:
        for place in places:
            for key in keys:
                value = self._inputs(place).get(key)
                if value is not None and self._reading.take(name, convert(self._plain(value))):
                    return

    def _plain(self, value: Any) -> Any:
        """A value itself, or that of the primitive that it comes from."""
        for _ in range(MAX_DEPTH):
            source = self._link(value)
            if source is None:
                return value
            self._used.add(source)
            inputs = self._inputs(source)
            key = next(
                (key for key in ("value", "seed", "noise_seed", "int", "float", "number", "Number") if key in inputs),
                None,
            )
            if key is None:
                return None
            value = inputs[key]
        return None

    def _take_texts(self, guider: str) -> None:
        for key, name in (("positive", "prompt"), ("negative", "negative_prompt")):
            source = self._source(guider, key, *(["conditioning"] if key == "positive" else []))
            text = self._condition(source, key, set(), 0) if source is not None else None
            if text is not None:
                self._reading.params[name] = text
        if clip := self._clip_skip(guider):
            self._reading.params["clip_skip"] = clip

    def _condition(self, name: str, role: str, seen: set[str], depth: int) -> str | None:
        """The text behind a conditioning; None where none is found. ``role``: which of two inputs to follow through a
        node that has both.
        """
        if name in seen or depth > MAX_DEPTH:
            return None
        seen.add(name)
        kind, inputs = self._kind(name), self._inputs(name)
        if kind == "ConditioningZeroOut":
            self._used.add(name)
            return ""
        if (text := self._own_text(name)) is not None:
            return text
        keys = [role] if role in inputs else [key for key in inputs if key.startswith("conditioning")]
        parts = [
            part
            for key in keys
            if (source := self._link(inputs[key])) is not None
            and (part := self._condition(source, role, seen, depth + 1)) is not None
        ]
        if kind in ("FluxGuidance", "ConditioningConcat"):
            self._used.add(name)
        return ("\nBREAK\n" if kind == "ConditioningConcat" else "\nAND\n").join(parts) if parts else None

    def _own_text(self, name: str) -> str | None:
        """What a text encoder encodes; of two texts for two encoders the longer one says more."""
        inputs = self._inputs(name)
        keys = [key for key in ("text", "text_g", "text_l", "t5xxl", "clip_l", "prompt") if key in inputs]
        texts = [text for key in keys if (text := self._string(inputs[key], set(), 0)) is not None]
        if not texts:
            return None
        self._used.add(name)
        best = max(texts, key=len)
        for other in texts:
            if other and other != best:
                self._reading.leave(f"second text of {self._kind(name)} ({name})", other)
        return best

    def _string(self, value: Any, seen: set[str], depth: int) -> str | None:
        """A text, or that of the nodes it comes from, joined where they join texts."""
        if isinstance(value, str):
            return as_prompt(value)
        source = self._link(value)
        if source is None or source in seen or depth > MAX_DEPTH:
            return None
        seen.add(source)
        self._used.add(source)
        inputs = self._inputs(source)
        keys = [
            key for key in inputs if key.lower().startswith(("text", "string", "value", "prompt", "populated_text"))
        ]
        parts = [part for key in keys if (part := self._string(inputs[key], seen, depth + 1))]
        glue = inputs.get("delimiter", inputs.get("separator", ""))
        return (glue if isinstance(glue, str) else "").join(parts) if parts else None

    def _clip_skip(self, guider: str) -> int | None:
        """2 for a text encoder stopped at its last layer but one, as -2 says."""
        source = self._source(guider, "positive", "conditioning")
        for name in self._upstream([source] if source else []):
            stop = as_whole(self._inputs(name).get("stop_at_clip_layer"))
            if stop is not None and -12 <= stop < 0:
                self._used.add(name)
                return -stop
        return None

    def _distilled_guidance(self, guider: str) -> dict[str, float]:
        """What a guidance-distilled model is told in its conditioning: its guidance scale, the sampler's being 1."""
        source = self._source(guider, "positive", "conditioning")
        for name in self._upstream([source] if source else []):
            value = as_real(self._plain(self._inputs(name).get("guidance")))
            if value is not None:
                return {"guidance_scale": value}
        return {}

    def _take_model(self, name: str | None) -> None:
        """The file at the end of the chain of ``model`` inputs, and the networks that are put on it on the way."""
        networks: list[tuple[str, float]] = []
        met: set[str] = set()
        while name is not None and name not in met:
            met.add(name)
            inputs = self._inputs(name)
            found = self._networks(inputs)
            networks[:0] = found
            if found:
                self._used.add(name)
            title = next((stem for key in _MODEL_NAMES if (stem := as_stem(inputs.get(key)))), None)
            if title:
                self._reading.params["model"] = title
                self._used.add(name)
                break
            name = self._source(name, "model")
        self._reading.add_loras(networks)

    def _networks(self, inputs: Mapping[str, Any]) -> list[tuple[str, float]]:
        weight = as_real(self._plain(inputs.get("strength_model")))
        if stem := as_stem(inputs.get("lora_name")):
            return [(stem, 1.0 if weight is None else weight)]
        rows = [as_object(value) for key, value in inputs.items() if key.lower().startswith("lora_")]
        return [
            (as_stem(row["lora"]) or "", as_real(row.get("strength")) or 0.0)
            for row in rows
            if row.get("on") and "lora" in row
        ]

    def _take_latent(self, sampler: str, places: tuple[str, ...]) -> None:
        """The size that an empty latent states; with a picture in its place, how much of it is changed."""
        start = self._source(sampler, "latent_image", "samples", "latent")
        for name in self._upstream([start] if start else []):
            inputs = self._inputs(name)
            width, height = (as_whole(self._plain(inputs.get(key))) for key in ("width", "height"))
            if width and height:
                self._used.add(name)
                self._reading.params.update(width=width, height=height)
                self._reading.leave(
                    "batch_size", None if inputs.get("batch_size") in (None, 1) else inputs["batch_size"]
                )
                return
            if "pixels" in inputs:
                self._used.add(name)
                strength = next(
                    (one for place in places if (one := as_real(self._inputs(place).get("denoise"))) is not None), None
                )
                self._reading.take("strength", strength)
                return
