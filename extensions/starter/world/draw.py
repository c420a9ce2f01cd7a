"""Last station of the drawing world: Avatar -> picture, layer by layer from the background to the hat."""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image

from .attributes import Avatar
from .extras import draw_garment, draw_headwear, draw_marks_of_age, draw_neckwear, draw_sky, light
from .features import Mouth, draw_beard, draw_eyes, draw_eyewear, draw_mouth
from .hair import draw_hair_back, draw_hair_front, draw_hat
from .palette import BACKGROUNDS, CLOTHES, HAIR, SKINS, WHITE
from .pen import Colour, Pen, curve, mix
from .styles import SUPERSAMPLING, lines, stylise


@dataclass(frozen=True)
class Pose:
    """What a picture varies that no caption names: head shift (units), zoom, tilt (radians), gaze, face width."""

    dx: float
    dy: float
    zoom: float
    tilt: float
    gaze: float
    width: float


def pose_of(avatar: Avatar) -> Pose:
    """The avatar's pose, from its pose seed alone."""
    rng = random.Random(f"pose:{avatar.pose}")
    u = [2 * rng.random() - 1 for _ in range(6)]
    return Pose(2.0 * u[0], 1.5 * u[1], 1 + 0.03 * u[2], 0.05 * u[3], 1.2 * u[4], 1.2 * u[5])


def draw_avatar(avatar: Avatar, size: int = 128, mouth: Mouth | None = None) -> Image.Image:
    """RGB picture of size x size pixels, the same bytes for the same avatar and size; `mouth` in place of the mood's.

    Raises ValueError for a size outside 16..4096.
    """
    factor = SUPERSAMPLING[avatar.style]
    large = light(_draw_flat(avatar, size, factor, mouth), avatar.lighting)
    return large.reduce(factor) if avatar.style == "flat" else stylise(large, size, avatar.style, avatar.pose)


def line_drawing(avatar: Avatar, size: int = 128) -> Image.Image:
    """RGB picture of size x size pixels: dark lines on white, the same for every style and light.

    Raises ValueError for a size outside 16..4096.
    """
    return lines(_draw_flat(avatar.with_(lighting="day"), size, SUPERSAMPLING["sketch"]), size).convert("RGB")


def _draw_flat(avatar: Avatar, size: int, factor: int, mouth: Mouth | None = None) -> Image.Image:
    """The picture in flat colours by daylight, `factor` times as large."""
    if not 16 <= size <= 4096:
        raise ValueError(f"avatar size: expected 16 to 4096 pixels, got {size}")
    side = size * factor
    background = BACKGROUNDS[avatar.background]
    image = Image.new("RGB", (side, side), background)
    pen = Pen(image)
    pen.ellipse(64, 62, 54, 54, mix(background, WHITE, 0.30))
    draw_sky(pen, avatar.lighting)
    draw_person(pen, avatar, mouth)
    return image


def draw_person(pen: Pen, avatar: Avatar, mouth: Mouth | None = None) -> None:
    """All but the background, layer by layer, each under the name of its part; `mouth` in place of the mood's."""
    pose, hair, skin = pose_of(avatar), HAIR[avatar.hair_colour], SKINS[avatar.skin]
    place_head(pen, pose, avatar.age)
    pen.part = "hair"
    draw_hair_back(pen, avatar, hair)
    _place_body(pen, pose, avatar.age)
    _draw_body(pen, skin, CLOTHES[avatar.clothes])
    pen.part = "clothes"
    draw_garment(pen, avatar.garment, CLOTHES[avatar.clothes])
    pen.part = "accessory"
    draw_neckwear(pen, avatar.accessory)
    place_head(pen, pose, avatar.age)
    pen.part = "skin"
    _draw_head(pen, skin, pose.width)
    draw_marks_of_age(pen, avatar.age, skin)
    if avatar.beard != "none":
        pen.part = "beard"
        draw_beard(pen, avatar.beard, hair, pose.width)
    draw_mouth(pen, avatar, skin, mouth)
    if avatar.eyewear == "glasses":
        pen.part = "eyewear"
        for side_x in (-1, 1):
            pen.ellipse(64 + side_x * 13.5, 63, 11.5, 11.5, mix(skin, WHITE, 0.45))
    draw_eyes(pen, avatar, hair, pose.gaze)
    pen.part = "nose"
    _draw_nose(pen, skin)
    pen.part = "skin" if avatar.hair_style == "bald" else "hair"
    draw_hair_front(pen, avatar, hair, pose.width)
    pen.part = "eyewear"
    draw_eyewear(pen, avatar.eyewear)
    pen.part = "hat"
    draw_hat(pen, avatar.hat)
    pen.part = "accessory"
    draw_headwear(pen, avatar, pose.width)


