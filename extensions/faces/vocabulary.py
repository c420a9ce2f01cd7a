"""First station: the names of what is told of a face, and where its landmarks lie in a usual one. Light: no imports."""

from __future__ import annotations

from collections.abc import Mapping

PARTS = (
    "background", "skin", "brow", "eye", "eyewear", "nose", "mouth", "hair", "hat", "beard", "neck", "clothes",
    "accessory",
)  # fmt: skip
"""What a pixel shows; maps of parts count in this order."""

USUAL: Mapping[str, tuple[float, float]] = {
    "left eye outer": (0.15, 0.44), "left eye inner": (0.41, 0.44), "left eye top": (0.28, 0.385),
    "left eye bottom": (0.28, 0.50), "left pupil": (0.28, 0.445),
    "right eye outer": (0.85, 0.44), "right eye inner": (0.59, 0.44), "right eye top": (0.72, 0.385),
    "right eye bottom": (0.72, 0.50), "right pupil": (0.72, 0.445),
    "left brow outer": (0.12, 0.34), "left brow middle": (0.27, 0.31), "left brow inner": (0.42, 0.34),
    "right brow outer": (0.88, 0.34), "right brow middle": (0.73, 0.31), "right brow inner": (0.58, 0.34),
    "nose": (0.5, 0.66), "mouth left": (0.33, 0.79), "mouth right": (0.67, 0.79),
    "upper lip": (0.5, 0.79), "lower lip": (0.5, 0.81), "chin": (0.5, 1.0),
    "left jaw": (0.0, 0.5), "right jaw": (1.0, 0.5), "left lower jaw": (0.16, 0.85), "right lower jaw": (0.84, 0.85),
}  # fmt: skip
"""Landmark -> place in the face's box, for whoever knows no better. Left is the picture's left; the lips' points are on
their inner edges.
"""
LANDMARKS = tuple(USUAL)

REGIONS: Mapping[str, tuple[str, ...]] = {
    "face": ("skin", "brow", "eye", "eyewear", "nose", "mouth", "beard"),
    "head": ("skin", "brow", "eye", "eyewear", "nose", "mouth", "beard", "hair", "hat", "accessory"),
    "skin": ("skin", "nose", "neck"),
    "eyes": ("eye", "brow", "eyewear"),
    "mouth": ("mouth", "beard"),
    "hair": ("hair",),
    "hat": ("hat", "hair"),
    "clothes": ("clothes", "neck"),
    "background": ("background",),
}
"""What can be chosen to change -> the parts that it is."""

COLOURS: Mapping[str, tuple[int, int, int]] = {
    "background": (0, 0, 0), "skin": (240, 190, 150), "brow": (120, 70, 30), "eye": (60, 130, 230),
    "eyewear": (30, 30, 60), "nose": (230, 150, 110), "mouth": (220, 50, 70), "hair": (110, 60, 160),
    "hat": (20, 150, 140), "beard": (150, 90, 40), "neck": (210, 160, 120), "clothes": (70, 170, 70),
    "accessory": (250, 200, 40),
}  # fmt: skip
"""Of the overlay that shows parts."""

WHOLE = "all"
"""The region that is everything in the cut-out."""

REGION_OF: Mapping[str, str] = {
    "eyewear": "eyes", "eyes": "eyes", "mood": "face", "hat": "hat", "beard": "mouth", "hair_colour": "hair",
    "hair_style": "hair", "skin": "skin", "clothes": "clothes", "garment": "clothes", "background": "background",
    "age": "head", "accessory": WHOLE, "lighting": WHOLE, "style": WHOLE,
}  # fmt: skip
"""What a judge tells of a face, without the name of its domain -> the region that it is read in."""

TAKEN: Mapping[str, frozenset[str]] = {
    "face": frozenset({"eyes", "mood", "beard", "eyewear"}),
    "features": frozenset({"eyes", "mood", "beard", "eyewear"}),
    "mouth": frozenset({"mood", "beard"}),
    "eyes": frozenset({"eyes", "eyewear"}),
}
"""What a swap takes -> what a judge then reads as in the other picture; skin keeps its tone."""

