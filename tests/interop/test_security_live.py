"""The simple CSMS and a simulated station over real TLS: passwords, certificates, profiles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from interop.steady_time import run_steadily
from ocpp_fast import Csms, SimulatedStation, StationConfig, Variables
from ocpp_fast.clock import SystemClock
from ocpp_fast.csms import CsmsObserver, CsmsSecurity, ProfileFloor
from ocpp_fast.csms.pki_folder import load_security, read_password, write_pki
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion
from ocpp_fast.security.pki import Pki
from ocpp_fast.security.store import CertificateStore, LeafUse

CLOCK = SystemClock()
LIMIT_S = 20.0
QUICK = Variables(retry_back_off_wait_minimum_s=1, retry_back_off_random_range_s=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_pki(tmp_path / "pki", identity="CS001", clock=CLOCK, ids=Ids())
    return tmp_path / "pki"


class Notes(CsmsObserver):
    def __init__(self) -> None:
        self.connected = 0
        self.refused: list[int] = []

    def on_connected(self, station: Any) -> None:
        self.connected += 1

    def on_refused(self, identity: str, status: int, reason: str) -> None:
        self.refused.append(status)


def config(folder: Path, csms: Csms, profile: int, **more: Any) -> StationConfig:
    url = csms.url.replace("127.0.0.1", "localhost")
    return StationConfig(
        identity="CS001",
        csms_url=url,
        security_profile=profile,
        password=read_password(folder) if profile == 2 else None,
        certificates=str(folder / "station"),
        variables=QUICK,
        **more,
    )


@asynccontextmanager
async def site(
    folder: Path,
    profile: int,
    change: Callable[[CsmsSecurity], CsmsSecurity] = lambda security: security,
    **more: Any,
) -> AsyncGenerator[tuple[Csms, SimulatedStation, Notes]]:
    notes = Notes()
    security = change(load_security(folder / "csms", profile, CLOCK))
    async with Csms(security=security, observer=notes) as csms:
        station = SimulatedStation(config(folder, csms, profile, **more))
        async with station:
            await station.charge_point.wait_accepted(timeout_s=LIMIT_S)
            yield csms, station, notes


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110  # many conditions, none of them with an event
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("version", list(OcppVersion))
def test_a_new_password_and_no_way_back_to_the_old(folder: Path, version: OcppVersion) -> None:
    """A01.FR.02, A01.FR.03, A01.FR.08."""

    async def run() -> None:
        async with site(folder, 2, versions=(version,)) as (csms, station, notes):
            assert await csms.security("CS001").change_password() == "Accepted"
            await until(lambda: notes.connected == 2 and station.charge_point.connected)
            assert csms.stations["CS001"].connected
            assert notes.refused == []
            kept = csms._security.kept_passwords
            assert kept is not None
            assert not kept.check("CS001", read_password(folder))

    run_steadily(run())


@pytest.mark.parametrize("version", list(OcppVersion))
def test_a_new_certificate(folder: Path, version: OcppVersion) -> None:
    """A02.FR.02, A02.FR.08, A02.FR.10, A02.FR.11."""
    store = CertificateStore(folder / "station", CLOCK)
    first = store.client_chain()
    assert first is not None

    async def run() -> None:
        async with site(folder, 3, versions=(version,)) as (csms, _, notes):
            assert await csms.security("CS001").renew_certificate() == "Accepted"
            await until(lambda: notes.connected == 2 and len(chains(store)) == 1)
            (second,) = chains(store)
            assert second.id != first.id
            assert second.key_id != first.key_id
            assert list(csms.stations["CS001"].signed) == ["Accepted"]

    run_steadily(run())


def chains(store: CertificateStore) -> Any:
    return store.chains(LeafUse.CHARGING_STATION)


def test_a_bad_certificate_changes_nothing(folder: Path) -> None:
    """A02.FR.07."""
    store = CertificateStore(folder / "station", CLOCK)
    before = chains(store)
    wrong = Pki(CLOCK.now()).station("CS001").chain_pem

    async def run() -> None:
        async with site(folder, 3) as (csms, station, notes):
            signer = csms._security.signer
            assert signer is not None
            signer.forge = lambda _: wrong
            await csms.security("CS001").renew_certificate()
            await until(lambda: csms.stations["CS001"].signed)
            assert list(csms.stations["CS001"].signed) == ["Rejected"]
            events = csms.stations["CS001"].security_events
            kind = "InvalidChargingStationCertificate"
            await until(lambda: any(event.type == kind for event in events))
            assert chains(store) == before
            assert station.charge_point.connected
            assert notes.connected == 1

    run_steadily(run())


def test_an_expired_certificate_is_renewed_before_anything_else(folder: Path) -> None:
    """A00.FR.429, A00.FR.430."""
    authority = load_security(folder / "csms", 3, CLOCK).signer
    assert authority is not None
    expired = Pki(CLOCK.now()).expired()
    old = Pki(CLOCK.now()).station("CS001", issuer=authority.authority.stations, **expired)
    store = CertificateStore(folder / "station", CLOCK)
    (first,) = chains(store)
    imported = store.import_leaf(LeafUse.CHARGING_STATION, old.chain_pem, old.key_pem)
    store.settle(LeafUse.CHARGING_STATION, imported.id)
    assert [chain.id for chain in chains(store)] == [imported.id] != [first.id]

    async def run() -> None:
        allowed = {"CS001"}
        async with site(folder, 3, lambda security: replace(security, accept_expired=allowed)) as (
            csms,
            _,
            notes,
        ):
            assert notes.connected == 2
            assert not csms.stations["CS001"].certificate_expired
            assert csms.stations["CS001"].registration == "Accepted"
            (renewed,) = chains(store)
            assert renewed.not_after > CLOCK.now()

    run_steadily(run())


@pytest.mark.parametrize("version", list(OcppVersion))
def test_roots_are_installed_listed_and_deleted(folder: Path, version: OcppVersion) -> None:
    """M03.FR.01, M04.FR.01, M05.FR.01."""
    new = Pki(CLOCK.now()).v2g_root

    async def run() -> None:
        async with site(folder, 3, versions=(version,)) as (csms, _, _):
            station = csms.security("CS001")
            use = "V2GRootCertificate"
            before = await station.installed_certificates(use)
            assert await station.install_certificate(use, new.pem) == "Accepted"
            after = await station.installed_certificates(use)
            (added,) = [each for each in after if each not in before]
            assert await station.delete_certificate(added.certificate_hash_data) == "Accepted"
            assert await station.installed_certificates(use) == before
            status = await station.delete_certificate(added.certificate_hash_data)
            assert status == "NotFound"

    run_steadily(run())


def test_a_better_profile_and_no_way_back(folder: Path) -> None:
    """A05.FR.04, A05.FR.05, A05.FR.06, A05.FR.07: from profile 2 to 3 at another port."""

    async def run() -> None:
        floor = ProfileFloor()

        def floored(security: CsmsSecurity) -> CsmsSecurity:
            return replace(security, floor=floor)

        better = Csms(security=floored(load_security(folder / "csms", 3, CLOCK)))
        durable = {"storage": str(folder / "station.db")}
        async with better:
            async with site(folder, 2, floored, **durable) as (csms, _, notes):
                helper = csms.security("CS001")
                url = better.url.replace("127.0.0.1", "localhost")
                assert await helper.set_network_profile(2, url, 3, interface="Any") == "Accepted"
                assert await helper.set_priority(2, 1) == "Accepted"
                first = config(folder, csms, 2, **durable)
            async with SimulatedStation(first) as station:
                await station.charge_point.wait_accepted(timeout_s=LIMIT_S)
                assert better.stations["CS001"].security_profile == 3
                assert better.stations["CS001"].connected
            again = Csms(security=csms._security, observer=notes)
            async with again, SimulatedStation(config(folder, again, 2)) as other:
                await until(lambda: other.charge_point.connect_error)
            assert set(notes.refused) == {403}

    run_steadily(run())
