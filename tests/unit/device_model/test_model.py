"""The device model of a station: the snapshot that blocks use, guards, listeners, events."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from typing import Any

import pytest

from device_model.keeping import FaultyStorage, device_model
from device_model.models import attribute, component, set_request, variable
from ocpp_fast.clock import SystemClock
from ocpp_fast.config import EvseConfig, StationConfig, TxPoint, Variables
from ocpp_fast.device_model import REBOOT_REQUIRED, DeviceModel, Refusal, VariableChange, Write
from ocpp_fast.device_model.bindings import BINDINGS, SWITCHES
from ocpp_fast.device_model.component_files import ComponentFiles
from ocpp_fast.device_model.guards import Along
from ocpp_fast.errors import ConfigurationError, StorageError
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage, Storage

FILES = ComponentFiles()
V21 = OcppVersion.V21
HEARTBEAT = ("OCPPCommCtrlr", "HeartbeatInterval", None)
OFFLINE = ("OCPPCommCtrlr", "OfflineThreshold", None)


def packaged(
    overrides: Variables | None = None, *, storage: Storage | None = None, **more: Any
) -> DeviceModel:
    """A model of the files that come with the package."""
    config = StationConfig(
        identity="a",
        csms_url="ws://h",
        variables=overrides,
        evses=(EvseConfig(connectors=2), EvseConfig()),
        **more,
    )
    return FILES.device_model(config, storage or MemoryStorage(), clock=SystemClock())


async def put(model: DeviceModel, *wanted: Any) -> list[str]:
    response: Any = await model.set_variables(set_request(V21, *wanted))
    return [str(result.attribute_status) for result in response.set_variable_result]


# --- the snapshot ---------------------------------------------------------------------------


def test_evses_count_from_1() -> None:
    assert packaged().connectors == {1: 2, 2: 1}


def test_every_field_has_a_variable_in_the_packaged_files_with_its_default() -> None:
    model = packaged()
    assert model.variables == Variables()
    for name, binding in BINDINGS.items():
        handle = model.variable(
            binding.component, binding.variable, variable_instance=binding.instance
        )
        assert binding.parse(handle.text()) == getattr(Variables(), name)
    for component_name in SWITCHES:
        assert model.variable(component_name, "Enabled").get() is True


OTHER = Variables(
    **{
        entry.name: (
            not entry.default
            if isinstance(entry.default, bool)
            else 17
            if isinstance(entry.default, (int, float)) or entry.default is None
            else frozenset({TxPoint.AUTHORIZED})
            if isinstance(entry.default, frozenset)
            else ("NTP",)
            if entry.name == "time_source"
            else ("Voltage", "SoC")
        )
        for entry in fields(Variables)
    }  # pyright: ignore[reportArgumentType]
)
"""Every field is another than by default."""


def test_every_field_can_be_configured_and_written() -> None:
    configured = packaged(OTHER)
    assert configured.variables == OTHER
    written = packaged()
    told: list[frozenset[str]] = []
    written.subscribe(told.append)
    written.write(**{entry.name: getattr(OTHER, entry.name) for entry in fields(Variables)})
    assert written.variables == OTHER
    assert told == [frozenset(BINDINGS)]
    for model, source in ((configured, "default"), (written, "internal")):
        interval = model.variable("OCPPCommCtrlr", "HeartbeatInterval")
        assert (interval.get(), interval.source()) == (17, source)
        assert model.variable("TxCtrlr", "TxStartPoint").get() == ("Authorized",)


def test_a_change_is_told_to_those_who_listen() -> None:
    model = packaged()
    told: list[frozenset[str]] = []
    model.subscribe(told.append)
    model.write(heartbeat_interval_s=10.0, auth_enabled=True)
    model.write(heartbeat_interval_s=10.0)
    assert told == [{"heartbeat_interval_s"}]
    assert model.variables.heartbeat_interval_s == 10.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"message_attempts": -1},
        {"heartbeat_interval_s": 0.5},
        {"tx_updated_measurands": ("Energy.Of.Nothing",)},
        {"tx_stop_point": frozenset({TxPoint.DATA_SIGNED})},
        {"max_energy_on_invalid_id_wh": None},
    ],
)
def test_a_change_that_cannot_be_changes_nothing(wrong: dict[str, Any]) -> None:
    model = packaged()
    before = model.variables
    with pytest.raises(ConfigurationError):
        model.write(auth_enabled=False, **wrong)
    assert model.variables is before
    assert model.variable("AuthCtrlr", "Enabled").source() == "default"


def test_a_configured_value_that_cannot_be_is_named() -> None:
    with pytest.raises(ConfigurationError, match="/tx_updated_measurands: "):
        packaged(Variables(tx_updated_measurands=("Energy.Of.Nothing",)))


def test_a_configured_value_may_be_below_its_limit() -> None:
    """0 is `never` for us; the standard gives 1 as the least."""
    assert packaged(Variables(heartbeat_interval_s=0)).variables.heartbeat_interval_s == 0


async def test_a_disabled_component_gives_no_readings() -> None:
    model = packaged(Variables(aligned_interval_s=900, aligned_measurands=("Voltage",)))
    told: list[frozenset[str]] = []
    model.subscribe(told.append)
    assert await put(model, ("AlignedDataCtrlr", "Enabled", None, "false")) == ["Accepted"]
    assert model.variables.aligned_interval_s == 0
    assert model.variables.aligned_measurands == ()
    model.write(aligned_interval_s=60)
    assert model.variables.aligned_interval_s == 0
    model.variable("AlignedDataCtrlr", "Enabled").set(value=True)
    assert model.variables.aligned_interval_s == 60
    assert model.variables.aligned_measurands == ("Voltage",)
    assert told == [{"aligned_interval_s", "aligned_measurands"}] * 2


def test_fields_without_a_variable_live_in_memory() -> None:
    model = device_model(component("Only"), overrides=Variables(auth_enabled=False))
    assert model.variables == Variables(auth_enabled=False)
    told: list[frozenset[str]] = []
    model.subscribe(told.append)
    model.write(message_attempts=5)
    assert model.variables == Variables(auth_enabled=False, message_attempts=5)
    assert told == [{"message_attempts"}]


def test_a_value_that_no_field_can_have_is_logged_and_left_aside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    points = variable("TxStopPoint", "MemberList", attribute(value="Authorized"))
    model = device_model(component("TxCtrlr", points))
    handle = model.variable("TxCtrlr", "TxStopPoint")
    handle.set(("Authorized", "WhenTired"))
    assert model.variables.tx_stop_point == {TxPoint.AUTHORIZED}
    assert "of no use: tx_stop_point" in caplog.text


async def test_b05_fr_09_the_csms_cannot_set_what_no_field_can_have() -> None:
    """Whatever the values list of somebody's component file allows."""
    points = variable("TxStopPoint", "MemberList", attribute(value="Authorized"))
    attempts = variable("MessageAttempts", "integer", attribute(), instance="TransactionEvent")
    model = device_model(component("TxCtrlr", points), component("OCPPCommCtrlr", attempts))
    statuses = await put(
        model,
        ("TxCtrlr", "TxStopPoint", None, "WhenTired"),
        ("TxCtrlr", "TxStopPoint", None, "DataSigned"),
        ("OCPPCommCtrlr", {"name": "MessageAttempts", "instance": "TransactionEvent"}, None, "-1"),
        ("TxCtrlr", "TxStopPoint", None, "EVConnected"),
    )
    assert statuses == ["Rejected"] * 3 + ["Accepted"]
    assert model.variables.tx_stop_point == {TxPoint.EV_CONNECTED}


