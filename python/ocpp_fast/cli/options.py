"""The options of security, and what they mean for a station and for a CSMS."""

from __future__ import annotations

import hmac
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ocpp_fast.clock import SystemClock
from ocpp_fast.csms import CsmsSecurity, KeyPair
from ocpp_fast.errors import CertificateInvalid, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from ocpp_fast.clock import Clock

__all__ = [
    "Password",
    "PasswordFile",
    "PkiFolder",
    "SecurityProfile",
    "StationSecurity",
    "csms_security",
    "pki_csms",
    "pki_station",
    "read_password",
    "station_security",
]

SecurityProfile = Annotated[
    int | None,
    typer.Option(
        min=0, max=3, help="0 none, 1 password, 2 password and TLS, 3 TLS with client certificate."
    ),
]
Password = Annotated[
    str | None,
    typer.Option(envvar="OCPP_FAST_PASSWORD", help="For HTTP basic authentication."),
]
PasswordFile = Annotated[
    str | None, typer.Option(metavar="FILE", help="The same, on the first line of a file.")
]
PkiFolder = Annotated[
    str | None,
    typer.Option("--pki", metavar="DIR", help="Passwords and certificates of `ocpp-fast pki DIR`."),
]

_BASIC: Final = 1
_TLS: Final = 2
_CERTIFICATE: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StationSecurity:
    """With what a station connects."""

    profile: int | None = None
    password: str | None = field(default=None, repr=False)
    certificates: str | None = None
    """Folder of its certificate store."""


def read_password(password: str | None, file: str | None) -> str | None:
    """The password, given in one of the ways."""
    if file is None:
        return password
    if password is not None:
        raise ConfigurationError("--password-file: there is a password already")
    try:
        return Path(file).read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"--password-file: {error}") from None


# --- the station ----------------------------------------------------------------------------


def pki_station(folder: str, profile: int) -> StationSecurity:
    """The station of `ocpp-fast pki`."""
    from ocpp_fast.csms.pki_folder import read_password as read

    return StationSecurity(
        profile=profile,
        password=read(folder) if profile in {_BASIC, _TLS} else None,
        certificates=str(Path(folder) / "station"),
    )


@contextmanager
def station_security(
    *,
    profile: int | None,
    password: str | None,
    pki: str | None,
    certificates: str | None,
    authority: str | None,
    chain: str | None,
    key: str | None,
) -> Generator[StationSecurity]:
    """What the options of a station mean; single files become a store for as long as it runs."""
    files = {"--tls-ca": authority, "--tls-cert": chain, "--tls-key": key}
    given = [name for name, file in files.items() if file is not None]
    if pki is not None:
        if given or certificates is not None:
            raise ConfigurationError("--pki: certificates are given otherwise already")
        found = pki_station(pki, _CERTIFICATE if profile is None else profile)
        yield StationSecurity(
            profile=found.profile,
            password=password or found.password,
            certificates=found.certificates,
        )
    elif certificates is not None:
        if given:
            raise ConfigurationError(f"{given[0]}: there is a folder of certificates already")
        yield StationSecurity(profile=profile, password=password, certificates=certificates)
    elif given:
        if (chain is None) is not (key is None):
            raise ConfigurationError("--tls-cert and --tls-key need each other")
        if profile is None and chain is not None:
            profile = _CERTIFICATE
        with TemporaryDirectory(prefix="ocpp-fast-") as folder:
            _store(folder, files)
            yield StationSecurity(profile=profile, password=password, certificates=folder)
    else:
        yield StationSecurity(profile=profile, password=password)


def _store(folder: str, files: dict[str, str | None]) -> None:
    """Makes a store of single files. Raises `ConfigurationError` naming the option."""
    from ocpp_fast.security.certificates import parse_chain, parse_pem
    from ocpp_fast.security.store import CertificateStore, LeafUse, RootUse

    store = CertificateStore(folder, SystemClock())
    option = ""
    texts: dict[str, str] = {}
    try:
        for option, file in files.items():
            if file is not None:
                texts[option] = Path(file).read_text(encoding="utf-8")
        if "--tls-ca" in texts:
            option = "--tls-ca"
            for root in parse_pem(texts[option]):
                store.install_root(RootUse.CSMS, root)
        if "--tls-cert" in texts:
            option = "--tls-cert"
            chain = parse_chain(texts[option])
            option = "--tls-key"
            store.import_leaf(LeafUse.CHARGING_STATION, chain, texts[option])
    except (CertificateInvalid, OSError, ValueError) as error:
        raise ConfigurationError(f"{option}: {error}") from None


# --- the CSMS -------------------------------------------------------------------------------


def pki_csms(folder: str, profile: int, clock: Clock) -> CsmsSecurity:
    """The CSMS of `ocpp-fast pki`."""
    from ocpp_fast.csms.pki_folder import load_security

    return load_security(Path(folder) / "csms", profile, clock)


def csms_security(
    *,
    profile: int | None,
    password: str | None,
    pki: str | None,
    chains: Sequence[str],
    keys: Sequence[str],
    client_roots: str | None,
    clock: Clock,
) -> CsmsSecurity:
    """What the options of a CSMS mean; a password is that of all stations."""
    check = None if password is None else partial(_is_password, password)
    if pki is not None:
        if chains or keys or client_roots is not None:
            raise ConfigurationError("--pki: certificates are given otherwise already")
        found = pki_csms(pki, _CERTIFICATE if profile is None else profile, clock)
        return found if check is None else replace(found, passwords=check)
    if len(chains) != len(keys):
        raise ConfigurationError("--tls-cert and --tls-key need each other")
    security = CsmsSecurity(
        passwords=check,
        key_pairs=tuple(KeyPair(*pair) for pair in zip(chains, keys, strict=True)),
        client_roots=client_roots,
    )
    if profile is not None and profile != security.profile:
        missing = {
            0: "no password and no certificates",
            _BASIC: "--password and no certificates",
            _TLS: "--tls-cert, --tls-key and --password",
            _CERTIFICATE: "--tls-cert, --tls-key and --tls-client-ca",
        }
        raise ConfigurationError(f"--security-profile {profile} needs {missing[profile]}, or --pki")
    return security


def _is_password(password: str, _identity: str, given: str) -> bool:
    return hmac.compare_digest(given.encode(), password.encode())
