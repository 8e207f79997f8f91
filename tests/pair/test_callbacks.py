"""Callbacks of an integrator: when they come, and what happens when they misbehave."""

import asyncio
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

import pytest

from ocpp_fast.callbacks import Callbacks
from ocpp_fast.messages import OcppVersion
from pair.station_kit import TOKEN, VERSIONS, Site, at_site

versions = pytest.mark.parametrize("version", VERSIONS)


# Without their answers nothing starts and nothing is dialled; they have tests of their own.
NEEDED = ("remote_start_transaction_callback", "configure_network_connection_profile_callback")


class Calls:
    """Callbacks that only take notes."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, tuple[Any, ...]]] = []

    def adapt(self, callbacks: Callbacks) -> Callbacks:
        # One without whose answer nothing is dialled has its own tests.
        optional = [
            entry.name.removesuffix("_callback") for entry in fields(Callbacks)
            if entry.default is None and not entry.name.startswith("configure_network")
        ]  # fmt: skip
        return replace(callbacks, **{f"{name}_callback": self._noting(name) for name in optional})

    def _noting(self, name: str) -> Any:
        async def note(*values: Any) -> None:
            self.seen.append((name, values))

        return note

    def of(self, name: str) -> list[tuple[Any, ...]]:
        return [values for seen, values in self.seen if seen == name]


@versions
def test_the_optional_callbacks_come_when_they_should(version: OcppVersion) -> None:
    calls = Calls()

    async def scenario(site: Site) -> None:
        (boot,) = calls.of("boot_notification")
        assert boot[0].status == "Accepted"
        assert calls.of("connection_state_changed") == [(True, version)]
        ((now,),) = calls.of("time_sync")
        assert isinstance(now, datetime)
        await site.charge(30)
        requests = calls.of("transaction_event")
        responses = calls.of("transaction_event_response")
        assert [r[0].seq_no for r in requests] == [r[0].seq_no for r in responses] == [0, 1, 2]
        assert responses[0][1].id_token_info.status == "Accepted"
        site.cut(until_s=10)
        await site.clock.sleep(1)
        assert calls.of("connection_state_changed")[-1] == (False, None)

    at_site(scenario, version, adapt=calls.adapt)


def test_b01_fr_06_g02_fr_06_time_comes_only_from_a_time_source() -> None:
    calls = Calls()

    async def scenario(site: Site) -> None:
        await site.clock.sleep(1_000)
        assert len(site.sent("Heartbeat")) > 2
        assert calls.of("time_sync") == []

    at_site(
        scenario,
        adapt=calls.adapt,
        heartbeat_interval_s=100,
        variables={"time_source": ("NTP",)},
    )


def test_each_heartbeat_brings_the_time() -> None:
    calls = Calls()

    async def scenario(site: Site) -> None:
        await site.clock.sleep(1_000)
        assert len(calls.of("time_sync")) == len(site.sent("Heartbeat")) + 1

    at_site(scenario, adapt=calls.adapt, heartbeat_interval_s=100)


def misbehaving(kind: str) -> Any:
    async def callback(*_: object) -> None:
        if kind == "raises":
            raise RuntimeError("a bug of the integrator")
        await asyncio.Event().wait()

    return callback


@versions
@pytest.mark.parametrize("kind", ["raises", "hangs"])
def test_a_callback_that_raises_or_hangs_stops_nothing(version: OcppVersion, kind: str) -> None:
    def adapt(callbacks: Callbacks) -> Callbacks:
        return replace(
            callbacks,
            **{
                entry.name: misbehaving(kind)
                for entry in fields(Callbacks)
                if entry.name not in NEEDED
            },
        )

    async def scenario(site: Site) -> None:
        m: Any = version.module
        await site.charge(60)
        (record,) = site.transactions
        assert record.problems() == []
        request = m.DataTransferRequest(vendor_id="org.example")
        response: Any = await site.csms.call("CS001", request)
        assert response.status == "Rejected"
        response = await site.csms.call("CS001", m.ResetRequest(type="OnIdle"))
        assert response.status == "Rejected"
        response = await site.csms.call(
            "CS001", m.TriggerMessageRequest(requested_message="Heartbeat")
        )
        assert response.status == "Accepted"
        await site.clock.sleep(1)
        assert site.sent("Heartbeat")

    at_site(scenario, version, adapt=adapt, variables={"tx_updated_interval_s": 10})


@pytest.mark.parametrize("kind", ["raises", "hangs"])
def test_a_remote_start_whose_callback_misbehaves_is_rejected(kind: str) -> None:
    def adapt(callbacks: Callbacks) -> Callbacks:
        return replace(callbacks, remote_start_transaction_callback=misbehaving(kind))

    async def scenario(site: Site) -> None:
        m: Any = site.version.module
        token = m.IdTokenType(id_token=TOKEN, type="ISO14443")
        request = m.RequestStartTransactionRequest(id_token=token, remote_start_id=1, evse_id=1)
        response: Any = await site.csms.call("CS001", request)
        assert response.status == "Rejected"

    at_site(scenario, adapt=adapt)


def test_a_listener_of_states_that_raises_stops_nothing() -> None:
    def on_change(_evse_id: int, _state: object) -> None:
        raise RuntimeError("bug")

    async def scenario(site: Site) -> None:
        await site.charge(30)
        assert site.transactions[0].ended_at is not None

    at_site(scenario, on_change=on_change)


@pytest.mark.parametrize("method", ["lock", "allow_power"])
def test_g05_fr_01_an_actuator_that_fails_means_no_charging(method: str) -> None:
    async def scenario(site: Site) -> None:
        hardware = site.station.hardware[1]
        hardware.broken.add(method)
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        assert hardware.power_w == 0
        assert site.station.evse(1).state == "faulted with an EV"
        assert site.record.connectors[1, 1] == "Faulted"
        assert site.transactions[0].ended_at is not None
        assert site.events()[-1][1] == "AbnormalCondition", "E06.FR.16"
        hardware.broken.clear()
        await site.station.evse(1).fault_cleared()
        await site.station.unplug(1)
        await site.charge_without_end(1)
        assert site.station.evse(1).state == "charging"

    at_site(scenario)
