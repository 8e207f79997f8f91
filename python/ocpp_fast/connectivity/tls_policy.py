"""What TLS may do, as the variables of InternalCtrlr say."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocpp_fast.connectivity.access import Access
    from ocpp_fast.security.tls import TlsPolicy

__all__ = ["tls_policy"]


def tls_policy(variables: Access) -> TlsPolicy:
    """The settings of now; what is not in the component files has its default."""
    from ocpp_fast.security.tls import TlsPolicy  # only where TLS is used

    def is_on(variable: str, *, default: bool) -> bool:
        text = variables.text("InternalCtrlr", variable)
        return default if not text else text == "true"

    suites = variables.text("InternalCtrlr", "SupportedCiphers12") or ""
    key_log = variables.text("InternalCtrlr", "TLSKeylogFile") or None
    return TlsPolicy(
        ciphers=tuple(suite for part in suites.split(",") if (suite := part.strip())),
        verify_name=is_on("VerifyCsmsCommonName", default=True),
        allow_wildcards=is_on("VerifyCsmsAllowWildcards", default=False),
        system_roots=is_on("UseSslDefaultVerifyPaths", default=False),
        check_ocsp=is_on("CheckCsmsOcsp", default=False),
        key_log=key_log if is_on("EnableTLSKeylog", default=False) else None,
    )
