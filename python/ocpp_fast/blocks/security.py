"""Block A: security events (A04)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ocpp_fast.blocks.context import Context

__all__ = ["DATABASE_CORRUPTED", "SecurityEvents"]

_log = logging.getLogger(__name__)

_ACTION: Final = "SecurityEventNotification"
_LANE: Final = "security"
_MAX_TECH_INFO: Final = 255

DATABASE_CORRUPTED: Final = "DatabaseCorrupted"
"""Type of our own, since none of the appendix fits: the durable state could not be read. It was set
aside, where techInfo says, and begins anew."""


class SecurityEvents:
    """Tells the CSMS of security events, with guaranteed delivery."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def notify(self, kind: str, tech_info: str | None = None) -> None:
        """Sends one event, at once or when there is a link (A04.FR.01, A04.FR.02).

        `kind` is one of the appendix where one fits. It is durable when this returns; `tech_info`
        is cut to what the message can hold.
        """
        context = self._context
        request = context.messages.SecurityEventNotificationRequest(
            type=kind,
            timestamp=context.clock.now(),
            tech_info=tech_info and tech_info[:_MAX_TECH_INFO],
        )
        await context.delivery.post(context.version, _ACTION, request, _LANE)

    async def storage_set_aside(self, path: str) -> None:
        """The durable state was damaged: what is left of it is kept at `path`."""
        _log.error("the database was damaged; it is kept as %s, and a new one is begun", path)
        await self.notify(DATABASE_CORRUPTED, f"kept as {path}")
