"""Drawing world: how instructions name each change of a scene, one table a language (see edit_phrases)."""

from __future__ import annotations

from .phrases import STYLE_EN, STYLE_ZH, Phrases

_EN = {
    "kind": Phrases(
        ("move it to {new}", "change the place to {new}", "set it in {new}"),
        {
            "hills": "the hills",
            "mountains": "the mountains",
            "sea": "the seaside",
            "river": "a river valley",
            "desert": "the desert",
            "city": "the city",
        },
    ),
    "building": Phrases(
        ("replace the {bare} with {new}", "turn the {bare} into {new}"),
        {"cottage": "a cottage", "windmill": "a windmill", "lighthouse": "a lighthouse", "castle": "a castle"},
        add=("add {new}", "build {new}", "put {new} there"),
        remove=("remove the {bare}", "take away the {bare}"),
    ),
    "building_colour": Phrases(
        ("paint the building {new}", "make the building {new}", "give the building {new} walls")
    ),
    "trees": Phrases(
        ("replace the {old} with {new}", "change the {old} to {new}"),
        {"round": "broadleaf trees", "pine": "pine trees", "palm": "palm trees"},
        add=("add {new}", "plant {new}"),
        remove=("remove the {old}", "take away the {old}", "remove the trees"),
    ),
    "animal": Phrases(
        ("replace the {bare} with {new}", "turn the {bare} into {new}"),
        {"sheep": "a sheep", "cat": "a cat", "rabbit": "a rabbit"},
        add=("add {new}", "put {new} there"),
        remove=("remove the {bare}", "take away the {bare}"),
    ),
    "body": Phrases(
        ("replace the {old} with the {new}", "change the {old} to the {new}"),
        add=("add the {new}", "let the {new} shine"),
        remove=("remove the {old}", "hide the {old}"),
    ),
    "aloft": Phrases(
        ("replace the {bare} with {new}", "change the {bare} to {new}"),
        {"balloon": "a hot air balloon", "rainbow": "a rainbow"},
        add=("add {new}", "put {new} in the sky"),
        remove=("remove the {bare}", "take away the {bare}"),
    ),
    "weather": Phrases(
        ("make it {new}", "change the weather to {new}"),
        {"clouds": "cloudy", "rain": "rainy", "snow": "snowy"},
        add=("make it {new}", "change the weather to {new}"),
        remove=("clear the sky", "make the weather clear"),
        absent=("clear",),
    ),
    "season": Phrases(("make it {new}", "change the season to {new}", "turn it into {new}")),
    "time": Phrases(("make it {new}", "change the time to {new}"), {"day": "daytime"}),
    "style": STYLE_EN,
}
_ZH = {
    "kind": Phrases(
        ("把地点换成{new}", "把场景改成{new}"),
        {"hills": "山丘", "mountains": "群山", "sea": "海边", "river": "河边", "desert": "沙漠", "city": "城市"},
    ),
    "building": Phrases(
        ("把{old}换成{new}", "把{old}变成{new}"),
        {"cottage": "小屋", "windmill": "风车", "lighthouse": "灯塔", "castle": "城堡"},
        add=("加上{new}", "加一座{new}"),
        remove=("去掉{old}",),
    ),
    "building_colour": Phrases(
        ("把建筑变成{new}", "把建筑刷成{new}"),
        {"red": "红色", "yellow": "黄色", "blue": "蓝色", "white": "白色", "pink": "粉色"},
    ),
    "trees": Phrases(
        ("把{old}换成{new}", "把{old}变成{new}"),
        {"round": "阔叶树", "pine": "松树", "palm": "棕榈树"},
        add=("加上{new}", "种上{new}"),
        remove=("去掉{old}", "去掉树木"),
    ),
    "animal": Phrases(
        ("把{old}换成{new}", "把{old}变成{new}"),
        {"sheep": "绵羊", "cat": "小猫", "rabbit": "兔子"},
        add=("加上{new}", "加一只{new}"),
        remove=("去掉{old}",),
    ),
    "body": Phrases(
        ("把{old}换成{new}", "把{old}变成{new}"),
        {"sun": "太阳", "moon": "月亮"},
        add=("加上{new}", "在天上加上{new}"),
        remove=("去掉{old}",),
    ),
    "aloft": Phrases(
        ("把{old}换成{new}", "把{old}变成{new}"),
        {"balloon": "热气球", "birds": "飞鸟", "rainbow": "彩虹"},
        add=("加上{new}", "在天上加上{new}"),
        remove=("去掉{old}",),
    ),
    "weather": Phrases(
        ("把天气改成{new}", "变成{new}"),
        {"clear": "晴天", "clouds": "多云", "rain": "雨天", "snow": "雪天"},
    ),
    "season": Phrases(
        ("把季节改成{new}", "变成{new}"),
        {"spring": "春天", "summer": "夏天", "autumn": "秋天", "winter": "冬天"},
    ),
    "time": Phrases(("把时间改成{new}", "变成{new}"), {"day": "白天", "dusk": "黄昏", "night": "夜晚"}),
    "style": STYLE_ZH,
}

# Language -> attribute -> phrases.
SCENE_TABLES: dict[str, dict[str, Phrases]] = {"en": _EN, "zh": _ZH}
