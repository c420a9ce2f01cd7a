"""The host's settings: defaults, then settings.json of the data folder, then LIFELIKE_* variables, then the command
line.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from .errors import FieldError, ParameterError, SetupError

ROOT = Path(__file__).resolve().parents[2]
"""The project's folder: launch.py, models/, extensions/."""

_PREFIX = "LIFELIKE_"
TOKEN_VARIABLE = "LIFELIKE_ACCESS_TOKEN"


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach a socket bound to ``host``."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Settings(BaseModel):
    """Everything the host can be told. Immutable: a change is a new object."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path = ROOT / "outputs"
    """Images, jobs, index, uploads, logs: all that must be kept between versions."""
    models_dirs: tuple[Path, ...] = (ROOT / "models",)
    extensions_dirs: tuple[Path, ...] = (ROOT / "extensions",)
    host: str = "127.0.0.1"
    port: int = Field(default=7860, ge=0, le=65535)
    image_format: Literal["png", "jpeg", "webp"] = "png"
    image_quality: int = Field(default=95, ge=1, le=100)
    """Of JPEG and WebP."""
    preview_interval_s: float = Field(default=0.25, ge=0.0)
    cancel_grace_s: float = Field(default=20.0, ge=0.0)
    """A job that has not ended this long after it was cancelled loses its worker."""
    silence_s: float = Field(default=1800.0, gt=0.0)
    """A job that reports nothing for this long, and whose pipeline declares no time limit, loses its worker."""
    memory_limit_bytes: int = Field(default=0, ge=0)
    """A job whose worker takes more main memory of its own loses it; 0: 95 % of the machine's."""
    cache_bytes: int = Field(default=0, ge=0)
    """Most bytes of models kept in memory; 0: half of the device's memory."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps, xpu."""
    deterministic: bool = False
    """Only algorithms that repeat exactly, and one image at a time, on any device."""
    offline: bool = False
    """Never reach a hub, whatever is asked."""
    hash_models: bool = True
    """Whether the server reads every model once, while no job runs, for the hashes that others know it by."""
    allowed_folders: tuple[Path, ...] = ()
    """Folders of this machine whose insides people with the access token may name too, as the data folder's."""
    kept_work_bytes: int = 8 * 2**30
    """How much of what stopped and failed jobs left to go on from stays on disk; the newest stays in any case."""
    max_upload_bytes: int = 64 * 2**20
    max_image_pixels: int = 64_000_000
    mcp: bool = False
    """Whether assistants may call pipelines as tools of the Model Context Protocol, at /mcp."""
    api_sdapi: bool = False
    """Whether programs that speak A1111's interface are answered, at /sdapi/v1."""
    login: bool = False
    """Whether people log in on this machine's own address too."""
    share: str = "none"
    """How the studio is reached from elsewhere: none, gradio, ssh:USER@HOST, or a tunnel of an extension."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies whose word on who asks, and under which name, is believed."""
    root_path: str = ""
    """Below which path a proxy shows the studio, such as /studio."""
    tls_cert: Path | None = None
    """A certificate (PEM, with its chain) to speak TLS with; ``tls_key`` is its key."""
    tls_key: Path | None = None
    locale: Literal["auto", "en", "zh-CN"] = "auto"
    disabled_extensions: tuple[str, ...] = ()
    safe_mode: bool = False
    strict_extensions: bool = False
    extensions: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Settings of extensions, by id."""

    @field_validator("root_path")
    @classmethod
    def _rooted(cls, path: str) -> str:
        if path and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+/?", path):
            raise ValueError("expected a path such as /studio")
        return path.rstrip("/")

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for one in proxies:
            ipaddress.ip_network(one, strict=False)
        return proxies

    def folders(self, name: str) -> list[Path]:
        """Where a user's files of one sort may lie, there or not: first in the data folder, then beside the models.
        Raises ValueError for what is no plain name.
        """
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
            raise ValueError(f"{name!r} is no name of a folder")
        return [base / name for base in (self.data_dir, *self.models_dirs)]

    def requested_folder(self, path: str, environ: Mapping[str, str], field: str = "folder") -> Path:
        """The folder that a request names: below the data folder or one of ``allowed_folders``, links resolved; or
        anywhere where none but the machine's own user can ask, since it listens on loopback without a login. Raises
        ParameterError.
        """
        shown = path if len(path) <= 80 else path[:77] + "..."
        try:
            folder = (self.data_dir / Path(path).expanduser()).resolve()
            there = bool(path.strip()) and folder.is_dir()
        except (OSError, RuntimeError, ValueError):
            there = False
        own = not self.asks_login and not environ.get(TOKEN_VARIABLE)
        if there and folder.is_relative_to(self.own_extensions_dir.resolve()):
            there = False  # what lies there is run at the next start: no request comes near it
        if there and (
            own or any(folder.is_relative_to(one.resolve()) for one in (self.data_dir, *self.allowed_folders))
        ):
            return folder
        if own:
            raise ParameterError([FieldError(field, "expected a folder that is there", repr(shown))])
        expected = "expected a folder that is there, below the data folder or one that is allowed"
        raise ParameterError([FieldError(field, expected, repr(shown))])

    @property
    def asks_login(self) -> bool:
        """Whether others than this machine's own user may reach the server."""
        return bool(self.login or self.share != "none" or self.trusted_proxies or not is_loopback(self.host))

    @property
    def accounts_path(self) -> Path:
        return self.data_dir / "accounts.sqlite3"

    @property
    def own_extensions_dir(self) -> Path:
        """Extensions that were installed as folders: loaded as those of ``extensions_dirs`` are."""
        return self.data_dir / "extensions"

    @property
    def library_dir(self) -> Path:
        return self.data_dir / "images"

    @property
    def uploads_dir(self) -> Path:
        return self.data_dir / "uploads"

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def queue_path(self) -> Path:
        return self.data_dir / "queue.sqlite3"

    @property
    def index_path(self) -> Path:
        return self.data_dir / "library.sqlite3"

    @property
    def settings_path(self) -> Path:
        return self.data_dir / "settings.json"


