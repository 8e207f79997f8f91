"""Keys in a TPM 2.0 (docs/tpm.md), against swtpm, where the platform has it and the provider."""

import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)

from ocpp_fast.errors import StorageError
from ocpp_fast.security.certificates import public_key_id
from ocpp_fast.security.csr import Subject
from ocpp_fast.security.tpm import TpmKeys

LIMIT_S = 20
NOW = datetime.now(UTC)
CLIENT = Path(__file__).parent / "tpm_client.py"
# As docs/tpm.md has it.
CONFIGURATION = """\
openssl_conf = openssl_init
[openssl_init]
providers = providers
alg_section = algorithms
[providers]
default = active
tpm2 = active
[active]
activate = 1
[algorithms]
default_properties = ?provider=default
"""


class Tpm:
    """A software TPM that has its state in a folder."""

    def __init__(self, command: str, folder: Path) -> None:
        folder.mkdir()
        self.address = folder / "tpm"
        self._process = subprocess.Popen(
            [
                *(command, "socket", "--tpm2", "--tpmstate", f"dir={folder}"),
                *("--server", f"type=unixio,path={self.address}"),
                *("--ctrl", f"type=unixio,path={self.address}.ctrl"),
                *("--flags", "not-need-init,startup-clear"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + LIMIT_S
        while not self.address.exists():
            assert self._process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(LIMIT_S)


@pytest.fixture
def tpm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tpm]:
    command = shutil.which("swtpm")
    if command is None:
        pytest.skip("there is no swtpm")
    tpm = Tpm(command, tmp_path / "tpm")
    use(tpm, monkeypatch)
    try:
        if provider_version() is None:
            pytest.skip("OpenSSL has no tpm2 provider, or it finds no TPM")
        yield tpm
    finally:
        tpm.close()


def use(tpm: Tpm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPM2OPENSSL_TCTI", f"swtpm:path={tpm.address}")
    monkeypatch.delenv("OPENSSL_CONF", raising=False)


def provider_version() -> tuple[int, ...] | None:
    done = subprocess.run(
        ["openssl", "list", "-providers", "-provider", "tpm2"],  # noqa: S607 - that of the platform
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    found = re.search(r"tpm2\s+name: .*\s+version: ([0-9.]+)", done.stdout)
    return None if found is None else tuple(int(part) for part in found[1].split("."))


def test_a_key_that_signs(tpm: Tpm, tmp_path: Path) -> None:
    """A02.FR.02, A02.FR.03: a key pair is made and asked a certificate for."""
    keys = TpmKeys(tmp_path / "keys")
    key_id = keys.create()
    assert keys.ids() == (key_id,)
    assert key_id == public_key_id(keys.public_key(key_id))
    file = Path(keys.tls_file(key_id))
    assert file.read_text().startswith("-----BEGIN TSS2 PRIVATE KEY-----")
    assert file.stat().st_mode & 0o777 == 0o600
    public = load_der_public_key(keys.public_key(key_id))
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert isinstance(public.curve, ec.SECP256R1)
    data = bytes(range(256)) * 1000
    public.verify(keys.sign(key_id, data), data, ec.ECDSA(hashes.SHA256()))
    request = keys.csr(key_id, Subject(common_name="CS001", organization="ACME"))
    parsed = x509.load_pem_x509_csr(request.encode())
    assert parsed.is_signature_valid
    assert parsed.subject.rfc4514_string() == "CN=CS001,O=ACME"
    assert parsed.public_key() == public
    keys.remove(key_id)
    assert keys.ids() == ()
    assert not list(file.parent.iterdir())


def test_a_key_is_of_no_use_elsewhere(
    tpm: Tpm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A02.FR.05: whoever copies the file has not got the key."""
    keys = TpmKeys(tmp_path / "keys")
    key_id = keys.create()
    command = shutil.which("swtpm")
    assert command is not None
    other = Tpm(command, tmp_path / "other")
    try:
        use(other, monkeypatch)
        with pytest.raises(StorageError, match="public_key failed"):
            keys.public_key(key_id)
    finally:
        other.close()


def test_tls_with_a_client_certificate(
    tpm: Tpm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A00.FR.401, A00.FR.402: the station shows a certificate whose key is in the TPM."""
    if (provider_version() or ()) < (1, 2):
        pytest.skip("the tpm2 provider is older than 1.2: it exports the public half of a key")
    configuration = tmp_path / "openssl.cnf"
    configuration.write_text(CONFIGURATION)
    monkeypatch.setenv("OPENSSL_CONF", str(configuration))
    assert handshakes(tmp_path) == ["TLSv1.2 CS001", "TLSv1.3 CS001"]


def test_a_process_without_the_provider_is_told(tpm: Tpm, tmp_path: Path) -> None:
    (line,) = handshakes(tmp_path)
    assert line.startswith("TPM: TLSv1_2 of this process cannot use a key of the TPM")
    assert line.endswith("see docs/tpm.md")


def handshakes(folder: Path) -> list[str]:
    """What a client with a key of the TPM says about its links to a server that asks for one."""
    keys = TpmKeys(folder / "keys")
    key_id = keys.create()
    root = ec.generate_private_key(ec.SECP256R1())
    server = ec.generate_private_key(ec.SECP256R1())
    public = load_der_public_key(keys.public_key(key_id))
    assert isinstance(public, ec.EllipticCurvePublicKey)
    roots, chain, host = (folder / name for name in ("root.pem", "client.pem", "server.pem"))
    roots.write_bytes(certificate(root, root.public_key(), "Root"))
    chain.write_bytes(certificate(root, public, "CS001"))
    host.write_bytes(
        certificate(root, server.public_key(), "localhost")
        + server.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(host)
    context.load_verify_locations(roots)
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener, context), daemon=True)
        thread.start()
        port = str(listener.getsockname()[1])
        arguments = [str(folder / "keys"), key_id, str(roots), str(chain), port]
        done = subprocess.run(
            [sys.executable, str(CLIENT), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=2 * LIMIT_S,
        )
        assert done.returncode == 0, done.stderr
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(LIMIT_S)
    return done.stdout.splitlines()


def answer(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Tells every client what it looks like, until the listener is shut."""
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        with context.wrap_socket(plain, server_side=True) as link:
            seen = x509.load_der_x509_certificate(link.getpeercert(binary_form=True) or b"")
            names = seen.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
            link.sendall(f"{link.version()} {names[0].value}".encode())


def certificate(
    signer: ec.EllipticCurvePrivateKey, public: ec.EllipticCurvePublicKey, name: str
) -> bytes:
    subject, issuer = (
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, each)]) for each in (name, "Root")
    )
    builder = x509.CertificateBuilder(issuer, subject, public, x509.random_serial_number())
    builder = builder.not_valid_before(NOW - timedelta(days=1))
    builder = builder.not_valid_after(NOW + timedelta(days=1))
    own = name == "Root"
    builder = builder.add_extension(x509.BasicConstraints(ca=own, path_length=None), critical=True)
    if name == "localhost":
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM)
