"""A clock that stands still, and certificates that `pki` does not make."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from ocpp_fast.clock import Timer
from ocpp_fast.security.certificates import Chain
from ocpp_fast.security.pki import Issued, Pki

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
PKI = Pki(NOW)
OTHER = Pki(NOW, organization="Somebody Else")

_T = TypeVar("_T")


class StandingClock:
    """`moment` is what it shows; waiting is not what these tests do, except for a thread."""

    def __init__(self, moment: datetime = NOW) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, delay_s: float) -> None:
        raise AssertionError(f"sleeps {delay_s}")

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        raise AssertionError(f"waits {delay_s} for {callback}")

    async def wait_for(self, awaitable: Awaitable[_T], timeout_s: float) -> _T:
        del timeout_s
        return await awaitable


def chain_of(issued: Issued) -> Chain:
    """What a CSMS would send for it."""
    leaf, *intermediates = issued.chain
    return Chain(leaf, tuple(intermediates))


def certificate(
    subject: str | x509.Name = "leaf",
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None,
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    **changes: Any,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate with exactly these extensions, and its key."""
    own = key or ec.generate_private_key(ec.SECP256R1())
    name = named(subject) if isinstance(subject, str) else subject
    above, signer = issuer if issuer is not None else (None, own)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(changes.get("issuer_name", name if above is None else above.subject))
        .public_key(own.public_key())
        .serial_number(changes.get("serial_number", x509.random_serial_number()))
        .not_valid_before(changes.get("not_before", NOW - DAY))
        .not_valid_after(changes.get("not_after", NOW + 30 * DAY))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, changes.get("digest", hashes.SHA256())), own


def named(common_name: str, organization: str | None = "Org") -> x509.Name:
    parts = [x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)]
    if organization is not None:
        parts.append(x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


CA: tuple[x509.ExtensionType, bool] = (x509.BasicConstraints(ca=True, path_length=None), True)
