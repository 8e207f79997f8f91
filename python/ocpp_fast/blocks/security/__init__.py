"""Block A: security events (A04), the password (A01), the station's own certificates (A02, A03).

Nothing here imports `cryptography` before a certificate is asked for.
"""

from ocpp_fast.blocks.security.client import ClientCertificates
from ocpp_fast.blocks.security.events import CRITICAL, DATABASE_CORRUPTED, SecurityEvents
from ocpp_fast.blocks.security.passwords import Passwords

__all__ = [
    "CRITICAL",
    "DATABASE_CORRUPTED",
    "ClientCertificates",
    "Passwords",
    "SecurityEvents",
]
