"""First station of portraits that move: folders in ``models/faces`` -> which file is which of LivePortrait's networks,
and under which licence they may be used. Light: read by the web process.

A folder is told by its motion extractor. Files are told by their names, as the exports that people use have them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from extensions.faces.backends.supplied import Folders, licence_of, refuse_unaccepted, sentence
from webui.api import FieldError, ModelError, ParameterError

MARK = "/"
"""Ends a folder's name in the list of networks: ``liveportrait/``."""
ROLES: Mapping[str, tuple[tuple[str, ...], str]] = {
    # The order matters: what a file is, the first row that has a part of its name says.
    "eyes": (("eye",), "stitching_eye.onnx"),
    "lips": (("lip",), "stitching_lip.onnx"),
    "stitching": (("stitch",), "stitching.onnx"),
    "motion": (("motion",), "motion_extractor.onnx"),
    "appearance": (("appearance", "feature_extractor"), "appearance_feature_extractor.onnx"),
    "whole": (("warping_spade", "portrait_generator"), "warping_spade.onnx"),
    "warping": (("warp",), "warping_module.onnx"),
    "decoder": (("spade", "decoder"), "spade_generator.onnx"),
}
"""Role -> parts of names that tell it, and the name that errors say. ``whole`` warps and decodes in one."""


@dataclass(frozen=True)
class PortraitFolder:
    """LivePortrait's networks as they lie in one folder."""

    path: Path
    files: Mapping[str, tuple[Path, ...]]
    """Role -> the files that may be it, the shortest name first."""
    licence: str
    """All texts of licences in the folder."""

    @property
    def name(self) -> str:
        return self.path.name + MARK

    @property
    def acceptance(self) -> str:
        """What a person chooses to accept the licence."""
        return sentence(self.name, self.licence)

    def need(self, role: str) -> tuple[Path, ...]:
        """The files that may be it. Raises ModelError that says which is missing."""
        if found := self.files.get(role):
            return found
        there = ", ".join(sorted(path.name for paths in self.files.values() for path in paths))
        raise ModelError(
            f"{self.name} has no {ROLES[role][1]}: it has {there}.",
            hint="All networks of one export belong into one folder in models/faces, under the names they came with.",
        )


def portrait_names(folders: Folders) -> list[str]:
    """The folders that can be chosen."""
    return [path.name + MARK for path in _folders(folders)]


def portrait_acceptances(folders: Folders) -> list[str]:
    """The licences that can be accepted."""
    return [read_folder(path).acceptance for path in _folders(folders)]


def is_portrait(network: str) -> bool:
    """Whether what was chosen is a folder of networks, and not a single file."""
    return network.strip().endswith(MARK)


def accepted_portrait(name: str, licence: str, places: Sequence[Path]) -> PortraitFolder:
    """The folder of this name, whose licence was accepted. Raises ParameterError that shows the licence, ModelError."""
    path = next((path for path in _folders(lambda _: places) if path.name + MARK == name.strip()), None)
    if path is None:
        known = ", ".join(portrait_names(lambda _: places)) or "nothing: put the folder into models/faces"
        raise ParameterError([FieldError("network", f"expected one of {known}", name)])
    one = read_folder(path)
    refuse_unaccepted(one.name, one.licence, licence)
    return one


def read_folder(path: Path) -> PortraitFolder:
    """What lies in a folder. Raises ModelError for a licence that cannot be read."""
    files: dict[str, tuple[Path, ...]] = {}
    for file in sorted(path.glob("*.onnx"), key=lambda one: (len(one.name), one.name)):
        if role := role_of(file.stem):
            files[role] = (*files.get(role, ()), file)
    texts = [licence_of(file) for paths in files.values() for file in paths]
    return PortraitFolder(path, files, "\n\n".join(dict.fromkeys(text for text in texts if text)))


def role_of(stem: str) -> str:
    """Which of LivePortrait's networks a file of this name is; empty for another, such as a detector."""
    plain = stem.lower().replace("-", "_")
    return next((role for role, (parts, _) in ROLES.items() if any(part in plain for part in parts)), "")


def _folders(folders: Folders) -> list[Path]:
    """Every folder that holds a motion extractor, the first of each name."""
    found: dict[str, Path] = {}
    for place in folders("faces"):
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            if path.is_dir() and any(role_of(file.stem) == "motion" for file in path.glob("*.onnx")):
                found.setdefault(path.name, path)
    return [path for _, path in sorted(found.items())]
