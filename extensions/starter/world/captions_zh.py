"""Drawing world: Avatar -> a natural caption in Simplified Chinese, with the attributes that it settles."""

from __future__ import annotations

from collections.abc import Iterator

from .attributes import Avatar, visible
from .wording import Caption, Options, Words, choose

_NOUNS = ("人", "人", "人物", "角色", "人像", "头像")
_AGES: Options = {"child": ("孩子", "小孩", "小朋友"), "elder": ("老人", "老年人", "长者")}
_MOODS: Options = {
    "neutral": ("平静", "严肃", "面无表情"),
    "smiling": ("微笑", "面带微笑", "开心"),
    "laughing": ("大笑", "开怀大笑"),
    "sad": ("伤心", "难过"),
    "surprised": ("惊讶", "吃惊"),
    "angry": ("生气", "愤怒"),
    "winking": ("眨着一只眼", "俏皮眨眼"),
    "sleepy": ("困倦", "犯困"),
}
_COLOURS: Options = {
    "black": ("黑色",),
    "brown": ("棕色", "褐色"),
    "blond": ("金色", "金黄色"),
    "red": ("红色",),
    "grey": ("灰色",),
    "blue": ("蓝色",),
    "pink": ("粉色", "粉红色"),
    "green": ("绿色",),
    "orange": ("橙色",),
    "yellow": ("黄色",),
    "purple": ("紫色",),
    "white": ("白色",),
}
_HAIR: Options = {
    "short": ("{c}短发", "{c}的短发"),
    "long": ("{c}长发", "{c}的长发"),
    "curly": ("{c}卷发", "{c}的卷发"),
    "bob": ("{c}波波头", "{c}的波波头"),
    "pigtails": ("{c}双马尾", "{c}的双马尾"),
}
_BALD = ("光头", "没有头发")
_SKINS: Options = {
    "light": ("浅色皮肤", "白皙的皮肤"),
    "tan": ("小麦色皮肤", "小麦色的皮肤"),
    "brown": ("棕色皮肤", "棕色的皮肤"),
    "dark": ("深色皮肤", "黝黑的皮肤"),
}
_EYEWEAR: Options = {
    "none": ("没戴眼镜", "不戴眼镜"),
    "glasses": ("戴着眼镜", "戴着眼镜", "戴着圆框眼镜"),
    "sunglasses": ("戴着墨镜", "戴着墨镜", "戴着太阳镜"),
}
_HATS: Options = {
    "none": ("没戴帽子", "不戴帽子"),
    "cap": ("戴着棒球帽", "戴着鸭舌帽", "戴着红色棒球帽"),
    "beanie": ("戴着毛线帽", "戴着针织帽"),
    "top hat": ("戴着礼帽", "戴着高礼帽", "戴着黑色礼帽"),
    "crown": ("戴着王冠", "戴着金色王冠", "戴着皇冠"),
}
_BEARDS: Options = {
    "none": ("没有胡子",),
    "mustache": ("留着八字胡", "留着小胡子"),
    "beard": ("留着络腮胡", "留着大胡子"),
}
_ACCESSORIES: Options = {
    "earrings": ("戴着耳环", "戴着金色耳环"),
    "scarf": ("围着围巾", "围着红色围巾"),
    "bow tie": ("打着领结", "系着领结"),
    "headphones": ("戴着耳机",),
}
_CLOTHES = ("衣服", "上衣", "衬衫", "套头衫")
_GARMENTS: Options = {
    "striped sweater": ("条纹毛衣", "条纹衫"),
    "overalls": ("背带裤",),
    "suit": ("西装", "西服"),
}
_PLACES = ("{c}背景", "{c}背景", "{c}的背景", "背景是{c}", "在{c}的墙前")
_LIGHTS: Options = {"warm": ("暖光", "夕阳下", "温暖的光线"), "night": ("夜晚", "夜空下", "月光下")}
STYLES: Options = {
    "sketch": ("铅笔素描", "线稿", "素描"),
    "watercolour": ("水彩画", "水彩"),
    "pixel": ("像素画", "像素艺术"),
    "halftone": ("半色调网点画", "网点漫画"),
}
_WORN = {"eyewear": _EYEWEAR, "hat": _HATS, "beard": _BEARDS}
_VERBS = ("戴着", "留着", "围着", "打着", "系着", "穿着")
_DRESSED = ("穿着", "穿着", "身穿")


