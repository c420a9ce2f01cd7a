"""Sets by themselves: data sets of the hub, prompts of files, order and threads, stores that were cut off."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from extensions.metrics.features.store import Columns, FeatureStore, prune
from extensions.metrics.inputs.hub import PRESETS, HubPictures
from extensions.metrics.inputs.made import texts_in
from extensions.metrics.inputs.pictures import formats
from extensions.metrics.inputs.places import folder_set, zip_set
from extensions.metrics.tests.conftest import write_pictures
from webui.api import JobFailed

ONLINE: Any = SimpleNamespace(offline=False)


def test_pictures_come_in_order_from_several_threads(tmp_path: Path) -> None:
    pictures = folder_set(write_pictures(tmp_path / "set", 30, 1), "set", threads=4)
    seen: set[str] = set()

    def prepare(picture: Any) -> tuple[Any, str]:
        seen.add(threading.current_thread().name)
        return picture.tobytes(), threading.current_thread().name

    read = [data for data, _ in pictures.read(3, prepare)]
    assert read == [pictures.picture(index).tobytes() for index in range(3, 30)]
    assert all(name.startswith("decode") for name in seen)


def test_a_reader_that_is_left_early_leaves_no_work_behind(tmp_path: Path) -> None:
    pictures = folder_set(write_pictures(tmp_path / "set", 30, 1), "set", threads=2)
    opened: list[int] = []
    reader = pictures.read(0, lambda picture: opened.append(1))
    next(reader)
    reader.close()
    assert len(opened) < 12


def test_links_out_of_a_folder_are_left_out(tmp_path: Path) -> None:
    outside = write_pictures(tmp_path / "outside", 1, 2) / "0000.png"
    folder = write_pictures(tmp_path / "set", 3, 1)
    (folder / "link.png").symlink_to(outside)
    (folder / "same.png").symlink_to(folder / "0001.png")
    assert [folder_set(folder, "set", 1).name(i) for i in range(4)] == ["0000.png", "0001.png", "0002.png", "same.png"]


def test_what_changed_is_another_set(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "set", 3, 1)
    first = folder_set(folder, "set", 1).identity
    assert folder_set(folder, "other title", 1).identity == first
    write_pictures(tmp_path / "set", 4, 1)
    assert folder_set(folder, "set", 1).identity != first


def test_formats_are_told_by_their_shares() -> None:
    assert formats(["a.png", "b.PNG"]) == "png"
    assert formats(["a.png", "b.jpg", "c.jpeg", "d.jpg"]) == "jpeg 75%, png 25%"


def test_a_file_that_is_no_zip_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK no")
    with pytest.raises(JobFailed, match="is no zip"):
        zip_set(tmp_path / "a.zip", "a.zip", 1)


def test_prompts_are_lines_or_captions(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n\n two \n", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"text": "a hat", "file_name": "1.png"}\n{"text": "帽子"}\n', encoding="utf-8")
    assert texts_in(tmp_path / "a.txt") == ["one", "two"]
    assert texts_in(tmp_path / "b.jsonl") == ["a hat", "帽子"]
    (tmp_path / "c.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(JobFailed, match="no prompts"):
        texts_in(tmp_path / "c.txt")


@pytest.mark.skipif(importlib.util.find_spec("datasets") is not None, reason="the package is installed here")
def test_without_the_package_it_is_said_what_to_install() -> None:
    with pytest.raises(JobFailed) as caught:
        HubPictures("celeba", 8, ONLINE)
    assert "pip install datasets" in caught.value.hint


@pytest.mark.parametrize("ref", ["../x", "/etc", "extensions/metrics", "a/b/c", "not a name"])
def test_a_data_set_is_no_way_to_folders_of_this_machine(ref: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[3])
    with pytest.raises(JobFailed, match=r"is no id of the hub|names no data set"):
        HubPictures(ref, 8, ONLINE)


def test_a_data_set_is_streamed_with_its_preset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The library's face alone is stood in for: rows that can be skipped."""
    pictures = folder_set(write_pictures(tmp_path / "set", 6, 1), "set", 1)
    asked: list[Any] = []

    class Image:
        """As the library names the kind of a column."""

    class Rows:
        features = {"label": object(), "picture": Image()}

        def __init__(self, start: int = 0) -> None:
            self.start = start

        def skip(self, count: int) -> Rows:
            return Rows(count)

        def __iter__(self) -> Any:
            return ({"picture": pictures.picture(index)} for index in range(self.start, 6))

    def load_dataset(repository: str, **said: Any) -> Rows:
        asked.append((repository, said))
        return Rows()

    module = ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)
    found = HubPictures("wikiart@v1[train]", 5, ONLINE)
    assert asked == [(PRESETS["wikiart"].repository, {"split": "train", "revision": "v1", "streaming": True})]
    assert list(found.read(3, lambda one: one.tobytes())) == [pictures.picture(i).tobytes() for i in (3, 4)]
    assert found.picture(1).tobytes() == pictures.picture(1).tobytes()


