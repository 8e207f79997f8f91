"""New certificates that the CSMS refuses: the station comes back with the old ones, and only with
those it may still use (A02, A03, M05)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ocpp_fast.messages import OcppVersion
from ocpp_fast.security.pki import Pki
from ocpp_fast.security.store import RootUse
from ocpp_fast.storage import MemoryStorage
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.certificate_kit import CertificateSite, not_yours, security_log, with_certificates
from pair.link_kit import ATTEMPTS, IDENTITY, boot, refused
from pair.station_kit import VERSIONS

versions = pytest.mark.parametrize("version", VERSIONS)


# --- A02 --------------------------------------------------------------------------------------


@versions
def test_a02_fr_08_10_the_station_switches_and_keeps_one_certificate(
    version: OcppVersion, tmp_path: Path
) -> None:
    """A02.FR.08, A02.FR.10, A00.FR.401: reconnects at once, then the old one is gone."""

    async def scenario(site: CertificateSite) -> None:
        await site.accepted(1)
        await site.renew()
        await site.until(lambda: len(site.log) == 2, limit_s=30)
        await site.accepted(1)
        first, second = site.shown
        assert first is not None
        assert second is not None
        assert first != second
        assert site.ids_in_store == {second}
        assert "DiscardedRenewedClientCertificate" not in await security_log(site)

    with_certificates(scenario, version, tmp_path)


@versions
def test_a02_fr_28_29_a_csms_that_refuses_the_new_certificate_gets_the_old_one(
    version: OcppVersion, tmp_path: Path
) -> None:
    """A02.FR.28, A02.FR.29, A03.FR.24, A03.FR.25: every entry of the list has had its attempts with
    the new one, then the old one is good; the new one is discarded, and the CSMS is told."""

    async def scenario(site: CertificateSite) -> None:
        await site.accepted(1)
        old = site.shown[0]
        site.fail = lambda dial: (
            None
            if dial.target.chain is not None and dial.target.chain.id == old
            else not_yours(dial)
        )
        await site.renew()
        await site.until(lambda: len(site.log) > 1 and site.shown[-1] != old, limit_s=30)
        await site.until(lambda: site.point.connected, limit_s=1_000)
        await site.accepted(1)
        new = site.shown[1]
        assert site.shown == [old, *[new] * (2 * ATTEMPTS), old]
        assert site.slots == [1, *[1] * ATTEMPTS, *[2] * ATTEMPTS, 1]
        assert site.ids_in_store == {old}
        await site.clock.sleep(5)
        told = [event["type"] for event in site.sent("SecurityEventNotification")]
        assert told.count("DiscardedRenewedClientCertificate") == 1
        assert site.link is not None
        site.link.cut()
        await site.clock.sleep(10)
        assert site.shown[-1] == old

    with_certificates(scenario, version, tmp_path)


@versions
def test_a02_fr_28_they_take_turns_for_as_long_as_nothing_helps(
    version: OcppVersion, tmp_path: Path
) -> None:
    """A02.FR.28, A03.FR.24 with B10.FR.08: new, old, new, old, a whole pass over the list each; and
    it is the new one that is kept when that one works in the end (A02.FR.10)."""

    async def scenario(site: CertificateSite) -> None:
        await site.accepted(1)
        old = site.shown[0]
        site.fail = not_yours
        await site.renew()
        lap = 2 * ATTEMPTS
        await site.until(lambda: len(site.log) > 4 * lap, limit_s=1e5, every_s=1)
        new = site.shown[1]
        assert new != old
        assert site.shown[1 : 1 + 4 * lap] == [*[new] * lap, *[old] * lap] * 2
        site.fail = lambda dial: (
            None
            if dial.target.chain is not None and dial.target.chain.id == new
            else not_yours(dial)
        )
        await site.accepted(1, limit_s=1e5)
        assert site.ids_in_store == {new}

    with_certificates(scenario, version, tmp_path)


@versions
def test_a02_a_power_cut_between_the_answer_and_the_reconnect(
    version: OcppVersion, tmp_path: Path
) -> None:
    """A02.FR.08: what was Accepted is on the disk; the next life tries it, then the old one."""
    storage = MemoryStorage()
    seen: list[str | None] = []

    async def first(site: CertificateSite) -> None:
        await site.accepted(1)
        seen.append(site.shown[0])
        site.fail = refused
        await site.renew()
        await site.until(lambda: len(site.ids_in_store) == 2, limit_s=30)

    def refuses_the_new_one(site: CertificateSite) -> None:
        site.fail = lambda dial: (
            None
            if dial.target.chain is not None and dial.target.chain.id == seen[0]
            else not_yours(dial)
        )

    async def second(site: CertificateSite) -> None:
        old = seen[0]
        await site.accepted(1, limit_s=1_000)
        assert old not in site.shown[: 2 * ATTEMPTS]
        assert site.ids_in_store == {old}
        await site.clock.sleep(5)
        told = [event["type"] for event in site.sent("SecurityEventNotification")]
        assert "DiscardedRenewedClientCertificate" in told

    with_certificates(first, version, tmp_path, storage=storage)
    with_certificates(second, version, tmp_path, before=refuses_the_new_one, storage=storage)


@versions
def test_a00_fr_430_an_expired_certificate_is_still_shown(
    version: OcppVersion, tmp_path: Path
) -> None:
    """A00.FR.430: whether it will do is for the CSMS to say; A00.FR.429, A02.FR.08: which keeps the
    station Pending and renews it, and the station switches at once."""

    async def run(clock: VirtualClock) -> None:
        pki = Pki(clock.now())
        site = CertificateSite(clock, version, tmp_path / "store", pki)
        (old,) = site.ids_in_store
        clock.step(timedelta(days=400))
        site.csms.on("BootNotification", boot(version, clock, "Pending", 600))
        async with site:
            await site.until(lambda: site.point.registration == "Pending", limit_s=60)
            assert site.shown == [old]
            await site.renew()
            await site.until(lambda: len(site.log) == 2, limit_s=60)
            assert site.shown[1] != old
            site.csms.on("BootNotification", boot(version, clock, "Accepted", 0))
            await site.accepted(1, limit_s=1_000)
            assert site.ids_in_store == {site.shown[1]}

    run_virtual(run)


@versions
@pytest.mark.parametrize("name", [f"{IDENTITY}1", f"x{IDENTITY}", "CS002", IDENTITY[:-1]])
def test_a02_fr_06_07_a_certificate_of_another_station_is_refused(
    name: str, version: OcppVersion, tmp_path: Path
) -> None:
    """A02.FR.06, A02.FR.07, A00.FR.511: signed by the right authority, for the right key, with a
    name that is nearly ours; the one in use stays, the CSMS is told, nothing is dialled."""

    async def scenario(site: CertificateSite) -> None:
        await site.accepted(1)
        authority = site.signer.authority
        site.signer.forge = lambda request: authority.sign(request.csr, common_name=name)
        await site.renew()
        await site.clock.sleep(30)
        assert len(site.log) == 1
        assert site.ids_in_store == {site.shown[0]}
        told = [event["type"] for event in site.sent("SecurityEventNotification")]
        assert told.count("InvalidChargingStationCertificate") == 1

    with_certificates(scenario, version, tmp_path)


@versions
@pytest.mark.parametrize("registration", ["Pending", "Accepted"])
def test_a02_fr_08_a_new_certificate_is_tried_first_whatever_was_before(
    registration: str, version: OcppVersion, tmp_path: Path
) -> None:
    """A02.FR.08, A02.FR.28: a whole lap has failed, then the CSMS is back and renews at once, while
    it keeps the station Pending or as soon as it has accepted it."""

    async def run(clock: VirtualClock) -> None:
        site = CertificateSite(clock, version, tmp_path / "store", Pki(clock.now()))
        (old,) = site.ids_in_store
        lap = 2 * ATTEMPTS
        site.fail = lambda dial: refused(dial) if len(site.log) <= lap else None
        for csms in site.at.values():
            csms.on("BootNotification", boot(version, clock, registration, 60))
        async with site:
            await site.until(lambda: site.point.registration == registration, limit_s=300)
            assert len(site.log) == lap + 1
            await site.renew()
            await site.until(lambda: len(site.log) == lap + 2, limit_s=30)
            await clock.sleep(1)
            assert site.shown[-1] != old
            assert site.ids_in_store == {site.shown[-1]}

    run_virtual(run)


@versions
def test_a02_fr_08_the_new_certificate_is_tried_at_a_slot_that_is_not_listed_any_more(
    version: OcppVersion, tmp_path: Path
) -> None:
    """A02.FR.08: the CSMS of the last good slot (B10.FR.07) renews the certificate while the list
    names only one that is dead; the reconnect is to the CSMS that has asked for it."""

    async def scenario(site: CertificateSite) -> None:
        await site.accepted(1)
        model = site.point.device_model
        model.variable("OCPPCommCtrlr", "NetworkConfigurationPriority").set("2")
        site.dead = {2}
        assert site.link is not None
        site.link.cut()
        await site.accepted(1, limit_s=300)
        old = site.shown[-1]
        await site.clock.sleep(30)
        dials = len(site.log)
        await site.renew()
        await site.until(lambda: len(site.log) > dials)
        await site.accepted(1, limit_s=300)
        assert site.shown[-1] != old
        assert site.ids_in_store == {site.shown[-1]}

    with_certificates(scenario, version, tmp_path)


# --- M05 --------------------------------------------------------------------------------------


async def install(site: CertificateSite, pem: str) -> str:
    m = site.m
    response = await site.ask(
        m.InstallCertificateRequest(certificate_type="CSMSRootCertificate", certificate=pem)
    )
    return str(response.status)


def successor(pki: Pki) -> Any:
    """A new root that the old one has signed."""
    return pki.sub_ca("CSMS Root CA 2", pki.csms_root)


@versions
@pytest.mark.parametrize("old_root", [False, True])
def test_m05_fr_12_13_the_fallback_root_stays_until_the_new_one_has_worked(
    old_root: bool, version: OcppVersion, tmp_path: Path
) -> None:
    """M05.FR.10, M05.FR.12, M05.FR.13, M05.FR.14: a connection that took the old root proves
    nothing about the new one."""

    async def run(clock: VirtualClock) -> None:
        pki = Pki(clock.now())
        site = CertificateSite(clock, version, tmp_path / "store", pki)
        site.old_root = True
        async with site:
            await site.accepted(1)
            variable = site.point.device_model.variable(
                "SecurityCtrlr", "AdditionalRootCertificateCheck"
            )
            variable.set("true")
            assert await install(site, successor(pki).pem) == "Accepted"
            assert len(site.files.fallback_roots()) == 1
            assert site.link is not None
            site.old_root = old_root
            site.link.cut()
            await site.until(lambda: len(site.log) == 2)
            await site.accepted(1)
            assert len(site.files.fallback_roots()) == (1 if old_root else 0)
            assert len(site.files.roots(RootUse.CSMS)) == 1, "M05.FR.09"
            site.old_root = False
            site.link.cut()
            await site.until(lambda: len(site.log) == 3)
            await site.accepted(1)
            assert not site.files.fallback_roots()

    run_virtual(run)
