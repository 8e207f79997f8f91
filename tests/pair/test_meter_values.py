"""Meter values outside transactions, aligned with the clock: J01."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ocpp_fast.messages import OcppVersion, v21
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.station_kit import QUIET, VERSIONS, Site, at_site

versions = pytest.mark.parametrize("version", VERSIONS)

ALIGNED: dict[str, Any] = {
    "aligned_interval_s": 900.0,
    "aligned_measurands": ("Energy.Active.Import.Register", "Voltage"),
}


@versions
def test_j01_fr_14_22_at_each_quarter_hour_for_every_evse(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        await site.clock.sleep(300)
        await site.charge_without_end(2)
        await site.clock.sleep(3_000)
        times = site.times("MeterValues")
        assert [round(at) for at in times] == [900, 900, 1_800, 1_800, 2_700, 2_700]
        first = site.sent("MeterValues")[0]
        (reading,) = first["meterValue"]
        assert first["evseId"] == 1
        assert {v["context"] for v in reading["sampledValue"]} == {"Sample.Clock"}
        assert [v["measurand"] for v in reading["sampledValue"]] == [
            "Energy.Active.Import.Register", "Voltage", "Voltage", "Voltage",
        ]  # fmt: skip

    at_site(scenario, version, variables=ALIGNED)


def test_j01_fr_20_in_idle_only() -> None:
    async def scenario(site: Site) -> None:
        await site.clock.sleep(1_000)
        assert len(site.sent("MeterValues")) == 2
        await site.charge_without_end(2)
        await site.clock.sleep(3_600)
        assert len(site.sent("MeterValues")) == 2
        await site.station.unplug(2)
        await site.clock.sleep(900)
        assert len(site.sent("MeterValues")) == 4

    at_site(scenario, variables={**ALIGNED, "aligned_send_during_idle": True})


def test_j01_fr_03_the_main_meter_is_evse_0() -> None:
    async def scenario(site: Site) -> None:
        sample = v21.SampledValueType(value=17e6 + 0.3)
        site.station.charge_point.on_meter_value(
            0, v21.MeterValueType(timestamp=site.clock.now(), sampled_value=[sample])
        )
        await site.clock.sleep(1_000)
        main, *_ = site.sent("MeterValues")
        assert main["evseId"] == 0
        assert main["meterValue"][0]["sampledValue"][0]["value"] == 17_000_000.3

    at_site(scenario, variables=ALIGNED)


def test_a_meter_that_is_silent_has_nothing_to_say() -> None:
    async def scenario(site: Site) -> None:
        await site.clock.sleep(1_000)
        site.station.hardware[1].broken.add("read_meter")
        await site.clock.sleep(1_800)
        evses = [value["evseId"] for value in site.sent("MeterValues")]
        assert evses == [1, 2, 1, 2, 2]

    at_site(scenario, variables=ALIGNED)


def test_the_interval_can_be_changed_and_switched_off() -> None:
    async def scenario(site: Site) -> None:
        model = site.station.charge_point.device_model
        model.write(aligned_interval_s=60.0)
        await site.clock.sleep(130)
        assert len(site.sent("MeterValues")) == 4
        model.write(aligned_interval_s=0.0)
        await site.clock.sleep(1_000)
        assert len(site.sent("MeterValues")) == 4

    at_site(scenario, variables=ALIGNED)


def test_aligned_readings_are_kept_for_the_end_of_the_transaction() -> None:
    """AlignedDataCtrlr.TxEndedInterval."""

    async def run(clock: VirtualClock) -> None:
        variables = replace(
            QUIET,
            aligned_tx_ended_interval_s=900.0,
            aligned_tx_ended_measurands=("Energy.Active.Import.Register",),
        )
        async with Site(clock, variables=variables) as site:
            await site.charge(3_000)
            ended = site.sent("TransactionEvent")[-1]
            stamps = [
                datetime.fromisoformat(reading["timestamp"])
                for reading in ended["meterValue"]
                if reading["sampledValue"][0]["context"] == "Sample.Clock"
            ]
            assert [(at.minute, at.second) for at in stamps] == [(14, 59), (29, 59), (44, 59)]

    run_virtual(run, start=datetime(2026, 1, 1, 10, 7, tzinfo=UTC))


def test_a_meter_that_hangs_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async def hang() -> Any:
        await asyncio.Event().wait()

    async def scenario(site: Site) -> None:
        site.station.hardware[1].read_meter = hang
        await site.station.plug_in(2)
        await site.station.swipe("CARD", 2)
        await site.clock.sleep(101)
        assert site.transactions[0].updates_with_readings == 50
        assert len([r for r in caplog.records if "meter of EVSE 1" in r.message]) == 1

    at_site(scenario, variables={"tx_updated_interval_s": 2})
