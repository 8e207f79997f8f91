"""Events on their way: after the answer, one numbering for all, pauses, what the integrator
tells."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from ocpp_fast.blocks.monitoring import outgoing
from ocpp_fast.connection import Way
from ocpp_fast.errors import (
    ConfigurationError,
    ErrorCode,
    RequestRefused,
    StorageError,
    ValidationError,
)
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage, MonitorRow
from pair.model_kit import ModelSite, at_rig
from pair.station_kit import VERSIONS

versions = pytest.mark.parametrize("version", VERSIONS)
V21 = OcppVersion.V21


def after_answer(site: ModelSite, count: int) -> list[Any]:
    """Actions of the station's CALLs since its last `count` frames, answers as numbers."""
    frames = [f for _, way, f in site.frames if way is Way.OUT][-count:]
    return [frame[2] if frame[0] == 2 else frame[0] for frame in frames]


# --- first the answer, then the event -----------------------------------------------------------


@versions
@pytest.mark.parametrize("durable", [False, True])
def test_the_answer_to_set_variables_comes_before_the_event(
    version: OcppVersion, *, durable: bool
) -> None:
    async def scenario(site: ModelSite) -> None:
        await site.watch("Level", "UpperThreshold", 10)
        assert await site.put("Rig", "Level" if durable else "Passing", "11") == "Accepted"
        await site.watch("Passing", "Delta", 1)
        assert await site.put("Rig", "Passing", "99") == "Accepted"
        await site.settle()
        assert after_answer(site, 2) == [3, "NotifyEvent"]

    at_rig(scenario, version)


@versions
def test_the_answer_to_set_variable_monitoring_comes_before_the_event(
    version: OcppVersion,
) -> None:
    """N07.FR.11: the threshold is exceeded when it is set."""

    async def scenario(site: ModelSite) -> None:
        site.own("Level").set(500.0)
        await site.watch("Level", "UpperThreshold", 10)
        await site.settle()
        assert after_answer(site, 2) == [3, "NotifyEvent"]

    at_rig(scenario, version)


@versions
def test_the_answer_to_set_monitoring_level_comes_before_the_event(version: OcppVersion) -> None:
    """What happened while it was not to be told is told as it is now."""

    async def scenario(site: ModelSite) -> None:
        await site.watch("Level", "UpperThreshold", 10, severity=8)
        assert await site.level(7) == "Accepted"
        site.own("Level").set(500.0)
        await site.settle()
        assert site.noticed() == []
        site.own("Level").set(600.0)
        assert await site.level(8) == "Accepted"
        await site.settle()
        assert after_answer(site, 2) == [3, "NotifyEvent"]
        (event,) = site.noticed("Level")
        assert float(event["actualValue"]) == 600.0

    at_rig(scenario, version)


# --- pauses -----------------------------------------------------------------------------------


@versions
def test_monitoring_that_is_switched_off_and_on(version: OcppVersion) -> None:
    async def scenario(site: ModelSite) -> None:
        await site.watch("Level", "UpperThreshold", 10)
        await site.watch("Level", "Periodic", 10)
        assert await site.put("MonitoringCtrlr", "Enabled", "false") == "Accepted"
        site.own("Level").set(11.0)
        await site.settle(60)
        assert site.noticed() == []
        code = await site.refused(site.m.SetMonitoringBaseRequest(monitoring_base="All"))
        assert code == "NotSupported"
        assert await site.put("MonitoringCtrlr", "Enabled", "true") == "Accepted"
        await site.settle(1)
        (event,) = site.noticed("Level")
        assert (event["trigger"], event["actualValue"]) == ("Alerting", "11.0")

    at_rig(scenario, version)


