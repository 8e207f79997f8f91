"""The station's side of TLS: security profiles 2 and 3.

Whom a station trusts is the affair of its certificate store, dates are judged by its clock, names
by `names`. The certificate of the CSMS is judged before the first byte of HTTP leaves.
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ocpp_fast.errors import CertificateInvalid, ConnectFailed, ConnectFailure
from ocpp_fast.security import rules
from ocpp_fast.security.certificates import label, spki
from ocpp_fast.security.names import dns_names, host_objection
from ocpp_fast.security.ocsp import Status, responder_urls
from ocpp_fast.security.store import RootUse
from ocpp_fast.security.tls_object import CheckedContext, CheckedObject, make_safe
from ocpp_fast.security.tls_reasons import Reason, closed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from ocpp_fast.clock import Clock
    from ocpp_fast.security.ocsp import OcspClient
    from ocpp_fast.security.store import LeafChain

__all__ = ["ClientTls", "TlsPolicy", "Trust"]

_T = TypeVar("_T")

_MAX_CONTEXTS: Final = 4
_MAX_DIALS: Final = 4
_OCSP_LIMIT_S: Final = 30.0

_AskStatus: TypeAlias = "Callable[[x509.Certificate, x509.Certificate], Status | None]"
"""The status of a certificate with this issuer; None if it is not known yet."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsPolicy:
    """What TLS may do; asked for at every dial."""

    ciphers: tuple[str, ...] = ()
    """Suites of TLS 1.2, see `tls_object.usable_ciphers`; none for ours (SupportedCiphers12)."""
    verify_name: bool = True
    """Whether the certificate must name the host (VerifyCsmsCommonName)."""
    allow_wildcards: bool = False
    """AllowCSMSTLSWildcards, VerifyCsmsAllowWildcards."""
    system_roots: bool = False
    """Whether the operating system's roots count too (UseSslDefaultVerifyPaths)."""
    check_ocsp: bool = False
    """Whether the responder that the CSMS's certificate names is asked (CheckCsmsOcsp)."""
    key_log: str | None = None
    """A file for the session keys, to read recorded traffic with. Only for the laboratory."""


class Trust(Protocol):
    """What TLS needs of a `CertificateStore`, which promises more about it."""

    @property
    def revision(self) -> int:
        """Grows with every change."""
        ...

    def roots(self, use: RootUse, /) -> Sequence[x509.Certificate]:
        """Without those that were replaced."""
        ...

    def fallback_roots(self) -> Sequence[x509.Certificate]:
        """Those (M05.FR.12)."""
        ...

    def client_chain(self, *, old: bool = False) -> LeafChain | None:
        """The station's certificate, or the one before it."""
        ...


