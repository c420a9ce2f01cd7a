"""For pytest, in tests of extensions: the fixture ``lifelike``. Loaded by ``ext test``, or ``-p webui.testing.plugin``.

Nothing heavy is imported before a test asks for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fastapi import FastAPI

    from webui.testing import Outcome, Studio
    from webui.testing.report import CheckReport


class Lifelike:
    """The application on folders of one test's own, with the extension that the test lies in, and those of the project
    that it requires.
    """

    def __init__(self, tests: Path, data_dir: Path) -> None:
        self.tests = tests
        self.data_dir = data_dir
        self._studio: Studio | None = None

    @property
    def extension(self) -> Path:
        """The folder around the tests that holds ``extension.toml``, or the package with one beside them."""
        for folder in self.tests.parents:
            inner = [*folder.glob("*/extension.toml"), *folder.glob("src/*/extension.toml")]
            if (folder / "extension.toml").exists():
                return folder
            if (folder / "pyproject.toml").exists() and len(inner) == 1:
                return inner[0].parent
        raise LookupError(f"no extension.toml above {self.tests}: put tests into a folder of the extension")

    @property
    def id(self) -> str:
        """The extension's."""
        from webui.plugins.manifest import read_manifest

        return read_manifest(self.extension).id

    @property
    def studio(self) -> Studio:
        """Extensions, models, library; made when it is first asked for."""
        if self._studio is None:
            from webui.core.settings import ROOT
            from webui.testing import make_studio

            folder = self.extension
            project = ROOT / "extensions"
            beside = folder.parent
            if folder.name != self.id:  # a package: it is found under its id
                beside = self.data_dir / "under_test"
                beside.mkdir(parents=True, exist_ok=True)
                (beside / self.id).symlink_to(folder, target_is_directory=True)
            directories = [project] if folder.is_relative_to(project) else [beside, project]
            self._studio = make_studio(self.data_dir, extensions_dirs=directories)
        return self._studio

    def run(self, pipeline: str, **params: Any) -> Outcome:
        """Run a pipeline; a name without a dot is one of the extension's own."""
        from webui.testing import run_pipeline

        name = pipeline if "." in pipeline else f"{self.id}.{pipeline}"
        return run_pipeline(name, params, self.data_dir, studio=self.studio)

    def cancel(self, pipeline: str, **params: Any) -> Outcome:
        """Run it, and cancel it at its first progress."""
        from webui.testing import run_pipeline

        name = pipeline if "." in pipeline else f"{self.id}.{pipeline}"
        return run_pipeline(
            name, params, self.data_dir, studio=self.studio, cancel_when=lambda told: bool(told.progress)
        )

    def picture(self, size: int = 64) -> str:
        """A picture with edges and colours, as a parameter takes it."""
        from webui.testing.samples import sample_picture

        self.data_dir.mkdir(parents=True, exist_ok=True)
        return str(sample_picture(self.data_dir / f"sample-{size}.png", size))

    def app(self, **options: Any) -> FastAPI:
        """The web application, as ``webui.testing.make_app`` gives it."""
        from webui.testing import make_app

        return make_app(self.studio, **options)

    def check(self, *, run_jobs: bool = True) -> CheckReport:
        """All checks of ``ext check``, in a process of its own."""
        from webui.core.settings import Settings
        from webui.testing.supervise import check_extension, subject_at

        folder = self.extension
        subject = subject_at(folder if folder.name == self.id else self.tests.parent.parent)
        return check_extension(subject, Settings(data_dir=self.data_dir), run_jobs=run_jobs)

    def close(self) -> None:
        """Close what the test opened."""
        if self._studio is not None:
            self._studio.library.close()


@pytest.fixture
def lifelike(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """The application, for one test of an extension: ``lifelike.run("grey", image=lifelike.picture())``."""
    given = Lifelike(request.path, tmp_path / "data")
    yield given
    given.close()
