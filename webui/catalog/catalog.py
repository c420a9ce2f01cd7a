"""The list of models: from the models folders to what forms offer, from a reference to the model that a job runs."""

from __future__ import annotations

import difflib
import logging
import os
import re
import stat
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from webui.core.errors import ModelError, NotFound
from webui.core.settings import Settings
from webui.core.specs import ModelKind

from .entry import PICKLE_ENDINGS, ModelEntry, kind_words, kinds_of
from .folders import inspect_folder, weight_files
from .gguf import gguf_header
from .hashes import HashStore
from .headers import Header, read_header
from .index import read_index, write_index
from .recognise import Recognised, holds_vectors, recognise, recommended_for
from .scan import WEIGHT_ENDINGS, Candidate, candidates, single
from .sidecars import says_v_prediction
from .torch_files import torch_header

log = logging.getLogger(__name__)

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}(@[A-Za-z0-9][\w./-]{0,95})?")
"""``owner/name``, perhaps with ``@`` and a branch, a tag or a commit."""
_HUB_CACHE = re.compile(r"/models--(?P<owner>[^/]+?)--(?P<name>[^/]+)/snapshots/[^/]+$")
"""Where the Hugging Face cache keeps a repository; the folder itself has the name of a commit."""
_SHORT_HASH = re.compile(r" \[(?P<hash>[0-9a-f]{6,64})\]$")
_HASH = re.compile(r"[0-9a-fA-F]{8,64}")
_FOLDER_KINDS: Mapping[str, str] = {
    "checkpoints": "text_to_image",
    "stable-diffusion": "text_to_image",
    "diffusers": "text_to_image",
    "loras": "lora",
    "lora": "lora",
    "vae": "vae",
    "controlnet": "controlnet",
    "embeddings": "embedding",
    "lycoris": "lora",
    "unet": "unet",
    "diffusion_models": "unet",
    "clip": "text_encoder",
    "text_encoder": "text_encoder",
    "text_encoders": "text_encoder",
    "upscale_models": "upscaler",
    "esrgan": "upscaler",
    "realesrgan": "upscaler",
    "swinir": "upscaler",
    "dat": "upscaler",
    "gfpgan": "upscaler",
    "t2i_adapter": "t2i_adapter",
    "annotators": "annotator",
    "clip_vision": "image_encoder",
    "image_encoder": "image_encoder",
    "ipadapter": "ip_adapter",
    "style_models": "ip_adapter",
    "ip_adapter": "ip_adapter",
}


_NAMELESS = frozenset({"pytorch_lora_weights", "adapter_model", "diffusion_pytorch_model", "model", "learned_embeds"})
"""Names that libraries give to any file of a kind: the folder's name tells more."""


