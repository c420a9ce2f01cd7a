"""Faces: found, edited, blended back, made to speak. This module only declares; the rest is imported in the worker.

Who stands where: ``vocabulary`` names, ``networks`` compute, ``finding`` tells where faces are, ``pixels`` cut and
blend, ``pipelines`` are jobs of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from webui.api import ChoiceSource, ModelKind, PipelineSpec, TabSpec, hookimpl

from .accepting import accept_edit
from .backends.supplied import acceptances, supplied_names
from .networks.files import KIND, recognise
from .params import FindParams
from .params_editing import AttributeParams, EditParams
from .params_mixing import ExpressionParams, SheetParams, SwapParams
from .params_talking import TalkParams
from .portraits.files import portrait_acceptances, portrait_names
from .vocabulary import CHANGES, POSES


def _spec(name: str, title: str, params: type, run: str, description: str, **more: Any) -> PipelineSpec:
    return PipelineSpec(
        id=f"faces.{name}",
        title=title,
        params=params,
        run=f"extensions.faces.pipelines.{run}",
        tab="faces",
        description=description,
        **more,
    )


@hookimpl
def register_pipelines() -> Iterable[PipelineSpec]:
    return [
        _spec(
            "find",
            "Find faces",
            FindParams,
            "find:Find",
            "Boxes, landmarks and parts of all faces, as a picture, as JSON that the other forms take, and as a mask.",
        ),
        _spec(
            "edit",
            "Edit a face",
            EditParams,
            "edit:Edit",
            "A face is cut out, changed by another pipeline and blended back; what is not masked stays bit by bit.",
            accept=accept_edit,
            needs_consent=True,
        ),
        _spec(
            "attribute",
            "Change an attribute",
            AttributeParams,
            "attribute:Attribute",
            "One thing of a face changes, the rest is kept: the best of several candidates, with numbers beside it.",
            accept=accept_edit,
            needs_consent=True,
        ),
        _spec(
            "talk",
            "Talking face",
            TalkParams,
            "talk:Talk",
            "A face speaks a sound, or a text where espeak-ng is installed: a film with that sound.",
            outputs="video",
            needs_consent=True,
        ),
        _spec(
            "swap",
            "Swap faces",
            SwapParams,
            "swap:Swap",
            "The face of another picture in the place and shape of this one's, by a warp of landmarks; "
            "drawn faces are mixed in latents.",
            needs_consent=True,
        ),
        _spec(
            "expression",
            "Transfer an expression",
            ExpressionParams,
            "expression:Expression",
            "Brows, lids and mouth as in another picture; the person stays.",
            needs_consent=True,
        ),
        _spec(
            "sheet",
            "Character sheet",
            SheetParams,
            "sheet:Sheet",
            "One person in several expressions, outfits and poses, from one picture and one seed, labelled.",
            needs_consent=True,
        ),
    ]


@hookimpl
def register_tabs() -> Iterable[TabSpec]:
    return [TabSpec("faces", "Face edit", order=50)]


@hookimpl
def register_model_kinds() -> Iterable[ModelKind]:
    return [ModelKind(KIND, "Network of faces", folders=("faces",), recognise=recognise)]


def _labels(rows: Mapping[str, tuple[Any, ...]]) -> dict[str, dict[str, str]]:
    return {name: {"label": row[0]} for name, row in rows.items()}


@hookimpl
def register_choices() -> Iterable[ChoiceSource]:
    return [
        ChoiceSource("faces.changes", "Changes", lambda folders: list(CHANGES), lambda folders: _labels(CHANGES)),
        ChoiceSource("faces.poses", "Poses", lambda folders: list(POSES), lambda folders: _labels(POSES)),
        ChoiceSource("faces.backends", "Own networks", supplied_names),
        ChoiceSource("faces.licences", "Licences of own networks", acceptances),
        ChoiceSource("faces.portraits", "Own portraits that move", portrait_names),
        ChoiceSource("faces.portrait_licences", "Licences of portraits", portrait_acceptances),
        ChoiceSource(
            "faces.expressions", "Own networks and portraits", lambda f: [*supplied_names(f), *portrait_names(f)]
        ),
        ChoiceSource(
            "faces.expression_licences",
            "Licences of networks and portraits",
            lambda folders: [*acceptances(folders), *portrait_acceptances(folders)],
        ),
    ]
