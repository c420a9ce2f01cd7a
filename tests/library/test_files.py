from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image

from webui.core.errors import Conflict, JobFailed, NotFound
from webui.core.jobs import Job
from webui.core.specs import Artifact
from webui.library import disk, metadata
from webui.library.files import LibraryFiles
from webui.library.naming import FileName, safe_ending


def test_a_picture_is_saved_whole_under_a_name_that_tells_of_it(files, make) -> None:
    job = Job(pipeline="diffusion.txt2img", created_at=datetime(2026, 3, 4, 5, 6, 7).timestamp())
    record = make(3, job, seed=99)
    assert record.path == f"2026-03-04/20260304-050607_99_{job.id}_0003.png"
    path = files.path_of(record)
    assert record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (record.id, record.size_bytes, record.seed) == (f"{job.id}-3", path.stat().st_size, 99)
    assert (record.width, record.height, record.media_type) == (8, 6, "image/png")
    meta = metadata.read(path)
    assert meta.recipe is not None
    assert meta.recipe.index == 3
    assert "Seed: 99, Size: 8x6" in meta.infotext
    assert list((files.root / ".tmp").iterdir()) == []


def test_two_runs_give_the_same_bytes(files, make) -> None:
    assert make().sha256 == make().sha256


@pytest.mark.parametrize(("image_format", "ending"), [("png", "png"), ("jpeg", "jpg"), ("webp", "webp")])
def test_a_job_s_files_are_found_by_the_files_alone(tmp_path: Path, recipe_of, image_format, ending) -> None:
    files = LibraryFiles(tmp_path, image_format)
    job, other = Job(pipeline="diffusion.txt2img"), Job(pipeline="diffusion.txt2img")
    saved = [
        files.save(
            Artifact("image", Image.new("RGB", (8, 8)), index=index, seed=index + 2**53, title="Tïtle"),
            job,
            recipe_of(),
        )
        for index in (2, 0, 11)
    ]
    files.save(Artifact("image", Image.new("RGB", (8, 8))), other, recipe_of())
    found = LibraryFiles(tmp_path).find_job(job)
    assert [record.index for record in found] == [0, 2, 11]
    by_index = {record.index: record for record in saved}
    for record in found:
        assert record.path.endswith(ending)
        assert record.model_copy(update={"created_at": 0.0}) == by_index[record.index].model_copy(
            update={"created_at": 0.0}
        )
        assert abs(record.created_at - by_index[record.index].created_at) < 5


def test_a_file_cut_short_does_not_count_as_made(files, make) -> None:
    job = Job(pipeline="a.b")
    path = files.path_of(make(0, job))
    make(1, job)
    path.write_bytes(path.read_bytes()[:-20])
    assert [record.index for record in files.find_job(job)] == [1]


def test_a_job_of_another_day_or_zone_is_found(files, make) -> None:
    job = Job(pipeline="a.b")
    record = make(0, job)
    moved = files.root / "x"
    files.path_of(record).parent.rename(moved)
    for shift in (-86_400, 86_400):
        day = datetime.fromtimestamp(job.created_at + shift).strftime("%Y-%m-%d")
        moved.rename(files.root / day)
        assert len(files.find_job(job)) == 1
        (files.root / day).rename(moved)
    assert files.find_job(job) == []


def test_made_again_it_replaces_itself(files, make, recipe_of) -> None:
    job = Job(pipeline="a.b")
    make(0, job)
    again = make(0, job, data=Image.new("RGB", (20, 20)))
    assert [record.sha256 for record in files.find_job(job)] == [again.sha256]
    retried = job.model_copy(update={"attempts": 2})
    webp = LibraryFiles(files.root, "webp")
    webp.save(Artifact("image", Image.new("RGB", (9, 9)), seed=5), retried, recipe_of())
    assert [record.media_type for record in files.find_job(job)] == ["image/webp"]


def test_plain_kinds_and_their_sidecars(files, make) -> None:
    job = Job(pipeline="metrics.fid")
    rows = [{"name": "a,b", "value": 1.5}, {"name": "红", "other": None}]
    table = make(0, job, "table", rows)
    assert files.path_of(table).read_text("utf-8") == 'name,value,other\n"a,b",1.5,\n红,,\n'
    assert (table.media_type, table.path[-4:]) == ("text/csv", ".csv")
    nested = make(1, job, "table", [{"a": [1, 2]}])
    assert json.loads(files.path_of(nested).read_text("utf-8")) == [{"a": [1, 2]}]
    scalar = make(2, job, "scalar", {"fid": 3.25})
    assert json.loads(files.path_of(scalar).read_text("utf-8")) == {"fid": 3.25}
    found = files.find_job(job)
    assert [record.kind for record in found] == ["table", "table", "scalar"]
    assert [record.pipeline for record in found] == ["metrics.fid"] * 3
    described = files.describe(scalar.path)
    assert described is not None
    assert described.recipe is not None
    assert described.recipe.params["steps"] == 20


def test_a_finished_file_is_moved(files, make, tmp_path: Path) -> None:
    source = tmp_path / "Film.MP4"
    source.write_bytes(b"film")
    record = make(0, kind="video", data=source)
    assert not source.exists()
    assert files.path_of(record).read_bytes() == b"film"
    assert (record.media_type, record.sha256) == ("video/mp4", hashlib.sha256(b"film").hexdigest())