@versions
def test_a_full_queue_pauses_monitoring_until_the_link_is_back(
    version: OcppVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CSMS misses what came and went meanwhile, never how things are now."""
    monkeypatch.setattr(outgoing, "MAX_QUEUED", 5)

    async def scenario(site: ModelSite) -> None:
        assert await site.put("MonitoringCtrlr", "OfflineQueuingSeverity", "9") == "Accepted"
        await site.watch("Level", "Delta", 0)
        site.cut(until_s=60)
        for number in range(1, 21):
            site.own("Level").set(float(number))
            await site.settle(1)
        assert site.station.charge_point.delivery.waiting <= 6
        await site.settle(120)
        values = [float(event["actualValue"]) for event in site.noticed("Level")]
        assert values == [1, 2, 3, 4, 5, 20]

    at_rig(scenario, version)


@versions
def test_telemetry_that_triggers_all_the_time_shares_messages(version: OcppVersion) -> None:
    async def scenario(site: ModelSite) -> None:
        await site.watch("Level", "Delta", 0)
        level = site.own("Level")
        for number in range(1, 2_001):
            level.set(number / 10)
            if number % 10 == 0:
                await site.settle(0.01)
        await site.settle(10)
        events = site.noticed("Level")
        assert len(events) == 2_000
        ids = [event["eventId"] for event in events]
        assert ids == [*range(ids[0], ids[0] + 2_000)]
        assert len(site.sent("NotifyEvent")) < 500

    at_rig(scenario, version)


# --- one numbering for all ----------------------------------------------------------------------


def test_connector_states_and_monitors_share_event_ids() -> None:
    async def scenario(site: ModelSite) -> None:
        await site.watch("Level", "Delta", 0)
        for number in range(3):
            await site.station.plug_in(1)
            site.own("Level").set(float(number + 1))
            await site.settle()
            await site.station.unplug(1)
            await site.settle()
        ids = [e["eventId"] for r in site.sent("NotifyEvent") for e in r["eventData"]]
        assert len(ids) > 6
        assert len(set(ids)) == len(ids)

    at_rig(scenario, V21)


@versions
def test_queued_events_are_no_messages_of_transactions(version: OcppVersion) -> None:
    """E14.FR.07, E14.FR.08."""

    async def scenario(site: ModelSite) -> None:
        def refuse(*_: object) -> Any:
            raise RequestRefused(ErrorCode.INTERNAL_ERROR)

        site.csms.on("NotifyEvent", refuse)
        site.station.charge_point.raise_event("EVSE", "Problem", "true", evse_id=1, severity=0)
        await site.settle()
        assert site.station.charge_point.delivery.waiting == 1
        response = await site.call(site.m.GetTransactionStatusRequest())
        assert response.messages_in_queue is False

    at_rig(scenario, version)


# --- what the integrator tells ------------------------------------------------------------------


@versions
def test_a_hard_wired_notification(version: OcppVersion) -> None:
    """N07.FR.05, N07.FR.21."""

    async def scenario(site: ModelSite) -> None:
        charge_point = site.station.charge_point
        first = charge_point.raise_event(
            "Rig", "Heat", evse_id=1, tech_code="E" * 60, tech_info="i" * 600, severity=2
        )
        second = charge_point.raise_event(
            "Fan", "Problem", "v" * 3_000, cause=first, cleared=True, variable_instance="left"
        )
        await site.settle()
        heat, fan = site.noticed("Heat")[0], site.noticed(where="Fan")[0]
        assert (heat["eventId"], fan["eventId"], fan["cause"]) == (first, second, first)
        assert {heat["trigger"], fan["trigger"]} == {"Alerting"}
        assert heat["eventNotificationType"] == "HardWiredNotification"
        assert heat["actualValue"] == "20"  # As the device model has it.
        assert (len(heat["techCode"]), len(heat["techInfo"])) == (50, 500)
        assert "variableMonitoringId" not in heat
        assert len(fan["actualValue"]) == 2_500
        assert fan["cleared"] is True
        assert fan["variable"]["instance"] == "left"
        assert [e.get("severity") for e in (heat, fan)] == (
            [2, 5] if version is V21 else [None] * 2
        )

    at_rig(scenario, version)


@versions
def test_a_notification_during_a_transaction_names_it(version: OcppVersion) -> None:
    async def scenario(site: ModelSite) -> None:
        raise_event = site.station.charge_point.raise_event
        await site.charge_without_end(1)
        raise_event("EVSE", "Problem", "true", evse_id=1)
        raise_event("EVSE", "Problem", "true", evse_id=2)
        raise_event("EVSE", "Problem", "true", evse_id=2, transaction_id="another")
        await site.settle()
        (transaction,) = site.transactions
        found = [event.get("transactionId") for event in site.noticed("Problem", "EVSE")]
        assert found == [transaction.transaction_id, None, "another"]

    at_rig(scenario, version)


@versions
def test_a_notification_that_is_not_severe_enough(version: OcppVersion) -> None:
    """N05.FR.03; offline, it is not worth queueing (TC_N_23)."""

    async def scenario(site: ModelSite) -> None:
        raise_event = site.station.charge_point.raise_event
        assert await site.put("MonitoringCtrlr", "OfflineQueuingSeverity", "3") == "Accepted"
        assert await site.level(6) == "Accepted"
        raise_event("EVSE", "Problem", "online 7", evse_id=1, severity=7)
        raise_event("EVSE", "Problem", "online 6", evse_id=1, severity=6)
        await site.settle()
        site.cut(until_s=30)
        await site.settle(1)
        raise_event("EVSE", "Problem", "offline 4", evse_id=1, severity=4)
        raise_event("EVSE", "Problem", "offline 3", evse_id=1, severity=3)
        await site.settle(90)
        told = [event["actualValue"] for event in site.noticed("Problem", "EVSE")]
        assert told == ["online 6", "offline 3"]

    at_rig(scenario, version)


def test_a_notification_that_cannot_be_told_is_the_callers_mistake() -> None:
    async def scenario(site: ModelSite) -> None:
        raise_event = site.station.charge_point.raise_event
        with pytest.raises(ValidationError):
            raise_event("x" * 51, "Problem", "true")
        with pytest.raises(ValidationError):
            raise_event("EVSE", "Problem", "true", transaction_id="x" * 37)
        with pytest.raises(ConfigurationError):
            raise_event("EVSE", "Problem", "true", severity=10)
        raise_event("EVSE", "Problem", "true", evse_id=1)
        await site.settle()
        assert len(site.noticed("Problem", "EVSE")) == 1

    at_rig(scenario, V21)


# --- the storage --------------------------------------------------------------------------------


class FailingStorage(MemoryStorage):
    """Takes no monitors while `broken`."""

    broken = False

    def monitors_store(self, rows: Sequence[MonitorRow]) -> Any:
        if self.broken:
            return self._fail()
        return super().monitors_store(rows)

    def monitors_remove(self, monitor_ids: Any) -> Any:
        if self.broken:
            return self._fail()
        return super().monitors_remove(monitor_ids)

    async def _fail(self) -> None:
        raise StorageError("memory", "monitors", "the disk is full")


@versions
def test_monitors_that_cannot_be_stored_are_not_set(version: OcppVersion) -> None:
    """N04.FR.08 says Accepted is for what was set; N07.FR.13 wants it durable."""
    storage = FailingStorage()

    async def scenario(site: ModelSite) -> None:
        kept = await site.watch("Level", "Delta", 1)
        storage.broken = True
        results = await site.set_monitors(
            {"which": "Level", "type": "UpperThreshold", "value": 5},
            {"which": "Gone", "type": "Delta", "value": 5},
        )
        assert [str(r.status) for r in results] == ["Rejected", "UnknownVariable"]
        assert results[0].id is None
        assert results[0].status_info.reason_code == "InternalError"
        assert await site.clear(kept.id, 4_711) == [(kept.id, "Rejected"), (4_711, "NotFound")]
        assert await site.base("HardWiredOnly") == "Rejected"
        site.own("Level").set(50.0)
        await site.settle()
        assert [event["variableMonitoringId"] for event in site.noticed("Level")] == [kept.id]
        storage.broken = False
        assert await site.clear(kept.id) == [(kept.id, "Accepted")]

    at_rig(scenario, version, storage=storage)


def restarted(
    first: Callable[[ModelSite], Coroutine[Any, Any, None]],
    second: Callable[[ModelSite], Coroutine[Any, Any, None]],
) -> None:
    """Two runs of a station on one storage."""
    storage = MemoryStorage()
    at_rig(first, V21, storage=storage)
    at_rig(second, V21, storage=storage)


def test_event_ids_go_on_after_a_restart() -> None:
    seen: list[int] = []

    async def life(site: ModelSite) -> None:
        seen.extend(
            site.station.charge_point.raise_event("EVSE", "Problem", "true", evse_id=1)
            for _ in range(3)
        )
        await site.settle()

    restarted(life, life)
    assert seen == sorted(set(seen))


def test_a_threshold_that_flaps_is_stored_as_it_is_in_the_end() -> None:
    """N07.FR.14: after the restart nothing is told twice, and nothing is forgotten."""

    async def flap(site: ModelSite) -> None:
        await site.watch("Level", "UpperThreshold", 10)
        level = site.own("Level")
        for number in range(101):
            level.set(20.0 if number % 2 == 0 else 0.0)
            await site.settle(0.1)
        rows = await site.station.charge_point._storage.monitors_load()
        assert [row.triggered for row in rows if row.kind == "UpperThreshold"][-1]

    async def calm(site: ModelSite) -> None:
        await site.settle(5)
        assert site.noticed("Level") == []
        site.own("Level").set(0.0)
        await site.settle()
        (event,) = site.noticed("Level")
        assert event["cleared"] is True

    restarted(flap, calm)
