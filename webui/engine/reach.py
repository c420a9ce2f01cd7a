"""What a job may open, between its context and the application's parts: all that the studio's owner may name; of a
guest, uploads, the guest's own artifacts, and models of the list.

The web process asks the same when a job is accepted (``core.guests``). It is asked here again, at the one place where
references become files: a pipeline may make references out of anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from webui.core.accepting import Acceptor
from webui.core.errors import FieldError, Forbidden, NotFound, ParameterError
from webui.core.guests import UNBOUNDED, GuestRules, Quota, folder_of_guest, is_guest
from webui.library.marks import in_collection
from webui.library.uploads import interning

from .surroundings import Surroundings


class Reach:
    """Of the jobs of one owner."""

    def __init__(self, around: Surroundings, owner: str, quota: Quota = UNBOUNDED) -> None:
        self._around = around
        self.quota = quota
        self.is_guest = is_guest(owner)
        self._owner = owner
        self._own = around.files.root / folder_of_guest(owner)

    @property
    def accept(self) -> Acceptor:
        """Freezes the parameters of a run within a run, which may be as large as a job of the guest's own."""
        if not self.is_guest:
            return self._around.accept
        uploads = self._around.uploads
        rules = GuestRules(self.owns, partial(uploads.is_from, guest=self._owner), self.quota)
        return replace(
            self._around.accept, rules=rules, intern=interning(uploads, allow_paths=False, guest=self._owner)
        )

    def check_count(self, kept: int) -> None:
        """Whether runs within a job that kept ``kept`` pictures may keep another. Raises Forbidden."""
        if self.quota.pictures and kept >= self.quota.pictures:
            raise Forbidden(
                f"guests may ask for {self.quota.pictures} pictures at once, and so many were made.",
                hint="The studio's owner can raise a guest's limits.",
            )

    def owns(self, artifact_id: str) -> bool:
        """Whether there is such an artifact within reach."""
        try:
            return self._around.uploads.path(f"artifact:{artifact_id}").is_relative_to(self._own)
        except (NotFound, ParameterError):
            return False

    def check(self, ref: str) -> str:
        """``ref`` itself. Raises NotFound for an artifact of another."""
        if self.is_guest and ref.startswith("artifact:") and not self.owns(ref[len("artifact:") :]):
            raise NotFound(f"there is no artifact {ref[len('artifact:') :][:100]!r} in the library.")
        return ref

    def folder(self, path: str) -> Path:
        """Raises ParameterError."""
        if self.is_guest:
            raise ParameterError([FieldError("folder", "guests cannot name folders of this machine")])
        return self._around.settings.requested_folder(path, os.environ)

    def collection(self, name: str) -> list[str]:
        """References of what was put together under ``name``."""
        refs = (f"artifact:{one}" for one in in_collection(self._around.files.root, name))
        return [ref for ref in refs if not self.is_guest or self.owns(ref[len("artifact:") :])]

    def check_model(self, ref: str, listed: Iterable[str]) -> None:
        """``listed``: the references of the catalog. Raises Forbidden."""
        if self.is_guest and ref not in listed:
            raise Forbidden("guests choose among the models of the list.", hint="Ask the owner to put it there.")
