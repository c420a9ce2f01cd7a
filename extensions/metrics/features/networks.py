"""The feature networks of published scores, each from weights that a person has: what ``FeatureNetwork.run`` names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from webui.api import Component, ComponentKey, Models

from . import resize as resizing
from .inception import CLASSES, SIDE, Inception, from_weights
from .weights import Marks, find, load, sha256

Pixels = NDArray[np.float32]
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

INCEPTION = Marks(
    "FID's Inception",
    {"Mixed_7c.branch_pool.conv.weight": (192, 2048, 1, 1), "fc.weight": (1008, 2048)},
    "Put torch-fidelity's weights-inception-2015-12-05 or pytorch-fid's pt_inception-2015-12-05 into models/features.",
)
CLIP = Marks(
    "CLIP",
    {"vision_model.embeddings.patch_embedding.weight": (0, 3, 0, 0), "visual_projection.weight": (0, 0)},
    "Put model.safetensors of openai/clip-vit-large-patch14-336 into models/features, or name that id as its weights.",
)
DINOV2 = Marks(
    "DINOv2",
    {"embeddings.patch_embeddings.projection.weight": (0, 3, 0, 0), "encoder.layer.0.layer_scale1.lambda1": (0,)},
    "Put model.safetensors of facebook/dinov2-large into models/features, or name that id as its weights.",
)
VGG16 = Marks(
    "VGG16",
    {"features.28.weight": (512, 512, 3, 3), "classifier.3.weight": (4096, 4096)},
    "Put torchvision's vgg16-397923af.pth into models/features.",
)


class _Network:
    """What all have in common: where the weights are, how they are leased, and what is told of them."""

    marks: Marks
    component_name = ""
    antialias = False

    def __init__(self, models: Models, weights: str = "", resize: str = "") -> None:
        """Raises ModelError, NotFound."""
        self._models = models
        self._path: Path = find(models, self.marks, weights)
        self.resize = resize
        key = ComponentKey.of(self._path, self.component_name, "float32")
        self.component = Component(key, lambda: self.build({n: _tensor(v) for n, v in self._weights().items()}))

    def _weights(self) -> Mapping[str, object]:
        return load(self._models, self.marks, self._path)

    @property
    def side(self) -> int:
        """Width and height in pixels that it reads."""
        raise NotImplementedError

    @property
    def protocol(self) -> Mapping[str, Any]:
        told = {"weights": sha256(self._path), "resize": self.resize, "antialias": self.antialias, "size": self.side}
        return {**told, "weights_file": self._path.name}

    @property
    def heads(self) -> Mapping[str, Sequence[str]]:
        return {}

    def build(self, weights: Mapping[str, Tensor]) -> nn.Module:
        """The network, in evaluation mode."""
        raise NotImplementedError


def _tensor(value: object) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(f"expected a tensor, got a {type(value).__name__}")
    return value.float() if value.is_floating_point() else value


class InceptionNetwork(_Network):
    """``metrics.inception``: FID's. ``tensorflow`` is the published protocol, ``clean`` and ``legacy`` clean-fid's."""

    marks, component_name, side = INCEPTION, "inception", SIDE
    _WAYS: Mapping[str, Callable[[Image.Image, int], Pixels]] = {
        "tensorflow": resizing.tensorflow,
        "clean": resizing.clean,
        "legacy": resizing.pytorch,
    }

    @property
    def antialias(self) -> bool:  # type: ignore[override]
        return self.resize == "clean"

    @property
    def heads(self) -> Mapping[str, Sequence[str]]:
        return {"class": tuple(str(number) for number in range(CLASSES))}

    def build(self, weights: Mapping[str, Tensor]) -> Inception:
        return from_weights(weights)

    def prepare(self, picture: Image.Image) -> Pixels:
        return self._WAYS[self.resize](picture, SIDE)

    def read(self, network: Inception, batch: Tensor) -> Mapping[str, Tensor]:
        told = network(batch.contiguous(memory_format=torch.channels_last))
        return {"features": told.features, "class": told.logits}


class ClipNetwork(_Network):
    """``metrics.clip``: embeddings of any CLIP in transformers' names; CMMD's is ViT-L/14 at 336 pixels."""

    marks, component_name = CLIP, "clip-vision"

    @property
    def side(self) -> int:
        patch = _shape(self, "vision_model.embeddings.patch_embedding.weight")[-1]
        places = _shape(self, "vision_model.embeddings.position_embedding.weight")[0] - 1
        return patch * round(places**0.5)

    @property
    def dim(self) -> int:
        """Of the embedding: 768 for ViT-L, 512 for ViT-B."""
        return _shape(self, "visual_projection.weight")[0]

    def build(self, weights: Mapping[str, Tensor]) -> nn.Module:
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

        patch = weights["vision_model.embeddings.patch_embedding.weight"]
        width, depth = patch.shape[0], _depth(weights, "vision_model.encoder.layers.")
        config = CLIPVisionConfig(
            hidden_size=width,
            intermediate_size=weights["vision_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
            projection_dim=weights["visual_projection.weight"].shape[0],
            num_hidden_layers=depth,
            num_attention_heads=max(1, width // 64),
            image_size=self.side,
            patch_size=patch.shape[-1],
        )
        with torch.device("meta"):
            network = CLIPVisionModelWithProjection(config)
        return _filled(network, weights)

    def prepare(self, picture: Image.Image) -> Pixels:
        """As CMMD's authors: torch's bicubic without antialias over 0..1, then CLIP's normalization."""
        return _normalized(resizing.pytorch(picture, self.side, "bicubic"), CLIP_MEAN, CLIP_STD)

    def read(self, network: nn.Module, batch: Tensor) -> Mapping[str, Tensor]:
        return {"features": network(pixel_values=batch).image_embeds}


