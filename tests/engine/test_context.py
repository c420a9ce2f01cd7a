"""What a pipeline sees through its context, from a pipeline that looks at all of it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from typing import Any

import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import save_file

from webui.api import Context, Models
from webui.core.work_folders import remove_stale
from webui.engine.context import JobContext, JobModels

INIT = """
    from webui.api import Params, PipelineSpec, hookimpl, image, integer, text

    class Look(Params):
        what: str = text(label="What")
        picture: str | None = image(label="Picture")

    @hookimpl
    def register_pipelines():
        return [PipelineSpec(id="eye.look", title="Look", params=Look, run=".work:Look", outputs="scalar")]

    @hookimpl
    def resolve_model(ref):
        return {"ref": ref} if ref == "moon:cheese" else None
"""

WORK = """
    import torch

    from webui.api import Artifact

    class Look:
        def run(self, params, context):
            context.pending(1)
            return Artifact("scalar", getattr(self, params.what)(params, context))

        def device(self, params, context):
            return [str(context.device), str(context.dtype), context.deterministic, context.offline, context.job.id]

        def noise(self, params, context):
            generator = context.generator(2**63 - 1)
            return [str(generator.device), torch.rand(2, generator=generator).tolist()]

        def image(self, params, context):
            picture = context.open_image(params.picture)
            return [picture.mode, *picture.size, context.open_file(params.picture).suffix]

        def made_with(self, params, context):
            path = context.open_file(params.picture)
            assert context.made_with(path) == context.made_with(path.read_bytes())
            return dict(context.made_with(path))

        def resolve(self, params, context):
            return context.models.resolve("moon:cheese")["ref"]

        def hash(self, params, context):
            model = context.models.resolve("late")
            return [model.ref, model.sha256]

        def unknown(self, params, context):
            context.models.resolve("a model that is not there", "text_to_image")

        def negative(self, params, context):
            context.pending(-1)

        def log(self, params, context):
            context.log.warning("look")
            return context.log.name

        def settings(self, params, context):
            return dict(context.settings)

        def words(self, params, context):
            return [dict(context.words(tag)) for tag in ("zh-CN", "fr", "../zh-CN", "")]
"""


@pytest.fixture
def look(lab: Any) -> Any:
    lab.extension("eye", INIT, {"work.py": WORK})

    def run(what: str, **params: Any) -> Any:
        outcome = lab.run(pipeline="eye.look", job=lab.job("eye.look", what=what, **params))
        if outcome.end == "failed":
            return outcome.error
        return json.loads(lab.files.path_of(outcome.records[0]).read_text(encoding="utf-8"))

    return run


def test_it_has_all_that_the_interface_names() -> None:
    for interface, ours in ((Context, JobContext), (Models, JobModels)):
        promised = {name for name in vars(interface) if not name.startswith("_")}
        assert promised
        assert promised <= set(dir(ours)), promised - set(dir(ours))


def test_device_and_job(look: Any, lab: Any) -> None:
    assert look("device")[:4] == ["cpu", "torch.float32", False, False]
    assert look("settings") == {}
    assert look("log") == "lifelike.eye.look"


def test_words_are_those_of_all_extensions_its_own_last(look: Any, lab: Any) -> None:
    for name, table in (("eye", {"Sky": "天"}), ("zoo", {"Sky": "空", "Sea": "海"}), ("bad", ["Sky"])):
        if name != "eye":
            lab.hooks(name, "")
        locale = lab.base / "extensions" / name / "locale"
        locale.mkdir()
        (locale / "zh-CN.json").write_text(json.dumps(table), encoding="utf-8")
    (lab.base / "extensions" / "eye" / "zh-CN.json").write_text(json.dumps({"Out": "of reach"}), encoding="utf-8")
    assert look("words") == [{"Sky": "天", "Sea": "海"}, {}, {}, {}]


def test_noise_comes_from_the_processor(look: Any) -> None:
    expected = torch.rand(2, generator=torch.Generator().manual_seed(2**63 - 1)).tolist()
    assert look("noise") == ["cpu", pytest.approx(expected)]


def test_files_come_by_reference(look: Any, lab: Any) -> None:
    data = io.BytesIO()
    Image.new("RGB", (6, 4), "red").save(data, "PNG")
    assert look("image", picture=lab.uploads.put(data.getvalue())) == ["RGB", 6, 4, ".png"]
    assert look("image", picture="upload:" + "0" * 64 + ".png").kind == "NotFound"
    assert look("image", picture="/etc/passwd").kind == "ParameterError"


def test_a_picture_says_what_it_was_made_with(look: Any, lab: Any) -> None:
    data, said = io.BytesIO(), PngInfo()
    said.add_text("parameters", "a red fox\nSteps: 12, Seed: 7, Size: 6x4")
    Image.new("RGB", (6, 4), "red").save(data, "PNG", pnginfo=said)
    made_with = look("made_with", picture=lab.uploads.put(data.getvalue()))
    assert (made_with["prompt"], made_with["steps"], made_with["seed"]) == ("a red fox", 12, 7)
    plain = io.BytesIO()
    Image.new("RGB", (6, 4), "red").save(plain, "PNG")
    assert look("made_with", picture=lab.uploads.put(plain.getvalue())) == {}


def test_models_are_asked_of_the_catalog_then_of_the_extensions(look: Any) -> None:
    assert look("resolve") == "moon:cheese"
    assert look("unknown").kind == "NotFound"


def test_a_model_that_came_after_the_worker_is_found_and_has_its_hash(look: Any, lab: Any) -> None:
    folder = lab.settings.models_dirs[0] / "loras"
    folder.mkdir(parents=True)
    assert look("hash").kind == "NotFound"
    save_file(
        {"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": torch.zeros(4, 320)}, folder / "late.safetensors"
    )
    expected = hashlib.sha256((folder / "late.safetensors").read_bytes()).hexdigest()
    answer = look("hash")
    assert answer == ["loras/late.safetensors", expected], answer


def test_a_wrong_use_is_the_pipeline_s_fault(look: Any) -> None:
    error = look("negative")
    assert (error.kind, error.extension) == ("ValueError", "eye")
    assert "got -1" in error.message


def test_work_of_jobs_long_gone_is_removed(lab: Any) -> None:
    base = lab.settings.data_dir / "work"
    assert remove_stale(lab.settings) == []
    for name, days in (("old", 40), ("new", 1)):
        (base / name).mkdir(parents=True)
        (base / name / "checkpoint").write_text("x")
        then = time.time() - days * 86_400
        for path in (base / name / "checkpoint", base / name):
            os.utime(path, (then, then))
    assert remove_stale(lab.settings) == ["old"]
    assert [path.name for path in base.iterdir()] == ["new"]
