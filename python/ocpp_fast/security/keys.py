"""Private keys: where they are made and used, and the protocol behind which they may hide."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from ocpp_fast.errors import StorageError
from ocpp_fast.security import csr, files
from ocpp_fast.security.certificates import pem_blocks, public_key_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["FileKeys", "KeyKind", "KeyProvider", "key_id_of", "read_key"]

_PrivateKey: TypeAlias = "ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey"

_RSA_EXPONENT: Final = 65_537
_SUFFIX: Final = ".key"


class KeyKind(StrEnum):
    """Key pairs that a station makes for itself, all strong enough (A00.FR.501, A00.FR.502,
    A00.FR.503). An RSA key takes a few tenths of a second, the others less than one thousandth."""

    EC_P256 = "EC P-256"
    EC_P384 = "EC P-384"
    EC_P521 = "EC P-521"
    RSA_2048 = "RSA 2048"
    RSA_3072 = "RSA 3072"


class KeyProvider(Protocol):
    """Private keys that this station has made, by id. They never leave it (A02.FR.05).

    A key's id is `certificates.public_key_id` of its public key, so that the key of a certificate
    is found without a register. Every method raises `StorageError` when the place of the keys fails
    and `KeyError` for an id that it does not know.
    """

    def create(self, kind: KeyKind = KeyKind.EC_P256) -> str:
        """Makes a key pair (A02.FR.02, A03.FR.02); its id. Durable when it returns."""
        ...

    def ids(self) -> Sequence[str]:
        """All keys, the oldest first."""
        ...

    def public_key(self, key_id: str) -> bytes:
        """As DER, SubjectPublicKeyInfo."""
        ...

    def sign(self, key_id: str, data: bytes) -> bytes:
        """A signature over the data: ECDSA (DER) or RSA PKCS 1 v1.5, both with the hash that suits
        the key (SHA-256, for P-384 SHA-384, for P-521 SHA-512)."""
        ...

    def csr(self, key_id: str, subject: csr.Subject) -> str:
        """A certificate signing request (RFC 2986) in PEM (A02.FR.03, A03.FR.03)."""
        ...

    def tls_file(self, key_id: str) -> str:
        """Path of a file that `ssl.SSLContext.load_cert_chain` takes as key file."""
        ...

    def remove(self, key_id: str) -> None:
        """Forgets a key for ever; no effect if there is none."""
        ...


class FileKeys:
    """Keys in files of one folder, `<id>.key`, PKCS 8 in PEM without a password.

    Files have mode 0600 before their first byte is written, the folder 0700. Nothing of a key is
    kept in memory between two calls.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self, kind: KeyKind = KeyKind.EC_P256) -> str:
        key = _new(kind)
        key_id = _id(key)
        path = self._path(key_id)
        with files.disk_errors(path, "create a key"):
            files.make_folder(self._folder)
            files.sweep(self._folder)
            files.write(path, _pem(key))
        return key_id

    def ids(self) -> tuple[str, ...]:
        found: list[tuple[int, str]] = []
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if entry.name.endswith(_SUFFIX) and not entry.name.startswith("."):
                        name = entry.name.removesuffix(_SUFFIX)
                        found.append((entry.stat().st_mtime_ns, name))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StorageError(str(self._folder), "list the keys", str(error)) from error
        return tuple(name for _, name in sorted(found))

    def public_key(self, key_id: str) -> bytes:
        return _public(self._load(key_id))

    def sign(self, key_id: str, data: bytes) -> bytes:
        key = self._load(key_id)
        digest = csr.digest_for(key)
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(data, padding.PKCS1v15(), digest)
        return key.sign(data, ec.ECDSA(digest))

    def csr(self, key_id: str, subject: csr.Subject) -> str:
        return csr.make(self._load(key_id), subject)

    def tls_file(self, key_id: str) -> str:
        path = self._path(key_id)
        if not path.exists():
            raise KeyError(key_id)
        return str(path)

    def remove(self, key_id: str) -> None:
        path = self._path(key_id)
        with files.disk_errors(path, "remove a key"):
            files.remove(path)

    def _path(self, key_id: str) -> Path:
        if not key_id.isalnum():  # an id is a name made here, never a way out of the folder
            raise KeyError(key_id)
        return self._folder / f"{key_id}{_SUFFIX}"

    def _load(self, key_id: str) -> _PrivateKey:
        path = self._path(key_id)
        try:
            pem = path.read_bytes()
        except FileNotFoundError:
            raise KeyError(key_id) from None
        except OSError as error:
            raise StorageError(str(path), "read a key", str(error)) from error
        key = _parse(pem)
        if key is None:
            raise StorageError(str(path), "read a key", "no private key of a known kind")
        return key


def key_id_of(pem: bytes) -> str | None:
    """The id of the private key in a PEM text; None if there is no readable one in it.

    A key with a password counts as not readable: a station starts without anyone who could type it.
    """
    key = _parse(pem)
    return None if key is None else _id(key)


def read_key(pem: bytes) -> tuple[str, bytes] | None:
    """The id of the private key in a PEM text and the key as `FileKeys` would keep it; None if
    there is no readable one."""
    key = _parse(pem)
    return None if key is None else (_id(key), _pem(key))


def _parse(pem: bytes) -> _PrivateKey | None:
    """What went wrong is not told: the text of such an error might quote the key."""
    block = next((each for kind, each in pem_blocks(pem) if kind.endswith("PRIVATE KEY")), None)
    if block is None:
        return None
    try:
        key = load_pem_private_key(block, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) else None


def _new(kind: KeyKind) -> _PrivateKey:
    match kind:
        case KeyKind.RSA_2048:
            return rsa.generate_private_key(_RSA_EXPONENT, 2_048)
        case KeyKind.RSA_3072:
            return rsa.generate_private_key(_RSA_EXPONENT, 3_072)
        case KeyKind.EC_P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyKind.EC_P384:
            return ec.generate_private_key(ec.SECP384R1())
        case KeyKind.EC_P521:
            return ec.generate_private_key(ec.SECP521R1())


def _pem(key: _PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public(key: _PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _id(key: _PrivateKey) -> str:
    return public_key_id(_public(key))