def caption_zh(avatar: Avatar, seed: int, full: bool = False) -> Caption:
    """The Chinese caption of this avatar under this wording seed; `full` names every visible attribute."""
    words = Words(f"chinese caption:{seed}")
    choice = choose(words, avatar, full, _WORN)
    named, parts = choice.named, dict(choice.worn)
    if "mood" in named:
        parts["mood"] = words.one(_MOODS[avatar.mood])
    if "skin" in named:
        parts["skin"] = words.one(_SKINS[avatar.skin])
    if "hair_style" in named:
        colour = words.one(_COLOURS[avatar.hair_colour]) if "hair_colour" in named else ""
        if avatar.hair_style == "bald":
            parts["bald"] = words.one(_BALD)
            if colour:
                # A bald person's hair colour shows in the beard alone, so the caption says it there.
                kind = words.one(_BEARDS[avatar.beard])
                parts["beard"] = f"{kind[:2]}{colour}{kind[2:]}"
        else:
            parts["hair"] = _coloured(words.one(_HAIR[avatar.hair_style]), colour)
    if "eyes" in named:
        parts["eyes"] = f"{words.one(_COLOURS[avatar.eyes])}{words.one(('眼睛', '的眼睛'))}"
    if "clothes" in named or avatar.garment != "shirt":
        colour = words.one(_COLOURS[avatar.clothes]) if "clothes" in named else ""
        parts["clothes"] = f"{words.one(_DRESSED)}{colour}{words.one(_GARMENTS.get(avatar.garment, _CLOTHES))}"
    if avatar.accessory != "none":
        parts["accessory"] = words.one(_ACCESSORIES[avatar.accessory])
    if "background" in named:
        parts["background"] = _coloured(words.one(_PLACES), words.one(_COLOURS[avatar.background]))
    for name, options in (("lighting", _LIGHTS), ("style", STYLES), ("age", _AGES)):
        value = getattr(avatar, name)
        if value in options and visible(avatar)[name]:
            parts[name] = words.one(options[value])
    text = _tags(words, parts) if words.chance(0.22) else _sentence(words, parts)
    return Caption(text, choice.settles)


def _coloured(phrase: str, colour: str) -> str:
    return phrase.format(c=colour).removeprefix("的")


def _tags(words: Words, parts: dict[str, str]) -> str:
    """The parts in any order, as nouns: what is worn loses its verb."""
    parts = dict(parts)
    noun = parts.pop("age", words.one(_NOUNS))
    items = words.shuffled([p[2:] if p[:2] in (*_VERBS, "身穿") else p for p in parts.values()])
    return "，".join([noun, *items])


def _sentence(words: Words, parts: dict[str, str]) -> str:
    noun = parts.get("age") or words.one(_NOUNS)
    clauses = [parts[k] for k in ("bald", "beard", "eyewear", "hat", "accessory", "clothes") if k in parts]
    has = [parts[k] for k in ("hair", "eyes", "skin") if k in parts]
    if has:
        clauses.insert(0, "有着" + "和".join(filter(None, ("、".join(has[:-1]), has[-1]))))
    if words.chance(0.5):
        clauses = words.shuffled(clauses)
    # One thing worn may stand before the noun: 一个戴着眼镜的孩子.
    before = ""
    if clauses and clauses[0][:2] in _VERBS and words.chance(0.6):
        before = f"{clauses.pop(0)}的"
    mood = parts.get("mood", "")
    # Two long attributes before one noun read badly.
    if mood and not (before and len(mood) > 4) and words.chance(0.85):
        before, mood = f"{before}{mood}的", ""
    subject = f"{words.one(('一个', '一个', '一位'))}{before}{noun}" if words.chance(0.85) else f"{before}{noun}"
    clauses = [subject, *clauses]
    if mood:
        clauses.append(mood)
    clauses += [parts[k] for k in ("background", "lighting") if k in parts]
    if "style" in parts:
        style = parts["style"]
        if words.chance(0.5):
            clauses.append(style)
        else:
            clauses[0] = f"{style}：{clauses[0]}"
    return "，".join(clauses)


def vocabulary_zh() -> Iterator[str]:
    """Texts that together hold every word of the Chinese captions."""
    for group in (_AGES, _MOODS, _COLOURS, _HAIR, _SKINS, _ACCESSORIES, _GARMENTS, _LIGHTS, STYLES, *_WORN.values()):
        for options in group.values():
            for text in options:
                # Verbs and nouns are words of their own: 戴着 and 眼镜, not 戴着眼镜.
                yield from (text[:2], text[2:]) if text[:2] in _VERBS else (text.replace("{c}", ""),)
    for templates in (_NOUNS, _BALD, _CLOTHES, _PLACES, _DRESSED):
        yield from (text.replace("{c}", "") for text in templates)
    yield from ("一个", "一位", "有着", "眼睛", "和", "的", "、，：")
