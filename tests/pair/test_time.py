"""Time without a clock, clocks that are set, and what the CSMS gets to see of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest

from ocpp_fast.csms import Csms
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage, OutboxRow, Storage
from ocpp_fast.storage.base import NO_FACTS, Facts
from ocpp_fast.storage.sqlite import SqliteStorage
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.station_kit import QUIET, TOKEN, VERSIONS, Site

WOKEN: Final = datetime(1970, 1, 1, 0, 5, tzinfo=UTC)
NOW: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)
FREE: Final = replace(
    QUIET, auth_enabled=False, tx_before_accepted_enabled=True, tx_updated_interval_s=60
)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

versions = pytest.mark.parametrize("version", VERSIONS)
Scenario = Callable[[Site], Awaitable[None]]


def at_noon(
    scenario: Scenario,
    version: OcppVersion,
    *,
    variables: Mapping[str, Any] | None = None,
    **options: Any,
) -> None:
    """Runs a scenario at a running site that knows the time."""

    async def run(clock: VirtualClock) -> None:
        settings = replace(QUIET, **(variables or {}))
        async with Site(clock, version, variables=settings, **options) as site:
            await scenario(site)

    run_virtual(run, start=NOW)


class Disk(MemoryStorage):
    """Durable as far as anybody can see: what is stored and what is in memory are two things, and
    it is still there for the next run."""

    durable = True

    def outbox_append(self, rows: Sequence[OutboxRow], facts: Facts = NO_FACTS) -> Awaitable[None]:
        return super().outbox_append([replace(row) for row in rows], facts)

    async def outbox_load(self, *args: Any, **options: Any) -> list[OutboxRow]:
        return [replace(row) for row in await super().outbox_load(*args, **options)]

    async def outbox_undated(self, *args: Any, **options: Any) -> list[OutboxRow]:
        return [replace(row) for row in await super().outbox_undated(*args, **options)]


def parsed(text: str) -> datetime:
    return datetime.fromisoformat(text)


def woken_site(
    version: OcppVersion, storage: Storage, now: VirtualClock, seed: int = 1, **options: Any
) -> Site:
    """A station whose computer does not know the time, and a CSMS that does."""
    return Site(
        VirtualClock(WOKEN),
        version,
        variables=FREE,
        storage=storage,
        ids=Ids(seed=seed),
        csms=Csms(clock=now, ids=Ids(seed=2), heartbeat_interval_s=0),
        **options,
    )


@versions
@pytest.mark.parametrize("storage", [MemoryStorage, Disk])
def test_b01_fr_06_events_from_before_the_time_was_known_have_the_right_times(
    version: OcppVersion, storage: type[MemoryStorage]
) -> None:
    async def run(now: VirtualClock) -> None:
        site = woken_site(version, storage(), now, tells_start=True)
        site.reachable = False
        point = site.station.charge_point
        async with site:
            begun = now.now()
            await site.station.plug_in(1)
            await now.sleep(300)
            assert not point.clock.is_right
            assert point.delivery.waiting >= 6
            site.reachable = True
            await point.wait_accepted(600)
            await point.delivery.drained()
            await now.sleep(61)
            await site.station.unplug(1)
            await point.delivery.drained()
            await now.sleep(1)
            assert point.clock.now() == now.now()
            sent = site.sent("TransactionEvent")
            stamps = [parsed(event["timestamp"]) for event in sent]
            assert stamps[0] - begun < timedelta(seconds=10)
            assert stamps == sorted(stamps)
            updates = [t for t, e in zip(stamps, sent, strict=True) if "Periodic" in str(e)]
            assert len(updates) >= 4
            for a, b in pairwise(updates):
                assert (b - a).total_seconds() == pytest.approx(60, abs=2), "no gap at the turn"
            readings = [
                parsed(value["timestamp"])
                for event in sent
                for value in event.get("meterValue", ())
            ]
            assert readings
            assert all(begun <= time <= now.now() for time in readings)
            (start,) = site.sent("SecurityEventNotification")
            assert abs(parsed(start["timestamp"]) - begun) < timedelta(seconds=5)
            assert states(site)[0] - begun < timedelta(seconds=10), "since it was plugged in"
            assert not any("1970" in str(frame) for *_, frame in site.frames)

    run_virtual(run, start=NOW)


def states(site: Site) -> list[datetime]:
    """The times in the reports of EVSE 1."""
    if site.version is OcppVersion.V201:
        statuses = site.sent("StatusNotification")
        return [parsed(each["timestamp"]) for each in statuses if each["evseId"] == 1]
    events = [event for notice in site.sent("NotifyEvent") for event in notice["eventData"]]
    return [parsed(e["timestamp"]) for e in events if e["component"]["evse"]["id"] == 1]


@versions
def test_a_run_that_never_knew_the_time_ends_where_the_next_one_starts(
    version: OcppVersion,
) -> None:
    async def run(now: VirtualClock) -> None:
        disk = Disk()
        first = woken_site(version, disk, now)
        first.reachable = False
        async with first:
            await first.station.plug_in(1)
            await now.sleep(300)
            await first.station.unplug(1)
            await now.sleep(1)
        await now.sleep(3_600)
        started = now.now()
        second = woken_site(version, disk, now, seed=3)
        point = second.station.charge_point
        async with second:
            await point.wait_accepted(600)
            await point.delivery.drained()
            sent = second.sent("TransactionEvent")
            stamps = [parsed(event["timestamp"]) for event in sent]
            assert stamps == sorted(stamps)
            assert (stamps[-1] - stamps[0]).total_seconds() == pytest.approx(300, abs=10)
            assert abs(stamps[-1] - started) < timedelta(seconds=5)
            assert not any("1970" in str(frame) for *_, frame in second.frames)

    run_virtual(run, start=NOW)


@versions
def test_a_computer_that_wakes_up_when_it_was_shut_down(version: OcppVersion) -> None:
    """Its time could be right, but it was seen to be later."""

    async def run(now: VirtualClock) -> None:
        disk = Disk()
        first = Site(now, version, variables=FREE, storage=disk)
        async with first:
            await now.sleep(3_600)
        for seed, behind in ((3, timedelta(minutes=5)), (4, timedelta(seconds=30))):
            wall = VirtualClock(now.now() - timedelta(seconds=now.elapsed_s) - behind)
            site = Site(
                wall,
                version,
                variables=FREE,
                storage=disk,
                ids=Ids(seed=seed),
                tells_start=True,
                csms=Csms(clock=now, ids=Ids(seed=2), heartbeat_interval_s=0),
            )
            assert wall.now() == now.now() - behind
            site.reachable = False
            async with site:
                begun = now.now()
                await now.sleep(60)
                site.reachable = True
                await site.station.charge_point.wait_accepted(600)
                await site.station.charge_point.delivery.drained()
                (start,) = site.sent("SecurityEventNotification")
                known = behind > timedelta(minutes=1)
                off = begun - parsed(start["timestamp"])
                assert abs(off - (timedelta(0) if known else behind)) < timedelta(seconds=3)
                assert (site.station.charge_point.clock.now() == now.now()) is known

    run_virtual(run, start=NOW)


@versions
@pytest.mark.parametrize("policy", ["resume", "close"])
def test_a_transaction_that_is_restored_without_a_clock_has_the_right_times(
    version: OcppVersion, policy: str
) -> None:
    """The power comes back, the network later, and the clock with it."""

    async def run(now: VirtualClock) -> None:
        disk = Disk()
        first = Site(now, version, variables=FREE, storage=disk)
        async with first:
            await first.station.plug_in(1)
            await now.sleep(200)
            before = first.sent("TransactionEvent")
        await now.sleep(600)
        config = {"on_restart": policy}
        second = woken_site(version, disk, now, seed=3, config=config)
        second.reachable = False
        point = second.station.charge_point
        async with second:
            back = now.now()
            await now.sleep(200)
            second.reachable = True
            await point.wait_accepted(600)
            await now.sleep(130)
            await point.delivery.drained()
            sent = [
                event
                for event in before + second.sent("TransactionEvent")
                if event["transactionInfo"]["transactionId"]
                == before[0]["transactionInfo"]["transactionId"]
            ]
            stamps = [parsed(event["timestamp"]) for event in sent]
            assert [event["seqNo"] for event in sent] == list(range(len(sent)))
            assert stamps == sorted(stamps)
            resumed = stamps[len(before)]
            assert abs(resumed - back) < timedelta(seconds=5)
            assert (sent[-1]["eventType"] == "Ended") is (policy == "close")
            assert not any("1970" in str(frame) for *_, frame in second.frames)

    run_virtual(run, start=NOW)


def test_so_it_is_on_a_real_disk(tmp_path: Path) -> None:
    """There the threads live in real time, and virtual time runs away from them."""

    async def run(now: VirtualClock) -> None:
        path = tmp_path / "station.db"
        first = woken_site(OcppVersion.V21, SqliteStorage(path), now)
        first.reachable = False
        async with first:
            await first.station.plug_in(1)
            await now.sleep(300)
            await first.station.unplug(1)
            await first.station.charge_point.delivery.facts.keep({})
        second = woken_site(OcppVersion.V21, SqliteStorage(path), now, seed=3)
        point = second.station.charge_point
        await second.station.start()
        ended = now.now()
        try:
            await point.wait_accepted(60_000)
            await point.delivery.drained()
            (record,) = second.transactions
            assert record.seq_nos.missing == []
            stamps = [parsed(event["timestamp"]) for event in second.sent("TransactionEvent")]
            assert stamps == sorted(stamps)
            assert NOW - HOUR < stamps[0] <= stamps[-1] <= ended
            assert not any("1970" in str(frame) for *_, frame in second.frames)
        finally:
            await second.station.stop()
            await second.csms.stop()

    run_virtual(run, start=NOW)


@versions
def test_a_transaction_goes_on_while_the_time_becomes_known(version: OcppVersion) -> None:
    """Nothing that counts time notices."""

    async def run(now: VirtualClock) -> None:
        site = woken_site(version, MemoryStorage(), now)
        site.reachable = False
        async with site:
            await site.station.plug_in(1)
            await now.sleep(200)
            site.reachable = True
            await site.station.charge_point.wait_accepted(600)
            await now.sleep(600)
            times = site.times("TransactionEvent")
            live = [time for time in times if time > times[0] + 30]
            assert all(b - a == pytest.approx(60, abs=2) for a, b in pairwise(live))
            assert len(live) >= 8

    run_virtual(run, start=NOW)


@versions
@pytest.mark.parametrize("by", [HOUR, -HOUR, DAY, -DAY], ids=str)
def test_a_clock_that_is_set_in_a_transaction_disturbs_nothing(
    version: OcppVersion, by: timedelta
) -> None:
    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(630)
        frames = len(site.frames)
        site.clock.step(by)
        await site.clock.sleep(5)
        assert len(site.frames) - frames <= 4, "no storm"
        await site.clock.sleep(1_795)
        beats = [time for time in site.times("Heartbeat") if time > 640]
        updates = [time for time in site.times("TransactionEvent") if time > 640]
        assert len(updates) == pytest.approx(30, abs=2), "no freeze"
        assert all(b - a == pytest.approx(60, abs=1) for a, b in pairwise(updates))
        assert len(beats) <= 1, "events are signs of life"
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        (record,) = site.transactions
        ended = site.sent("TransactionEvent")[-1]
        stamp = parsed(ended["timestamp"])
        assert abs(stamp - site.clock.now()) < timedelta(seconds=10), "by the new time"
        assert record.seq_nos.missing == []
        # Those of the seconds around the step may be missing, no more.
        kept = [v for v in ended["meterValue"] if "Sample.Periodic" in str(v)]
        assert len(kept) == pytest.approx(2_430 / 60, abs=3)

    at_noon(
        scenario,
        version,
        heartbeat_interval_s=300,
        variables={
            "tx_updated_interval_s": 60,
            "tx_ended_interval_s": 60,
            "tx_ended_measurands": ("Energy.Active.Import.Register",),
        },
    )


@versions
@pytest.mark.parametrize("by", [HOUR, -HOUR, DAY, -DAY], ids=str)
def test_clock_aligned_values_follow_a_clock_that_is_set(
    version: OcppVersion, by: timedelta
) -> None:
    async def scenario(site: Site) -> None:
        await site.clock.sleep(1_000)
        frames = len(site.frames)
        site.clock.step(by + timedelta(minutes=7))
        await site.clock.sleep(10)
        assert len(site.frames) - frames <= 6, "no storm"
        await site.clock.sleep(3_590)
        sent = site.sent("MeterValues")
        assert len(sent) >= 3 * 2, "no freeze"
        for value in sent:
            (reading,) = value["meterValue"]
            stamp = parsed(reading["timestamp"])
            assert stamp.minute % 15 == 0 or (stamp.minute % 15 == 14 and stamp.second >= 58)

    at_noon(
        scenario,
        version,
        variables={
            "aligned_interval_s": 900,
            "aligned_measurands": ("Energy.Active.Import.Register",),
        },
    )


# --- who tells the time -------------------------------------------------------------------------


def synced(into: list[datetime], clock: Callable[[], VirtualClock]) -> Callable[[Any], Any]:
    """What an integrator gives: his time_sync_callback sets the computer's clock."""

    async def set_clock(time: datetime) -> None:
        into.append(time)
        clock().step(time - clock().now())

    def adapt(callbacks: Any) -> Any:
        return replace(callbacks, time_sync_callback=set_clock)

    return adapt


