"""What pictures of other programs say: one sample of each in the shape its program writes, then anything at all."""

from __future__ import annotations

import io
import json
import math
import sys
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from webui.library import metadata, programs
from webui.library.programs import comfyui_workflow, names

GRAPH: dict[str, Any] = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 1125899906842623,
            "steps": 28,
            "cfg": 6.5,
            "sampler_name": "dpmpp_2m_sde_gpu",
            "scheduler": "karras",
            "denoise": 1.0,
            "model": ["11", 0],
            "positive": ["6", 0],
            "negative": ["7", 0],
            "latent_image": ["5", 0],
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "xl\\dream (v2).safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 832, "height": 1216, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["12", 0], "clip": ["13", 0]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["13", 0]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x", "images": ["8", 0]}},
    "10": {
        "class_type": "LoraLoader",
        "inputs": {"lora_name": "ink.safetensors", "strength_model": 0.8, "model": ["4", 0], "clip": ["4", 1]},
    },
    "11": {
        "class_type": "LoraLoader",
        "inputs": {"lora_name": "light.safetensors", "strength_model": -0.25, "model": ["10", 0], "clip": ["10", 1]},
    },
    "12": {"class_type": "StringConcatenate", "inputs": {"string_a": "a cat", "string_b": "红发", "delimiter": ", "}},
    "13": {"class_type": "CLIPSetLastLayer", "inputs": {"stop_at_clip_layer": -2, "clip": ["11", 1]}},
}


def read(**chunks: Any) -> programs.Reading:
    found = programs.read({name: text if isinstance(text, str) else json.dumps(text) for name, text in chunks.items()})
    assert found is not None
    return found


def changed(**nodes: Any) -> dict[str, Any]:
    """GRAPH with other inputs in some nodes."""
    graph = json.loads(json.dumps(GRAPH))
    for name, inputs in nodes.items():
        graph[name.removeprefix("n")]["inputs"].update(inputs)
    return graph


def test_comfyui_is_followed_from_the_picture_to_the_parameters() -> None:
    found = read(prompt=GRAPH)
    assert found.program == "ComfyUI"
    assert found.params == {
        "prompt": "a cat, 红发 <lora:ink:0.8> <lora:light:-0.25>",
        "negative_prompt": "blurry",
        "model": "dream (v2)",
        "seed": 1125899906842623,
        "steps": 28,
        "guidance_scale": 6.5,
        "sampler": "DPM++ 2M SDE",
        "schedule": "Karras",
        "width": 832,
        "height": 1216,
        "clip_skip": 2,
    }
    assert found.unmapped == {}


def test_comfyui_names_the_nodes_that_have_no_parameter() -> None:
    graph = changed(n3={"positive": ["20", 0], "negative": ["20", 1], "model": ["21", 0]})
    graph["20"] = {
        "class_type": "ControlNetApplyAdvanced",
        "inputs": {"positive": ["6", 0], "negative": ["7", 0], "strength": 0.5, "start_percent": 0},
    }
    graph["21"] = {"class_type": "FreeU_V2", "inputs": {"model": ["11", 0], "b1": 1.3}}
    found = read(prompt=graph)
    assert found.params["prompt"].startswith("a cat")
    assert found.params["negative_prompt"] == "blurry"
    assert found.params["model"] == "dream (v2)"
    assert found.unmapped == {
        "ControlNetApplyAdvanced (20)": '{"strength": 0.5, "start_percent": 0}',
        "FreeU_V2 (21)": '{"b1": 1.3}',
    }


def test_comfyui_reads_the_first_of_two_passes_and_names_the_second() -> None:
    graph = changed(n8={"samples": ["30", 0]})
    second = dict(GRAPH["3"]["inputs"], seed=9, steps=10, denoise=0.4, latent_image=["31", 0])
    graph["30"] = {"class_type": "KSampler", "inputs": second}
    graph["31"] = {"class_type": "LatentUpscaleBy", "inputs": {"samples": ["3", 0], "scale_by": 1.5}}
    found = read(prompt=graph)
    assert (found.params["seed"], found.params["steps"]) == (1125899906842623, 28)
    assert "strength" not in found.params
    assert set(found.unmapped) == {"KSampler (30)", "LatentUpscaleBy (31)"}


