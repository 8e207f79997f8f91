"""Block M, as far as it is not ISO 15118: installed certificates (M03, M04, M05), and the OCSP
status of the station's own V2G certificates (M06).

Nothing here imports `cryptography` before a certificate is asked for.
"""

from ocpp_fast.blocks.certificates.block import Certificates
from ocpp_fast.blocks.certificates.status import CertificateStatus

__all__ = ["CertificateStatus", "Certificates"]
