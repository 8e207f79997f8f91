"""Events that were made before anybody knew which OCPP version they would go out in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from ocpp_fast.blocks.transactions.events import ACTION
from ocpp_fast.messages.version import OcppVersion

if TYPE_CHECKING:
    from ocpp_fast.storage.base import OutboxRow

__all__ = ["adapted"]


def adapted(row: OutboxRow, version: OcppVersion) -> bytes | None:
    """The payload of an event that another version made, in the words of this one; None when there
    are none.

    A transaction goes on right after the start, when no CSMS has been heard yet. What 2.1 calls
    TxResumed is a mere ChargingStateChanged in 2.0.1: without the event the CSMS would miss a
    seqNo.
    """
    if row.action != ACTION or version is not OcppVersion.V201:
        return None
    event = orjson.loads(row.payload)
    if event.get("triggerReason") != "TxResumed":
        return None
    return orjson.dumps(event | {"triggerReason": "ChargingStateChanged"})
