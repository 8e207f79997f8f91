"""Why a TLS handshake failed, in one line, and whose fault it was.

Pure: OpenSSL's reason codes, its verification codes and the alerts of TLS go in, a `Reason` comes
out. The same tables serve both sides; what differs is who looks at whose certificate.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import Final

from ocpp_fast.errors import ConnectFailure

__all__ = ["Reason", "Sight", "reason_of"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why there is no TLS."""

    failure: ConnectFailure
    text: str
    """One line."""
    of_path: bool = False
    """Whether another root might verify the certificate (M05.FR.14)."""


@dataclass(frozen=True, slots=True)
class Sight:
    """How far the handshake had come, seen from one side."""

    server_side: bool
    server_has_answered: bool
    """Whether version and cipher suite were agreed."""
    own_certificate: bool = False
    """Whether this side was ready to show one."""
    roots: int | None = None
    """How many roots a certificate could be verified with; None: those of the system too."""

    @property
    def peer(self) -> str:
        """Who is at the other end."""
        return "the charging station" if self.server_side else "the CSMS"

    @property
    def peer_certificate(self) -> ConnectFailure:
        """What it is when the other end's certificate is refused."""
        side = self.server_side
        return ConnectFailure.CLIENT_CERTIFICATE if side else ConnectFailure.CERTIFICATE

    @property
    def own_refused(self) -> ConnectFailure:
        """What it is when ours is."""
        side = self.server_side
        return ConnectFailure.CERTIFICATE if side else ConnectFailure.CLIENT_CERTIFICATE


_ALERT: Final = re.compile(r"ALERT_([A-Z_]+)|(UNRECOGNIZED_NAME)")

# Alerts about a certificate; what the other end means is ours (RFC 5246 7.2.2, RFC 8446 6.2).
_ABOUT_OUR_CERTIFICATE: Final = {
    "ACCESS_DENIED": "refuses us, though it could verify our certificate",
    "BAD_CERTIFICATE": "calls our certificate bad",
    "BAD_CERTIFICATE_HASH_VALUE": "calls our certificate bad",
    "CERTIFICATE_EXPIRED": "calls our certificate expired",
    "CERTIFICATE_REQUIRED": "asks for a certificate and got none",
    "CERTIFICATE_REVOKED": "calls our certificate revoked",
    "CERTIFICATE_UNKNOWN": "cannot accept our certificate",
    "DECRYPT_ERROR": "could not verify a signature of our certificate's key",
    "NO_CERTIFICATE": "asks for a certificate and got none",
    "UNKNOWN_CA": "does not know the authority that signed our certificate",
    "UNSUPPORTED_CERTIFICATE": "does not support the kind of our certificate",
}
_ALERTS: Final = {
    "HANDSHAKE_FAILURE": (ConnectFailure.TLS_CIPHER, "accepts none of our cipher suites"),
    "INSUFFICIENT_SECURITY": (ConnectFailure.TLS_CIPHER, "wants stronger cipher suites"),
    "PROTOCOL_VERSION": (ConnectFailure.TLS_VERSION, "refuses our versions of TLS"),
    "UNRECOGNIZED_NAME": (ConnectFailure.TLS, "does not know the host name it was dialled by"),
}
_VERSION: Final = frozenset(
    {
        "BAD_PROTOCOL_VERSION_NUMBER",
        "NO_PROTOCOLS_AVAILABLE",
        "UNKNOWN_PROTOCOL",
        "UNKNOWN_SSL_VERSION",
        "UNSUPPORTED_PROTOCOL",
        "UNSUPPORTED_SSL_VERSION",
        "VERSION_TOO_HIGH",
        "VERSION_TOO_LOW",
        "WRONG_SSL_VERSION",
    }
)
_CIPHER: Final = frozenset(
    {
        "BAD_ECPOINT",
        "BAD_DH_VALUE",
        "DH_KEY_TOO_SMALL",
        "NO_CIPHERS_AVAILABLE",
        "NO_CIPHER_MATCH",
        "NO_SHARED_CIPHER",
        "NO_SHARED_GROUPS",
        "NO_SHARED_SIGNATURE_ALGORITHMS",
        "NO_SUITABLE_GROUPS",
        "NO_SUITABLE_KEY_SHARE",
        "NO_SUITABLE_SIGNATURE_ALGORITHM",
        "UNKNOWN_CIPHER_RETURNED",
        "UNSUPPORTED_ELLIPTIC_CURVE",
        "WRONG_CIPHER_RETURNED",
        "WRONG_CURVE",
        "WRONG_SIGNATURE_TYPE",
    }
)
_NO_TLS: Final = frozenset(
    {
        "HTTPS_PROXY_REQUEST",
        "HTTP_REQUEST",
        "PACKET_LENGTH_TOO_LONG",
        "RECORD_TOO_SMALL",
        "WRONG_VERSION_NUMBER",
    }
)
_WEAK: Final = {
    "CA_KEY_TOO_SMALL": "an authority above it has a key that is too short",
    "CA_MD_TOO_WEAK": "it is signed with a hash that is too weak",
    "EE_KEY_TOO_SMALL": "its key is too short",
}
_CLOSED: Final = "UNEXPECTED_EOF_WHILE_READING"
# X509_V_ERR_...: the numbers are part of OpenSSL's interface.
_UNKNOWN_ISSUER: Final = frozenset({2, 19, 20, 21, 27})
_SELF_SIGNED: Final = 18
_VERIFICATION: Final = {
    7: "a signature in its chain is wrong",
    9: "it is not yet valid",
    10: "it has expired",
    22: "its chain is too long",
    23: "it is revoked",
    24: "a certificate in its chain may not sign others",
    25: "its chain is longer than an authority in it allows",
    26: "it is not made for this use",
    28: "its root is not made for this use",
    32: "a certificate in its chain may not sign others",
    47: "its names are not among those that its authority may give",
    48: "its names are not among those that its authority may give",
    66: _WEAK["EE_KEY_TOO_SMALL"],
    67: _WEAK["CA_KEY_TOO_SMALL"],
    68: _WEAK["CA_MD_TOO_WEAK"],
    79: "a certificate in its chain may not sign others",
}


