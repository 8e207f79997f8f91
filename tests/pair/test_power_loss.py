"""E17, and what of it holds for OCPP 2.0.1: transactions over a restart, at a charge point whose
integrator is a test. What a whole station makes of it is in test_station_restart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from ocpp_fast.blocks.transactions.recovery import MAX_WAIT_FOR_TIME_S
from ocpp_fast.callbacks import OpenTransaction, RestoredTransaction
from ocpp_fast.config import OnRestart
from ocpp_fast.csms import Csms
from ocpp_fast.errors import ConfigurationError, StorageError
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion, v21
from ocpp_fast.restoring import Restart
from ocpp_fast.storage import MemoryStorage
from ocpp_fast.storage.base import ReadingRow
from ocpp_fast.storage.sqlite import SqliteStorage
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.power_kit import CutStorage, Life, Restore, gist
from pair.station_kit import VERSIONS

versions = pytest.mark.parametrize("version", VERSIONS)
STATES = tuple(v21.ChargingStateEnumType)
TIMEOUT_S = 600
RESUME: dict[str, Any] = {"on_restart": OnRestart.RESUME}
STEP_WH = 100.0
"""MeterCheckpointEnergy."""


def resumed_trigger(version: OcppVersion) -> str:
    return "TxResumed" if version is OcppVersion.V21 else "ChargingStateChanged"


def is_complete(events: list[dict[str, Any]], *, ended: bool = True) -> None:
    """After de-duplication by seqNo: one Started, perhaps one Ended, nothing missing, and what came
    twice was the same."""
    by_seq_no: dict[int, dict[str, Any]] = {}
    for event in events:
        told = {name: value for name, value in event.items() if name != "offline"}
        assert by_seq_no.setdefault(event["seqNo"], told) == told
    found = [by_seq_no[seq_no]["eventType"] for seq_no in sorted(by_seq_no)]
    assert sorted(by_seq_no) == list(range(len(found)))
    assert found == ["Started", *["Updated"] * (len(found) - 1 - ended), *["Ended"] * ended]
    stamps = [datetime.fromisoformat(by_seq_no[n]["timestamp"]) for n in sorted(by_seq_no)]
    assert stamps == sorted(stamps)


async def interrupted(
    clock: VirtualClock, *, version: OcppVersion = OcppVersion.V21, dark_s: float = 10, **life: Any
) -> tuple[Life, CutStorage]:
    """A transaction that charges for a minute; then the power fails for some time."""
    async with Life(clock, version=version, **life) as first:
        await first.charge()
        await first.draw(60)
        storage = first.cut()
    await clock.sleep(dark_s)
    return first, storage


# --- the decision -----------------------------------------------------------------------------

# What the integrator answers; whether it goes on then, or None for: as the policy says.
Answer = tuple[Restore | None, bool | None]


def answers() -> dict[str, Answer]:
    async def resume(open_: OpenTransaction) -> RestoredTransaction:
        return RestoredTransaction(resume=True)

    async def close(open_: OpenTransaction) -> RestoredTransaction:
        return RestoredTransaction(resume=False)

    async def fails(open_: OpenTransaction) -> RestoredTransaction:
        raise RuntimeError(open_.transaction_id)

    async def hangs(open_: OpenTransaction) -> RestoredTransaction:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async def is_silent(open_: OpenTransaction) -> None:
        return None

    async def is_wrong(open_: OpenTransaction) -> RestoredTransaction:
        return RestoredTransaction(resume=not open_.resume, charging_state="Flying")

    return {
        "none": (None, None),
        "resume": (resume, True),
        "close": (close, False),
        "fails": (fails, None),
        "late": (hangs, None),
        "silent": (is_silent, None),
        "wrong": (is_wrong, None),
    }


POLICIES = (None, *OnRestart)
ROWS = list(product(POLICIES, ("0", "within", "beyond"), answers()))


@versions
@pytest.mark.parametrize(("policy", "timeout", "asked"), ROWS)
def test_e17_fr_10_20_every_row_of_the_decision(
    policy: OnRestart | None, timeout: str, asked: str, version: OcppVersion
) -> None:
    """With a transaction in each charging state."""
    variables = {"resumption_timeout_s": 0 if timeout == "0" else TIMEOUT_S}
    by_policy = {
        (None, "within"): True,
        (OnRestart.RESUME, "0"): True,
        (OnRestart.RESUME, "within"): True,
    }.get((policy, timeout), False)
    callback, decides = answers()[asked]
    resumes = by_policy if decides is None else decides

    async def run(clock: VirtualClock) -> None:
        options: dict[str, Any] = {"version": version, "evses": len(STATES)}
        async with Life(clock, **options) as first:
            for evse_id, state in enumerate(STATES, 1):
                await first.begin(evse_id, f"tx-{evse_id}", charging_state=state)
            storage = await first.cut_when_told()
        await clock.sleep(TIMEOUT_S * (0.5 if timeout == "within" else 2))
        async with Life(
            clock, storage, **options, variables=variables, restore=callback, on_restart=policy
        ) as again:
            await clock.sleep(30)  # Longer than a callback may take.
            told = sorted(again.told(), key=lambda event: event.id)
            assert [event.id for event in told] == [f"tx-{n}" for n in range(1, 6)]
            for event, state in zip(told, STATES, strict=True):
                assert event.seq_no == 1
                if resumes:
                    assert (event.type, event.state) == ("Updated", state)
                    assert event.trigger == resumed_trigger(version)
                    assert event.reason is None
                else:
                    open_ = "Idle" if state == "Idle" else "EVConnected"
                    assert (event.type, event.state) == ("Ended", open_)
                    assert (event.trigger, event.reason) == ("AbnormalCondition", "PowerLoss")
            assert len(again.asked) == (0 if callback is None else 5)
            assert {open_.resume for open_ in again.asked} <= {by_policy}
            here = set(again.point._parts.transactions.active_evses())
            assert here == (set(range(1, 6)) if resumes else set())

    run_virtual(run)


@versions
@pytest.mark.parametrize("boot_reason", v21.BootReasonEnumType)
def test_e17_fr_21_22_b12_fr_04_the_stopped_reason_is_that_of_the_restart(
    boot_reason: str, version: OcppVersion
) -> None:
    reasons = {"PowerUp": "PowerLoss", "RemoteReset": "ImmediateReset"}

    async def run(clock: VirtualClock) -> None:
        first, storage = await interrupted(clock, version=version)
        async with Life(clock, storage, version=version, boot_reason=boot_reason) as again:
            (ended,) = again.told()
            assert ended.type == "Ended"
            assert ended.trigger == "AbnormalCondition"
            assert ended.reason == reasons.get(boot_reason, "Reboot")
            assert ended.offline, "E04.FR.03: no link was there yet"
            is_complete(first.events() + again.events())

    run_virtual(run)


@versions
def test_e17_fr_01_everything_of_all_transactions_is_as_it_was(version: OcppVersion) -> None:
    """E17.FR.01, E17.FR.10, E17.FR.14: seqNo, idToken, evse and transactionInfo."""

    async def run(clock: VirtualClock) -> None:
        async with Life(clock, version=version) as first:
            await first.charge(1, "one")
            await first.begin(2, "two", charging_state="SuspendedEV", id_token=None)
            await first.draw(60)
            storage = first.cut()
        async with Life(clock, storage, version=version, **RESUME) as again:
            assert again.active == [(1, "one"), (2, "two")], "monitors hear of them again"
            point = again.point
            assert [point.get_evse_transaction_id(n) for n in (1, 2)] == ["one", "two"]
            transactions = point._parts.transactions
            assert [transactions.is_authorized(n) for n in (1, 2)] == [True, False]
            one, two = again.told()
            trigger = resumed_trigger(version)
            assert (one.type, one.trigger, one.seq_no) == ("Updated", trigger, 2)
            assert (one.state, two.state, two.seq_no) == ("Charging", "SuspendedEV", 1)
            assert not [e for e in again.events() if "evse" in e or "idToken" in e], "told before"
            # They go on as if nothing had been.
            await again.point.on_authorized(2, 1, v21.IdTokenType(id_token="AB", type="Central"))
            last = again.meter(9_000)
            await again.point.on_transaction_finished(1, clock.now(), meter_stop=last)
            await clock.sleep(1)
            assert again.told("two")[-1].trigger == "Authorized"
            ended = again.told("one")[-1]
            assert ended.energies == [("Transaction.Begin", 1_000), ("Transaction.End", 9_000)]
            is_complete(first.events("one") + again.events("one"))
            is_complete(first.events("two") + again.events("two"), ended=False)

    run_virtual(run)


@versions
@pytest.mark.parametrize("power_w", [1_400, 11_000, 350_000])
def test_the_energy_that_is_lost_is_bounded(power_w: float, version: OcppVersion) -> None:
    """MeterCheckpointEnergy, or a minute where that is less, and what flows between two readings
    of the meter."""

    async def run(clock: VirtualClock) -> None:
        for seconds in (1, 7, 59, 61, 125):
            async with Life(clock, version=version) as first:
                await first.charge()
                await first.draw(seconds, power_w)
                storage, drawn = first.cut(), first.drawn_wh[1]
            async with Life(clock, storage, version=version) as again:
                ended = again.told()[-1]
                (_, known) = ended.energies[-1]
                bound = min(STEP_WH, power_w / 60) + power_w / 3_600
                assert 0 <= drawn - known <= bound, seconds
                assert again.point._parts.transactions.last_energy_wh(1) == known

    run_virtual(run)


def test_no_reading_that_an_event_has_told_is_lost() -> None:
    """The CSMS never sees a register run backwards."""

    async def run(clock: VirtualClock) -> None:
        async with Life(clock, variables={"tx_updated_interval_s": 5}) as first:
            await first.charge()
            await first.draw(6, power_w=1_000)
            told = [value for event in first.told() for _, value in event.energies]
            storage = first.cut()
        async with Life(clock, storage) as again:
            assert again.told()[-1].energies[-1][1] >= max(told) > 1_000

    run_virtual(run)


@versions
def test_nor_one_that_ended_would_have_repeated(version: OcppVersion) -> None:
    """A reading that was kept may be newer than the last checkpoint."""
    variables = {"tx_ended_interval_s": 4, "meter_checkpoint_energy_wh": 10_000}

    async def run(clock: VirtualClock) -> None:
        async with Life(clock, version=version, variables=variables) as first:
            await first.charge()
            await first.draw(9)
            shown = first.drawn_wh[1]
            storage = first.cut()
        async with Life(clock, storage, version=version, variables=variables) as again:
            values = [value for _, value in again.told()[-1].energies]
            assert len(values) == 4
            assert values == sorted(values)
            assert values[-1] == pytest.approx(shown - 2 * 11_000 / 3_600)
            assert again.point._parts.transactions.last_energy_wh(1) == values[-1]

    run_virtual(run)


@versions
def test_e01_fr_17_a_meter_that_is_silent_at_the_start_tells_it_later(
    version: OcppVersion,
) -> None:
    """Also where charging is what started the transaction."""
    variables = {"tx_updated_interval_s": 10}

    async def run(clock: VirtualClock) -> None:
        async with Life(clock, version=version, variables=variables) as life:
            await life.begin(1, "silent", meter_start=None, charging_state="Charging")
            await clock.sleep(5)
            life.meter(1_200)
            await clock.sleep(6)
            # `begin` has shown the meter before, which is all that is known of the start.
            assert life.told("silent")[0].energies == [("Transaction.Begin", 1_000)]
            m: Any = version.module
            now = clock.now()
            await life.point.on_transaction_started(
                2, 1, "later", now, m.TriggerReasonEnumType("CablePluggedIn"),
                charging_state="Charging",
            )  # fmt: skip
            await clock.sleep(5)
            life.meter(70, 2)
            await clock.sleep(16)
            started, first = life.told("later")[:2]
            assert started.energies == []
            assert first.energies == [("Transaction.Begin", 70), ("Sample.Periodic", 70)]
            for state in ("SuspendedEV", "Charging"):
                await life.point.on_charging_state_changed(2, state)
            await clock.sleep(1)
            assert [e.energies for e in life.told("later")[2:]] == [[], []], "it is told once"
            await life.point.on_transaction_finished(2, clock.now(), meter_stop=life.meter(90, 2))
            await clock.sleep(1)
            assert life.told("later")[-1].energies == [
                ("Transaction.Begin", 70), ("Transaction.End", 90),
            ]  # fmt: skip

    run_virtual(run)


def test_an_orderly_stop_leaves_the_exact_reading_and_time() -> None:
    async def run(clock: VirtualClock) -> None:
        storage = CutStorage()
        async with Life(clock, storage, variables={"resumption_timeout_s": 3_600}) as first:
            await first.charge()
            await first.draw(3, power_w=100)
            await clock.sleep(20)
        async with Life(clock, storage, variables={"resumption_timeout_s": 3_600}) as again:
            opened = again.point._parts.transactions
            assert opened.last_energy_wh(1) == first.drawn_wh[1]
            assert opened._recovery._down_s() == pytest.approx(0, abs=0.01)

    run_virtual(run)


@pytest.mark.parametrize(
    ("timeout_s", "dark_s", "resumes"),
    [(600, 540, True), (600, 601, False), (60, 54, True), (60, 61, False), (10, 9, True)],
)
def test_e17_fr_02_the_interruption_begins_when_the_station_was_last_alive(
    timeout_s: int, dark_s: float, *, resumes: bool
) -> None:
    """An hour without any event or reading does not make it longer."""

    async def run(clock: VirtualClock) -> None:
        variables = {"resumption_timeout_s": timeout_s}
        async with Life(clock, variables=variables) as first:
            await first.charge()
            await clock.sleep(3_600)
            storage = first.cut()
        await clock.sleep(dark_s)
        async with Life(clock, storage, variables=variables) as again:
            (event,) = again.told()
            assert event.trigger == ("TxResumed" if resumes else "AbnormalCondition")

    run_virtual(run)


def test_e17_fr_02_so_does_the_next_one_of_a_transaction_that_was_resumed() -> None:
    async def run(clock: VirtualClock) -> None:
        variables = {"resumption_timeout_s": 600}
        _, storage = await interrupted(clock, variables=variables)
        for _ in range(3):
            async with Life(clock, storage, variables=variables) as again:
                assert again.told()[-1].trigger == "TxResumed"
                await clock.sleep(3_600)
                storage = again.cut()
            await clock.sleep(500)

    run_virtual(run)


@versions
def test_the_register_at_the_end_stays_known(version: OcppVersion) -> None:
    """For whoever has to go on from it: a simulated meter, for instance."""

    async def run(clock: VirtualClock) -> None:
        async with Life(clock, version=version) as first:
            await first.charge()
            await first.point.on_transaction_finished(
                1, clock.now(), meter_stop=first.reading(2_345)
            )
            storage = first.cut()
        async with Life(clock, storage, version=version) as again:
            transactions = again.point._parts.transactions
            assert [transactions.last_energy_wh(n) for n in (1, 2)] == [2_345, None]
            await again.point._parts.transactions.recovered(1)

    run_virtual(run)


# --- what the integrator may say ---------------------------------------------------------------


@versions
def test_the_integrator_is_told_all_and_decides_all(version: OcppVersion) -> None:
    async def run(clock: VirtualClock) -> None:
        first, storage = await interrupted(clock, version=version)
        now_shows: list[Any] = []
        token = v21.IdTokenType(id_token="CD", type="Central")

        async def restore(open_: OpenTransaction) -> RestoredTransaction:
            now_shows.append(again.reading(5_000))
            return RestoredTransaction(
                resume=False, charging_state="Idle", meter_value=now_shows[0],
                stopped_reason="EVDisconnected", trigger_reason="EVCommunicationLost",
                id_token=token,
            )  # fmt: skip

        again = Life(clock, storage, version=version, restore=restore)
        async with again:
            (open_,) = again.asked
            assert (open_.evse_id, open_.connector_id, open_.transaction_id) == (1, 1, "tx-1")
            assert (open_.charging_state, open_.remote_start_id) == ("Charging", None)
            assert open_.id_token is not None
            assert isinstance(open_.id_token, version.module.IdTokenType)
            assert open_.id_token.id_token == "04A1B2C3"
            assert open_.last_reading is not None
            assert open_.last_reading.sampled_value[0].value >= first.drawn_wh[1] - STEP_WH
            assert 10 <= open_.interrupted_s <= 70
            assert open_.resume is False
            (event,) = again.events()
            (ended,) = again.told()
            assert (ended.type, ended.trigger) == ("Ended", "EVCommunicationLost")
            assert (ended.reason, ended.state) == ("EVDisconnected", "Idle")
            assert ended.energies[-1] == ("Transaction.End", 5_000)
            assert event["idToken"] == {"idToken": "CD", "type": "Central"}

    run_virtual(run)


@versions
def test_a_resumed_one_is_in_the_state_and_at_the_reading_that_the_integrator_says(
    version: OcppVersion,
) -> None:
    async def run(clock: VirtualClock) -> None:
        _, storage = await interrupted(clock, version=version)

        async def restore(_: OpenTransaction) -> RestoredTransaction:
            return RestoredTransaction(
                resume=True, charging_state="SuspendedEVSE", meter_value=again.reading(1_400)
            )

        again = Life(clock, storage, version=version, restore=restore)
        async with again:
            (event,) = again.told()
            assert (event.type, event.state) == ("Updated", "SuspendedEVSE")
            assert event.energies == [("Interruption.End", 1_400)]
            # The next life knows of it.
            storage = again.cut()
        async with Life(clock, storage, version=version) as third:
            (event,) = third.told()
            assert event.energies[-1] == ("Transaction.End", 1_400)

    run_virtual(run)


def test_no_callback_waits_for_another_and_the_start_for_none() -> None:
    async def run(clock: VirtualClock) -> None:
        async with Life(clock, evses=16) as first:
            for evse_id in range(1, 17):
                await first.begin(evse_id, f"tx-{evse_id}")
            storage = first.cut()

        async def restore(open_: OpenTransaction) -> RestoredTransaction:
            await clock.sleep(15)
            return RestoredTransaction(resume=open_.evse_id % 2 == 0)

        again = Life(clock, storage, evses=16, restore=restore)
        before = clock.monotonic()
        await again.point.start()
        assert clock.monotonic() - before < 1
        transactions = again.point._parts.transactions
        assert transactions.transaction_id(3) == "tx-3", "until it is decided it is there"
        await asyncio.gather(*(transactions.recovered(n) for n in range(1, 17)))
        assert clock.monotonic() - before == pytest.approx(15, abs=0.1)
        assert set(transactions.active_evses()) == set(range(2, 17, 2))
        assert len(again.storage.rows) >= 16, "recovered means stored"  # type: ignore[attr-defined]
        await again.point.stop()

    run_virtual(run)


def test_without_a_question_all_is_settled_and_stored_when_start_returns() -> None:
    async def run(clock: VirtualClock) -> None:
        _, storage = await interrupted(clock)
        again = Life(clock, storage, online=False)
        await again.point.start()
        assert "transaction.1" not in storage.facts
        (row,) = [row for row in storage.rows if row.action == "TransactionEvent"]
        assert b'"Ended"' in row.payload
        await again.begin(1, "tx-2")
        await again.point._parts.transactions.recovered(1)
        await again.point.stop()

    run_virtual(run)


def test_what_the_integrator_reports_before_the_decision_counts() -> None:
    """The hardware knows that the EV is gone, before anybody has been asked what to do."""

    async def run(clock: VirtualClock) -> None:
        first, storage = await interrupted(clock)

        async def restore(_: OpenTransaction) -> RestoredTransaction:
            await clock.sleep(10)
            return RestoredTransaction(resume=True)

        async with Life(clock, storage, restore=restore) as again:
            with pytest.raises(ConfigurationError, match="EVSE 1 has a transaction already"):
                await again.begin(1, "tx-2")
            await again.point.on_charging_state_changed(1, "SuspendedEVSE")
            await again.point.on_transaction_finished(1, clock.now(), "EVDisconnected")
            await clock.sleep(15)
            assert [event.type for event in again.told("tx-1")] == ["Updated", "Ended"]
            is_complete(first.events() + again.events("tx-1"))
            await again.begin(1, "tx-2")

    run_virtual(run)


def test_a_second_power_cut_before_the_decision_changes_nothing() -> None:
    async def run(clock: VirtualClock) -> None:
        variables = {"resumption_timeout_s": 100}
        first, storage = await interrupted(clock, dark_s=60, variables=variables)

        async def never(_: OpenTransaction) -> RestoredTransaction:
            await clock.sleep(15)
            raise AssertionError

        async with Life(clock, storage, restore=never, variables=variables) as second:
            second.meter(1_300)
            storage = second.cut()
        await clock.sleep(60)
        async with Life(clock, storage, variables=variables) as third:
            (ended,) = third.told()
            assert ended.trigger == "AbnormalCondition", "the interruption is two minutes long"
            is_complete(first.events() + third.events())

    run_virtual(run)


# --- every cut ---------------------------------------------------------------------------------


def refusing(clock: VirtualClock, version: OcppVersion) -> Csms:
    """A CSMS that refuses the token of every event that tells one."""
    m: Any = version.module

    def answer(_: object, request: Any) -> Any:
        blocked = m.IdTokenInfoType(status="Blocked")
        return m.TransactionEventResponse(id_token_info=request.id_token and blocked)

    csms = Csms(clock=clock, ids=Ids(seed=2), heartbeat_interval_s=0)
    csms.on("TransactionEvent", answer)
    return csms


async def _a_day(life: Life) -> None:
    """Everything that can be written of transactions."""
    await life.begin(1, "a", meter_start=None, id_token=None, charging_state="EVConnected")
    await life.clock.sleep(2)
    await life.begin(2, "b", 500)
    m: Any = life.version.module
    await life.point.on_authorized(1, 1, m.IdTokenType(id_token="AA", type="ISO14443"))
    await life.point.on_charging_state_changed(1, "Charging", remote_start_id=7)
    for _ in range(4):
        await life.draw(20, 11_000, 1)
        life.meter(life.drawn_wh[2] + 30, 2)
    await life.point.on_transaction_finished(
        2, life.clock.now(), "Local", meter_stop=life.meter(900, 2)
    )
    await life.clock.sleep(2)
    await life.begin(2, "c", 900)
    await life.draw(5, 3_000, 1)
    await life.point.on_transaction_finished(
        1, life.clock.now(), "Remote", "RemoteStop", meter_stop=life.meter(life.drawn_wh[1])
    )
    await life.clock.sleep(2)


DAY = {"tx_updated_interval_s": 15, "tx_ended_interval_s": 20}
STRICT = {"stop_tx_on_invalid_id": False, "max_energy_on_invalid_id_wh": 150}


@versions
@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize("policy", OnRestart)
def test_a_power_cut_after_any_write_leaves_whole_transactions(
    policy: OnRestart, version: OcppVersion, *, online: bool
) -> None:
    """One Started, one Ended, no gap, no number twice with different contents, energy within the
    bound; and the boot after that finds nothing to do."""

    async def run(clock: VirtualClock) -> None:
        csms = refusing(clock, version)
        options: dict[str, Any] = {"version": version, "variables": DAY | STRICT}
        storage = CutStorage()
        async with Life(clock, storage, online=online, csms=csms, **options) as first:
            await _a_day(first)
        cuts = storage.cuts
        assert {"outbox_append", "readings_append", "readings_remove"} <= {c.verb for c in cuts}
        assert len(cuts) > 30
        for cut in cuts:
            async with Life(
                clock, CutStorage.holding(cut.content), on_restart=policy, csms=csms, **options
            ) as again:
                running = list(again.point._parts.transactions.active_evses())
                if policy is OnRestart.CLOSE:
                    assert running == []
                for evse_id in running:
                    await again.point.on_transaction_finished(evse_id, clock.now())
                await clock.sleep(2)
                storage = again.cut()
            events = cut.seen + again.events()
            for name in {event["transactionInfo"]["transactionId"] for event in events}:
                mine = [e for e in events if e["transactionInfo"]["transactionId"] == name]
                is_complete(mine)
                _tells_once(mine)
                if policy is OnRestart.CLOSE:
                    _is_within_the_bound(mine, cut.drawn_wh[1 if name == "a" else 2])
            async with Life(clock, storage, csms=csms, **options) as third:
                assert third.events() == []
                assert third.active == []
                kept = [n for n in third.storage.facts if n.startswith("transaction.")]  # type: ignore[attr-defined]
                assert kept == []
                assert await third.storage.readings_load() == []

    run_virtual(run)


def _tells_once(events: list[dict[str, Any]]) -> None:
    """What is to be told once is told once, whichever life had to."""
    distinct = {event["seqNo"]: event for event in events}.values()
    started = [event for event in distinct if event["eventType"] == "Started"]
    assert len([event for event in distinct if "evse" in event]) == len(started) == 1
    assert len([e for e in distinct if "remoteStartId" in e["transactionInfo"]]) <= 1


def _is_within_the_bound(events: list[dict[str, Any]], drawn_wh: float) -> None:
    told = gist(events[-1])
    if told.reason == "PowerLoss" and told.energies:
        lost = drawn_wh - told.energies[-1][1]
        assert 0 <= lost <= STEP_WH + 11_000 / 3_600


def test_the_second_boot_recovers_nothing_even_if_the_first_was_offline() -> None:
    async def run(clock: VirtualClock) -> None:
        first, storage = await interrupted(clock)
        lives = [first]
        for _ in range(3):
            async with Life(clock, storage, online=False) as again:
                assert again.active == ([(1, None)] if len(lives) == 1 else [])
                lives.append(again)
                storage = again.cut()
        async with Life(clock, storage) as last:
            is_complete(first.events() + last.events())
            assert len(last.told()) == 1

    run_virtual(run)


@versions
def test_one_transaction_over_three_power_losses_offline(version: OcppVersion) -> None:
    async def run(clock: VirtualClock) -> None:
        first, storage = await interrupted(clock, version=version, online=False)
        for _ in range(3):
            async with Life(clock, storage, version=version, online=False, **RESUME) as again:
                again.drawn_wh = dict(first.drawn_wh)
                await again.draw(10)
                await again.point.on_charging_state_changed(1, "SuspendedEV")
                await again.point.on_charging_state_changed(1, "Charging")
                storage = again.cut()
            await clock.sleep(100)
        async with Life(clock, storage, version=version, **RESUME) as last:
            await last.point.on_transaction_finished(1, clock.now())
            await clock.sleep(1)
            is_complete(last.events())
            assert len(last.told()) == 2 + 3 * 3 + 1 + 1
            assert all(event.offline for event in last.told()[:-1])

    run_virtual(run)


# --- what goes on -------------------------------------------------------------------------------


@versions
def test_intervals_go_on_and_the_readings_of_before_are_in_the_end(version: OcppVersion) -> None:
    variables = {"tx_updated_interval_s": 10, "tx_ended_interval_s": 15}

    async def run(clock: VirtualClock) -> None:
        async with Life(clock, version=version, variables=variables) as first:
            await first.charge()
            await first.draw(60)
            storage = await first.cut_when_told()
        await clock.sleep(10)
        async with Life(clock, storage, version=version, variables=variables, **RESUME) as again:
            again.drawn_wh = dict(first.drawn_wh)
            await again.draw(31)
            periodic = [e for e in again.told() if e.trigger == "MeterValuePeriodic"]
            assert len(periodic) == 3
            await again.point.on_transaction_finished(1, clock.now(), meter_stop=again.meter(3_000))
            await clock.sleep(1)
            contexts = [context for context, _ in again.told()[-1].energies]
            assert contexts == [
                "Transaction.Begin", *["Sample.Periodic"] * (4 + 2), "Transaction.End",
            ]  # fmt: skip
            values = [value for _, value in again.told()[-1].energies]
            assert values == sorted(values)
            await clock.sleep(1)
            assert await storage.readings_load() == []

    run_virtual(run)


@pytest.mark.parametrize("resumes", [True, False])
def test_the_interval_of_before_has_its_readings_in_the_end_of_a_closed_one(
    *, resumes: bool
) -> None:
    async def run(clock: VirtualClock) -> None:
        variables = {"tx_ended_interval_s": 15}
        _, storage = await interrupted(clock, variables=variables)
        if resumes:  # Once more, between.
            async with Life(clock, storage, variables=variables, **RESUME) as between:
                storage = between.cut()
        async with Life(clock, storage, variables=variables) as again:
            contexts = [context for context, _ in again.told()[-1].energies]
            assert contexts == [
                "Transaction.Begin", *["Sample.Periodic"] * 4, "Transaction.End",
            ]  # fmt: skip

    run_virtual(run)


def test_e01_fr_16_17_what_was_still_to_be_told_is_told_after_the_restart() -> None:
    """The connector, which became known just before, and the readings at the start."""

    async def run(clock: VirtualClock) -> None:
        async with Life(clock) as first:
            await first.point.on_transaction_started(
                1, None, "tx-1", clock.now(), "Authorized", charging_state="Idle"
            )
            first.point.on_session_started(1, 1)
            storage = await first.cut_when_told()
        async with Life(clock, storage, **RESUME) as again:
            (resumed,) = again.events()
            assert resumed["evse"] == {"id": 1, "connectorId": 1}
            again.meter(700)
            await again.point.on_charging_state_changed(1, "Charging")
            await clock.sleep(1)
            assert again.told()[-1].energies == [("Transaction.Begin", 700)]
            storage = again.cut()
        async with Life(clock, storage) as third:
            assert third.told()[-1].energies == [
                ("Transaction.Begin", 700), ("Transaction.End", 700),
            ]  # fmt: skip

    run_virtual(run)


@versions
def test_e01_fr_17_the_reading_of_the_resumption_may_be_the_first(version: OcppVersion) -> None:
    async def resume(open_: OpenTransaction) -> RestoredTransaction:
        return RestoredTransaction(
            resume=True, charging_state="Charging", meter_value=Life(clock).reading(700)
        )

    async def run(given: VirtualClock) -> None:
        nonlocal clock
        clock = given
        async with Life(clock, version=version) as first:
            await first.begin(meter_start=None)
            storage = first.cut()
        async with Life(clock, storage, version=version, restore=resume) as again:
            assert again.told()[-1].energies == [("Transaction.Begin", 700)]
            again.meter(900)
            await again.point.on_transaction_finished(1, clock.now(), meter_stop=again.reading(900))
            await clock.sleep(1)
            assert again.told()[-1].energies == [
                ("Transaction.Begin", 700), ("Transaction.End", 900),
            ]  # fmt: skip

    clock = VirtualClock()
    run_virtual(run)


@versions
def test_a_reading_without_what_is_wanted_is_none(version: OcppVersion) -> None:
    """E01.FR.09, E02.FR.10, E06.FR.11: nothing is told rather than something empty."""
    wanted = ("Voltage",)
    variables = {
        "tx_started_measurands": wanted, "tx_updated_measurands": wanted,
        "tx_ended_measurands": wanted,
    }  # fmt: skip

    async def resume(open_: OpenTransaction) -> RestoredTransaction:
        return RestoredTransaction(resume=True, meter_value=Life(clock).reading(700))

    async def run(given: VirtualClock) -> None:
        nonlocal clock
        clock = given
        async with Life(clock, version=version, variables=variables) as first:
            await first.charge()
            storage = await first.cut_when_told()
            assert [event.energies for event in first.told()] == [[], []]
        async with Life(
            clock, storage, version=version, variables=variables, restore=resume
        ) as again:
            m: Any = version.module
            trigger = m.TriggerMessageRequest(
                requested_message="TransactionEvent", evse=m.EVSEType(id=1)
            )
            await again.csms.call("CS001", trigger)
            await clock.sleep(1)
            await again.point.on_transaction_finished(1, clock.now(), meter_stop=again.reading(900))
            await clock.sleep(1)
            triggers = [event["triggerReason"] for event in again.events()[-3:-1]]
            assert triggers == [resumed_trigger(version), "Trigger"]
            assert all("meterValue" not in event for event in again.events())

    clock = VirtualClock()
    run_virtual(run)


def test_what_ended_repeats_is_of_this_transaction_and_new() -> None:
    """A meter that is silent at first, or altogether."""

    async def run(clock: VirtualClock) -> None:
        async with Life(clock, variables={"tx_ended_interval_s": 10}) as life:
            life.meter(500)
            await life.begin(meter_start=life.reading(1_000))
            other = life.begin(2, "tx-2", meter_start=None)
            vars(life)["meter"] = lambda *_: None
            await other
            del vars(life)["meter"]
            await clock.sleep(35)
            life.meter(1_100, 1)
            life.meter(100, 2)
            await clock.sleep(30)
            for evse_id in (1, 2):
                await life.point.on_transaction_finished(evse_id, clock.now())
            await clock.sleep(1)
            assert life.told("tx-1")[-1].energies == [
                ("Transaction.Begin", 1_000), ("Sample.Periodic", 1_100),
            ]  # fmt: skip
            assert life.told("tx-2")[-1].energies == [("Sample.Periodic", 100)]

    run_virtual(run)


@versions
@pytest.mark.parametrize("dies", [True, False])
def test_j02_fr_20_an_ended_event_fits_in_one_message(version: OcppVersion, *, dies: bool) -> None:
    """Of a thousand long readings those in between go; the first and the last never do."""
    variables = {
        "tx_ended_interval_s": 1,
        "tx_ended_measurands": ("Energy.Active.Import.Register", "Voltage", "Current.Import"),
    }

    async def run(clock: VirtualClock) -> None:
        m: Any = version.module
        phases = [
            m.SampledValueType(value=1, measurand=name, phase=phase, location="Outlet")
            for name in ("Voltage", "Current.Import")
            for phase in ("L1", "L2", "L3")
        ]
        ended: dict[str, Any] = {}
        async with Life(clock, version=version, variables=variables) as first:
            await first.charge()
            for n in range(1, 900):
                await clock.sleep(1)
                long = first.reading(1_000 + n)
                first.point.on_meter_value(
                    1, long.replace(sampled_value=[*long.sampled_value, *phases])
                )
            if not dies:
                await first.point.on_transaction_finished(
                    1, clock.now(), meter_stop=first.reading(9_000)
                )
                await clock.sleep(1)
                ended = first.events()[-1]
            storage = await first.cut_when_told()
        async with Life(clock, storage, version=version, variables=variables) as again:
            ended = again.events()[-1] if dies else ended
            compact = json.dumps(ended, separators=(",", ":"))
            assert 20_000 < len(compact) < 65_000
            (_, begin), *_, (context, end) = [pair for pair in gist(ended).energies if pair[1] != 1]
            assert (begin, context) == (1_000, "Transaction.End")
            assert end >= 1_800

    run_virtual(run)


@versions
@pytest.mark.parametrize("dies", [True, False])
def test_j02_fr_20_21_few_signed_readings_are_long_too(version: OcppVersion, *, dies: bool) -> None:
    """The first and the last of them are there with what was signed, whatever has happened."""
    registers = ("Energy.Active.Import.Register", "Power.Active.Import")
    variables = {"tx_ended_interval_s": 10, "tx_ended_measurands": registers}

    def signed(life: Life, energy_wh: float) -> Any:
        m: Any = version.module
        data = f"{energy_wh:.0f}".ljust(2_500, "=")
        signature = m.SignedMeterValueType(
            signed_meter_data=data, signing_method="ECDSA-secp256r1-SHA256",
            encoding_method="OCMF", public_key="=" * 2_500,
        )  # fmt: skip
        values = [
            m.SampledValueType(value=value, measurand=name, signed_meter_value=signature)
            for name, value in zip(registers, (energy_wh, 1), strict=True)
        ]
        return m.MeterValueType(timestamp=life.clock.now(), sampled_value=values)

    async def run(clock: VirtualClock) -> None:
        async with Life(clock, version=version, variables=variables) as first:
            await first.begin(meter_start=signed(first, 1_000))
            for n in range(1, 8):
                first.point.on_meter_value(1, signed(first, 1_000 + n))
                await clock.sleep(10)
            if not dies:
                stop = signed(first, 9_000)
                await first.point.on_transaction_finished(1, clock.now(), meter_stop=stop)
            storage = await first.cut_when_told()
            ended = first.events()[-1]
        async with Life(clock, storage, version=version, variables=variables) as again:
            ended = again.events()[-1] if dies else ended
            assert len(json.dumps(ended, separators=(",", ":"))) < 65_000
            first_one, *between, last_one = ended["meterValue"]
            assert between
            for reading, energy_wh in (first_one, 1_000), (last_one, 1_007 if dies else 9_000):
                for value in reading["sampledValue"]:
                    data = value["signedMeterValue"]["signedMeterData"]
                    assert data.rstrip("=") == str(energy_wh)

    run_virtual(run)


# --- E05 over a restart --------------------------------------------------------------------------


@versions
@pytest.mark.parametrize("stops", [True, False])
def test_e05_a_refused_token_stays_refused(version: OcppVersion, *, stops: bool) -> None:
    """E05.FR.02, E05.FR.09, E05.FR.10: the power failed before the integrator had acted."""
    variables = {"stop_tx_on_invalid_id": stops}

    async def run(clock: VirtualClock) -> None:
        csms = refusing(clock, version)
        resume, _ = answers()["resume"]
        async with Life(clock, version=version, csms=csms, variables=variables) as first:
            await first.charge()
            await clock.sleep(1)
            storage = first.cut()
        async with Life(
            clock, storage, version=version, variables=variables, restore=resume
        ) as again:
            assert [open_.refused for open_ in again.asked] == [True]
            assert (again.stops, again.pauses) == (
                ([(1, "DeAuthorized")], []) if stops else ([], [1])
            )

    run_virtual(run)


@versions
def test_e05_fr_03_the_allowance_is_one_for_both_lives(version: OcppVersion) -> None:
    variables = {"stop_tx_on_invalid_id": False, "max_energy_on_invalid_id_wh": 500}

    async def run(clock: VirtualClock) -> None:
        csms = refusing(clock, version)
        options: dict[str, Any] = {"version": version, "csms": csms, "variables": variables}
        async with Life(clock, **options) as first:
            await first.charge(energy_wh=1_000)
            await clock.sleep(1)
            first.meter(1_300)
            assert first.pauses == []
            storage = first.cut()
        resume, _ = answers()["resume"]
        async with Life(clock, storage, **options, restore=resume) as again:
            assert [open_.refused for open_ in again.asked] == [False], "it may go on for now"
            again.meter(1_499)
            await clock.sleep(1)
            assert again.pauses == []
            again.meter(1_500)
            await clock.sleep(1)
            again.meter(1_510)
            await clock.sleep(1)
            assert again.pauses == [1]
            storage = again.cut()
        async with Life(clock, storage, **options, **RESUME) as third:
            third.meter(1_510)
            await clock.sleep(1)
            assert third.pauses == [1], "reached before, and still"

    run_virtual(run)


def test_a_refusal_that_comes_too_late_stops_nobody_else() -> None:
    async def run(clock: VirtualClock) -> None:
        async with Life(clock) as life:
            await life.charge()
            transactions = life.point._parts.transactions
            running = transactions._active[1]
            await life.point.on_transaction_finished(1, clock.now())
            await life.begin(1, "tx-2")
            transactions._refusals.act(running)
            await clock.sleep(1)
            assert life.stops == []

    run_virtual(run)


def test_a_token_that_is_accepted_later_may_take_what_it_wants() -> None:
    async def run(clock: VirtualClock) -> None:
        verdicts = [
            v21.AuthorizationStatusEnumType.BLOCKED,
            v21.AuthorizationStatusEnumType.ACCEPTED,
        ]

        def answer(_: object, request: Any) -> Any:
            info = None
            if request.id_token is not None:
                info = v21.IdTokenInfoType(status=verdicts.pop(0))
            return v21.TransactionEventResponse(id_token_info=info)

        csms = Csms(clock=clock, ids=Ids(seed=2), heartbeat_interval_s=0)
        csms.on("TransactionEvent", answer)
        async with Life(clock, csms=csms, variables=STRICT) as first:
            await first.charge()
            await clock.sleep(1)
            token = v21.IdTokenType(id_token="BB", type="Central")
            await first.point.on_charging_state_changed(1, "Charging", "Authorized", id_token=token)
            await clock.sleep(1)
            first.meter(9_000)
            await clock.sleep(1)
            assert first.pauses == []
            storage = first.cut()
        async with Life(clock, storage, variables=STRICT, **RESUME) as again:
            again.meter(9_500)
            await clock.sleep(1)
            assert again.pauses == []

    run_virtual(run)


# --- versions -----------------------------------------------------------------------------------

OTHER = {OcppVersion.V21: OcppVersion.V201, OcppVersion.V201: OcppVersion.V21}


@versions
@pytest.mark.parametrize("policy", OnRestart)
def test_a_transaction_of_one_version_goes_on_in_the_other(
    version: OcppVersion, policy: OnRestart
) -> None:
    async def run(clock: VirtualClock) -> None:
        variables = {"tx_ended_interval_s": 15}
        first, storage = await interrupted(clock, version=version, variables=variables)
        other = OTHER[version]
        async with Life(
            clock, storage, version=other, variables=variables, on_restart=policy
        ) as again:
            if policy is OnRestart.RESUME:
                assert again.told()[-1].trigger == resumed_trigger(other)
                await again.point.on_transaction_finished(1, clock.now())
                await clock.sleep(1)
            is_complete(first.events() + again.events())
            assert len(again.told()[-1].energies) >= 4
            assert again.point.delivery.dead == 0

    run_virtual(run)


def test_e17_fr_14_a_csms_of_2_0_1_misses_no_event_of_a_station_that_prefers_2_1() -> None:
    """The resumption is told before it is known which version the CSMS speaks."""

    async def run(clock: VirtualClock) -> None:
        both = (OcppVersion.V21, OcppVersion.V201)
        options: dict[str, Any] = {"version": OcppVersion.V201, "versions": both}
        first, storage = await interrupted(clock, **options)
        async with Life(clock, storage, **options, **RESUME) as again:
            (event,) = again.told()
            assert (event.trigger, event.seq_no) == ("ChargingStateChanged", 2)
            assert again.point.delivery.dead == 0
            is_complete(first.events() + again.events(), ended=False)

    run_virtual(run)


# --- ids ----------------------------------------------------------------------------------------


def test_e01_fr_08_an_id_is_not_used_twice() -> None:
    """As far as the station knows: while it runs, and while its messages wait."""

    async def run(clock: VirtualClock) -> None:
        _, storage = await interrupted(clock, online=False)
        async with Life(clock, storage, online=False, **RESUME) as again:
            with pytest.raises(ConfigurationError, match="a transaction tx-1 already"):
                await again.begin(2, "tx-1")
            storage = again.cut()
        async with Life(clock, storage, online=False) as third:
            for evse_id in (1, 2):
                with pytest.raises(ConfigurationError, match="a transaction tx-1 already"):
                    await third.begin(evse_id, "tx-1")
            third.online = True
            await clock.sleep(30)
            assert third.told("tx-1")[-1].type == "Ended"
            await third.begin(1, "tx-2")

    run_virtual(run)


def test_e01_fr_08_two_of_one_id_at_once_are_one() -> None:
    """Also while the storage is still looking it up."""

    async def run(clock: VirtualClock) -> None:
        async with Life(clock) as life:
            outbox = life.point.delivery.outbox
            outbox.holds = lambda lane: None
            results = await asyncio.gather(
                life.begin(1, "tx-1"), life.begin(2, "tx-1"), return_exceptions=True
            )
            assert [type(result) for result in results] == [type(None), ConfigurationError]

    run_virtual(run)


@pytest.mark.parametrize("answer", ["used", "unknown", "failure"])
def test_e01_fr_08_what_is_not_in_memory_the_storage_knows(
    answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One that fails keeps nobody from charging, and an id made by chance is not looked up."""
    asked: list[str] = []

    async def holds(lane: str) -> bool:
        asked.append(lane)
        if answer == "failure":
            raise StorageError("disk", "outbox_holds", "it is gone")
        return answer == "used"

    async def run(clock: VirtualClock) -> None:
        async with Life(clock) as life:
            outbox: Any = life.point.delivery.outbox
            outbox.holds = lambda lane: None
            vars(life.storage)["outbox_holds"] = holds
            if answer == "used":
                with pytest.raises(ConfigurationError, match="a transaction tx-1 already"):
                    await life.begin(1, "tx-1")
            else:
                await life.begin(1, "tx-1")
            assert ("cannot be found out" in caplog.text) == (answer == "failure")
            await life.begin(2, "0b7a3b9e-5d0f-4c7e-9a51-0123456789ab")
            assert asked == ["tx-1"]
            outbox.holds = lambda lane: True
            with pytest.raises(ConfigurationError, match="already"):
                await life.begin(2, "0b7a3b9e-5d0f-4c7e-9a51-ba9876543210")
            assert asked == ["tx-1"]

    run_virtual(run)


