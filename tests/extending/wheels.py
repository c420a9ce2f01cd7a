"""Wheels of small extensions, written without a build."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

INIT = """
from webui.api import Params, PipelineSpec, hookimpl, integer

class P(Params):
    count: int = integer(1, minimum=1, maximum=9, label="Count")

@hookimpl
def register_pipelines():
    return [PipelineSpec(id="{id}.make", title="Make {version}", params=P, run=".work:Make")]
"""


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    requires: tuple[str, ...] = (),
    init: str = INIT,
    api: str = "1.0",
    group: str = "webui.v1",
) -> Path:
    """The wheel of an extension ``name`` (distribution ``ext-name``, package ``ext_name``)."""
    package = f"ext_{name}"
    info = f"{package}-{version}.dist-info"
    manifest = f'id = "{name}"\nversion = "{version}"\napi = "{api}"\n'
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    files = {
        f"{package}/__init__.py": init.replace("{id}", name).replace("{version}", version),
        f"{package}/extension.toml": manifest,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: ext-{name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[{group}]\n{name} = {package}\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text.encode())}")
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{package}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel
