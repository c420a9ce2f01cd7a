"""The only module of the host that an extension imports: declarations, hooks, and what a running pipeline sees."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import pluggy

from .core.declaring import (
    ParameterValues,
    audio,
    boolean,
    choice,
    colour,
    consent,
    dynamic_choice,
    dynamic_choices,
    file,
    folder,
    image,
    images,
    integer,
    model,
    number,
    parameters,
    prompt,
    record,
    seed,
    size,
    text,
)
from .core.errors import Cancelled, FieldError, JobFailed, LifelikeError, ModelError, NotFound, ParameterError
from .core.jobs import ArtifactRecord, Job
from .core.numbers import Measure, Number, numbers_of
from .core.parameters import (
    Parameter,
    Params,
    describe,
)
from .core.picture_sets import SetRun, set_runs
from .core.recipes import ModelUse, Recipe
from .core.specs import (
    Acceptance,
    Artifact,
    ChoiceSource,
    CommandSpec,
    Component,
    ComponentKey,
    ExecutorSpec,
    FeatureNetwork,
    LatentSpace,
    ModelKind,
    PipelineSpec,
    PromptQuestion,
    PromptReading,
    PromptRemark,
    PromptRequest,
    PromptSyntax,
    SettingsSpec,
    TabSpec,
    TunnelSpec,
    Work,
)
from .core.validating import (
    validate,
)

if TYPE_CHECKING:
    from PIL.Image import Image

API_VERSION = "1.7"
"""Of this module: an extension asks for the lowest it needs in its manifest. A new name raises the minor, a break the
major.
"""

_T = TypeVar("_T")

hookspec = pluggy.HookspecMarker("webui")
hookimpl = pluggy.HookimplMarker("webui")


class Models(Protocol):
    """The one owner of weights."""

    def lease(
        self,
        components: Mapping[str, Component],
        *,
        work: Work | None = None,
        exclusive: bool = False,
        off_device: Collection[str] = (),
    ) -> AbstractContextManager[dict[str, Any]]:
        """The named components on the device, for the time of the ``with`` block: all or none.

        ``off_device`` (1.1): names that are wanted in memory alone. They may leave the device while no other lease has
        them there, so that stages are leased inside one that holds all; with ``exclusive`` they do leave it, for
        whoever has them there part by part.

        ``exclusive`` for whoever changes adapters, processors or hooks. What is in memory is not loaded again. Raises
        what a component's ``load`` raises, and ModelError when they cannot fit.
        """

    def fits(self, components: Iterable[Component], *, work: Work | None = None) -> bool:
        """Whether all of ``components`` and the memory of ``work`` fit on the device at once. Where they do not, lease
        stage by stage: text encoders, then the denoiser, then the VAE. (1.1)
        """

    def part(self, module: Any) -> AbstractContextManager[None]:
        """Within, the weights of ``module`` are on the device: a part of a component that is leased ``exclusive`` and
        ``off_device``. Raises what running out of memory raises: enter it inside an ``attempt``. (1.3)
        """

    def attempt(
        self, attempt: Callable[[], _T], knobs: Mapping[str, Callable[[], None]], *, work: Work | None = None
    ) -> _T:
        """``attempt()``; where it runs out of memory, again after each of ``knobs``, in the order of docs/memory.md.

        ``attempt`` goes on from what it kept itself: last latents and generator state. Call it inside a lease. Raises
        ModelError when no knob is left. (1.1)
        """

    def resolve(self, ref: str, kind: str = "") -> ResolvedModel:
        """What a model reference means: a catalog entry, a path, or a hub id. Raises NotFound, ModelError."""

    def listed(self, kind: str = "") -> Sequence[ResolvedModel]:
        """All models in the models folders that can be used, or those of one kind: for what a model needs beside
        itself. (1.2)
        """

    def shapes(self, path: Path) -> Mapping[str, tuple[int, ...]]:
        """Name -> shape of every tensor in a weights file: safetensors, GGUF, or what PyTorch saved. Only its table is
        read. Raises ModelError, OSError. (1.2)
        """

    def open_weights(self, path: Path, prefixes: Iterable[str] = ("",)) -> dict[str, Any]:
        """The tensors of a weights file whose names begin with one of ``prefixes``, on the CPU, mapped to the file.

        safetensors, and what PyTorch saved (.ckpt, .pt, .pth, .bin): the latter is read without running anything in
        it. Raises ModelError, OSError. (1.2)
        """

    def values(self, path: Path, prefix: str = "") -> Mapping[str, Any]:
        """The numbers, texts and flags beside the tensors in what PyTorch saved, by dotted names that begin with
        ``prefix``, attributes of objects among them: how a network was made. Nothing in the file is run. Raises
        ModelError, OSError. (1.4)
        """

    def to_safetensors(
        self, source: Path, target: Path, *, half: bool = False, progress: Callable[[int, int], None]
    ) -> int:
        """Write what PyTorch saved in ``source`` as safetensors to ``target``, all or nothing, read back and compared;
        how many tensors that are. Nothing of ``source`` is run. ``progress(done, all)`` may raise Cancelled. Raises
        ModelError, LifelikeError where ``target`` is there, OSError. (1.3)
        """


class Findings(Protocol):
    """What was measured on this device with these versions of the libraries: JSON by key, on disk. (1.3)"""

    def get(self, key: str) -> Any:
        """None where nothing is known."""

    def keep(self, key: str, value: Any) -> None:
        """Replace what was known."""


class ResolvedModel(Protocol):
    """A model found by its reference."""

    @property
    def ref(self) -> str: ...
    @property
    def path(self) -> Path | None:
        """None for a hub id that is not on this machine."""

    @property
    def family(self) -> str:
        """Such as sd1, sdxl; empty where unknown."""

    @property
    def format(self) -> str:
        """diffusers, single_file or hub."""

    @property
    def sha256(self) -> str:
        """Of the weights; empty where it is not known yet."""

    @property
    def recommended(self) -> Mapping[str, Any]:
        """Parameter values that suit the model: width, height, guidance_scale, steps ..."""


class FeatureExtractor(Protocol):
    """What ``FeatureNetwork.run`` makes. It holds no weights: they are leased as ``component``. (1.4)"""

    @property
    def component(self) -> Component:
        """The network, to be leased; what the lease gives is handed to ``read``."""

    @property
    def protocol(self) -> Mapping[str, Any]:
        """What decides its numbers, for the record of a score: ``weights`` (their sha256), ``resize``, ``antialias``,
        ``size`` in pixels.
        """

    @property
    def heads(self) -> Mapping[str, Sequence[str]]:
        """What it classifies: head -> names of its values, none where they have none. Empty: nothing."""

    def prepare(self, picture: Image) -> Any:
        """A PIL image, RGB, of any size -> a numpy array [3,H,W] of one size. Called in several threads at once."""

    def read(self, network: Any, batch: Any) -> Mapping[str, Any]:
        """A tensor of prepared pictures on the device, [N,3,H,W] -> ``features``, float32 [N, dim], and the logits of
        each head, float32 [N, values].
        """


@runtime_checkable
class LayeredExtractor(Protocol):
    """What a ``FeatureExtractor`` may do beside: perceptual distances compare its layers. (1.4)"""

    def layers(self, network: Any, batch: Any) -> Sequence[Any]:
        """As ``read`` takes it -> activations, float32 [N,C,H,W] each, from fine to coarse."""


@runtime_checkable
class PromptJudge(Protocol):
    """What a ``FeatureExtractor`` that classifies may do beside: accuracy of prompts is measured with it. (1.4)"""

    def asked(self, prompt: str) -> PromptRequest | None:
        """What the prompt asks for, by ``heads``; None where it asks for nothing that the network tells apart."""


class LatentGenerator(Protocol):
    """What ``LatentSpace.run`` makes. It holds no weights: what a lease of ``components`` gives is handed to ``map``
    and ``synthesize`` as ``parts``. (1.4)
    """

    @property
    def components(self) -> Mapping[str, Component]:
        """To be leased together."""

    @property
    def protocol(self) -> Mapping[str, Any]:
        """What decides its pictures, for the record of a score: ``weights`` (their sha256), ``truncation`` ..."""

    @property
    def mapped(self) -> bool:
        """Whether ``map`` leads to a space of its own (StyleGAN's W); where not, it answers z."""

    def sample(self, count: int, generator: Any) -> Any:
        """Points of z as the generator was trained on them, not truncated: float32 [N, ...] on the CPU."""

    def labels(self, count: int, generator: Any) -> Any:
        """Classes for ``count`` pictures; None where the generator knows none."""

    def map(self, parts: Mapping[str, Any], z: Any, labels: Any) -> Any:
        """z -> w, float32 [N, ...] on the device; points between two w are points of w."""

    def synthesize(self, parts: Mapping[str, Any], w: Any, labels: Any, noise_seed: int) -> Any:
        """w -> pictures, float32 [N,3,H,W] with -1..1 from black to white, neither clipped nor rounded. Where the
        generator adds noise, all pictures of a call have the same, which ``noise_seed`` alone decides.
        """


class Context(Protocol):
    """What a running pipeline sees of the application, and all it may touch."""

    @property
    def job(self) -> Job: ...
    @property
    def models(self) -> Models: ...
    @property
    def device(self) -> Any:
        """torch.device."""

    @property
    def dtype(self) -> Any:
        """torch.dtype that suits the device; a pipeline may use a wider one."""

    @property
    def deterministic(self) -> bool:
        """Whether results must repeat exactly on this device, at the price of speed."""

    @property
    def offline(self) -> bool:
        """Whether reaching a hub is forbidden."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The extension's own settings."""

    @property
    def log(self) -> logging.Logger: ...
    @property
    def work_dir(self) -> Path:
        """A folder of this job that outlives a crash of the worker: checkpoints of a long run. Removed when the job is
        done, and when it is stopped unless ``PipelineSpec.keeps_work``.
        """

    def pending(self, total: int, weights: Sequence[float] = ()) -> list[int]:
        """Indices in 0..total-1 whose artifacts are not on disk yet; call it first. It sets the number of images
        progress counts to. ``weights`` (1.3): how much of the work each of the ``total`` is, where that differs.
        """

    @property
    def pipelines(self) -> Mapping[str, PipelineSpec]:
        """Every loaded pipeline, by id. (1.3)"""

    @property
    def feature_networks(self) -> Mapping[str, FeatureNetwork]:
        """Every network whose features compare pictures, by id. (1.4)"""

    def feature_extractor(self, network: str, weights: str = "", resize: str = "") -> FeatureExtractor:
        """One of ``feature_networks``, ready to be leased; empty: its own weights, its usual way to resize. Raises
        NotFound, ParameterError, and ModelError where its weights are not there. (1.4)
        """

    @property
    def latent_spaces(self) -> Mapping[str, LatentSpace]:
        """Every generator that draws from a point, by id. (1.4)"""

    def latent_generator(self, space: str, model: str = "") -> LatentGenerator:
        """One of ``latent_spaces``, ready to be leased. Raises NotFound, and what its extension raises for a model that
        is not there. (1.4)
        """

    def words(self, language: str) -> Mapping[str, str]:
        """What the loaded extensions call English texts in a language of the page, such as ``zh-CN``: the tables of
        their ``locale`` folders as one, this extension's last; for what a job writes. Empty for another language. (1.6)
        """

    def collection(self, name: str) -> Sequence[str]:
        """References of the pictures that a person put together under this name, in the order they were made. (1.4)"""

    def run(
        self,
        pipeline: str,
        params: Mapping[str, Any],
        *,
        index: int = 0,
        count: int = 1,
        title: str = "",
        take: Callable[[Artifact], None] | None = None,
    ) -> tuple[ArtifactRecord, ...]:
        """Run another pipeline within this job: its artifacts 0..count-1 become those from ``index`` on of this job,
        under ``title`` unless that is empty. (1.3)

        ``take`` (1.4): is given each of them in place of the library, which keeps nothing; the answer is empty then.

        It is run as any job is: parameters frozen, hooks called, models from the same cache, progress a part of this
        job's. Each artifact holds a recipe of its own, which makes it again without this job. Hold no lease meanwhile,
        and draw from ``generator``: the global ones are set anew.

        Raises NotFound, ParameterError, Cancelled and the inner run's errors for users as they are; whatever else goes
        wrong inside as JobFailed.
        """

    def saved(self, index: int) -> Path | None:
        """The file of the artifact of that index of this job, made now or by an earlier attempt; to be read only. None
        where there is none, as in a reproduction of another one. (1.3)
        """

    def findings(self, topic: str) -> Findings:
        """What was measured before of ``topic``, small letters alone. ``attention`` is shown to users. (1.3)"""

    def generator(self, seed: int) -> Any:
        """A torch.Generator on the CPU, so that one seed gives the same noise on every machine."""

    def progress(self, step: int, steps: int, message: str = "", batch: int = 1) -> None:
        """Tell how far the present image or stage is; ``batch`` images are made together in it. Raises Cancelled when
        the job was cancelled: call it at each step.
        """

    def preview(self, make: Image | Callable[[], Image], index: int = 0) -> None:
        """Show a picture in the making. A function is called only when one is due, four times a second at most."""

    def folders(self, name: str) -> Sequence[Path]:
        """The user's folders called ``name``, there or not: the data folder's, then those beside the models. (1.3)"""

    def open_image(self, ref: str) -> Image:
        """The picture behind a file parameter: RGB or RGBA, upright, within the limits of size. Raises ParameterError,
        NotFound.
        """

    def made_with(self, source: Path | bytes) -> Mapping[str, Any]:
        """What a picture's file says it was made with, in our parameters' names: its recipe's, or another program's as
        far as they have one here, such as ``prompt``. Empty where it says nothing. (1.4)
        """

    def open_file(self, ref: str) -> Path:
        """The file behind a file parameter; to be read only. Raises NotFound."""

    def open_folder(self, path: str) -> Path:
        """The folder behind a folder parameter: below the data folder, or anywhere where nobody but the machine's own
        user can ask. Raises ParameterError. (1.4)
        """

    def save(self, artifact: Artifact) -> ArtifactRecord:
        """Put an artifact in the library; the same as yielding it."""

    def use_model(self, use: ModelUse) -> None:
        """Record in the recipe of every artifact saved from now on that a model took part."""

    def warn(self, message: str) -> None:
        """Tell the user something that is not an error."""

    def check_cancelled(self) -> None:
        """Raises Cancelled when the job was cancelled."""


@runtime_checkable
class Pipeline(Protocol):
    """The heavy part of a PipelineSpec: made with no arguments for each job."""

    def run(self, params: Any, context: Context) -> Iterable[Artifact] | Iterator[Artifact] | Artifact | None: ...


class ImageContext(Protocol):
    """What ``process_image`` knows of the picture: ``recipe`` as it will be written, ``index``, ``job``."""

    @property
    def job(self) -> Job: ...
    @property
    def recipe(self) -> Recipe: ...
    @property
    def index(self) -> int: ...
    @property
    def pipeline(self) -> PipelineSpec:
        """What made it. (1.5)"""

    @property
    def must_mark(self) -> bool:
        """Whether it is kept only with a mark of its origin: it took a run that needs consent. (1.5)"""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The extension's own settings. (1.5)"""

    def folders(self, name: str) -> Sequence[Path]:
        """As ``Context.folders``. (1.5)"""

    def warn(self, message: str) -> None:
        """As ``Context.warn``. (1.5)"""

    def open_file(self, ref: str) -> Path:
        """As ``Context.open_file``: what the job was given. (1.5)"""


class FileContext(ImageContext, Protocol):
    """What ``mark_file`` knows of the file. (1.5)"""

    @property
    def kind(self) -> str:
        """image, video, audio or file."""

    @property
    def media_type(self) -> str:
        """Such as image/png; the files that the hook is given have no ending."""


class Application(Protocol):
    """What ``app_started`` receives."""

    @property
    def http(self) -> Any:
        """The FastAPI application, for routes of the extension's own under ``/ext/<id>/``."""

    def without_login(self, prefix: str) -> None:
        """Answer paths that begin with ``prefix``, ``/ext/<id>/<name>/``, to people without the access token: for a
        link that the extension itself makes hard to guess, and checks. All else stays behind the login. Raises
        ValueError. (1.4)
        """

    @property
    def settings(self) -> Mapping[str, Any]:
        """The application's; the extension's own are at ``["extensions"][<id>]``."""

    def folders(self, name: str) -> Sequence[Path]:
        """As ``Context.folders``. (1.3)"""

    def submit(self, pipeline: str, params: Mapping[str, Any], owner: str = "local") -> Job: ...
    def job(self, job_id: str) -> Job: ...


class TabContext(Protocol):
    """What a tab's ``build`` receives."""

    @property
    def pipelines(self) -> Sequence[PipelineSpec]:
        """Those whose ``tab`` is this one."""

    def form(self, pipeline: str) -> Any:
        """Put the declared form of a pipeline, with its button and viewer, here. Inside a ``gr.Tab`` whose ``elem_id``
        is ``form-<extension>-<name>`` it is found by "Send to" as the page's own sub-tabs are. (1.4)
        """

    def submit(self, pipeline: str, params: Mapping[str, Any]) -> Job: ...


class Hooks:
    """Every hook. An extension implements those it wants with ``@hookimpl``; docs/hooks.md explains each."""

    @hookspec
    def register_pipelines(self) -> Iterable[PipelineSpec]:
        """At start: what the extension can do."""
        return ()

    @hookspec
    def register_tabs(self) -> Iterable[TabSpec]:
        """At start: the page's tabs."""
        return ()

    @hookspec
    def register_model_kinds(self) -> Iterable[ModelKind]:
        """At start: how model files are recognised."""
        return ()

    @hookspec
    def register_choices(self) -> Iterable[ChoiceSource]:
        """At start: lists that choices of forms are taken from."""
        return ()

    @hookspec
    def register_prompt_syntaxes(self) -> Iterable[PromptSyntax]:
        """At start: languages that prompts are read in while they are typed."""
        return ()

    @hookspec
    def register_feature_networks(self) -> Iterable[FeatureNetwork]:
        """At start: networks whose features compare sets of pictures."""
        return ()

    @hookspec
    def register_latent_spaces(self) -> Iterable[LatentSpace]:
        """At start: generators that draw from a point."""
        return ()

    @hookspec
    def register_settings(self) -> Iterable[SettingsSpec]:
        """At start: settings of the extension."""
        return ()

    @hookspec
    def register_executors(self) -> Iterable[ExecutorSpec]:
        """At start: other ways to carry jobs to workers."""
        return ()

    @hookspec
    def register_tunnels(self) -> Iterable[TunnelSpec]:
        """At start: ways to a public address."""
        return ()

    @hookspec
    def register_commands(self) -> Iterable[CommandSpec]:
        """At start: words of the command line."""
        return ()

    @hookspec
    def app_started(self, app: Application) -> None:
        """The web process serves."""

    @hookspec
    def app_stopping(self) -> None:
        """The web process is about to end."""

    @hookspec
    def prepare_job(self, job: Job) -> Job | None:
        """In the worker, before the run: another job to run in its place, or None. An error fails the job and names the
        extension.
        """

    @hookspec
    def process_image(self, image: Any, context: ImageContext) -> Any:
        """In the worker, before an image is saved: another PIL image, or None. An error keeps the image and adds a
        warning.
        """

    @hookspec
    def mark_file(self, source: Path, target: Path, context: FileContext) -> bool | None:
        """In the worker, on a file that is finished and has no name yet: whether ``target``, which is not there, was
        written as its marked form. An error keeps ``source`` and adds a warning; where a mark must be, it fails the
        job. (1.5)
        """

    @hookspec
    def artifact_saved(self, record: ArtifactRecord) -> None:
        """In the worker, after an artifact is on disk. Errors are logged."""

    @hookspec
    def job_finished(self, job: Job) -> None:
        """In the worker, after a job ended in any way. Errors are logged."""

    @hookspec
    def read_metadata(self, chunks: Mapping[str, str]) -> Recipe | None:
        """A recipe from the text chunks of a picture that the host does not understand. The first answer wins."""

    @hookspec
    def resolve_model(self, ref: str) -> Any:
        """A ``ResolvedModel`` for a reference that the catalog does not know. The first answer wins."""


__all__ = [
    "API_VERSION",
    "Acceptance",
    "Application",
    "Artifact",
    "ArtifactRecord",
    "Cancelled",
    "ChoiceSource",
    "CommandSpec",
    "Component",
    "ComponentKey",
    "Context",
    "ExecutorSpec",
    "FeatureExtractor",
    "FeatureNetwork",
    "FieldError",
    "FileContext",
    "Findings",
    "Hooks",
    "ImageContext",
    "Job",
    "JobFailed",
    "LatentGenerator",
    "LatentSpace",
    "LayeredExtractor",
    "LifelikeError",
    "Measure",
    "ModelError",
    "ModelKind",
    "ModelUse",
    "Models",
    "NotFound",
    "Number",
    "Parameter",
    "ParameterError",
    "ParameterValues",
    "Params",
    "Pipeline",
    "PipelineSpec",
    "PromptJudge",
    "PromptQuestion",
    "PromptReading",
    "PromptRemark",
    "PromptRequest",
    "PromptSyntax",
    "Recipe",
    "ResolvedModel",
    "SetRun",
    "SettingsSpec",
    "TabContext",
    "TabSpec",
    "TunnelSpec",
    "Work",
    "audio",
    "boolean",
    "choice",
    "colour",
    "consent",
    "describe",
    "dynamic_choice",
    "dynamic_choices",
    "file",
    "folder",
    "hookimpl",
    "hookspec",
    "image",
    "images",
    "integer",
    "model",
    "number",
    "numbers_of",
    "parameters",
    "prompt",
    "record",
    "seed",
    "set_runs",
    "size",
    "text",
    "validate",
]