@versions
def test_e01_fr_13_e03_fr_03_a_reservation_is_told_once(version: OcppVersion) -> None:
    async def run(clock: VirtualClock) -> None:
        async with Life(clock, version=version) as life:
            await life.begin(1, "tx-1", reservation_id=0)
            await life.point.on_charging_state_changed(1, "Charging")
            await life.point.on_transaction_finished(1, clock.now())
            await clock.sleep(1)
            told = [event.get("reservationId") for event in life.events("tx-1")]
            assert told == [0, None, None]

    run_virtual(run)


# --- the time -----------------------------------------------------------------------------------


class NoBattery(VirtualClock):
    """A computer's clock that begins in 1970 when the power comes back."""

    lost = timedelta()

    def now(self) -> datetime:
        return super().now() - self.lost

    def power_up(self) -> None:
        self.lost = timedelta(days=365 * 56, seconds=self.elapsed_s)


def without_battery(
    work: Callable[[NoBattery], Awaitable[None]],
) -> None:
    async def run(_: VirtualClock) -> None:
        await work(NoBattery())

    run_virtual(run)


@pytest.mark.parametrize(("dark_s", "trigger"), [(100, "TxResumed"), (700, "AbnormalCondition")])
def test_e17_fr_02_a_station_without_a_battery_waits_for_the_time(
    dark_s: float, trigger: str
) -> None:
    async def work(clock: NoBattery) -> None:
        csms = Csms(clock=VirtualClock(), ids=Ids(seed=2), heartbeat_interval_s=0)
        options: dict[str, Any] = {"csms": csms, "variables": {"resumption_timeout_s": TIMEOUT_S}}
        first, storage = await interrupted(clock, dark_s=dark_s, **options)
        clock.power_up()
        async with Life(clock, storage, **options) as again:
            await clock.sleep(5)
            (event,) = again.told()
            assert event.trigger == trigger
            is_complete(first.events() + again.events(), ended=trigger != "TxResumed")

    without_battery(work)