def test_the_library_itself_streams_a_folder_and_a_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The real library where it is installed; its builders of local files stand in for the hub's answer."""
    datasets = pytest.importorskip("datasets")
    folder = write_pictures(tmp_path / "set" / "train", 5, 1)
    wanted = [picture.tobytes() for picture in folder_set(folder, "set", 1).read(0, lambda one: one)]
    load = datasets.load_dataset
    load("imagefolder", data_dir=str(folder.parent), split="train", cache_dir=str(tmp_path / "cache")).to_parquet(
        str(tmp_path / "rows.parquet")
    )
    for builder, said in (
        ("imagefolder", {"data_dir": str(folder.parent)}),
        ("parquet", {"data_files": {"train": str(tmp_path / "rows.parquet")}}),
    ):
        monkeypatch.setattr(
            datasets,
            "load_dataset",
            lambda _, b=builder, s=said, **asked: load(b, split=asked["split"], streaming=asked["streaming"], **s),
        )
        found = HubPictures("wikiart", 5, ONLINE)
        assert list(found.read(0, lambda one: one.tobytes())) == wanted
        assert list(found.read(3, lambda one: one.tobytes())) == wanted[3:], "as a run that goes on"


def test_offline_no_data_set_is_asked_for() -> None:
    with pytest.raises(JobFailed, match="offline"):
        HubPictures("celeba", 8, SimpleNamespace(offline=True))  # type: ignore[arg-type]


# Features on disk


def rows(n: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


def test_a_store_that_was_cut_off_has_its_whole_batches(tmp_path: Path) -> None:
    columns = Columns(3, {"a": 2, "b": 4})
    store = FeatureStore(tmp_path / "store", columns, batch=4)
    features, logits = rows(8, 3), rows(8, 6)
    store.append(features[:4], logits[:4])
    store.append(features[4:], logits[4:])
    with (tmp_path / "store" / "features.f32").open("ab") as file:
        file.write(b"\0" * 17)  # a batch of which one file had a part
    again = FeatureStore(tmp_path / "store", columns, batch=4)
    assert again.rows == 8
    assert not again.complete
    again.append(rows(2, 3, 1), rows(2, 6, 1))
    again.finish({"title": "x"})
    whole = FeatureStore(tmp_path / "store", columns, batch=4)
    assert (whole.rows, whole.complete) == (10, True)
    np.testing.assert_array_equal(whole.features[:8], features)
    np.testing.assert_array_equal(np.concatenate(list(whole.logits()), 1)[:8], logits)
    assert [table.shape for table in whole.logits()] == [(10, 2), (10, 4)]


def test_a_store_of_other_columns_begins_anew(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, Columns(3, {}), batch=2)
    store.append(rows(2, 3), None)
    store.finish({})
    other = FeatureStore(tmp_path, Columns(2, {}), batch=2)
    assert (other.rows, other.complete) == (0, False)
    assert other.features.shape == (0, 2)


def test_what_was_used_longest_ago_gives_way(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abc"]
    for place, folder in enumerate(folders):
        store = FeatureStore(folder, Columns(100, {}), batch=2)
        store.append(rows(10, 100), None)
        store.finish({})
        os.utime(folder / "about.json", (1000 + place, 1000 + place))
    assert prune(tmp_path, 10_000, [folders[0]]) == [folders[1]]
    assert prune(tmp_path, 10_000, []) == []
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["a", "c"]
    assert prune(tmp_path, 0, folders) == []