@versions
def test_b01_fr_06_g02_fr_06_the_integrator_sets_the_clock(version: OcppVersion) -> None:
    async def run(now: VirtualClock) -> None:
        told: list[datetime] = []
        site = woken_site(version, MemoryStorage(), now, adapt=synced(told, lambda: site.clock))
        async with site:
            point = site.station.charge_point
            await point.wait_accepted(60)
            await now.sleep(1)
            assert told == [told[0]]
            assert site.clock.now() == now.now() == point.clock.now()
            assert point.clock.is_right
            point.device_model.write(heartbeat_interval_s=100.0)
            await now.sleep(350)
            assert len(told) == 4
            assert all(abs(b - a) >= timedelta(seconds=99) for a, b in pairwise(told[1:]))

    run_virtual(run, start=NOW)


@versions
def test_without_the_csms_as_a_time_source_only_what_cannot_be_right_is_corrected(
    version: OcppVersion,
) -> None:
    """ClockCtrlr.TimeSource says NTP, which has not come yet."""

    async def run(now: VirtualClock) -> None:
        told: list[datetime] = []
        site = woken_site(version, MemoryStorage(), now, adapt=synced(told, lambda: site.clock))
        site.station.charge_point.device_model.write(time_source=("NTP",))
        async with site:
            await site.station.charge_point.wait_accepted(60)
            assert told == []
            assert site.station.charge_point.clock.now() == now.now()
            site.clock.step(now.now() + HOUR - site.clock.now())
            assert site.station.charge_point.clock.now() == now.now() + HOUR, "there it is"

    run_virtual(run, start=NOW)