@pytest.mark.parametrize("resumes", [True, False])
def test_a_meter_that_was_read_before_the_time_was_known_is_dated(*, resumes: bool) -> None:
    async def work(clock: NoBattery) -> None:
        csms = Csms(clock=VirtualClock(), ids=Ids(seed=2), heartbeat_interval_s=0)
        _, storage = await interrupted(clock, csms=csms)
        clock.power_up()
        shown: list[Any] = []

        async def restore(_: OpenTransaction) -> RestoredTransaction:
            shown.append(again.reading(4_000))
            await clock.sleep(10)
            return RestoredTransaction(resume=resumes, meter_value=shown[0])

        again = Life(clock, storage, csms=csms, restore=restore)
        async with again:
            await clock.sleep(15)
            assert shown[0].timestamp.year == 1970
            (event,) = again.events()
            assert event["meterValue"][-1]["timestamp"].startswith("2026-")

    without_battery(work)


def test_it_does_not_wait_for_ever() -> None:
    async def work(clock: NoBattery) -> None:
        options: dict[str, Any] = {"variables": {"resumption_timeout_s": TIMEOUT_S}}
        _, storage = await interrupted(clock, **options)
        clock.power_up()
        async with Life(clock, storage, online=False, **options) as again:
            await clock.sleep(MAX_WAIT_FOR_TIME_S + 5)
            assert list(again.point._parts.transactions.active_evses()) == []

    without_battery(work)