# --- guards ---------------------------------------------------------------------------------


async def test_the_first_check_that_has_something_to_say_decides() -> None:
    model = packaged()
    asked: list[Write] = []
    verdicts: list[Any] = [None, Refusal("NotEnabled", "x" * 2_000), REBOOT_REQUIRED]

    def check(write: Write) -> Any:
        asked.append(write)
        return verdicts.pop(0)

    for _ in range(2):
        model.guard("OCPPCommCtrlr", "HeartbeatInterval", check)
    assert await put(model, (*HEARTBEAT, "5")) == ["Rejected"]
    assert [(each.text, each.value, each.source) for each in asked] == [("5", 5, "csms")] * 2
    assert await put(model, (*HEARTBEAT, "6")) == ["RebootRequired"]
    assert len(asked) == 3


async def test_a_check_that_raises_refuses(caplog: pytest.LogCaptureFixture) -> None:
    model = packaged()

    def fail(write: Write) -> None:
        raise RuntimeError("no")

    model.guard("OCPPCommCtrlr", "HeartbeatInterval", fail)
    assert await put(model, (*HEARTBEAT, "5")) == ["Rejected"]
    assert "the check of OCPPCommCtrlr.HeartbeatInterval failed" in caplog.text
    model.write(heartbeat_interval_s=5)  # Only what comes from outside is asked about.
    assert model.variables.heartbeat_interval_s == 5


