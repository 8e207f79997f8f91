"""A site whose CSMS has moods: it drops answers, answers late, twice or not at all, hangs up at the
worst moment, refuses.

The station's own callback says what happened there; the CSMS says what it learned. In the end each
transaction has one Started, one Ended and every number between, and was told in order.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from ocpp_fast.callbacks import Callbacks
from ocpp_fast.connection import Connection
from ocpp_fast.connectivity.link import Link, Target
from ocpp_fast.csms import StationRecord
from ocpp_fast.errors import ErrorCode, RequestRefused
from ocpp_fast.ids import Ids
from ocpp_fast.testing import VirtualClock, run_virtual
from ocpp_fast.transport.base import MakeListener
from ocpp_fast.transport.memory import MemoryLink
from pair.station_kit import QUIET, TOKEN, Site

EVENT: Final = "TransactionEvent"
TIMEOUT_S: Final = 10

STUBBORN: Final = replace(
    QUIET,
    message_timeout_s=TIMEOUT_S,
    message_attempts=60,
    message_attempt_interval_s=1,
    tx_updated_interval_s=15,
    offline_tx_for_unknown_id_enabled=True,
    retry_back_off_repeat_times=0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moods:
    """How often something goes wrong with an event, each a share from 0 to 1."""

    lose_request: float = 0.0
    hang_up_on_request: float = 0.0
    """The link breaks before the CSMS has it."""
    refuse: float = 0.0
    """CALLERROR."""
    think: float = 0.0
    """The answer comes after the message timeout; by then the station has given up waiting."""
    lose_answer: float = 0.0
    hang_up_on_answer: float = 0.0
    """The CSMS has it, the station does not learn so."""
    hang_up_after_answer: float = 0.0
    say_twice: float = 0.0


CALM: Final = Moods()
ALL_MOODS: Final = Moods(
    lose_request=0.05, hang_up_on_request=0.05, refuse=0.1, think=0.1, lose_answer=0.1,
    hang_up_on_answer=0.05, hang_up_after_answer=0.05, say_twice=0.2,
)  # fmt: skip


class MoodySite(Site):
    """A site where something goes wrong with TransactionEvents, by chance from a seed."""

    def __init__(self, clock: VirtualClock, *args: Any, seed: int = 0, **options: Any) -> None:
        self.moods = CALM
        self.chance = Ids(seed=seed)
        self.met: Counter[str] = Counter()
        """What has gone wrong, how often."""
        self.received: list[Any] = []
        """Events as they arrived at the CSMS, again and again."""
        self.created: list[Any] = []
        """Events as the station made them."""
        self.judge: Callable[[Any], Awaitable[Any] | None] | None = None
        """Has the first word on each event."""
        self._asked: dict[str, int] = {}
        super().__init__(clock, *args, handlers={EVENT: self._answer}, adapt=self._adapt, **options)

    def _adapt(self, callbacks: Callbacks) -> Callbacks:
        async def note(request: Any) -> None:
            self.created.append(request)

        return replace(callbacks, transaction_event_callback=note)

    async def _open(self, make: MakeListener[Connection], target: Target) -> Link:
        link = await super()._open(make, target)
        assert self.link is not None
        memory = self.link
        self._asked.clear()
        memory.to_right.script = lambda frame: self._on_request(memory, frame)
        memory.to_left.script = lambda frame: self._on_answer(memory, frame)
        return link

    def _happens(self, mood: str) -> bool:
        rate = getattr(self.moods, mood)
        happens = rate > 0 and self.chance.random() < rate
        self.met[mood] += happens
        return happens

    def _on_request(self, link: MemoryLink, frame: bytes) -> tuple[bytes, ...]:
        call = json.loads(frame)
        if call[0] != 2 or call[2] != EVENT:
            return (frame,)
        self._asked[call[1]] = call[3]["seqNo"]
        if self._happens("hang_up_on_request"):
            self.clock.call_later(0, link.cut)
            return ()
        return () if self._happens("lose_request") else (frame,)

    def _on_answer(self, link: MemoryLink, frame: bytes) -> tuple[bytes, ...]:
        answer = json.loads(frame)
        if answer[0] == 2 or answer[1] not in self._asked:
            return (frame,)
        if self._happens("hang_up_on_answer"):
            self.clock.call_later(0, link.cut)
            return ()
        if self._happens("hang_up_after_answer"):
            self.clock.call_later(0.001, link.cut)
        elif self._happens("say_twice"):
            self.clock.call_later(self.chance.random() * 30, lambda: self._repeat(link, frame))
        elif self._happens("think"):
            delay_s = TIMEOUT_S + self.chance.random() * 30
            self.clock.call_later(delay_s, lambda: self._repeat(link, frame))
            return ()
        return () if self._happens("lose_answer") else (frame,)

    @staticmethod
    def _repeat(link: MemoryLink, frame: bytes) -> None:
        if not link.left.closed:
            link.left.listener.on_frame(frame)

    async def _answer(self, station: StationRecord, request: Any) -> Any:
        self.received.append(request)
        if self.judge is not None and (verdict := self.judge(request)) is not None:
            return await verdict
        if self._happens("refuse"):
            raise RequestRefused(ErrorCode.INTERNAL_ERROR, "not in the mood")
        m: Any = (station.version or self.version).module
        return m.TransactionEventResponse()

    def check(self) -> None:
        """Nothing lost, nothing doubled that cannot be told from its number, nothing reordered."""
        made = {key(event): event for event in self.created}
        assert len(made) == len(self.created), "a number was used twice"
        firsts: dict[str, list[Any]] = defaultdict(list)
        seen: dict[tuple[str, int], Any] = {}
        for event in self.received:
            if (before := seen.setdefault(key(event), event)) is event:
                firsts[key(event)[0]].append(event)
            else:
                assert bare(event) == bare(before), "one number, two contents"
                assert event.offline or not before.offline, "offline once is offline for ever"
        assert seen.keys() == made.keys()
        for event in seen.values():
            assert bare(event) == bare(made[key(event)])
        for transaction_id, events in firsts.items():
            numbers = [event.seq_no for event in events]
            assert numbers == list(range(len(numbers))), transaction_id
            kinds = [str(event.event_type) for event in events]
            assert kinds == ["Started", *["Updated"] * (len(kinds) - 2), "Ended"]
            times = [event.timestamp for event in events]
            assert times == sorted(times)
            energies = [value for event in events for value in registers(event)]
            assert max(energies) == energies[-1]


def key(event: Any) -> tuple[str, int]:
    return event.transaction_info.transaction_id, event.seq_no


def bare(event: Any) -> Any:
    """An event without its flag, which may have to be added when it is sent again."""
    return event.replace(offline=None)


def registers(event: Any) -> list[float]:
    return [
        value.value
        for reading in event.meter_value or ()
        for value in reading.sampled_value
        if value.measurand == "Energy.Active.Import.Register"
    ]


def at_moody_site(
    scenario: Callable[[MoodySite], Awaitable[None]], *args: Any, **options: Any
) -> None:
    async def run(clock: VirtualClock) -> None:
        site = MoodySite(clock, *args, **_with_variables(options))
        async with site:
            await scenario(site)

    run_virtual(run)


def _with_variables(options: dict[str, Any]) -> dict[str, Any]:
    return {"variables": STUBBORN, **options}


async def drivers(site: MoodySite, evse_id: int, sessions: int) -> None:
    """Drivers one after the other at an EVSE, each for a while by chance."""
    for _ in range(sessions):
        await site.station.plug_in(evse_id)
        while site.station.evse(evse_id).transaction_id is None:
            await site.station.swipe(TOKEN, evse_id)
            await site.clock.sleep(1)
        await site.clock.sleep(5 + site.ids.random() * 120)
        await site.station.swipe(TOKEN, evse_id)
        await site.clock.sleep(site.ids.random() * 5)
        await site.station.unplug(evse_id)
        await site.clock.sleep(1 + site.ids.random() * 20)
