"""A simple CSMS: OCPP 2.0.1 and 2.1 on one port, with a valid answer to everything.

    async with Csms(port=9000) as csms:
        await csms.call("CS001", v21.ResetRequest(type="OnIdle"))

For demonstrations, tests and as the start of one's own: each answer can be replaced (`Csms.on`),
each request can be sent, and what stations have told is kept in `Csms.stations`.
"""

from ocpp_fast.csms.addresses import VariableAddress
from ocpp_fast.csms.csms import Csms, CsmsHandler, CsmsObserver
from ocpp_fast.csms.ledger import SeqNos, StationRecord, TransactionRecord
from ocpp_fast.csms.model import StationModel
from ocpp_fast.csms.passwords import Passwords
from ocpp_fast.csms.reports import Report
from ocpp_fast.csms.security import CsmsSecurity, KeyPair, ProfileFloor
from ocpp_fast.csms.signing import Signer
from ocpp_fast.csms.station_security import StationSecurity

__all__ = [
    "Csms",
    "CsmsHandler",
    "CsmsObserver",
    "CsmsSecurity",
    "KeyPair",
    "Passwords",
    "ProfileFloor",
    "Report",
    "SeqNos",
    "Signer",
    "StationModel",
    "StationRecord",
    "StationSecurity",
    "TransactionRecord",
    "VariableAddress",
]
