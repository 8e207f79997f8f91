"""What both sides of TLS share: an `ssl.SSLObject` that judges before anyone can send.

asyncio and uvloop speak TLS through the object that `SSLContext.wrap_bio` makes. This one adds
three things. Its handshake ends with checks of ours, so neither the request with the password nor
the CSMS's answer leaves when they fail. Why it failed is kept, since the event loop passes on only
some errors, and in TLS 1.3 the server's refusal of our certificate comes after our handshake. And
an alert that OpenSSL has written is sent: the event loop would throw it away.
"""

from __future__ import annotations

import logging
import ssl
import warnings
from typing import TYPE_CHECKING, Any, Final, Protocol

from cryptography import x509

from ocpp_fast.errors import ConnectFailure
from ocpp_fast.security.tls_reasons import Reason, Sight, reason_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CIPHERS", "CheckedContext", "CheckedObject", "Watch", "make_safe", "usable_ciphers"]

CIPHERS: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
)
"""The suites of TLS 1.2 on both sides: the four of A00.FR.318, 319, 421 and 422, and before the two
without forward secrecy their likes that have it.

TLS 1.3 has only good ones; Python cannot choose among them before 3.15.
"""

# Strength of 112 bits, also of the keys and hashes in certificates (A00.FR.501-503).
_LEVEL: Final = "@SECLEVEL=2"
_VERSIONS: Final = frozenset({"TLSv1.2", "TLSv1.3"})
# Named in A00.FR.320's reference as unfit even for old systems, or without any authentication; and
# SHA-1, which A00.FR.504's does not recommend. The names are OpenSSL's, taken apart at the hyphens.
_UNFIT: Final = frozenset(
    {
        "ADH",
        "AECDH",
        "CBC3",
        "DES",
        "EXP",
        "IDEA",
        "MD5",
        "NULL",
        "RC2",
        "RC4",
        "SEED",
        "SHA",
        "SRP",
    }
)
_IANA: Final = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": CIPHERS[0],
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": CIPHERS[1],
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": CIPHERS[2],
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": CIPHERS[3],
    "TLS_RSA_WITH_AES_128_GCM_SHA256": CIPHERS[4],
    "TLS_RSA_WITH_AES_256_GCM_SHA384": CIPHERS[5],
}
_NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME
_DER: Final = 2  # what `_ssl.Certificate.public_bytes` calls it

_AGAIN = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
_log = logging.getLogger(__name__)


class Watch(Protocol):
    """Who is told how one handshake went."""

    own_certificate: bool
    """See `Sight`."""
    roots: int | None
    """See `Sight`."""

    def begins(self, connection: CheckedObject, /) -> None:
        """A handshake begins."""
        ...

    def check(self, connection: CheckedObject, /) -> Reason | None:
        """Called when OpenSSL is content; a reason refuses the other end."""
        ...

    def refused(self, connection: CheckedObject, reason: Reason, /) -> None:
        """The handshake has failed, or the first thing read after it was an alert."""
        ...

    def has_read(self, connection: CheckedObject, /) -> None:
        """Data of the other end has been read."""
        ...


