"""GetVariables and SetVariables over the wire: B05, B06. The whole table of statuses is in
tests/unit/device_model/test_statuses.py."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from device_model.models import get_request, set_request
from ocpp_fast.device_model.guards import REBOOT_REQUIRED, Refusal, Write
from ocpp_fast.errors import StorageError
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage
from pair.model_kit import SECRET, ModelSite, at_rig
from pair.station_kit import VERSIONS

versions = pytest.mark.parametrize("version", VERSIONS)

COMM = "OCPPCommCtrlr"
HEARTBEAT = (COMM, "HeartbeatInterval")
OFFLINE = (COMM, "OfflineThreshold")


def statuses(response: Any) -> list[str]:
    results = getattr(response, "get_variable_result", None) or response.set_variable_result
    return [str(one.attribute_status) for one in results]


# --- B05 ----------------------------------------------------------------------------------


@versions
def test_b05_fr_01_02_03_12_one_result_for_each_element(version: OcppVersion) -> None:
    """B05.FR.01, B05.FR.02, B05.FR.03, B05.FR.12; TC_B_09, TC_B_10."""

    async def scenario(site: ModelSite) -> None:
        request = set_request(
            version,
            (*OFFLINE, None, "33"),
            ("rig", {"name": "TEMP", "instance": "a"}, "Actual", "7"),
            ({"name": "Rig", "evse": {"id": 1}}, "Heat", None, "8"),
            ("Rig", "Level", "Target", "9"),
        )
        response = await site.call(request)
        assert statuses(response) == ["Accepted"] * 4
        kinds = [str(one.attribute_type) for one in response.set_variable_result]
        assert kinds == ["Actual", "Actual", "Actual", "Target"]
        for result, data in zip(
            response.set_variable_result, request.set_variable_data, strict=True
        ):
            assert (result.component, result.variable) == (data.component, data.variable)
        assert await site.get(*OFFLINE) == ("Accepted", "33")
        assert await site.get("Rig", {"name": "Temp", "instance": "A"}) == ("Accepted", "7")
        assert await site.get("Rig", {"name": "Temp", "instance": "B"}) == ("Accepted", "21")
        assert await site.get({"name": "Rig", "evse": {"id": 2}}, "Heat") == ("Accepted", "20")
        assert await site.get("Rig", "Level", "Target") == ("Accepted", "9")
        assert await site.get("Rig", "Level") == ("Accepted", "0")

    at_rig(scenario, version)


@versions
def test_b05_fr_04_05_06_07_08_09_10_each_in_its_own_way(version: OcppVersion) -> None:
    """B05.FR.04 to B05.FR.10 in one request: TC_B_35, TC_B_36, TC_B_37, TC_B_11, TC_B_39."""

    async def scenario(site: ModelSite) -> None:
        table = [
            (("Nothing", "Count", None, "1"), "UnknownComponent"),  # B05.FR.04
            (({"name": "EVSE", "evse": {"id": 99}}, "Power", None, "1"), "UnknownComponent"),
            (("Rig", "Nothing", None, "1"), "UnknownVariable"),  # B05.FR.05
            (("Rig", "Count", "Target", "1"), "NotSupportedAttributeType"),  # B05.FR.06
            (("Rig", "Count", None, "one"), "Rejected"),  # B05.FR.07
            (("Rig", "On", None, "1"), "Rejected"),
            (("Rig", "Since", None, "yesterday"), "Rejected"),
            (("Rig", "Mode", None, "four"), "Rejected"),
            (("Rig", "Level", None, "1000.5"), "Rejected"),  # B05.FR.08
            (("Rig", "Level", "Target", "-1001"), "Rejected"),
            (("Rig", "Fixed", None, "11"), "Rejected"),  # B05.FR.09
            (("Rig", "Speed", "Target", "501"), "Rejected"),
            (("Rig", "Count", None, "5"), "Accepted"),  # B05.FR.10
            (("Rig", "Code", None, f"{SECRET}1"), "Accepted"),
        ]
        response = await site.call(set_request(version, *(wanted for wanted, _ in table)))
        assert statuses(response) == [expected for _, expected in table]
        assert await site.get("Rig", "Count") == ("Accepted", "5")
        assert await site.get("Rig", "Fixed") == ("Accepted", "10")
        assert site.own("Code").get() == f"{SECRET}1"

    at_rig(scenario, version)


@versions
def test_tc_b_11_formats_of_the_offline_threshold(version: OcppVersion) -> None:
    """B05.FR.07: the five values of the test case."""

    async def scenario(site: ModelSite) -> None:
        _, now = await site.get(*OFFLINE)
        for value, expected in (
            (now, "Accepted"),
            (f"{now}.1", "Rejected"),
            ("true", "Rejected"),
            (site.clock.now().isoformat(), "Rejected"),
            ("abc", "Rejected"),
        ):
            response = await site.call(set_request(version, (*OFFLINE, None, value)))
            (result,) = response.set_variable_result
            assert (value, str(result.attribute_status)) == (value, expected)
            info = result.attribute_status_info
            if expected == "Rejected" and info is not None:
                assert info.reason_code == "InvalidValue"
        assert await site.get(*OFFLINE) == ("Accepted", now)

    at_rig(scenario, version)


@versions
def test_b05_fr_08_measurands_that_are_not_supported_are_refused(version: OcppVersion) -> None:
    async def scenario(site: ModelSite) -> None:
        place = ("SampledDataCtrlr", "TxUpdatedMeasurands")
        _, before = await site.get(*place)
        assert await site.put(*place, "Energy.Active.Import.Register,Wind.Speed") == "Rejected"
        assert await site.get(*place) == ("Accepted", before)
        good = "Power.Active.Import,Energy.Active.Import.Register"
        assert await site.put(*place, good) == "Accepted"
        measurands = site.model.variables.tx_updated_measurands
        assert {str(one) for one in measurands} == set(good.split(","))

    at_rig(scenario, version)


@versions
def test_b05_fr_10_what_is_set_has_its_effect_at_once(version: OcppVersion) -> None:
    """B05.FR.10: the heartbeat goes by the new interval; nothing polls for it."""

    async def scenario(site: ModelSite) -> None:
        await site.settle(50)
        assert site.times("Heartbeat") == []
        assert await site.put(*HEARTBEAT, "20") == "Accepted"
        start = site.clock.elapsed_s
        await site.settle(50)
        first, second, *_ = site.times("Heartbeat")
        assert first - start < 21
        assert second - first == pytest.approx(20, abs=1)

    at_rig(scenario, version)


@versions
def test_b05_fr_09_the_integrator_may_refuse_or_ask_for_a_reboot(version: OcppVersion) -> None:
    """SetVariableStatusEnumType RebootRequired, and Rejected with the integrator's reason."""

    async def scenario(site: ModelSite) -> None:
        seen: list[tuple[str, Any]] = []

        def check(write: Write) -> Any:
            seen.append((write.attribute, write.value))
            if write.value == 1:
                return Refusal("TxInProgress", "not now")
            return REBOOT_REQUIRED if write.value == 2 else None

        site.model.guard("Rig", "Count", check)
        assert await site.put("Rig", "Count", "1") == "Rejected"
        assert await site.get("Rig", "Count") == ("Accepted", "0")
        assert await site.put("Rig", "Count", "2") == "RebootRequired"
        assert await site.get("Rig", "Count") == ("Accepted", "2")
        assert await site.put("Rig", "Count", "3") == "Accepted"
        assert await site.put("Rig", "Count", "none") == "Rejected"
        assert seen == [("Actual", 1), ("Actual", 2), ("Actual", 3)], "checked values only"

    at_rig(scenario, version)


