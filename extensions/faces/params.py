"""What the pipelines take, declared once; light, read by the web process."""

from __future__ import annotations

from webui.api import Params, choice, file, image, integer, prompt

DETECTORS = {
    "auto": "Automatic",
    "drawn": "Network for drawn faces",
    "haar": "Cascade (OpenCV), for photographs",
    "yunet": "YuNet (OpenCV), for photographs",
}
REGION_NAMES = {
    "face": "Face",
    "head": "Face, hair and hat",
    "skin": "Skin",
    "eyes": "Eyes and brows",
    "mouth": "Mouth and beard",
    "hair": "Hair",
    "hat": "Top of the head",
    "clothes": "Clothes",
    "background": "Background",
}


class Finding(Params):
    """Which face of which picture; every form that takes one begins with it."""

    image: str = image(..., label="Picture", help="One with a face")
    faces: str = prompt(
        "",
        label="Faces as JSON",
        help="Where they are, in place of looking for them: what Find faces wrote, corrected, or boxes alone",
        placeholder='[{"box": [40, 30, 90, 100]}]',
        rows=2,
        tokens=False,
        group="Finding",
        advanced=True,
    )
    face: int = integer(
        1, minimum=1, maximum=64, label="Which face", help="As Find faces numbers them", group="Finding", advanced=True
    )
    order: str = choice(
        "size",
        {"size": "The largest first", "left": "From the left", "score": "The surest first"},
        label="Order",
        group="Finding",
        advanced=True,
    )
    detector: str = choice("auto", DETECTORS, label="Finder", group="Finding", advanced=True)
    detector_file: str | None = file(
        None,
        label="YuNet's file",
        help="face_detection_yunet_2023mar.onnx of OpenCV's model zoo (MIT licence)",
        accept=(".onnx",),
        group="Finding",
        advanced=True,
    )


class FindParams(Finding):
    """Parameters of faces.find."""

    region: str = choice("face", REGION_NAMES, label="Region of the mask", help="Of the mask that is made as well")
    grow: int = integer(0, minimum=-64, maximum=64, label="Grow the mask", help="In pixels")
