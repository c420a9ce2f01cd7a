"""Below signing: this installation's own certificate, made at its first use.

An authority signs one certificate for signing and its key is thrown away, so that nobody can make others under its
name. Neither names a person or a machine.
"""

from __future__ import annotations

import datetime
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_YEARS = 10


@dataclass(frozen=True)
class Identity:
    """PEM texts."""

    chain: bytes
    """The signer's certificate, then the authority's."""
    key: bytes
    authority: bytes


def own_identity(folder: Path) -> Identity:
    """The identity in ``folder``, made where there is none. Raises OSError."""
    if not (folder / "signer.key").is_file():
        _make(folder)
    read = [(folder / name).read_bytes() for name in ("signer.pem", "signer.key", "authority.pem")]
    return Identity(*read)


def known_authority(folder: Path) -> bytes:
    """The certificate by which own signatures are recognised; empty where nothing was signed yet."""
    path = folder / "authority.pem"
    return path.read_bytes() if path.is_file() else b""


def _make(folder: Path) -> None:
    """All three files at once: the folder gets its name when they are there. Whoever comes second uses the first's."""
    building = folder.with_name(f"{folder.name}.{os.getpid()}-{secrets.token_hex(4)}")
    building.mkdir(parents=True)
    try:
        identity = _new_identity()
        for name, data in (
            ("signer.pem", identity.chain),
            ("authority.pem", identity.authority),
            ("signer.key", identity.key),
        ):
            descriptor = os.open(building / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        try:
            os.rename(building, folder)
        except OSError:
            if not (folder / "signer.key").is_file():
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _new_identity() -> Identity:
    """ECDSA on P-256, as C2PA's certificate profile asks for."""
    mark = secrets.token_hex(4)
    above, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    names = [_name(f"Lifelike {word} {mark}") for word in ("authority", "signer")]
    above_id = x509.SubjectKeyIdentifier.from_public_key(above.public_key())
    authority = (
        _begun(names[0], names[0], above.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign=False), critical=True)
        .add_extension(above_id, critical=False)
        .sign(above, hashes.SHA256())
    )
    signer = (
        _begun(names[1], names[0], own.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(above_id), critical=False)
        .sign(above, hashes.SHA256())
    )
    pem = [one.public_bytes(serialization.Encoding.PEM) for one in (signer, authority)]
    key = own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Identity(chain=pem[0] + pem[1], key=key, authority=pem[1])


def _name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Lifelike"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def _begun(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=365 * _YEARS))
    )


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not sign,
        crl_sign=not sign,
        encipher_only=False,
        decipher_only=False,
    )
