"""Drawing world: Scene -> a natural caption in Simplified Chinese, with the attributes that it settles."""

from __future__ import annotations

from collections.abc import Iterator

from .captions_zh import STYLES
from .scene_wording import choose_scene
from .scenes import Scene
from .wording import Caption, Options, Words

_PLACES: Options = {
    "hills": ("山丘", "丘陵", "小山坡"),
    "mountains": ("群山", "高山", "雪山"),
    "sea": ("海边", "大海边", "海滩"),
    "river": ("河边", "小河边", "河谷"),
    "desert": ("沙漠", "沙丘"),
    "city": ("城市", "都市", "大城市"),
}
_WHERE: Options = {
    "hills": ("山丘上", "丘陵上", "小山坡上"),
    "mountains": ("群山中", "高山下", "雪山下"),
    "sea": ("海边", "大海边", "海滩上"),
    "river": ("河边", "小河边", "河谷里"),
    "desert": ("沙漠里", "沙丘上"),
    "city": ("城市里", "都市里", "大城市里"),
}
_COLOURS = {"red": "红色", "yellow": "黄色", "blue": "蓝色", "white": "白色", "pink": "粉色"}
_BUILDINGS: Options = {
    "cottage": ("小屋", "房子", "小房子"),
    "windmill": ("风车",),
    "lighthouse": ("灯塔",),
    "castle": ("城堡", "小城堡"),
}
_TREES: Options = {
    "round": ("几棵树", "树木", "阔叶树"),
    "pine": ("几棵松树", "松树", "杉树"),
    "palm": ("几棵棕榈树", "棕榈树", "椰子树"),
}
_ANIMALS: Options = {
    "sheep": ("一只绵羊", "一只小羊"),
    "cat": ("一只猫", "一只橘猫", "一只小猫"),
    "rabbit": ("一只兔子", "一只小兔"),
}
_BODIES: Options = {"sun": ("太阳",), "moon": ("月亮", "弯月")}
_ALOFT: Options = {"balloon": ("热气球", "一个热气球"), "birds": ("飞鸟", "几只鸟"), "rainbow": ("彩虹", "一道彩虹")}
_WEATHER: Options = {
    "clear": ("天气晴朗", "晴空"),
    "clouds": ("多云", "飘着白云"),
    "rain": ("下着雨", "正在下雨", "下雨"),
    "snow": ("下着雪", "正在下雪", "雪花飘落"),
}
_SEASONS: Options = {
    "spring": ("春天", "春季"),
    "summer": ("夏天", "夏季"),
    "autumn": ("秋天", "秋季"),
    "winter": ("冬天", "冬季"),
}
_TIMES: Options = {"day": ("白天",), "dusk": ("黄昏", "傍晚"), "night": ("夜晚", "夜里")}
_NO_PLACE, _NOWHERE = "风景", "画面里"
_ABOVE = ("天上有", "天空中有", "空中有")


def caption_scene_zh(scene: Scene, seed: int, full: bool = False) -> Caption:
    """The Chinese caption of this scene under this wording seed; `full` names every visible attribute."""
    words = Words(f"chinese scene caption:{seed}")
    choice = choose_scene(words, scene, full)
    named = choice.named
    things = []
    if "building" in named:
        colour = f"{_COLOURS[scene.building_colour]}" if "building_colour" in named else ""
        things.append(f"{words.one(('一座', ''))}{colour}{words.one(_BUILDINGS[scene.building])}")
    things += [words.one(o[getattr(scene, n)]) for n, o in (("trees", _TREES), ("animal", _ANIMALS)) if n in named]
    sky = [words.one(o[getattr(scene, n)]) for n, o in (("body", _BODIES), ("aloft", _ALOFT)) if n in named]
    when = [words.one(o[getattr(scene, n)]) for n, o in (("season", _SEASONS), ("time", _TIMES)) if n in named]
    weather = words.one(_WEATHER[scene.weather]) if "weather" in named else ""
    style = words.one(STYLES[scene.style]) if scene.style in STYLES else ""
    if words.chance(0.22):
        place = words.one(_PLACES[scene.kind]) if "kind" in named else ""
        parts = words.shuffled([p for p in (place, *when, weather, *things, *sky, style) if p])
        return Caption("，".join(parts) or _NO_PLACE, choice.settles)
    kind = scene.kind if "kind" in named else ""
    return Caption(_sentence(words, kind, when, weather, things, sky, style), choice.settles)


def _sentence(
    words: Words, kind: str, when: list[str], weather: str, things: list[str], sky: list[str], style: str
) -> str:
    """Time, place and what stands there, then the sky and the weather: 冬天的夜晚，海边有一座灯塔，天上有月亮."""
    moment = words.one(("", "的")).join(when)
    if things:
        where = words.one(_WHERE[kind]) if kind else _NOWHERE
        clauses = [moment, f"{where}有{_listing(things)}"]
    else:
        place = words.one(_PLACES[kind]) if kind else _NO_PLACE
        clauses = [f"{moment}的{place}" if moment else place]
    ending = [f"{words.one(_ABOVE)}{_listing(sky)}"] if sky else []
    ending = words.shuffled([*ending, weather])
    text = "，".join(filter(None, (*clauses, *ending)))
    if style:
        text = f"{style}：{text}" if words.chance(0.5) else f"{text}，{style}"
    return text


def _listing(items: list[str]) -> str:
    return "和".join(filter(None, ("、".join(items[:-1]), items[-1])))


def vocabulary_of_scenes_zh() -> Iterator[str]:
    """Texts that together hold every word of the Chinese captions of scenes."""
    for group in (_PLACES, _WHERE, _BUILDINGS, _TREES, _ANIMALS, _BODIES, _ALOFT, _WEATHER, _SEASONS, _TIMES):
        for options in group.values():
            for text in options:
                # Counting words are words of their own: 一只 and 绵羊, not 一只绵羊.
                yield from (text[:2], text[2:]) if text[:2] in ("一只", "一个", "一道", "几棵", "几只") else (text,)
    yield from (*_COLOURS.values(), _NO_PLACE, _NOWHERE, *_ABOVE, "一座", "有", "的", "和", "、，：")