def reason_of(error: ssl.SSLError, sight: Sight) -> Reason:
    """What an error of OpenSSL means, raised in a handshake or when first reading after it.

    A00.FR.310, 316, 323 and their twins 413, 419, 426 ask for one security event each; the failure
    tells them apart.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return _verification(error, sight)
    # What Python raises itself has no reason.
    name = (getattr(error, "reason", None) or str(error)).upper().replace(" ", "_")
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) or name == _CLOSED:
        return closed(sight)
    alert = _ALERT.search(name)
    if alert is not None:
        return _alert((alert[1] or alert[2]).strip("_"), sight)
    return _own(name, sight)


def _own(name: str, sight: Sight) -> Reason:
    """What this side did not like."""
    peer = sight.peer
    if name in _VERSION:
        return Reason(ConnectFailure.TLS_VERSION, f"{peer} wants a TLS version below 1.2")
    if name in _CIPHER:
        text = f"no cipher suite in common with {peer}: {_words(name)}"
        return Reason(ConnectFailure.TLS_CIPHER, text)
    if name in _WEAK:
        text = f"the certificate of {peer} is refused: {_WEAK[name]}"
        return Reason(sight.peer_certificate, text)
    if name == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return Reason(ConnectFailure.CLIENT_CERTIFICATE, f"{peer} has shown no certificate")
    text = f"{peer} does not speak TLS here" if name in _NO_TLS else "the TLS handshake failed"
    return Reason(ConnectFailure.TLS, f"{text}: {_words(name)}")


def closed(sight: Sight) -> Reason:
    """The other end has closed the connection and not said why."""
    text = f"{sight.peer} closed the connection in the TLS handshake and gave no reason"
    if sight.own_certificate and sight.server_has_answered and not sight.server_side:
        text += ", maybe because of our certificate"
    return Reason(ConnectFailure.TLS, text)


def _alert(name: str, sight: Sight) -> Reason:
    """What the other end did not like."""
    peer = sight.peer
    about = _ABOUT_OUR_CERTIFICATE.get(name)
    if name == "HANDSHAKE_FAILURE" and sight.server_has_answered and not sight.server_side:
        # TLS 1.2 has no word of its own for a certificate that is missing: once version and suite
        # are agreed it can be about nothing else.
        about = "refuses our certificate" if sight.own_certificate else "asks for a certificate"
    if about is not None:
        return Reason(sight.own_refused, f"{peer} {about}")
    failure, text = _ALERTS.get(name, (ConnectFailure.TLS, f"ended the handshake: {_words(name)}"))
    return Reason(failure, f"{peer} {text}")


def _verification(error: ssl.SSLCertVerificationError, sight: Sight) -> Reason:
    code: int = getattr(error, "verify_code", 0)
    if code in _UNKNOWN_ISSUER:
        if sight.roots == 0:
            text = "there is no root certificate to verify it with"
        else:
            text = "it does not lead to an installed root certificate"
    elif code == _SELF_SIGNED:
        text = "it is signed by itself and not an installed root certificate"
    else:
        text = _VERIFICATION.get(code) or str(getattr(error, "verify_message", "") or error)
    return Reason(
        sight.peer_certificate,
        f"the certificate of {sight.peer} is refused: {text}",
        of_path=True,
    )


def _words(name: str) -> str:
    return name.lower().replace("_", " ")