def load_settings(overrides: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from every source; ``overrides`` (the command line) win and None in them means not given. Raises
    SetupError.
    """
    environ = os.environ if environ is None else environ
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    said: dict[str, Any] = {
        name: value for name in Settings.model_fields if (value := environ.get(_PREFIX + name.upper())) is not None
    }
    for name in ("models_dirs", "extensions_dirs", "disabled_extensions", "allowed_folders"):
        if name in said:
            said[name] = [part for part in str(said[name]).split(os.pathsep) if part]
    if "trusted_proxies" in said:
        said["trusted_proxies"] = [part.strip() for part in str(said["trusted_proxies"]).split(",") if part.strip()]
    data_dir = Path(given.get("data_dir") or said.get("data_dir") or Settings.model_fields["data_dir"].default)
    merged = {**read_stored(data_dir / "settings.json"), **said, **given}
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        item = error.errors()[0]
        where = ".".join(str(part) for part in item["loc"])
        raise SetupError(
            f"setting {where!r} is wrong: {item['msg']} (got {item.get('input')!r}).",
            hint=f"Mend it on the command line, in {_PREFIX}{where.upper()} or in {data_dir / 'settings.json'}.",
        ) from None
    return settings.model_copy(update={"data_dir": settings.data_dir.resolve()})


def read_stored(path: Path) -> dict[str, Any]:
    """What ``write_stored`` wrote; nothing where there is no file. Raises SetupError on a file that is not a JSON
    object.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SetupError(f"cannot read the settings in {path}: {error}.", hint="Mend or delete that file.") from error
    if not isinstance(stored, dict):
        raise SetupError(
            f"the settings in {path} are a {type(stored).__name__}, expected an object.", hint="Mend or delete it."
        )
    return stored


def write_stored(path: Path, changes: Mapping[str, Any]) -> None:
    """Merge ``changes`` into the stored settings, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    merged = {**read_stored(path), **changes}
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(merged, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
    os.replace(temporary, path)
