"""The simple CSMS and the security of its stations: signing, status, passwords, profiles."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from ocpp_fast._core import Codec
from ocpp_fast.connection import Connection, ConnectionSettings
from ocpp_fast.csms import Csms, CsmsObserver, CsmsSecurity, KeyPair, Signer
from ocpp_fast.errors import (
    CallErrorReceived,
    CallTimedOut,
    ConfigurationError,
    ConnectionLost,
    ErrorCode,
    RequestRefused,
)
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion
from ocpp_fast.router import Handler, Role, Router
from ocpp_fast.security.authority import CertificateAuthority
from ocpp_fast.security.certificates import hash_data, parse_pem
from ocpp_fast.security.pki import KeyKind, Pki
from ocpp_fast.testing import VirtualClock, run_virtual
from ocpp_fast.transport.handshake import Handshake
from ocpp_fast.transport.memory import MemoryLink
from ocpp_fast.transport.picows import Accepted, Refused
from pair.station_kit import VERSIONS

versions = pytest.mark.parametrize("version", VERSIONS)
OLD, NEW = "0123456789abcdef", "fedcba9876543210"


ACTIONS = (
    "CertificateSigned", "DeleteCertificate", "GetInstalledCertificateIds", "InstallCertificate",
    "SetNetworkProfile", "SetVariables", "TriggerMessage",
)  # fmt: skip


class Peer:
    """A CSMS, and in the place of a station a connection whose answers a test gives."""

    def __init__(
        self, clock: VirtualClock, version: OcppVersion, security: Callable[[Peer], CsmsSecurity]
    ) -> None:
        self.clock = clock
        self.version = version
        self.m: Any = version.module
        self.pki = Pki(clock.now())
        self.authority = CertificateAuthority(self.pki.csms_ca, clock, v2g=self.pki.v2g_ca)
        self.signer = Signer(authority=self.authority)
        self.asked: list[Any] = []
        self.answers: dict[str, Callable[[Any], Any]] = {}
        self.refusals: list[tuple[str, int, str]] = []
        observer = CsmsObserver()
        observer.on_refused = lambda *told: self.refusals.append(told)  # type: ignore[method-assign]
        self.csms = Csms(clock=clock, ids=Ids(seed=1), security=security(self), observer=observer)
        self.connect(self.csms.listener("CS001"))

    def connect(self, listener: Any) -> None:
        self.link = MemoryLink(
            self._station,
            listener,
            clock=self.clock,
            ids=Ids(seed=3),
            subprotocol=self.version.subprotocol,
        )
        assert isinstance(self.link.left.listener, Connection)
        self.station = self.link.left.listener

    def _station(self, transport: Any) -> Connection:
        table: dict[str, Handler] = dict.fromkeys(ACTIONS, self._answer)
        return Connection(
            transport,
            Router(self.version, Role.CHARGING_STATION, [table]),
            Codec(self.version),
            clock=self.clock,
            ids=Ids(seed=2),
            settings=ConnectionSettings(),
        )

    def _answer(self, request: Any) -> Any:
        self.asked.append(request)
        action = type(request).__name__.removesuffix("Request")
        given = self.answers.get(action)
        if given is not None:
            return given(request)
        return getattr(self.m, f"{action}Response")(status="Accepted")

    async def call(self, action: str, **members: Any) -> Any:
        return await self.station.call(getattr(self.m, f"{action}Request")(**members))

    @property
    def helper(self) -> Any:
        return self.csms.security("CS001")


def play(
    version: OcppVersion,
    scenario: Callable[[Peer], Awaitable[None]],
    security: Callable[[Peer], CsmsSecurity] = lambda peer: CsmsSecurity(signer=peer.signer),
) -> None:
    async def run(clock: VirtualClock) -> None:
        peer = Peer(clock, version, security)
        try:
            await scenario(peer)
        finally:
            await peer.csms.stop()

    run_virtual(run)


def make_csr(common_name: str = "CS001", kind: KeyKind = KeyKind.EC) -> str:
    name = x509.Name([
        x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Operator"),
    ])  # fmt: skip
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    return request.sign(kind.new(), hashes.SHA256()).public_bytes(Encoding.PEM).decode()


# --- A02, A03 -------------------------------------------------------------------------------


@versions
@pytest.mark.parametrize("kind", [None, "ChargingStationCertificate", "V2GCertificate"])
def test_a_signing_request_is_signed(version: OcppVersion, kind: str | None) -> None:
    """A02.FR.11, A02.FR.14, A02.FR.25, A03.FR.11, A03.FR.14, A03.FR.21."""

    async def scenario(peer: Peer) -> None:
        more: dict[str, Any] = {} if version is OcppVersion.V201 else {"request_id": 42}
        name = "SECC-1" if kind == "V2GCertificate" else "CS001"
        response = await peer.call(
            "SignCertificate", csr=make_csr(name), certificate_type=kind, **more
        )
        assert response.status == "Accepted"
        await peer.clock.sleep(0.1)
        (signed,) = peer.asked
        assert signed.certificate_type == kind
        assert getattr(signed, "request_id", None) == more.get("request_id")
        chain = parse_pem(signed.certificate_chain)
        assert len(chain) == (3 if kind == "V2GCertificate" else 2)
        assert len(signed.certificate_chain) < 5_600, "what every station takes"
        assert list(peer.csms.stations["CS001"].signed) == ["Accepted"]

    play(version, scenario)


@versions
@pytest.mark.parametrize(
    ("csr", "why"),
    [
        (make_csr("CS002"), "is for 'CS002'"),
        (make_csr(kind=KeyKind.RSA_1024), "1024 bits"),
        ("no request", "cannot be read"),
    ],
)
def test_a_signing_request_that_cannot_be(version: OcppVersion, csr: str, why: str) -> None:
    """A02.FR.12, A03.FR.12; A00.FR.427: nobody gets a certificate of another station."""

    async def scenario(peer: Peer) -> None:
        response = await peer.call("SignCertificate", csr=csr)
        assert response.status == "Rejected"
        assert response.status_info.reason_code == "InvalidCSR"
        assert why in response.status_info.additional_info
        await peer.clock.sleep(0.1)
        assert peer.asked == []

    play(version, scenario)


def test_a_signer_can_be_slow_silent_wrong_or_unwilling() -> None:
    async def scenario(peer: Peer) -> None:
        peer.signer.refuse = True
        assert (await peer.call("SignCertificate", csr=make_csr())).status == "Rejected"
        peer.signer.refuse, peer.signer.silent = False, True
        assert (await peer.call("SignCertificate", csr=make_csr())).status == "Accepted"
        await peer.clock.sleep(100)
        assert peer.asked == []
        peer.signer.silent, peer.signer.delay_s = False, 30
        await peer.call("SignCertificate", csr=make_csr())
        await peer.clock.sleep(29)
        assert peer.asked == []
        await peer.clock.sleep(2)
        assert len(peer.asked) == 1
        wrong = peer.pki.station("CS009").chain_pem
        peer.signer.delay_s, peer.signer.forge = 0, lambda _: wrong
        peer.answers["CertificateSigned"] = lambda _: peer.m.CertificateSignedResponse(
            status="Rejected"
        )
        await peer.call("SignCertificate", csr=make_csr())
        await peer.clock.sleep(1)
        assert peer.asked[-1].certificate_chain == wrong
        assert list(peer.csms.stations["CS001"].signed) == ["Accepted", "Rejected"]

    play(OcppVersion.V21, scenario)


@versions
def test_without_an_authority_nothing_is_signed(version: OcppVersion) -> None:
    async def scenario(peer: Peer) -> None:
        assert (await peer.call("SignCertificate", csr=make_csr())).status == "Rejected"

    play(version, scenario, lambda _: CsmsSecurity())


def test_a_handler_of_ones_own_goes_first() -> None:
    async def run(clock: VirtualClock) -> None:
        pki = Pki(clock.now())
        signer = Signer(authority=CertificateAuthority(pki.csms_ca, clock))

        def answer(_station: Any, _request: Any) -> Any:
            return OcppVersion.V21.module.SignCertificateResponse(status="Rejected")

        csms = Csms(
            clock=clock, security=CsmsSecurity(signer=signer), handlers={"SignCertificate": answer}
        )
        assert csms._handlers["SignCertificate"] is answer

    run_virtual(run)


# --- M06 ------------------------------------------------------------------------------------


@versions
@pytest.mark.parametrize("revoked", [False, True])
def test_the_status_of_a_certificate(version: OcppVersion, revoked: bool) -> None:
    """M06.FR.01, M06.FR.02, M06.FR.03, M06.FR.04, M06.FR.08, M06.FR.09."""

    async def scenario(peer: Peer) -> None:
        secc = peer.pki.secc("CS001")
        if revoked:
            peer.authority.revoked.add(secc.certificate.serial_number)
        response = await ask(peer, secc.certificate, peer.pki.v2g_ca.certificate)
        assert response.status == "Accepted"
        answer = ocsp.load_der_ocsp_response(b64decode(response.ocsp_result))
        expected = ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD
        assert answer.certificate_status is expected
        assert answer.serial_number == secc.certificate.serial_number
        # What the authority cannot know.
        foreign = Pki(peer.clock.now())
        response = await ask(peer, foreign.oem_root.certificate, foreign.oem_root.certificate)
        assert response.status == "Failed"
        assert response.ocsp_result is None

    async def ask(peer: Peer, certificate: Any, issuer: Any) -> Any:
        data = hash_data(certificate, issuer)
        asked = peer.m.OCSPRequestDataType(
            hash_algorithm=data.hash_algorithm,
            issuer_name_hash=data.issuer_name_hash,
            issuer_key_hash=data.issuer_key_hash,
            serial_number=data.serial_number,
            responder_url="http://ocsp.example",
        )
        return await peer.call("GetCertificateStatus", ocsp_request_data=asked)

    play(version, scenario)


def test_the_status_of_a_chain() -> None:
    async def scenario(peer: Peer) -> None:
        m = peer.m
        good, revoked = peer.pki.secc("CS001"), peer.pki.secc("CS002")
        peer.authority.revoked.add(revoked.certificate.serial_number)
        foreign = Pki(peer.clock.now()).oem_root
        asked: list[Any] = []
        for issued in (good, revoked, foreign):
            data = hash_data(issued.certificate, (issued.issuer or issued).certificate)
            hashed = m.CertificateHashDataType(
                hash_algorithm=data.hash_algorithm,
                issuer_name_hash=data.issuer_name_hash,
                issuer_key_hash=data.issuer_key_hash,
                serial_number=data.serial_number,
            )
            asked.append(
                m.CertificateStatusRequestInfoType(
                    certificate_hash_data=hashed, source="OCSP", urls=["http://ocsp.example"]
                )
            )
        response = await peer.call("GetCertificateChainStatus", certificate_status_requests=asked)
        found = response.certificate_status
        assert [each.status for each in found] == ["Good", "Revoked", "Failed"]
        assert [each.certificate_hash_data for each in found] == [
            each.certificate_hash_data for each in asked
        ]
        assert found[0].next_update == peer.clock.now() + peer.authority.status_lifetime

    play(OcppVersion.V21, scenario)


# --- A01 ------------------------------------------------------------------------------------


def with_password(_: Peer) -> CsmsSecurity:
    return CsmsSecurity(passwords={"CS001": OLD})


def good_passwords(peer: Peer) -> list[str]:
    passwords = peer.csms._security.kept_passwords
    assert passwords is not None
    known = dict(passwords._hashes), dict(passwords._offered)
    good: list[str] = []
    for password in (OLD, NEW):
        passwords._hashes, passwords._offered = dict(known[0]), dict(known[1])
        if passwords.check("CS001", password):
            good.append(password)
    passwords._hashes, passwords._offered = known
    return good


@versions
@pytest.mark.parametrize(
    ("status", "good"),
    [
        ("Accepted", [NEW]),
        ("Rejected", [OLD]),
        ("NotSupportedAttributeType", [OLD]),
        ("RebootRequired", [OLD, NEW]),
    ],
)
def test_a_password_is_changed(version: OcppVersion, status: str, good: list[str]) -> None:
    """A01.FR.02, A01.FR.03, A01.FR.04."""

    async def scenario(peer: Peer) -> None:
        while_it_changes: list[str] = []

        def answer(request: Any) -> Any:
            while_it_changes.extend(good_passwords(peer))
            (item,) = request.set_variable_data
            assert (item.component.name, item.variable.name) == (
                "SecurityCtrlr", "BasicAuthPassword",
            )  # fmt: skip
            assert item.attribute_value == NEW
            result = peer.m.SetVariableResultType(
                attribute_status=status, component=item.component, variable=item.variable
            )
            return peer.m.SetVariablesResponse(set_variable_result=[result])

        peer.answers["SetVariables"] = answer
        assert await peer.helper.change_password(NEW) == status
        assert while_it_changes == [OLD, NEW]
        assert good_passwords(peer) == good

    play(version, scenario, with_password)


def test_a_password_change_that_fails() -> None:
    """A01.FR.04: a CALLERROR is a refusal, a lost answer leaves both."""

    async def scenario(peer: Peer) -> None:
        def refuse(_: Any) -> Any:
            raise RequestRefused(ErrorCode.SECURITY_ERROR)

        async def never(_: Any) -> Any:
            await peer.clock.sleep(1_000_000)

        peer.answers["SetVariables"] = refuse
        with pytest.raises(CallErrorReceived):
            await peer.helper.change_password(NEW)
        assert good_passwords(peer) == [OLD]
        peer.answers["SetVariables"] = never
        peer.clock.call_later(5, peer.link.cut)
        with pytest.raises((ConnectionLost, CallTimedOut)):
            await peer.helper.change_password(NEW)
        assert good_passwords(peer) == [OLD, NEW]

    play(OcppVersion.V21, scenario, with_password)


def test_a_password_of_its_own_making() -> None:
    """A01.FR.06, A01.FR.07, A00.FR.205."""

    async def scenario(peer: Peer) -> None:
        with pytest.raises(CallErrorReceived):
            await peer.helper.change_password()
        (request,) = peer.asked
        assert 16 <= len(request.set_variable_data[0].attribute_value) <= 40

    play(OcppVersion.V21, scenario, with_password)


def test_without_passwords_there_is_none_to_change() -> None:
    async def scenario(peer: Peer) -> None:
        with pytest.raises(ConfigurationError, match="does not keep the passwords"):
            await peer.helper.change_password()
        with pytest.raises(ConnectionLost):
            peer.csms.security("CS404")

    play(OcppVersion.V21, scenario, lambda _: CsmsSecurity(passwords=lambda *_: True))


# --- the other requests ---------------------------------------------------------------------


@versions
def test_what_can_be_sent(version: OcppVersion) -> None:
    async def scenario(peer: Peer) -> None:
        m, helper = peer.m, peer.helper
        assert await helper.set_network_profile(2, "wss://two.example", 3) == "Accepted"
        profile = peer.asked.pop().connection_data
        assert (profile.ocpp_csms_url, profile.security_profile) == ("wss://two.example", 3)
        assert (profile.ocpp_interface, profile.ocpp_transport) == ("Wired0", "JSON")
        if version is OcppVersion.V21:
            await helper.set_network_profile(
                2, "wss://two.example", 2, interface="Any", identity="X", basic_auth_password=NEW
            )
            profile = peer.asked.pop().connection_data
            assert (profile.identity, profile.basic_auth_password) == ("X", NEW)
        root = peer.pki.csms_root
        assert await helper.install_certificate("CSMSRootCertificate", root.pem) == "Accepted"
        assert peer.asked.pop().certificate == root.pem
        peer.answers["GetInstalledCertificateIds"] = lambda _: m.GetInstalledCertificateIdsResponse(
            status="NotFound"
        )
        assert await helper.installed_certificates("V2GRootCertificate") == []
        assert list(peer.asked.pop().certificate_type) == ["V2GRootCertificate"]
        await helper.installed_certificates()
        assert peer.asked.pop().certificate_type is None
        data = m.CertificateHashDataType(
            hash_algorithm="SHA256", issuer_name_hash="0", issuer_key_hash="0", serial_number="1"
        )
        assert await helper.delete_certificate(data) == "Accepted"
        assert await helper.renew_certificate() == "Accepted"
        assert peer.asked.pop().requested_message == "SignChargingStationCertificate"

        def answer(request: Any) -> Any:
            (item,) = request.set_variable_data
            assert item.attribute_value == "2,1"
            result = m.SetVariableResultType(
                attribute_status="Accepted", component=item.component, variable=item.variable
            )
            return m.SetVariablesResponse(set_variable_result=[result])

        peer.answers["SetVariables"] = answer
        assert await helper.set_priority(2, 1) == "Accepted"

    play(version, scenario)


# --- A00 ------------------------------------------------------------------------------------


def with_certificates(peer: Peer) -> CsmsSecurity:
    return CsmsSecurity(
        key_pairs=(KeyPair("chain.pem", "key.pem"),),
        client_roots="roots.pem",
        accept_expired={"CS001"},
        signer=peer.signer,
    )


@versions
def test_an_expired_certificate_is_renewed_first(version: OcppVersion) -> None:
    """A00.FR.429: Pending, then A02, then welcome with the new certificate."""

    async def scenario(peer: Peer) -> None:
        expired = peer.pki.station("CS001", **peer.pki.expired())
        peer.connect(admitted(peer, expired.certificate).make_listener)
        assert peer.csms.stations["CS001"].certificate_expired
        assert await boot(peer) == "Pending"
        await peer.clock.sleep(1)
        assert peer.asked.pop().requested_message == "SignChargingStationCertificate"
        response = await peer.call("SignCertificate", csr=make_csr())
        assert response.status == "Accepted"
        await peer.clock.sleep(1)
        leaf, _ = parse_pem(peer.asked.pop().certificate_chain)
        peer.connect(admitted(peer, leaf).make_listener)
        assert await boot(peer) == "Accepted"
        assert peer.csms.stations["CS001"].security_profile == 3

    def admitted(peer: Peer, certificate: x509.Certificate) -> Accepted:
        verdict = peer.csms.admit(shake(certificate))
        assert isinstance(verdict, Accepted)
        return verdict

    play(version, scenario, with_certificates)


async def boot(peer: Peer) -> str:
    station = peer.m.ChargingStationType(model="m", vendor_name="v")
    response = await peer.call("BootNotification", charging_station=station, reason="PowerUp")
    return str(response.status)


def shake(certificate: x509.Certificate) -> Handshake:
    shaken = Handshake("CS001", "/CS001", ("ocpp2.1",), None, {})
    return replace(shaken, peer_certificate=certificate.public_bytes(Encoding.DER))


def test_who_is_refused_is_told_to_the_observer() -> None:
    """A00.FR.408."""

    async def scenario(peer: Peer) -> None:
        verdict = peer.csms.admit(shake(peer.pki.station("CS002").certificate))
        assert verdict == Refused(403)
        reason = "the client certificate belongs to 'CS002'"
        assert peer.refusals == [("CS001", 403, reason)]

    play(OcppVersion.V21, scenario, with_certificates)


def test_security_events_are_kept() -> None:
    """A04.FR.03."""

    async def scenario(peer: Peer) -> None:
        now = peer.clock.now()
        await peer.call("SecurityEventNotification", type="StartupOfTheDevice", timestamp=now)
        (event,) = peer.csms.stations["CS001"].security_events
        assert event.type == "StartupOfTheDevice"

    play(OcppVersion.V21, scenario)
