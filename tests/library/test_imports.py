from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.library.test_programs import GRAPH
from webui.core.errors import Conflict, NotFound
from webui.library.files import LibraryFiles
from webui.library.imports import Imported, import_file, import_folder
from webui.library.index import Index
from webui.library.library import Library
from webui.library.marks import MarkChange, MarkStore

INFOTEXT = "a dog in a hat\nNegative prompt: fog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 77, Size: 16x16"
MOMENT = 1_700_000_000.0


def picture(path: Path, colour: str = "red", **texts: str) -> Path:
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16), colour).save(path, pnginfo=info)
    os.utime(path, (MOMENT, MOMENT))
    return path


@pytest.fixture
def peer(tmp_path: Path) -> Path:
    """A folder as other programs leave it."""
    folder = tmp_path / "peer"
    picture(folder / "txt2img" / "00001-77.png", parameters=INFOTEXT)
    picture(folder / "ComfyUI_0001_.png", "blue", prompt=json.dumps(GRAPH))
    Image.new("RGB", (9, 9)).save(folder / "photo.JPG")
    picture(folder / "copy of 00001.png", parameters=INFOTEXT)
    (folder / "broken.png").write_bytes((folder / "txt2img" / "00001-77.png").read_bytes()[:60])
    (folder / "notes.txt").write_text("x")
    picture(folder / ".trash" / "gone.png", "green")
    (folder / "link.png").symlink_to(folder / "photo.JPG")
    return folder


@pytest.mark.parametrize("link", [False, True])
def test_a_folder_is_taken_in_with_its_metadata_once(library: Library, peer: Path, link: bool) -> None:
    assert import_folder(library, peer, link=link) == Imported(added=3, known=1, skipped=1)
    assert import_folder(library, peer, link=link) == Imported(added=0, known=4, skipped=1)
    (dog,) = library.page("dog seed:77 steps:20").items
    assert (dog.prompt, dog.record.seed, dog.record.created_at) == ("a dog in a hat", 77, MOMENT)
    assert library.path(dog.id).read_bytes() == (peer / "txt2img" / "00001-77.png").read_bytes()
    assert library.path(dog.id).samefile(peer / "copy of 00001.png") == link
    (cat,) = library.page('sampler:"DPM++ 2M SDE" model:dream').items
    assert "红发" in cat.prompt
    assert library.page("negative_prompt:fog").items == (dog,)


def test_what_is_imported_outlives_the_index_and_its_folder(library: Library, peer: Path) -> None:
    import_folder(library, peer, change=MarkChange(add_tags=("old",), add_collections=("Before",)))
    before = {item.id: item for item in library.each()}
    (peer / "photo.JPG").unlink()
    library.close()
    library.index.path.unlink()
    again = Library(LibraryFiles(library.files.root), Index(library.index.path))
    again.rebuild()
    assert {item.id: item for item in again.each()} == before
    assert all(item.marks.tags == ("old",) for item in before.values())


def test_one_of_ours_keeps_its_identity(library: Library, make, tmp_path: Path) -> None:
    record = make(3, seed=5)
    made = library.files.path_of(record)
    other = Library(LibraryFiles(tmp_path / "other"), Index(tmp_path / "other.sqlite3"))
    assert import_file(other, made) == ("added", record.id)
    assert other.get(record.id).record.sha256 == record.sha256
    assert other.recipe(record.id) is not None
    renamed = made.rename(made.with_name("mine.png"))
    outcome, artifact_id = import_file(other, renamed)
    assert outcome == "added"
    assert artifact_id.startswith("import-")
    other.close()


def test_the_library_is_not_imported_into_itself(library: Library, make, tmp_path: Path) -> None:
    make()
    for folder in (library.files.root, library.files.root.parent, library.files.root / "2026"):
        with pytest.raises((Conflict, NotFound)):
            import_folder(library, folder)
    with pytest.raises(NotFound):
        import_folder(library, tmp_path / "nowhere")


def test_an_import_can_be_stopped(library: Library, peer: Path) -> None:
    assert import_folder(library, peer, progress=lambda done: done.seen < 2).seen == 2
    assert MarkStore(library.files.root).read_all() == {}
