"""The folder that `ocpp-fast pki` writes: what is in it, and that both sides can read it."""

import stat
from pathlib import Path

import pytest
from cryptography import x509

from ocpp_fast.clock import SystemClock
from ocpp_fast.csms import CsmsSecurity
from ocpp_fast.csms.pki_folder import load_security, read_identity, read_password, write_pki
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.ids import Ids
from ocpp_fast.security import rules
from ocpp_fast.security.certificates import common_name, parse_certificate, parse_pem
from ocpp_fast.security.store import CertificateStore, LeafUse, RootUse

CLOCK = SystemClock()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pki") / "made"
    write_pki(path, identity="CS 7", clock=CLOCK, ids=Ids(), hosts=["csms.example", "127.0.0.1"])
    return path


def test_nobody_else_may_read_what_is_secret(folder: Path) -> None:
    secrets = [
        path
        for path in folder.rglob("*")
        if path.suffix in {".key", ".password"} or path.name == "passwords.json"
    ]
    assert (
        len(secrets) == 2 + 1 + 1 + 1 + 10 + 2
    )  # server, contract, two of passwords, CAs, station
    for path in secrets:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for name in ("csms", "csms/ca", "station"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o700, name


def test_the_station_has_all_roots_and_its_certificates(folder: Path) -> None:
    store = CertificateStore(folder / "station", CLOCK)
    for use in RootUse:
        assert len(store.roots(use)) == 1, use
    for use in (LeafUse.CHARGING_STATION, LeafUse.V2G):
        chain = store.client_chain(use)
        assert chain is not None
        assert common_name(chain.chain.leaf) == "CS 7"
        assert not chain.new
        roots = store.roots(use.roots)
        assert rules.judge(chain.chain, roots, CLOCK.now())
    assert read_identity(folder, CLOCK) == "CS 7"


def test_the_server_is_for_its_hosts(folder: Path) -> None:
    for kind in ("ec", "rsa"):
        chain = parse_pem((folder / "csms" / f"server-{kind}.pem").read_text())
        assert len(chain) == 2
        names = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["csms.example"]
        assert list(map(str, names.get_values_for_type(x509.IPAddress))) == ["127.0.0.1"]


def test_a_contract_for_a_car(folder: Path) -> None:
    leaf, *above = parse_pem((folder / "contract.pem").read_text())
    root = parse_certificate((folder / "csms/ca/mo-root.pem").read_text())
    leaf.verify_directly_issued_by(above[0])
    above[-1].verify_directly_issued_by(root)


def test_the_csms_reads_its_part(folder: Path) -> None:
    def read(profile: int) -> CsmsSecurity:
        security = load_security(folder / "csms", profile, CLOCK)
        assert security.profile == profile
        assert security.signer is not None
        return security

    password = read_password(folder)
    assert len(password) == 32
    assert read(0).kept_passwords is None
    for profile in (1, 2):
        kept = read(profile).kept_passwords
        assert kept is not None
        assert kept.check("CS 7", password)
        assert not kept.check("CS 7", password.lower())
    for profile in (2, 3):
        tls = read(profile).tls(CLOCK, print)
        assert tls is not None
        assert tls.roots == (1 if profile == 3 else None)


def test_nothing_is_overwritten(folder: Path, tmp_path: Path) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(ConfigurationError, match="nothing is overwritten"):
        write_pki(folder, identity="CS1", clock=CLOCK, ids=Ids())
    assert sorted(folder.rglob("*")) == before
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ConfigurationError, match="nothing is overwritten"):
        write_pki(file, identity="CS1", clock=CLOCK, ids=Ids())


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"csms-root\.pem"):
        load_security(tmp_path, 3, CLOCK)
    with pytest.raises(ConfigurationError, match=r"station\.password"):
        read_password(tmp_path)
    with pytest.raises(ConfigurationError, match="no certificate of a station"):
        read_identity(tmp_path, CLOCK)