def test_a_file_on_another_file_system_is_copied(files, make, tmp_path: Path, monkeypatch) -> None:
    source = tmp_path / "x.bin"
    source.write_bytes(b"data")
    real = os.replace

    def replace(one, other):
        if Path(one) == source:
            raise OSError(errno.EXDEV, "another file system")
        real(one, other)

    monkeypatch.setattr(disk.os, "replace", replace)
    record = make(0, kind="file", data=source)
    assert files.path_of(record).read_bytes() == b"data"
    assert not source.exists()


def test_a_link_is_copied_and_what_it_names_stays(files, make, tmp_path: Path) -> None:
    real = tmp_path / "model.safetensors"
    real.write_bytes(b"weights")
    link = tmp_path / "link.safetensors"
    link.symlink_to(real)
    assert files.path_of(make(0, kind="file", data=link)).read_bytes() == b"weights"
    assert real.read_bytes() == b"weights"


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("image", "no picture"),
        ("video", Path("/none/x.mp4")),
        ("file", 7),
        ("table", [1]),
        ("table", {}),
        ("plot", object()),
        ("scalar", {1: {2}}),
    ],
)
def test_data_of_another_type_are_refused(files, make, kind: str, data: object) -> None:
    with pytest.raises(JobFailed, match=f"artifact 0 of kind {kind} holds"):
        make(0, kind=kind, data=data)
    assert list(files.scan()) == []


@pytest.mark.parametrize("job_id", ["../x", "a/b", "a_b", "", "x" * 65, "a\0b"])
def test_a_job_id_that_cannot_stand_in_a_name_is_refused(files, make, job_id: str) -> None:
    with pytest.raises(JobFailed, match="job id"):
        make(0, Job(id=job_id, pipeline="a.b"))


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "/etc/passwd",
        "a/../../b",
        "C:/x",
        "..",
        "",
        ".",
        "a\\..\\b",
        "x\0y",
        "2026-01-01/../../x",
        "link/passwd",
    ],
)
def test_paths_from_records_stay_inside(files, make, path: str) -> None:
    record = make()
    (files.root / "link").symlink_to("/etc")
    with pytest.raises(NotFound):
        files.path_of(record.model_copy(update={"path": path}))
    with pytest.raises(NotFound):
        files.path_of(record.model_copy(update={"path": path}), trashed=True)


def test_lone_surrogates_and_nul_do_not_stop_a_save(files, make) -> None:
    record = make(prompt="a\ud800b\0c")
    meta = metadata.read(files.path_of(record))
    assert meta.params["prompt"].replace("\ufffd", "") == "ab\0c"
    assert "\0" not in meta.infotext


def test_trash_and_restore_move_file_and_sidecar(files, make) -> None:
    record = make(0, kind="scalar", data=1)
    files.trash(record)
    assert not files.path_of(record).exists()
    assert [found.trashed for found in files.scan()] == [True]
    described = files.describe(record.path, trashed=True)
    assert described is not None
    assert described.recipe is not None
    files.restore(record)
    assert files.path_of(record).exists()
    files.trash(record)
    files.path_of(record).write_bytes(b"made again")
    with pytest.raises(Conflict):
        files.restore(record)
    files.purge(record)
    assert list((files.root / ".trash").rglob("*.*")) == []
    with pytest.raises(NotFound):
        files.trash(record.model_copy(update={"path": "2026-01-01/none.png"}))


def test_sweep_removes_what_dead_writers_left(files) -> None:
    folder = files.root / ".tmp"
    folder.mkdir(parents=True)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for name in (f"{dead.pid}-aa", f"{os.getpid()}-bb", "strange", "1-old"):
        (folder / name).write_bytes(b"half")
    os.utime(folder / "1-old", (time.time() - 90_000,) * 2)
    assert files.sweep() == 2
    assert sorted(path.name for path in folder.iterdir()) == sorted([f"{os.getpid()}-bb", "strange"])


def test_a_full_disk_leaves_nothing_behind(files, make, monkeypatch) -> None:
    def fsync(_descriptor):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(disk.os, "fsync", fsync)
    with pytest.raises(OSError, match="no space"):
        make()
    assert list((files.root / ".tmp").iterdir()) == []


def test_names_are_read_back() -> None:
    for name in (
        FileName("20260304-050607", None, "abc-d", 12345, "csv"),
        FileName("20260304-050607", 2**63 - 1, "a", 0, "png"),
    ):
        assert FileName.parse(str(name)) == name
    for text in (
        "x.png",
        "20260304-050607_1_a_1.png",
        "20260304-050607_1_a_0001.png.recipe.json",
        "20260304-050607_1__0001.png",
    ):
        assert FileName.parse(text) is None
    wrong = FileName.parse("99999999-999999_1_a_0001.png")
    assert wrong is not None
    assert wrong.timestamp is None


def test_names_sort_by_time() -> None:
    names = [str(FileName(f"2026030{day}-000000", seed, "a", 0, "png")) for day, seed in ((1, 9), (2, 10), (3, 1))]
    assert names == sorted(names)


@pytest.mark.parametrize(
    ("name", "ending"), [("a.MP4", "mp4"), ("a", "bin"), ("a.b c", "bin"), ("a.é", "bin"), ("a.tar.gz", "gz")]
)
def test_only_safe_endings_are_taken(name: str, ending: str) -> None:
    assert safe_ending(name) == ending
