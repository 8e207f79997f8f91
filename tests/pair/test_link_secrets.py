"""Where the secrets of the link are not: logs of any level, reports, what is told and kept for the
CSMS, what things look like when they are printed, and files that anybody else may read."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from ocpp_fast.messages import OcppVersion
from ocpp_fast.security.pki import Pki
from ocpp_fast.security.store import LeafUse
from ocpp_fast.storage import MemoryStorage
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.certificate_kit import CertificateSite
from pair.link_kit import IDENTITY, SlotSite, http
from pair.station_kit import VERSIONS

versions = pytest.mark.parametrize("version", VERSIONS)

BASE = "base-password-001"
SECRETS = {
    "password": "slot-password-002",
    "later": "later-password-03",
    "apn": "apn-hush-4",
    "vpn": "vpn-hush-5",
    "key": "vpn-shared-6",
}
PIN = 778_812


def _network(site: SlotSite) -> dict[str, Any]:
    m = site.m
    more: dict[str, Any] = {
        "apn": m.APNType(
            apn="internet",
            apn_user_name="apnuser",
            apn_password=SECRETS["apn"],
            sim_pin=PIN,
            apn_authentication="AUTO",
        ),
        "vpn": m.VPNType(
            server="vpn.test",
            user="vpnuser",
            password=SECRETS["vpn"],
            key=SECRETS["key"],
            type="IPSec",
        ),
    }
    if site.version is OcppVersion.V21:
        more |= {"identity": "CS-002", "basic_auth_password": SECRETS["password"]}
    return more


async def _everything_told(site: SlotSite) -> str:
    """What a CSMS can ask for, and all that was sent."""
    m = site.m
    response = await site.ask(m.GetBaseReportRequest(request_id=1, report_base="FullInventory"))
    assert response.status == "Accepted"
    await site.clock.sleep(30)
    return json.dumps([frame for _, way, frame in site.frames if way == "out"])


def _prints(thing: object, depth: int = 3, seen: set[int] | None = None) -> list[str]:
    """What everything that hangs on an object looks like."""
    seen = set() if seen is None else seen
    if id(thing) in seen or not depth:
        return []
    seen.add(id(thing))
    found = [repr(thing)]
    members: dict[str, Any] = getattr(thing, "__dict__", None) or {}
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    for name in [*members, *slots]:
        inner = getattr(thing, name, None)
        if type(inner).__module__.startswith("ocpp_fast"):
            found += _prints(inner, depth - 1, seen)
    return found


@versions
def test_a01_fr_12_no_secret_of_the_network_leaves_the_station(
    version: OcppVersion, caplog: pytest.LogCaptureFixture
) -> None:
    """A01.FR.12, and its like for the secrets of APN and VPN: set by SetNetworkProfile and
    SetVariables, refused by the CSMS, reported, migrated, started again."""
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    storage = MemoryStorage()

    async def run(clock: VirtualClock) -> None:
        for life in range(2):
            networks: list[Any] = []

            def adapt(callbacks: Any, networks: list[Any] = networks) -> Any:
                from dataclasses import replace

                from ocpp_fast.callbacks import NetworkReady

                async def configure(slot: Any) -> NetworkReady:
                    networks.append(slot)
                    return NetworkReady(success=True)

                return replace(callbacks, configure_network_connection_profile_callback=configure)

            site = SlotSite(clock, version, storage=storage, password=BASE, adapt=adapt)
            refuses = {SECRETS["later"]}
            site.fail = lambda dial, refuses=refuses: (
                http(401) if dial.target.password in refuses else None
            )
            async with site:
                await site.accepted(1)
                if life == 0:
                    status = await site.set_profile(2, "ws://two.test/ocpp", 1, **_network(site))
                    assert status == "Accepted"
                    assert await site.set(
                        "BasicAuthPassword", SECRETS["later"], "SecurityCtrlr"
                    ) == "Accepted"  # fmt: skip
                    await clock.sleep(60)
                    await site.accepted(1)
                told.append(await _everything_told(site))
                told.append(str(await storage.outbox_load()))
                told.append(str(await storage.security_log_load(1_000)))
                told.extend(_prints(site.point))
                told.extend(repr(dial.target) for dial in site.log)
                slot_2 = site.point._parts.slots.read(2)
                assert slot_2.vpn.password == SECRETS["vpn"], "it is there"
                told.append(repr(slot_2))
                told.extend(map(repr, networks))
                told.append(str(site.point.connect_error))

    run_virtual(run)
    text = "\n".join((caplog.text, *told))
    for secret in (BASE, *SECRETS.values(), str(PIN)):
        assert secret not in text, secret


@versions
def test_a02_fr_05_private_keys_are_in_the_store_and_nowhere_else(
    version: OcppVersion, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A02.FR.05, A03.FR.05: a renewal at debug level; keys are files of the owner alone, and after
    the switch only the one in use is left."""
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    secrets: set[str] = set()

    async def run(clock: VirtualClock) -> None:
        storage = MemoryStorage()
        folder = tmp_path / "store"
        site = CertificateSite(clock, version, folder, Pki(clock.now()), storage=storage)
        async with site:
            await site.accepted(1)
            secrets.update(_keys_in(folder))
            await site.renew()
            await site.until(lambda: len(site.log) == 2, limit_s=30)
            secrets.update(_keys_in(folder))
            await site.accepted(1)
            told.append(await _everything_told(site))
            told.append(str(await storage.outbox_load()))
            told.append(str(await storage.state_load()))
            told.extend(_prints(site.point))
            (chain,) = site.files.chains(LeafUse.CHARGING_STATION)
            told.append(repr(chain))
            assert chain.chain.leaf.subject.rfc4514_string().endswith(f"CN={IDENTITY}")
        assert len(_keys_in(folder)) == 1

    run_virtual(run)
    assert len(secrets) >= 2
    text = "\n".join((caplog.text, *told))
    assert "PRIVATE KEY" not in text
    for key in secrets:
        assert key not in text
    for file in tmp_path.rglob("*"):
        content = b"" if file.is_dir() else file.read_bytes()
        private = b"PRIVATE KEY" in content or any(key.encode() in content for key in secrets)
        if private:
            assert (tmp_path / "store") in file.parents, file
            assert file.stat().st_mode & 0o777 == 0o600, file
        if file.is_dir():
            assert file.stat().st_mode & 0o777 == 0o700, file


def _keys_in(folder: Path) -> set[str]:
    """A line out of the middle of each private key."""
    return {
        file.read_text().splitlines()[1]
        for file in folder.rglob("*")
        if file.is_file() and "PRIVATE KEY" in file.read_text()
    }