class CheckedObject(ssl.SSLObject):
    """See the module; made by a `CheckedContext`."""

    _watch: Watch
    _outgoing: ssl.MemoryBIO
    _end: ssl.SSLError | None = None
    """What the handshake ends with, once it has failed."""
    _has_read = False

    def watch(self, watch: Watch, outgoing: ssl.MemoryBIO) -> None:
        """Called once, before anything else."""
        self._watch = watch
        self._outgoing = outgoing
        watch.begins(self)

    def do_handshake(self) -> None:
        """See `ssl.SSLObject`; raises an `SSLError` also for what our own checks refuse."""
        if self._end is not None:
            raise self._end
        try:
            super().do_handshake()
        except _AGAIN:
            raise
        except ssl.SSLError as error:
            self._fail(reason_of(error, self.sight()), error)
        else:
            reason = self._judge()
            if reason is not None:
                # Whatever OpenSSL has ready would say that all is well.
                self._outgoing.read()
                self._fail(reason, ssl.SSLCertVerificationError(1, reason.text))

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002  # the name is ssl's
        """See `ssl.SSLObject`."""
        try:
            data = super().read(len, buffer)
        except _AGAIN:
            raise
        except ssl.SSLError as error:
            if not self._has_read and not isinstance(error, ssl.SSLZeroReturnError):
                self._watch.refused(self, reason_of(error, self.sight()))
            raise
        self._has_read = True
        self._watch.has_read(self)
        return data

    def verified_chain(self) -> list[x509.Certificate]:
        """The certificates by which OpenSSL has verified the other end, the root last; empty where
        it has resumed a session, which it had verified then."""
        public = getattr(self, "get_verified_chain", None)  # from Python 3.13 on
        inner: Any = getattr(self, "_sslobj")  # noqa: B009  # private in the types
        found: Sequence[Any] = (public or inner.get_verified_chain)() or ()
        ders = (each if isinstance(each, bytes) else each.public_bytes(_DER) for each in found)
        return [x509.load_der_x509_certificate(der) for der in ders]

    def sight(self) -> Sight:
        """How far it has come."""
        return Sight(
            server_side=self.server_side,
            server_has_answered=self.cipher() is not None,
            own_certificate=self._watch.own_certificate,
            roots=self._watch.roots,
        )

    def _judge(self) -> Reason | None:
        try:
            with warnings.catch_warnings():
                # What `cryptography` thinks of a certificate that strangers have made is for nobody
                # to read.
                warnings.simplefilter("ignore")
                return _objection(self) or self._watch.check(self)
        except Exception:
            # A certificate can be strange in more ways than can be foreseen.
            _log.exception("the certificate of the peer could not be judged")
            text = "the certificate of the other end cannot be read"
            return Reason(self.sight().peer_certificate, text)

    def _fail(self, reason: Reason, error: ssl.SSLError) -> None:
        self._end = error
        self._watch.refused(self, reason)
        if self._outgoing.pending:
            # Makes the event loop send the alert and wait for the other end to close, which has a
            # bound: `ssl_handshake_timeout`.
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "an alert is to be sent") from error
        raise error


class CheckedContext(ssl.SSLContext):
    """A context whose objects are `CheckedObject`s, watched by what `watched` gives for each."""

    sslobject_class = CheckedObject

    def watched(self) -> Watch:
        """Who watches the next object."""
        raise NotImplementedError

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002  # as in ssl
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """See `ssl.SSLContext`; this is where asyncio gets its object from."""
        made = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        if isinstance(made, CheckedObject):
            made.watch(self.watched(), outgoing)
        return made


def make_safe(context: ssl.SSLContext, ciphers: Sequence[str] = ()) -> None:
    """Versions, cipher suites and options as both ends must have them.

    TLS 1.2 or above (A00.FR.313, 416), no compression (A00.FR.321, 424), the suites given or
    `CIPHERS` (A00.FR.318-320, 421-423), no renegotiation; dates of certificates are left to us.
    """
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # A root need not be signed by itself: a new one may be signed by the one that it replaces
    # (M05.FR.10).
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    context.check_hostname = False
    usable = usable_ciphers(ciphers)
    if len(usable) < len(ciphers):
        _log.warning("not all of the wanted cipher suites may be used, only: %s", usable or "ours")
    context.set_ciphers(":".join([_LEVEL, *(usable or CIPHERS)]))


def usable_ciphers(names: Sequence[str]) -> list[str]:
    """Those of the named suites of TLS 1.2 that this OpenSSL knows and that may be used
    (A00.FR.320); names are OpenSSL's, or of RFC 5246's kind for those of OCPP."""
    usable: list[str] = []
    for each in names:
        name = _IANA.get(each.strip(), each.strip())
        if name and not _is_unfit(name) and _is_known(name) and name not in usable:
            usable.append(name)
    return usable


def _is_unfit(name: str) -> bool:
    return not name.replace("-", "").isalnum() or not _UNFIT.isdisjoint(name.upper().split("-"))


def _is_known(name: str) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.set_ciphers(name)
    except ssl.SSLError:
        return False
    # The name of a whole family, such as HIGH, would let in what was not looked at.
    return any(each["name"] == name for each in context.get_ciphers())


def _objection(connection: ssl.SSLObject) -> Reason | None:
    """Asked of every connection, though the context should not let it come to this: A00.FR.314,
    417 for the version, A00.FR.320, 423 for the suite, A00.FR.321, 424 for compression."""
    version = connection.version()
    if version not in _VERSIONS:
        return Reason(ConnectFailure.TLS_VERSION, f"{version} may not be used")
    cipher = connection.cipher()
    if cipher is None or _is_unfit(cipher[0].replace("_", "-")):
        name = "no cipher suite" if cipher is None else cipher[0]
        return Reason(ConnectFailure.TLS_CIPHER, f"{name} may not be used")
    if connection.compression() is not None:
        return Reason(ConnectFailure.TLS, "TLS compression may not be used")
    return None
