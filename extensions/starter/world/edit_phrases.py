"""Drawing world: how instructions name each change, one table a domain and language."""

from __future__ import annotations

from .phrases import STYLE_EN, STYLE_ZH, Phrases
from .scene_phrases import SCENE_TABLES

_AVATAR_EN = {
    "skin": Phrases(("make the skin {new}", "give them {new} skin", "change the skin tone to {new}")),
    "hair_style": Phrases(
        ("give them {new}", "change the hair to {new}"),
        {
            "short": "short hair",
            "long": "long hair",
            "curly": "curly hair",
            "bob": "a bob",
            "pigtails": "pigtails",
            "bald": "no hair",
        },
        remove=("make them bald", "remove the hair", "shave the head"),
        absent=("bald",),
        add=("give them {new}",),
    ),
    "hair_colour": Phrases(
        ("make the hair {new}", "change the hair colour to {new}", "dye the hair {new}", "give them {new} hair")
    ),
    "mood": Phrases(
        ("make them {new}", "have the person {new}"),
        {
            "neutral": "look calm",
            "smiling": "smile",
            "laughing": "laugh",
            "sad": "look sad",
            "surprised": "look surprised",
            "angry": "look angry",
            "winking": "wink",
            "sleepy": "look sleepy",
        },
    ),
    "eyes": Phrases(("make the eyes {new}", "give them {new} eyes", "change the eye colour to {new}")),
    "eyewear": Phrases(
        ("replace the {old} with {new}", "change the {old} to {new}"),
        add=("add {new}", "put on {new}", "give them {new}"),
        remove=("remove the {old}", "take off the {old}"),
    ),
    "hat": Phrases(
        ("replace the {bare} with {new}", "change the {bare} to {new}"),
        {"cap": "a cap", "beanie": "a beanie", "top hat": "a top hat", "crown": "a crown"},
        add=("add {new}", "put on {new}", "give them {new}"),
        remove=("remove the {bare}", "take off the {bare}"),
    ),
    "beard": Phrases(
        ("change the {bare} to {new}", "replace the {bare} with {new}"),
        {"mustache": "a mustache", "beard": "a beard"},
        add=("add {new}", "give them {new}"),
        remove=("remove the {bare}", "shave off the {bare}"),
    ),
    "clothes": Phrases(("make the clothes {new}", "change the clothes to {new}", "dress them in {new}")),
    "background": Phrases(
        ("make the background {new}", "change the background to {new}", "put them in front of {new}")
    ),
    "age": Phrases(
        ("make them {new}", "turn them into {new}"), {"child": "a child", "elder": "an elder", "adult": "an adult"}
    ),
    "accessory": Phrases(
        ("replace the {bare} with {new}", "change the {bare} to {new}"),
        {"scarf": "a scarf", "bow tie": "a bow tie"},
        add=("add {new}", "put on {new}", "give them {new}"),
        remove=("remove the {bare}", "take off the {bare}"),
    ),
    "garment": Phrases(
        ("dress them in {new}", "change the clothes to {new}", "have them wear {new}"),
        {"shirt": "a plain shirt", "striped sweater": "a striped sweater", "suit": "a suit"},
    ),
    "lighting": Phrases(
        ("show them {new}", "draw them {new}"), {"day": "in daylight", "warm": "in warm light", "night": "at night"}
    ),
    "style": STYLE_EN,
}
_COLOURS_ZH = {
    "black": "黑色",
    "brown": "棕色",
    "blond": "金色",
    "red": "红色",
    "grey": "灰色",
    "blue": "蓝色",
    "pink": "粉色",
    "green": "绿色",
    "orange": "橙色",
    "yellow": "黄色",
    "purple": "紫色",
    "white": "白色",
}
_AVATAR_ZH = {
    "skin": Phrases(
        ("把皮肤变成{new}", "把肤色改成{new}"), {"light": "浅色", "tan": "小麦色", "brown": "棕色", "dark": "深色"}
    ),
    "hair_style": Phrases(
        ("把发型换成{new}", "把头发变成{new}"),
        {"short": "短发", "long": "长发", "curly": "卷发", "bob": "波波头", "pigtails": "双马尾", "bald": "光头"},
        add=("给人物加上{new}",),
        remove=("去掉头发", "变成光头"),
        absent=("bald",),
    ),
    "hair_colour": Phrases(("把头发变成{new}", "把头发染成{new}"), _COLOURS_ZH),
    "mood": Phrases(
        ("让人物{new}", "让他{new}", "让她{new}"),
        {
            "neutral": "表情平静",
            "smiling": "微笑",
            "laughing": "大笑",
            "sad": "显得伤心",
            "surprised": "显得惊讶",
            "angry": "生气",
            "winking": "眨一只眼",
            "sleepy": "显得困倦",
        },
    ),
    "eyes": Phrases(("把眼睛变成{new}", "把眼睛的颜色改成{new}"), _COLOURS_ZH),
    "eyewear": Phrases(
        ("把{old}换成{new}",),
        {"glasses": "眼镜", "sunglasses": "墨镜"},
        add=("戴上{new}", "给人物戴上{new}", "加上{new}"),
        remove=("去掉{old}", "摘下{old}"),
    ),
    "hat": Phrases(
        ("把{old}换成{new}",),
        {"cap": "棒球帽", "beanie": "毛线帽", "top hat": "礼帽", "crown": "王冠"},
        add=("戴上{new}", "给人物戴上{new}", "加上{new}"),
        remove=("去掉{old}", "摘下{old}"),
    ),
    "beard": Phrases(
        ("把{old}换成{new}",),
        {"mustache": "八字胡", "beard": "络腮胡"},
        add=("加上{new}", "给人物加上{new}"),
        remove=("去掉{old}", "剃掉{old}"),
    ),
    "clothes": Phrases(("把衣服变成{new}", "把衣服换成{new}"), _COLOURS_ZH),
    "background": Phrases(("把背景变成{new}", "把背景换成{new}"), _COLOURS_ZH),
    "age": Phrases(("变成{new}", "把人物变成{new}"), {"child": "孩子", "adult": "成年人", "elder": "老人"}),
    "accessory": Phrases(
        ("把{old}换成{new}",),
        {"earrings": "耳环", "scarf": "围巾", "bow tie": "领结", "headphones": "耳机"},
        add=("加上{new}", "给人物加上{new}"),
        remove=("去掉{old}", "摘下{old}"),
    ),
    "garment": Phrases(
        ("换上{new}", "让人物穿上{new}"),
        {"shirt": "普通衬衫", "striped sweater": "条纹毛衣", "overalls": "背带裤", "suit": "西装"},
    ),
    "lighting": Phrases(("把光线改成{new}", "变成{new}"), {"day": "白天", "warm": "暖光", "night": "夜晚"}),
    "style": STYLE_ZH,
}

# Domain -> language -> attribute -> phrases.
TABLES: dict[str, dict[str, dict[str, Phrases]]] = {
    "avatar": {"en": _AVATAR_EN, "zh": _AVATAR_ZH},
    "scene": SCENE_TABLES,
}