def test_comfyui_starts_from_a_picture() -> None:
    graph = changed(n3={"latent_image": ["40", 0], "denoise": 0.6})
    graph["40"] = {"class_type": "VAEEncode", "inputs": {"pixels": ["41", 0], "vae": ["4", 2]}}
    graph["41"] = {"class_type": "LoadImage", "inputs": {"image": "face.png"}}
    found = read(prompt=graph)
    assert found.params["strength"] == 0.6
    assert "width" not in found.params


def test_comfyui_s_sampler_in_parts() -> None:
    graph = {
        "1": {"class_type": "SaveImage", "inputs": {"images": ["2", 0]}},
        "2": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0]}},
        "3": {
            "class_type": "SamplerCustomAdvanced",
            "inputs": {
                "noise": ["4", 0],
                "guider": ["5", 0],
                "sampler": ["6", 0],
                "sigmas": ["7", 0],
                "latent_image": ["8", 0],
            },
        },
        "4": {"class_type": "RandomNoise", "inputs": {"noise_seed": ["13", 0]}},
        "5": {"class_type": "BasicGuider", "inputs": {"model": ["9", 0], "conditioning": ["10", 0]}},
        "6": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
        "7": {"class_type": "BasicScheduler", "inputs": {"scheduler": "simple", "steps": 4, "denoise": 1}},
        "8": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 64, "height": 96, "batch_size": 2}},
        "9": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.sft"}},
        "10": {"class_type": "FluxGuidance", "inputs": {"guidance": 3.5, "conditioning": ["11", 0]}},
        "11": {"class_type": "CLIPTextEncode", "inputs": {"text": "a fox"}},
        "13": {"class_type": "PrimitiveInt", "inputs": {"value": 77}},
    }
    found = read(prompt=graph)
    assert found.params == {
        "prompt": "a fox",
        "model": "flux1-dev",
        "seed": 77,
        "steps": 4,
        "guidance_scale": 3.5,
        "sampler": "Euler",
        "schedule": "Simple",
        "width": 64,
        "height": 96,
    }
    assert found.unmapped == {"batch_size": "2"}


def test_comfyui_s_editor_graph_alone() -> None:
    def node(number: int, kind: str, values: list[Any], inputs: dict[str, int], **more: Any) -> dict[str, Any]:
        rows = [{"name": name, "link": link, "type": "X"} for name, link in inputs.items()]
        return {
            "id": number,
            "type": kind,
            "widgets_values": values,
            "inputs": rows,
            "outputs": [{"type": "X"}],
            **more,
        }

    workflow = {
        "nodes": [
            node(1, "SaveImage", ["x"], {"images": 1}),
            node(2, "VAEDecode", [], {"samples": 2}),
node(3, "KSampler", [5, "randomize", 20, 7.5, "euler_ancestral", "normal", 1],
                 {"positive": 3, "negative": 4, "model": 5, "latent_image": 6}),
            node(4, "CLIPTextEncode", ["a dog"], {}),
            node(5, "CLIPTextEncode", ["fog"], {}),
            node(6, "Reroute", [], {"": 7}),
            node(7, "LoraLoaderModelOnly", ["off.safetensors", 1], {"model": 8}, mode=4),
            node(8, "CheckpointLoaderSimple", ["sd15.ckpt"], {}),
            node(9, "EmptyLatentImage", [320, 256, 1], {}),
        ],
        "links": [[1, 2, 0, 1, 0, "X"], [2, 3, 0, 2, 0, "X"], [3, 4, 0, 3, 0, "X"], [4, 5, 0, 3, 1, "X"],
                  [5, 6, 0, 3, 2, "X"], [6, 9, 0, 3, 3, "X"], [7, 7, 0, 6, 0, "X"], [8, 8, 0, 7, 0, "X"]],
    }  # fmt: skip
    assert read(workflow=workflow).params == {
        "prompt": "a dog",
        "negative_prompt": "fog",
        "model": "sd15",
        "seed": 5,
        "steps": 20,
        "guidance_scale": 7.5,
        "sampler": "Euler a",
        "schedule": "Normal",
        "width": 320,
        "height": 256,
    }


