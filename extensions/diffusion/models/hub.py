"""Fetches a model by its hub id, when someone asked for one: the only place of the extension that reaches the
network.
"""

from __future__ import annotations

import json
import os
import re
import sys
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
    """The model behind a hub id, ``owner/name`` or ``owner/name@revision``: downloaded with progress, file by file, so
    that an interrupted download goes on; from the local hub cache where the hub is forbidden or cannot be reached.

    Raises ModelError where it cannot be had: offline, no such id, no diffusers folder, no weights that are read here.
    """
    repository, _, revision = model.ref.partition("@")
    if any(part in ("", ".", "..") for part in revision.split("/")) and revision:
        raise ModelError(f"{revision!r} is no revision of a hub's model.", hint="Name a branch, a tag or a commit.")
    try:
        if context.offline:
            folder = _cached(repository, revision, model.ref, "this installation is offline")
        else:
            try:
                folder = _download(repository, revision, context)
            except _unreachable() as error:
                context.log.info("the hub cannot be reached: %s", error)
                folder = _cached(repository, revision, model.ref, "the hub cannot be reached")
    except (Cancelled, ModelError):
        raise
    except (OSError, ValueError) as error:  # the hub's own errors are OSErrors
        said = " ".join(str(error).split())[:300]
        raise ModelError(
            f"Model {model.ref!r} cannot be fetched: {said}",
            hint="Check the id and the network; a model that asks for consent needs a token in HF_TOKEN.",
        ) from error
    path = Path(folder)
    if not (path / "model_index.json").is_file():
        raise ModelError(f"Model {model.ref!r} on the hub is no diffusers folder: it has no model_index.json.")
    return HubModel(model.ref, path, sha256=path.name, title=model.ref)


def _unreachable() -> tuple[type[Exception], ...]:
    """What the hub's client raises where there is no way to it."""
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled
    from huggingface_hub.utils import get_session

    # The client's own library: its module is found by its session, whatever it is called in a version.
    library = sys.modules[type(get_session()).__module__.partition(".")[0]]
    return (library.TransportError, LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError, TimeoutError)


def _cached(repository: str, revision: str, ref: str, reason: str) -> str:
    """The folder of a model that was fetched before. Raises ModelError."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, "model_index.json", revision=revision or None)
    if not isinstance(found, str):
        raise ModelError(
            f"Model {ref!r} is not on this machine, and {reason}.",
            hint="Allow access to the hub, or put the model's folder into models/.",
        )
    return str(Path(found).parent)


def _remember(folder: str, revision: str) -> None:
    """Note in the hub's cache which commit ``revision`` was, as its own client does for whoever asks by a branch: the
    model is found by the same name without the hub.
    """
    snapshot = Path(folder)
    ref = snapshot.parent.parent / "refs" / (revision or "main")
    if revision == snapshot.name or (ref.is_file() and ref.read_text(encoding="utf-8").strip() == snapshot.name):
        return
    ref.parent.mkdir(parents=True, exist_ok=True)
    temporary = ref.with_name(f".{ref.name}.{os.getpid()}.tmp")
    temporary.write_text(snapshot.name, encoding="utf-8")
    os.replace(temporary, ref)


def _download(repository: str, revision: str, context: Context) -> str:
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download

    context.progress(0, 1, f"Asking the hub for {repository}")
    # Only the environment gives a token: one that another program stored on this machine was not meant for us.
    token = os.environ.get("HF_TOKEN") or False
    half = context.dtype != torch.float32 and context.device.type != "cpu"
    info = HfApi(token=token).model_info(repository, revision=revision or None)
    names = [row.rfilename for row in info.siblings or ()]
    if "model_index.json" not in names:
        raise ModelError(f"Model {repository!r} on the hub is no diffusers folder: it has no model_index.json.")
    # From here on one commit: what is pushed meanwhile mixes no two versions.
    index = json.loads(
        Path(hf_hub_download(repository, "model_index.json", revision=info.sha, token=token)).read_text(
            encoding="utf-8"
        )
    )
    folder = snapshot_download(
        repository,
        revision=info.sha,
        token=token,
        allow_patterns=needed_files(names, index, half=half),
        tqdm_class=_reporting_bar(context, repository),
        max_workers=4,
    )
    _remember(folder, revision)
    return folder


def needed_files(names: Iterable[str], index: dict[str, Any], *, half: bool) -> list[str]:
    """Which of a repository's files a pipeline needs: configurations, tokenizers and one variant of each component's
    safetensors; its ``.bin`` files, which the restricted reader opens, where it has none.

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
        weights = weights or [name for name in inside if name.endswith(".bin")]
        if not weights and any(name.endswith((".ckpt", ".msgpack", ".onnx")) for name in inside):
            raise ModelError(f"Its component {component} has no weights in a format that is read here.")
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
    from tqdm.std import tqdm  # the hub's own says nothing where progress bars are switched off, as they are here

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
