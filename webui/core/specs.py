"""What extensions declare: pipelines, tabs, model kinds, settings. Plain data that the web process can hold without
their heavy parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from .numbers import Measure
from .parameters import Params

ArtifactKind = Literal["image", "video", "audio", "table", "plot", "file", "scalar"]


class Acceptance(Protocol):
    """What ``PipelineSpec.accept`` sees of the application."""

    @property
    def pipelines(self) -> Mapping[str, PipelineSpec]:
        """Every loaded pipeline, by id."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The extension's own settings."""

    def freeze(self, pipeline: str, raw: Mapping[str, Any]) -> dict[str, Any]:
        """``raw`` as a job of ``pipeline`` would run with them: seeds drawn, files stored, models named. Raises
        NotFound, ParameterError.
        """

    def models(self, kind: str) -> list[str]:
        """References of the usable models of ``kind``."""

    def open_folder(self, path: str, field: str) -> Path:
        """As ``Context.open_folder``; what is wrong stands at ``field``. Raises ParameterError. (1.4)"""


@dataclass(frozen=True)
class PipelineSpec:
    """One thing the application can do. ``id`` is ``extension.name``.

    ``run`` is ``"package.module:Class"``, imported in the worker alone. The class is made with no arguments for each
    job and has
    ``run(params, context)``, which returns or yields ``Artifact`` values (see ``webui.api.Pipeline``).
    """

    id: str
    title: str
    params: type[Params]
    run: str
    tab: str = ""
    """Id of the tab whose page shows its form; empty: reached by HTTP and command line only."""
    description: str = ""
    outputs: ArtifactKind = "image"
    examples: tuple[Mapping[str, Any], ...] = ()
    """Parameter sets to offer someone who has not begun: ``{"title": ..., "prompt": ...}``."""
    timeout_s: float | None = None
    """The longest a run may take; None: as long as it reports anything."""
    resumable: bool = True
    """Whether an interrupted run goes on from its first missing artifact (``context.pending``)."""
    live: bool = False
    """Whether it is fast enough to be run at every move of a slider: its form offers that. (1.4)"""
    keeps_work: bool = False
    """Whether a run that was stopped leaves its ``work_dir``, from which the job goes on when it is resumed. A failed
    one does so in any case. (1.4)
    """
    needs_consent: bool = False
    """Whether it makes a real person's picture show what it never showed. Its parameters then have ``consent =
    webui.api.consent()``, a job without it is refused, and nothing that it makes is kept unmarked. (1.5)
    """
    guests: bool | None = None
    """Whether guests of a shared studio may run it. None: where it makes pictures, films or sounds and needs no folder.
    Say False where a run leaves anything but its artifacts: models, named files, public links. (1.5)
    """
    accept: Callable[[Any, Acceptance], Mapping[str, Any]] | None = None
    """Called when a job is accepted, with its frozen parameters: checks what a declaration cannot say, and answers the
    parameters that the job will run with. Light: it runs in the web process. Raises ParameterError.
    """
    measures: tuple[Measure, ...] = ()
    """Scores that it takes of a folder of pictures, for other jobs that make some. (1.5)"""

    @property
    def extension(self) -> str:
        return self.id.partition(".")[0]

    @property
    def name(self) -> str:
        return self.id.partition(".")[2]


@dataclass(frozen=True)
class TabSpec:
    """A tab of the page. Without ``build`` it shows the forms of its pipelines, made from their declarations."""

    id: str
    title: str
    order: int = 100
    """Tabs stand in ascending order; the built-in ones use multiples of 10, and the gallery stands at 110."""
    build: str = ""
    """``"package.tab:build"``, a function of one argument (``webui.api.TabContext``) that is called inside a Blocks of
    its own.
    """


@dataclass(frozen=True)
class ModelKind:
    """A kind of model file. ``recognise`` reads headers only and answers None for what is not of this kind."""

    id: str
    title: str
    folders: tuple[str, ...] = ()
    """Folders below models/ where such files are looked for, such as ``checkpoints``."""
    recognise: Callable[[Path], Mapping[str, Any] | None] | None = None


