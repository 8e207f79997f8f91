import inspect
import pickle

import pytest

from ocpp_fast import errors
from ocpp_fast.errors import (
    CallerError,
    CallErrorReceived,
    CallTimedOut,
    CertificateInvalid,
    ConnectFailed,
    ConnectFailure,
    ConnectionLost,
    ErrorCode,
    HardwareError,
    MessageTooLong,
    OcppError,
    PeerError,
    QueueFull,
    ReplyInvalid,
    RequestRefused,
    StorageError,
    TransportError,
    ValidationError,
)

CULPRITS = {
    CallerError,
    CertificateInvalid,  # the certificate itself, whoever brought it
    HardwareError,
    PeerError,
    RequestRefused,
    StorageError,
    TransportError,
}

SPEAKING = [
    (
        ValidationError("TypeConstraintViolation", "/evse/id", "expected an integer"),
        "TypeConstraintViolation at /evse/id: expected an integer",
    ),
    (
        ValidationError("FormatViolation", "", "not an object"),
        "FormatViolation at /: not an object",
    ),
    (QueueFull("Heartbeat", 64), "Heartbeat not queued: 64 calls are waiting already"),
    (MessageTooLong(9, 8), "a message of 9 bytes; the link carries up to 8"),
    (CallErrorReceived("NotSupported", "no"), "the peer answered NotSupported: no"),
    (
        ReplyInvalid("FormatViolation", "/x", "no such member"),
        "the answer is invalid, FormatViolation at /x: no such member",
    ),
    (CallTimedOut("Heartbeat", "id1", 30.0), "no answer to Heartbeat id1 within 30 s"),
    (
        ConnectFailed(ConnectFailure.HTTP, "404 Not Found", 404),
        "cannot connect (http): 404 Not Found",
    ),
    (ConnectionLost(1006, "the connection broke"), "connection lost, 1006: the connection broke"),
    (RequestRefused(ErrorCode.SECURITY_ERROR, "not yet"), "refused with SecurityError: not yet"),
]


def all_errors() -> list[type[OcppError]]:
    classes = [value for value in vars(errors).values() if inspect.isclass(value)]
    return [cls for cls in classes if issubclass(cls, OcppError) and cls is not OcppError]


@pytest.mark.parametrize("error_type", all_errors())
def test_every_error_names_exactly_one_culprit(error_type: type[OcppError]) -> None:
    assert sum(issubclass(error_type, culprit) for culprit in CULPRITS) == 1


@pytest.mark.parametrize("error_type", all_errors())
def test_every_error_is_part_of_the_public_names(error_type: type[OcppError]) -> None:
    assert error_type.__name__ in errors.__all__


@pytest.mark.parametrize(("error", "text"), SPEAKING)
def test_an_error_says_what_happened(error: OcppError, text: str) -> None:
    assert str(error) == text


@pytest.mark.parametrize("error", [error for error, _ in SPEAKING])
def test_an_error_survives_pickling_with_its_attributes(error: OcppError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)


def test_a_bad_value_is_a_value_error_for_those_who_do_not_know_this_package() -> None:
    with pytest.raises(ValueError, match="expected an integer"):
        raise ValidationError("TypeConstraintViolation", "/evse/id", "expected an integer")


def test_the_twelve_codes_of_part_4_section_4_3() -> None:
    assert {str(code) for code in ErrorCode} == {
        "FormatViolation",
        "GenericError",
        "InternalError",
        "MessageTypeNotSupported",
        "NotImplemented",
        "NotSupported",
        "OccurrenceConstraintViolation",
        "PropertyConstraintViolation",
        "ProtocolError",
        "RpcFrameworkError",
        "SecurityError",
        "TypeConstraintViolation",
    }