class ClientTls:
    """What one station needs of TLS. It dials one CSMS at a time."""

    def __init__(
        self,
        store: Trust,
        clock: Clock,
        policy: Callable[[], TlsPolicy],
        ocsp: OcspClient | None = None,
    ) -> None:
        """Without `ocsp` nobody is asked, whatever the policy says."""
        self._store = store
        self._clock = clock
        self._policy = policy
        self._ocsp = ocsp
        self._contexts: dict[tuple[object, ...], _ClientContext] = {}
        self._revision = -1
        self.old_root_used = False
        """Whether the CSMS of the last good dial was verified with another root than those that are
        installed now: the one that was replaced, or one of the system's (M05.FR.13)."""

    def client_chain(self, *, old: bool = False) -> LeafChain:
        """The station's certificate for profile 3 (A00.FR.401); with `old` the one before it, where
        there are two. Given even if it has expired (A00.FR.430). Raises `ConnectFailed` with SLOT
        when there is none."""
        chain = (self._store.client_chain(old=True) if old else None) or self._store.client_chain()
        if chain is None:
            text = "security profile 3 without a client certificate"
            raise ConnectFailed(ConnectFailure.SLOT, text)
        return chain

    async def dial(
        self,
        dial: Callable[[ssl.SSLContext], Awaitable[_T]],
        *,
        host: str,
        chain: LeafChain | None = None,
        allow_old_root: bool = False,
    ) -> _T:
        """What `dial` gives, called with a context for `host`, a host name or an IP address.

        `chain` is shown to a CSMS that asks for it. Where its path cannot be verified with the CSMS
        roots, and `allow_old_root`, the one that was replaced last is tried (M05.FR.14, 16).

        Raises `ConnectFailed`: what `dial` has raised, or instead of something vague the reason why
        there is no TLS: CERTIFICATE, CLIENT_CERTIFICATE, TLS_VERSION, TLS_CIPHER or TLS; SLOT if
        the files of `chain` cannot be used. `dial` is called once, and again after a responder was
        asked or with the old root: four times at most.
        """
        policy = self._policy()
        old_root = False
        first: ConnectFailed | None = None
        told: dict[x509.Certificate, Status] = {}
        for _ in range(_MAX_DIALS):
            attempt = self._attempt(policy, host, chain, old_root=old_root)
            if self._ocsp is not None and policy.check_ocsp:
                attempt.status = partial(self._status, told)
            try:
                result = await dial(attempt.context)
            except ConnectFailed as error:
                if attempt.asked is not None:
                    told[attempt.asked[0]] = await self._ask(*attempt.asked)
                    continue
                failure = attempt.explain(error)
                if old_root or not self._may_use_old_root(attempt, allowed=allow_old_root):
                    raise first or failure from error
                old_root, first = True, failure
                continue
            finally:
                attempt.release()
            self.old_root_used = old_root or not attempt.root_installed
            return result
        # A CSMS that shows a different certificate each time.
        text = "the status of the CSMS's certificate could not be settled"
        raise first or ConnectFailed(ConnectFailure.CERTIFICATE, text)

    def _may_use_old_root(self, attempt: _Attempt, *, allowed: bool) -> bool:
        reason = attempt.reason
        if not allowed or reason is None or not reason.of_path:
            return False
        return bool(self._store.fallback_roots())

    async def _ask(self, certificate: x509.Certificate, issuer: x509.Certificate) -> Status:
        """What the responder says."""
        if self._ocsp is None:
            return Status.GOOD
        try:
            asking = self._ocsp.status(certificate, issuer)
            return (await self._clock.wait_for(asking, _OCSP_LIMIT_S)).status
        except TimeoutError:
            return Status.FAILED

    # --- contexts -------------------------------------------------------------------------

    def _attempt(
        self, policy: TlsPolicy, host: str, chain: LeafChain | None, *, old_root: bool
    ) -> _Attempt:
        roots = self._store.fallback_roots() if old_root else self._store.roots(RootUse.CSMS)
        context = self._context(policy, chain, roots, old_root=old_root)
        attempt = _Attempt(self._clock, policy, host, roots, context)
        attempt.own_certificate = chain is not None
        context.attempt = attempt
        return attempt

    def _status(
        self,
        told: Mapping[x509.Certificate, Status],
        certificate: x509.Certificate,
        issuer: x509.Certificate,
    ) -> Status | None:
        """Of the certificate of the CSMS; None if it must be asked for."""
        if certificate in told:
            return told[certificate]
        if self._ocsp is None or not responder_urls(certificate):
            return Status.GOOD
        known = self._ocsp.cached(certificate, issuer)
        return None if known is None else known.status

    def _context(
        self,
        policy: TlsPolicy,
        chain: LeafChain | None,
        roots: Sequence[x509.Certificate],
        *,
        old_root: bool,
    ) -> _ClientContext:
        """One for these settings; made anew when the files of the store have changed."""
        revision = self._store.revision
        if revision != self._revision:
            self._contexts.clear()
            self._revision = revision
        key = (policy, old_root, None if chain is None else chain.id)
        context = self._contexts.get(key)
        if context is None:
            # A fallback stands alone: only so is it known that it was needed (M05.FR.13).
            context = _client_context(policy, chain, roots, system=not old_root)
            if len(self._contexts) >= _MAX_CONTEXTS:
                self._contexts.clear()
            self._contexts[key] = context
        return context


class _ClientContext(CheckedContext):
    attempt: _Attempt

    def watched(self) -> _Attempt:
        return self.attempt