def test_comfyui_in_a_webp() -> None:
    exif = Image.Exif()
    exif[0x0110] = "prompt:" + json.dumps(GRAPH)
    exif[0x010F] = "workflow:{}"
    target = io.BytesIO()
    Image.new("RGB", (8, 8)).save(target, "WEBP", exif=exif)
    meta = metadata.read(target.getvalue())
    assert (meta.program, meta.params["seed"]) == ("ComfyUI", 1125899906842623)


@pytest.mark.parametrize("length", [50, 5_000])
def test_a_graph_that_is_a_ring_or_a_long_chain_is_read(length: int) -> None:
    graph = changed(n3={"positive": ["c0", 0], "model": ["m0", 0], "latent_image": ["c0", 0]})
    for at in range(length):
        graph[f"c{at}"] = {
            "class_type": "ConditioningCombine",
            "inputs": {"conditioning_1": [f"c{(at + 1) % length}", 0]},
        }
        graph[f"m{at}"] = {"class_type": "ModelPatch", "inputs": {"model": [f"m{(at + 1) % length}", 0]}}
    assert read(prompt=graph).params["negative_prompt"] == "blurry"


def test_the_work_on_a_graph_grows_with_its_size_only() -> None:
    def lines_run(layers: int) -> int:
        """Layers of two nodes that are each linked to both of the next: 2**layers ways through them."""
        graph = changed(n3={"positive": ["a0", 0]})
        for at in range(layers):
            below = {"conditioning_1": [f"a{at + 1}", 0], "conditioning_2": [f"b{at + 1}", 0]}
            graph |= {f"{side}{at}": {"class_type": "ConditioningCombine", "inputs": dict(below)} for side in "ab"}
        count = 0

        def trace(*_: Any) -> Any:
            nonlocal count
            count += 1
            return trace

        sys.settrace(trace)
        try:
            programs.read({"prompt": json.dumps(graph)})
        finally:
            sys.settrace(None)
        return count

    before = sys.gettrace()
    try:
        assert lines_run(80) < 3 * lines_run(40)
    finally:
        sys.settrace(before)


@pytest.mark.parametrize(
    "chunks",
    [
        {"prompt": "{" * 1_000_000},
        {"parameters": json.dumps({"sui_image_params": {"prompt": "x", "loras": [f"n{at}" for at in range(100_000)]}})},
        {"sd-metadata": json.dumps({"image": {"prompt": "[" * 1_000_000}})},
        {"Dream": "-s " * 300_000},
        {"parameters": 'x\nSteps: 1, Seed: 1, Lora weights: "' + "a: " * 30_000 + '", Version: Fooocus v2'},
        {"Comment": '{"a":' * 200_000},
    ],
)
def test_long_and_hostile_texts_take_little_time(chunks: dict[str, str]) -> None:
    started = time.process_time()
    programs.read(chunks)
    assert time.process_time() - started < 3


