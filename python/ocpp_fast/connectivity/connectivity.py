"""The one loop that opens links to the CSMS, for as long as the station runs."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ocpp_fast.connectivity.back_off import BackOff
from ocpp_fast.connectivity.rotation import Attempt, Rotation
from ocpp_fast.errors import ConnectFailed, ConnectFailure, OcppError
from ocpp_fast.transport.base import ClosedBy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ocpp_fast.clock import Clock
    from ocpp_fast.config import Variables
    from ocpp_fast.connectivity.link import Link
    from ocpp_fast.ids import Ids

__all__ = ["Connectivity", "LinkEvents", "Network", "Open"]

_log = logging.getLogger(__name__)

Open: TypeAlias = "Callable[[Attempt], Awaitable[Link]]"
"""Opens one link to the CSMS, within a bound; raises `ConnectFailed`."""

_NO_SLOT = ConnectFailed(ConnectFailure.SLOT, "NetworkConfigurationPriority names no slot")


class Network(Protocol):
    """The network configuration, as far as it decides which slot is next."""

    @property
    def priority(self) -> Sequence[int]:
        """The slots of NetworkConfigurationPriority, the first one first."""
        ...

    @property
    def last_good(self) -> int | None:
        """The slot of the last connection on which the CSMS has accepted the station."""
        ...


@dataclass(frozen=True, slots=True)
class LinkEvents:
    """Who is told what becomes of the attempts."""

    connected: Callable[[Link], Awaitable[None]]
    disconnected: Callable[[Link], Awaitable[None]]
    failed: Callable[[OcppError], None]
    """No link came to be."""


class Connectivity:
    """Holds one link open, for as long as `run` runs.

    Every dial has a random delay, the first one too (RetryBackOffRandomRange); after a failure or
    a loss there is the back-off of Part 4, section 5.4, before it.
    """

    def __init__(
        self,
        open_: Open,
        network: Network,
        events: LinkEvents,
        *,
        variables: Callable[[], Variables],
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._open = open_
        self._network = network
        self._events = events
        self._variables = variables
        self._clock = clock
        self._ids = ids
        self._rotation = Rotation()
        self._back_off = BackOff()
        self._link: Link | None = None
        self._settled = False
        self._wanted = True
        """Whether the next dial is one that we want, rather than the answer to a failure."""
        self._skipped: dict[int, str] = {}
        """Why slots were skipped, so that each reason is logged once."""
        self.error: OcppError | None = None
        """Why the last attempt failed."""

    async def run(self) -> None:
        """Connects and reconnects, for ever."""
        lap = 0
        while True:
            attempt = self._next()
            if attempt is None or attempt.lap != lap or not self._slot_failed():
                await self._clock.sleep(self._pause_s())
            if attempt is None:
                self.error = _NO_SLOT
                continue
            lap = attempt.lap
            try:
                link = await self._open(attempt)
            except asyncio.CancelledError as error:
                # A library may raise it of its own accord; only our own end is an end.
                if (task := asyncio.current_task()) is None or task.cancelling():
                    raise
                self._failed(attempt, error)
            except Exception as error:
                self._failed(attempt, error)
            else:
                self.error = None
                await self._keep(link)

    async def close(self, code: int, reason: str) -> None:
        """Closes the link there is now."""
        if self._link is not None:
            await self._link.connection.close(code, reason)

    def reconnect(self, reason: str) -> None:
        """Closes the link there is now and dials its slot again, without back-off and with what is
        new: a password, a certificate (A01, A02.FR.08). Does not wait."""
        if self._link is not None:
            self._wanted = True
            self._rotation.begin(self._link.slot.slot, even_unlisted=True)
            self._link.connection.transport.close(1000, reason)

    def settle(self, link: Link) -> None:
        """The CSMS has accepted the station on this link, so it is a good one."""
        if self._link is link and not self._settled:
            self._settled = True
            self._rotation.begin(link.slot.slot)

    def _next(self) -> Attempt | None:
        attempts = self._variables().network_profile_connection_attempts
        return self._rotation.next(self._network.priority, attempts, self._network.last_good)

    def _slot_failed(self) -> bool:
        return isinstance(self.error, ConnectFailed) and self.error.failure is ConnectFailure.SLOT

    def _failed(self, attempt: Attempt, error: BaseException) -> None:
        if not isinstance(error, OcppError):
            _log.error("the attempt to connect failed", exc_info=error)
            error = ConnectFailed(ConnectFailure.NETWORK, f"{type(error).__name__}: {error}")
        self.error = error
        if self._slot_failed():
            self._rotation.skip(attempt.slot)
            if self._skipped.get(attempt.slot) != str(error):
                self._skipped[attempt.slot] = str(error)
                _log.warning("slot %d is skipped: %s", attempt.slot, error)
        else:
            self._rotation.failed(attempt.slot)
            _log.warning("slot %d: %s", attempt.slot, error)
        self._events.failed(error)

    async def _keep(self, link: Link) -> None:
        self._back_off.reset()
        self._skipped.clear()
        self._link = link
        self._settled = False
        connection = link.connection
        try:
            await self._events.connected(link)
            reason = await connection.wait_closed()
            level = logging.INFO if reason.by is ClosedBy.LOCAL else logging.WARNING
            _log.log(level, "the link to the CSMS was %s", reason)
        finally:
            self._link = None
            if not self._settled and not self._wanted:
                self._rotation.failed(link.slot.slot)
            await self._events.disconnected(link)
            # Also ends what handlers still do for a CSMS that is gone.
            await connection.close()

    def _pause_s(self) -> float:
        variables = self._variables()
        random_range_s = variables.retry_back_off_random_range_s
        chance = self._ids.random()
        if self._wanted:
            self._wanted = False
            return random_range_s * chance
        return self._back_off.next_s(
            variables.retry_back_off_wait_minimum_s,
            random_range_s,
            variables.retry_back_off_repeat_times,
            chance,
        )
