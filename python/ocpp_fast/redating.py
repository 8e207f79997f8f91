"""Times that were stamped before the station knew the time, corrected when it does.

Each start that does not know the time begins a *run*, which its messages bear (`OutboxRow.run`).
When the time becomes known, all dates on the wrong scale of `station_clock` are moved, in memory
and in the storage, and only then the messages may leave. The messages of an earlier run that never
knew the time are placed so that the last of them is at the start after it: later they cannot be.
"""

from __future__ import annotations

import json
import logging
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from ocpp_fast.errors import StorageError
from ocpp_fast.station_clock import STEP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence

    from ocpp_fast.clock import Timer
    from ocpp_fast.delivery import Delivery
    from ocpp_fast.restoring import Restart
    from ocpp_fast.station_clock import StationClock
    from ocpp_fast.storage.base import OutboxRow, Storage

__all__ = ["Correction", "Dated", "Redating", "date_times", "redated"]

_log = logging.getLogger(__name__)

SEEN: Final = "clock.seen"
"""Fact: a moment at which the station knew the time."""
RUNS: Final = "clock.runs"
"""Fact: the number of the last run, and what is known of the runs whose messages may still be
stored with wrong times."""

SEEN_INTERVAL_S: Final = 600.0
"""How old `SEEN` gets while the station runs."""

DIFFERENCE_S: Final = 60.0
"""Clocks of station and CSMS that are further apart are worth a line in the log."""

_LONGEST_RUN: Final = timedelta(days=366)
"""Times of an earlier run that are later than that after its start were not stamped by it."""

# A JSON string that is a date-time as a whole, and no name of a member.
_DATE_TIME: Final = re.compile(
    rb'(?<!\\)"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))"(?!\s*:)'
)


class Dated(Protocol):
    """Who keeps times in memory."""

    def redate(self, correct: Callable[[datetime], datetime], /) -> None:
        """The time has become known: `correct` gives the right time for one of this run; times that
        are right stay."""
        ...


class Correction(NamedTuple):
    """How the times of one run are put right."""

    since: datetime
    """Where the wrong scale began."""
    until: datetime
    """Later times are not on it."""
    shift: timedelta | None
    """How far the scale is behind; None while nobody knows."""

    def __call__(self, time: datetime) -> datetime:
        """The right time."""
        if self.shift is None or not self.since - STEP <= time <= self.until:
            return time
        return time + self.shift


def date_times(payload: bytes) -> Iterator[datetime]:
    """All date-times in a message."""
    for match in _DATE_TIME.finditer(payload):
        if (time := _parsed(match[1])) is not None:
            yield time


def redated(payload: bytes, correct: Callable[[datetime], datetime]) -> bytes:
    """The message with other date-times; every other byte stays."""

    def replace(match: re.Match[bytes]) -> bytes:
        before = _parsed(match[1])
        if before is None or (after := correct(before)) == before:
            return match[0]
        text = after.astimezone(UTC).isoformat(timespec="milliseconds")
        return b'"' + text.replace("+00:00", "Z").encode() + b'"'

    return _DATE_TIME.sub(replace, payload)


def _parsed(text: bytes) -> datetime | None:
    try:
        return datetime.fromisoformat(text.decode())
    except ValueError:  # the 31st of February
        return None


