"""A02, A03: a whole renewal, from the trigger to the next link, with all that can go wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ocpp_fast.connectivity.link import Target
from ocpp_fast.errors import ConnectFailed, ConnectFailure
from ocpp_fast.messages import OcppVersion
from ocpp_fast.security.certificates import to_pem
from ocpp_fast.security.store import LeafChain, LeafUse, RootUse
from pair.security_site import SERIAL, SecureSite, at_secure_site

SIGN = "SignChargingStationCertificate"


def chain(site: SecureSite) -> LeafChain:
    found = site.store.client_chain()
    assert found is not None
    return found


def refuse_new(site: SecureSite, old: LeafChain) -> None:
    """The CSMS wants the old certificate alone."""

    def refuse(target: Target) -> ConnectFailed | None:
        if target.chain is not None and target.chain.id == old.id:
            return None
        return ConnectFailed(ConnectFailure.CLIENT_CERTIFICATE, "unknown certificate")

    site.refuse = refuse


@pytest.mark.parametrize("version", OcppVersion)
def test_a_triggered_renewal(tmp_path: Path, version: OcppVersion) -> None:
    """A02.FR.02, A02.FR.03, A02.FR.08, A02.FR.10, F06.FR.04; TC_A_11_CS: a new certificate, a new
    link with it, without a boot, and the old one is gone."""

    async def scenario(site: SecureSite) -> None:
        old = chain(site)
        assert await site.trigger(SIGN) == "Accepted"
        await site.clock.sleep(10)
        new = chain(site)
        assert new.id != old.id
        assert [target.chain and target.chain.id for target in site.targets] == [old.id, new.id]
        assert site.point.connected
        assert len(site.sent("BootNotification")) == 1
        assert len(site.store.chains(LeafUse.CHARGING_STATION)) == 1
        assert site.security_events() == []
        calls = [frame[2] for _, _, frame in site.frames if frame[0] == 2]
        order = [
            calls.index(each) for each in ("TriggerMessage", "SignCertificate", "CertificateSigned")
        ]
        assert order == sorted(order)

    at_secure_site(scenario, tmp_path, version)


@pytest.mark.parametrize("version", OcppVersion)
def test_a_new_certificate_that_does_not_work_is_discarded(
    tmp_path: Path, version: OcppVersion
) -> None:
    """A02.FR.10, A02.FR.28, A02.FR.29, A03.FR.24, A03.FR.25: new, old, in turns, for each lap."""

    async def scenario(site: SecureSite) -> None:
        old = chain(site)
        refuse_new(site, old)
        assert await site.trigger(SIGN) == "Accepted"
        await site.clock.sleep(300)
        assert site.point.connected
        assert chain(site).id == old.id
        assert len(site.store.chains(LeafUse.CHARGING_STATION)) == 1
        assert site.security_events() == ["DiscardedRenewedClientCertificate"]
        # All attempts of a lap with the new one, then the old one.
        used = [target.chain.id == old.id for target in site.targets if target.chain]
        assert used == [True, False, False, False, True]

    at_secure_site(scenario, tmp_path, version)


@pytest.mark.parametrize("version", OcppVersion)
@pytest.mark.parametrize("fault", ["expired", "not_yet_valid"])
def test_a_bad_certificate_changes_nothing(
    tmp_path: Path, version: OcppVersion, fault: str
) -> None:
    """A02.FR.06, A02.FR.07, A02.FR.20; TC_A_14_CS."""

    async def scenario(site: SecureSite) -> None:
        old = chain(site)
        changes = getattr(site.pki, fault)()
        site.signer.forge = lambda request: site.authority.sign(request.csr, **changes)
        assert await site.trigger(SIGN) == "Accepted"
        await site.clock.sleep(3_600)
        assert chain(site) == old
        assert site.dials == 1
        assert site.security_events() == ["InvalidChargingStationCertificate"]
        assert len(site.sent("SignCertificate")) == 1
        # The CSMS asks again, and this time it is good.
        site.signer.forge = None
        assert await site.trigger(SIGN) == "Accepted"
        await site.clock.sleep(10)
        assert chain(site).id != old.id
        assert site.point.connected

    at_secure_site(scenario, tmp_path, version)


@pytest.mark.parametrize("version", OcppVersion)
def test_a_csms_that_does_not_answer_is_asked_again(tmp_path: Path, version: OcppVersion) -> None:
    """A02.FR.17, A02.FR.18, A02.FR.19; TC_A_23_CS."""

    async def scenario(site: SecureSite) -> None:
        assert await site.set("SecurityCtrlr.CertSigningWaitMinimum", "10") == "Accepted"
        assert await site.set("SecurityCtrlr.CertSigningRepeatTimes", "1") == "Accepted"
        site.signer.silent = True
        await site.trigger(SIGN)
        await site.clock.sleep(3_600)
        first, second, third = site.times("SignCertificate")
        assert second - first == pytest.approx(10, abs=0.5)
        assert third - second == pytest.approx(20, abs=0.5)

    at_secure_site(scenario, tmp_path, version)


def test_a_refused_request(tmp_path: Path) -> None:
    """A02.FR.12; TC_A_15_CS."""

    async def scenario(site: SecureSite) -> None:
        site.signer.refuse = True
        assert await site.trigger(SIGN) == "Accepted"
        await site.clock.sleep(3_600)
        assert len(site.sent("SignCertificate")) == 1
        assert site.security_events() == []

    at_secure_site(scenario, tmp_path)


@pytest.mark.parametrize("version", OcppVersion)
def test_a_certificate_in_its_last_month_is_renewed(tmp_path: Path, version: OcppVersion) -> None:
    """A03.FR.02, A03.FR.03, A03.FR.08, A03.FR.10."""

    async def scenario(site: SecureSite) -> None:
        old = chain(site)
        await site.clock.sleep(120)
        assert chain(site).id != old.id
        assert chain(site).not_after - site.clock.now() > timedelta(days=80)
        assert site.point.connected
        assert site.dials == 2

    def soon(site: SecureSite) -> None:
        site.own(not_after=site.clock.now() + timedelta(days=20))

    at_secure_site(scenario, tmp_path, version, before=soon)


def test_combined_certificates_are_not_implemented(tmp_path: Path) -> None:
    """F06.FR.08; TC_F_27_CS."""

    async def scenario(site: SecureSite) -> None:
        assert await site.trigger("SignCombinedCertificate") == "NotImplemented"
        assert await site.trigger("SignV2GCertificate") == "Rejected"

    at_secure_site(scenario, tmp_path)


@pytest.mark.parametrize("version", OcppVersion)
def test_certificates_can_be_renewed_while_pending(tmp_path: Path, version: OcppVersion) -> None:
    """A00.FR.406, A00.FR.806, A00.FR.807: the operator replaces what the maker has put in."""

    async def scenario(site: SecureSite) -> None:
        old = chain(site)
        assert str(site.station.charge_point.registration) == "Pending"
        assert await site.trigger(SIGN) == "Accepted"
        await site.clock.sleep(10)
        assert chain(site).id != old.id

    def pending(site: SecureSite) -> None:
        site.own()
        site.csms.on(
            "BootNotification",
            lambda _station, _request: site.m.BootNotificationResponse(
                current_time=site.clock.now(), interval=3_600, status="Pending"
            ),
        )

    at_secure_site(scenario, tmp_path, version, before=pending)


def test_v2g_certificates_and_their_status(tmp_path: Path) -> None:
    """A02.FR.13, A02.FR.22, A02.FR.23, M06.FR.06, M06.FR.07."""

    async def scenario(site: SecureSite) -> None:
        site.store.install_root(RootUse.V2G, site.pki.v2g_root.pem)
        site.put(
            "ISO15118Ctrlr",
            SeccId="DEPNX1",
            OrganizationName="CPO",
            V2GCertificateInstallationEnabled=True,
        )
        assert await site.trigger("SignV2GCertificate") == "Accepted"
        assert await site.trigger("SignV2G20Certificate") == "Accepted"
        await site.clock.sleep(10)
        for use in (LeafUse.V2G, LeafUse.V2G20):
            found = site.store.client_chain(use)
            assert found is not None
            status = site.point._parts.certificate_status
            assert status.response(found.chain.intermediates[0]) is not None
        assert site.dials == 1

    at_secure_site(scenario, tmp_path)


def test_roots_are_listed_installed_and_deleted(tmp_path: Path) -> None:
    """M03.FR.01, M03.FR.03, M04.FR.01, M04.FR.02, M05.FR.01, M05.FR.02; TC_M_01_CS and on."""

    async def scenario(site: SecureSite) -> None:
        m = site.m
        root = site.pki.root("Second CSMS root")
        request = m.InstallCertificateRequest(
            certificate_type="CSMSRootCertificate", certificate=to_pem(root.certificate)
        )
        assert (await site.ask(request)).status == "Accepted"
        found = await site.ask(m.GetInstalledCertificateIdsRequest())
        assert found.status == "Accepted"
        entries = [
            each.certificate_hash_data
            for each in found.certificate_hash_data_chain
            if each.certificate_type == "CSMSRootCertificate"
        ]
        assert len(entries) == 2
        statuses = [
            (await site.ask(m.DeleteCertificateRequest(certificate_hash_data=each))).status
            for each in entries
        ]
        assert statuses == ["Accepted", "Failed"]
        count = site.point.device_model.variable("SecurityCtrlr", "CertificateEntries").get()
        assert count == site.store.entries()

    at_secure_site(scenario, tmp_path)


def test_the_serial_number_is_the_name(tmp_path: Path) -> None:
    """A00.FR.511."""

    async def scenario(site: SecureSite) -> None:
        await site.trigger(SIGN)
        await site.clock.sleep(10)
        assert f"CN={SERIAL}" in chain(site).chain.leaf.subject.rfc4514_string()

    at_secure_site(scenario, tmp_path)
