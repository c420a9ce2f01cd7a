"""Which right each address needs. What is not named here is the owner's: a new route is closed until someone opens it.

Whose jobs and pictures a guest meets behind an open address is decided in ``scoped``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from webui.accounts.people import Scope

_LOOK = frozenset({"GET", "HEAD", "OPTIONS"})

_READ = (
    "/",
    # Gradio's page, its parts, and what an event answered.
    r"/(?:config|theme\.css|favicon\.ico|manifest\.json|robots\.txt|app_id)",
    r"/(?:assets|static|svelte|custom_component)/.+",
    r"/gradio_api/.+",
    r"/ui/.+",
    r"/openapi\.json",
    r"/api/v1/(?:health|me|pipelines|jobs|events|artifacts|models|tags|collections|export|tokens)",
    r"/api/v1/(?:pipelines|jobs|artifacts)/.+",
    r"/sdapi/v1/(?:progress|options|memory|samplers|schedulers|upscalers|latent-upscale-modes|sd-models|sd-vae|loras)",
    r"/sdapi/v1/(?:embeddings|prompt-styles|scripts|script-info|hypernetworks|face-restorers|realesrgan-models|cmd-flags)",
)
_GENERATE: Mapping[str, tuple[str, ...]] = {
    "POST": (
        r"/gradio_api/.+",
        r"/api/v1/(?:jobs|uploads|metadata|prompt|selection)",
        r"/api/v1/jobs/[^/]+/(?:retry|resume)",
        r"/api/v1/artifacts/[^/]+/restore",
        r"/sdapi/v1/(?:txt2img|img2img|extra-single-image|png-info|interrupt|skip)",
        "/mcp",
    ),
    "GET": ("/mcp",),
    "PATCH": (r"/api/v1/artifacts/[^/]+", r"/api/v1/collections/.+"),
    "DELETE": (r"/api/v1/(?:jobs|artifacts)/[^/]+", r"/api/v1/collections/.+", "/mcp"),
}
_OWN = r"/api/v1/me(?:/.+)?"
"""A person's own password, sessions and tokens: the routes see to it that they are."""

_READ_PATHS = re.compile("|".join(f"(?:{one})" for one in _READ))
_GENERATE_PATHS = {method: re.compile("|".join(f"(?:{one})" for one in paths)) for method, paths in _GENERATE.items()}
_OWN_PATHS = re.compile(_OWN)


def needed(method: str, path: str) -> Scope:
    """The right that a request of ``method`` to ``path`` needs."""
    if (pattern := _GENERATE_PATHS.get(method)) is not None and pattern.fullmatch(path):
        return Scope.GENERATE
    if (method in _LOOK and _READ_PATHS.fullmatch(path)) or _OWN_PATHS.fullmatch(path):
        return Scope.READ
    return Scope.ADMIN
