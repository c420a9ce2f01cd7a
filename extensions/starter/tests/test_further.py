"""LoRA, ControlNet and instruction editing: small networks beside a base, and what diffusers makes of their files."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from extensions.starter.base import load_base  # noqa: E402
from extensions.starter.config import EditConfig, load_config  # noqa: E402
from extensions.starter.controlnet import build_controlnet, load_control_pipeline  # noqa: E402
from extensions.starter.data import edit_at, line_pictures  # noqa: E402
from extensions.starter.edit import build_editor, dropped, edited, load_editor, save_editor  # noqa: E402
from extensions.starter.export import load_pipeline, sample, sampling  # noqa: E402
from extensions.starter.lora import add_lora, save_lora  # noqa: E402
from extensions.starter.train import run_stage  # noqa: E402
from extensions.starter.world import line_drawing  # noqa: E402
from extensions.starter.world import sample as sample_subject  # noqa: E402

# diffusers asks NumPy to convert a tensor in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TINY = load_config(Path(__file__).resolve().parents[1] / "configs" / "tiny.toml")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base that draws noise of its own: enough to see what changes it."""
    folder = tmp_path_factory.mktemp("base")
    for stage in ("autoencoder", "text", "denoiser"):
        run_stage(stage, TINY, folder)
    return folder


def _randomise(parameters: list[torch.nn.Parameter]) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in parameters:
            p.normal_(std=0.2, generator=generator)


def test_a_lora_loads_as_it_was_trained(trained: Path, tmp_path: Path) -> None:
    unet = load_base(TINY, trained).nets.unet
    noisy, times, context = (
        torch.randn(1, TINY.autoencoder.latent_channels, 8, 8),
        torch.tensor([500]),
        torch.randn(1, 77, 64),
    )
    _randomise([unet.conv_out.weight])
    with torch.no_grad():
        plain = unet(noisy, times, context).sample
        adapter = add_lora(unet, 2)
        assert torch.allclose(unet(noisy, times, context).sample, plain, atol=1e-6)
        _randomise([p.requires_grad_(True) for p in adapter])
        for p in unet.parameters():
            p.copy_(p.half())
        changed = unet(noisy, times, context).sample
    assert (changed - plain).abs().max() > 1e-3
    save_lora(unet, tmp_path / "style")
    pipeline = load_pipeline(trained / "avatar")
    with torch.no_grad():
        for name, value in load_base(TINY, trained).nets.unet.state_dict().items():
            pipeline.unet.state_dict()[name].copy_(value.half())
        pipeline.unet.conv_out.weight.copy_(unet.conv_out.weight)
        pipeline.load_lora_weights(tmp_path / "style")
        loaded = pipeline.unet(noisy, times, context).sample
    assert torch.allclose(loaded, changed, atol=1e-4)


def test_a_controlnet_begins_silent_and_runs_in_diffusers(trained: Path, tmp_path: Path) -> None:
    base = load_base(TINY, trained)
    model = build_controlnet(TINY, base)
    lines = line_pictures([sample_subject(1)], TINY.size)
    assert lines.shape == (1, 3, TINY.size, TINY.size)
    assert 0 <= float(lines.min()) < float(lines.max()) <= 1
    context = base.nets.context(["a person"], torch.device("cpu"))
    with torch.no_grad():
        down, middle = model(
            torch.randn(1, TINY.autoencoder.latent_channels, 8, 8), 10, context, lines, return_dict=False
        )
    assert all(float(d.abs().max()) == 0 for d in (*down, middle))
    _randomise([*model.controlnet_down_blocks.parameters(), model.controlnet_cond_embedding.conv_out.weight])
    model.save_pretrained(tmp_path / "controlnet")
    pipeline = load_control_pipeline(trained / "avatar", tmp_path / "controlnet")
    _randomise([pipeline.unet.conv_out.weight])
    _randomise([p for n, p in pipeline.unet.up_blocks.named_parameters() if n.endswith("conv2.weight")])
    asked = {"prompt": ["a person"], "num_inference_steps": 2, "guidance_scale": 2.0}
    lines_of = [line_drawing(sample_subject(i, "avatar"), TINY.size) for i in range(2)]
    first, second = (sampling(pipeline, [1], image=[lines], **asked)[0].tobytes() for lines in lines_of)
    assert first != second


def test_what_the_stages_leave_loads_and_draws(trained: Path, tmp_path: Path) -> None:
    for stage in ("edit", "lora", "controlnet"):
        run_stage(stage, TINY, trained)
    pipeline = load_pipeline(trained / "avatar")
    pipeline.load_lora_weights(trained / "lora" / "sketch")
    assert sample(pipeline, ["a person"], [0], steps=2)[0].size == (TINY.size, TINY.size)
    assert (trained / "lora-sketch-000004.png").exists()
    assert (trained / "controlnet-000004.png").exists()
    assert (trained / "controlnet" / "lines" / "diffusion_pytorch_model.safetensors").exists()


def test_a_base_is_missed_by_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="train the stage denoiser first"):
        load_base(TINY, tmp_path)


def test_an_editor_begins_as_the_base_and_shares_its_parts(trained: Path, tmp_path: Path) -> None:
    base = load_base(TINY, trained)
    _randomise([base.nets.unet.conv_out.weight])
    unet = build_editor(TINY, base)
    noisy, picture, context = (
        torch.randn(1, TINY.autoencoder.latent_channels, 8, 8),
        torch.randn(1, TINY.autoencoder.latent_channels, 8, 8),
        torch.randn(1, 77, 64),
    )
    with torch.no_grad():
        plain = base.nets.unet(noisy, 500, context).sample
        assert torch.allclose(unet(torch.cat([noisy, picture], 1), 500, context).sample, plain, atol=1e-5)
    (tmp_path / "avatar").symlink_to(trained / "avatar")
    save_editor(unet, tmp_path / "edit", TINY)
    assert {p.name for p in (tmp_path / "edit").iterdir()} == {"unet", "model_index.json", "lifelike.json"}
    (made,) = edited(
        load_editor(tmp_path / "edit"), [edit_at(1)], [0], size=TINY.size, steps=2, guidance=2.0, image_guidance=1.5
    )
    assert made.size == (TINY.size, TINY.size)


def test_pictures_and_instructions_are_dropped_apart() -> None:
    part = EditConfig(batch=20_000)
    no_text, no_picture = dropped(part, torch.Generator().manual_seed(0))
    shares = [float(x.float().mean()) for x in (no_text & ~no_picture, no_picture & ~no_text, no_text & no_picture)]
    assert shares == pytest.approx([0.05, 0.05, 0.05], abs=0.01)