class FailingStorage(MemoryStorage):
    """A disk that is full, when told so."""

    full = False

    def values_store(self, rows: Any) -> Any:
        if self.full:
            raise StorageError("memory", "values_store", "disk full")
        return super().values_store(rows)


@versions
def test_b05_fr_09_what_cannot_be_stored_is_rejected(version: OcppVersion) -> None:
    """B05.FR.09, technical problems; the station goes on."""
    storage = FailingStorage()

    async def scenario(site: ModelSite) -> None:
        storage.full = True
        response = await site.call(
            set_request(
                version,
                ("Rig", "Count", None, "5"),
                ("Rig", "Nothing", None, "5"),
                (*HEARTBEAT, None, "20"),
            )
        )
        assert statuses(response) == ["Rejected", "UnknownVariable", "Rejected"]
        assert await site.get("Rig", "Count") == ("Accepted", "0")
        assert site.model.variables.heartbeat_interval_s == 0
        storage.full = False
        assert await site.put("Rig", "Count", "6") == "Accepted"
        assert await site.get("Rig", "Count") == ("Accepted", "6")

    at_rig(scenario, version, storage=storage)


@versions
def test_b05_fr_10_a_set_value_survives_a_restart(version: OcppVersion) -> None:
    """Part 1, section 3.3, persistent attributes; what is not persistent starts anew."""
    storage = MemoryStorage()

    async def first(site: ModelSite) -> None:
        assert await site.put("Rig", "Count", "5") == "Accepted"
        assert await site.put("Rig", "Passing", "5") == "Accepted"
        assert await site.put("Rig", "Code", f"{SECRET}1") == "Accepted"
        assert await site.put(*OFFLINE, "17") == "Accepted"

    async def second(site: ModelSite) -> None:
        assert await site.get("Rig", "Count") == ("Accepted", "5")
        assert await site.get("Rig", "Passing") == ("Accepted", "1")
        assert site.own("Code").get() == f"{SECRET}1"
        assert site.model.variables.offline_threshold_s == 17

    at_rig(first, version, storage=storage)
    at_rig(second, version, storage=storage)