def test_a_policy_that_needs_no_time_does_not_wait_for_it() -> None:
    async def work(clock: NoBattery) -> None:
        csms = Csms(clock=VirtualClock(), ids=Ids(seed=2), heartbeat_interval_s=0)
        first, storage = await interrupted(clock, csms=csms)
        clock.power_up()
        again = Life(clock, storage, csms=csms)
        await again.point.start()
        assert list(again.point._parts.transactions.active_evses()) == []
        await clock.sleep(5)
        is_complete(first.events() + again.events())  # In its times, too: they were corrected.
        await again.point.stop()

    without_battery(work)


def test_a_transaction_that_began_before_the_time_was_known_has_right_times() -> None:
    async def work(clock: NoBattery) -> None:
        csms = Csms(clock=VirtualClock(), ids=Ids(seed=2), heartbeat_interval_s=0)
        variables = {"tx_ended_interval_s": 10}
        clock.power_up()
        async with Life(clock, online=False, csms=csms, variables=variables) as first:
            await first.charge()
            await first.draw(25)
            first.online = True
            await clock.sleep(30)
            assert [event.seq_no for event in first.told()] == [0, 1]
            storage = first.cut()
        async with Life(clock, storage, csms=csms, variables=variables) as again:
            await clock.sleep(5)
            is_complete(first.events() + again.events())
            ended = again.events()[-1]
            stamps = [datetime.fromisoformat(each["timestamp"]) for each in ended["meterValue"]]
            assert stamps == sorted(stamps)
            assert len(stamps) == 1 + 3 + 1
            assert all(stamp.year == 2026 for stamp in stamps)

    without_battery(work)