def test_invokeai() -> None:
    said = {
        "generation_mode": "txt2img",
        "positive_prompt": "a cat",
        "negative_prompt": "",
        "width": 512,
        "height": 768,
        "seed": 4294967295,
        "rand_device": "cpu",
        "cfg_scale": 7.5,
        "steps": 30,
        "scheduler": "dpmpp_2m_sde_k",
        "clip_skip": 1,
        "model": {"key": "k", "hash": "blake3:aa", "name": "Dream", "base": "sd-1", "type": "main"},
        "loras": [{"model": {"name": "ink"}, "weight": 0.75}],
        "controlnets": [{"control_weight": 1}],
        "app_version": "5.1",
    }
    found = read(invokeai_metadata=said)
    assert found.program == "InvokeAI"
    assert found.params == {
        "prompt": "a cat <lora:ink:0.75>",
        "negative_prompt": "",
        "width": 512,
        "height": 768,
        "seed": 4294967295,
        "rng": "CPU",
        "guidance_scale": 7.5,
        "steps": 30,
        "sampler": "DPM++ 2M SDE",
        "schedule": "Karras",
        "clip_skip": 2,
        "model": "Dream",
    }
    assert found.unmapped == {"controlnets": '[{"control_weight": 1}]'}


def test_invokeai_before_version_3() -> None:
    said = {
        "model_weights": "stable-diffusion-1.5",
        "app_id": "invoke-ai/InvokeAI",
        "image": {
            "type": "txt2img",
            "prompt": [{"prompt": "a cat [dog, fog]", "weight": 1.0}],
            "steps": 50,
            "cfg_scale": 7.5,
            "width": 512,
            "height": 384,
            "seed": 7,
            "sampler": "k_euler_a",
            "threshold": 1,
        },
    }
    expected = {
        "prompt": "a cat",
        "negative_prompt": "dog, fog",
        "steps": 50,
        "seed": 7,
        "width": 512,
        "height": 384,
        "guidance_scale": 7.5,
        "sampler": "Euler a",
        "schedule": "Automatic",
    }
    found = read(**{"sd-metadata": said})
    assert found.params == {**expected, "model": "stable-diffusion-1.5"}
    assert found.unmapped == {"threshold": "1"}
    dream = read(Dream='"a cat [dog, fog]" -s 50 -S 7 -W512 -H384 -C 7.5 -A k_euler_a --seamless')
    assert dream.params == expected


FOOOCUS = {
    "adm_guidance": "(1.5, 0.8, 0.3)",
    "base_model": "juggernautXL_v8",
    "base_model_hash": "aeb7e9e689",
    "full_prompt": ["cinematic still a cat"],
    "guidance_scale": 4.0,
    "loras": [["offset", 0.1, "4852686128"]],
    "metadata_scheme": "fooocus",
    "negative_prompt": "",
    "performance": "Speed",
    "prompt": "a cat",
    "resolution": "(1152, 896)",
    "sampler": "dpmpp_2m_sde_gpu",
    "scheduler": "karras",
    "seed": "8731490912352",
    "sharpness": 2.0,
    "steps": 30,
    "styles": "['Fooocus V2']",
    "vae": "Default (model)",
    "version": "Fooocus v2.5.5",
}
FOOOCUS_PARAMS = {
    "prompt": "a cat <lora:offset:0.1>",
    "negative_prompt": "",
    "model": "juggernautXL_v8",
    "steps": 30,
    "guidance_scale": 4.0,
    "seed": 8731490912352,
    "width": 1152,
    "height": 896,
    "sampler": "DPM++ 2M SDE",
    "schedule": "Karras",
}


def test_fooocus() -> None:
    found = read(parameters=FOOOCUS, fooocus_scheme="fooocus")
    assert (found.program, found.params) == ("Fooocus", FOOOCUS_PARAMS)
    assert found.unmapped == {
        "adm_guidance": "(1.5, 0.8, 0.3)",
        "performance": "Speed",
        "sharpness": "2.0",
        "styles": "['Fooocus V2']",
    }


def test_fooocus_in_a_jpeg_has_its_texts_in_the_outer_directory() -> None:
    exif = Image.Exif()
    exif[0x9286], exif[0x0131], exif[0x927C] = json.dumps(FOOOCUS), "Fooocus v2.5.5", "fooocus"
    target = io.BytesIO()
    Image.new("RGB", (8, 8)).save(target, "JPEG", exif=exif)
    meta = metadata.read(target.getvalue())
    assert (meta.program, meta.params) == ("Fooocus", FOOOCUS_PARAMS)


