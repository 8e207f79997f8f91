"""Keeping the link to the CSMS: when to dial, and doing it.

`BackOff` decides, without a clock; `Connectivity` dials, waits and dials again. Nothing but
`stop` ends it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, TypeAlias

from ocpp_fast.errors import OcppError
from ocpp_fast.transport.base import ClosedBy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ocpp_fast.clock import Clock
    from ocpp_fast.config import DeviceModel
    from ocpp_fast.connection import Connection
    from ocpp_fast.ids import Ids

__all__ = ["BackOff", "Connectivity", "Dial"]

_log = logging.getLogger(__name__)

Dial: TypeAlias = "Callable[[], Awaitable[Connection]]"
"""Opens one connection to the CSMS; raises `ConnectFailed`."""

SHORTEST_S: Final = 0.1
"""Least pause, whatever is configured."""
MAX_DOUBLINGS: Final = 16
"""Bound on RetryBackOffRepeatTimes: 16 doublings of one second are eighteen hours."""


class BackOff:
    """The pauses between attempts to connect (Part 4, section 5.4).

    The first is the minimum; each failure doubles it, up to a number of times; every pause has a
    random part of its own on top.
    """

    def __init__(self) -> None:
        self._failures = 0

    def reset(self) -> None:
        """A connection was made; the next pause is the first again."""
        self._failures = 0

    def next_s(
        self, minimum_s: float, random_range_s: float, repeat_times: int, chance: float
    ) -> float:
        """The pause before the next attempt, in seconds. `chance` is a number from 0 to 1."""
        doublings = min(self._failures, repeat_times, MAX_DOUBLINGS)
        self._failures += 1
        return max(minimum_s * 2**doublings + random_range_s * chance, SHORTEST_S)


class Connectivity:
    """Holds one connection open, for as long as `run` runs."""

    def __init__(
        self,
        dial: Dial,
        clock: Clock,
        ids: Ids,
        device_model: DeviceModel,
        *,
        on_connected: Callable[[Connection], Awaitable[None]],
        on_disconnected: Callable[[Connection], Awaitable[None]],
    ) -> None:
        self._dial = dial
        self._clock = clock
        self._ids = ids
        self._device_model = device_model
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self._back_off = BackOff()
        self._connection: Connection | None = None
        self.error: OcppError | None = None
        """Why the last attempt failed."""

    async def run(self) -> None:
        """Connects and reconnects, for ever."""
        while True:
            try:
                connection = await self._dial()
            except OcppError as error:
                self.error = error
                _log.warning("%s", error)
            else:
                self.error = None
                await self._keep(connection)
            await self._clock.sleep(self._pause_s())

    async def close(self, code: int, reason: str) -> None:
        """Closes the connection there is now."""
        if self._connection is not None:
            await self._connection.close(code, reason)

    async def _keep(self, connection: Connection) -> None:
        self._back_off.reset()
        self._connection = connection
        try:
            await self._on_connected(connection)
            reason = await connection.wait_closed()
            level = logging.INFO if reason.by is ClosedBy.LOCAL else logging.WARNING
            _log.log(level, "the link to the CSMS was %s", reason)
        finally:
            self._connection = None
            await self._on_disconnected(connection)
            # Also ends what handlers still do for a CSMS that is gone.
            await connection.close()

    def _pause_s(self) -> float:
        variables = self._device_model.variables
        return self._back_off.next_s(
            variables.retry_back_off_wait_minimum_s,
            variables.retry_back_off_random_range_s,
            variables.retry_back_off_repeat_times,
            self._ids.random(),
        )