def test_what_was_stamped_rightly_before_the_power_loss_stays_so() -> None:
    """The clock was saved before the power loss, when the transaction ran already."""

    async def work(clock: NoBattery) -> None:
        csms = Csms(clock=VirtualClock(), ids=Ids(seed=2), heartbeat_interval_s=0)
        variables = {"tx_ended_interval_s": 900}
        async with Life(clock, csms=csms, variables=variables) as first:
            await first.charge()
            for n in range(1, 5):
                await clock.sleep(900)
                first.meter(1_000 + n)
            storage = first.cut()
        clock.lost = timedelta(minutes=20)
        async with Life(clock, storage, csms=csms, variables=variables, **RESUME) as again:
            await clock.sleep(5)
            clock.lost = timedelta()
            await again.point.on_transaction_finished(
                1, clock.now(), meter_stop=again.reading(2_000)
            )
            await clock.sleep(5)
            begun = datetime.fromisoformat(first.events()[0]["meterValue"][0]["timestamp"])
            ended = again.events()[-1]
            stamps = [datetime.fromisoformat(each["timestamp"]) for each in ended["meterValue"]]
            passed = [round((stamp - begun).total_seconds() / 60) for stamp in stamps]
            assert passed == [0, 15, 30, 45, 60]

    without_battery(work)


