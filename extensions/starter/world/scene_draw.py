"""Last station of the drawing world's scenes: Scene -> picture, layer by layer from the sky to what falls from it."""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image, ImageOps

from .pen import Pen
from .scene_buildings import draw_building
from .scene_land import draw_land, draw_meadow, draw_river
from .scene_life import draw_animal, draw_trees
from .scene_light import light_of
from .scene_sky import draw_aloft, draw_body, draw_clouds, draw_falling, draw_stars, sky
from .scenes import Scene
from .styles import SUPERSAMPLING, lines, stylise


@dataclass(frozen=True)
class Layout:
    """What a picture varies that no caption names, in units of 128: where things stand, how large trees are, which way
    round the picture is."""

    body: tuple[float, float]
    aloft: tuple[float, float]
    building: tuple[float, float]
    animal: tuple[float, float]
    trees: tuple[tuple[float, float, float], ...]
    mirrored: bool


def layout_of(scene: Scene) -> Layout:
    """The scene's layout, from its pose seed alone; whatever the attributes are, nothing hides anything else."""
    rng = random.Random(f"layout:{scene.pose}")
    u = [2 * rng.random() - 1 for _ in range(14)]
    trees = (
        (40 + 3 * u[8], 98 + u[9], 30 + 4 * u[10]),
        (19 + 4 * u[6], 105 + 2 * u[7], 42 + 5 * u[11]),
        (120 + 2 * u[12], 106 + u[9], 34 + 4 * u[7]),
    )
    return Layout(
        body=(27 + 6 * u[0], 30 + 3 * u[1]),
        aloft=(62 + 4 * u[2], 28 + 4 * u[3]),
        building=(86 + 3 * u[4], 102 + 1.5 * u[5]),
        animal=(67 + 3 * u[2], 121.5 + 1.5 * u[8]),
        trees=trees[: 3 if u[13] > -0.3 else 2],
        mirrored=u[13] * 7 % 1 < 0.5,
    )


def draw_scene(scene: Scene, size: int = 128) -> Image.Image:
    """RGB picture of size x size pixels, the same bytes for the same scene and size.

    Raises ValueError for a size outside 16..4096.
    """
    factor = SUPERSAMPLING[scene.style]
    # A pencil knows no light: it draws at night what it draws by day, and stars.
    large = _draw_flat(scene, size, factor, "day" if scene.style == "sketch" else scene.time)
    return large.reduce(factor) if scene.style == "flat" else stylise(large, size, scene.style, scene.pose)


def scene_line_drawing(scene: Scene, size: int = 128) -> Image.Image:
    """RGB picture of size x size pixels: dark lines on white, the same for every style and light.

    Raises ValueError for a size outside 16..4096.
    """
    return lines(_draw_flat(scene, size, SUPERSAMPLING["sketch"], "day"), size).convert("RGB")


def scene_mask(scene: Scene, size: int = 128) -> Image.Image:
    """L picture, 255 where building, trees, animal, sun or moon and what is aloft are: what is small and matters."""
    mask = Image.new("L", (size, size), 0)
    pen, layout = Pen(mask), layout_of(scene)
    if scene.building != "none":
        x, base = layout.building
        pen.polygon([(x - 27, base - 62), (x + 27, base - 62), (x + 27, base + 4), (x - 27, base + 4)], 255)
    for x, base, height in layout.trees if scene.trees != "none" else ():
        pen.ellipse(x, base - 0.55 * height, 0.4 * height, 0.55 * height, 255)
    if scene.animal != "none":
        pen.ellipse(layout.animal[0], layout.animal[1] - 12, 15, 17, 255)
    if scene.body != "none":
        pen.ellipse(*layout.body, 19, 19, 255)
    if scene.aloft in ("balloon", "birds"):
        pen.ellipse(layout.aloft[0], layout.aloft[1] + 4, 25, 22, 255)
    return ImageOps.mirror(mask) if layout.mirrored else mask


def _draw_flat(scene: Scene, size: int, factor: int, hour: str) -> Image.Image:
    """The picture in flat colours, `factor` times as large, in the light of this hour (a value of "time")."""
    if not 16 <= size <= 4096:
        raise ValueError(f"scene size: expected 16 to 4096 pixels, got {size}")
    light, layout = light_of(scene, hour), layout_of(scene)
    image = sky(light, size * factor)
    pen = Pen(image)
    if scene.time == "night":
        draw_stars(pen, _stream(scene, "stars"))
    draw_body(pen, scene.body, light, layout.body)
    if scene.aloft == "rainbow":
        draw_aloft(pen, scene.aloft, light, layout.aloft)
    draw_clouds(pen, light, _stream(scene, "clouds"))
    draw_land(pen, scene.kind, light, _stream(scene, "land"))
    if scene.kind != "desert":
        draw_meadow(pen, scene.season, light, _stream(scene, "meadow"))
    if scene.kind == "river":
        draw_river(pen, light)
    if scene.aloft != "rainbow":
        draw_aloft(pen, scene.aloft, light, layout.aloft)
    # A desert knows no season (see visible_in_scene).
    season = "summer" if scene.kind == "desert" else scene.season
    draw_building(pen, scene.building, scene.building_colour, light, season == "winter", *layout.building)
    draw_trees(pen, scene.trees, light, season, layout.trees)
    draw_animal(pen, scene.animal, light, *layout.animal)
    draw_falling(pen, light, _stream(scene, "falling"))
    return ImageOps.mirror(image) if layout.mirrored else image


def _stream(scene: Scene, part: str) -> random.Random:
    """Random numbers of one part of the picture: no attribute's value moves what another draws."""
    return random.Random(f"{part}:{scene.pose}")
