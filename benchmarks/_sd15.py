"""What the measurements share: a model of Stable Diffusion 1.5's size with random weights, and the machine in words."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402 - the repository has to be importable first

from extensions.diffusion.models.building import build_tokenizer  # noqa: E402
from extensions.diffusion.models.libraries import find_class, prepare  # noqa: E402
from extensions.diffusion.models.single_file import CONFIGS  # noqa: E402

_PARTS = {"unet": ("diffusers", "UNet2DConditionModel"), "vae": ("diffusers", "AutoencoderKL")}


def options(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print JSON (it always does)")
    parser.add_argument("--out", type=Path, help="also write the result into this folder, as NAME.json")
    return parser


def tell(name: str, result: dict[str, Any], out: Path | None) -> None:
    """Print ``result`` with the machine it was measured on; write it where ``out`` names a folder."""
    text = json.dumps({"measurement": name, **result, "machine": machine()}, indent=2)
    print(text)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    import diffusers

    from webui.engine.device import processor_name

    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else processor_name()
    versions = {"torch": torch.__version__, "diffusers": diffusers.__version__}
    return {"device": device, "cores": os.cpu_count(), "threads": torch.get_num_threads(), **versions,
            "system": platform.system(), "load_1min": round(os.getloadavg()[0], 2)}  # fmt: skip


def model_dtype() -> torch.dtype:
    """What a job would compute in here, so that no load converts."""
    if not torch.cuda.is_available():
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


@contextmanager
def models_folder(count: int = 1) -> Iterator[Path]:
    """A models folder with ``diffusers/sd15_0`` and so on for the time of the block; the later ones are links to the
    first's weights under other paths. About 4 GB of disk on a processor.
    """
    with tempfile.TemporaryDirectory(prefix="lifelike-bench-") as base:
        first = make_sd15(Path(base) / "models" / "diffusers" / "sd15_0")
        for number in range(1, count):
            shutil.copytree(first, first.with_name(f"sd15_{number}"), copy_function=os.link)
        yield Path(base) / "models"


def make_sd15(folder: Path) -> Path:
    """A diffusers folder of SD 1.5's layout and size, weights drawn from a narrow normal distribution."""
    prepare()
    configs = CONFIGS / "sd1"
    for name, (library, class_name) in _PARTS.items():
        cls = find_class(library, class_name)
        with torch.device("meta"):
            part = cls.from_config(cls.load_config(str(configs), subfolder=name))
        _save(part, folder / name)
    text = find_class("transformers", "CLIPTextModel")
    with torch.device("meta"):
        encoder = text(text.config_class.from_pretrained(str(configs / "text_encoder")))
    _save(encoder, folder / "text_encoder")
    tokenizer = find_class("transformers", "CLIPTokenizer")
    build_tokenizer(tokenizer, Path("absent"), {}).save_pretrained(str(folder / "tokenizer"))
    shutil.copytree(configs / "scheduler", folder / "scheduler")
    index = json.loads((configs / "model_index.json").read_text(encoding="utf-8"))
    for name in ("safety_checker", "feature_extractor"):
        index[name] = [None, None]
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def _save(part: Any, folder: Path) -> None:
    part = part.to_empty(device="cpu").to(model_dtype())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in [*part.named_parameters(), *part.named_buffers()]:
            if name.endswith("position_ids"):
                tensor.copy_(torch.arange(tensor.shape[-1]))
            elif tensor.is_floating_point():
                tensor.fill_(1.0) if tensor.ndim == 1 and "weight" in name else tensor.normal_(
                    0, 0.01, generator=generator
                )
    part.save_pretrained(str(folder), max_shard_size="100GB")


def forget_pages(path: Path) -> None:
    """Ask the system to drop ``path`` from its page cache, so that the next read comes from the disk."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def plain_read_s(path: Path) -> float:
    """Seconds to read the file through one buffer, as fast as the system hands it out."""
    buffer = bytearray(16 * 2**20)
    began = time.perf_counter()
    with path.open("rb", buffering=0) as stream:
        while stream.readinto(buffer):
            pass
    return time.perf_counter() - began


def touch(module: Any) -> float:
    """Read every weight once, as the first use does: mapped files are read only then."""
    return sum(float(tensor.detach().flatten()[::1024].float().sum()) for tensor in module.parameters())
