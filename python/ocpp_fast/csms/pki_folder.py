"""A development PKI as a folder: `ocpp-fast pki` writes it, CSMS and station run from it.

station/            the station's certificate store, ready for `StationConfig.certificates`
station.password    its password for profiles 1 and 2
csms/               the CSMS: server-ec.pem and .key, server-rsa.pem and .key, client-roots.pem,
                    passwords.json with the hash of the password
csms/ca/            all roots and authorities with their private keys
contract.pem, .key  the contract of a car, for Plug and Charge
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from ocpp_fast.csms.passwords import Passwords
from ocpp_fast.csms.security import BASIC, TLS_BASIC, TLS_CERTIFICATE, CsmsSecurity, KeyPair
from ocpp_fast.csms.signing import Signer
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.security.authority import CertificateAuthority
from ocpp_fast.security.certificates import common_name, parse_chain
from ocpp_fast.security.csr import Subject
from ocpp_fast.security.pki import Issued, KeyKind, Pki, write_new
from ocpp_fast.security.store import CertificateStore, LeafUse, RootUse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocpp_fast.clock import Clock
    from ocpp_fast.ids import Ids

__all__ = ["load_security", "read_identity", "read_password", "write_pki"]

HOSTS: Final = ("localhost", "127.0.0.1", "::1")
"""What the certificate of the CSMS is for, when nothing else is said."""

_CONTRACT: Final = "DE8OCPC00000001"
# Name, issuer and the property of `Pki`; the issuers stand before what they have signed.
_AUTHORITIES: Final = (
    ("csms-root", None, "csms_root"),
    ("csms-ca", "csms-root", "csms_ca"),
    ("v2g-root", None, "v2g_root"),
    ("v2g-ca-1", "v2g-root", "v2g_upper_ca"),
    ("v2g-ca-2", "v2g-ca-1", "v2g_ca"),
    ("mo-root", None, "mo_root"),
    ("mo-ca-1", "mo-root", "mo_upper_ca"),
    ("mo-ca-2", "mo-ca-1", "mo_ca"),
    ("oem-root", None, "oem_root"),
    ("manufacturer-root", None, "manufacturer_root"),
)
_ROOTS: Final = {
    RootUse.CSMS: "csms_root",
    RootUse.V2G: "v2g_root",
    RootUse.MO: "mo_root",
    RootUse.OEM: "oem_root",
    RootUse.MANUFACTURER: "manufacturer_root",
}


def write_pki(
    folder: str | Path,
    *,
    identity: str,
    clock: Clock,
    ids: Ids,
    hosts: Sequence[str] = HOSTS,
) -> None:
    """Writes a new PKI for one CSMS, at `hosts`, and one station.

    Raises `ConfigurationError` for a folder that is not empty, and `OSError`.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigurationError(f"{folder}: is there already, and nothing is overwritten")
    target.mkdir(parents=True, exist_ok=True)
    (target / "csms").mkdir(mode=0o700)
    pki = Pki(clock.now())
    _write_csms(target / "csms", pki, hosts)
    password = ids.password()
    write_new(target / "station.password", password + "\n", 0o600)
    Passwords({identity: password}, ids=ids).save(target / "csms" / "passwords.json")
    pki.contract(_CONTRACT).write(target / "contract.pem", target / "contract.key")
    _write_station(target / "station", pki, identity, clock)


def load_security(folder: str | Path, profile: int, clock: Clock) -> CsmsSecurity:
    """The CSMS's part of a PKI, for a port with this security profile.

    Raises `ConfigurationError` naming the file that cannot be used.
    """
    folder = Path(folder)
    authorities: dict[str, Issued] = {}
    for name, issuer, _ in _AUTHORITIES:
        above = None if issuer is None else authorities[issuer]
        files = folder / "ca" / f"{name}.pem", folder / "ca" / f"{name}.key"
        authorities[name] = Issued.read(*files, above)
    authority = CertificateAuthority(
        authorities["csms-ca"], clock, v2g=authorities["v2g-ca-2"], others=[authorities["mo-ca-2"]]
    )
    pairs = [
        KeyPair(str(folder / f"server-{kind}.pem"), str(folder / f"server-{kind}.key"))
        for kind in ("ec", "rsa")
    ]
    basic = profile in {BASIC, TLS_BASIC}
    return CsmsSecurity(
        passwords=Passwords.load(folder / "passwords.json") if basic else None,
        key_pairs=tuple(pairs) if profile >= TLS_BASIC else (),
        client_roots=str(folder / "client-roots.pem") if profile == TLS_CERTIFICATE else None,
        signer=Signer(authority=authority),
    )


def read_password(folder: str | Path) -> str:
    """The password of the station of a PKI. Raises `ConfigurationError`."""
    path = Path(folder) / "station.password"
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from None


def read_identity(folder: str | Path, clock: Clock) -> str:
    """The station of a PKI: whom its client certificate is for. Raises `ConfigurationError`."""
    store = CertificateStore(Path(folder) / "station", clock)
    chain = store.client_chain()
    identity = None if chain is None else common_name(chain.chain.leaf)
    if identity is None:
        raise ConfigurationError(f"{folder}: holds no certificate of a station")
    return identity


def _write_csms(folder: Path, pki: Pki, hosts: Sequence[str]) -> None:
    authorities = folder / "ca"
    authorities.mkdir(mode=0o700)
    for name, _, attribute in _AUTHORITIES:
        issued: Issued = getattr(pki, attribute)
        write_new(authorities / f"{name}.pem", issued.pem, 0o644)
        write_new(authorities / f"{name}.key", issued.key_pem, 0o600)
    for kind, key in (("ec", KeyKind.EC), ("rsa", KeyKind.RSA)):
        server = pki.server(*hosts, key=key)
        server.write(folder / f"server-{kind}.pem", folder / f"server-{kind}.key")
    write_new(folder / "client-roots.pem", pki.csms_root.pem, 0o644)


def _write_station(folder: Path, pki: Pki, identity: str, clock: Clock) -> None:
    """Goes the way that every renewal goes: a request for a key that is made in the store."""
    store = CertificateStore(folder, clock)
    for use, attribute in _ROOTS.items():
        issued: Issued = getattr(pki, attribute)
        store.install_root(use, issued.certificate)
    authority = CertificateAuthority(pki.csms_ca, clock, v2g=pki.v2g_ca)
    for use in (LeafUse.CHARGING_STATION, LeafUse.V2G):
        subject = Subject(common_name=identity, organization=pki.organization)
        request = store.begin_key(use, subject)
        chain = store.accept_signed(use, parse_chain(authority.sign(request.csr, use)))
        store.settle(use, chain.id)