Folders = Callable[[str], Sequence[Path]]
"""The user's folders of a name, there or not: the data folder's, where files may be written, then those of models."""


@dataclass(frozen=True)
class ChoiceSource:
    """A list that ``dynamic_choice`` and ``dynamic_choices`` take their options from. ``choices`` is called whenever a
    form is shown, in the web process: it reads little, and imports nothing heavy.
    """

    id: str
    title: str
    choices: Callable[[Folders], Sequence[str]]
    texts: Callable[[Folders], Mapping[str, Mapping[str, str]]] | None = None
    """What each of them stands for, by its name, such as ``{"prompt": ...}``: told to other programs. A ``label`` among
    them is what the page shows in its place. (1.4)
    """


@dataclass(frozen=True)
class PromptQuestion:
    """A prompt that a person is typing."""

    text: str
    negative: bool
    family: str
    """Of the chosen model; empty where unknown."""
    seed: int
    folders: Folders
    tokenize: Callable[[str], Sequence[int]]
    """The tokens of a text for the chosen model, without start and end."""
    limit: int
    """How many of them its text encoder takes at once."""
    token: Callable[[str], int | None]
    """The number of one token as the vocabulary has it, such as ``,</w>``; None where it has none."""
    models: Callable[[str], Sequence[Any]] = lambda _kind: ()
    """Usable models of a kind, as ``webui.api.Models.listed`` gives them. (1.4)"""
    shapes: Callable[[Path], Mapping[str, tuple[int, ...]]] = lambda _path: {}
    """Name -> shape of the tensors of a weights file; nothing where it cannot be read. (1.4)"""


@dataclass(frozen=True)
class PromptRemark:
    """What is to be said of ``text[start:end]``: a sentence in English with ``{names}`` for ``values``, which the page
    translates before it fills them in.
    """

    start: int
    end: int
    message: str
    values: Mapping[str, str] = field(default_factory=dict)
    error: bool = False


@dataclass(frozen=True)
class PromptReading:
    """What a prompt is, as the page shows it."""

    chunks: tuple[int, ...]
    """Tokens in each chunk that the text encoder is given; of several texts, those of the longest."""
    remarks: tuple[PromptRemark, ...] = ()
    exact: bool = True
    """False where the count depends on what is drawn at random."""


@dataclass(frozen=True)
class PromptSyntax:
    """A language of prompts. ``read`` is called while a person types, in the web process: it never raises, and imports
    nothing heavy.
    """

    id: str
    title: str
    read: Callable[[PromptQuestion], PromptReading]


@dataclass(frozen=True)
class FeatureNetwork:
    """A network whose features compare sets of pictures: what scores of realism are taken with. Its id is
    ``extension.name``. (1.4)

    ``run`` is ``"package.module:Class"``, imported in the worker alone, and made as ``Class(models, weights, resize)``
    with ``webui.api.Models``, a reference to weights that a person chose (empty: its own), and one of ``resizes``. What
    is made is a ``webui.api.FeatureExtractor``.
    """

    id: str
    title: str
    """As its scores are called: FD-<title>, KD-<title>."""
    dim: int
    """How many features a picture has."""
    run: str
    resizes: tuple[str, ...] = ("own",)
    """The ways in which pictures come to the size that it reads; the first is the usual one."""
    classes: bool = False
    """Whether it tells probabilities of classes as well."""


@dataclass(frozen=True)
class PromptRequest:
    """What a prompt asks a picture to show, by the heads of a network that classifies: head -> value. (1.4)"""

    named: Mapping[str, str]
    """What it says."""
    implied: Mapping[str, str] = field(default_factory=dict)
    """What it denies by leaving it out, such as a hat."""


@dataclass(frozen=True)
class LatentSpace:
    """A generator that draws a picture from a point: what paths and edits walk in. Its id is ``extension.name``. (1.4)

    ``run`` is ``"package.module:Class"``, imported in the worker alone, and made as ``Class(models, model)`` with
    ``webui.api.Models`` and a reference to a model of ``kind`` (empty: the extension's own choice). What is made is a
    ``webui.api.LatentGenerator``.
    """

    id: str
    title: str
    run: str
    kind: str = ""
    """Of the models that can be chosen; empty where there is no choice."""