class _Attempt:
    """One dial, seen from TLS."""

    def __init__(
        self,
        clock: Clock,
        policy: TlsPolicy,
        host: str,
        roots: Sequence[x509.Certificate],
        context: _ClientContext,
    ) -> None:
        self.context = context
        self.own_certificate = False
        self.roots = None if policy.system_roots else len(roots)
        self.reason: Reason | None = None
        """Why there is no TLS, or why it ended at once."""
        self.root_installed = False
        """Whether one of the given roots has verified the CSMS."""
        self.asked: tuple[x509.Certificate, x509.Certificate] | None = None
        """Whose status is needed, and who has issued it."""
        self.status: _AskStatus | None = None
        self._clock = clock
        self._policy = policy
        self._host = host
        self._anchors = roots
        self._connection: CheckedObject | None = None
        self._answered = False

    # Watch

    def begins(self, connection: CheckedObject) -> None:
        """There is a TCP connection."""
        self._connection = connection

    def check(self, connection: CheckedObject) -> Reason | None:
        """Judges the certificate of the CSMS: dates and strength of its whole path (A00.FR.308,
        411, 501-506), its name (A00.FR.309, 412), then, where wished, its status."""
        path = self._path(connection.verified_chain())
        self.root_installed = path[-1] in self._anchors
        now = self._clock.now()
        leaf = path[0]
        try:
            rules.judge_path(path, now, purpose=rules.Purpose.SERVER)
        except CertificateInvalid as error:
            text = f"the certificate of the CSMS is refused: {error}"
            return Reason(ConnectFailure.CERTIFICATE, text, of_path=True)
        if self._policy.verify_name:
            objection = self._name_objection(path)
            if objection is not None:
                text = f"the certificate of the CSMS {objection}"
                return Reason(ConnectFailure.CERTIFICATE, text)
        return self._status_objection(leaf, path[1] if len(path) > 1 else leaf)

    def refused(self, _connection: CheckedObject, reason: Reason) -> None:
        """Keeps the reason."""
        self.reason = reason

    def has_read(self, _connection: CheckedObject) -> None:
        """The CSMS is content with our certificate."""
        self._answered = True

    # ---

    def explain(self, error: ConnectFailed) -> ConnectFailed:
        """The reason, if there is a better one than that of the transport."""
        reason = self.reason
        connection = None if self._answered else self._connection
        if reason is None and connection and error.failure is ConnectFailure.NETWORK:
            # A server that closes without an alert; or one of TLS 1.3 that refuses our certificate
            # after our handshake, since its alert is lost if it closes before it has read our
            # request.
            reason = closed(connection.sight())
        return error if reason is None else ConnectFailed(reason.failure, reason.text)

    def release(self) -> None:
        """The dial is over; a link that came of it is not to be kept alive from here."""
        self._connection = None

    def _path(self, path: list[x509.Certificate]) -> list[x509.Certificate]:
        """With that root of those with the same name and key that is valid now.

        OpenSSL, which does not look at dates, takes any of them; a root that was prolonged would be
        refused as long as its predecessor is here.
        """
        now = self._clock.now()
        for each in self._anchors:
            same = each.subject == path[-1].subject and spki(each) == spki(path[-1])
            if same and each.not_valid_before_utc <= now <= each.not_valid_after_utc:
                return [*path[:-1], each] if len(path) > 1 else [each]
        return path

    def _status_objection(self, leaf: x509.Certificate, issuer: x509.Certificate) -> Reason | None:
        if self.status is None:
            return None
        status = self.status(leaf, issuer)
        if status is Status.GOOD:
            return None
        if status is Status.FAILED:
            # A station must not be lost to a responder that is down.
            _log.warning("nobody tells the status of %s; it is used", label(leaf))
            return None
        if status is None:
            self.asked = leaf, issuer
            text = "the status of the CSMS's certificate is not known yet"
        elif status is Status.REVOKED:
            text = "the certificate of the CSMS is revoked"
        else:
            text = "the responder does not know the certificate of the CSMS"
        return Reason(ConnectFailure.CERTIFICATE, text)

    def _name_objection(self, path: Sequence[x509.Certificate]) -> str | None:
        leaf = path[0]
        # OpenSSL holds the common name to the constraints of an authority only where it is the only
        # name and has a dot; else it would be free.
        free = (dns_names(leaf) or "." not in self._host) and any(map(_is_constrained, path[1:]))
        return host_objection(
            leaf,
            self._host,
            allow_wildcards=self._policy.allow_wildcards,
            common_name_counts=not free,
        )


def _is_constrained(certificate: x509.Certificate) -> bool:
    try:
        certificate.extensions.get_extension_for_class(x509.NameConstraints)
    except x509.ExtensionNotFound:
        return False
    return True


def _client_context(
    policy: TlsPolicy,
    chain: LeafChain | None,
    roots: Sequence[x509.Certificate],
    *,
    system: bool,
) -> _ClientContext:
    context = _ClientContext(ssl.PROTOCOL_TLS_CLIENT)
    make_safe(context, policy.ciphers)
    context.verify_mode = ssl.CERT_REQUIRED
    if roots:
        context.load_verify_locations(
            cadata=b"".join(root.public_bytes(Encoding.DER) for root in roots)
        )
    if policy.system_roots and system:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if policy.key_log is not None:
        try:
            context.keylog_filename = policy.key_log
        except OSError as error:
            _log.warning("no key log: %s", error)
    if chain is not None:
        try:
            # An empty password, or OpenSSL would ask for one at the terminal.
            context.load_cert_chain(chain.chain_file, chain.key_file, password="")
        except (OSError, ValueError) as error:  # SSLError is an OSError
            text = f"the station's certificate cannot be used: {error}"
            raise ConnectFailed(ConnectFailure.SLOT, text) from error
    return context
