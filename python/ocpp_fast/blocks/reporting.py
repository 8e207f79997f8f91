"""Reports in parts: how many at once, and one part after the other."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, TypeAlias

from ocpp_fast.errors import CallerError, ConnectionLost, PeerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

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

    def __init__(self, action: str, link: Callable[[], object] = lambda: None) -> None:
        """`action` is that of the parts; `link` gives the link of the moment."""
        self._action = action
        self._link = link
        self._under_way: set[tuple[object, int]] = set()

    def refusal(self, request_id: int) -> tuple[str, str] | None:
        """Why no report can be sent now, as reasonCode and additionalInfo (B07.FR.13, B08.FR.16);
        None if one can."""
        link = self._link()
        if (link, request_id) in self._under_way:
            return "DuplicateRequestId", "a report of this requestId is being sent"
        if sum(of is link for of, _ in self._under_way) >= MAX_REPORTS:
            return "Unspecified", f"{MAX_REPORTS} reports are being sent"
        return None

    def promise(self, request_id: int) -> None:
        """Counts a report from now on, which `send` will send once the request was answered."""
        link = self._link()
        # What was promised on a link that broke before the answer is never sent.
        self._under_way = {report for report in self._under_way if report[0] is link}
        self._under_way.add((link, request_id))

    async def send(self, request_id: int, parts: Iterable[Part]) -> None:
        """Sends all parts; they are asked for one by one, as the answers come."""
        report = self._link(), request_id
        self._under_way.add(report)
        try:
            for part, last in parts:
                if last:
                    # The CSMS may ask for the next report as soon as it has this part.
                    self._under_way.discard(report)
                await part
        except (CallerError, ConnectionLost, PeerError) as error:
            _log.warning("%s of request %d ends early: %s", self._action, request_id, error)
        finally:
            self._under_way.discard(report)


def max_message_bytes(device_model: DeviceModel) -> int:
    """How long a message may be that the station cuts into parts: InternalCtrlr.MaxMessageSize."""
    cache = device_model.cache
    number = cache.find("InternalCtrlr", None, None, None, "MaxMessageSize", None)
    text = cache.value(number) if number >= 0 else None
    return int(text) if text else DEFAULT_MAX_BYTES