@dataclass(frozen=True)
class SettingsSpec:
    """The settings of one extension, declared like parameters."""

    id: str
    title: str
    params: type[Params]


@dataclass(frozen=True)
class CommandSpec:
    """A word of the command line. ``run`` is ``"package.module:function"`` of (arguments, CommandContext) -> exit
    status.
    """

    name: str
    summary: str
    run: str


@dataclass(frozen=True)
class ExecutorSpec:
    """Another way to carry jobs to workers; ``make`` is ``"package.module:Class"`` with the interface of
    ``webui.queue.executors.Executor``.
    """

    id: str
    title: str
    make: str


@dataclass(frozen=True)
class TunnelSpec:
    """A way to a public address, chosen by ``--share <id>`` or ``--share <id>:<argument>``. ``open`` is
    ``"package.module:function"`` of (local port), or of (local port, argument) (1.5). It answers an object with ``url``
    and ``close()``, and perhaps ``alive``, False once it broke (1.5), or raises with words for the user.
    """

    id: str
    title: str
    open: str


@dataclass(frozen=True)
class Artifact:
    """Something a pipeline made. ``index`` is its place in the job and with the job's id its identity: made again, it
    replaces itself.

    ``data`` by kind: image, a PIL image; video, audio and file, a Path to a finished file; table, a list of flat
    dicts; plot and scalar, JSON.
    """

    kind: ArtifactKind
    data: Any
    index: int = 0
    seed: int | None = None
    title: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of this one that differ from the job's, for its recipe."""
    infotext: Mapping[str, Any] = field(default_factory=dict)
    """Further ``Key: value`` pairs for the ``parameters`` text that other programs read."""


@dataclass(frozen=True)
class ComponentKey:
    """Identity of one set of weights in memory; two keys that differ in anything never share an entry."""

    path: str
    """Real path of the file or folder."""
    size_bytes: int
    mtime_ns: int
    component: str
    dtype: str
    quantization: str = ""
    config: str = ""
    """Hash of whatever else shapes the component."""

    @staticmethod
    def of(path: Path, component: str, dtype: str, *, quantization: str = "", config: str = "") -> ComponentKey:
        """The key of ``component`` in ``path``. Raises FileNotFoundError."""
        real = path.resolve(strict=True)
        size_bytes, mtime_ns = _stamp(real)
        return ComponentKey(
            path=str(real),
            size_bytes=size_bytes,
            mtime_ns=mtime_ns,
            component=component,
            dtype=dtype,
            quantization=quantization,
            config=config,
        )

    @property
    def is_stale(self) -> bool:
        """Whether others lie in the place of the files that it was made of. Of files that are gone it says nothing."""
        path = Path(self.path)
        try:
            return path.exists() and _stamp(path) != (self.size_bytes, self.mtime_ns)
        except OSError:
            return False


def _stamp(path: Path) -> tuple[int, int]:
    """(bytes, newest change in ns) of a file, or of all files in a folder. Raises FileNotFoundError."""
    files = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
    stats = [item.stat() for item in files]
    return sum(item.st_size for item in stats), max((item.st_mtime_ns for item in stats), default=0)


@dataclass(frozen=True)
class Component:
    """A request for one set of weights: its identity, and how to load it when it is not in memory."""

    key: ComponentKey
    load: Callable[[], Any]
    """Called at most once at a time in the whole process, on the CPU; returns the module (or tokenizer, or other
    object).
    """


@dataclass(frozen=True)
class Work:
    """What a lease will be used for, from which the memory that the computation needs is estimated."""

    operation: Literal["denoise", "encode", "decode", "text", "other"] = "other"
    architecture: str = ""
    width: int = 0
    height: int = 0
    batch: int = 1


def same_name(specs: Sequence[PipelineSpec], name: str) -> tuple[PipelineSpec, ...]:
    """The pipelines that ``name`` may mean: the one whose id it is, else all whose last part it is."""
    exact = tuple(spec for spec in specs if spec.id == name)
    return exact or tuple(spec for spec in specs if spec.name == name)
