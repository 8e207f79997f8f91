"""A02, A03: certificates of the station, from the request to the first good link."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from ocpp_fast.blocks.context import Registration
from ocpp_fast.errors import CallErrorReceived, CallTimedOut, StorageError
from ocpp_fast.messages import OcppVersion
from ocpp_fast.security import files
from ocpp_fast.security.authority import CertificateAuthority
from ocpp_fast.security.certificates import common_name, hash_data, parse_chain
from ocpp_fast.security.csr import Subject
from ocpp_fast.security.pki import KeyKind, Pki
from ocpp_fast.security.store import LeafUse, RootUse
from unit.blocks.security_kit import CALL_TAKES_S, SERIAL, World, in_world

STATION, V2G, V2G20 = "ChargingStationCertificate", "V2GCertificate", "V2G20Certificate"
SIGN = "SignChargingStationCertificate"
SECC = "DEPNX00001"


class Ca:
    """An authority, and the CSMS before it."""

    def __init__(self, world: World, **options: Any) -> None:
        self.pki = Pki(world.clock.now())
        self.authority = CertificateAuthority(
            self.pki.csms_ca, world.clock, v2g=self.pki.v2g_ca, **options
        )
        self.world = world
        world.trust(self.pki.csms_root)
        world.trust(self.pki.v2g_root, use=RootUse.V2G)

    def own(self, **changes: Any) -> None:
        """Gives the station a certificate, as its maker would."""
        store = self.world.store
        made = store.begin_key(
            LeafUse.CHARGING_STATION, Subject(common_name=SERIAL, organization="Maker")
        )
        store.accept_signed(
            LeafUse.CHARGING_STATION, parse_chain(self.authority.sign(made.csr, **changes))
        )
        chain = store.client_chain()
        assert chain is not None
        store.settle(LeafUse.CHARGING_STATION, chain.id)

    async def answer(self, number: int = -1, *, use: str | None = STATION, **changes: Any) -> Any:
        """CertificateSigned for one of the requests."""
        request = self.world.sent("SignCertificate")[number]
        chain = changes.pop("chain", None) or self.authority.sign(request.csr, use, **changes)
        return await self.give(chain, use=use, request_id=getattr(request, "request_id", None))

    async def give(
        self, chain: str, *, use: str | None = STATION, request_id: int | None = None
    ) -> Any:
        """CertificateSigned."""
        m = self.world.m
        more = {} if self.world.version is OcppVersion.V201 else {"request_id": request_id}
        request = m.CertificateSignedRequest(certificate_chain=chain, certificate_type=use, **more)
        return await self.world.ask("CertificateSigned", request)


def iso15118(world: World) -> None:
    """What a station with ISO 15118 has configured."""
    world.configure(
        "ISO15118Ctrlr",
        SeccId=SECC,
        CountryName="DE",
        OrganizationName="CPO",
        V2GCertificateInstallationEnabled=True,
        PnCEnabled=True,
    )


def keys(world: World) -> int:
    return len([*(world.folder / "keys").glob("*")])


# --- asking -------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", OcppVersion)
def test_a_trigger_makes_a_key_and_a_request(tmp_path: Path, version: OcppVersion) -> None:
    """A02.FR.02, A02.FR.03, A02.FR.05, A02.FR.13, A02.FR.24, A00.FR.509, A00.FR.511."""

    async def scenario(world: World) -> None:
        Ca(world)
        await world.connect()
        assert await world.trigger(SIGN) == "Accepted"
        (request,) = world.sent("SignCertificate")
        csr = x509.load_pem_x509_csr(request.csr.encode())
        assert csr.is_signature_valid
        assert csr.subject.rfc4514_string() == f"CN={SERIAL},O=Example Operator"
        assert csr.public_key().key_size >= 224  # type: ignore[union-attr]
        assert request.certificate_type == STATION
        assert "PRIVATE" not in request.csr
        if version is OcppVersion.V21:
            assert (request.request_id, request.hash_root_certificate) == (1, None)
        # Another one has another key.
        await world.trigger(SIGN)
        again = x509.load_pem_x509_csr(world.sent("SignCertificate")[1].csr.encode())
        assert again.public_key() != csr.public_key()
        if version is OcppVersion.V21:
            assert world.sent("SignCertificate")[1].request_id == 2

    in_world(scenario, tmp_path, version=version)


def test_private_keys_are_for_nobody_else(tmp_path: Path) -> None:
    """A02.FR.05, A03.FR.05."""

    async def scenario(world: World) -> None:
        Ca(world)
        await world.connect()
        await world.trigger(SIGN)
        (key,) = [*(world.folder / "keys").glob("*.key")]
        assert key.stat().st_mode & 0o777 == 0o600
        assert (await world.storage.state_load())["signing.requests"].count("PRIVATE") == 0

    in_world(scenario, tmp_path)


@pytest.mark.parametrize(
    ("version", "use", "trigger"),
    [
        (OcppVersion.V201, V2G, "SignV2GCertificate"),
        (OcppVersion.V21, V2G, "SignV2GCertificate"),
        (OcppVersion.V21, V2G20, "SignV2G20Certificate"),
    ],
)
def test_a_v2g_certificate_is_for_the_secc(
    tmp_path: Path, version: OcppVersion, use: str, trigger: str
) -> None:
    """A02.FR.13, A02.FR.22, A02.FR.23, A02.FR.27, A03.FR.23."""

    async def scenario(world: World) -> None:
        ca = Ca(world)
        iso15118(world)
        await world.connect()
        assert await world.trigger(trigger) == "Accepted"
        (request,) = world.sent("SignCertificate")
        assert request.certificate_type == use
        csr = x509.load_pem_x509_csr(request.csr.encode())
        assert csr.subject.rfc4514_string() == f"CN={SECC},O=CPO,C=DE"
        if version is OcppVersion.V21:
            root = hash_data(ca.pki.v2g_root.certificate)
            assert request.hash_root_certificate.serial_number == root.serial_number
            assert request.hash_root_certificate.issuer_key_hash == root.issuer_key_hash
        assert (await ca.answer(use=use)).status == "Accepted"
        chain = world.store.client_chain(LeafUse(use))
        assert chain is not None
        assert common_name(chain.chain.leaf) == SECC
        # The link to the CSMS has nothing to do with it.
        assert world.reconnects == []

    in_world(scenario, tmp_path, version=version)


@pytest.mark.parametrize("trigger", ["SignV2GCertificate", "SignV2G20Certificate"])
def test_what_is_not_configured_is_not_asked_for(tmp_path: Path, trigger: str) -> None:
    async def scenario(world: World) -> None:
        Ca(world)
        await world.connect()
        assert await world.trigger(trigger) == "Rejected"
        world.configure("ISO15118Ctrlr", V2GCertificateInstallationEnabled=True)
        assert await world.trigger(trigger) == "Rejected"  # no SeccId
        world.configure("SecurityCtrlr", OrganizationName="")
        assert await world.trigger(SIGN) == "Rejected"
        assert world.calls == []
        assert keys(world) == 0

    in_world(scenario, tmp_path)


def test_2_0_1_has_no_certificate_for_iso_15118_20(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        iso15118(world)
        assert await world.trigger("SignV2G20Certificate") == "Rejected"

    in_world(scenario, tmp_path, version=OcppVersion.V201)


def test_a_combined_certificate_is_not_implemented(tmp_path: Path) -> None:
    """F06.FR.08: no trigger for it, so TriggerMessage answers NotImplemented."""

    async def scenario(world: World) -> None:
        assert "SignCombinedCertificate" not in world.client.triggers
        assert "CustomTrigger" not in world.client.triggers

    in_world(scenario, tmp_path)


def test_while_pending_only_a_triggered_request_goes(tmp_path: Path) -> None:
    """A00.FR.806, B02.FR.02."""

    async def scenario(world: World) -> None:
        ca = Ca(world)
        ca.own(not_after=world.clock.now() + timedelta(days=3))
        await world.connect(registration=Registration.PENDING)
        await world.settle(200)
        assert world.calls == []  # A03 waits
        await world.trigger(SIGN)
        assert len(world.sent("SignCertificate")) == 1
        assert (await ca.answer()).status == "Accepted"
        assert world.reconnects == ["there is a new client certificate"]

    in_world(scenario, tmp_path)


@pytest.mark.parametrize("version", OcppVersion)
def test_a_certificate_that_does_not_come_is_asked_for_again(
    tmp_path: Path, version: OcppVersion
) -> None:
    """A02.FR.17, A02.FR.18, A02.FR.19, A03.FR.17, A03.FR.18, A03.FR.19."""

    async def scenario(world: World) -> None:
        ca = Ca(world)
        world.configure("SecurityCtrlr", CertSigningWaitMinimum=30, CertSigningRepeatTimes=2)
        times: list[float] = []

        def accept(_: Any) -> Any:
            times.append(world.clock.elapsed_s)
            return world.m.SignCertificateResponse(status="Accepted")

        world.answers["SignCertificate"] = accept
        await world.connect()
        await world.trigger(SIGN)
        await world.settle(86_400 * 2)
        pauses = [later - earlier - CALL_TAKES_S for earlier, later in pairwise(times)]
        assert pauses == pytest.approx([30, 60, 120])
        assert len({request.csr for request in world.sent("SignCertificate")}) == 1
        # The CSMS asks for it: that is another one.
        await world.trigger(SIGN)
        assert len(times) == 5
        # And an answer that comes after all is welcome.
        assert (await ca.answer(0)).status == "Accepted"
        await world.settle()

    in_world(scenario, tmp_path, version=version)


def test_the_answers_to_all_that_was_sent_may_come(tmp_path: Path) -> None:
    """TC_A_23_CS with its erratum: the same request was sent three times, and each is answered."""

    async def scenario(world: World) -> None:
        ca = Ca(world)
        world.configure("SecurityCtrlr", CertSigningWaitMinimum=10, CertSigningRepeatTimes=1)
        await world.connect()
        await world.trigger(SIGN)
        await world.settle(31)
        assert len(world.sent("SignCertificate")) == 3
        statuses = [(await ca.answer(number)).status for number in range(3)]
        assert statuses == ["Accepted", "Rejected", "Rejected"]
        await world.settle()
        assert world.told() == []

    in_world(scenario, tmp_path, version=OcppVersion.V201)


def test_a_certificate_that_comes_ends_the_asking(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        ca = Ca(world)
        await world.connect()
        await world.trigger(SIGN)
        await ca.answer()
        await world.settle(10_000)
        assert len(world.sent("SignCertificate")) == 1
        assert (await world.storage.state_load())["signing.requests"] == (
            '{"last_id":1,"requests":[]}'
        )

    in_world(scenario, tmp_path)


def test_a_refused_request_is_not_repeated(tmp_path: Path) -> None:
    """A02.FR.12 as seen from here: nothing more is asked, and the key is forgotten."""

    async def scenario(world: World) -> None:
        Ca(world)
        world.answers["SignCertificate"] = lambda _: world.m.SignCertificateResponse(
            status="Rejected"
        )
        await world.connect()
        await world.trigger(SIGN)
        await world.settle(40_000)
        assert len(world.sent("SignCertificate")) == 1
        assert keys(world) == 0
        # It is no matter of ISO 15118.
        assert world.model.variable("ISO15118Ctrlr", "PnCEnabled").source() == "default"

    in_world(scenario, tmp_path)


def test_a_refused_v2g_request_turns_plug_and_charge_off_until_a_restart(tmp_path: Path) -> None:
    """A02.FR.21."""

    async def scenario(world: World) -> None:
        Ca(world)
        iso15118(world)
        world.answers["SignCertificate"] = lambda _: world.m.SignCertificateResponse(
            status="Rejected"
        )
        await world.connect()
        await world.trigger("SignV2GCertificate")
        enabled = world.model.variable("ISO15118Ctrlr", "PnCEnabled")
        assert enabled.get() is False
        await world.model.drained()
        again = await world.crash()
        assert again.model.variable("ISO15118Ctrlr", "PnCEnabled").get() is True
        assert "signing.pnc_off" not in await again.storage.state_load()
        third = await again.crash()
        assert third.model.variable("ISO15118Ctrlr", "PnCEnabled").get() is True

    in_world(scenario, tmp_path)


def test_plug_and_charge_stays_off_if_the_csms_wants_it_off(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        Ca(world)
        iso15118(world)
        world.answers["SignCertificate"] = lambda _: world.m.SignCertificateResponse(
            status="Rejected"
        )
        await world.connect()
        await world.trigger("SignV2GCertificate")
        await world.set("PnCEnabled", "true", component="ISO15118Ctrlr")
        await world.set("PnCEnabled", "false", component="ISO15118Ctrlr")
        await world.model.drained()
        again = await world.crash()
        assert again.model.variable("ISO15118Ctrlr", "PnCEnabled").get() is False

    in_world(scenario, tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        CallErrorReceived("NotSupported"),
        CallTimedOut("SignCertificate", "1", 30),
    ],
    ids=["CALLERROR", "silence"],
)
def test_a_failed_request_is_sent_again_as_often_as_any(tmp_path: Path, error: Exception) -> None:
    async def scenario(world: World) -> None:
        Ca(world)
        world.configure("SecurityCtrlr", CertSigningWaitMinimum=30, CertSigningRepeatTimes=1)
        world.answers["SignCertificate"] = lambda _: error
        await world.connect()
        await world.trigger(SIGN)
        await world.settle(80_000)
        assert len(world.sent("SignCertificate")) == 3

    in_world(scenario, tmp_path)


def test_without_a_link_a_request_waits_for_the_next_one(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        Ca(world)
        await world.connect()
        world.clock.call_later(CALL_TAKES_S / 2, world.disconnect)
        await world.trigger(SIGN)
        await world.settle(1_000)
        assert len(world.sent("SignCertificate")) == 1
        await world.connect()
        await world.settle()
        first, second = world.sent("SignCertificate")
        assert first == second

    in_world(scenario, tmp_path)


def test_a_request_that_the_version_cannot_say_waits_for_one_that_can(tmp_path: Path) -> None:
    """The CSMS may choose another version for the next link."""

    async def scenario(world: World) -> None:
        Ca(world)
        iso15118(world)
        await world.connect()
        world.clock.call_later(CALL_TAKES_S / 2, world.disconnect)
        await world.trigger("SignV2G20Certificate")
        world.context.use_version(OcppVersion.V201)
        await world.connect()
        await world.settle()
        assert len(world.calls) == 1
        world.disconnect()
        world.context.use_version(OcppVersion.V21)
        await world.connect()
        await world.settle()
        assert [each.certificate_type for each in world.calls] == [V2G20, V2G20]

    in_world(scenario, tmp_path)


def test_what_is_over_is_forgotten(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        ca = Ca(world)
        await world.connect()
        for number in range(5):
            await world.trigger(SIGN)
            if number % 2:
                await ca.answer()
        world.answers["SignCertificate"] = lambda _: world.m.SignCertificateResponse(
            status="Rejected"
        )
        await world.trigger(SIGN)
        await world.settle(40_000)
        client = world.client
        assert (client._due, client._triggered, client._timers) == (set(), set(), {})

    in_world(scenario, tmp_path)


def test_variables_that_are_not_there_mean_never_again(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        Ca(world)
        await world.connect()
        world.model.variable("SecurityCtrlr", "CertSigningWaitMinimum")
        world.configure("SecurityCtrlr", CertSigningRepeatTimes=0, CertSigningWaitMinimum=5)
        await world.trigger(SIGN)
        await world.settle(30_000)
        assert len(world.sent("SignCertificate")) == 2

    in_world(scenario, tmp_path)


# --- judging ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", OcppVersion)
def test_a_good_certificate_is_tried_and_the_old_one_discarded(
    tmp_path: Path, version: OcppVersion
) -> None:
    """A02.FR.08, A02.FR.10, A03.FR.08, A03.FR.10."""

    async def scenario(world: World) -> None:
        ca = Ca(world)
        ca.own()
        old = await world.connect()
        assert old is not None
        await world.trigger(SIGN)
        assert (await ca.answer()).status == "Accepted"
        assert world.reconnects == ["there is a new client certificate"]
        new = world.store.client_chain()
        assert new is not None
        assert new.id != old.id
        assert world.store.client_chain(old=True) == old  # A02.FR.28, A03.FR.24: the way back
        world.disconnect()
        await world.connect()
        await world.settle()
        kept = world.store.chains(LeafUse.CHARGING_STATION)
        assert [each.id for each in kept] == [new.id]
        assert keys(world) == 1
        assert world.told() == []
        assert await world.logged() == ["ReconfigurationOfSecurityParameters"]

    in_world(scenario, tmp_path, version=version)


def test_a_certificate_that_the_csms_refuses_in_use_is_discarded(tmp_path: Path) -> None:
    """A02.FR.10, A02.FR.28, A02.FR.29, A03.FR.10, A03.FR.24, A03.FR.25."""

    async def scenario(world: World) -> None:
        ca = Ca(world)
        ca.own()
        old = await world.connect()
        await world.trigger(SIGN)
        await ca.answer()
        world.disconnect()
        await world.connect(old=True)
        await world.settle()
        assert world.store.client_chain() == old
        assert len(world.store.chains(LeafUse.CHARGING_STATION)) == 1
        assert world.told() == ["DiscardedRenewedClientCertificate"]

    in_world(scenario, tmp_path)


def foreign(ca: Ca, csr: str, **changes: Any) -> str:
    """Signed by an authority that has the name of ours."""
    other = Pki(ca.world.clock.now())
    return CertificateAuthority(other.csms_ca, ca.world.clock).sign(csr, **changes)


BAD: dict[str, Callable[[Ca, str], str]] = {
    "expired": lambda ca, csr: ca.authority.sign(csr, **ca.pki.expired()),
    "not yet valid": lambda ca, csr: ca.authority.sign(csr, **ca.pki.not_yet_valid()),
    "foreign": foreign,
    "wrong CN": lambda ca, csr: ca.authority.sign(csr, common_name="SN-0002"),
    "wrong O": lambda ca, csr: ca.authority.sign(csr, organization="Somebody else"),
    "no O": lambda ca, csr: ca.authority.sign(csr, organization=None),
    "an authority": lambda ca, csr: ca.authority.sign(csr, authority=True),
    "self signed": lambda ca, _: ca.pki.root(SERIAL).pem,
    "another key": lambda ca, _: ca.pki.station(SERIAL, organization="Example Operator").chain_pem,
    "a root": lambda ca, _: ca.pki.csms_root.pem,
    "no certificate": lambda _, csr: csr,
    "no text": lambda _ca, _csr: "",
    "rubbish": lambda _ca, _csr: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "cut off": lambda ca, csr: ca.authority.sign(csr)[:500],
    "no chain": lambda ca, csr: (
        ca.authority.sign(csr).split("-----END")[0] + "-----END CERTIFICATE-----\n"
    ),
}


@pytest.mark.parametrize("version", OcppVersion)
@pytest.mark.parametrize("name", BAD)
def test_a_bad_certificate_never_replaces_a_good_one(
    tmp_path: Path, version: OcppVersion, name: str
) -> None:
    """A02.FR.06, A02.FR.07, A02.FR.20, A03.FR.06, A03.FR.07: refused, discarded, told, and not
    asked for again; TC_A_14_CS."""

    async def scenario(world: World) -> None:
        ca = Ca(world)
        ca.own()
        old = await world.connect()
        await world.trigger(SIGN)
        (request,) = world.sent("SignCertificate")
        response = await ca.answer(chain=BAD[name](ca, request.csr) or " ")
        assert response.status == "Rejected"
        assert response.status_info.reason_code == "InvalidCertificate"
        assert len(response.status_info.additional_info) > 10
        await world.settle(30_000)
        assert world.told() == ["InvalidChargingStationCertificate"]
        assert world.store.chains(LeafUse.CHARGING_STATION) == (old,)
        assert world.reconnects == []
        assert len(world.sent("SignCertificate")) == 1
        # The right one may still come.
        assert (await ca.answer()).status == "Accepted"

    in_world(scenario, tmp_path, version=version)


def test_a_weak_key_of_the_authority_is_refused(tmp_path: Path) -> None:
    """A00.FR.501, A00.FR.502, A02.FR.06."""

    async def scenario(world: World) -> None:
        ca = Ca(world)
        weak = ca.pki.sub_ca("Weak", ca.pki.csms_root, key=KeyKind.RSA_1024)
        await world.connect()
        await world.trigger(SIGN)
        (request,) = world.sent("SignCertificate")
        chain = CertificateAuthority(weak, world.clock).sign(request.csr)
        assert (await ca.answer(chain=chain)).status == "Rejected"

    in_world(scenario, tmp_path)


def test_a_chain_that_is_too_long_is_refused_unread(tmp_path: Path) -> None:
    """A02.FR.16, A03.FR.16: MaxCertificateChainSize."""

    async def scenario(world: World) -> None:
        ca = Ca(world)
        world.configure("SecurityCtrlr", MaxCertificateChainSize=1_000)
        await world.connect()
        await world.trigger(SIGN)
        response = await ca.answer()
        assert response.status == "Rejected"
        assert response.status_info.reason_code == "TooLargeElement"
        await world.settle()
        assert world.told() == []
        world.configure("SecurityCtrlr", MaxCertificateChainSize=10_000)
        assert (await ca.answer()).status == "Accepted"

    in_world(scenario, tmp_path)


def test_an_unknown_request_id_is_refused(tmp_path: Path) -> None:
    """A02.FR.26, A03.FR.22."""

    async def scenario(world: World) -> None:
        ca = Ca(world)
        await world.connect()
        await world.trigger(SIGN)
        (request,) = world.sent("SignCertificate")
        chain = ca.authority.sign(request.csr)
        for number in (0, 2, -1):
            response = await ca.give(chain, request_id=number)
            assert (response.status, response.status_info.reason_code) == ("Rejected", "NotFound")
        await world.settle()
        assert world.told() == []
        assert (await ca.give(chain, request_id=request.request_id)).status == "Accepted"
        # The same once more is of no request any more.
        assert (await ca.give(chain, request_id=request.request_id)).status == "Rejected"

    in_world(scenario, tmp_path)


def test_the_id_of_one_request_does_not_fit_the_key_of_another(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        ca = Ca(world)
        await world.connect()
        await world.trigger(SIGN)
        await world.trigger(SIGN)
        first, second = world.sent("SignCertificate")
        chain = ca.authority.sign(first.csr)
        assert (await ca.give(chain, request_id=second.request_id)).status == "Rejected"
        assert (await ca.give(chain, request_id=first.request_id)).status == "Accepted"
        assert (await ca.answer()).status == "Accepted"

    in_world(scenario, tmp_path)


def test_id_and_type_may_be_left_out(tmp_path: Path) -> None:
    """A02.FR.14 and A02.FR.25 are recommendations to the CSMS; the key says which request it is."""

    async def scenario(world: World) -> None:
        ca = Ca(world)
        iso15118(world)
        await world.connect()
        await world.trigger("SignV2GCertificate")
        await world.trigger(SIGN)
        v2g, station = world.sent("SignCertificate")
        response = await ca.give(ca.authority.sign(v2g.csr, V2G), use=None)
        assert response.status == "Accepted"
        assert world.reconnects == []
        response = await ca.give(ca.authority.sign(station.csr), use=None)
        assert response.status == "Accepted"
        assert len(world.reconnects) == 1

    in_world(scenario, tmp_path)


def test_nothing_that_was_not_asked_for_is_taken(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        ca = Ca(world)
        ca.own()
        old = await world.connect()
        issued = ca.pki.station(SERIAL, organization="Example Operator")
        assert (await ca.give(issued.chain_pem)).status == "Rejected"
        await world.settle()
        assert world.told() == ["InvalidChargingStationCertificate"]
        # One for a key that is here, but was not asked for: a late second answer.
        assert old is not None
        assert (await ca.give(old.chain.pem)).status == "Rejected"
        await world.settle()
        assert len(world.told()) == 1
        assert world.store.chains(LeafUse.CHARGING_STATION) == (old,)

    in_world(scenario, tmp_path)


def test_without_a_root_no_certificate_can_be_judged(tmp_path: Path) -> None:
    """A02.FR.06: it has to be part of the operator's hierarchy."""

    async def scenario(world: World) -> None:
        pki = Pki(world.clock.now())
        await world.connect()
        await world.trigger(SIGN)
        (request,) = world.sent("SignCertificate")
        chain = CertificateAuthority(pki.csms_ca, world.clock).sign(request.csr)
        m = world.m
        response = await world.ask(
            "CertificateSigned",
            m.CertificateSignedRequest(certificate_chain=chain, certificate_type=STATION),
        )
        assert response.status == "Rejected"

    in_world(scenario, tmp_path)


