"""Transaction events over bad links and stubborn CSMSs: E04, E08, E11, E12, E13."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ocpp_fast.csms import StationRecord
from ocpp_fast.errors import ErrorCode, RequestRefused
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage, Storage
from ocpp_fast.storage.sqlite import SqliteStorage
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.station_kit import QUIET, TOKEN, VERSIONS, Site, at_site

versions = pytest.mark.parametrize("version", VERSIONS)

OFTEN = {"tx_updated_interval_s": 10}


def failing(
    version: OcppVersion,
    failures: int,
    kind: str = "Ended",
    code: ErrorCode = ErrorCode.GENERIC_ERROR,
) -> dict[str, Any]:
    """A CSMS that answers so many events of a kind with a CALLERROR, then all is well."""
    left = [failures]

    def answer(_station: StationRecord, request: Any) -> Any:
        m: Any = version.module
        if request.event_type == kind and left[0] > 0:
            left[0] -= 1
            raise RequestRefused(code, "the database is asleep")
        return m.TransactionEventResponse()

    return {"TransactionEvent": answer}


@versions
def test_e11_a_cut_link_delays_events_and_loses_none(version: OcppVersion) -> None:
    """E11.FR.01, E11.FR.02, E12.FR.01, E12.FR.02: in order, without a gap, offline flagged."""

    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(25)
        site.cut(until_s=60)
        await site.clock.sleep(90)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        (record,) = site.transactions
        assert record.problems() == []
        assert record.seq_nos.duplicates == 0
        events = site.sent("TransactionEvent")
        assert [e["seqNo"] for e in events] == list(range(record.seq_nos.count))
        offline = [e["seqNo"] for e in events if e.get("offline")]
        assert len(offline) == 6, "60 s of readings, one each 10 s"
        assert offline == list(range(offline[0], offline[-1] + 1))
        assert record.offline_events == len(offline)

    at_site(scenario, version, variables=OFTEN)


@versions
def test_e04_e08_a_transaction_that_was_offline_from_start_to_end(version: OcppVersion) -> None:
    """E04.FR.01, E04.FR.02, E04.FR.03, E08.FR.05, E08.FR.06, E08.FR.07."""

    async def scenario(site: Site) -> None:
        site.cut(until_s=120)
        await site.clock.sleep(1)
        await site.charge(65)
        assert site.transactions == []
        await site.clock.sleep(90)
        (record,) = site.transactions
        assert record.problems() == []
        assert record.offline_events == record.seq_nos.count == 9
        assert record.id_token is not None

    at_site(scenario, version, variables={**OFTEN, "offline_tx_for_unknown_id_enabled": True})


def test_e11_fr_07_what_is_still_queued_when_the_link_breaks_is_offline_too() -> None:
    """The event under way at that moment is sent again, with the flag."""

    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        assert site.link is not None
        site.link.to_right.drop_rate = 1.0
        await site.clock.sleep(20)
        assert not site.sent("TransactionEvent")[-1].get("offline")
        site.cut()
        await site.clock.sleep(5)
        (record,) = site.transactions
        assert (record.seq_nos.count, record.offline_events) == (4, 2)

    at_site(scenario, variables=OFTEN)


@versions
def test_an_answer_that_is_lost_makes_a_duplicate_not_a_gap(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        assert site.link is not None
        site.link.to_left.drop_rate = 1.0
        await site.clock.sleep(15)
        site.cut()
        await site.clock.sleep(30)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        (record,) = site.transactions
        assert record.problems() == []
        assert record.seq_nos.duplicates == 1

    at_site(scenario, version, variables=OFTEN)


@versions
def test_e13_fr_02_03_a_refused_event_is_sent_again_after_growing_pauses(
    version: OcppVersion,
) -> None:
    async def scenario(site: Site) -> None:
        await site.charge(30)
        await site.clock.sleep(400)
        (record,) = site.transactions
        assert record.problems() == []
        ended = [
            at
            for at, event in zip(
                site.times("TransactionEvent"), site.sent("TransactionEvent"), strict=True
            )
            if event["eventType"] == "Ended"
        ]
        first, second, third = ended
        assert second - first == pytest.approx(60, abs=0.1)
        assert third - second == pytest.approx(120, abs=0.1)

    at_site(scenario, version, variables=OFTEN, handlers=failing(version, 2))


@versions
def test_e13_fr_04_an_event_given_up_is_kept_aside_and_the_next_follows(
    version: OcppVersion,
) -> None:
    storage = MemoryStorage()

    async def scenario(site: Site) -> None:
        await site.charge(30)
        await site.clock.sleep(400)
        await site.charge(30, evse_id=2)
        await site.clock.sleep(1)
        lost, whole = site.transactions
        assert lost.ended_at is None
        assert whole.problems() == []
        (letter,) = await storage.outbox_dead_letters()
        assert letter.row.attempts == 3
        assert "the database is asleep" in letter.cause
        delivery = site.station.charge_point.delivery
        assert (delivery.dead, delivery.waiting) == (1, 0)

        assert await delivery.requeue([letter.row.row_id]) == 1
        await site.clock.sleep(1)
        assert lost.problems() == []

    at_site(scenario, version, variables=OFTEN, handlers=failing(version, 3), storage=storage)


def test_one_poisoned_transaction_does_not_hold_up_the_others() -> None:
    async def scenario(site: Site) -> None:
        await site.charge(30, evse_id=1)
        await site.charge(30, evse_id=2)
        await site.clock.sleep(1)
        _, second = site.transactions
        assert second.problems() == []
        assert site.station.charge_point.delivery.waiting == 1

    at_site(scenario, variables=OFTEN, handlers=failing(OcppVersion.V21, 1))


@pytest.mark.parametrize("code", [ErrorCode.NOT_IMPLEMENTED, ErrorCode.NOT_SUPPORTED])
def test_what_a_csms_does_not_know_is_not_sent_again(code: ErrorCode) -> None:
    """No attempt would help; the message is kept, and what comes behind it goes on."""
    asked: list[str] = []

    def unknown(_station: StationRecord, request: Any) -> Any:
        asked.append(request.type)
        raise RequestRefused(code, "never heard of it")

    async def scenario(site: Site) -> None:
        point = site.station.charge_point
        point.on_security_event("TamperDetectionActivated")
        point.on_security_event("MaintenanceLoginFailed")
        await site.charge(30)
        await site.clock.sleep(1)
        assert asked == ["TamperDetectionActivated", "MaintenanceLoginFailed"]
        assert (point.delivery.dead, point.delivery.unsupported) == (2, 2)
        assert point.delivery.waiting == 0
        (record,) = site.transactions
        assert record.problems() == []

    at_site(scenario, variables=OFTEN, handlers={"SecurityEventNotification": unknown})


@pytest.mark.parametrize("code", [ErrorCode.NOT_IMPLEMENTED, ErrorCode.NOT_SUPPORTED])
def test_e13_fr_02_of_a_transaction_it_is_tried_again_whatever_the_code(code: ErrorCode) -> None:
    """E13.FR.02: TransactionEvents have to be known to every CSMS."""

    async def scenario(site: Site) -> None:
        await site.charge(30)
        delivery = site.station.charge_point.delivery
        assert (delivery.dead, delivery.waiting) == (0, 1)

    at_site(scenario, variables=OFTEN, handlers=failing(OcppVersion.V21, 1, code=code))


def test_a_silent_csms_gets_the_event_again() -> None:
    """E13: no answer within the message timeout is a failure like another."""

    async def scenario(site: Site) -> None:
        assert site.link is not None
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(2)
        site.link.to_right.drop_rate = 1.0
        await site.station.unplug(1)
        await site.clock.sleep(5)
        site.link.to_right.drop_rate = 0.0
        await site.clock.sleep(100)
        (record,) = site.transactions
        assert record.ended_at is not None
        assert record.seq_nos.missing == []

    at_site(scenario)


def test_a_link_that_flaps_spends_no_attempts() -> None:
    """A disconnect that cuts an attempt short does not count."""
    storage = MemoryStorage()

    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        for _ in range(100):
            if site.link is not None and not site.link.left.closed:
                site.link.to_left.drop_rate = 1.0
                await site.clock.sleep(7)
                site.link.cut()
            await site.clock.sleep(3)
        assert site.link is not None
        await site.clock.sleep(30)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(200)
        (record,) = site.transactions
        assert record.problems() == []
        assert await storage.outbox_dead_letters() == []

    at_site(scenario, variables=OFTEN, storage=storage)


def test_a_csms_that_drops_one_answer_in_four() -> None:
    async def scenario(site: Site) -> None:
        assert site.link is not None
        site.link.to_left.drop_rate = 0.25
        await site.charge(600)
        await site.clock.sleep(3_000)
        (record,) = site.transactions
        assert record.problems() == []
        assert record.seq_nos.duplicates > 3

    at_site(scenario, variables={**OFTEN, "message_attempts": 10, "message_attempt_interval_s": 5})


@versions
def test_events_of_an_earlier_run_are_delivered_first(version: OcppVersion, tmp_path: Path) -> None:
    """The station stops with a full outbox; the next run of it delivers what was left."""
    path = tmp_path / "station.db"

    def storage() -> Storage:
        return SqliteStorage(path)

    async def run(clock: VirtualClock) -> None:
        first = Site(clock, version, variables=QUIET, storage=storage())
        async with first:
            first.cut(until_s=10_000)
            first.station.charge_point.device_model.write(offline_tx_for_unknown_id_enabled=True)
            await clock.sleep(1)
            await first.charge(30)
            assert first.station.charge_point.delivery.waiting == 3
        second = Site(clock, version, variables=QUIET, storage=storage(), ids=Ids(seed=3))
        async with second:
            await second.station.charge_point.delivery.drained()
            await second.charge(30)
            await clock.sleep(1)
            before, after = second.transactions
            assert before.seq_nos.missing == []
            assert (before.seq_nos.count, before.offline_events) == (3, 3)
            assert before.ended_at is not None
            assert after.ended_at is not None
            assert after.offline_events == 0
            calls = second.calls()
            assert calls[0] == "BootNotification", "B01.FR.08"
        check = storage()
        await check.open()
        assert await check.outbox_load() == []
        await check.close()

    run_virtual(run)


class Disk(MemoryStorage):
    """Lasts as long as the test, and has no thread that virtual time would overtake."""

    durable = True


def test_a_backlog_of_an_earlier_run_holds_up_nobody() -> None:
    """Some of it is on disk only, 10 messages of it go in a second: who charges now is told of
    now. E14.FR.04, E14.FR.05: what is on disk is known of."""
    storage = Disk()

    async def run(clock: VirtualClock) -> None:
        variables = replace(
            QUIET,
            tx_updated_interval_s=2,
            message_replay_rate=10,
            offline_tx_for_unknown_id_enabled=True,
        )
        async with Site(clock, variables=variables, storage=storage) as first:
            first.cut(until_s=10_000)
            await clock.sleep(1)
            await first.charge(599)
            count = first.station.charge_point.delivery.waiting
            assert count > 300
        began = clock.elapsed_s
        async with Site(clock, variables=variables, storage=storage, ids=Ids(seed=3)) as second:
            delivery = second.station.charge_point.delivery
            assert delivery.outbox.in_memory < 300
            await second.charge(5, evse_id=2)
            events = second.sent("TransactionEvent")
            replayed = sum(event.get("offline", False) for event in events)
            assert replayed == pytest.approx(10 * (clock.elapsed_s - began + 1), abs=2)
            before, now = second.transactions
            assert now.problems() == []
            assert now.offline_events == 0
            lane = before.transaction_id
            assert await delivery.holds(lane)
            await delivery.drained()
            assert clock.elapsed_s - began == pytest.approx(count / 10, abs=2)
            assert not await delivery.holds(lane)
            assert before.problems() == []
            assert before.seq_nos.count == before.offline_events == count

    run_virtual(run)


def test_a_failing_disk_costs_durability_not_the_event(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "station.db")

    async def scenario(site: Site) -> None:
        await storage._run("test", "PRAGMA query_only = 1")
        await site.charge(30)
        (record,) = site.transactions
        assert record.seq_nos.missing == []
        assert record.ended_at is not None
        delivery = site.station.charge_point.delivery
        assert delivery.facts.error is not None
        assert (delivery.unstored, delivery.waiting) == (0, 0)

    at_site(scenario, storage=storage)


def test_events_stored_for_2_1_reach_a_2_0_1_csms() -> None:
    """The link comes back with another version; what fits it is sent as it is."""

    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        site.version = OcppVersion.V201
        site.cut(until_s=60)
        await site.clock.sleep(100)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        (record,) = site.transactions
        assert record.problems() == []
        assert site.record.version is OcppVersion.V201
        assert Counter(site.calls())["BootNotification"] == 1

    def both(site: Site) -> None:
        codecs = site.station.charge_point._uplink._codecs
        codecs[OcppVersion.V201] = site.csms._codecs[OcppVersion.V201]

    async def prepared(site: Site) -> None:
        both(site)
        await scenario(site)

    at_site(prepared, variables=OFTEN)