def place_head(pen: Pen, pose: Pose, age: str) -> None:
    """A child's head is lower and a little smaller than an adult's."""
    dy, zoom = (8.0, 0.95) if age == "child" else (0.0, 1.0)
    pen.place(pose.dx, pose.dy + dy, pose.zoom * zoom, pose.tilt)


def _place_body(pen: Pen, pose: Pose, age: str) -> None:
    """A child's shoulders are lower and narrower, so that the head is large beside them."""
    if age == "child":
        pen.place(pose.dx * 0.4, 8.5, 0.82)
    else:
        pen.place(pose.dx * 0.4)


def feature_mask(avatar: Avatar, size: int = 128) -> Image.Image:
    """L picture, 255 where eyes, brows, eyewear, mouth and beard are: what a small autoencoder loses first.

    A quarter of it where the garment and what is worn at the neck are.
    """
    mask = Image.new("L", (size, size), 0)
    pen, pose = Pen(mask), pose_of(avatar)
    _place_body(pen, pose, avatar.age)
    pen.ellipse(64, 120, 42, 18, 64)
    place_head(pen, pose, avatar.age)
    worn = avatar.eyewear != "none"
    for side_x in (-1, 1):
        pen.ellipse(64 + side_x * 13.5, 62 if worn else 60, 14 if worn else 10, 14 if worn else 13, 255)
    pen.ellipse(64, 83, 14, 9, 255)
    return mask


def _draw_body(pen: Pen, skin: Colour, cloth: Colour) -> None:
    dark = mix(cloth, (20, 16, 40), 0.22)
    neck_shadow = mix(skin, (90, 30, 30), 0.28)
    body = curve(
        (14, 132),
        ((14, 112), (30, 108), (50, 103)),
        ((58, 108), (70, 108), (78, 103)),
        ((98, 108), (114, 112), (114, 132)),
    )
    pen.part = "clothes"
    pen.polygon(body, cloth)
    for s in (-1, 1):
        pen.polygon(
            curve(
                (64 + s * 50, 132),
                ((64 + s * 50, 118), (64 + s * 46, 113), (64 + s * 42, 110.5)),
                ((64 + s * 37, 116), (64 + s * 35, 124), (64 + s * 36, 132)),
            ),
            dark,
        )
    pen.polygon(curve((48, 103), ((50, 118), (78, 118), (80, 103))), dark)
    pen.part = "neck"
    pen.polygon(curve((51, 101), ((53, 114), (75, 114), (77, 101))), skin)
    pen.polygon([(54, 80), (74, 80), (75, 104), (53, 104)], skin)
    pen.polygon(curve((54, 84), ((54, 104), (74, 106), (74.6, 92)), ((74.5, 90), (74, 84), (74, 84))), neck_shadow)


def _draw_head(pen: Pen, skin: Colour, width: float) -> None:
    shade, blush = mix(skin, (120, 40, 30), 0.20), mix(skin, (255, 80, 90), 0.28)
    rx = 29.5 + width
    for s in (-1, 1):
        pen.ellipse(64 + s * (rx + 0.5), 66, 6.5, 8, skin)
        pen.ellipse(64 + s * (rx + 1.0), 66.5, 3.4, 4.8, shade)
    pen.egg(64, 62, rx, 34.5, 0.16, shade)
    pen.egg(62.8, 61, rx - 1.4, 33.4, 0.16, skin)
    for s in (-1, 1):
        pen.ellipse(64 + s * 19, 76, 5.2, 3.8, blush)


def _draw_nose(pen: Pen, skin: Colour) -> None:
    pen.stroke(curve((61.5, 72.5), ((62.5, 74.6), (65.5, 74.6), (66.5, 72.5))), 1.9, mix(skin, (110, 30, 20), 0.42))
