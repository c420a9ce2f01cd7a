"""A zoo of bad extensions, each written to a folder, and how the host must judge it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

GOOD_INIT = """
from webui.api import Params, PipelineSpec, hookimpl, integer

class P(Params):
    count: int = integer(1, minimum=1, maximum=9, label="Count")

@hookimpl
def register_pipelines():
    return [PipelineSpec(id="{id}.make", title="Make", params=P, run=".work:Make")]
"""


@dataclass(frozen=True)
class Animal:
    """One extension: its files, and the state and stage the host must give it, with a word of the reason."""

    id: str
    init: str | None
    state: str
    stage: str
    says: str
    manifest: str | None = 'id = "{id}"\nversion = "1.0"\napi = "1.0"\n'
    files: dict[str, str] = field(default_factory=dict)

    def write(self, directory: Path) -> Path:
        folder = directory / self.id
        folder.mkdir(parents=True)
        if self.manifest is not None:
            (folder / "extension.toml").write_text(self.manifest.replace("{id}", self.id), encoding="utf-8")
        if self.init is not None:
            (folder / "__init__.py").write_text(dedent(self.init).replace("{id}", self.id), encoding="utf-8")
        for name, text in self.files.items():
            (folder / name).write_text(dedent(text), encoding="utf-8")
        return folder


def good(name: str) -> Animal:
    work = """
    class Make:
        def run(self, params, context):
            return ()
    """
    return Animal(name, GOOD_INIT, "loaded", "", "", files={"work.py": work})


ZOO: tuple[Animal, ...] = (
    Animal("raises_at_import", "raise RuntimeError('boom')", "failed", "import", "boom"),
    Animal(
        "names_a_list_of_another",
        """
        from webui.api import ChoiceSource, hookimpl

        @hookimpl
        def register_choices():
            return [ChoiceSource("diffusion.styles", "Styles", lambda folders: [])]
        """,
        "blocked",
        "declare",
        "expected names_a_list_of_another.<name>",
    ),
    Animal("missing_module", "import a_module_that_is_not_there", "failed", "import", "a_module_that_is_not_there"),
    Animal("exits_at_import", "import sys\nsys.exit(3)", "failed", "import", "SystemExit"),
    Animal("does_not_parse", "def broken(:\n", "failed", "import", "SyntaxError"),
    Animal("broken_toml", GOOD_INIT, "blocked", "manifest", "cannot be read", manifest="id = broken_toml\n[["),
    Animal(
        "unknown_key",
        GOOD_INIT,
        "blocked",
        "manifest",
        "pirates",
        manifest='id = "unknown_key"\nversion = "1"\napi = "1.0"\npirates = 3\n',
    ),
    Animal("no_manifest", GOOD_INIT, "blocked", "manifest", "there is no extension.toml", manifest=None),
    Animal(
        "other_id", GOOD_INIT, "blocked", "manifest", "somebody", manifest='id = "somebody"\nversion = "1"\napi = "1.0"'
    ),
    Animal(
        "bad_version", GOOD_INIT, "blocked", "manifest", "version", manifest='id = "{id}"\nversion = "new"\napi = "1.0"'
    ),
    Animal(
        "api_major", GOOD_INIT, "blocked", "api", "another major", manifest='id = "{id}"\nversion = "1"\napi = "2.0"'
    ),
    Animal(
        "api_minor", GOOD_INIT, "blocked", "api", "offers only 1.", manifest='id = "{id}"\nversion = "1"\napi = "1.99"'
    ),
    Animal(
        "wants_package",
        GOOD_INIT,
        "blocked",
        "requirements",
        "not installed",
        manifest='id = "{id}"\nversion = "1"\napi = "1.0"\nrequires = ["no-such-package-anywhere>=1"]',
    ),
    Animal(
        "wants_newer",
        GOOD_INIT,
        "blocked",
        "requirements",
        "found",
        manifest='id = "{id}"\nversion = "1"\napi = "1.0"\nrequires = ["pluggy>=999"]',
    ),
    Animal(
        "wants_extension",
        GOOD_INIT,
        "blocked",
        "requirements",
        "nobody",
        manifest='id = "{id}"\nversion = "1"\napi = "1.0"\nrequires_extensions = ["nobody>=1"]',
    ),
    Animal(
        "misspelled_hook",
        """
        from webui.api import hookimpl

        @hookimpl
        def register_pipeline():
            return []
        """,
        "blocked",
        "hooks",
        "register_pipeline",
    ),
    Animal(
        "bad_signature",
        """
        from webui.api import hookimpl

        @hookimpl
        def artifact_saved(record, colour):
            return None
        """,
        "blocked",
        "register",
        "colour",
    ),
    Animal(
        "wrapping_hook",
        """
        from webui.api import hookimpl

        @hookimpl(wrapper=True)
        def register_pipelines():
            return (yield)
        """,
        "blocked",
        "hooks",
        "wrapper",
    ),
    Animal(
        "raises_midway",
        """
        from webui.api import Params, PipelineSpec, hookimpl

        @hookimpl
        def register_pipelines():
            yield PipelineSpec(id="raises_midway.one", title="One", params=Params, run=".work:One")
            raise ValueError("midway")
        """,
        "failed",
        "declare",
        "midway",
    ),
    Animal(
        "not_a_list",
        """
        from webui.api import hookimpl

        @hookimpl
        def register_pipelines():
            return 7
        """,
        "blocked",
        "declare",
        "expected a list",
    ),
    Animal(
        "wrong_things",
        """
        from webui.api import hookimpl

        @hookimpl
        def register_tabs():
            return ["a tab"]
        """,
        "blocked",
        "declare",
        "expected TabSpec",
    ),
    Animal("others_pipeline", GOOD_INIT.replace("{id}.make", "good_one.make"), "blocked", "declare", "good_one.make"),
    Animal(
        "twice_the_same",
        """
        from webui.api import Params, PipelineSpec, hookimpl

        @hookimpl
        def register_pipelines():
            return [PipelineSpec(id="twice_the_same.a", title="A", params=Params, run=".work:A")] * 2
        """,
        "blocked",
        "declare",
        "already registered",
    ),
    Animal(
        "bad_params",
        """
        from webui.api import Params, PipelineSpec, hookimpl

        class P(Params):
            plain: int = 3

        @hookimpl
        def register_pipelines():
            return [PipelineSpec(id="bad_params.a", title="A", params=P, run=".work:A")]
        """,
        "blocked",
        "declare",
        "has no widget",
    ),
    Animal(
        "bad_run",
        """
        from webui.api import Params, PipelineSpec, hookimpl

        @hookimpl
        def register_pipelines():
            return [PipelineSpec(id="bad_run.a", title="A", params=Params, run="no colon")]
        """,
        "blocked",
        "declare",
        "package.module:Class",
    ),
    Animal(
        "hostile_object",
        """
        class Hostile:
            def __getattr__(self, name):
                raise RuntimeError("do not look at me")

        thing = Hostile()
        """,
        "failed",
        "register",
        "do not look",
    ),
)
"""Those that fail while they are loaded. What fails later (tabs, pipelines) is tested where it runs."""

ENDS_THE_START: tuple[Animal, ...] = (
    Animal("ends_the_start", "import os\nos._exit(7)", "blocked", "import", "the last start ended"),
    Animal(
        "hangs_the_start", "import time\nwhile True:\n    time.sleep(1)", "blocked", "import", "the last start ended"
    ),
)
"""Those that take the process with them, each of one start: the next one leaves them out."""

_SPEC = """
from webui.api import Params, PipelineSpec, TabSpec, hookimpl