async def test_what_a_check_writes_along_is_one_transaction_with_it() -> None:
    storage = FaultyStorage()
    model = packaged(storage=storage)
    interval, threshold = model.variable(*HEARTBEAT[:2]), model.variable(*OFFLINE[:2])
    model.guard(*HEARTBEAT[:2], lambda write: Along(((threshold.number, write.text),)))
    heard: list[frozenset[str]] = []
    model.subscribe(heard.append)
    assert await put(model, (*HEARTBEAT, "77")) == ["Accepted"]
    assert (interval.get(), threshold.get(), threshold.source()) == (77, 77, "internal")
    assert heard == [{"heartbeat_interval_s"}, {"offline_threshold_s"}]
    assert len(storage.stored) == 1
    assert storage.texts() == {"HeartbeatInterval": "77", "OfflineThreshold": "77"}
    # What the request itself sets counts for more.
    assert await put(model, (*HEARTBEAT, "78"), (*OFFLINE, "5")) == ["Accepted", "Accepted"]
    assert (interval.get(), threshold.get()) == (78, 5)
    storage.broken = True
    assert await put(model, (*HEARTBEAT, "79")) == ["Rejected"]
    assert (interval.get(), threshold.get()) == (78, 5)


async def test_a_check_that_writes_along_does_not_silence_the_next_one() -> None:
    model = packaged()
    threshold = model.variable(*OFFLINE[:2])
    model.guard(*HEARTBEAT[:2], lambda _: Along(((threshold.number, "1"),)))
    model.guard(*HEARTBEAT[:2], lambda _: Refusal("NotEnabled"))
    assert await put(model, (*HEARTBEAT, "77")) == ["Rejected"]
    assert threshold.get() == 60


async def test_a_check_knows_what_the_request_has_set_before() -> None:
    model = packaged()
    seen: list[dict[int, str]] = []

    def check(write: Write) -> Refusal | None:
        seen.append(dict(write.batch))
        return Refusal("NotEnabled") if write.text == "3" else None

    handles = [model.variable(*HEARTBEAT[:2]), model.variable(*OFFLINE[:2])]
    first, second = (handle.number for handle in handles)
    model.guard_all((first, second), check)
    await put(model, (*HEARTBEAT, "1"), (*OFFLINE, "2"), (*HEARTBEAT, "3"), (*OFFLINE, "4"))
    assert seen == [
        {},
        {first: "1"},
        {first: "1", second: "2"},
        {first: "1", second: "2"},  # without the one that was refused
    ]


# --- many at once ---------------------------------------------------------------------------


async def test_many_writes_are_one_transaction() -> None:
    storage = FaultyStorage()
    model = packaged(storage=storage)
    kept, passing = model.variable(*HEARTBEAT[:2]), model.variable("EVSE", "Power", evse_id=1)
    heard: list[tuple[str, str]] = []
    for handle in (kept, passing):
        handle.on_change(lambda change: heard.append((change.new, change.source)))
    await model.write_all({kept.number: "5", passing.number: "1.5"}, "csms")
    assert (kept.get(), passing.get()) == (5, 1.5)
    assert storage.texts() == {"HeartbeatInterval": "5"}  # The other one is not persistent.
    assert heard == [("5", "csms"), ("1.5", "csms")]
    await model.write_all({passing.number: "2.5"}, "csms")
    assert len(storage.stored) == 1


@pytest.mark.parametrize("broken", [False, True])
async def test_many_writes_are_all_or_none(broken: bool) -> None:
    storage = FaultyStorage()
    model = packaged(storage=storage)
    first, second = (model.variable(*of[:2]).number for of in (HEARTBEAT, OFFLINE))
    storage.broken = broken
    with pytest.raises(StorageError if broken else ConfigurationError):
        await model.write_all({first: "5", second: "6" if broken else "six"}, "csms")
    assert model.variables == Variables()
    assert storage.texts() == {}


# --- listeners ------------------------------------------------------------------------------


