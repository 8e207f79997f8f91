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

    def is_on(variable: str, component: str = "InternalCtrlr", *, default: bool = False) -> bool:
        text = variables.text(component, variable)
        return default if not text else text == "true"

    suites = variables.text("InternalCtrlr", "SupportedCiphers12") or ""
    key_log = variables.text("InternalCtrlr", "TLSKeylogFile") or None
    return TlsPolicy(
        ciphers=tuple(suite for part in suites.split(",") if (suite := part.strip())),
        verify_name=is_on("VerifyCsmsCommonName", default=True),
        # The second is libocpp's name for it.
        allow_wildcards=is_on("AllowCSMSTLSWildcards", "SecurityCtrlr")
        or is_on("VerifyCsmsAllowWildcards"),
        system_roots=is_on("UseSslDefaultVerifyPaths"),
        check_ocsp=is_on("CheckCsmsOcsp"),
        key_log=key_log if is_on("EnableTLSKeylog") else None,
    )