class DinoNetwork(_Network):
    """``metrics.dinov2``: the class token of DINOv2 (Oquab et al. 2023); FD-DINOv2 is ViT-L/14 at 224 pixels (Stein et
    al. 2023).
    """

    marks, component_name, side, antialias = DINOV2, "dinov2", 224, True

    @property
    def dim(self) -> int:
        """Of the class token: 1024 for ViT-L, 768 for ViT-B."""
        return _shape(self, "embeddings.patch_embeddings.projection.weight")[0]

    def build(self, weights: Mapping[str, Tensor]) -> nn.Module:
        from transformers import Dinov2Config, Dinov2Model

        patch = weights["embeddings.patch_embeddings.projection.weight"]
        width, places = patch.shape[0], weights["embeddings.position_embeddings"].shape[1] - 1
        mlp = weights.get("encoder.layer.0.mlp.fc1.weight")
        config = Dinov2Config(
            hidden_size=width,
            num_hidden_layers=_depth(weights, "encoder.layer."),
            num_attention_heads=max(1, width // 64),
            mlp_ratio=4 if mlp is None else mlp.shape[0] // width,
            use_swiglu_ffn=mlp is None,
            image_size=patch.shape[-1] * round(places**0.5),
            patch_size=patch.shape[-1],
        )
        with torch.device("meta"):
            network = Dinov2Model(config)
        return _filled(network, weights)

    def prepare(self, picture: Image.Image) -> Pixels:
        return _normalized(resizing.clean(picture, self.side), IMAGENET_MEAN, IMAGENET_STD)

    def read(self, network: nn.Module, batch: Tensor) -> Mapping[str, Tensor]:
        return {"features": network(pixel_values=batch).pooler_output}


class VggNetwork(_Network):
    """``metrics.vgg16``: the second layer above the convolutions, on which precision and recall were published."""

    marks, component_name, side = VGG16, "vgg16", 224

    def build(self, weights: Mapping[str, Tensor]) -> nn.Module:
        from torchvision.models import vgg16

        with torch.device("meta"):
            whole = vgg16(weights=None)
            network = nn.Sequential()
            network.features, network.classifier = whole.features, whole.classifier[:5]
        return _filled(network, weights)

    def prepare(self, picture: Image.Image) -> Pixels:
        return _normalized(resizing.tensorflow(picture, self.side), IMAGENET_MEAN, IMAGENET_STD)

    def read(self, network: nn.Module, batch: Tensor) -> Mapping[str, Tensor]:
        return {"features": network.classifier(network.features(batch).flatten(1))}


def _shape(network: _Network, name: str) -> tuple[int, ...]:
    """Of a tensor in the network's file."""
    shapes = network._models.shapes(network._path)
    return tuple(shapes[(network.marks.fit(shapes) or "") + name])


def _normalized(pixels: Pixels, mean: Sequence[float], std: Sequence[float]) -> Pixels:
    """float32 [3,H,W] in 0..255 -> as ImageNet's and CLIP's networks want them."""
    shift, scale = (np.asarray(values, np.float32)[:, None, None] * 255 for values in (mean, std))
    return (pixels - shift) / scale


def _depth(weights: Mapping[str, Tensor], prefix: str) -> int:
    """How many layers have names that begin with ``prefix``."""
    return 1 + max(int(name.removeprefix(prefix).partition(".")[0]) for name in weights if name.startswith(prefix))


def _filled(network: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """``network``, made without memory, with ``weights``; further ones in the file are of its other parts."""
    own = {name for name, _ in network.named_parameters()}
    missing = sorted(own - set(weights))
    if missing:
        raise ValueError(f"the weights lack {missing[0]} and {len(missing) - 1} more")
    network.load_state_dict({name: weights[name] for name in own}, strict=False, assign=True)
    for name, buffer in list(network.named_buffers()):
        if buffer.is_meta:  # places of tokens: the only buffers of these networks
            owner, _, last = name.rpartition(".")
            setattr(network.get_submodule(owner), last, torch.arange(buffer.shape[-1]).expand(buffer.shape))
    return network.eval().requires_grad_(False)
