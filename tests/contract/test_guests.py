"""What guests may run of what comes with the project: each pipeline by a decision, not by oversight."""

from __future__ import annotations

from webui.core.guests import is_open
from webui.core.settings import ROOT, Settings
from webui.plugins.host import ExtensionHost

OPEN = {
    "diffusion": "align blend edit img2img inject inpaint reword txt2img upscale variation",
    "faces": "attribute edit expression find sheet swap talk",
    "gan": "classes complete edit mix sample truncation walk",
    "restoration": "degrade restore",
    "starter": "draw textures",
    "style": "adain colour instruct optimise redraw reference",
    "sweep": "grid",
}
"""They leave artifacts and nothing else: no model, no named file, no link."""


def test_each_pipeline_that_guests_may_run_is_named_here() -> None:
    host = ExtensionHost.load(Settings(extensions_dirs=(ROOT / "extensions",)))
    met: dict[str, list[str]] = {}
    for spec in host.pipelines.values():
        if is_open(spec):
            met.setdefault(spec.extension, []).append(spec.name)
    said = {extension: " ".join(sorted(names)) for extension, names in met.items()}
    assert said == OPEN, "say PipelineSpec(guests=False) where it leaves more than artifacts, or name it here"