CHANGES: Mapping[str, tuple[str, str, str]] = {
    "smile": ("Smiling", "have the person smile", "mood=smiling"),
    "laugh": ("Laughing", "have the person laugh", "mood=laughing"),
    "sad": ("Sad", "make the person sad", "mood=sad"),
    "surprised": ("Surprised", "make the person surprised", "mood=surprised"),
    "angry": ("Angry", "make the person angry", "mood=angry"),
    "neutral": ("Neutral", "give the person a neutral face", "mood=neutral"),
    "child": ("Younger", "make the person a child", "age=child"),
    "elder": ("Older", "make the person old", "age=elder"),
    "glasses": ("Glasses", "add glasses", "eyewear=glasses"),
    "sunglasses": ("Sunglasses", "add sunglasses", "eyewear=sunglasses"),
    "no_glasses": ("No glasses", "remove the glasses", "eyewear=none"),
    "beard": ("Beard", "add a beard", "beard=beard"),
    "mustache": ("Mustache", "add a mustache", "beard=mustache"),
    "shaved": ("Shaved", "remove the beard", "beard=none"),
    "crown": ("Crown", "add a crown", "hat=crown"),
    "cap": ("Cap", "add a cap", "hat=cap"),
    "no_hat": ("No hat", "remove the hat", "hat=none"),
    "black_hair": ("Black hair", "make the hair black", "hair_colour=black"),
    "brown_hair": ("Brown hair", "make the hair brown", "hair_colour=brown"),
    "blond_hair": ("Blond hair", "make the hair blond", "hair_colour=blond"),
    "red_hair": ("Red hair", "make the hair red", "hair_colour=red"),
    "grey_hair": ("Grey hair", "make the hair grey", "hair_colour=grey"),
    "blue_hair": ("Blue hair", "make the hair blue", "hair_colour=blue"),
    "long_hair": ("Long hair", "give the person long hair", "hair_style=long"),
    "short_hair": ("Short hair", "give the person short hair", "hair_style=short"),
    "bald": ("Bald", "make the person bald", "hair_style=bald"),
    "suit": ("A suit", "put the person in a suit", "garment=suit"),
}  # fmt: skip
"""Named changes -> label, instruction, and what a judge should read then."""

POSES: Mapping[str, tuple[str, float, float, float]] = {
    "tilted_left": ("Tilted left", -9, 0, 0),
    "tilted_right": ("Tilted right", 9, 0, 0),
    "turned_left": ("Turned left", 0, -16, 0),
    "turned_right": ("Turned right", 0, 16, 0),
    "raised": ("Looking up", 0, 0, 11),
    "lowered": ("Looking down", 0, 0, -11),
    "three_quarters_left": ("Three quarters left", -5, -16, 3),
    "three_quarters_right": ("Three quarters right", 5, 16, 3),
}
"""Named poses -> label, and by how many degrees a head is tilted and turned to the picture's right, and raised."""

OTHER_WORDS: Mapping[str, tuple[str, ...]] = {
    "smiling": ("happy", "cheerful"), "laughing": ("laughter",), "sad": ("unhappy",), "angry": ("anger", "furious"),
    "surprised": ("amazed", "astonished"), "neutral": ("calm", "serious"), "sleepy": ("tired",),
    "child": ("kid", "younger", "young"), "elder": ("old", "older", "elderly"), "blond": ("blonde",), "grey": ("gray",),
    "bald": ("hairless", "shave head", "no hair", "remove hair"), "mustache": ("moustache",),
    "overalls": ("dungarees",), "beanie": ("wool hat",), "day": ("daylight",), "night": ("moonlight",),
    "warm": ("sunset",), "background": ("front", "behind", "wall"), "clothes": ("shirt", "sweater", "dress", "top"),
    "eyewear": ("glasses",), "lighting": ("light",), "mood": ("face", "look", "expression"), "skin": ("tone",),
    "eyes": ("eye",),
}  # fmt: skip
"""What people say for a value or a head of a judge; of several words all are said."""
