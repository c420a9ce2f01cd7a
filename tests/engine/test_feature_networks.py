"""Feature networks that extensions declare, and collections, as a running pipeline reaches them."""

from __future__ import annotations

from typing import Any

import pytest

from webui.core.jobs import Job
from webui.library.marks import MarkChange, MarkStore, in_collection

INIT = """
    from webui.api import FeatureNetwork, Params, PipelineSpec, hookimpl, text

    class P(Params):
        network: str = text("means.means", label="Network")
        resize: str = text("", label="Resize")

    @hookimpl
    def register_pipelines():
        return [PipelineSpec(id="means.read", title="Read", params=P, run=".work:Read", outputs="scalar")]

    @hookimpl
    def register_feature_networks():
        return [FeatureNetwork("means.means", "means", dim=3, run=".work:Means", resizes=("none", "half"))]
"""

WORK = """
    import numpy as np
    import torch
    from PIL import Image

    from webui.api import Artifact, Component, ComponentKey

    class Means:
        heads = {}

        def __init__(self, models, weights, resize):
            self.protocol = {"resize": resize}
            self.component = Component(ComponentKey("/means", 0, 0, "means", "float32"), torch.nn.Identity)

        def prepare(self, picture):
            return np.asarray(picture, np.float32).transpose(2, 0, 1)

        def read(self, network, batch):
            return {"features": network(batch).mean((2, 3))}

    class Read:
        def run(self, params, context):
            reader = context.feature_extractor(params.network, resize=params.resize)
            with context.models.lease({"network": reader.component}) as parts:
                batch = torch.from_numpy(reader.prepare(Image.new("RGB", (4, 4), (1, 2, 3)))[None])
                found = reader.read(parts["network"], batch.to(context.device))["features"]
            yield Artifact("scalar", {"features": found[0].tolist(), **reader.protocol})
"""


def read(lab: Any, **params: str) -> Any:
    lab.extension("means", INIT, {"work.py": WORK})
    return lab.run(job=Job(pipeline="means.read", params=params))


@pytest.mark.parametrize(("resize", "used"), [("", "none"), ("half", "half")])
def test_a_network_is_leased_and_reads_pictures(lab: Any, resize: str, used: str) -> None:
    outcome = read(lab, resize=resize)
    assert outcome.end == "done", outcome.events[-1]
    told = lab.files.path_of(outcome.records[0]).read_text()
    assert used in told
    assert "1.0" in told


@pytest.mark.parametrize(
    ("params", "says"), [({"network": "means.other"}, "there are: means.means"), ({"resize": "twice"}, "none, half")]
)
def test_what_is_not_declared_is_named(lab: Any, params: dict[str, str], says: str) -> None:
    outcome = read(lab, **params)
    assert outcome.end == "failed"
    assert says in outcome.error.message


def test_a_collection_is_in_the_order_of_its_making(tmp_path: Any) -> None:
    change = MarkChange(add_collections=("Best ones",))
    paths = {"a-10": "2026/x", "a-9": "2026/y", "b-0": "2027/z"}
    MarkStore(tmp_path).change(paths, change.of)
    MarkStore(tmp_path).change({"c-0": "2027/w"}, MarkChange(add_collections=("Others",)).of)
    assert in_collection(tmp_path, "best Ones") == ["a-9", "a-10", "b-0"]
