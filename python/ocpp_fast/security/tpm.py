"""Private keys in a TPM 2.0, made and used by OpenSSL's tpm2 provider (docs/tpm.md).

A key is a file, too, but one that only the TPM that made it can open: `TSS2 PRIVATE KEY` in PEM.
Creation and signing go through the `openssl` command; the TLS of this process signs by itself when
OPENSSL_CONF activates the provider in it, which `TpmKeys.check` tries out.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from ocpp_fast.errors import ConfigurationError, StorageError
from ocpp_fast.security import csr
from ocpp_fast.security.certificates import public_key_id
from ocpp_fast.security.keys import KeyKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cryptography.hazmat.primitives.serialization import (
        KeySerializationEncryption,
        PrivateFormat,
    )
    from cryptography.utils import Buffer

__all__ = ["TpmKeys"]

_ENDING: Final = ".tss2"
_HEADER: Final = b"-----BEGIN TSS2 PRIVATE KEY-----"
_ID_LENGTH: Final = 32
_ROUNDS: Final = 10
_STAYS: Final = "the key stays in the TPM"
# The name is said outright: without it a provider that is preferred by OPENSSL_CONF would sign,
# and a key would be made outside the TPM.
_PROVIDERS: Final = ("-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2")
_GROUPS: Final = {
    KeyKind.EC_P256: "group:P-256",
    KeyKind.EC_P384: "group:P-384",
    KeyKind.EC_P521: "group:P-521",
}


class TpmKeys:
    """Keys of one TPM, as files `<id>.tss2` of one folder; a `KeyProvider`.

    Which TPM it is says the environment (TPM2OPENSSL_TCTI). `parent` is the persistent handle under
    which keys are made, for instance 0x81000001; without one it is a primary key of the owner that
    the TPM computes anew for every use. Keys are on curves, of those that the TPM knows (P-256 is
    one everywhere); RSA is refused. Whatever the TPM refuses is a `StorageError`. Calls block, at
    most `timeout_s` for each command.
    """

    def __init__(
        self,
        folder: Path,
        *,
        openssl: str = "openssl",
        parent: int | None = None,
        timeout_s: float = 120.0,
    ) -> None:
        self._folder = folder
        self._openssl = openssl
        self._parent = parent
        self._timeout_s = timeout_s

    def create(self, kind: KeyKind = KeyKind.EC_P256) -> str:
        group = _GROUPS.get(kind)
        if group is None:
            raise StorageError(str(self._folder), "create", f"no {kind} key in the TPM")
        options = ["-pkeyopt", group]
        if self._parent is not None:
            options += ["-pkeyopt", f"parent:{self._parent:#x}"]
        made = self._run("create", "genpkey", *_PROVIDERS, "-algorithm", "EC", *options)
        if not made.startswith(_HEADER):
            raise StorageError(str(self._folder), "create", "the key is not one of the TPM")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # mkstemp: mode 0600 from the first byte on.
            handle, draft = tempfile.mkstemp(dir=self._folder, prefix="new-", suffix=".tmp")
            with os.fdopen(handle, "wb") as file:
                file.write(made)
                file.flush()
                os.fsync(handle)
        except OSError as error:
            raise StorageError(str(self._folder), "create", str(error)) from error
        try:
            key_id = public_key_id(self._read_public_key("create", draft))
            Path(draft).rename(self._path(key_id))
            self._sync_folder()
        except OSError as error:
            raise StorageError(str(self._folder), "create", str(error)) from error
        finally:
            Path(draft).unlink(missing_ok=True)
        return key_id

    def ids(self) -> tuple[str, ...]:
        try:
            found = [(path.stat().st_mtime_ns, path.stem) for path in self._files()]
        except OSError as error:
            raise StorageError(str(self._folder), "ids", str(error)) from error
        return tuple(key_id for _, key_id in sorted(found))

    def public_key(self, key_id: str) -> bytes:
        return self._read_public_key("public_key", self.tls_file(key_id))

    def sign(self, key_id: str, data: bytes) -> bytes:
        digest = csr.digest_for(self._signer(key_id))
        return self._sign(key_id, data, digest.name)

    def csr(self, key_id: str, subject: csr.Subject) -> str:
        return csr.make(self._signer(key_id), subject)

    def tls_file(self, key_id: str) -> str:
        """The key as `ssl.SSLContext.load_cert_chain` takes it once `check` holds."""
        path = self._path(key_id)
        if not path.is_file():
            raise KeyError(key_id)
        return str(path)

    def remove(self, key_id: str) -> None:
        try:
            self._path(key_id).unlink(missing_ok=True)
            if self._folder.is_dir():
                self._sync_folder()
        except KeyError:
            return
        except OSError as error:
            raise StorageError(str(self._folder), "remove", str(error)) from error

    def check(self) -> None:
        """Makes a key, shakes hands with itself over TLS 1.2 and 1.3 and forgets the key.

        Raises `ConfigurationError` that says in one line what is missing: the command, the
        provider, the TPM, or the provider in the TLS of this process.
        """
        with tempfile.TemporaryDirectory(prefix="ocpp-fast-tpm-") as folder:
            trial = TpmKeys(
                Path(folder), openssl=self._openssl, parent=self._parent, timeout_s=self._timeout_s
            )
            try:
                key_id = trial.create()
                certificate = Path(folder, "certificate.pem")
                certificate.write_bytes(trial._self_signed(key_id))
            except StorageError as error:
                raise ConfigurationError(f"TPM: no key can be made: {error.cause}") from error
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                try:
                    _shake_hands(str(certificate), trial.tls_file(key_id), version)
                except ssl.SSLError as error:
                    reason = f"{version.name} of this process cannot use a key of the TPM ({error})"
                    raise ConfigurationError(f"TPM: {reason}; see docs/tpm.md") from error

    def _path(self, key_id: str) -> Path:
        if len(key_id) != _ID_LENGTH or not set(key_id) <= set("0123456789abcdef"):
            raise KeyError(key_id)
        return self._folder / (key_id + _ENDING)

    def _files(self) -> Sequence[Path]:
        return [path for path in self._folder.glob("*" + _ENDING) if len(path.stem) == _ID_LENGTH]

    def _sync_folder(self) -> None:
        handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _read_public_key(self, operation: str, file: str) -> bytes:
        return self._run(operation, "pkey", *_PROVIDERS, "-in", file, "-pubout", "-outform", "DER")

    def _sign(self, key_id: str, data: bytes, digest: str) -> bytes:
        key = self.tls_file(key_id)
        return self._run("sign", "dgst", *_PROVIDERS, f"-{digest}", "-sign", key, given=data)

    def _signer(self, key_id: str) -> _Key:
        public = load_der_public_key(self.public_key(key_id))
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise StorageError(self.tls_file(key_id), "public_key", "not a key on a curve")
        return _Key(public, lambda data, digest: self._sign(key_id, data, digest))

    def _self_signed(self, key_id: str) -> bytes:
        key = self._signer(key_id)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "TPM")])
        builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1)
        # Nobody looks at the dates.
        builder = builder.not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        builder = builder.not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def _run(self, operation: str, *arguments: str, given: bytes = b"") -> bytes:
        command = shutil.which(self._openssl)
        if command is None:
            raise StorageError(str(self._folder), operation, f"no command {self._openssl}")
        try:
            # The arguments are ours but for the command and the paths, and no shell reads them.
            done = subprocess.run(  # noqa: S603
                [command, *arguments],
                input=given,
                capture_output=True,
                timeout=self._timeout_s,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StorageError(str(self._folder), operation, str(error)) from error
        if done.returncode != 0 or not done.stdout:
            raise StorageError(str(self._folder), operation, _reason(done.stderr))
        return done.stdout


def _reason(output: bytes) -> str:
    """The line of the command's complaints that says most."""
    lines = [line.strip() for line in output.decode("utf-8", "replace").splitlines()]
    lines = [line for line in lines if line] or ["openssl gave no reason"]
    # OpenSSL's queue of errors has the cause first, the TSS has none of its lines there.
    return next((line.partition(":error:")[2] for line in lines if ":error:" in line), lines[-1])


