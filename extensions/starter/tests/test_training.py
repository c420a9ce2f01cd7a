"""Training: tokenizer, whitening, stages that stop and go on bit by bit the same, and the directory they write."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from extensions.starter.autoencoder import build_autoencoder, encode, reconstruct, whiten  # noqa: E402
from extensions.starter.config import load_config  # noqa: E402
from extensions.starter.data import pictures, subjects_at  # noqa: E402
from extensions.starter.drawing import drawing_processes  # noqa: E402
from extensions.starter.judge import accuracy, load_judge  # noqa: E402
from extensions.starter.loop import Hooks  # noqa: E402
from extensions.starter.optimizer import Optimizers, rate_at  # noqa: E402
from extensions.starter.tokens import MAX_LENGTH, grammar_words, load_tokenizer, save_tokenizer  # noqa: E402
from extensions.starter.train import STAGES, run_stage  # noqa: E402
from extensions.starter.world import caption, sample_avatar  # noqa: E402

# diffusers asks NumPy to convert a tensor in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
TINY = load_config(CONFIGS / "tiny.toml")
# Stages that train several networks, each with a checkpoint of its own.
RUNS = {"upscaler": ("upscaler-x2", "upscaler-x4"), "lora": ("lora-sketch",)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    for stage in STAGES:
        run_stage(stage, TINY, folder)
    return folder


def test_every_word_of_the_grammar_is_one_token(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.model_max_length == MAX_LENGTH == 77
    assert all(len(tokenizer(word).input_ids) == 3 for word in grammar_words())
    for seed in range(300):
        said = caption(sample_avatar(seed), seed, full=True).text
        ids = tokenizer(said).input_ids
        assert tokenizer.unk_token_id not in ids[1:-1]
        assert len(ids) <= MAX_LENGTH
        assert tokenizer.decode(ids, skip_special_tokens=True).replace(" ", "") == said.lower().replace(" ", "")


def test_unknown_text_is_encoded(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    ids = tokenizer("a zebra, 眼镜 Ω!", padding="max_length", truncation=True, max_length=MAX_LENGTH).input_ids
    assert len(ids) == MAX_LENGTH
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.unk_token_id not in ids[1 : ids.index(tokenizer.eos_token_id)]


def test_schedule() -> None:
    assert rate_at(0, 1000, 0.3) == pytest.approx(0.01)
    assert rate_at(500, 1000, 0.3) == 1
    assert rate_at(850, 1000, 0.3) == pytest.approx(0.5)
    assert rate_at(1000, 1000, 0.3) == 0


def test_muon_turns_hidden_convolutions_and_adam_the_rest() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(8, 4, 3), torch.nn.GroupNorm(2, 4)).to(memory_format=torch.channels_last)
    part = TINY.denoiser.model_copy(update={"rate": 1e-3, "matrix_rate": 0.5})
    optimizers = Optimizers({"net": net}, part)
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    net(torch.randn(2, 8, 6, 6)).square().mean().backward()
    optimizers.step(1.0)
    step = {name: before[name] - p.detach() for name, p in net.named_parameters()}
    singular = torch.linalg.svdvals(step["0.weight"].flatten(1)) / 0.5
    assert (singular > 0.6).all()
    assert (singular < 1.3).all()
    assert all(0 < step[name].abs().max() < 2e-3 for name in ("0.bias", "1.weight", "1.bias"))


def test_configurations_are_valid() -> None:
    for path in CONFIGS.glob("*.toml"):
        assert load_config(path).size % 8 == 0
    with pytest.raises(ValueError, match="extra"):
        type(TINY).model_validate({"stepz": 3})


def test_whitening_keeps_reconstructions() -> None:
    torch.manual_seed(0)
    model = build_autoencoder(TINY.autoencoder, 64).eval()
    images = pictures(subjects_at(0, 2), 64)
    before = reconstruct(model, images)
    whiten(model, TINY)
    assert (reconstruct(model, images) - before).abs().mean() < 0.01
    flat = encode(model, pictures(subjects_at(500, 32), 64)).permute(1, 0, 2, 3).flatten(1)
    assert flat.mean(1).abs().max() < 0.35
    assert (torch.cov(flat) - torch.eye(8)).abs().max() < 0.5


def test_a_training_that_is_told_to_end_keeps_its_last_step(tmp_path: Path) -> None:
    long = (CONFIGS / "tiny.toml").read_text().replace("save_every = 2", "save_every = 1000000")
    config = tmp_path / "long.toml"
    config.write_text(long.replace("steps = 4\nbatch = 4\nheld_out", "steps = 1000000\nbatch = 4\nheld_out"))
    command = [sys.executable, "-m", "extensions.starter.train", "--config", str(config), "--folder", str(tmp_path)]
    process = subprocess.Popen([*command, "--stage", "judge"], cwd=CONFIGS.parents[2])
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "judge.jsonl").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
    finally:
        process.kill()
    assert torch.load(tmp_path / "judge.pt", weights_only=True)["step"] >= 2


@pytest.mark.parametrize("stage", STAGES)
def test_a_stopped_stage_goes_on_bit_by_bit_the_same(stage: str, trained: Path, tmp_path: Path) -> None:
    needs = {
        "decoder": ("vae", "latents-whole.pt"),
        "denoiser": ("vae", "vae-polished", "latents-flat.pt", "tokenizer", "text.weights.pt"),
        "lora": ("avatar", "latents-sketch.pt"),
        "edit": ("avatar", "latents-before.pt", "latents-after.pt"),
        "controlnet": ("avatar", "latents-flat.pt"),
        "style": ("style", "style-start.pt"),
    }
    for needed in needs.get(stage, ()):
        (tmp_path / needed).symlink_to(trained / needed)
    seen = 0

    def check() -> None:
        nonlocal seen
        seen += 1
        if seen == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run_stage(stage, TINY, tmp_path, Hooks(check=check))
    run_stage(stage, TINY, tmp_path)
    for run in RUNS.get(stage, (stage,)):
        once = torch.load(trained / f"{run}.pt", weights_only=True)
        twice = torch.load(tmp_path / f"{run}.pt", weights_only=True)
        assert twice["step"] == once["step"] == 4
        for name, weights in once["modules"].items():
            for key, value in weights.items():
                assert torch.equal(value, twice["modules"][name][key]), (name, key)
        assert all(torch.equal(a, b) for a, b in zip(once["average"], twice["average"], strict=True))


def test_stages_leave_logs_and_sheets(trained: Path) -> None:
    for run in (r for stage in STAGES for r in RUNS.get(stage, (stage,))):
        rows = [json.loads(line) for line in (trained / f"{run}.jsonl").read_text().splitlines()]
        assert [r["step"] for r in rows] == [2, 4]
        assert (trained / f"curve-{run}.png").exists()
    assert (trained / "autoencoder-000004.png").exists()
    assert (trained / "denoiser-000004.png").exists()
    assert not list(trained.glob("*.tmp*"))


def test_judge_counts_only_what_shows(trained: Path) -> None:
    judge = load_judge(trained / "judge")
    subjects = subjects_at(0, 16)
    scores = accuracy(judge, pictures(subjects, 32), subjects, [frozenset({"mood"})] * 16)
    assert set(scores) == {"avatar.mood"}
    assert 0 <= scores["avatar.mood"] <= 1


def test_judge_refuses_other_attributes(trained: Path, tmp_path: Path) -> None:
    about = json.loads((trained / "judge" / "config.json").read_text())
    about["attributes"]["avatar.hat"] = ["crown"]
    (tmp_path / "config.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="train it again"):
        load_judge(tmp_path)


def test_further_processes_draw_the_same_pictures() -> None:
    subjects = subjects_at(0, 9)
    alone = pictures(subjects, 32)
    with drawing_processes(2):
        assert torch.equal(pictures(subjects, 32), alone)


def test_unknown_stage(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected one of autoencoder"):
        run_stage("encoder", TINY, tmp_path)
