"""Fetches a model by its hub id, when someone asked for one: the only place of the extension that reaches the
network.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from webui.api import Cancelled, Context, ModelError, ResolvedModel

from .loading import choose_variant

_TEXTS = (".json", ".txt", ".model")
_VARIANT_MARK = re.compile(r"\.(?P<variant>fp16|bf16|fp32|ema|non_ema)(?=[.-])")


@dataclass(frozen=True)
class HubModel:
    """A hub id that lies on this machine now."""

    ref: str
    path: Path
    sha256: str = ""
    """The commit, which names the bytes as well as a hash does."""
    family: str = ""
    format: str = "diffusers"
    title: str = ""
    recommended: dict[str, Any] = field(default_factory=dict)


def fetched(model: ResolvedModel, context: Context) -> HubModel:
    """The model behind a hub id: from the local hub cache, else downloaded with progress, an interrupted download
    going on.

    Raises ModelError where it cannot be had: offline, no such id, no diffusers folder, no safetensors.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    half = context.dtype != torch.float32 and context.device.type != "cpu"
    try:
        if context.offline:
            folder = snapshot_download(model.ref, local_files_only=True, allow_patterns=["*"])
        else:
            folder = _download(model.ref, context, half)
    except LocalEntryNotFoundError as error:
        reason = "this installation is offline" if context.offline else "the hub cannot be reached"
        raise ModelError(
            f"Model {model.ref!r} is not on this machine, and {reason}.",
            hint="Allow access to the hub, or put the model's folder into models/.",
        ) from error
    except Cancelled:
        raise
    except (HfHubHTTPError, OSError, ValueError) as error:
        said = " ".join(str(error).split())[:300]
        raise ModelError(
            f"Model {model.ref!r} cannot be fetched: {said}", hint="Check the id, and the network."
        ) from error
    path = Path(folder)
    if not (path / "model_index.json").is_file():
        raise ModelError(f"Model {model.ref!r} on the hub is no diffusers folder: it has no model_index.json.")
    return HubModel(model.ref, path, sha256=path.name, title=model.ref)


def _download(repository: str, context: Context, half: bool) -> str:
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download

    context.progress(0, 1, f"Asking the hub for {repository}")
    info = HfApi().model_info(repository)
    names = [row.rfilename for row in info.siblings or ()]
    if "model_index.json" not in names:
        raise ModelError(f"Model {repository!r} on the hub is no diffusers folder: it has no model_index.json.")
    index = json.loads(
        Path(hf_hub_download(repository, "model_index.json", revision=info.sha)).read_text(encoding="utf-8")
    )
    return snapshot_download(
        repository,
        revision=info.sha,
        allow_patterns=needed_files(names, index, half=half),
        tqdm_class=_reporting_bar(context, repository),
        max_workers=4,
    )


def needed_files(names: Iterable[str], index: dict[str, Any], *, half: bool) -> list[str]:
    """Which of a repository's files a pipeline needs: configurations, tokenizers and one variant of each component's
    safetensors.

    Raises ModelError where a component has weights in other formats alone.
    """
    rows = sorted(names)
    chosen = ["model_index.json"]
    for component, value in index.items():
        if (
            component.startswith("_")
            or not isinstance(value, list)
            or value[0] is None
            or component == "safety_checker"
        ):
            continue
        inside = [name for name in rows if name.startswith(component + "/") and name.count("/") == 1]
        weights = [name for name in inside if name.endswith(".safetensors")]
        if not weights and any(name.endswith((".bin", ".ckpt", ".msgpack")) for name in inside):
            raise ModelError(f"Its component {component} has no weights in safetensors format, only pickled ones.")
        dtype = torch.float16 if half else torch.float32
        variant = choose_variant([name.rpartition("/")[2] for name in weights], dtype)
        chosen += [name for name in weights if _variant(name) == variant]
        chosen += [name for name in inside if name.endswith(_TEXTS) and _variant(name) in ("", variant)]
    return chosen


def _variant(name: str) -> str:
    found = _VARIANT_MARK.search(name)
    return found.group("variant") if found else ""


def _reporting_bar(context: Context, repository: str) -> type:
    """A class in tqdm's place whose bars report to the job; the bar that counts bytes tells the progress."""
    from huggingface_hub.utils import tqdm

    class ReportingBar(tqdm):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            options["disable"] = False
            options["file"] = _Silent()
            options.pop("name", None)
            super().__init__(*arguments, **options)

        def update(self, n: float | None = 1) -> bool | None:
            shown = super().update(n)
            if self.unit == "B" and self.total:
                done, total = int(self.n) >> 20, max(int(self.total) >> 20, 1)
                context.progress(done, total, f"Fetching {repository}: {done} of {total} MiB")
            else:
                context.check_cancelled()
            return shown

    return ReportingBar


class _Silent:
    """A stream that keeps nothing: the bar is shown by the page."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        return None


__all__: Sequence[str] = ("HubModel", "fetched", "needed_files")
