"""Everything that can go wrong, sorted by who was wrong.

    OcppError                     root; never raised itself
    |- CallerError                our own program asked for something that cannot be
    |  |- ConfigurationError        a setting, a handler table or an address makes no sense
    |  |- ValidationError           a value breaks the OCPP schema (raised by the Rust core)
    |  |- QueueFull                 more CALLs wait for their turn than the bound allows
    |  `- MessageTooLong            a message is longer than the link may carry
    |- PeerError                  the other side broke a rule, refused, or kept silent
    |  |- CallErrorReceived         it answered our CALL with a CALLERROR
    |  |- ReplyInvalid              it answered our CALL with something that breaks the schema
    |  `- CallTimedOut              it did not answer our CALL in time
    |- TransportError             the link, neither program
    |  |- ConnectFailed             no WebSocket came to be
    |  `- ConnectionLost            the WebSocket is gone
    |- CertificateInvalid         a certificate, whoever brought it, is refused
    |- HardwareError              a charger's part failed (meter, lock, contactor, reader)
    |- StorageError               the disk or the database failed
    |  |- StorageDamaged          what is stored contradicts itself
    |  |- StorageFull             there is no room on the disk
    |  `- StorageRefused          what was given can never be stored
    `- RequestRefused             raised BY a handler to answer a CALL with a CALLERROR

`answer_code` of a class is the code of the CALLERROR that the peer gets when such an error
escapes from the handler of its CALL. Only a `RequestRefused` chooses its own; everything else
is an inner affair of this side and says no more than InternalError.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from ocpp_fast.messages.json_value import Json

__all__ = [
    "CallErrorReceived",
    "CallTimedOut",
    "CallerError",
    "CertificateInvalid",
    "ConfigurationError",
    "ConnectFailed",
    "ConnectFailure",
    "ConnectionLost",
    "ErrorCode",
    "HardwareError",
    "MessageTooLong",
    "OcppError",
    "PeerError",
    "QueueFull",
    "ReplyInvalid",
    "RequestRefused",
    "StorageDamaged",
    "StorageError",
    "StorageFull",
    "StorageRefused",
    "TransportError",
    "ValidationError",
]


class ErrorCode(StrEnum):
    """The RPC framework error codes of Part 4, section 4.3; the same in 2.0.1 and 2.1.

    Which failed schema keyword gives which code is decided in one table, in
    `rust/ocpp-core`. A peer may send codes that are not in this list; `CallErrorReceived.code`
    therefore is a plain string.
    """

    FORMAT_VIOLATION = "FormatViolation"
    """The payload is no object, or has an unknown or doubled member."""
    GENERIC_ERROR = "GenericError"
    """None of the others fits."""
    INTERNAL_ERROR = "InternalError"
    """The receiver failed while it handled the request."""
    MESSAGE_TYPE_NOT_SUPPORTED = "MessageTypeNotSupported"
    """The message type number is not one of this version."""
    NOT_IMPLEMENTED = "NotImplemented"
    """The action is not known to the receiver."""
    NOT_SUPPORTED = "NotSupported"
    """The action is known, but this receiver does not handle it."""
    OCCURRENCE_CONSTRAINT_VIOLATION = "OccurrenceConstraintViolation"
    """A required member is missing, or an array is too short or too long."""
    PROPERTY_CONSTRAINT_VIOLATION = "PropertyConstraintViolation"
    """A value of the right type is not allowed: enumeration, length, range, date."""
    PROTOCOL_ERROR = "ProtocolError"
    """The payload does not have the structure of the message."""
    RPC_FRAMEWORK_ERROR = "RpcFrameworkError"
    """The frame around the payload is wrong, for example its message id cannot be read."""
    SECURITY_ERROR = "SecurityError"
    """A security rule forbids it; also what a CSMS answers before it accepted a boot (FR.04)."""
    TYPE_CONSTRAINT_VIOLATION = "TypeConstraintViolation"
    """A value has the wrong JSON type."""


class OcppError(Exception):
    """Root of all errors of this package. The arguments of a subclass are its attributes."""

    answer_code: ClassVar[ErrorCode] = ErrorCode.INTERNAL_ERROR


# --- the caller -----------------------------------------------------------------------------


class CallerError(OcppError):
    """Our own program asked for something that cannot be."""


class ConfigurationError(CallerError, ValueError):
    """A setting, a table of handlers or an address makes no sense; found at start, not later."""


class ValidationError(CallerError, ValueError):
    """A value breaks the OCPP schema; nothing was built, sent or changed.

    The Rust core raises it from constructors, `replace`, `encode_*` and `decode_payload`.
    Frames of a peer never raise it: they become an `InvalidFrame`.
    """

    def __init__(self, code: str, pointer: str, cause: str) -> None:
        super().__init__(code, pointer, cause)
        self.code = code
        """The `ErrorCode` that a strict receiver would answer with."""
        self.pointer = pointer
        """JSON pointer to the value, in wire names; empty for the message itself."""
        self.cause = cause
        """What is wrong, in a few words."""

    def __str__(self) -> str:
        return f"{self.code} at {self.pointer or '/'}: {self.cause}"


class QueueFull(CallerError):
    """More CALLs wait for their turn than the bound allows; this one was not queued or sent."""

    def __init__(self, action: str, limit: int) -> None:
        super().__init__(action, limit)
        self.action = action
        self.limit = limit
        """How many CALLs may wait at once."""

    def __str__(self) -> str:
        return f"{self.action} not queued: {self.limit} calls are waiting already"


class MessageTooLong(CallerError):
    """A message is longer than the link may carry; it was not sent, and the link stays."""

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(size_bytes, limit_bytes)
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes

    def __str__(self) -> str:
        return f"a message of {self.size_bytes} bytes; the link carries up to {self.limit_bytes}"


# --- the peer -------------------------------------------------------------------------------


class PeerError(OcppError):
    """The other side broke a rule, refused, or kept silent. The link stays up."""


class CallErrorReceived(PeerError):
    """The peer answered our CALL with a CALLERROR (FR.03)."""

    def __init__(self, code: str, description: str = "", details: Json | None = None) -> None:
        super().__init__(code, description, details)
        self.code = code
        """As received; usually one of `ErrorCode`, but peers send others too."""
        self.description = description
        self.details = details
        """The peer's errorDetails, usually an empty object."""

    def __str__(self) -> str:
        return f"the peer answered {self.code}: {self.description}"