@hookimpl
def register_pipelines():
    return [PipelineSpec(id="{id}.make", title="Make", tab="{id}", params=Params, run=".work:Make")]
"""


def _made(name: str, body: str) -> Animal:
    work = "import os\nimport sys\nimport time\n\n\nclass Make:\n    def run(self, params, context):\n"
    return Animal(name, _SPEC, "loaded", "", "", files={"work.py": f"{work}        {body}\n"})


def _hook(name: str, code: str) -> Animal:
    return Animal(name, f"from webui.api import TabSpec, hookimpl\n\n@hookimpl\n{code}\n", "loaded", "", "")


LATE: tuple[Animal, ...] = (
    _made("raises_in_its_job", "raise ValueError('the dog ate it')"),
    _made("exits_in_its_job", "sys.exit(3)"),
    _made("ends_the_worker", "os._exit(9)"),
    _made("makes_rubbish", "return [7]"),
    _made("work_is_missing", "from nowhere_at_all import nothing"),
    _hook("breaks_pictures", "def process_image(image, context):\n    raise ValueError('no picture')"),
    _hook("breaks_the_news", "def artifact_saved(record):\n    raise ValueError('no news')"),
    _hook("breaks_the_end", "def job_finished(job):\n    raise SystemExit(4)"),
    _hook("breaks_app_started", "def app_started(app):\n    raise ValueError('not today')"),
    Animal(
        "breaks_its_tab",
        "from webui.api import TabSpec, hookimpl\n\n@hookimpl\ndef register_tabs():\n"
        "    return [TabSpec(id='breaks_its_tab', title='Broken', build='.tab:build')]\n",
        "loaded",
        "",
        "",
        files={"tab.py": "def build(context):\n    raise ValueError('no tab')\n"},
    ),
)
"""Those that load, and fail when they are used."""