class Redating:
    """Knows which runs there were, corrects what they have left, and opens `Delivery` after that.

    The durable part `clock.`; registered first, since others ask for the time when they are
    restored.
    """

    prefix = "clock."

    def __init__(
        self,
        clock: StationClock,
        delivery: Delivery,
        storage: Storage,
        *,
        dated: Sequence[Dated],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        report: Callable[[str, str], None],
        threshold_s: Callable[[], float | None],
    ) -> None:
        """`report(type, techInfo)` takes a security event; `threshold_s` gives
        ClockCtrlr.TimeAdjustmentReportingThreshold, None without one."""
        self._clock = clock
        self._delivery = delivery
        self._storage = storage
        self._dated = dated
        self._spawn = spawn
        self._report = report
        self._threshold_s = threshold_s
        self._last_run = 0
        self._undated: dict[int, Correction] = {}
        """Runs of which messages may be stored with wrong times."""
        self._begun = clock.now()
        self._news = False
        self._open = False
        self._working = False
        self._noted = 0.0
        self._timer: Timer | None = None
        self._differs = False

    # --- life -------------------------------------------------------------------------------

    async def restore(self, facts: Mapping[str, str], restart: Restart, /) -> None:
        """See `DurablePart.restore`; from now on the station's clock is judged."""
        seen: datetime | None = None
        try:
            self._last_run, self._undated = _runs(facts.get(RUNS))
            if (text := facts.get(SEEN)) is not None:
                seen = datetime.fromisoformat(text).astimezone(UTC)
        except (LookupError, TypeError, ValueError):
            _log.exception("what is known of the time cannot be read: %s", dict(facts))
        self._begun = restart.at
        if not self._clock.begin(seen):
            self._begun = begun = self._clock.now()
            self._last_run += 1
            self._undated[self._last_run] = Correction(begun, begun + _LONGEST_RUN, None)
            self._delivery.run = self._last_run
            self._clock.on_right = self._on_right
            self._put({RUNS: self._runs()})
        if self._undated:
            self._delivery.redate = self._correct
        self._note_seen()

    def close(self) -> None:
        """The station stops, and knows until when it knew the time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._clock.is_right:
            self._put({SEEN: self._clock.now().isoformat()})

    # --- the time ---------------------------------------------------------------------------

    def learn(self, time: datetime) -> None:
        """The CSMS says that it is `time`."""
        moved = abs(self._clock.learn(time).total_seconds())
        self._take_news()
        threshold_s = self._threshold_s()
        if threshold_s is not None and moved > threshold_s:
            self._report("SettingSystemTime", f"the clock was set by {moved:.0f} s")
        differs = abs((self._clock.now() - time).total_seconds()) > DIFFERENCE_S
        if differs and not self._differs:
            _log.warning("it is %s, the CSMS says %s", self._clock.now(), time)
        self._differs = differs
        if self._clock.monotonic() - self._noted >= SEEN_INTERVAL_S:
            self._note_seen()

    def release(self, *, open_: bool) -> None:
        """Like `Delivery.release`, after what waits was corrected."""
        self._open = open_
        if open_ and self._undated and self._clock.is_right:
            self._take_news()
            self._redate_stored()
        else:
            self._delivery.release(open_=open_)

    def _on_right(self) -> None:
        """The time is known, as somebody who asked for it has found."""
        run = self._last_run
        self._delivery.run = 0
        shift = self._clock.shift or timedelta()
        self._undated[run] = Correction(self._begun, self._clock.wrong_until, shift)
        self._news = True
        with suppress(RuntimeError):  # In another thread there is no loop; it is found later.
            self._clock.call_later(0.0, self._take_news)

    def _take_news(self) -> None:
        if not self._news:
            return
        self._news = False
        self._begun = self._clock.dated(self._begun)
        for part in self._dated:
            part.redate(self._clock.dated)
        self._note_seen()
        self._redate_stored()

    def _note_seen(self) -> None:
        """Remembers that the time is known now, and sees to it that it is done again."""
        if not self._delivery.facts.durable:
            return
        if self._clock.is_right:
            self._put({SEEN: self._clock.now().isoformat()})
        self._noted = self._clock.monotonic()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.call_later(SEEN_INTERVAL_S, self._note_seen)

    # --- what is stored ---------------------------------------------------------------------

    def _redate_stored(self) -> None:
        """Corrects all messages, then lets them go if they may."""
        self._correct_memory()
        if not self._delivery.facts.durable:
            self._undated.clear()
            self._delivery.release(open_=self._open)
        elif not self._working:
            self._working = True
            self._spawn(self._work(), "correct times")

    async def _work(self) -> None:
        try:
            # All that was posted before is stored when this is; a crash from here on costs nothing.
            await self._delivery.facts.keep({RUNS: self._runs()})
            if any(each.shift is None for each in self._undated.values()):
                await self._place_earlier()
                await self._delivery.facts.keep({RUNS: self._runs()})
            count = 0
            async for rows in self._pages():
                for row in rows:
                    self._correct(row)
                await self._storage.outbox_redate([(row.row_id, row.payload) for row in rows])
                count += len(rows)
            self._correct_memory()
            _log.warning("the times of %d stored messages were corrected", count)
            self._undated.clear()
            self._put({RUNS: self._runs()})
        except StorageError as error:
            # They are corrected when they are loaded.
            _log.error("stored times were not corrected: %s", error)
        finally:
            self._correct_memory()
            self._working = False
            self._delivery.release(open_=self._open)

    async def _place_earlier(self) -> None:
        """Runs that never knew the time: the last message of each is at the start after it."""
        found: dict[int, tuple[datetime, datetime]] = {}
        async for rows in self._pages():
            for row in rows:
                correction = self._undated.get(row.run)
                if correction is None or correction.shift is not None:
                    continue
                for time in date_times(row.payload):
                    if correction.since - STEP <= time <= correction.until:
                        first, last = found.get(row.run, (time, time))
                        found[row.run] = min(first, time), max(last, time)
        end = self._begun
        for run, correction in sorted(self._undated.items(), reverse=True):
            since, _, shift = correction
            if shift is None:
                first, last = found.get(run, (since, since))
                since, shift = min(first, since), end - last
                self._undated[run] = Correction(since, last, shift)
            end = min(end, since + shift)

    async def _pages(self) -> AsyncIterator[list[OutboxRow]]:
        """The stored messages that bear a run."""
        after = 0
        while rows := await self._storage.outbox_undated(after):
            after = rows[-1].row_id
            yield rows

    def _correct_memory(self) -> None:
        for row in self._delivery.outbox.rows():
            if row.run:
                self._correct(row)

    def _correct(self, row: OutboxRow) -> None:
        """Corrects a message where it is known how."""
        correction = self._undated.get(row.run)
        if correction is not None and correction.shift is not None:
            row.payload = redated(row.payload, correction)
            row.run = 0

    def _put(self, changes: Mapping[str, str | None]) -> None:
        if self._delivery.facts.durable:
            self._delivery.facts.put(changes)

    def _runs(self) -> str:
        undated = {
            str(run): [
                each.since.isoformat(),
                each.until.isoformat(),
                None if each.shift is None else each.shift.total_seconds(),
            ]
            for run, each in self._undated.items()
        }
        return json.dumps({"last": self._last_run, "undated": undated})


def _runs(fact: str | None) -> tuple[int, dict[int, Correction]]:
    """What `RUNS` says; raises `LookupError`, `TypeError` or `ValueError` if it says nothing."""
    if fact is None:
        return 0, {}
    known = json.loads(fact)
    return int(known["last"]), {
        int(run): Correction(
            datetime.fromisoformat(since),
            datetime.fromisoformat(until),
            None if shift_s is None else timedelta(seconds=shift_s),
        )
        for run, (since, until, shift_s) in known["undated"].items()
    }