@pytest.mark.parametrize("back", [timedelta(seconds=30), timedelta(minutes=5), timedelta(hours=3)])
def test_a_clock_that_went_back_over_the_restart(back: timedelta) -> None:
    """A little is a clock that was set right; more leaves the interruption unknown."""

    async def run(clock: VirtualClock) -> None:
        variables = {"resumption_timeout_s": TIMEOUT_S}
        async with Life(clock, variables=variables) as first:
            await clock.sleep(20_380)  # Almost ten minutes after the time was noted for the clock.
            await first.charge()
            storage = first.cut()
        clock.step(-back)
        async with Life(clock, storage, variables=variables, online=False) as again:
            await clock.sleep(MAX_WAIT_FOR_TIME_S + 5)
            rows = [row for row in again.storage.rows if row.action == "TransactionEvent"]  # type: ignore[attr-defined]
            trigger = b"TxResumed" if back < timedelta(minutes=1) else b"AbnormalCondition"
            assert trigger in rows[-1].payload

    run_virtual(run)


# --- what is not as it should be -----------------------------------------------------------------


def test_a_fact_that_cannot_be_read_costs_only_its_own_transaction(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run(clock: VirtualClock) -> None:
        async with Life(clock) as first:
            await first.charge(1, "one")
            await first.charge(2, "two")
            storage = await first.cut_when_told()
        storage.facts["transaction.1"] = "{"
        storage.facts["transaction.alive"] = "once"
        async with Life(clock, storage) as again:
            assert [event.id for event in again.told()] == ["two"]
            assert "fact transaction.1 " in caplog.text
            assert storage.facts["transaction.1"] == "{", "it is kept for whoever can read it"
            await again.begin(1, "three")
            assert storage.facts["transaction.1"] != "{"

    run_virtual(run)


def test_what_a_damaged_storage_had_is_forgotten_for_what_replaces_it() -> None:
    """It turned out to be damaged after the facts had been read: they are read again."""

    async def run(clock: VirtualClock) -> None:
        _, storage = await interrupted(clock)
        life = Life(clock)
        transactions = life.point._parts.transactions
        restart = Restart("PowerUp", clock.now())
        for facts, found in ((storage.facts, [1]), ({}, [])):
            await transactions.restore(facts, restart)
            meters = {n: text for n, text in facts.items() if n.startswith("meter.")}
            await transactions.checkpoints.restore(meters, restart)
            assert list(transactions.active_evses()) == found
            assert (transactions.checkpoints.last(1) is not None) is bool(found)
            assert (transactions.checkpoints.last_alive is not None) is bool(found)

    run_virtual(run)


@pytest.mark.parametrize("policy", OnRestart)
def test_a_transaction_of_an_evse_that_is_no_more_is_closed(policy: OnRestart) -> None:
    async def run(clock: VirtualClock) -> None:
        async with Life(clock, evses=3) as first:
            await first.charge(3)
            storage = await first.cut_when_told()
        async with Life(clock, storage, evses=2, on_restart=policy) as again:
            (ended,) = again.told()
            assert (ended.type, ended.reason) == ("Ended", "PowerLoss")
            is_complete(first.events() + again.events())

    run_virtual(run)


def test_a_storage_that_does_not_last_remembers_nothing_and_is_not_bothered() -> None:
    async def run(clock: VirtualClock) -> None:
        storage = MemoryStorage()
        async with Life(clock, storage, variables={"tx_ended_interval_s": 1}) as first:
            await first.charge()
            await first.draw(100)
            facts = [name for name in storage._state if name.startswith(("transaction", "meter"))]
            assert facts == []
            assert await storage.readings_load() == []
        async with Life(clock, storage) as again:
            assert again.told() == []
            assert again.active == []

    run_virtual(run)


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["policy", "callback", "nothing", "nothing durable"])
def test_a_high_density_station_says_what_it_wants(given: str) -> None:
    async def restore(_: OpenTransaction) -> RestoredTransaction:
        raise AssertionError

    async def run(clock: VirtualClock) -> None:
        options: dict[str, dict[str, Any]] = {
            "policy": {"on_restart": "close"},
            "callback": {"restore": restore},
            "nothing": {},
            "nothing durable": {"storage": MemoryStorage()},
        }
        if given == "nothing":
            with pytest.raises(ConfigurationError, match="more than 16 EVSEs"):
                Life(clock, evses=17)
        else:
            Life(clock, evses=17, **options[given])

    run_virtual(run)


