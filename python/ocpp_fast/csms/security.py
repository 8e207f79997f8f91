"""Who may connect to a CSMS, and with what: the security profiles from its side. No I/O but files.

Csms(security=CsmsSecurity(passwords={"CS001": "..."}))  # profile 1
Csms(security=CsmsSecurity.load("pki/csms", profile=3))  # what `ocpp-fast pki` has written
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from ocpp_fast.csms.passwords import Passwords
from ocpp_fast.errors import CertificateInvalid, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from ocpp_fast.clock import Clock
    from ocpp_fast.csms.signing import Signer
    from ocpp_fast.errors import ConnectFailed
    from ocpp_fast.security.tls_server import ServerTls
    from ocpp_fast.transport.handshake import Handshake

__all__ = ["Admission", "CsmsSecurity", "KeyPair", "PasswordCheck", "ProfileFloor"]

PasswordCheck: TypeAlias = "Passwords | Mapping[str, str] | Callable[[str, str], bool]"
"""The passwords; or what says whether (identity, password) is right, at once."""

UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404

NONE: Final = 0
BASIC: Final = 1
TLS_BASIC: Final = 2
TLS_CERTIFICATE: Final = 3


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Two PEM files."""

    chain: str
    """The certificate, then what stands between it and the root."""
    key: str
    """The private key, without a password."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What became of a station that wants to connect."""

    status: int = 0
    """The HTTP status of the refusal; 0 when it may connect."""
    reason: str = ""
    """Of a refusal, in one line. For the CSMS: the station is not told."""
    expired: bool = False
    """Its certificate has expired and it is let in all the same (A00.FR.429)."""


class ProfileFloor:
    """Below which security profile a station may not connect any more (A05.FR.07).

    For a CSMS that serves several profiles at several ports (A00.FR.006): share one among them.
    """

    def __init__(self, *, allow_downgrade: bool = False) -> None:
        """`allow_downgrade`: from 3 to 2, like AllowSecurityProfileDowngrade (A00.FR.005)."""
        self._allow_downgrade = allow_downgrade
        self._highest: dict[str, int] = {}

    def permits(self, identity: str, profile: int) -> bool:
        """Whether the station may connect with this profile."""
        highest = self._highest.get(identity, NONE)
        if self._allow_downgrade:
            highest = min(highest, TLS_BASIC)
        return profile >= highest

    def note(self, identity: str, profile: int) -> None:
        """The station was accepted with this profile."""
        self._highest[identity] = max(profile, self._highest.get(identity, NONE))


