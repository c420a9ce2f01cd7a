"""What was made, as the gallery, the HTTP routes and the command line use it: files, their index, favourites and
marks as one thing.

The files are the truth. Whatever is only known to the index can be lost without harm; ``rebuild`` makes it anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui.core.errors import Conflict, NotFound, ParameterError
from webui.core.jobs import ArtifactRecord
from webui.core.recipes import Recipe

from .facets import COLLECTION, TAG
from .favourites import Favourites
from .files import Found, LibraryFiles
from .index import Index, Page
from .marks import NO_MARKS, MarkChange, Marks, MarkStore, clean_name
from .naming import ARTIFACT_ID
from .rows import Entry, Item

_BATCH = 200
"""Files described between two writes of a rebuild: other writers wait no longer than one batch takes to write."""


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild found, in files."""

    added: int = 0
    kept: int = 0
    """Unchanged since they were indexed; not read again."""
    removed: int = 0
    """Rows whose files are gone."""
    skipped: int = 0
    """Files that are no artifacts: not named by us and without our recipe, or cut short."""


@dataclass(frozen=True)
class Named:
    """A tag or a collection."""

    name: str
    count: int
    """Of what is not in the trash."""
    newest: str
    """The id of the newest artifact that has it."""


class Library:
    """All artifacts. Safe to use from several threads and processes."""

    def __init__(self, files: LibraryFiles, index: Index) -> None:
        """Also removes what dead writers left half written."""
        self.files = files
        self.index = index
        self._favourites = Favourites(files.root)
        self._marks = MarkStore(files.root)
        self._within = ""
        files.sweep()

    def within(self, folder: str) -> Library:
        """What lies in ``folder``, with a slash at its end, as a library: all else is not there. Empty: the whole."""
        view = copy(self)
        view._within = folder
        return view

    @property
    def needs_rebuild(self) -> bool:
        """Whether the index is new while there may be files: call ``rebuild`` soon, in a thread of its own."""
        return self.index.fresh and next(self.files.scan(), None) is not None

    def close(self) -> None:
        self.index.close()

    def add(self, record: ArtifactRecord, recipe: Recipe | None = None) -> Item:
        """Index a finished artifact; again under the same id it replaces itself. Its recipe is read from its file
        where none is given.

        Raises NotFound where there is no such file.
        """
        path = self.files.path_of(record)
        try:
            mtime_ns = path.stat().st_mtime_ns
        except OSError:
            raise NotFound(f"artifact {record.id} has no file {record.path}.") from None
        params: Mapping[str, Any] = {}
        if recipe is None and (described := self.files.describe(record.path)) is not None:
            recipe, params = described.recipe, described.params
        return self.index.put(Entry(record, recipe, mtime_ns=mtime_ns, params=params))

    def get(self, artifact_id: str) -> Item:
        """Raises NotFound."""
        if not ARTIFACT_ID.fullmatch(artifact_id):
            raise NotFound(f"{artifact_id[:100]!r} is no artifact's id.")
        item = self.index.get(artifact_id)
        if not item.record.path.startswith(self._within):
            raise NotFound(f"there is no artifact {artifact_id[:100]!r} in the library.")
        return item

    def recipe(self, artifact_id: str) -> Recipe | None:
        """How it was made; None where its file does not say. Raises NotFound."""
        return self.index.recipe(self.get(artifact_id).id)

    def path(self, artifact_id: str) -> Path:
        """Its file, in the trash too. Raises NotFound, also where the file is gone."""
        return self.file(self.get(artifact_id))

    def file(self, item: Item) -> Path:
        """As ``path``, of what was looked up already."""
        path = self.files.path_of(item.record, item.trashed)
        if not path.is_file():
            raise NotFound(
                f"the file of artifact {item.id} is gone.",
                hint="Run `library rebuild` to bring the index up to date.",
            )
        return path

    def page(
        self,
        query: str = "",
        filters: Mapping[str, Any] | None = None,
        *,
        favourites: bool = False,
        trashed: bool = False,
        limit: int = 50,
        cursor: str = "",
        offset: int = 0,
    ) -> Page:
        """Artifacts that fit, newest first; see ``query`` for the words of a search, ``Index.page`` for the rest."""
        return self.index.page(
            query,
            filters,
            favourites=favourites,
            trashed=trashed,
            limit=limit,
            cursor=cursor,
            offset=offset,
            within=self._within,
        )

    def count(
        self,
        query: str = "",
        filters: Mapping[str, Any] | None = None,
        *,
        favourites: bool = False,
        trashed: bool = False,
    ) -> int:
        """How many fit."""
        return self.index.count(query, filters, favourites=favourites, trashed=trashed, within=self._within)

    def neighbours(
        self,
        artifact_id: str,
        query: str = "",
        filters: Mapping[str, Any] | None = None,
        *,
        favourites: bool = False,
        trashed: bool = False,
    ) -> tuple[str, str]:
        """Ids of the next newer and next older one that fit; empty at either end. Raises NotFound."""
        known = self.get(artifact_id).id
        return self.index.neighbours(known, query, filters, favourites=favourites, trashed=trashed, within=self._within)

    def set_favourite(self, artifact_id: str, favourite: bool) -> Item:
        """Raises NotFound."""
        item = self.get(artifact_id)
        self._favourites.change(**{"add" if favourite else "remove": [item.id]})
        self.index.set_favourite(item.id, favourite)
        return self.get(item.id)

    def mark(self, artifact_ids: Iterable[str], change: MarkChange) -> list[Item]:
        """Rate, tag and collect artifacts; as they are afterwards. Raises NotFound for the first that there is not,
        ParameterError.
        """
        wanted = list(dict.fromkeys(artifact_ids))
        paths = {one: path for one, path in self.index.paths(wanted).items() if path.startswith(self._within)}
        if missing := [one for one in wanted if one not in paths]:
            raise NotFound(f"there is no artifact {missing[0][:100]!r} in the library.")
        self.index.set_marks(self._marks.change(paths, change.of))
        return [self.get(one) for one in wanted]

    def tags(self) -> list[Named]:
        """Every tag, by name."""
        return [Named(*row) for row in self.index.names(TAG, self._within)]

    def collections(self) -> list[Named]:
        """Every collection, by name."""
        return [Named(*row) for row in self.index.names(COLLECTION, self._within)]

    def rename_collection(self, name: str, new: str = "") -> int:
        """Give a collection another name, or with none let it go, its pictures staying; how many it had. Raises
        NotFound, ParameterError.
        """
        change = MarkChange(remove_collections=(name,), add_collections=(clean_name(new, "name"),) if new else ())
        ids = []
        with contextlib.suppress(ParameterError):  # what cannot be a name names nothing
            wanted = f'collection:"{clean_name(name)}"'
            ids = [item.id for trashed in (False, True) for item in self.each(wanted, trashed=trashed)]
        if not ids:
            raise NotFound(f"there is no collection {name[:100]!r}.")
        self.mark(ids, change)
        return len(ids)

    def each(
        self,
        query: str = "",
        filters: Mapping[str, Any] | None = None,
        *,
        favourites: bool = False,
        trashed: bool = False,
    ) -> Iterator[Item]:
        """Every artifact that fits, the newest first, read page by page."""
        cursor = ""
        while True:
            page = self.page(query, filters, favourites=favourites, trashed=trashed, limit=500, cursor=cursor)
            yield from page.items
            if not (cursor := page.next):
                return

    def trash(self, artifact_id: str) -> Item:
        """Move its file to the trash, from where ``restore`` brings it back. Nothing changes for what is there. Raises
        NotFound.
        """
        item = self.get(artifact_id)
        if not item.trashed:
            self.files.trash(item.record)
            self.index.set_trashed(item.id, True)
        return self.get(item.id)

    def restore(self, artifact_id: str) -> Item:
        """Bring its file back from the trash. Raises NotFound, Conflict."""
        item = self.get(artifact_id)
        if item.trashed:
            self.files.restore(item.record)
            self.index.set_trashed(item.id, False)
        return self.get(item.id)

    def purge(self, artifact_ids: Iterable[str] | None = None) -> int:
        """Delete for good: the whole trash, or some of what is in it; how many. Raises Conflict for one that is not in
        the trash.
        """
        if artifact_ids is None:
            items = list(self.each(trashed=True))
        else:
            items = [self.get(one) for one in artifact_ids]
        if alive := [item.id for item in items if not item.trashed]:
            raise Conflict(f"artifact {alive[0]} is not in the trash.", hint="Delete it first.")
        for item in items:
            self.files.purge(item.record)
        self._favourites.change(remove=[item.id for item in items])
        self._marks.change({item.id: item.record.path for item in items}, lambda marks: NO_MARKS)
        self.index.remove(item.id for item in items)
        return len(items)

    def rebuild(self, *, full: bool = False, progress: Callable[[int], None] | None = None) -> Rebuilt:
        """Bring the index in line with the files. Files that did not change are not read, unless ``full``.

        ``progress`` is told how many files were looked at. The library can be used meanwhile; what is added meanwhile
        stays.
        """
        stored = self.index.stored_files()
        favourites = self._favourites.read() | self.index.favourite_ids()
        self._favourites.change(add=favourites)
        marks = self._marks.read_all()
        added = kept = skipped = 0
        seen: set[str] = set()
        for batch in _batches(self.files.scan()):
            entries = []
            for found in batch:
                known = stored.get((found.path, found.trashed))
                unchanged = known and (known.size_bytes, known.mtime_ns) == (found.size_bytes, found.mtime_ns)
                if known and unchanged and not full:
                    kept += 1
                    seen.add(known.id)
                    continue
                entry = self._entry(found, favourites, marks)
                if entry is None or (entry.record.id in seen and found.trashed):
                    skipped += 1
                else:
                    seen.add(entry.record.id)
                    entries.append(entry)
            self.index.put_all(entries)
            added += len(entries)
            if progress is not None:
                progress(added + kept + skipped)
        gone = [row.id for (path, _), row in stored.items() if row.id not in seen and not self._has_file(path)]
        self.index.remove(gone)
        self.index.set_marks({one: marks.get(one, NO_MARKS) for one in seen & (marks.keys() | self.index.marked_ids())})
        self.index.fresh = False
        return Rebuilt(added, kept, len(gone), skipped)

    def _has_file(self, path: str) -> bool:
        """Whether a whole file is at a record's path, in the trash or not: one that was moved while the folders were
        read.
        """
        return any(self.files.describe(path, trashed) is not None for trashed in (False, True))

    def _entry(self, found: Found, favourites: set[str], marks: Mapping[str, Marks]) -> Entry | None:
        described = self.files.describe(found.path, found.trashed)
        if described is None:
            return None
        record = described.record
        return Entry(
            record,
            described.recipe,
            favourite=record.id in favourites,
            marks=marks.get(record.id, NO_MARKS),
            params=described.params,
            trashed=found.trashed,
            mtime_ns=found.mtime_ns,
        )


def _batches(files: Iterator[Found]) -> Iterator[list[Found]]:
    batch: list[Found] = []
    for found in files:
        batch.append(found)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
