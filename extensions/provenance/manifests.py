"""Between a file and its C2PA manifest: signing and reading. Nothing is fetched: no time stamps, no revocation lists,
no manifests that lie elsewhere.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import c2pa

from .certificates import Identity

_SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOURCE_TYPES = {
    "generated": _SOURCES + "trainedAlgorithmicMedia",
    "edited": _SOURCES + "compositeWithTrainedAlgorithmicMedia",
    "person": _SOURCES + "compositeWithTrainedAlgorithmicMedia",
}
_OFFLINE = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}


@dataclass(frozen=True)
class Manifest:
    """What a file's active manifest says."""

    state: str
    """Trusted: whole, and signed by this installation. Valid: whole, signed by someone unknown here. Invalid: changed
    since, or broken.
    """
    signer: str
    generator: str
    source_types: tuple[str, ...]
    """Last parts of the IPTC's digital source types, such as trainedAlgorithmicMedia."""
    faults: tuple[str, ...]


def can_sign(media_type: str) -> bool:
    """Whether C2PA has a place for a manifest in such a file."""
    return media_type in c2pa.Builder.get_supported_mime_types()


def sign(source: Path, target: Path, media_type: str, origin: str, version: str, identity: Identity) -> None:
    """Write ``source`` with a signed manifest to ``target``. ``origin``: of ``SOURCE_TYPES``. Raises c2pa.C2paError,
    OSError.
    """
    action = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPES[origin]}
    definition = {
        "claim_generator_info": [{"name": "Lifelike", "version": version}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
    }
    info = c2pa.C2paSignerInfo(
        alg=c2pa.C2paSigningAlg.ES256, sign_cert=identity.chain, private_key=identity.key, ta_url=None
    )
    with (
        _context() as context,
        c2pa.Signer.from_info(info) as signer,
        c2pa.Builder(json.dumps(definition), context) as builder,
        source.open("rb") as read,
        target.open("w+b") as write,
    ):
        builder.sign(signer, media_type, read, write)


def read(path: Path, media_type: str, authority: bytes = b"") -> Manifest | None:
    """What the manifest in the file says, checked against the file; None where there is none. ``authority``: whose
    signatures are trusted. Raises c2pa.C2paError for a manifest that cannot be read at all.
    """
    with _context(authority) as context, path.open("rb") as file:
        try:
            reader = c2pa.Reader(media_type, file, context=context)
        except c2pa.C2paError as error:
            if "ManifestNotFound" in f"{type(error).__name__} {error}":
                return None
            raise
        with reader:
            return _told(json.loads(reader.json()), str(reader.get_validation_state()))


def _context(authority: bytes = b"") -> Any:
    settings: dict[str, Any] = dict(_OFFLINE)
    if authority:
        settings["trust"] = {"user_anchors": authority.decode("ascii")}
    return c2pa.Context(c2pa.Settings.from_dict(settings))


def _told(store: dict[str, Any], state: str) -> Manifest:
    manifest = store["manifests"][store["active_manifest"]]
    types = [
        action.get("digitalSourceType", "").rpartition("/")[2]
        for assertion in manifest.get("assertions", ())
        if assertion.get("label", "").startswith("c2pa.actions")
        for action in assertion.get("data", {}).get("actions", ())
    ]
    signature = manifest.get("signature_info") or {}
    generators = manifest.get("claim_generator_info") or [{}]
    faults = [entry.get("explanation") or entry.get("code", "") for entry in store.get("validation_status") or ()]
    return Manifest(
        state=state,
        signer=" / ".join(filter(None, (signature.get("issuer"), signature.get("common_name")))),
        generator=" ".join(filter(None, (generators[0].get("name"), generators[0].get("version")))),
        source_types=tuple(one for one in types if one),
        faults=tuple(faults),
    )
