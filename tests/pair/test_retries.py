"""What a CSMS does not accept is sent again, and what it may ask about it, as Part 2 and the test
cases of Part 6 want it: E13 and E14."""

from typing import Any

import pytest

from ocpp_fast.csms import StationRecord
from ocpp_fast.errors import ErrorCode, RequestRefused
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage
from pair.station_kit import TOKEN, VERSIONS, Site, at_site
from pair.test_offline_transactions import OFTEN, reads_meters

versions = pytest.mark.parametrize("version", VERSIONS)


# --- E13: not accepted --------------------------------------------------------------------------


def tries(site: Site, seq_no: int) -> list[float]:
    """When an event was sent, in seconds since the first time."""
    times = [
        at
        for at, event in zip(
            site.times("TransactionEvent"), site.sent("TransactionEvent"), strict=True
        )
        if event["seqNo"] == seq_no
    ]
    return [round(at - times[0], 1) for at in times]


@versions
@pytest.mark.parametrize(
    ("attempts", "interval_s", "wanted"),
    [
        (3, 60, [0, 60, 180]),  # the example of the specification
        (1, 60, [0]),
        (2, 7, [0, 7]),
        (5, 10, [0, 10, 30, 60, 100]),
    ],
)
def test_tc_e_50_e13_fr_01_02_03_04_the_worked_example(
    version: OcppVersion, attempts: int, interval_s: int, wanted: list[float]
) -> None:
    """TC_E_50_CS: a CALLERROR each time; as often as set, with growing pauses, then the next."""
    m: Any = version.module

    def answer(_station: StationRecord, request: Any) -> Any:
        if request.event_type == "Started":
            raise RequestRefused(ErrorCode.INTERNAL_ERROR, "the database is asleep")
        return m.TransactionEventResponse()

    async def scenario(site: Site) -> None:
        results = await site.csms.model("CS001").set(
            {
                "OCPPCommCtrlr.MessageAttempts(TransactionEvent)": str(attempts),
                "OCPPCommCtrlr.MessageAttemptInterval(TransactionEvent)": str(interval_s),
            }
        )
        assert [str(result.attribute_status) for result in results] == ["Accepted"] * 2
        await reads_meters(site)
        await site.clock.sleep(interval_s * attempts * attempts + 100)
        assert tries(site, 0) == pytest.approx(wanted, abs=0.2)
        delivery = site.station.charge_point.delivery
        assert (delivery.dead, delivery.waiting) == (1, 0)
        last = max(i for i, e in enumerate(site.sent("TransactionEvent")) if e["seqNo"] == 0)
        assert [e["seqNo"] for e in site.sent("TransactionEvent")[last + 1 :]] == [1], "E13.FR.04"

    at_site(scenario, version, handlers={"TransactionEvent": answer})


@versions
def test_tc_e_41_42_51_without_an_answer_the_timeout_comes_on_top(version: OcppVersion) -> None:
    """TC_E_41_CS, TC_E_42_CS, TC_E_51_CS; E13.FR.02, E13.FR.03: silence is a failure once the
    message timeout is over; what is answered in the end is not sent again."""
    m: Any = version.module
    asked: list[int] = []

    async def answer(_station: StationRecord, request: Any) -> Any:
        asked.append(request.seq_no)
        if request.seq_no == 0 or asked.count(request.seq_no) < 2:
            await clocks[0].sleep(100_000)
        return m.TransactionEventResponse()

    clocks: list[Any] = []

    async def scenario(site: Site) -> None:
        clocks.append(site.clock)
        await reads_meters(site)
        await site.clock.sleep(1_500)
        timeout, interval = 20, 60
        again = timeout + interval
        assert tries(site, 0) == pytest.approx([0, again, again + timeout + 2 * interval], abs=0.2)
        assert tries(site, 1) == pytest.approx([0, again], abs=0.2)
        (record,) = site.transactions
        assert record.started_at is None
        assert site.station.charge_point.delivery.dead == 1

    at_site(
        scenario,
        version,
        variables={"message_timeout_s": 20},
        handlers={"TransactionEvent": answer},
    )


def test_e13_an_attempt_that_a_disconnect_cut_short_does_not_count() -> None:
    """Two attempts in all; the link breaks under ten of them."""
    storage = MemoryStorage()
    mute = [True]

    async def answer(_station: StationRecord, _request: Any) -> Any:
        if mute[0]:
            await clocks[0].sleep(100_000)
        return OcppVersion.V21.module.TransactionEventResponse()

    clocks: list[Any] = []

    async def scenario(site: Site) -> None:
        clocks.append(site.clock)
        await reads_meters(site)
        for _ in range(10):
            await site.clock.sleep(10)
            site.cut()
        mute[0] = False
        await site.clock.sleep(60)
        assert len([e for e in site.sent("TransactionEvent") if e["seqNo"] == 0]) > 8
        delivery = site.station.charge_point.delivery
        assert (delivery.dead, delivery.waiting) == (0, 0)
        assert await storage.outbox_dead_letters() == []
        assert site.transactions[0].seq_nos.missing == []

    at_site(
        scenario,
        variables={"message_attempts": 2},
        handlers={"TransactionEvent": answer},
        storage=storage,
    )


# --- E14: what the CSMS asks --------------------------------------------------------------------


async def status(site: Site, transaction_id: str | None) -> tuple[bool | None, bool]:
    m: Any = site.version.module
    request = m.GetTransactionStatusRequest(transaction_id=transaction_id)
    response: Any = await site.csms.call("CS001", request)
    return response.ongoing_indicator, response.messages_in_queue


@versions
def test_tc_e_30_34_the_csms_asks_when_the_station_is_back(version: OcppVersion) -> None:
    """TC_E_30_CS to TC_E_34_CS; E14.FR.01 to E14.FR.08, E14.FR.04, E14.FR.07: with messages in the
    queue and without, of a running transaction and of one that has ended."""
    m: Any = version.module

    async def answer(_station: StationRecord, _request: Any) -> Any:
        await clocks[0].sleep(1)
        return m.TransactionEventResponse()

    clocks: list[Any] = []

    async def scenario(site: Site) -> None:
        clocks.append(site.clock)
        assert await status(site, None) == (None, False)
        await reads_meters(site, 1)
        await reads_meters(site, 2)
        await site.clock.sleep(8)
        first, second = (t.transaction_id for t in site.transactions)
        assert await status(site, first) == (True, False)
        site.cut(until_s=40)
        await site.clock.sleep(10)
        await site.station.swipe(TOKEN, 1)
        await site.station.unplug(1)
        await site.clock.sleep(33)
        assert await status(site, first) == (False, True)
        assert await status(site, second) == (True, True)
        assert await status(site, None) == (None, True)
        assert await status(site, "unheard-of") == (False, False)
        await site.station.swipe(TOKEN, 2)
        await site.clock.sleep(60)
        assert await status(site, first) == (False, False)
        assert await status(site, second) == (False, False)
        assert await status(site, None) == (None, False)

    at_site(scenario, version, variables=OFTEN, handlers={"TransactionEvent": answer})