@versions
def test_b05_fr_11_more_items_than_item_per_message_are_refused(version: OcppVersion) -> None:
    """B05.FR.11 from the station's side, and BytesPerMessage; nothing is set then."""

    async def scenario(site: ModelSite) -> None:
        _set_limits(site, "SetVariables", items=2)
        three = set_request(version, *(("Rig", "Count", None, str(n)) for n in (1, 2, 3)))
        assert await site.refused(three) == "OccurrenceConstraintViolation"
        assert await site.get("Rig", "Count") == ("Accepted", "0")
        assert await site.put("Rig", "Count", "1") == "Accepted"
        _set_limits(site, "SetVariables", items=100, size=400)
        long = set_request(version, ("Rig", "Note", None, "x" * 500))
        assert await site.refused(long) == "FormatViolation"
        assert await site.get("Rig", "Note") == ("Accepted", "a note")

    at_rig(scenario, version)


def _set_limits(site: ModelSite, action: str, *, items: int, size: int = 100_000) -> None:
    for name, value in (("ItemsPerMessage", items), ("BytesPerMessage", size)):
        site.own(name, where="DeviceDataCtrlr", instance=action).set(value)


# --- B06 ----------------------------------------------------------------------------------


@versions
def test_b06_fr_01_02_03_04_10_11_one_result_for_each_element(version: OcppVersion) -> None:
    """B06.FR.01, B06.FR.02, B06.FR.03, B06.FR.04, B06.FR.10, B06.FR.11; TC_B_06, TC_B_07."""

    async def scenario(site: ModelSite) -> None:
        request = get_request(
            version,
            (*OFFLINE, None),
            ("RIG", "speed", "MinSet"),
            ("Rig", "Speed", "MaxSet"),
            ({"name": "Rig", "evse": {"id": 1, "connectorId": 1}}, "Lock", "Actual"),
        )
        response = await site.call(request)
        found = [
            (str(one.attribute_status), str(one.attribute_type), one.attribute_value)
            for one in response.get_variable_result
        ]
        assert found == [
            ("Accepted", "Actual", "60"),
            ("Accepted", "MinSet", "200"),
            ("Accepted", "MaxSet", "500"),
            ("Accepted", "Actual", "true"),
        ]
        for result, data in zip(
            response.get_variable_result, request.get_variable_data, strict=True
        ):
            assert (result.component, result.variable) == (data.component, data.variable)

    at_rig(scenario, version)


