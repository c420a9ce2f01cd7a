"""Depth and pose by networks of transformers, tiny and random but in their real formats; skeletons as OpenPose's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from extensions.diffusion.pictures.annotators import depth_map, people, poses_of
from extensions.diffusion.pictures.skeletons import drawn, openpose_points
from extensions.diffusion.tests.test_controls import controlnet as make_controlnet
from extensions.diffusion.tests.test_img2img import scene
from webui.testing import Outcome, Studio, run_pipeline

Generate = Callable[..., Outcome]
controlnet = make_controlnet


def depth_folder(folder: Path) -> Path:
    """A tiny Depth Anything."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessor

    torch.manual_seed(3)
    backbone = Dinov2Config(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
        out_indices=[1, 2],
        reshape_hidden_states=False,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        reassemble_factors=[2, 1],
        neck_hidden_sizes=[8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
    )
    DepthAnythingForDepthEstimation(config).eval().save_pretrained(str(folder))
    DPTImageProcessor(size={"height": 28, "width": 28}).save_pretrained(str(folder))
    return folder


def pose_folder(folder: Path) -> Path:
    """A tiny ViTPose."""
    from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation, VitPoseImageProcessor

    torch.manual_seed(4)
    backbone = VitPoseBackboneConfig(
        image_size=[32, 24],
        patch_size=[8, 8],
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        out_indices=[2],
    )
    config = VitPoseConfig(backbone_config=backbone, num_labels=17)
    VitPoseForPoseEstimation(config).eval().save_pretrained(str(folder))
    VitPoseImageProcessor(size={"height": 32, "width": 24}).save_pretrained(str(folder))
    return folder


def detector_folder(folder: Path, label: str) -> Path:
    """A tiny YOLOS that always finds one ``label``, in the left half of the picture."""
    from transformers import YolosConfig, YolosForObjectDetection, YolosImageProcessor

    torch.manual_seed(6)
    config = YolosConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=[64, 64],
        patch_size=16,
        num_detection_tokens=1,
        id2label={0: label, 1: "other"},
        label2id={label: 0, "other": 1},
    )
    network = YolosForObjectDetection(config).eval()
    with torch.no_grad():
        sure, place = network.class_labels_classifier.layers[-1], network.bbox_predictor.layers[-1]
        sure.weight.zero_()
        sure.bias.copy_(torch.tensor([9.0, 0.0, 0.0]))
        place.weight.zero_()
        place.bias.copy_(torch.logit(torch.tensor([0.25, 0.5, 0.4, 0.8])))  # middle, width and height, as shares
    network.save_pretrained(str(folder))
    YolosImageProcessor(size={"height": 64, "width": 64}).save_pretrained(str(folder))
    return folder


@pytest.fixture
def networks(models_dir: Path) -> Any:
    import shutil

    depth_folder(models_dir / "annotators" / "depth")
    pose_folder(models_dir / "annotators" / "pose")
    yield models_dir / "annotators"
    shutil.rmtree(models_dir / "annotators")


def pixels(outcome: Outcome) -> bytes:
    assert outcome.state == "done", outcome.error
    return outcome.images[0].tobytes()


def test_a_job_draws_after_a_map(generate: Generate, controlnet: Path, networks: Path, tmp_path: Path) -> None:
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation

    picture = scene(tmp_path / "in.png")
    unit = {"control_1_model": "lines", "control_1_image": str(picture)}
    by_network = pixels(generate("sd1", **unit, control_1_preprocessor="depth"))
    folder = str(networks / "depth")
    network, processor = AutoModelForDepthEstimation.from_pretrained(folder), AutoImageProcessor.from_pretrained(folder)
    source = Image.open(picture).convert("RGB")
    finished = depth_map(network, processor, source)
    assert finished.size == source.size
    assert finished.getextrema()[0] == (0, 255)
    finished.save(tmp_path / "depth.png")
    assert pixels(generate("sd1", control_1_model="lines", control_1_image=str(tmp_path / "depth.png"))) == by_network
    posed = generate("sd1", **unit, control_1_preprocessor="pose")
    assert posed.state == "done", posed.error
    assert any("taken for one person" in words for words in posed.warnings)
    named = pixels(generate("sd1", **unit, control_1_preprocessor="depth", control_annotator="depth"))
    assert named == by_network


