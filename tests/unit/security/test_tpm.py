"""What is said about a TPM that is not there; with one: tests/interop/test_tpm.py."""

from pathlib import Path

import pytest

from ocpp_fast.errors import ConfigurationError, StorageError
from ocpp_fast.security.csr import Subject
from ocpp_fast.security.keys import KeyKind, KeyProvider
from ocpp_fast.security.tpm import TpmKeys

UNKNOWN = "0" * 32


def command(folder: Path, script: str) -> str:
    """A stand-in for the openssl command."""
    path = folder / "openssl"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_no_command(tmp_path: Path) -> None:
    keys = TpmKeys(tmp_path / "keys", openssl="no-such-openssl")
    with pytest.raises(StorageError, match="create failed: no command no-such-openssl"):
        keys.create()
    with pytest.raises(ConfigurationError, match=r"^TPM: no key can be made: no command"):
        keys.check()
    assert keys.ids() == ()


def test_the_reason_of_the_command_is_one_line(tmp_path: Path) -> None:
    script = 'echo "WARNING: esys" >&2; echo "80F:error:4000:tpm2::cannot load" >&2; exit 1'
    keys = TpmKeys(tmp_path, openssl=command(tmp_path, script))
    with pytest.raises(StorageError, match=r": create failed: 4000:tpm2::cannot load$"):
        keys.create()


def test_a_key_outside_the_tpm_is_refused(tmp_path: Path) -> None:
    """A02.FR.05: a provider that was passed over silently would put the key itself to the file."""
    script = 'echo "-----BEGIN PRIVATE KEY-----"'
    keys = TpmKeys(tmp_path / "keys", openssl=command(tmp_path, script))
    with pytest.raises(StorageError, match="not one of the TPM"):
        keys.create()
    assert not (tmp_path / "keys").exists()


def test_a_tpm_that_hangs(tmp_path: Path) -> None:
    keys = TpmKeys(tmp_path, openssl=command(tmp_path, "exec sleep 20"), timeout_s=0.05)
    with pytest.raises(StorageError, match="timed out"):
        keys.create()


def test_a_key_that_cannot_be_read_back_is_not_kept(tmp_path: Path) -> None:
    script = 'test "$1" = genpkey && echo "-----BEGIN TSS2 PRIVATE KEY-----"'
    keys = TpmKeys(tmp_path / "keys", openssl=command(tmp_path, script))
    with pytest.raises(StorageError, match="create failed"):
        keys.create()
    assert list((tmp_path / "keys").iterdir()) == []


def test_options_of_the_command(tmp_path: Path) -> None:
    """The parent and the curve reach the provider."""
    script = f'echo "$@" > {tmp_path}/seen; exit 1'
    keys = TpmKeys(tmp_path, openssl=command(tmp_path, script), parent=0x81000001)
    with pytest.raises(StorageError):
        keys.create(KeyKind.EC_P384)
    seen = (tmp_path / "seen").read_text()
    assert "-algorithm EC -pkeyopt group:P-384 -pkeyopt parent:0x81000001" in seen


@pytest.mark.parametrize("kind", [KeyKind.RSA_2048, KeyKind.RSA_3072])
def test_no_rsa(kind: KeyKind, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=f"no {kind} key in the TPM"):
        TpmKeys(tmp_path).create(kind)


@pytest.mark.parametrize("key_id", [UNKNOWN, "../../etc/passwd", ""])
def test_unknown_keys(key_id: str, tmp_path: Path) -> None:
    keys: KeyProvider = TpmKeys(tmp_path)
    keys.remove(key_id)
    for ask in (keys.public_key, keys.tls_file):
        with pytest.raises(KeyError):
            ask(key_id)
    with pytest.raises(KeyError):
        keys.sign(key_id, b"data")
    with pytest.raises(KeyError):
        keys.csr(key_id, Subject(common_name="CS001", organization="ACME"))
