"""A00.FR.310, A00.FR.316, A00.FR.323, A00.FR.413, A00.FR.419, A00.FR.426: which failure an error of
OpenSSL is, seen from both sides."""

import ssl

import pytest

from ocpp_fast.errors import ConnectFailure
from ocpp_fast.security.tls_reasons import Reason, Sight, closed, reason_of

CERTIFICATE = ConnectFailure.CERTIFICATE
CLIENT_CERTIFICATE = ConnectFailure.CLIENT_CERTIFICATE
TLS_CIPHER = ConnectFailure.TLS_CIPHER
TLS_VERSION = ConnectFailure.TLS_VERSION
TLS = ConnectFailure.TLS

BEFORE = Sight(server_side=False, server_has_answered=False)
AFTER = Sight(server_side=False, server_has_answered=True)
OFFERED = Sight(server_side=False, server_has_answered=True, own_certificate=True)
SERVER = Sight(server_side=True, server_has_answered=True, own_certificate=True)


def error(reason: str) -> ssl.SSLError:
    one = ssl.SSLError(1, f"[SSL: {reason}] some words (_ssl.c:1006)")
    one.reason = reason
    return one


def unverified(code: int, message: str = "the words of OpenSSL") -> ssl.SSLCertVerificationError:
    one = ssl.SSLCertVerificationError(1, "certificate verify failed")
    one.verify_code, one.verify_message = code, message
    return one


@pytest.mark.parametrize(
    ("reason", "sight", "failure"),
    [
        # What the CSMS says.
        ("TLSV1_ALERT_PROTOCOL_VERSION", BEFORE, TLS_VERSION),
        ("TLSV1_ALERT_INSUFFICIENT_SECURITY", BEFORE, TLS_CIPHER),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", BEFORE, TLS_CIPHER),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", AFTER, CLIENT_CERTIFICATE),
        ("SSL/TLS_ALERT_HANDSHAKE_FAILURE", OFFERED, CLIENT_CERTIFICATE),  # OpenSSL 3.2 and later
        ("SSLV3_ALERT_BAD_CERTIFICATE", OFFERED, CLIENT_CERTIFICATE),
        ("SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", OFFERED, CLIENT_CERTIFICATE),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", OFFERED, CLIENT_CERTIFICATE),
        ("SSLV3_ALERT_CERTIFICATE_REVOKED", OFFERED, CLIENT_CERTIFICATE),
        ("SSLV3_ALERT_CERTIFICATE_UNKNOWN", OFFERED, CLIENT_CERTIFICATE),
        ("TLSV1_ALERT_UNKNOWN_CA", OFFERED, CLIENT_CERTIFICATE),
        ("TLSV1_ALERT_ACCESS_DENIED", OFFERED, CLIENT_CERTIFICATE),
        ("TLSV1_ALERT_DECRYPT_ERROR", OFFERED, CLIENT_CERTIFICATE),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", AFTER, CLIENT_CERTIFICATE),
        ("TLSV1_UNRECOGNIZED_NAME", BEFORE, TLS),
        ("TLSV1_ALERT_INTERNAL_ERROR", AFTER, TLS),
        ("SSLV3_ALERT_UNEXPECTED_MESSAGE", AFTER, TLS),
        # What we say to the CSMS.
        ("UNSUPPORTED_PROTOCOL", BEFORE, TLS_VERSION),
        ("WRONG_SSL_VERSION", BEFORE, TLS_VERSION),
        ("NO_PROTOCOLS_AVAILABLE", BEFORE, TLS_VERSION),
        ("WRONG_CIPHER_RETURNED", BEFORE, TLS_CIPHER),
        ("DH_KEY_TOO_SMALL", AFTER, TLS_CIPHER),
        ("EE_KEY_TOO_SMALL", AFTER, CERTIFICATE),
        ("WRONG_VERSION_NUMBER", BEFORE, TLS),
        ("UNEXPECTED_EOF_WHILE_READING", BEFORE, TLS),
        ("SOMETHING_NEW", BEFORE, TLS),
        # What the station says to our CSMS.
        ("TLSV1_ALERT_UNKNOWN_CA", SERVER, CERTIFICATE),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", SERVER, CERTIFICATE),
        ("TLSV1_ALERT_PROTOCOL_VERSION", SERVER, TLS_VERSION),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", SERVER, TLS_CIPHER),
        # What our CSMS says to the station.
        ("UNSUPPORTED_PROTOCOL", SERVER, TLS_VERSION),
        ("NO_SHARED_CIPHER", SERVER, TLS_CIPHER),
        ("PEER_DID_NOT_RETURN_A_CERTIFICATE", SERVER, CLIENT_CERTIFICATE),
        ("EE_KEY_TOO_SMALL", SERVER, CLIENT_CERTIFICATE),
        ("HTTP_REQUEST", SERVER, TLS),
    ],
)
def test_reasons(reason: str, sight: Sight, failure: ConnectFailure) -> None:
    found = reason_of(error(reason), sight)
    assert found.failure is failure
    assert not found.of_path
    who = "the charging station" if sight.server_side else "the CSMS"
    assert who in found.text or found.failure is TLS
    assert "\n" not in found.text


def test_a_reason_without_a_name() -> None:
    """What Python has no name for is known by its words."""
    one = ssl.SSLError(1, "[SSL] tlsv1 alert unknown ca (_ssl.c:1006)")
    assert reason_of(one, OFFERED).failure is CLIENT_CERTIFICATE


@pytest.mark.parametrize("sight", [AFTER, SERVER])
@pytest.mark.parametrize(
    ("code", "words"),
    [
        (2, "does not lead to an installed root"),
        (18, "signed by itself"),
        (19, "does not lead to an installed root"),
        (20, "does not lead to an installed root"),
        (7, "a signature in its chain is wrong"),
        (23, "revoked"),
        (25, "longer than an authority in it allows"),
        (26, "not made for this use"),
        (66, "its key is too short"),
        (67, "a key that is too short"),
        (68, "a hash that is too weak"),
        (79, "may not sign others"),
        (9999, "the words of OpenSSL"),
    ],
)
def test_certificates(code: int, words: str, sight: Sight) -> None:
    found = reason_of(unverified(code), sight)
    assert found.failure is (CLIENT_CERTIFICATE if sight.server_side else CERTIFICATE)
    assert words in found.text
    assert found.of_path


def test_without_roots() -> None:
    sight = Sight(server_side=False, server_has_answered=True, roots=0)
    assert "there is no root certificate" in reason_of(unverified(20), sight).text


def test_closed_without_a_word() -> None:
    """Nothing is claimed that is not known: only that our certificate may be why."""
    assert closed(BEFORE) == Reason(
        TLS, "the CSMS closed the connection in the TLS handshake and gave no reason"
    )
    assert "maybe because of our certificate" in closed(OFFERED).text
    assert "maybe" not in closed(SERVER).text
    for one in (ssl.SSLEOFError(8, "EOF"), ssl.SSLZeroReturnError(6, "closed")):
        assert reason_of(one, OFFERED) == closed(OFFERED)
