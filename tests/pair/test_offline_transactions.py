"""Transactions while the CSMS cannot be reached, as Part 2 and the test cases of Part 6 want them:
E04, E08, E11 and E12."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from ocpp_fast.config import TxPoint
from ocpp_fast.csms import StationRecord
from ocpp_fast.errors import ErrorCode, RequestRefused
from ocpp_fast.messages import OcppVersion
from pair.station_kit import TOKEN, VERSIONS, Site, at_site

versions = pytest.mark.parametrize("version", VERSIONS)

# So that a link is back within a second of when it can be.
PROMPT = {"retry_back_off_repeat_times": 0}
OFTEN = {**PROMPT, "tx_updated_interval_s": 10}
UNKNOWN = {"offline_tx_for_unknown_id_enabled": True}
EV, AUTH = TxPoint.EV_CONNECTED, TxPoint.AUTHORIZED


def contexts(event: dict[str, Any]) -> list[tuple[str, str]]:
    """(measurand, context) of all sampled values of an event."""
    return [
        (value["measurand"], value["context"])
        for reading in event.get("meterValue", [])
        for value in reading["sampledValue"]
    ]


def created_while(site: Site, event: dict[str, Any], since_s: float, until_s: float) -> bool:
    """Whether an event bears a time between two moments, in seconds."""
    at = datetime.fromisoformat(event["timestamp"])
    start = site.clock.now() - timedelta(seconds=site.clock.elapsed_s)
    return since_s <= (at - start).total_seconds() <= until_s


async def reads_meters(site: Site, evse_id: int = 1) -> None:
    await site.station.plug_in(evse_id)
    await site.station.swipe(TOKEN, evse_id)


def plain(version: OcppVersion, at: datetime, energy_wh: float) -> Any:
    """A reading of the energy register."""
    m: Any = version.module
    sample = m.SampledValueType(value=energy_wh, measurand="Energy.Active.Import.Register")
    return m.MeterValueType(timestamp=at, sampled_value=[sample])


# --- E04, E12: begun offline --------------------------------------------------------------------


@versions
def test_tc_e_43_a_transaction_of_the_offline_time_comes_whole_and_flagged(
    version: OcppVersion,
) -> None:
    """TC_E_43_CS; E04.FR.04, E04.FR.05, E04.FR.06, E12.FR.01, E12.FR.02, E12.FR.03, E12.FR.07: the
    numbers without a gap from 0, each reading with its context, the times those of the events."""

    async def scenario(site: Site) -> None:
        site.cut(until_s=300)
        await site.clock.sleep(10)
        begun = site.clock.elapsed_s
        await site.charge(65)
        ended = site.clock.elapsed_s
        assert site.sent("TransactionEvent") == []
        await site.clock.sleep(400)
        events = site.sent("TransactionEvent")
        assert [e["seqNo"] for e in events] == list(range(len(events)))
        assert [e["eventType"] for e in events] == [
            "Started", *["Updated"] * (len(events) - 2), "Ended",
        ]  # fmt: skip
        assert all(e["offline"] is True for e in events)
        assert all(created_while(site, e, begun, ended) for e in events)
        energy = "Energy.Active.Import.Register"
        assert {c for m, c in contexts(events[0]) if m == energy} == {"Transaction.Begin"}
        periodic = [e for e in events if e["triggerReason"] == "MeterValuePeriodic"]
        assert len(periodic) == 6
        for event in periodic:
            assert {c for _, c in contexts(event)} == {"Sample.Periodic"}
        assert {c for _, c in contexts(events[-1])} == {"Transaction.Begin", "Transaction.End"}
        (record,) = site.transactions
        assert record.problems() == []
        assert record.energy_wh == pytest.approx(11_000 * 64 / 3_600, abs=0.5)

    at_site(scenario, version, variables={**OFTEN, **UNKNOWN})


@versions
def test_e04_fr_11_without_a_reading_at_the_start_it_comes_when_charging_starts(
    version: OcppVersion,
) -> None:
    """The EVSE, and so its meter, is not known when the transaction begins."""

    async def scenario(site: Site) -> None:
        point = site.station.charge_point
        site.cut(until_s=30)
        await site.clock.sleep(2)
        await point.on_transaction_started(1, None, "tx", site.clock.now(), "EVDetected")
        await point.on_charging_state_changed(1, "Idle", "EVDetected")
        await point.on_charging_state_changed(1, "Charging")
        await point.on_charging_state_changed(1, "SuspendedEV")
        await point.on_charging_state_changed(1, "Charging")
        await site.clock.sleep(40)
        events = site.sent("TransactionEvent")
        begins = ["Transaction.Begin" in {c for _, c in contexts(e)} for e in events]
        assert begins == [False, False, True, False, False]
        assert events[2]["transactionInfo"]["chargingState"] == "Charging"

    at_site(scenario, version)


def test_a_token_that_is_not_known_starts_nothing_offline() -> None:
    """E04, prerequisite: somebody has to authorize the driver (C15)."""

    async def scenario(site: Site) -> None:
        site.cut(until_s=60)
        await site.clock.sleep(2)
        await reads_meters(site)
        await site.clock.sleep(10)
        assert site.station.hardware[1].power_w == 0
        await site.clock.sleep(100)
        assert site.sent("TransactionEvent") == []

    at_site(scenario)


# --- E08: ended offline -------------------------------------------------------------------------


@versions
def test_tc_e_44_a_transaction_ended_offline_with_its_own_token(version: OcppVersion) -> None:
    """TC_E_44_CS; E08.FR.01, E08.FR.03, E08.FR.04, E08.FR.05, E08.FR.06, E08.FR.07, E08.FR.08,
    E08.FR.09: nobody is asked; the energy stops, the cable is free, Ended is queued, flagged."""

    async def scenario(site: Site) -> None:
        await reads_meters(site)
        await site.clock.sleep(25)
        online = len(site.sent("TransactionEvent"))
        site.cut(until_s=300)
        await site.clock.sleep(60)
        hardware = site.station.hardware[1]
        assert (hardware.locked, hardware.power_w > 0) == (True, True)
        stopped = site.clock.elapsed_s
        await site.station.swipe(TOKEN.lower(), 1)
        assert (hardware.locked, hardware.power_w) == (False, 0)
        await site.clock.sleep(60)
        await site.station.unplug(1)
        await site.clock.sleep(400)
        events = site.sent("TransactionEvent")
        assert [e["seqNo"] for e in events] == list(range(len(events)))
        assert not any(e.get("offline") for e in events[:online])
        assert all(e["offline"] is True for e in events[online:])
        (record,) = site.transactions
        assert (record.stopped_reason, record.problems()) == ("Local", [])
        ended = events[-1]
        assert (ended["eventType"], ended["triggerReason"]) == ("Ended", "StopAuthorized")
        assert ended["idToken"]["idToken"].upper() == TOKEN
        assert created_while(site, ended, stopped, stopped + 1)
        assert {c for _, c in contexts(ended)} == {"Transaction.Begin", "Transaction.End"}
        # What was presented as the stop of a transaction is no reason to ask the CSMS afterwards.
        assert site.calls().count("Authorize") == 1

    at_site(scenario, version, variables=OFTEN)


@versions
def test_tc_e_45_a_transaction_ended_offline_by_a_token_of_its_group(version: OcppVersion) -> None:
    """TC_E_45_CS; E08.FR.02, E08.FR.03, E08.FR.04. A stand-in for what the authorization cache and
    the local list will know: to which group a token belongs."""
    m: Any = version.module

    def info(group: str) -> Any:
        group_id = m.IdTokenType(id_token=group, type="Central")
        return m.IdTokenInfoType(status="Accepted", group_id_token=group_id)

    def authorize(_station: StationRecord, _request: Any) -> Any:
        return m.AuthorizeResponse(id_token_info=info("FLEET"))

    async def scenario(site: Site) -> None:
        await reads_meters(site)
        await site.clock.sleep(15)
        site.cut(until_s=300)
        await site.clock.sleep(20)
        point: Any = site.station.charge_point
        groups = {"OTHERS": "STRANGERS", "MATE": "fleet"}

        async def known(id_token: Any, *_: Any) -> Any:
            return m.AuthorizeResponse(id_token_info=info(groups[id_token.id_token]))

        point.validate_token = known
        hardware = site.station.hardware[1]
        await site.station.swipe("OTHERS", 1)
        assert hardware.power_w > 0
        await site.station.swipe("MATE", 1)
        assert (hardware.locked, hardware.power_w) == (False, 0)
        await site.clock.sleep(400)
        (record,) = site.transactions
        assert (record.stopped_reason, record.problems()) == ("Local", [])
        ended = site.sent("TransactionEvent")[-1]
        assert (ended["eventType"], ended["idToken"]["idToken"]) == ("Ended", "MATE")
        assert ended["offline"] is True

    at_site(scenario, version, variables=OFTEN, handlers={"Authorize": authorize})


@versions
def test_e08_fr_10_11_e12_fr_08_09_ended_keeps_every_second_reading(version: OcppVersion) -> None:
    """Half a day of readings each 5 s does not fit: intermediate ones go, the 1st, the 3rd, ...,
    never the first or the last of all, and no part of the time is left without any."""

    async def scenario(site: Site) -> None:
        point, now = site.station.charge_point, site.clock.now
        site.cut(until_s=45_000)
        await site.clock.sleep(2)
        start = plain(version, now(), 0.0)
        await point.on_transaction_started(1, 1, "tx", now(), "Authorized", meter_start=start)
        for number in range(8_640):
            await site.clock.sleep(5)
            point.on_meter_value(1, plain(version, now(), number + 1.0))
        end = plain(version, now(), 9_000.0)
        await point.on_transaction_finished(1, now(), "Local", meter_stop=end)
        await site.clock.sleep(3_000)
        (ended,) = [e for e in site.sent("TransactionEvent") if e["eventType"] == "Ended"]
        kept = [
            (datetime.fromisoformat(r["timestamp"]), v["context"], v["value"])
            for r in ended["meterValue"]
            for v in r["sampledValue"]
            if v["measurand"] == "Energy.Active.Import.Register"
        ]
        assert 200 < len(kept) <= 1_001
        assert [c for _, c, _ in kept] == [
            "Transaction.Begin", *["Sample.Periodic"] * (len(kept) - 2), "Transaction.End",
        ]  # fmt: skip
        stamps = [at for at, *_ in kept]
        assert stamps == sorted(stamps)
        assert (stamps[-1] - stamps[0]).total_seconds() == pytest.approx(43_200, abs=6)
        gaps = [(b - a).total_seconds() for a, b in pairwise(stamps)]
        assert max(gaps) <= 43_200 / 200, "thinned evenly enough to be a course"
        values = [value for *_, value in kept]
        assert values == sorted(values)
        assert len(str(ended)) < 100_000

    at_site(
        scenario,
        version,
        variables={
            **PROMPT,
            "retry_back_off_wait_minimum_s": 600,
            "tx_ended_interval_s": 5,
            "tx_ended_measurands": ("Energy.Active.Import.Register",),
        },
        sample_interval_s=1e6,
    )


# --- E11: the link is lost in between -----------------------------------------------------------


@versions
def test_tc_e_40_the_flag_is_exactly_where_it_belongs(version: OcppVersion) -> None:
    """TC_E_40_CS; E11.FR.01, E11.FR.02, E11.FR.03, E11.FR.07: what happened online and was answered
    bears none; what happened offline does; what happens after the return does not."""

    async def scenario(site: Site) -> None:
        await reads_meters(site)
        await site.clock.sleep(25)
        lost = site.clock.elapsed_s
        site.cut(until_s=95)
        await site.clock.sleep(120)
        back = site.times("TransactionEvent")[len(site.sent("TransactionEvent")) - 1]
        await site.clock.sleep(30)
        events = site.sent("TransactionEvent")
        for event in events:
            offline = created_while(site, event, lost, lost + 94)
            assert event.get("offline", False) is offline, event["seqNo"]
        flagged = [e for e in events if e.get("offline")]
        assert len(flagged) == 9
        assert {e["eventType"] for e in flagged} == {"Updated"}
        assert all(contexts(e) for e in flagged)
        assert back > lost + 94
        assert [e["seqNo"] for e in events] == list(range(len(events)))

    at_site(scenario, version, variables=OFTEN)


@versions
def test_e11_fr_07_a_live_event_behind_a_backlog_is_not_offline(version: OcppVersion) -> None:
    """The flag says when it happened, not how long it waited; the order stays."""

    async def answer(station: StationRecord, _request: Any) -> Any:
        await site_clock[0].sleep(3)
        m: Any = (station.version or version).module
        return m.TransactionEventResponse()

    site_clock: list[Any] = []

    async def scenario(site: Site) -> None:
        site_clock.append(site.clock)
        await reads_meters(site)
        await site.clock.sleep(25)
        lost = site.clock.elapsed_s
        site.cut(until_s=200)
        await site.clock.sleep(205)
        assert site.station.charge_point.delivery.waiting > 10
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(200)
        events = site.sent("TransactionEvent")
        assert [e["seqNo"] for e in events] == list(range(len(events)))
        for event in events:
            offline = created_while(site, event, lost, lost + 199)
            assert event.get("offline", False) is offline, event["seqNo"]
        assert events[-1]["eventType"] == "Ended"
        assert "offline" not in events[-1]

    at_site(scenario, version, variables=OFTEN, handlers={"TransactionEvent": answer})


def test_e11_fr_07_an_event_that_waits_for_its_next_attempt_when_the_link_breaks() -> None:
    refuse = [True]

    def answer(_station: StationRecord, _request: Any) -> Any:
        if refuse[0]:
            raise RequestRefused(ErrorCode.INTERNAL_ERROR, "not now")
        return OcppVersion.V21.module.TransactionEventResponse()

    async def scenario(site: Site) -> None:
        await reads_meters(site)
        await site.clock.sleep(5)
        assert len(site.sent("TransactionEvent")) == 1
        refuse[0] = False
        site.cut(until_s=10)
        await site.clock.sleep(100)
        first, again, second = site.sent("TransactionEvent")
        assert "offline" not in first
        assert again == first | {"offline": True}
        assert second["offline"] is True
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(1)
        assert "offline" not in site.sent("TransactionEvent")[-1]

    at_site(scenario, handlers={"TransactionEvent": answer})


@versions
def test_e11_fr_07_events_that_wait_for_their_turn_when_the_link_breaks(
    version: OcppVersion,
) -> None:
    """One message is under way at a time; those of other EVSEs wait behind it."""

    async def scenario(site: Site) -> None:
        assert site.link is not None
        site.link.to_right.script = lambda f: () if b"TransactionEvent" in f else (f,)
        for evse_id in (1, 2, 3):
            await site.station.plug_in(evse_id)
        await site.clock.sleep(5)
        assert len(site.sent("TransactionEvent")) == 1
        site.cut(until_s=10)
        await site.clock.sleep(60)
        assert len(site.transactions) == 3
        for record in site.transactions:
            assert (record.seq_nos.count, record.offline_events) == (2, 2)

    at_site(scenario, version, evses=3, variables={**PROMPT, "auth_enabled": False})


@versions
def test_e04_fr_07_08_e11_fr_04_05_e12_fr_04_05_too_many_are_thinned(version: OcppVersion) -> None:
    """Of each transaction mere readings go, every second, the 1st, the 3rd, ...; what came before
    and after is all there, and the CSMS sees from the numbers what is missing."""

    async def scenario(site: Site) -> None:
        await reads_meters(site, 1)
        await site.clock.sleep(5)
        site.cut(until_s=40_000)
        await site.clock.sleep(2)
        await reads_meters(site, 2)
        await site.clock.sleep(20_000)
        for evse_id in (1, 2):
            await site.station.swipe(TOKEN, evse_id)
            await site.station.unplug(evse_id)
        delivery = site.station.charge_point.delivery
        assert delivery.thinned > 0
        assert delivery.waiting <= 1_200
        await site.clock.sleep(30_000)
        records = site.transactions
        assert len(records) == 2
        total = 0
        for record in records:
            assert record.started_at is not None
            assert record.ended_at is not None
            mine = [
                e
                for e in site.sent("TransactionEvent")
                if e["transactionInfo"]["transactionId"] == record.transaction_id
            ]
            numbers = [e["seqNo"] for e in mine]
            assert numbers == sorted(set(numbers))
            total += numbers[-1] + 1 - len(numbers)
            missing = set(range(numbers[-1])) - set(numbers)
            first = min(missing)
            assert len(missing) > 100
            # E12.FR.05: neither the oldest nor the newest went first.
            for low in range(first, numbers[-1] - 300, 300):
                part = [n for n in numbers if low <= n < low + 300]
                assert part, f"nothing is left of {low} to {low + 300}"
            others = [e for e in mine if e["triggerReason"] != "MeterValuePeriodic"]
            assert len(others) >= 3
        assert total == delivery.thinned

    at_site(
        scenario,
        version,
        variables={**OFTEN, **UNKNOWN, "retry_back_off_wait_minimum_s": 600},
        config={"max_queued_messages": 1_000},
        sample_interval_s=5,
    )


# --- signed readings ----------------------------------------------------------------------------

BLOB = "T0NNRnx7IkZWIjoiMS4wIn18eyJTRCI6IjMwNDYwMjIxMDAuLi4ifQ=="


def signed(version: OcppVersion, at: datetime, energy_wh: float, mark: str) -> Any:
    m: Any = version.module
    fields: dict[str, Any] = {
        "signed_meter_data": BLOB + mark,
        "signing_method": "ECDSA-secp256r1-SHA256",
        "encoding_method": "OCMF",
        "public_key": "cHVibGlj" + mark,
    }
    sample = m.SampledValueType(
        value=energy_wh,
        measurand="Energy.Active.Import.Register",
        context="Sample.Periodic",
        signed_meter_value=m.SignedMeterValueType(**fields),
    )
    return m.MeterValueType(timestamp=at, sampled_value=[sample])


@versions
@pytest.mark.parametrize("offline", [False, True])
def test_signed_readings_reach_the_csms_unchanged(version: OcppVersion, offline: bool) -> None:
    """E04.FR.10, E08.FR.12, E11.FR.08, E12.FR.10: in Started, Updated and Ended, sent at once or
    from the queue."""

    async def scenario(site: Site) -> None:
        point = site.station.charge_point
        site.station._sample_interval_s = 1e9
        site.station.hardware[1].broken.add("read_meter")
        if offline:
            site.cut(until_s=100)
        await site.clock.sleep(2)
        now = site.clock.now
        await point.on_transaction_started(
            1, 1, "tx", now(), "Authorized", meter_start=signed(version, now(), 1_000.0, "begin")
        )
        await site.clock.sleep(9)
        point.on_meter_value(1, signed(version, now(), 1_500.0, "between"))
        await site.clock.sleep(2)
        await point.on_transaction_finished(
            1, now(), "Local", meter_stop=signed(version, now(), 2_000.0, "end")
        )
        await site.clock.sleep(200)
        started, updated, ended = site.sent("TransactionEvent")
        marks = [
            [
                value["signedMeterValue"]["signedMeterData"].removeprefix(BLOB)
                for reading in event["meterValue"]
                for value in reading["sampledValue"]
            ]
            for event in (started, updated, ended)
        ]
        assert marks == [["begin"], ["between"], ["begin", "end"]]
        assert [bool(e.get("offline")) for e in (started, updated, ended)] == [offline] * 3

    at_site(scenario, version, variables=OFTEN)
