"""The units of a form that hold a picture to another: which model, which picture, how strongly and when. ControlNets
and T2I-Adapters are both given so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from extensions.diffusion.params import Drawn
from extensions.diffusion.params_adapters import CONTROL_KINDS, CONTROL_UNITS
from extensions.diffusion.pictures.annotators import MAPS, Annotators
from extensions.diffusion.pictures.inputs import fitted, on_ground, open_picture
from extensions.diffusion.pictures.preprocessors import prepared
from webui.api import Context, JobFailed, ModelError, ModelUse, ResolvedModel

from .attaching import Span, title_of


@dataclass(frozen=True)
class Unit:
    """One control of a job."""

    place: int
    model: ResolvedModel
    source: str | None
    preprocessor: str
    kind: str
    """Which kind of map it is, for networks of several; ``auto``: by the preprocessor."""
    span: Span

    annotators: Annotators
    """Of all units of the job."""

    def picture(
        self,
        size: tuple[int, int],
        own: Callable[[], Image.Image | None],
        context: Context,
        components: Mapping[str, Any],
    ) -> Image.Image:
        """The control picture at ``size``, RGB. ``own()``: the one that a unit without a picture takes. Raises
        JobFailed where there is none, ParameterError, NotFound.
        """
        picture = on_ground(open_picture(context, self.source)) if self.source else own()
        if picture is None:
            raise JobFailed("A ControlNet has no picture.", hint="Choose a control picture, or no ControlNet.")
        if self.preprocessor in MAPS:
            return fitted(self.annotators.made(self.preprocessor, picture, components), size, "crop")
        return fitted(prepared(picture, self.preprocessor), size, "crop")


def units_of(params: Drawn, context: Context) -> list[Unit]:
    """The units that name a model and count. Raises NotFound, ModelError."""
    rows = [row for row in range(1, CONTROL_UNITS + 1) if getattr(params, f"control_{row}_model")]
    wanted = [getattr(params, f"control_{row}_preprocessor") for row in rows]
    annotators = Annotators(wanted, params.control_annotator, context)
    found = (_unit(params, row, context, annotators) for row in rows)
    return [unit for unit in found if unit is not None]


def _unit(params: Drawn, row: int, context: Context, annotators: Annotators) -> Unit | None:
    name, weight = getattr(params, f"control_{row}_model"), getattr(params, f"control_{row}_weight")
    if not name or not weight:
        return None
    model = context.models.resolve(name, CONTROL_KINDS)
    if model.path is None:
        raise ModelError(f"ControlNet {name!r} is not on this machine.")
    start, end = sorted((getattr(params, f"control_{row}_start"), getattr(params, f"control_{row}_end")))
    if start == end:
        return None  # no step is in it
    kind = str(getattr(model, "kind", "")) or "controlnet"
    context.use_model(ModelUse(ref=model.ref, sha256=model.sha256, role=kind))
    source, way = getattr(params, f"control_{row}_image"), getattr(params, f"control_{row}_preprocessor")
    return Unit(
        row - 1, model, source, way, getattr(params, f"control_{row}_kind"), Span(weight, start, end), annotators
    )


def told_units(units: Sequence[Unit]) -> dict[str, str]:
    """The units as A1111's extension for them writes them into its text."""
    return {
        f"ControlNet {unit.place}": ", ".join(
            (
                f"Module: {unit.preprocessor}",
                f"Model: {title_of(unit.model)} [{unit.model.sha256[:8]}]",
                f"Weight: {unit.span.weight:g}",
                f"Guidance Start: {unit.span.start:g}",
                f"Guidance End: {unit.span.end:g}",
            )
        )
        for unit in units
    }
