"""SetNetworkProfile and the network configuration by SetVariables, over the wire: B09, B10, A05.

The whole table of guards is in tests/unit/blocks/test_network_profiles.py, failover between two
CSMSs in test_failover.py.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from device_model.models import get_request, set_request
from ocpp_fast.messages import OcppVersion
from ocpp_fast.security.pki import Pki
from ocpp_fast.security.store import CertificateStore, RootUse
from ocpp_fast.storage import MemoryStorage
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.link_kit import IDENTITY, LinkSite, new_csms, refused
from pair.station_kit import VERSIONS
from unit.connectivity.network_kit import CutStorage, profile

versions = pytest.mark.parametrize("version", VERSIONS)

PASSWORD = "a password of the station"
OTHER = "another password, longer"
PRIORITY = ("OCPPCommCtrlr", "NetworkConfigurationPriority")


class NetworkSite(LinkSite):
    """One run of a station with two slots, the second of which is empty."""

    def __init__(
        self,
        clock: VirtualClock,
        version: OcppVersion = OcppVersion.V21,
        *,
        storage: Any = None,
        **config: Any,
    ) -> None:
        config.setdefault("password", PASSWORD)
        self.storage = storage or MemoryStorage()
        super().__init__(clock, version, options={"storage": self.storage}, **config)
        self.at = {slot: new_csms(clock, slot + 1) for slot in (1, 2)}
        self.csms = self.at[1]

    async def __aexit__(self, *_: object) -> None:
        await self.station.stop()
        for csms in self.at.values():
            await csms.stop()

    async def ask(self, request: Any) -> Any:
        """The CSMS of the slot in use asks."""
        return await self.at[self.log[-1].slot].call(IDENTITY, request)

    async def set(self, *wanted: Any) -> list[str]:
        """SetVariables: (component, variable, value); the statuses with the reason codes."""
        items = ((where, which, None, text) for where, which, text in wanted)
        response = await self.ask(set_request(self.version, *items))
        return [
            verdict(one.attribute_status, one.attribute_status_info)
            for one in response.set_variable_result
        ]

    async def get(self, where: Any, which: str) -> str | None:
        response = await self.ask(get_request(self.version, (where, which, None)))
        (result,) = response.get_variable_result
        if result.attribute_status != "Accepted":
            return str(result.attribute_status)
        return result.attribute_value

    async def send(self, slot: int, **changes: Any) -> str:
        """SetNetworkProfile."""
        m: Any = self.version.module
        request = m.SetNetworkProfileRequest(
            configuration_slot=slot, connection_data=profile(self.version, **changes)
        )
        response = await self.ask(request)
        return verdict(response.status, response.status_info)

    async def accepted(self, slot: int) -> None:
        """Waits until the CSMS of a slot has accepted the station."""
        await self.until(lambda: self.log and self.log[-1].slot == slot)
        await self.point.wait_accepted()
        await self.clock.sleep(1)


def verdict(status: Any, info: Any) -> str:
    return f"{status}" + ("" if info is None else f" {info.reason_code}")


def slot_component(slot: int) -> dict[str, Any]:
    return {"name": "NetworkConfiguration", "instance": str(slot)}


def at_network(
    scenario: Callable[[NetworkSite], Coroutine[Any, Any, None]],
    version: OcppVersion = OcppVersion.V21,
    **options: Any,
) -> None:
    """Runs a scenario at a running station, in virtual time."""

    async def run(clock: VirtualClock) -> None:
        async with NetworkSite(clock, version, **options) as site:
            await site.accepted(1)
            await scenario(site)

    run_virtual(run)


@versions
def test_b09_fr_01_09_a_profile_is_stored(version: OcppVersion) -> None:
    """B09.FR.01, B09.FR.09: and the CSMS can read it. TC_B_42."""

    async def scenario(site: NetworkSite) -> None:
        assert await site.send(2) == "Accepted"
        slot = slot_component(2)
        assert await site.get(slot, "OcppCsmsUrl") == "ws://new.test/ocpp"
        assert await site.get(slot, "MessageTimeout") == "25"
        assert await site.get(slot, "BasicAuthPassword") == "Rejected"
        assert await site.get(*PRIORITY) == "1"
        assert site.slots == [1]  # Nothing is dialled for it.

    at_network(scenario, version)


@versions
def test_b09_fr_02_03_05_what_is_answered_otherwise(version: OcppVersion) -> None:
    """B09.FR.02, B09.FR.03, B09.FR.05; TC_B_43."""
    storage = CutStorage()

    async def scenario(site: NetworkSite) -> None:
        assert await site.send(999) == "Rejected InvalidConfSlot"
        assert await site.send(2, ocpp_csms_url="gopher://x") == "Rejected InvalidNetworkConf"
        storage.broken = {"values_store"}
        assert await site.send(2) == "Failed InternalError"
        storage.broken = set()
        assert await site.get(slot_component(2), "OcppCsmsUrl") == ""

    at_network(scenario, version, storage=storage)


@versions
def test_b09_fr_04_no_downgrade(version: OcppVersion) -> None:
    """B09.FR.04, B09.FR.35; TC_A_22."""

    async def scenario(site: NetworkSite) -> None:
        downgrade = "Rejected NoSecurityDowngrade"
        assert await site.send(2) == downgrade
        assert await site.set((slot_component(2), "SecurityProfile", "1")) == [downgrade]

    def options(folder: Path) -> dict[str, Any]:
        return {"csms_url": "wss://one.test", "certificates": str(folder)}

    with_root(scenario, version, options)


@versions
def test_b09_fr_08_10_13_slots_are_in_the_base_report(version: OcppVersion) -> None:
    """B09.FR.08, B09.FR.10, B09.FR.13: every slot with its variables, which are writeable but for
    the networks that nobody could set up; passwords without their values."""

    async def scenario(site: NetworkSite) -> None:
        m: Any = version.module
        request = m.GetBaseReportRequest(request_id=1, report_base="FullInventory")
        assert (await site.ask(request)).status == "Accepted"
        await site.clock.sleep(5)
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for frame in site.sent("NotifyReport"):
            for item in frame["reportData"]:
                if item["component"]["name"] == "NetworkConfiguration":
                    key = item["component"]["instance"], item["variable"]["name"]
                    (found[key],) = item["variableAttribute"]
        assert {slot for slot, _ in found} == {"1", "2"}
        for (slot, name), attribute in found.items():
            if name in ("ApnEnabled", "VpnEnabled"):
                expected = "ReadOnly"
                assert (slot, name, attribute["value"]) == (slot, name, "false")
            elif name in ("BasicAuthPassword", "ApnPassword", "VpnPassword", "VpnKey", "SimPin"):
                expected = "WriteOnly"
                assert "value" not in attribute
            else:
                expected = "ReadWrite"
            # ReadWrite is what an absent mutability means.
            assert attribute.get("mutability", "ReadWrite") == expected, (slot, name)

    at_network(scenario, version)


@versions
def test_b09_fr_20_22_23_24_25_33_34_by_set_variables(version: OcppVersion) -> None:
    """B09.FR.20, B09.FR.22 to B09.FR.25, B09.FR.33, B09.FR.34: the alternative scenario of B09."""

    async def scenario(site: NetworkSite) -> None:
        new, listed = slot_component(2), [*PRIORITY]
        assert await site.set((slot_component(1), "MessageTimeout", "9")) == [
            "Rejected ActiveNetworkConf"  # B09.FR.22
        ]
        assert await site.set((*listed, "2,1")) == ["Rejected InvalidNetworkConf"]  # B09.FR.34
        assert await site.set(
            (new, "OcppCsmsUrl", "ws://new.test/ocpp"),
            (new, "SecurityProfile", "1"),
            (new, "OcppTransport", "SOAP"),
            (new, "Identity", "CS002"),
            (new, "BasicAuthPassword", OTHER),
        ) == ["Accepted", "Accepted", "Rejected InvalidValue", "Accepted", "Accepted"]
        assert await site.set((*listed, "2,1")) == ["Accepted"]  # B09.FR.33
        assert await site.set((new, "MessageTimeout", "9")) == ["Rejected ActiveNetworkConf"]
        assert await site.set((*listed, "1")) == ["Accepted"]  # B09.FR.20
        assert await site.set((new, "MessageTimeout", "9")) == ["Accepted"]

    at_network(scenario, version)


@versions
def test_b10_fr_01_04_06_the_move_to_another_csms(version: OcppVersion) -> None:
    """B10.FR.01, B10.FR.04, B10.FR.06, B09.FR.28: TC_B_45, with a restart for the reset."""

    async def run(clock: VirtualClock) -> None:
        async with NetworkSite(clock, version) as site:
            await site.accepted(1)
            changes: dict[str, Any] = {}
            if version is OcppVersion.V21:
                changes = {"identity": "CS002", "basic_auth_password": OTHER}
            assert await site.send(2, **changes) == "Accepted"
            assert await site.set((*PRIORITY, "2,1")) == ["Accepted"]
            await clock.sleep(600)
            assert site.slots == [1]  # It counts from the next dial on.
        async with NetworkSite(clock, version, storage=site.storage) as site:
            await site.until(lambda: site.log)
            (dial,) = site.log
            slot = dial.target.slot
            assert (slot.slot, slot.csms_url) == (2, "ws://new.test/ocpp")
            assert slot.message_timeout_s == 25
            await clock.sleep(5)
            model = site.point.device_model
            assert model.variable("OCPPCommCtrlr", "ActiveNetworkProfile").get() == 2
            assert model.variables.message_timeout_s == 25
            if version is OcppVersion.V21:
                assert (slot.identity, dial.target.password) == ("CS002", OTHER)
                assert model.variable("SecurityCtrlr", "Identity").get() == "CS002"
            else:
                assert (slot.identity, dial.target.password) == (IDENTITY, PASSWORD)

    run_virtual(run)


@versions
def test_b10_fr_07_the_slot_in_use_was_overwritten_with_a_dead_csms(version: OcppVersion) -> None:
    """B10.FR.07, B09.FR.01: the profile of the last successful connection is still there to fall
    back to, over a restart and a power cut too, and the new one stays in turn."""

    async def run(clock: VirtualClock) -> None:
        async with NetworkSite(clock, version) as site:
            await site.accepted(1)
            assert await site.send(1, ocpp_csms_url="ws://dead.test") == "Accepted"
            await clock.sleep(600)
            assert len(site.log) == 1  # It is used with the next connection.
        for _ in range(2):
            site = NetworkSite(clock, version, storage=site.storage)
            site.fail = lambda dial: refused(dial) if "dead" in dial.url else None
            async with site:
                await site.point.wait_accepted()
                await clock.sleep(30)
                urls = [dial.url for dial in site.log]
                assert urls == ["ws://dead.test"] * 3 + ["ws://one.test/ocpp"]
                assert await site.get(slot_component(1), "OcppCsmsUrl") == "ws://dead.test"
        async with NetworkSite(clock, version, storage=site.storage) as site:
            await site.accepted(1)
            await clock.sleep(30)
            site.fail = refused
            assert site.link is not None
            site.link.cut()
            await clock.sleep(600)
            assert len(site.log) > 4
            assert {dial.url for dial in site.log} == {"ws://dead.test"}  # It has proved good.

    run_virtual(run)


@versions
def test_b10_fr_02_a_slot_without_a_configuration(version: OcppVersion) -> None:
    """B10.FR.02; statusInfo says which slot, and why."""

    async def scenario(site: NetworkSite) -> None:
        response = await site.ask(set_request(version, (*PRIORITY, None, "1,2")))
        (result,) = response.set_variable_result
        assert str(result.attribute_status) == "Rejected"
        info = result.attribute_status_info
        assert (info.reason_code, info.additional_info) == (
            "InvalidNetworkConf",
            "slot 2: it has no address",
        )

    at_network(scenario, version)


@versions
def test_a05_fr_02_no_upgrade_without_a_root(version: OcppVersion) -> None:
    """A05.FR.02: TC_A_20."""

    async def scenario(site: NetworkSite) -> None:
        assert await site.send(2, ocpp_csms_url="wss://new.test", security_profile=2) == "Accepted"
        assert await site.set((*PRIORITY, "2,1")) == ["Rejected InvalidNetworkConf"]
        assert await site.get("SecurityCtrlr", "SecurityProfile") == "1"
        assert site.slots == [1]

    at_network(scenario, version)


@versions
def test_a05_fr_03_no_upgrade_without_a_client_certificate(version: OcppVersion) -> None:
    """A05.FR.03: TC_A_21."""

    async def scenario(site: NetworkSite) -> None:
        assert await site.send(2, ocpp_csms_url="wss://new.test", security_profile=3) == "Accepted"
        assert await site.set((*PRIORITY, "2,1")) == ["Rejected InvalidNetworkConf"]

    with_root(scenario, version, lambda folder: {"certificates": str(folder)})


@versions
def test_a05_fr_04_05_06_an_upgrade(version: OcppVersion, tmp_path: Path) -> None:
    """A05.FR.04, A05.FR.05, A05.FR.06: TC_A_19, with a restart for the reset."""

    async def run(clock: VirtualClock) -> None:
        install_root(tmp_path, clock)
        options: dict[str, Any] = {"certificates": str(tmp_path)}
        async with NetworkSite(clock, version, **options) as site:
            await site.accepted(1)
            status = await site.send(2, ocpp_csms_url="wss://new.test", security_profile=2)
            assert status == "Accepted"
            assert await site.set((*PRIORITY, "2,1")) == ["Accepted"]
        for _ in range(2):  # The second time it is all done already.
            async with NetworkSite(clock, version, storage=site.storage, **options) as site:
                await site.accepted(2)
                assert await site.get("SecurityCtrlr", "SecurityProfile") == "2"
                assert await site.get(*PRIORITY) == "2"
                assert await site.get(slot_component(1), "OcppCsmsUrl") == ""
                assert await site.send(1) == "Rejected NoSecurityDowngrade"
                # A05.FR.06: it never comes back over the weaker one.
                site.fail = lambda _: ConnectionError()
                assert site.link is not None
                site.link.cut()
                await clock.sleep(3_600)
                assert set(site.slots) == {2}

    run_virtual(run)


@versions
def test_b09_fr_26_27_credentials_that_are_set_the_old_way(version: OcppVersion) -> None:
    """B09.FR.26, B09.FR.27: the slot in use has none of its own any more."""

    async def scenario(site: NetworkSite) -> None:
        model = site.point.device_model
        own = model.variable("NetworkConfiguration", "Identity", instance="1")
        own.set("CS001")
        assert await site.set(("SecurityCtrlr", "Identity", "CS003")) == ["Accepted"]
        assert own.get() == ""
        assert site.link is not None
        site.link.cut()
        await site.until(lambda: len(site.log) > 1)
        assert site.log[-1].target.slot.identity == "CS003"

    at_network(scenario, version)


def install_root(folder: Path, clock: VirtualClock) -> None:
    store = CertificateStore(folder, clock)
    store.install_root(RootUse.CSMS, Pki(clock.now()).csms_root.pem)


def with_root(
    scenario: Callable[[NetworkSite], Coroutine[Any, Any, None]],
    version: OcppVersion,
    options: Callable[[Path], dict[str, Any]],
) -> None:
    """With a CSMS root certificate in the store."""
    from tempfile import TemporaryDirectory

    async def run(clock: VirtualClock) -> None:
        with TemporaryDirectory() as folder:
            install_root(Path(folder), clock)
            async with NetworkSite(clock, version, **options(Path(folder))) as site:
                await site.accepted(1)
                await scenario(site)

    run_virtual(run)
