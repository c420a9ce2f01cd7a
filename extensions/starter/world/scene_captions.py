"""Drawing world: Scene -> a natural English caption, with the attributes that it settles."""

from __future__ import annotations

from collections.abc import Iterator

from .captions import STYLES
from .scene_wording import choose_scene
from .scenes import SCENE_SPEC, Scene
from .wording import Caption, Options, Words

_PLACES: Options = {
    "hills": ("rolling hills", "hills", "a hilly landscape"),
    "mountains": ("mountains", "snowy peaks", "a mountain landscape"),
    "sea": ("the sea", "the seaside", "a beach"),
    "river": ("a river", "a winding river", "a river valley"),
    "desert": ("a desert", "sand dunes", "a sandy desert"),
    "city": ("a city", "a city skyline", "a big city"),
}
_WHERE: Options = {
    "hills": ("in the hills", "among rolling hills"),
    "mountains": ("in the mountains", "in front of mountains", "below snowy peaks"),
    "sea": ("by the sea", "at the seaside", "on the beach"),
    "river": ("by a river", "beside a winding river"),
    "desert": ("in the desert", "among sand dunes"),
    "city": ("in a city", "in front of a city skyline", "at the edge of a city"),
}
_BUILDINGS: Options = {
    "cottage": ("cottage", "house", "little house"),
    "windmill": ("windmill",),
    "lighthouse": ("lighthouse",),
    "castle": ("castle", "small castle"),
}
_TREES: Options = {
    "round": ("trees", "trees", "broadleaf trees"),
    "pine": ("pine trees", "pines", "fir trees"),
    "palm": ("palm trees", "palms"),
}
_ANIMALS: Options = {
    "sheep": ("a sheep", "a white sheep"),
    "cat": ("a cat", "an orange cat"),
    "rabbit": ("a rabbit", "a bunny"),
}
_BODIES: Options = {"sun": ("the sun", "the sun"), "moon": ("the moon", "a crescent moon")}
_ALOFT: Options = {
    "balloon": ("a hot air balloon", "a balloon"),
    "birds": ("birds", "flying birds"),
    "rainbow": ("a rainbow",),
}
_WEATHER: Options = {
    "clear": ("clear sky", "clear weather"),
    "clouds": ("white clouds", "cloudy sky", "clouds in the sky"),
    "rain": ("rain", "it is raining", "falling rain"),
    "snow": ("falling snow", "it is snowing", "snowflakes"),
}
_WEATHER_ADJECTIVE = {"clear": "clear", "clouds": "cloudy", "rain": "rainy", "snow": "snowy"}
_TIMES: Options = {"day": ("by day", "in daylight"), "dusk": ("at dusk", "at twilight"), "night": ("at night",)}
_HOURS: Options = {"day": ("day",), "dusk": ("evening",), "night": ("night",)}
_AUTUMN = ("autumn", "autumn", "fall")
_SKY = ("{} in the sky", "{} above", "with {} overhead")


def caption_scene(scene: Scene, seed: int, full: bool = False) -> Caption:
    """The English caption of this scene under this wording seed; `full` names every visible attribute."""
    words = Words(f"scene caption:{seed}")
    choice = choose_scene(words, scene, full)
    named = choice.named
    things = []
    if "building" in named:
        colour = f"{scene.building_colour} " if "building_colour" in named else ""
        things.append(f"a {colour}{words.one(_BUILDINGS[scene.building])}")
    things += [words.one(o[getattr(scene, n)]) for n, o in (("trees", _TREES), ("animal", _ANIMALS)) if n in named]
    sky = [words.one(o[getattr(scene, n)]) for n, o in (("body", _BODIES), ("aloft", _ALOFT)) if n in named]
    style = words.one(STYLES[scene.style]) if scene.style in STYLES else ""
    if words.chance(0.22):
        return Caption(_tags(words, scene, named, things, sky, style), choice.settles)
    return Caption(_sentence(words, scene, named, things, sky, style), choice.settles)


def _season(words: Words, scene: Scene) -> str:
    return words.one(_AUTUMN) if scene.season == "autumn" else scene.season


def _tags(words: Words, scene: Scene, named: frozenset[str], things: list[str], sky: list[str], style: str) -> str:
    items = [*things, *sky]
    if "kind" in named:
        items.append(words.one(_PLACES[scene.kind]))
    if "season" in named:
        items.append(_season(words, scene))
    if "time" in named:
        items.append(words.one(_TIMES[scene.time]).split()[-1])
    if "weather" in named:
        items.append(words.one(_WEATHER[scene.weather]))
    if style:
        items.append(style)
    items = [i.removeprefix("a ").removeprefix("an ").removeprefix("the ") for i in items]
    return ", ".join(words.shuffled(items)) or "landscape"


def _sentence(words: Words, scene: Scene, named: frozenset[str], things: list[str], sky: list[str], style: str) -> str:
    when, rest = _when(words, scene, named)
    if things and words.chance(0.65):
        text = _listing(words.shuffled(things) if words.chance(0.5) else things)
        if "kind" in named:
            text += f" {words.one(_WHERE[scene.kind])}"
        text += when
    else:
        text = words.one(_PLACES[scene.kind]) if "kind" in named else "a landscape"
        text += when
        if things:
            text += f" with {_listing(words.shuffled(things))}"
    if sky:
        text += f", {words.one(_SKY).format(_listing(sky))}"
    if rest:
        text += f", {rest}"
    if style:
        article = "" if style.endswith("art") else "an " if style[0] in "aeiou" else "a "
        text = f"{article}{style} of {text}" if words.chance(0.75) else f"{text}, {style}"
    return text


def _when(words: Words, scene: Scene, named: frozenset[str]) -> tuple[str, str]:
    """The season and hour as a phrase after the place, and the weather where that phrase does not hold it."""
    season = _season(words, scene) if "season" in named else ""
    weather = words.one(_WEATHER[scene.weather]) if "weather" in named else ""
    if "time" in named and (season or weather) and words.chance(0.6):
        hour = words.one(_HOURS[scene.time])
        adjective = ""
        if weather and (not season or words.chance(0.7)):
            adjective, weather = _WEATHER_ADJECTIVE[scene.weather], ""
        described = " ".join(filter(None, (adjective, season, hour)))
        return f" on {'an' if described[0] in 'aeiou' else 'a'} {described}", weather
    hour = f" {words.one(_TIMES[scene.time])}" if "time" in named else ""
    return f"{hour} in {season}" if season else hour, weather


def _listing(items: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(items[:-1]), items[-1])))


def vocabulary_of_scenes() -> Iterator[str]:
    """Texts that together hold every word of the English captions of scenes."""
    groups = (_PLACES, _WHERE, _BUILDINGS, _TREES, _ANIMALS, _BODIES, _ALOFT, _WEATHER, _TIMES, _HOURS)
    for group in groups:
        for options in group.values():
            yield from options
    for values in SCENE_SPEC.values():
        yield from values
    yield from (*_WEATHER_ADJECTIVE.values(), *_AUTUMN)
    yield from (text.replace("{}", "") for text in _SKY)
    yield "a an and with in on of landscape"