class Catalog:
    """Every model in the models folders.

    The folders are read at the first question and at ``refresh``; what has not changed is not opened again. Threads
    may share one: its lock guards the two tables, and is held while the folders are read.
    """

    def __init__(self, settings: Settings, kinds: Iterable[ModelKind] = (), *, allow_paths: bool = False) -> None:
        """``allow_paths``: references may be paths of this machine (the command line and its worker; never a
        request).
        """
        self._settings = settings
        self._kinds = tuple(kinds)
        self._allow_paths = allow_paths
        self.hashes = HashStore(settings.data_dir / "cache" / "model_hashes.json")
        self._lock = threading.Lock()
        self._index = settings.data_dir / "cache" / "models.json"
        self._seen: dict[str, _Seen] = {}
        self._revision = 0
        self._entries: tuple[ModelEntry, ...] | None = None

    def entries(self, kind: str = "") -> tuple[ModelEntry, ...]:
        """All models, or those of one kind, by reference; broken ones among them, with their ``problem``. Here and
        below a kind may be several, as ``text_to_image|inpaint``.
        """
        with self._lock:
            if self._entries is None:
                self._entries = self._scan()
            found = self._entries
        return tuple(entry for entry in found if entry.is_a(kind))

    def known(self) -> tuple[ModelEntry, ...]:
        """What the last scan found, of this process or an earlier one; the folders are not read."""
        with self._lock:
            if self._entries is not None:
                return self._entries
            return tuple(entry for _, entry in read_index(self._index).values())

    def refresh(self) -> tuple[ModelEntry, ...]:
        """Read the folders again."""
        with self._lock:
            self._entries = self._scan()
            return self._entries

    def default(self, kind: str) -> ModelEntry | None:
        """The model an empty reference means: a setting ``default_<kind>`` of an extension, a starter, else the first
        by reference. Of several kinds, the first that has a model.
        """
        return next((found for one in kinds_of(kind) or ("",) if (found := self._default(one)) is not None), None)

    def _default(self, kind: str) -> ModelEntry | None:
        for values in (self._settings.extensions[name] for name in sorted(self._settings.extensions)):
            wanted = values.get(f"default_{kind}")
            if wanted:
                try:
                    return self.resolve(str(wanted), kind)
                except (NotFound, ModelError) as error:
                    log.warning("the setting default_%s is not used: %s", kind, error)
        return min((entry for entry in self.entries(kind) if entry.usable), key=_preference, default=None)

    def resolve(self, ref: str, kind: str = "", *, allow_paths: bool | None = None) -> ModelEntry:
        """What ``ref`` means: a reference, a title, an unambiguous file name, a path where they are allowed, a hub
        id; empty: the default.

        Raises NotFound for what is not there, ModelError for what cannot be used or is of another kind.
        """
        entry = self.find(ref, kind, allow_paths=allow_paths)
        if entry.problem:
            raise ModelError(f"Model {entry.ref!r} cannot be used. {entry.problem}")
        if entry.format != "hub" and not entry.is_a(kind):
            raise ModelError(
                f"Model {entry.ref!r} is of kind {kind_words(entry.kind)}; expected: {kind_words(kind)}.",
                hint="`models list` shows what each model is.",
            )
        return entry

    def hashed(self, entry: ModelEntry, *, write: bool = True, pause: Callable[[], None] | None = None) -> ModelEntry:
        """``entry`` with its hashes, for which its weights are read once; later answers come from a table. ``write``
        and ``pause`` as in ``HashStore.file``. Raises OSError.
        """
        if entry.sha256 or entry.path is None:
            return entry
        for path in _weights(entry.path):
            self.hashes.file(path, write=write, pause=pause)
        found = self._with_hash(entry)
        with self._lock:
            row = self._seen.get(str(entry.path))
            if row is not None and row.entry.ref == entry.ref:  # the list shows it without another look at the folders
                self._seen[str(entry.path)] = replace(row, entry=self._with_hash(row.entry))
                self._entries = None if self._entries is None else self._sorted()
        return found

    def find(self, ref: str, kind: str = "", *, allow_paths: bool | None = None) -> ModelEntry:
        """As ``resolve``, whether it can be used or not. Raises NotFound, ModelError where ``ref`` is ambiguous."""
        ref = ref.strip()
        hashed = _SHORT_HASH.search(ref)
        if hashed is not None:
            named = self._listed(ref[: hashed.start()], kind)
            return named or self._listed_by_hash(hashed["hash"], kind) or self.find(ref[: hashed.start()], kind)
        if not ref:
            found = self.default(kind)
            if found is None:
                place = self._settings.models_dirs[0] / self.folder_of(kind)
                raise NotFound(f"There is no {kind_words(kind)} yet.", hint=f"Put one into {place}.")
            return found
        paths = self._allow_paths if allow_paths is None else allow_paths
        if self._came(ref) or self._went(ref):
            self.refresh()
        return (
            self._listed(ref, kind)
            or self._listed_by_hash(ref, kind)
            or self._listed_at(ref)
            or self._unlisted(ref, kind, paths)
        )

    def _came(self, ref: str) -> bool:
        """Whether a file of this reference is there that the last scan did not find: what a job just wrote."""
        place, colon, name = ref.rpartition(":")
        plain = (
            name.endswith(WEIGHT_ENDINGS) and not name.startswith(("/", "~")) and ".." not in name and ":" not in place
        )
        if not plain or (colon and not re.fullmatch("[1-9][0-9]{0,2}", place)):
            return False
        if any(entry.ref == ref for entry in self.entries()):
            return False
        roots = self._settings.models_dirs
        return any((base / name).is_file() for base in (roots[int(place) - 1 : int(place)] if colon else roots))

    def _went(self, ref: str) -> bool:
        """Whether the file of this reference was taken away since the last scan."""
        return any(entry.ref == ref and entry.path is not None and not entry.path.exists() for entry in self.entries())

    def folder_of(self, kind: str) -> str:
        """The folder below one of models that files of ``kind`` are put into: their extension's, or the usual one."""
        wanted = kinds_of(kind)
        named = [one.folders[0] for one in self._kinds if one.id in wanted and one.folders]
        usual = [folder for folder, its_kind in _FOLDER_KINDS.items() if its_kind in wanted]
        return next(iter([*named, *usual]), "checkpoints")

    def _listed(self, ref: str, kind: str) -> ModelEntry | None:
        """The entry whose reference, title or file name ``ref`` is. Usable ones of the kind go first."""
        rows = self.entries()
        for matches in (
            [entry for entry in rows if entry.ref == ref],
            [entry for entry in rows if entry.title == ref],
            [entry for entry in rows if entry.path is not None and ref in (entry.path.name, entry.path.stem)],
        ):
            of_kind = [entry for entry in matches if entry.is_a(kind)]
            fitting = [entry for entry in of_kind if entry.usable] or matches
            if len(fitting) > 1:
                names = ", ".join(entry.ref for entry in fitting[:6])
                raise ModelError(f"{ref!r} may mean any of {names}.", hint="Use one of these references.")
            if fitting:
                return fitting[0]
        return None

    def _listed_by_hash(self, text: str, kind: str) -> ModelEntry | None:
        """The entry with a hash that begins with ``text``, of those that are hashed; copies of one file are one."""
        if not _HASH.fullmatch(text):
            return None
        text = text.lower()
        rows = [entry for entry in self.entries(kind) if entry.usable and entry.has_hash(text)]
        if len({entry.sha256 for entry in rows}) > 1:
            raise ModelError(f"The hash {text!r} may mean any of {', '.join(entry.ref for entry in rows[:6])}.")
        return rows[0] if rows else None

    def _listed_at(self, ref: str) -> ModelEntry | None:
        """The entry that lies where ``ref`` as a path leads: what is listed may be named so by a request too. ``ref``
        is never looked up on the disk, where a request has nothing to touch; only the entries' own links are followed.
        """
        if not any(mark in ref for mark in ("/", os.sep)) or "\0" in ref:
            return None
        place = Path(os.path.abspath(os.path.expanduser(ref)))
        rows = [(entry, entry.path) for entry in self.entries() if entry.path is not None]
        return next((entry for entry, path in rows if place in (path.absolute(), path.resolve())), None)

    def _unlisted(self, ref: str, kind: str, allow_paths: bool) -> ModelEntry:
        path = Path(os.path.expanduser(ref))  # Path.expanduser fails where ~name is nobody's home
        if allow_paths and path.exists():
            candidate = single(path.resolve(), str(path.resolve()))
            if candidate is None:
                raise ModelError(f"{ref!r} is neither a safetensors file nor a folder with a model_index.json.")
            return self._finished(_read(candidate, candidate.relative))
        if _HUB_ID.fullmatch(ref) and not ref.endswith((".safetensors", *PICKLE_ENDINGS)):
            guess = (kinds_of(kind) or ("text_to_image",))[0]
            return ModelEntry(ref=ref, title=ref, kind=guess, format="hub", path=None)
        names = [entry.ref for entry in self.entries(kind)]
        near = difflib.get_close_matches(ref, names, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else "`models list` shows what is there."
        raise NotFound(f"There is no {kind_words(kind) if kind else 'model'} {ref!r}.", hint=hint)

    def _scan(self) -> tuple[ModelEntry, ...]:
        if not self._seen:
            kept = read_index(self._index)
            self._seen = {path: _Seen(stamp, entry, self._finished(entry)) for path, (stamp, entry) in kept.items()}
        seen: dict[str, _Seen] = {}
        revision = self.hashes.revision
        changed = False
        for place, root in enumerate(self._settings.models_dirs, start=1):
            for candidate in candidates(root):
                if candidate.place in seen:
                    continue
                ref = candidate.relative if place == 1 else f"{place}:{candidate.relative}"
                row = self._seen.get(candidate.place)
                if row is None or row.stamp != candidate.stamp or row.entry.ref != ref:
                    found = _read(candidate, ref)
                    row = _Seen(candidate.stamp, found, self._finished(found))
                    changed = True
                elif revision != self._revision:
                    row = replace(row, entry=self._with_hash(row.entry))
                seen[candidate.place] = row
        if changed or len(seen) != len(self._seen):
            write_index(self._index, ((row.stamp, row.read) for row in seen.values()))
        self._seen, self._revision = seen, revision
        return self._sorted()

    def _sorted(self) -> tuple[ModelEntry, ...]:
        return tuple(sorted((row.entry for row in self._seen.values()), key=lambda entry: entry.ref))

    def _with_hash(self, entry: ModelEntry) -> ModelEntry:
        """``entry`` with its hashes where they are remembered; nothing is read."""
        if entry.path is None or entry.problem:
            return entry
        try:
            if entry.format == "diffusers":
                return replace(entry, sha256=self.hashes.known(_weights(entry.path)))
            found = self.hashes.known_file(entry.path)
        except OSError:
            return entry
        if found is None:
            return entry
        return replace(entry, sha256=found.sha256, tensors_sha256=found.tensors, old_hash=found.old)

    def _finished(self, entry: ModelEntry) -> ModelEntry:
        """``entry`` with what the extensions and the table of hashes know of it."""
        folders = set(entry.ref.partition(":")[2].split("/")[:-1] if ":" in entry.ref else entry.ref.split("/")[:-1])
        for kind in self._kinds:
            if entry.kind == kind.id or (entry.kind == "unknown" and folders & set(kind.folders)):
                entry = _asked(entry, kind)
        return self._with_hash(entry)


@dataclass(frozen=True)
class _Seen:
    """A model as it was when its stamp was ``stamp``: as this room read it, and with all that others know of it."""

    stamp: tuple[int, ...]
    read: ModelEntry
    entry: ModelEntry


def _read(candidate: Candidate, ref: str) -> ModelEntry:
    return _read_folder(candidate, ref) if candidate.is_folder else _read_file(candidate, ref)


def _weights(path: Path) -> list[Path]:
    return weight_files(path) if path.is_dir() else [path]


def _preference(entry: ModelEntry) -> tuple[bool, bool, bool, str]:
    """What is whole goes before what needs files from elsewhere."""
    return (entry.ref != "starter/avatar", not entry.ref.startswith("starter/"), bool(entry.lacks), entry.ref)


def _read_folder(candidate: Candidate, ref: str) -> ModelEntry:
    facts = inspect_folder(candidate.path)
    hub = _HUB_CACHE.search(candidate.path.as_posix())
    own_name = facts.title != candidate.path.name
    return ModelEntry(
        ref=ref,
        title=f"{hub['owner']}/{hub['name']}" if hub and not own_name else facts.title,
        kind=facts.kind,
        format="diffusers",
        path=candidate.path,
        family=facts.family,
        variant=facts.variant,
        size_bytes=candidate.size_bytes,
        recommended=facts.recommended,
        examples=facts.examples,
        tokenizer=facts.tokenizer,
        problem=facts.problem,
    )


def _read_file(candidate: Candidate, ref: str) -> ModelEntry:
    parts = [part.lower() for part in Path(candidate.relative).parts[:-1]]
    guess = next((_FOLDER_KINDS[part] for part in parts if part in _FOLDER_KINDS), "unknown")
    stem, folders = candidate.path.stem, Path(candidate.relative).parts[:-1]
    nameless = stem.partition(".")[0] in _NAMELESS  # .fp16 may follow
    entry = ModelEntry(
        ref=ref,
        title=folders[-1] if nameless and folders else stem,
        kind=guess,
        format="single_file",
        path=candidate.path,
        size_bytes=candidate.size_bytes,
    )
    try:
        header = read_table(candidate.path)
        found = recognise(header)
        if found.kind == "unknown" and guess == "embedding" and header.shapes and holds_vectors(header):
            found = Recognised("embedding")
        if guess == "annotator" and (candidate.path.parent / "config.json").is_file():
            found = Recognised("annotator")  # what it does, its configuration tells whoever loads it
    except ModelError as error:
        return replace(entry, problem=error.message)
    except OSError as error:
        return replace(entry, problem=f"It cannot be read: {error}.")
    if (
        found.family == "sd2"
        and found.kind == "text_to_image"
        and not found.variant
        and says_v_prediction(candidate.path)
    ):
        found = replace(found, variant="v_prediction", recommended=recommended_for("sd2"))
    return replace(
        entry,
        kind=guess if found.kind == "unknown" and found.problem else found.kind,
        family=found.family,
        variant=found.variant,
        lacks=found.lacks,
        recommended=found.recommended,
        problem=found.problem or (_gguf_problem(found.kind) if candidate.path.suffix.lower() == ".gguf" else ""),
    )


def _gguf_problem(kind: str) -> str:
    """GGUF denoisers are computed with as they are; other kinds are asked for in another format."""
    if kind in ("text_to_image", "inpaint", "image_to_image"):
        return ""
    return "Only denoisers are loaded from GGUF; take this one as safetensors."


def read_table(path: Path) -> Header:
    """The table of tensors of a weights file: safetensors, GGUF, or what PyTorch saved. Raises ModelError, OSError."""
    ending = path.suffix.lower()
    if not stat.S_ISREG(path.stat().st_mode):
        raise ModelError("It is a folder or device under a model file's name.")
    if ending in PICKLE_ENDINGS:
        return torch_header(path)
    return gguf_header(path) if ending == ".gguf" else read_header(path)


def _asked(entry: ModelEntry, kind: ModelKind) -> ModelEntry:
    """``entry`` with what an extension knows of it: title, family, recommended, tokenizer; a kind, where the host
    knew none.
    """
    if kind.recognise is None or entry.path is None:
        return entry
    try:
        facts = kind.recognise(entry.path)
    except Exception as error:  # an extension's code: its fault must not hide the other models
        log.warning("kind %s could not look at %s: %s: %s", kind.id, entry.ref, type(error).__name__, error)
        return entry
    if facts is None:
        return entry
    if entry.kind == "unknown":
        entry = replace(entry, kind=kind.id, problem="")
    tokenizer = facts.get("tokenizer")
    return replace(
        entry,
        title=str(facts.get("title") or entry.title),
        family=str(facts.get("family") or entry.family),
        recommended={**entry.recommended, **(facts.get("recommended") or {})},
        tokenizer=entry.tokenizer or (Path(str(tokenizer)) if tokenizer else None),
        problem=str(facts.get("problem") or entry.problem),
    )


def titles(entries: Sequence[ModelEntry]) -> list[tuple[str, str]]:
    """(reference, label) pairs for a list to choose from; a label that two share is followed by the reference."""
    labels = [entry.title for entry in entries]
    return [
        (entry.ref, entry.title if labels.count(entry.title) == 1 else f"{entry.title} ({entry.ref})")
        for entry in entries
    ]
