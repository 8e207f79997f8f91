"""Reports in parts: how many at once, and one part after the other."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, TypeAlias

from ocpp_fast.errors import CallerError, ConnectionLost, PeerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from ocpp_fast.device_model import DeviceModel

__all__ = ["Part", "PartedReports", "max_message_bytes"]

_log = logging.getLogger(__name__)

MAX_REPORTS: Final = 4
"""How many reports of a kind may be under way; while there are as many, more are Rejected."""

DEFAULT_MAX_BYTES: Final = 65_000

Part: TypeAlias = "tuple[Awaitable[object], bool]"
"""What sends a part and waits for its answer, and whether it is the last part."""


class PartedReports:
    """Sends reports that were asked for, each part only when the one before was answered.

    A report ends early, with a log line, when the link is lost or the CSMS does not take a part:
    what is left of it could not be told from a whole one.
    """

    def __init__(self, action: str) -> None:
        """`action` is that of the parts."""
        self._action = action
        self._under_way: set[int] = set()

    def refusal(self, request_id: int) -> tuple[str, str] | None:
        """Why no report can be sent now, as reasonCode and additionalInfo (B07.FR.13, B08.FR.16);
        None if one can."""
        if request_id in self._under_way:
            return "DuplicateRequestId", "a report of this requestId is being sent"
        if len(self._under_way) >= MAX_REPORTS:
            return "Unspecified", f"{MAX_REPORTS} reports are being sent"
        return None

    async def send(self, request_id: int, parts: Iterable[Part]) -> None:
        """Sends all parts; they are asked for one by one, as the answers come."""
        self._under_way.add(request_id)
        try:
            for part, last in parts:
                if last:
                    # The CSMS may ask for the next report as soon as it has this part.
                    self._under_way.discard(request_id)
                await part
        except (CallerError, ConnectionLost, PeerError) as error:
            _log.warning("%s of request %d ends early: %s", self._action, request_id, error)
        finally:
            self._under_way.discard(request_id)


def max_message_bytes(device_model: DeviceModel) -> int:
    """How long a message may be that the station cuts into parts: InternalCtrlr.MaxMessageSize."""
    cache = device_model.cache
    number = cache.find("InternalCtrlr", None, None, None, "MaxMessageSize", None)
    text = cache.value(number) if number >= 0 else None
    return int(text) if text else DEFAULT_MAX_BYTES