def _shake_hands(certificate: str, key: str, version: ssl.TLSVersion) -> None:
    """One handshake in memory, in which the server signs with the key and the client verifies.

    Raises `ssl.SSLError`.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    for context in (server, client):
        context.minimum_version = context.maximum_version = version
    server.load_cert_chain(certificate, key)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True)]
    for _ in range(_ROUNDS):
        for end in tuple(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue
        if not ends:
            return
    raise ssl.SSLError(0, "the handshake does not come to an end")


class _Key(ec.EllipticCurvePrivateKey):
    """As much of a private key as `cryptography` needs to put it to a request: that it signs."""

    def __init__(
        self, public: ec.EllipticCurvePublicKey, sign: Callable[[bytes, str], bytes]
    ) -> None:
        self._public = public
        self._sign = sign

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public.curve

    @property
    def key_size(self) -> int:
        return self._public.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public

    def sign(self, data: Buffer, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        digest = signature_algorithm.algorithm
        if not isinstance(digest, hashes.HashAlgorithm):
            raise TypeError("the TPM is given data, not its hash")
        return self._sign(bytes(data), digest.name)

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        raise NotImplementedError(_STAYS)

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        raise NotImplementedError(_STAYS)

    def private_bytes(
        self,
        encoding: Encoding,
        format: PrivateFormat,  # noqa: A002 - the name is that of `cryptography`
        encryption_algorithm: KeySerializationEncryption,
    ) -> bytes:
        raise NotImplementedError(_STAYS)

    def __copy__(self) -> _Key:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> _Key:
        return self