@pytest.mark.parametrize("profile", [1, 2])
def test_in_other_profiles_the_link_stays(tmp_path: Path, profile: int) -> None:
    async def scenario(world: World) -> None:
        ca = Ca(world)
        await world.connect()
        await world.trigger(SIGN)
        assert (await ca.answer()).status == "Accepted"
        assert world.reconnects == []
        assert world.store.client_chain() is not None

    in_world(scenario, tmp_path, profile=profile)


def test_a_disk_that_fails_is_no_fault_of_the_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(world: World) -> None:
        ca = Ca(world)
        await world.connect()
        await world.trigger(SIGN)

        def fail(*_: Any) -> Any:
            raise StorageError("disk", "keep", "full")

        with monkeypatch.context() as patch:
            patch.setattr(world.store, "accept_signed", fail)
            response = await ca.answer()
        assert (response.status, response.status_info.reason_code) == ("Rejected", "OutOfStorage")
        await world.settle()
        assert world.told() == []
        assert (await ca.answer()).status == "Accepted"

    in_world(scenario, tmp_path)


def test_of_v2g_certificates_the_newest_is_used(tmp_path: Path) -> None:
    """A02.FR.15, A03.FR.15."""

    async def scenario(world: World) -> None:
        ca = Ca(world)
        iso15118(world)
        await world.connect()
        for _ in range(2):
            await world.trigger("SignV2GCertificate")
            assert (await ca.answer(use=V2G)).status == "Accepted"
            await world.settle(3_600)
        chain = world.store.client_chain(LeafUse.V2G)
        newest = max(world.store.chains(LeafUse.V2G), key=lambda each: each.not_before)
        assert chain == newest
        assert world.clock.now() - newest.not_before < timedelta(hours=2, seconds=60)

    in_world(scenario, tmp_path)