@versions
@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_b01_fr_06_any_answer_to_the_boot_tells_the_time(version: OcppVersion, status: str) -> None:
    async def run(now: VirtualClock) -> None:
        site = woken_site(version, MemoryStorage(), now)

        def answer(_station: object, _request: object) -> Any:
            m: Any = version.module
            return m.BootNotificationResponse(current_time=now.now(), interval=60, status=status)

        site.csms.on("BootNotification", answer)
        async with site:
            await now.sleep(5)
            assert site.station.charge_point.registration == status
            assert site.station.charge_point.clock.now() == now.now()

    run_virtual(run, start=NOW)


@versions
@pytest.mark.parametrize("threshold_s", [None, 600, 7_200])
def test_a_clock_that_was_set_is_a_security_event(
    version: OcppVersion, threshold_s: int | None
) -> None:
    """ClockCtrlr.TimeAdjustmentReportingThreshold, where the station has that variable."""

    async def scenario(site: Site) -> None:
        cache = site.station.charge_point.device_model.cache
        number = cache.find(
            "ClockCtrlr", None, None, None, "TimeAdjustmentReportingThreshold", None
        )
        if threshold_s is not None:
            cache.default(number, 0, str(threshold_s))
        await site.clock.sleep(100)
        site.clock.step(HOUR)
        await site.clock.sleep(200)
        kinds = [event["type"] for event in site.sent("SecurityEventNotification")]
        assert kinds == (["SettingSystemTime"] if threshold_s == 600 else [])

    at_noon(scenario, version, heartbeat_interval_s=50)