def test_inpainting_is_held_to_the_pose_of_who_is_found(
    generate: Generate, studio: Studio, controlnet: Path, networks: Path, tmp_path: Path
) -> None:
    """The detector's box, not the whole picture, goes to the pose network; nobody found is a black map."""
    from transformers import AutoImageProcessor, AutoModelForObjectDetection, VitPoseForPoseEstimation

    generate("sd1")
    detector_folder(networks / "people", "person")
    source = Image.open(scene(tmp_path / "in.png")).convert("RGB")
    detector = AutoModelForObjectDetection.from_pretrained(str(networks / "people"))
    (box,) = people(detector, AutoImageProcessor.from_pretrained(str(networks / "people")), source)
    assert np.allclose(box, [0.05 * 64, 0.1 * 64, 0.4 * 64, 0.8 * 64], atol=0.1)
    network = VitPoseForPoseEstimation.from_pretrained(str(networks / "pose")).eval()
    poses = poses_of(network, AutoImageProcessor.from_pretrained(str(networks / "pose")), source, [box])
    drawn(source.size, poses).save(tmp_path / "pose.png")
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 40, 64))
    mask.save(tmp_path / "mask.png")

    def paint(**changes: Any) -> Outcome:
        asked = {"prompt": "a cat", "model": "diffusers/sd1", "image": str(tmp_path / "in.png"), "steps": 4, "seed": 5}
        asked |= {"mask": str(tmp_path / "mask.png"), "mask_blur": 0, "control_1_model": "lines", **changes}
        studio.catalog.refresh()
        return run_pipeline("diffusion.inpaint", asked, tmp_path, studio=studio)

    posed = paint(control_1_preprocessor="pose")
    assert posed.warnings == []
    assert pixels(posed) == pixels(paint(control_1_image=str(tmp_path / "pose.png")))
    outside = np.asarray(mask) == 0
    assert (np.asarray(posed.images[0])[outside] == np.asarray(source)[outside]).all()
    detector_folder(networks / "people", "dog")
    Image.new("RGB", (64, 64)).save(tmp_path / "black.png")
    nobody = paint(control_1_preprocessor="pose")
    assert pixels(nobody) == pixels(paint(control_1_image=str(tmp_path / "black.png"))) != pixels(posed)


def test_what_is_to_be_fetched_is_said(generate: Generate, controlnet: Path, tmp_path: Path) -> None:
    unit = {"control_1_model": "lines", "control_1_image": str(scene(tmp_path / "in.png"))}
    for name, words in (("depth", "Depth Anything"), ("pose", "ViTPose")):
        outcome = generate("sd1", **unit, control_1_preprocessor=name)
        assert outcome.error is not None
        assert words in outcome.error.message
        assert "models/annotators/" in outcome.error.hint


def test_poses_lie_in_their_boxes(networks: Path, tmp_path: Path) -> None:
    from transformers import AutoImageProcessor, VitPoseForPoseEstimation

    network = VitPoseForPoseEstimation.from_pretrained(str(networks / "pose")).eval()
    processor = AutoImageProcessor.from_pretrained(str(networks / "pose"))
    boxes = [[0.0, 0.0, 30.0, 60.0], [40.0, 10.0, 20.0, 40.0]]
    poses = poses_of(network, processor, Image.open(scene(tmp_path / "in.png")).convert("RGB"), boxes)
    assert [pose.shape for pose in poses] == [(17, 3)] * 2
    assert all(np.isfinite(pose).all() for pose in poses)


def test_a_skeleton_has_openposes_points_and_colours() -> None:
    pose = np.array([[10.0 * place, 20.0 + place, 0.9] for place in range(17)])
    points = openpose_points(pose)
    assert (points[1, :2] == (pose[5, :2] + pose[6, :2]) / 2).all()
    assert (points[0] == pose[0]).all()
    assert (points[4] == pose[10]).all()  # the right wrist
    picture = drawn((200, 100), [pose])
    assert picture.getpixel((round(pose[0, 0]), round(pose[0, 1]))) == (255, 0, 0)
    unsure = pose.copy()
    unsure[:, 2] = 0.1
    assert not np.asarray(drawn((200, 100), [unsure])).any()