# --- renewal ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", OcppVersion)
@pytest.mark.parametrize(("days", "renewed"), [(29.9, True), (30.1, False), (-1, True)])
def test_a_certificate_is_renewed_in_its_last_month(
    tmp_path: Path, version: OcppVersion, days: float, renewed: bool
) -> None:
    """A03.FR.02, A03.FR.03, A03.FR.13, A03.FR.20: also when it has expired already (A00.FR.430)."""

    async def scenario(world: World) -> None:
        ca = Ca(world)
        now = world.clock.now()
        ca.own(not_before=now - timedelta(days=335), not_after=now + timedelta(days=days))
        await world.connect()
        await world.settle(59)
        assert world.calls == []
        await world.settle(2)
        assert len(world.sent("SignCertificate")) == renewed
        if renewed:
            (request,) = world.sent("SignCertificate")
            assert request.certificate_type == STATION
            assert getattr(request, "request_id", 1) == 1

    in_world(scenario, tmp_path, version=version)


def test_the_threshold_is_a_setting(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        ca = Ca(world)
        ca.own(not_after=world.clock.now() + timedelta(days=59))
        world.configure("InternalCtrlr", ClientCertificateRenewalDays=60)
        await world.connect()
        await world.settle(61)
        assert len(world.sent("SignCertificate")) == 1

    in_world(scenario, tmp_path)


def test_it_is_looked_at_again_and_again(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        ca = Ca(world)
        ca.own(not_after=world.clock.now() + timedelta(days=40))
        await world.connect()
        await world.settle(9 * 86_400)
        assert world.calls == []
        await world.settle(1.6 * 86_400)
        assert len(world.sent("SignCertificate")) >= 1

    in_world(scenario, tmp_path)


def test_what_was_due_offline_is_done_when_the_csms_accepts(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        ca = Ca(world)
        ca.own(not_after=world.clock.now() + timedelta(days=3))
        await world.settle(10_000)
        await world.connect()
        await world.settle()
        assert len(world.sent("SignCertificate")) == 1

    in_world(scenario, tmp_path)


def test_one_request_at_a_time(tmp_path: Path) -> None:
    """A CSMS that accepts and never answers is asked at every look, and a few times between."""

    async def scenario(world: World) -> None:
        ca = Ca(world)
        ca.own(not_after=world.clock.now() + timedelta(days=3))
        world.configure("SecurityCtrlr", CertSigningWaitMinimum=30_000, CertSigningRepeatTimes=2)
        await world.connect()
        await world.settle(2 * 86_400)
        ids = [request.request_id for request in world.sent("SignCertificate")]
        assert ids == [1, 1, 1]
        assert keys(world) == 2

    in_world(scenario, tmp_path)


@pytest.mark.parametrize("profile", [0, 1, 2])
def test_a_certificate_that_is_not_in_use_is_not_renewed(tmp_path: Path, profile: int) -> None:
    async def scenario(world: World) -> None:
        ca = Ca(world)
        ca.own(not_after=world.clock.now() + timedelta(days=3))
        await world.connect()
        await world.settle(86_400)
        assert world.sent("SignCertificate") == []

    in_world(scenario, tmp_path, profile=profile)


def test_v2g_certificates_are_renewed_too(tmp_path: Path) -> None:
    """A03.FR.02 for V2GCertificate and V2G20Certificate."""

    async def scenario(world: World) -> None:
        ca = Ca(world, lifetime=timedelta(days=20))
        iso15118(world)
        await world.connect()
        for trigger, use in (("SignV2GCertificate", V2G), ("SignV2G20Certificate", V2G20)):
            await world.trigger(trigger)
            assert (await ca.answer(use=use)).status == "Accepted"
        await world.settle(61)
        uses = [request.certificate_type for request in world.sent("SignCertificate")]
        assert uses == [V2G, V2G20, V2G, V2G20]
        world.configure("ISO15118Ctrlr", V2GCertificateInstallationEnabled=False)
        await world.settle(10 * 86_400)
        assert {r.request_id for r in world.sent("SignCertificate")} == {1, 2, 3, 4}

    in_world(scenario, tmp_path, profile=2)


def test_a_station_without_certificates_makes_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "none"

    async def scenario(world: World) -> None:
        world.context.connection = world  # type: ignore[assignment]
        world.accept()
        await world.settle(3 * 86_400)
        assert not folder.exists()

    in_world(scenario, folder, profile=1)


# --- restarts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", OcppVersion)
def test_an_answer_finds_its_request_after_a_restart(tmp_path: Path, version: OcppVersion) -> None:
    async def scenario(world: World) -> None:
        ca = Ca(world)
        ca.own()
        await world.connect()
        await world.trigger(SIGN)
        (request,) = world.sent("SignCertificate")
        again = await world.crash()
        await again.connect()
        ca.world = again
        chain = ca.authority.sign(request.csr)
        response = await ca.give(chain, request_id=getattr(request, "request_id", None))
        assert response.status == "Accepted"
        assert again.reconnects == ["there is a new client certificate"]

    in_world(scenario, tmp_path, version=version)


def test_the_back_off_goes_on_after_a_restart(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        Ca(world)
        world.configure("SecurityCtrlr", CertSigningWaitMinimum=100, CertSigningRepeatTimes=1)
        await world.model.drained()
        await world.connect()
        await world.trigger(SIGN)
        await world.settle(101)
        assert len(world.sent("SignCertificate")) == 2
        again = await world.crash()
        await again.connect()
        await again.settle(199)
        assert again.sent("SignCertificate") == []
        await again.settle(2)
        assert len(again.sent("SignCertificate")) == 1
        await again.settle(30_000)
        assert len(again.sent("SignCertificate")) == 1

    in_world(scenario, tmp_path)


def test_a_new_certificate_is_tried_after_a_restart(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        ca = Ca(world)
        ca.own()
        old = await world.connect()
        await world.trigger(SIGN)
        await ca.answer()
        again = await world.crash()
        assert again.store.client_chain(old=True) == old
        new = await again.connect()
        assert new is not None
        assert old is not None
        assert new.id != old.id
        assert len(again.store.chains(LeafUse.CHARGING_STATION)) == 1

    in_world(scenario, tmp_path)


def test_requests_that_cannot_be_read_are_begun_anew(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        Ca(world)
        world.storage.state_store({"signing.requests": "rubbish"})
        again = await world.crash()
        await again.connect()
        assert await again.trigger(SIGN) == "Accepted"
        assert len(again.sent("SignCertificate")) == 1

    in_world(scenario, tmp_path)


class PowerCut(BaseException):
    """Nothing happens after it."""


def test_a_power_cut_at_any_step_leaves_a_certificate_that_works(tmp_path: Path) -> None:
    """A02.FR.08, A02.FR.10: at each write to the storage or the disk the power fails; the station
    that starts again has a certificate that the CSMS takes, the old one or the new one."""

    async def scenario(first: World) -> None:
        cuts = 0
        for step in range(100):
            folder = tmp_path / str(step)
            world = World(first.clock, folder)
            await world.start()
            ca = Ca(world)
            ca.own()
            old = await world.connect()
            assert old is not None
            cut, proved = await _renew_until(world, ca, step)
            again = await world.crash()
            chain = again.store.client_chain()
            assert chain is not None, step
            # It is whole, and its key is its own.
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
                chain.chain_file, chain.key_file
            )
            if not proved:  # What was good is still there.
                assert old.id in {
                    chain.id,
                    getattr(again.store.client_chain(old=True), "id", None),
                }, step
            await again.connect()
            assert len(again.store.chains(LeafUse.CHARGING_STATION)) == 1
            await again.crash()
            if not cut:
                assert chain.id != old.id
                break
            cuts += 1
        else:
            raise AssertionError("it never ends")
        assert cuts >= 8

    in_world(scenario, tmp_path)


async def _renew_until(world: World, ca: Ca, step: int) -> tuple[bool, bool]:
    """Renews the certificate, with a cut at the `step`th write; whether there was one, and whether
    there was a link with the new one."""
    left, proved = step, False

    def count() -> None:
        nonlocal left
        if left == 0:
            raise PowerCut
        left -= 1

    def guarded(plain: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            count()
            done = plain(*arguments, **options)
            count()
            return done

        return run

    with pytest.MonkeyPatch.context() as patch:
        for name in ("write", "remove", "move"):
            patch.setattr(files, name, guarded(getattr(files, name)))
        patch.setattr(world.storage, "state_store", guarded(world.storage.state_store))
        try:
            await world.trigger(SIGN)
            await ca.answer()
            await world.settle(0.1)
            world.disconnect()
            proved = True
            await world.connect()
            await world.settle(0.1)
        except PowerCut:
            return True, proved
    return False, proved
