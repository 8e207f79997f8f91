"""The CSMS's side of TLS: security profiles 2 and 3."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import ref

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ocpp_fast.errors import (
    CertificateInvalid,
    ConfigurationError,
    ConnectFailed,
    ConnectFailure,
)
from ocpp_fast.security import rules
from ocpp_fast.security.tls_object import CIPHERS, CheckedContext, CheckedObject, make_safe
from ocpp_fast.security.tls_reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

    from ocpp_fast.clock import Clock

__all__ = ["Client", "KeyPair", "ServerTls"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Files in PEM: a certificate with the authorities below the root behind it, and its key."""

    chain_file: str | PathLike[str]
    key_file: str | PathLike[str]


@dataclass(frozen=True, slots=True)
class Client:
    """A station that has shown a certificate which leads to one of the roots."""

    certificate: x509.Certificate
    objection: str | None
    """Why it may not be used now all the same, in one line; only with `expired_may_ask`."""


class ServerTls:
    """TLS for `transport.picows.serve`: its `ssl_context` is `context`, and it gets
    `peer_certificate`.

    A station that OpenSSL refuses learns why from an alert; one whose certificate is not valid now
    sees the end of the connection. Of both `refused` is told, and it is logged.
    """

    context: ssl.SSLContext

    def __init__(
        self,
        pairs: Sequence[KeyPair],
        clock: Clock,
        *,
        client_roots: Sequence[x509.Certificate] | None = None,
        expired_may_ask: bool = False,
        refused: Callable[[ConnectFailed], object] | None = None,
    ) -> None:
        """`pairs` are the certificates of the CSMS; with one of EC and one of RSA it supports all
        suites that it must (A00.FR.318, 421).

        With `client_roots` a certificate that leads to one of them is demanded: profile 3
        (A00.FR.403, 407). One that has expired, by `clock`, is refused, unless `expired_may_ask`:
        then the station gets as far as its HTTP request, and `client` says what is wrong
        (A00.FR.429). Whose it should be (A00.FR.404, 405) only that request tells.

        Raises `ConfigurationError` for files that cannot be used.
        """
        if not pairs:
            raise ConfigurationError("a TLS server needs a certificate")
        self._clock = clock
        self._expired_may_ask = expired_may_ask
        self._refused = refused
        self._reading: ref[CheckedObject] | None = None
        self.own_certificate = True
        self.roots = None if client_roots is None else len(client_roots)
        context = _ServerContext(ssl.PROTOCOL_TLS_SERVER)
        context.tls = self
        make_safe(context, CIPHERS)
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        for pair in pairs:
            try:
                # An empty password, or OpenSSL would ask for one at the terminal.
                context.load_cert_chain(pair.chain_file, pair.key_file, password="")
            except (OSError, ValueError) as error:
                text = f"{pair.chain_file} with {pair.key_file}: {error}"
                raise ConfigurationError(text) from error
        if client_roots is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            # A ticket would be good for hours, whatever becomes of the certificate.
            context.options |= ssl.OP_NO_TICKET
            context.num_tickets = 0
            if client_roots:
                context.load_verify_locations(
                    cadata=b"".join(root.public_bytes(Encoding.DER) for root in client_roots)
                )
        self.context = context

    def client(self) -> Client | None:
        """The station whose request is being read; None in profile 2.

        Only to be asked inside the callback that decides about a request: the event loop hands over
        data in the same breath in which it has read them, so the last to read is the one that asks.
        """
        connection = None if self._reading is None else self._reading()
        if connection is None:
            return None
        der = connection.getpeercert(binary_form=True)
        if der is None:
            return None
        objection = self._objection(connection) if self._expired_may_ask else None
        return Client(x509.load_der_x509_certificate(der), objection)

    def peer_certificate(self) -> bytes | None:
        """The certificate of the station whose request is being read, as DER; see `client`."""
        connection = None if self._reading is None else self._reading()
        return None if connection is None else connection.getpeercert(binary_form=True)

    # Watch

    def begins(self, _connection: CheckedObject) -> None:
        """Nothing to do."""

    def check(self, connection: CheckedObject) -> Reason | None:
        """Dates, strength and purpose of a client certificate (A00.FR.403, 407)."""
        if self.roots is None or self._expired_may_ask:
            return None
        objection = self._objection(connection)
        if objection is None:
            return None
        text = f"the certificate of the charging station is refused: {objection}"
        return Reason(ConnectFailure.CLIENT_CERTIFICATE, text)

    def refused(self, _connection: CheckedObject, reason: Reason) -> None:
        """A00.FR.408 wants this in a log."""
        _log.info("a charging station is refused: %s", reason.text)
        if self._refused is not None:
            self._refused(ConnectFailed(reason.failure, reason.text))

    def has_read(self, connection: CheckedObject) -> None:
        """Remembers who has read last, see `client`."""
        self._reading = ref(connection)

    # ---

    def _objection(self, connection: CheckedObject) -> str | None:
        path = connection.verified_chain()
        now = self._clock.now()
        try:
            if path:
                rules.judge_path(path, now, purpose=rules.Purpose.CLIENT)
            else:  # a session of some minutes ago
                rules.check_dates(_shown_by(connection), now)
        except CertificateInvalid as error:
            return str(error)
        return None


def _shown_by(connection: ssl.SSLObject) -> list[x509.Certificate]:
    der = connection.getpeercert(binary_form=True)
    if der is None:
        raise CertificateInvalid("no certificate")
    return [x509.load_der_x509_certificate(der)]


class _ServerContext(CheckedContext):
    tls: ServerTls

    def watched(self) -> ServerTls:
        return self.tls