@versions
def test_b06_fr_06_07_08_09_13_what_cannot_be_read_has_no_value(version: OcppVersion) -> None:
    """B06.FR.06, B06.FR.07, B06.FR.08, B06.FR.09, B06.FR.13; TC_B_32, TC_B_33, TC_B_34."""

    async def scenario(site: ModelSite) -> None:
        assert await site.get("Nothing", "Count") == ("UnknownComponent", None)
        assert await site.get("Rig", "Nothing") == ("UnknownVariable", None)
        assert await site.get("Rig", "Count", "MaxSet") == ("NotSupportedAttributeType", None)
        assert await site.get("Rig", "Code") == ("Rejected", None)
        assert await site.get("SecurityCtrlr", "BasicAuthPassword") == ("Rejected", None)
        assert await site.get("Rig", "Unset") == ("Accepted", "")
        assert await site.get("Rig", "Unset", "Target") == ("Accepted", "")

    at_rig(scenario, version)


@versions
def test_b06_fr_14_15_instances(version: OcppVersion) -> None:
    async def scenario(site: ModelSite) -> None:
        temp_a, temp_none = {"name": "Temp", "instance": "A"}, {"name": "Temp", "instance": ""}
        assert await site.get("Rig", temp_a) == ("Accepted", "20")
        assert await site.get("Rig", "Temp") == ("UnknownVariable", None)
        assert await site.get("Rig", temp_none) == ("UnknownVariable", None)
        two, none = {"name": "Rig", "instance": "two"}, {"name": "Rig", "instance": ""}
        assert await site.get(two, "Level") == ("Accepted", "2")
        assert await site.get(none, "Level") == ("Accepted", "0")
        wrong = {"name": "Rig", "instance": "Three"}
        assert await site.get(wrong, "Level") == ("UnknownComponent", None)
        slot = await site.get("NetworkConfiguration", "OcppCsmsUrl")
        assert slot == ("UnknownComponent", None), "there are instances 1 and 2 only"

    at_rig(scenario, version)


@versions
def test_b06_fr_16_17_too_much_in_one_request(version: OcppVersion) -> None:
    """B06.FR.16, B06.FR.17: this station does what it may."""

    async def scenario(site: ModelSite) -> None:
        _set_limits(site, "GetVariables", items=2)
        three = get_request(version, *[("Rig", "Count", None)] * 3)
        assert await site.refused(three) == "OccurrenceConstraintViolation"
        two = get_request(version, *[("Rig", "Count", None)] * 2)
        assert statuses(await site.call(two)) == ["Accepted", "Accepted"]
        _set_limits(site, "GetVariables", items=100, size=300)
        assert await site.refused(get_request(version, *[("Rig", "Count", None)] * 5)) == (
            "FormatViolation"
        )
        assert await site.get("Rig", "Count") == ("Accepted", "0")

    at_rig(scenario, version)


@versions
def test_b02_fr_01_variables_can_be_read_and_set_while_pending(version: OcppVersion) -> None:
    async def scenario(site: ModelSite) -> None:
        assert site.station.charge_point.registration == "Pending"
        assert await site.put("Rig", "Count", "5") == "Accepted"
        assert await site.get("Rig", "Count") == ("Accepted", "5")

    def pending(_station: Any, _request: Any) -> Any:
        m: Any = version.module
        now = datetime(2026, 1, 1, tzinfo=UTC)
        return m.BootNotificationResponse(current_time=now, interval=300, status="Pending")

    at_rig(scenario, version, handlers={"BootNotification": pending})


@versions
def test_the_clock_is_read_live(version: OcppVersion) -> None:
    """ClockCtrlr.DateTime: the current time, not that of the start."""

    async def scenario(site: ModelSite) -> None:
        _, first = await site.get("ClockCtrlr", "DateTime")
        await site.settle(100)
        _, second = await site.get("ClockCtrlr", "DateTime")
        assert second > first

    at_rig(scenario, version)