def test_fooocus_s_other_scheme() -> None:
    text = (
        "cinematic still a cat, film grain\nNegative prompt: anime\n"
        "Steps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 8731490912352, Size: 1152x896, CFG scale: 4.0, Sharpness: 2.0,"
        " Model: juggernautXL_v8, Model hash: aeb7e9e689, Scheduler: karras, VAE: Default (model), Raw prompt: a cat,"
        ' Raw negative prompt: , Lora hashes: "offset: 48526861", Lora weights: "offset: 0.1", Version: Fooocus v2.5.5'
    )
    found = read(parameters=text, fooocus_scheme="a1111")
    assert found.program == "Fooocus"
    assert FOOOCUS_PARAMS.items() <= found.params.items()
    assert found.unmapped == {"Sharpness": "2.0"}


NOVELAI = {
    "prompt": "{a cat}",
    "uc": "lowres",
    "steps": 28,
    "height": 1216,
    "width": 832,
    "scale": 5.0,
    "cfg_rescale": 0.2,
    "seed": 3508573826,
    "n_samples": 1,
    "sampler": "k_euler_ancestral",
    "noise_schedule": "karras",
    "request_type": "PromptGenerateRequest",
}


@pytest.mark.parametrize("hidden", [False, True])
def test_novelai(hidden: bool) -> None:
    texts = {"Software": "NovelAI", "Source": "Stable Diffusion XL C1E1DE52", "Comment": json.dumps(NOVELAI)}
    found = read(alpha=texts) if hidden else read(**texts)
    assert found.program == "NovelAI"
    assert found.params == {
        "prompt": "{a cat}",
        "negative_prompt": "lowres",
        "steps": 28,
        "seed": 3508573826,
        "guidance_scale": 5.0,
        "width": 832,
        "height": 1216,
        "sampler": "Euler a",
        "schedule": "Karras",
    }
    assert found.unmapped == {"Source": "Stable Diffusion XL C1E1DE52", "cfg_rescale": "0.2"}
    assert len(found.notes) == 1


def test_swarmui() -> None:
    said = {
        "prompt": "a cat",
        "negativeprompt": "dog",
        "model": "OfficialStableDiffusion/sd_xl_base_1.0",
        "images": 1,
        "seed": 1,
        "steps": 20,
        "cfgscale": 7.0,
        "width": 1024,
        "height": 1024,
        "comfyuisampler": "euler",
        "loras": ["ink", "fog"],
        "loraweights": ["0.5", "1"],
        "refinerupscale": 1.5,
        "swarm_version": "0.9.3.1",
    }
    found = read(parameters={"sui_image_params": said, "sui_extra_data": {"date": "2025-01-25"}})
    assert found.program == "SwarmUI"
    assert found.params == {
        "prompt": "a cat <lora:ink:0.5> <lora:fog:1>",
        "negative_prompt": "dog",
        "model": "sd_xl_base_1.0",
        "seed": 1,
        "steps": 20,
        "guidance_scale": 7.0,
        "width": 1024,
        "height": 1024,
        "sampler": "Euler",
        "schedule": "Automatic",
    }
    assert found.unmapped == {"refinerupscale": "1.5"}


def test_a1111_names_what_has_no_parameter() -> None:
    found = read(parameters="a\nSteps: 5, Sampler: Euler, Seed: 3, ADetailer model: face.pt, Version: v1.10")
    assert (found.program, found.unmapped) == ("A1111", {"ADetailer model": "face.pt"})


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("k_dpmpp_2m", ("DPM++ 2M", "")),
        ("kdpm_2_a_k", ("DPM2 a", "Karras")),
        ("euler_cfg_pp", ("Euler", "")),
        ("DPM++ 2M", ("DPM++ 2M", "")),
        ("unheard_of", ("unheard_of", "")),
    ],
)
def test_samplers_have_the_names_that_people_know(code: str, expected: tuple[str, str]) -> None:
    assert names.sampler(code) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(math.inf),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)