async def test_everything_that_the_csms_sets_is_told_and_else_what_is_watched() -> None:
    rig = component(
        "Rig",
        variable("Level", "decimal", attribute(value="0")),
        variable("Note", "string", attribute(value="")),
    )
    model = device_model(rig)
    heard: list[VariableChange] = []
    end = model.on_change(heard.append)
    model.variable("Rig", "Level").set(1.0)
    assert not heard
    await put(model, ("Rig", "Level", None, "2"), ("Rig", "Note", None, "hello"))
    assert [(each.variable.info.variable, each.source) for each in heard] == [
        ("Level", "csms"),
        ("Note", "csms"),
    ]
    model.variable("Rig", "Level").on_change(lambda change: None)
    model.variable("Rig", "Level").set(3.0, source="meter")
    assert heard[-1].source == "meter"
    end()
    await put(model, ("Rig", "Note", None, "bye"))
    assert len(heard) == 3


async def test_listeners_find_everything_of_one_request_in_force() -> None:
    model = packaged()
    seen: list[tuple[float, int]] = []
    model.subscribe(
        lambda _: seen.append(
            (model.variables.heartbeat_interval_s, model.variables.message_attempts)
        )
    )
    await put(
        model,
        (*HEARTBEAT, "5"),
        ("OCPPCommCtrlr", {"name": "MessageAttempts", "instance": "TransactionEvent"}, None, "9"),
    )
    assert seen == [(5.0, 9)]


async def test_nothing_changes_before_it_is_durable() -> None:
    storage = FaultyStorage()
    model = packaged(storage=storage)
    seen: list[dict[str, Any]] = []
    model.subscribe(lambda _: seen.append(storage.texts()))
    assert await put(model, (*HEARTBEAT, "5")) == ["Accepted"]
    assert seen == [{"HeartbeatInterval": "5"}]
    storage.broken = True
    assert await put(model, (*HEARTBEAT, "6")) == ["Rejected"]
    assert model.variables.heartbeat_interval_s == 5


async def test_events_are_told_once_for_each_pass_of_the_event_loop() -> None:
    rig = component("Rig", variable("Level", "decimal", attribute("Actual", "ReadOnly", "0")))
    model = device_model(rig)
    level = model.variable("Rig", "Level")
    model.cache.set_monitor(7, level.number, 0, 10.0, 5, False)
    told: list[list[Any]] = []
    model.on_events(told.append)
    for value in (11.0, 1.0, 12.0):
        level.set(value)
    assert told == []
    await asyncio.sleep(0)
    assert [[(event[0], event[3]) for event in events] for events in told] == [
        [(7, False), (7, True), (7, False)]
    ]
    level.set(13.0)
    await asyncio.sleep(0)
    assert len(told) == 1


def test_events_before_the_start_are_told_when_it_runs() -> None:
    rig = component("Rig", variable("Level", "decimal", attribute("Actual", "ReadOnly", "0")))
    model = device_model(rig)
    level = model.variable("Rig", "Level")
    model.cache.set_monitor(7, level.number, 0, 10.0, 5, False)
    told: list[list[Any]] = []
    model.on_events(told.append)
    level.set(11.0)

    async def run() -> None:
        model.finish()
        await model.run()
        await asyncio.sleep(0)

    asyncio.run(run())
    assert len(told) == 1


# --- the integrator's own -------------------------------------------------------------------


def test_a_component_of_ones_own() -> None:
    model = device_model(component("Rig", variable("Level", "decimal")))
    model.define(component("Pump", variable("Flow", "decimal", attribute(value="3"))))
    assert model.variable("Pump", "Flow").get() == 3.0
    with pytest.raises(ConfigurationError, match="there is such a component already"):
        model.define(component("pump"))
    wrong = component("Valve", variable("Open", "boolean", attribute(value="perhaps")))
    with pytest.raises(ConfigurationError, match=r"'Valve':\n  /properties/p0/"):
        model.define(wrong)


def test_stations_of_the_same_files_are_independent() -> None:
    first, second = packaged(), packaged()
    first.write(heartbeat_interval_s=5)
    first.variable("EVSE", "Power", evse_id=1).set(100.0)
    assert second.variables.heartbeat_interval_s == 300
    assert second.variable("EVSE", "Power", evse_id=1).source() == "default"


def test_of_many_values_those_that_are_of_use_are_taken(caplog: pytest.LogCaptureFixture) -> None:
    settings = component(
        "OCPPCommCtrlr",
        variable("HeartbeatInterval", "integer", attribute(value="-5")),
        variable("OfflineThreshold", "integer", attribute(value="7")),
        variable("WebSocketPingInterval", "integer", attribute(value="9")),
    )
    model = device_model(settings)
    assert model.variables == Variables(offline_threshold_s=7, web_socket_ping_interval_s=9)
    assert "of no use: heartbeat_interval_s: /heartbeat_interval_s: must not be" in caplog.text
