"""From a picture to the map of a network that looks at it: how near each point is, how people stand. The networks are
transformers' own, from folders that the user put below the models; none comes along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from extensions.diffusion.models.companions import read_config
from webui.api import Component, ComponentKey, Context, ModelError, ModelUse, ResolvedModel

from .skeletons import drawn

KIND = "annotator"
MAPS = ("depth", "pose")
"""The preprocessors that need a network."""
_ENDINGS = {"depth": "ForDepthEstimation", "pose": "ForPoseEstimation", "person": "ForObjectDetection"}
_METRIC = ("ZoeDepthForDepthEstimation", "DepthProForDepthEstimation", "GLPNForDepthEstimation")
"""Classes that answer with distances; the others answer with nearness."""
_FETCH = {
    "depth": "a depth network, such as Depth Anything V2 or DPT",
    "pose": "a pose network, such as ViTPose",
    "person": "a detector of people, such as RT-DETR",
}
_PERSON_MIN = 0.5


class Annotators:
    """The networks that the preprocessors of one job need; found at once, loaded when leased."""

    def __init__(self, wanted: Sequence[str], asked: str, context: Context) -> None:
        """``wanted``: preprocessors; ``asked``: a network that the user named. Raises NotFound, ModelError that says
        what to fetch.
        """
        self._folders: dict[str, Path] = {}
        found = [context.models.resolve(asked, KIND)] if asked else []
        found += [model for model in context.models.listed(KIND) if model not in found]
        for name in dict.fromkeys(wanted):
            if name in MAPS:
                self._take(name, found, context)
        if "pose" in self._folders:
            self._take("person", found, context, needed=False)

    def _take(self, name: str, models: Sequence[ResolvedModel], context: Context, *, needed: bool = True) -> None:
        for model in models:
            if model.path is None:
                continue
            folder = model.path if model.path.is_dir() else model.path.parent
            if _class_of(folder).endswith(_ENDINGS[name]):
                context.use_model(ModelUse(ref=model.ref, sha256=model.sha256, role=KIND))
                self._folders[name] = folder
                return
        hint = (
            f"Put the folder of {_FETCH[name]}, with its config.json, preprocessor_config.json and safetensors, into "
        )
        if needed:
            raise ModelError(
                f"The preprocessor {name} needs {_FETCH[name]}, and there is none.", hint=hint + "models/annotators/."
            )
        context.warn(f"There is no {_FETCH[name][2:]}: the picture is taken for one person. {hint}models/annotators/.")

    def requests(self) -> dict[str, Component]:
        """What to lease."""
        return {f"annotator_{name}": _component(folder) for name, folder in self._folders.items()}

    def made(self, name: str, picture: Image.Image, components: Mapping[str, Any]) -> Image.Image:
        """The map ``name`` of ``picture``, RGB of the same size."""
        network = components[f"annotator_{name}"]
        if name == "depth":
            return depth_map(network, _processor(self._folders[name]), picture)
        boxes = [[0.0, 0.0, float(picture.width), float(picture.height)]]
        if "person" in self._folders:
            detector = components["annotator_person"]
            boxes = people(detector, _processor(self._folders["person"]), picture)
        poses = poses_of(network, _processor(self._folders[name]), picture, boxes) if boxes else []
        return drawn(picture.size, poses)


def _class_of(folder: Path) -> str:
    return str((read_config(folder / "config.json").get("architectures") or [""])[0])


def _component(folder: Path) -> Component:
    return Component(ComponentKey.of(folder, KIND, "float32"), lambda: _load(folder))


def _load(folder: Path) -> Any:
    """Raises ModelError."""
    import transformers

    try:
        cls = getattr(transformers, _class_of(folder))
        loaded = cls.from_pretrained(str(folder), local_files_only=True, use_safetensors=True, dtype=torch.float32)
        return loaded.eval()
    except (OSError, ValueError, RuntimeError, AttributeError, ImportError, KeyError) as error:
        said = " ".join(str(error).split())[:200]
        raise ModelError(f"{folder.name} cannot be loaded: {type(error).__name__}: {said}") from error


def _processor(folder: Path) -> Any:
    from transformers import AutoImageProcessor

    try:
        return AutoImageProcessor.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(
            f"{folder.name} has no usable preprocessor_config.json.", hint="It belongs to the network: put it beside."
        ) from error


def depth_map(network: Any, processor: Any, picture: Image.Image) -> Image.Image:
    """What is near is white, what is far is black, spread over the whole range; RGB of the same size."""
    inputs = processor(images=picture, return_tensors="pt")
    with torch.no_grad():
        depth = network(pixel_values=inputs["pixel_values"].to(network.device)).predicted_depth.float()
    if _is_metric(network):
        depth = 1 / depth.clamp_min(1e-6)
    size = (picture.height, picture.width)
    resized = torch.nn.functional.interpolate(depth[:, None], size=size, mode="bicubic", align_corners=False)[0, 0]
    low, high = resized.min(), resized.max()
    values = ((resized - low) / (high - low).clamp_min(1e-9) * 255).round().to("cpu", torch.uint8).numpy()
    return Image.fromarray(values).convert("RGB")


def _is_metric(network: Any) -> bool:
    return type(network).__name__ in _METRIC or getattr(network.config, "depth_estimation_type", "") == "metric"


def people(detector: Any, processor: Any, picture: Image.Image) -> list[list[float]]:
    """Boxes of people as left, top, width, height in pixels, the surest first."""
    inputs = processor(images=picture, return_tensors="pt")
    with torch.no_grad():
        answer = detector(pixel_values=inputs["pixel_values"].to(detector.device))
    sizes = [(picture.height, picture.width)]
    (found,) = processor.post_process_object_detection(answer, target_sizes=sizes, threshold=_PERSON_MIN)
    names = detector.config.id2label
    boxes = []
    for score, label, box in sorted(
        zip(found["scores"].tolist(), found["labels"].tolist(), found["boxes"].tolist(), strict=True), reverse=True
    ):
        if score >= _PERSON_MIN and str(names.get(label, "")).lower() == "person":
            left, top, right, bottom = box
            boxes.append([left, top, right - left, bottom - top])
    return boxes


def poses_of(network: Any, processor: Any, picture: Image.Image, boxes: list[list[float]]) -> list[np.ndarray]:
    """float32 [17, 3] of each box: x, y in pixels and how sure it is, in COCO's order. Raises ModelError for a network
    of other points.
    """
    inputs = processor(images=picture, boxes=[boxes], return_tensors="pt")
    more = {}
    if getattr(network.config.backbone_config, "num_experts", 1) > 1:  # ViTPose+: the expert of COCO
        more["dataset_index"] = torch.zeros(len(boxes), dtype=torch.long, device=network.device)
    with torch.no_grad():
        answer = network(pixel_values=inputs["pixel_values"].to(network.device), **more)
    (found,) = processor.post_process_pose_estimation(answer, boxes=[boxes])
    poses = [torch.cat([one["keypoints"], one["scores"].reshape(-1, 1)], 1).float().cpu().numpy() for one in found]
    if any(pose.shape != (17, 3) for pose in poses):
        raise ModelError("The pose network does not answer with COCO's 17 points.", hint="Use one trained on COCO.")
    return poses