KEYS = st.sampled_from(
    [
        "prompt",
        "negative_prompt",
        "seed",
        "steps",
        "sampler",
        "loras",
        "model",
        "resolution",
        "image",
        "Comment",
        "uc",
        "sui_image_params",
        "metadata_scheme",
        "lora_combined_1",
        "v4_prompt",
        "nodes",
        "links",
        "inputs",
        "scheduler",
        "class_type",
        "widgets_values",
        "lora",
        "weight",
        "caption",
        "positive_prompt",
        "clip_skip",
        "loraweights",
    ]
)
SHAPED = st.recursive(
    JSON, lambda inner: st.dictionaries(KEYS, inner, max_size=6) | st.lists(inner, max_size=3), max_leaves=20
)
CHUNKS = st.dictionaries(
    st.sampled_from(
        [
            "parameters",
            "UserComment",
            "prompt",
            "workflow",
            "invokeai_metadata",
            "sd-metadata",
            "Dream",
            "Comment",
            "alpha",
            "fooocus_scheme",
            "Software",
            "MakerNote",
            "comment",
            "Description",
        ]
    ),
    st.one_of(
        SHAPED.map(lambda value: json.dumps(value)), st.text(max_size=60), st.just("NovelAI"), st.just("fooocus")
    ),
    max_size=4,
)


@given(CHUNKS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_texts_are_read(chunks: dict[str, str]) -> None:
    found = programs.read(chunks)
    if found is not None:
        json.dumps([found.params, found.unmapped, found.notes], allow_nan=False).encode()
        assert all(isinstance(value, str) and len(value) <= 200 for value in found.unmapped.values())


LINK = st.one_of(
    st.tuples(st.integers(0, 6).map(str), st.integers(0, 2)).map(list), JSON, st.integers(0, 9), st.text(max_size=5)
)
INPUTS = st.dictionaries(
    st.sampled_from(
        [
            "model",
            "positive",
            "negative",
            "latent_image",
            "samples",
            "seed",
            "noise_seed",
            "steps",
            "cfg",
            "guider",
            "text",
            "text_l",
            "conditioning_1",
            "lora_name",
            "strength_model",
            "ckpt_name",
            "width",
            "height",
            "pixels",
            "value",
            "images",
            "noise",
            "sampler",
            "sigmas",
            "stop_at_clip_layer",
            "guidance",
            "lora_1",
            "string_a",
        ]
    ),
    LINK,
    max_size=8,
)
KINDS = st.sampled_from(
    ["KSampler", "SaveImage", "CLIPTextEncode", "ConditioningConcat", "Reroute", "X", "PrimitiveNode"]
)


@given(
    st.dictionaries(
        st.integers(0, 6).map(str),
        st.fixed_dictionaries({"class_type": KINDS | JSON, "inputs": INPUTS | JSON}),
        max_size=7,
    )
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_graph_is_read(graph: dict[str, Any]) -> None:
    found = programs.read({"prompt": json.dumps(graph)})
    if found is not None:
        json.dumps([found.params, found.unmapped], allow_nan=False)


NODE = st.fixed_dictionaries(
    {"id": st.integers(0, 5) | JSON, "type": KINDS | JSON},
    optional={
        "inputs": st.lists(
            st.fixed_dictionaries({"name": st.text(max_size=5), "link": st.integers(0, 5) | JSON}), max_size=3
        ),
        "outputs": JSON,
        "widgets_values": JSON,
        "mode": st.sampled_from([0, 2, 4]) | JSON,
    },
)


@given(st.lists(NODE, max_size=6), st.lists(st.lists(st.integers(0, 5), max_size=6) | JSON, max_size=6))
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_editor_graph_is_read(nodes: list[Any], links: list[Any]) -> None:
    for name, node in comfyui_workflow.to_prompt({"nodes": nodes, "links": links}).items():
        assert isinstance(name, str)
        assert node.keys() == {"class_type", "inputs"}
    programs.read({"workflow": json.dumps({"nodes": nodes, "links": links})})