class ReplyInvalid(PeerError):
    """The peer answered our CALL with a CALLRESULT or CALLERROR that cannot be accepted.

    The peer may well have acted on the request. In OCPP 2.1 it was told with a CALLRESULTERROR
    (FR.06); 2.0.1 has no way to tell it.
    """

    def __init__(self, code: str, pointer: str, cause: str) -> None:
        super().__init__(code, pointer, cause)
        self.code = code
        self.pointer = pointer
        self.cause = cause

    def __str__(self) -> str:
        return f"the answer is invalid, {self.code} at {self.pointer or '/'}: {self.cause}"


class CallTimedOut(PeerError):
    """The peer did not answer our CALL in time. It may have received it, and may have acted."""

    def __init__(self, action: str, message_id: str, timeout_s: float) -> None:
        super().__init__(action, message_id, timeout_s)
        self.action = action
        self.message_id = message_id
        self.timeout_s = timeout_s
        """Seconds since the CALL was sent."""

    def __str__(self) -> str:
        return f"no answer to {self.action} {self.message_id} within {self.timeout_s:g} s"


# --- the link -------------------------------------------------------------------------------


class TransportError(OcppError):
    """The link failed, neither program did."""


class ConnectFailure(StrEnum):
    """How far an attempt to connect came."""

    ADDRESS = "address"
    """The host name did not resolve."""
    NETWORK = "network"
    """No TCP connection: refused, unreachable, reset."""
    TIMEOUT = "timeout"
    """Not finished within the given time, whatever the step."""
    SLOT = "slot"
    """The network configuration slot cannot be used as it stands; nothing was dialled."""
    INTERFACE = "interface"
    """The network of the slot is not ready, or this computer has no such interface."""
    CERTIFICATE = "certificate"
    """This side refuses the certificate of the CSMS."""
    CLIENT_CERTIFICATE = "client certificate"
    """The CSMS refuses the certificate of the station, or misses it."""
    TLS_VERSION = "TLS version"
    """The CSMS knows no version of TLS that may be used (1.2 and up)."""
    TLS_CIPHER = "TLS cipher suite"
    """The CSMS knows no cipher suite that may be used."""
    TLS = "tls"
    """The TLS handshake failed for another reason."""
    HTTP = "http"
    """The server answered the upgrade request with an HTTP error; see `http_status`."""
    HANDSHAKE = "handshake"
    """The server's answer is no correct WebSocket handshake."""
    SUBPROTOCOL = "subprotocol"
    """No OCPP version in common (Part 4, section 3.3)."""


class ConnectFailed(TransportError):
    """No WebSocket came to be; nothing is left open."""

    def __init__(
        self, failure: ConnectFailure, detail: str, http_status: int | None = None
    ) -> None:
        super().__init__(failure, detail, http_status)
        self.failure = failure
        self.detail = detail
        self.http_status = http_status
        """The HTTP status code where there was one: 404 unknown station, 401 bad password."""

    def __str__(self) -> str:
        return f"cannot connect ({self.failure}): {self.detail}"


class ConnectionLost(TransportError):
    """The WebSocket is gone. A CALL that was in flight may or may not have been received."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        """WebSocket close code; 1006 when the link broke without a closing handshake."""
        self.text = text

    def __str__(self) -> str:
        return f"connection lost, {self.code}: {self.text}"


class CertificateInvalid(OcppError):
    """A certificate, or what should be one, is refused; the text says in one line which and why."""


# --- the charger, the disk ------------------------------------------------------------------


class HardwareError(OcppError):
    """A part of the charger failed or did not answer (meter, lock, contactor, reader)."""


class StorageError(OcppError):
    """The disk or the database failed; what was to be stored is not durable."""

    def __init__(self, path: str, operation: str, cause: str) -> None:
        super().__init__(path, operation, cause)
        self.path = path
        """The file, or `memory`."""
        self.operation = operation
        """The verb of `ocpp_fast.storage.base` that failed."""
        self.cause = cause

    def __str__(self) -> str:
        return f"{self.path}: {self.operation} failed: {self.cause}"


class StorageDamaged(StorageError):
    """What is stored contradicts itself; it has to be set aside (`Storage.replace_damaged`)."""


class StorageFull(StorageError):
    """There is no room on the disk."""


class StorageRefused(StorageError):
    """What was given can never be stored: its row id exists, or its text is no Unicode. The
    storage itself works."""


# --- an answer, not a failure ---------------------------------------------------------------


class RequestRefused(OcppError):
    """Raised BY a handler: answers the peer's CALL with this CALLERROR (FR.03).

    For requests that are valid but must be refused at the RPC level, such as SecurityError
    before a boot was accepted (FR.04). Refusals that OCPP has a status for are normal answers.
    """

    def __init__(self, code: ErrorCode, description: str = "", details: Json | None = None) -> None:
        super().__init__(code, description, details)
        self.code = code
        self.description = description
        """At most 255 characters reach the peer."""
        self.details = details
        """Becomes the errorDetails, which must be an object; None is sent as {}."""

    def __str__(self) -> str:
        return f"refused with {self.code}: {self.description}"