@dataclass(frozen=True, slots=True, kw_only=True)
class CsmsSecurity:
    """How one port of a CSMS is secured.

    What is given makes the security profile, of which a port has one (A00.FR.001, A00.FR.006):
    nothing 0, passwords 1, key pairs and passwords 2, key pairs and client roots 3. A station that
    comes with another one gets no connection (A00.FR.002).
    """

    passwords: PasswordCheck | None = field(default=None, repr=False)
    """A mapping of identities to passwords is hashed at once."""
    key_pairs: tuple[KeyPair, ...] = ()
    """The certificate of the server; one with an EC and one with an RSA key serve all four cipher
    suites of A00.FR.318."""
    client_roots: str | None = None
    """PEM file of the roots of client certificates. With it stations must have one."""
    organization: str | None = None
    """Name of the operator, which client certificates must bear as O (A00.FR.404); None: any."""
    serial_numbers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Common names of client certificates by the identities of their stations (A00.FR.405); for
    all others the two are the same."""
    accept_expired: Collection[str] = ()
    """Identities that may come with an expired certificate: they are told Pending and asked to
    renew it (A00.FR.429)."""
    identities: Collection[str] | None = None
    """The stations that are known; None: those with a password, or else all."""
    floor: ProfileFloor | None = None
    """Refuses to go back to a lower profile."""
    signer: Signer | None = None
    """Signs the certificates of stations; None refuses to."""
    kept_passwords: Passwords | None = field(init=False, repr=False, default=None)
    """`passwords`, unless they are a callable."""

    def __post_init__(self) -> None:
        if isinstance(self.passwords, Passwords):
            object.__setattr__(self, "kept_passwords", self.passwords)
        elif self.passwords is not None and not callable(self.passwords):
            object.__setattr__(self, "kept_passwords", Passwords(self.passwords))
        if not self.key_pairs:
            if self.client_roots is not None:
                raise ConfigurationError("client certificates need a certificate of the server")
        elif self.client_roots is None and self.passwords is None:
            raise ConfigurationError("profile 2 needs passwords, profile 3 roots for the clients")

    @property
    def profile(self) -> int:
        """The security profile, 0 to 3."""
        if self.client_roots is not None:
            return TLS_CERTIFICATE
        if self.key_pairs:
            return TLS_BASIC
        return NONE if self.passwords is None else BASIC

    def tls(self, clock: Clock, refused: Callable[[ConnectFailed], object]) -> ServerTls | None:
        """TLS for the server, None without; `refused` is told of handshakes that failed.

        Raises `ConfigurationError` for files that cannot be used.
        """
        if not self.key_pairs:
            return None
        from ocpp_fast.security import tls_server  # only where TLS is used
        from ocpp_fast.security.certificates import parse_pem

        roots = None
        if self.client_roots is not None:
            try:
                roots = parse_pem(Path(self.client_roots).read_bytes())
            except (OSError, CertificateInvalid) as error:
                raise ConfigurationError(f"{self.client_roots}: {error}") from None
        return tls_server.ServerTls(
            [tls_server.KeyPair(pair.chain, pair.key) for pair in self.key_pairs],
            clock,
            client_roots=roots,
            expired_may_ask=bool(self.accept_expired),
            refused=refused,
        )

    def common_name(self, identity: str) -> str:
        """What the certificate of a station must be made out for (A00.FR.405, A00.FR.511)."""
        return self.serial_numbers.get(identity, identity)

    def admit(self, handshake: Handshake, now: datetime, objection: str | None = None) -> Admission:
        """Whether a station may connect; the TLS handshake has been passed.

        `objection` says why its certificate may not be used now, see `ServerTls.client`.
        """
        identity = handshake.identity
        if not self._knows(identity):
            return Admission(NOT_FOUND, "not a known station")
        if self.floor is not None and not self.floor.permits(identity, self.profile):
            return Admission(FORBIDDEN, f"security profile {self.profile} is a step back")
        if self.profile == TLS_CERTIFICATE:
            return self._admit_certificate(identity, handshake.peer_certificate, now, objection)
        if self.passwords is not None and not self._has_password(handshake):
            return Admission(UNAUTHORIZED, "no password, or a wrong one")
        return Admission()

    def accepted(self, identity: str) -> None:
        """The boot of a station was accepted: from now on no lower profile will do (A05.FR.07)."""
        if self.floor is not None:
            self.floor.note(identity, self.profile)

    # --- inside ---------------------------------------------------------------------------

    def _knows(self, identity: str) -> bool:
        if self.identities is not None:
            return identity in self.identities
        passwords = self.kept_passwords if self.profile in {BASIC, TLS_BASIC} else None
        return passwords is None or identity in passwords

    def _has_password(self, handshake: Handshake) -> bool:
        """A00.FR.207, A00.FR.324: also the user name must be the identity (A00.FR.204, 303)."""
        given = handshake.credentials
        if given is None or given.username != handshake.identity:
            return False
        if self.kept_passwords is not None:
            return self.kept_passwords.check(given.username, given.password)
        return callable(self.passwords) and self.passwords(given.username, given.password)

    def _admit_certificate(
        self, identity: str, certificate: bytes | None, now: datetime, objection: str | None
    ) -> Admission:
        if certificate is None:
            return Admission(FORBIDDEN, "no client certificate")
        from ocpp_fast.security.certificates import (  # only where certificates are used
            common_name,
            organizations,
            parse_der,
        )

        try:
            client = parse_der(certificate)
        except CertificateInvalid as error:  # OpenSSL is more lenient
            return Admission(FORBIDDEN, f"the client certificate is refused: {error}")
        owner, owned_by = common_name(client), organizations(client.subject)
        revoked = () if self.signer is None else self.signer.authority.revoked
        expired = client.not_valid_after_utc < now
        if owner != self.common_name(identity):
            problem = f"the client certificate belongs to {owner!r}"
        elif self.organization is not None and self.organization not in owned_by:
            problem = "the client certificate does not belong to the operator"
        elif client.serial_number in revoked:
            problem = "the client certificate is revoked"  # A00.FR.705
        elif expired and identity not in self.accept_expired:
            problem = "the client certificate has expired"
        elif objection is not None and not expired:
            problem = f"the client certificate is refused: {objection}"
        else:
            return Admission(expired=expired)
        return Admission(FORBIDDEN, problem)