@pytest.mark.parametrize("policy", [None, *OnRestart])
@versions
def test_a_station_that_closes_takes_no_resumption_timeout(
    version: OcppVersion, policy: OnRestart | None
) -> None:
    async def run(clock: VirtualClock) -> None:
        async with Life(clock, version=version, on_restart=policy) as life:
            m: Any = version.module

            async def set_to(value: str) -> str:
                data = m.SetVariableDataType(
                    attribute_value=value,
                    component=m.ComponentType(name="TxCtrlr"),
                    variable=m.VariableType(name="ResumptionTimeout"),
                )
                request = m.SetVariablesRequest(set_variable_data=[data])
                response: Any = await life.csms.call("CS001", request)
                return response.set_variable_result[0].attribute_status

            assert await set_to("30") == ("Rejected" if policy == "close" else "Accepted")
            assert await set_to("0") == "Accepted"

    run_virtual(run)


async def written(life: Life) -> list[ReadingRow]:
    """The kept readings, when all that was to be written is; the database has its own time."""
    return await life.point.delivery.facts.read(life.storage.readings_load)


@pytest.mark.parametrize("policy", OnRestart)
def test_a_real_database_holds_what_the_memory_of_these_tests_does(
    policy: OnRestart, tmp_path: Path
) -> None:
    """The power fails: what is in the files is copied as it is, while the first life still runs."""

    async def run(clock: VirtualClock) -> None:
        variables = {"tx_ended_interval_s": 15}
        before, after = tmp_path / "before", tmp_path / "after"
        before.mkdir()
        options: dict[str, Any] = {"variables": variables, "on_restart": policy}
        async with Life(clock, SqliteStorage(before / "station.db"), **options) as first:
            await first.charge()
            await first.draw(60)
            await written(first)
            copytree(before, after)
        async with Life(clock, SqliteStorage(after / "station.db"), **options) as again:
            if policy is OnRestart.RESUME:
                await again.point.on_transaction_finished(1, clock.now())
            await again.point.wait_accepted()
            await again.point.delivery.drained()
            is_complete(first.events() + again.events())
            contexts = [context for context, _ in again.told()[-1].energies]
            assert contexts[:5] == ["Transaction.Begin", *["Sample.Periodic"] * 4]
            assert await written(again) == []
        async with Life(clock, SqliteStorage(after / "station.db"), **options) as third:
            assert third.events() == []

    run_virtual(run)
