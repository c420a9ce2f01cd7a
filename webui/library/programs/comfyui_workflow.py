"""From the graph as ComfyUI's editor stores it (``workflow``) to the graph as it is run (``prompt``), for ``comfyui``:
a picture may have kept only the former.

The editor stores a node's own values as a list without names. Newer versions name them among the node's inputs; for
older ones the order of the usual nodes is known here, and other nodes keep their links alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .reading import as_list, as_object

_WIDGETS: Mapping[str, tuple[str, ...]] = {
    "KSampler": ("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        "add_noise",
        "noise_seed",
        "steps",
        "cfg",
        "sampler_name",
        "scheduler",
        "start_at_step",
        "end_at_step",
        "return_with_leftover_noise",
    ),
    "SamplerCustom": ("add_noise", "noise_seed", "cfg"),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "RandomNoise": ("noise_seed",),
    "CFGGuider": ("cfg",),
    "FluxGuidance": ("guidance",),
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeSDXL": (
        "width",
        "height",
        "crop_w",
        "crop_h",
        "target_width",
        "target_height",
        "text_g",
        "text_l",
    ),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl", "guidance"),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name", "weight_dtype"),
    "UnetLoaderGGUF": ("unet_name",),
    "VAELoader": ("vae_name",),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "EmptySD3LatentImage": ("width", "height", "batch_size"),
    "PrimitiveNode": ("value",),
    "PrimitiveInt": ("value",),
    "PrimitiveFloat": ("value",),
    "PrimitiveString": ("value",),
    "PrimitiveStringMultiline": ("value",),
}
_CONTROLS = frozenset({"fixed", "increment", "decrement", "randomize"})
"""What stands after a seed in the list of values: what the editor does with it after a run."""
_MUTED, _BYPASSED = 2, 4
_MAX_HOPS = 100


def to_prompt(workflow: Mapping[str, Any]) -> dict[str, Any]:
    """The nodes by id, each with ``class_type`` and ``inputs``. Muted nodes are left out, bypassed ones and reroutes
    are passed through.
    """
    nodes = {
        str(node["id"]): node for node in as_list(workflow.get("nodes")) if isinstance(node, dict) and "id" in node
    }
    links = _links(workflow)
    prompt = {}
    for name, node in nodes.items():
        if node.get("mode") in (_MUTED, _BYPASSED) or node.get("type") == "Reroute":
            continue
        inputs = _values(node)
        for row in map(as_object, as_list(node.get("inputs"))):
            source = _source(row.get("link"), nodes, links)
            if source is not None:
                inputs[str(row.get("name", ""))] = list(source)
        prompt[name] = {"class_type": str(node.get("type", "")), "inputs": inputs}
    return prompt


def _links(workflow: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """The node and the place that each link comes from."""
    links: dict[str, tuple[str, int]] = {}
    for link in as_list(workflow.get("links")):
        if isinstance(link, list) and len(link) >= 3:
            links[str(link[0])] = (str(link[1]), link[2] if isinstance(link[2], int) else 0)
        elif isinstance(link, dict):
            place = link.get("origin_slot")
            links[str(link.get("id"))] = (str(link.get("origin_id")), place if isinstance(place, int) else 0)
    return links


def _source(link: Any, nodes: Mapping[str, Any], links: Mapping[str, tuple[str, int]]) -> tuple[str, int] | None:
    """Where a link comes from, through nodes that only pass on."""
    for _ in range(_MAX_HOPS):
        if link is None or (origin := links.get(str(link))) is None:
            return None
        node = nodes.get(origin[0])
        if node is None or node.get("mode") == _MUTED:
            return None
        if node.get("mode") != _BYPASSED and node.get("type") != "Reroute":
            return origin
        outputs = as_list(node.get("outputs"))
        kind = as_object(outputs[origin[1]]).get("type") if 0 <= origin[1] < len(outputs) else None
        rows = [as_object(row) for row in as_list(node.get("inputs"))]
        alike = [row for row in rows if row.get("type") == kind] or rows
        link = alike[0].get("link") if alike else None
    return None


def _values(node: Mapping[str, Any]) -> dict[str, Any]:
    """A node's own values by name."""
    values = node.get("widgets_values")
    if isinstance(values, dict):
        return dict(values)
    rows = [as_object(row) for row in as_list(node.get("inputs"))]
    names = [str(as_object(row["widget"]).get("name", "")) for row in rows if isinstance(row.get("widget"), dict)]
    known = _WIDGETS.get(str(node.get("type", "")), ())
    if len(known) > len(names):
        names = list(known)
    named: dict[str, Any] = {}
    remaining = iter(as_list(values))
    seeded = False
    for name in names:
        value = next(remaining, None)
        if seeded and isinstance(value, str) and value in _CONTROLS:
            value = next(remaining, None)
        seeded = name in ("seed", "noise_seed")
        named[name] = value
    return named
