"""The path of a request as routes have it, without what a proxy shows before it."""

from __future__ import annotations

from starlette.types import Scope


def path_of(scope: Scope) -> str:
    """``scope["path"]`` below ``scope["root_path"]``."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    inside = bool(root) and (path == root or path.startswith(root + "/"))
    return (path[len(root) :] or "/") if inside else path
