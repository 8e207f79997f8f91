"""M06: when the status of which certificate is asked for, and what is shown to an EV."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ocpp_fast.errors import CallErrorReceived
from ocpp_fast.messages import OcppVersion
from ocpp_fast.security.authority import CertificateAuthority
from ocpp_fast.security.certificates import HashData, hash_data, parse_chain
from ocpp_fast.security.csr import Subject
from ocpp_fast.security.pki import Pki
from ocpp_fast.security.store import LeafUse, RootUse
from unit.blocks.security_kit import World, in_world

DAY = 86_400.0
URL = "http://ocsp.test/"


class Responder:
    """A CSMS that asks an authority."""

    def __init__(self, world: World, *, days: float = 30, url: str | None = URL) -> None:
        self.world = world
        self.pki = Pki(world.clock.now(), ocsp_url=url)
        self.authority = CertificateAuthority(
            self.pki.csms_ca,
            world.clock,
            v2g=self.pki.v2g_ca,
            status_lifetime=timedelta(days=days),
        )
        world.trust(self.pki.v2g_root, use=RootUse.V2G)
        self.url = url
        self.answer: Callable[[Any], Any] | None = None
        world.answers["GetCertificateStatus"] = self._answer

    def _answer(self, request: Any) -> Any:
        return self.right(request) if self.answer is None else self.answer(request)

    def right(self, request: Any) -> Any:
        """What a CSMS should say."""
        data = request.ocsp_request_data
        result = self.authority.status(
            HashData(
                str(data.hash_algorithm),
                data.issuer_name_hash,
                data.issuer_key_hash,
                data.serial_number,
            )
        )
        return self.world.m.GetCertificateStatusResponse(
            status="Accepted", ocsp_result=b64encode(result).decode()
        )

    def certificate(self, use: LeafUse = LeafUse.V2G, name: str = "SECC1") -> Any:
        """The station gets one."""
        store = self.world.store
        made = store.begin_key(use, Subject(common_name=name, organization="O"))
        chain = self.authority.sign(made.csr, str(use), ocsp_url=self.url)
        accepted = store.accept_signed(use, parse_chain(chain)).chain
        self.world.installed.changed(str(use))
        return accepted

    def asked(self) -> list[str]:
        """The serial numbers that were asked for."""
        return [
            each.ocsp_request_data.serial_number for each in self.world.sent("GetCertificateStatus")
        ]


@pytest.mark.parametrize("version", OcppVersion)
def test_the_status_of_all_certificates_of_the_chain_is_asked_for(
    tmp_path: Path, version: OcppVersion
) -> None:
    """M06.FR.06, M06.FR.09; also of the sub CAs."""

    async def scenario(world: World) -> None:
        responder = Responder(world)
        chain = responder.certificate()
        await world.settle(10)
        assert responder.asked() == []  # nobody to ask
        await world.connect()
        await world.settle()
        pki = responder.pki
        expected = {
            hash_data(chain.leaf, pki.v2g_ca.certificate).serial_number,
            hash_data(pki.v2g_ca.certificate, pki.v2g_upper_ca.certificate).serial_number,
            hash_data(pki.v2g_upper_ca.certificate, pki.v2g_root.certificate).serial_number,
        }
        assert set(responder.asked()) == expected
        assert len(responder.asked()) == 3
        (request, *_) = world.sent("GetCertificateStatus")
        assert request.ocsp_request_data.responder_url == URL
        for certificate in chain.certificates:
            shown = world.status.response(certificate)
            assert shown is not None
            assert shown[:1] == b"\x30"
        assert world.status.response(pki.v2g_root.certificate) is None

    in_world(scenario, tmp_path, version=version, profile=2)


def test_it_is_refreshed_within_a_week(tmp_path: Path) -> None:
    """M06.FR.10."""

    async def scenario(world: World) -> None:
        responder = Responder(world)
        responder.certificate()
        await world.connect()
        await world.settle(6.9 * DAY)
        assert len(responder.asked()) == 3
        await world.settle(0.1 * DAY)
        assert len(responder.asked()) == 6
        await world.settle(28 * DAY)
        assert 6 + 12 <= len(responder.asked()) <= 6 + 15

    in_world(scenario, tmp_path, profile=2)


def test_an_answer_that_ends_earlier_is_refreshed_earlier(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        responder = Responder(world, days=1)
        chain = responder.certificate()
        await world.connect()
        for _ in range(4 * 24):
            await world.settle(3_600)
            assert world.status.response(chain.leaf) is not None
        assert len(responder.asked()) <= 3 * 6

    in_world(scenario, tmp_path, profile=2)


def test_the_interval_is_a_setting_of_a_week_at_most(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        responder = Responder(world)
        responder.certificate()
        world.configure("InternalCtrlr", OcspRequestInterval=2 * 86_400)
        await world.connect()
        await world.settle(2.1 * DAY)
        assert len(responder.asked()) == 6

    in_world(scenario, tmp_path, profile=2)


@pytest.mark.parametrize("use", [LeafUse.V2G, LeafUse.V2G20])
def test_a_new_certificate_has_all_asked_for_anew(tmp_path: Path, use: LeafUse) -> None:
    """M06.FR.07: the new one, and the intermediates too."""

    async def scenario(world: World) -> None:
        responder = Responder(world)
        responder.certificate(use)
        await world.connect()
        await world.settle()
        before = len(responder.asked())
        chain = responder.certificate(use)
        await world.settle()
        assert len(responder.asked()) == before + 3
        assert world.status.response(chain.leaf) is not None

    in_world(scenario, tmp_path, profile=2)


def test_a_certificate_for_the_csms_changes_nothing(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        responder = Responder(world)
        responder.certificate()
        await world.connect()
        await world.settle()
        world.installed.changed("ChargingStationCertificate")
        await world.settle()
        assert len(responder.asked()) == 3

    in_world(scenario, tmp_path, profile=2)


def failures(world: World, responder: Responder) -> dict[str, Callable[[Any], Any]]:
    m = world.m

    def forged(request: Any) -> Any:
        response = responder.right(request)
        result = bytearray(b64decode(response.ocsp_result))
        result[-1] ^= 1
        return response.replace(ocsp_result=b64encode(result).decode())

    return {
        "failed": lambda _: m.GetCertificateStatusResponse(status="Failed"),
        "nothing": lambda _: m.GetCertificateStatusResponse(status="Accepted"),
        "no base64": lambda _: m.GetCertificateStatusResponse(status="Accepted", ocsp_result="%%"),
        "no OCSP": lambda _: m.GetCertificateStatusResponse(
            status="Accepted", ocsp_result=b64encode(b"hello").decode()
        ),
        "forged": forged,
        "CALLERROR": lambda _: CallErrorReceived("NotImplemented"),
    }


@pytest.mark.parametrize(
    "name", ["failed", "nothing", "no base64", "no OCSP", "forged", "CALLERROR"]
)
def test_what_cannot_be_had_is_asked_for_a_day_later(tmp_path: Path, name: str) -> None:
    """M06.FR.02, M06.FR.03, M06.FR.04, M06.FR.08 as seen from here: an answer that is none counts
    as none, and the CSMS is not asked all the time."""

    async def scenario(world: World) -> None:
        responder = Responder(world)
        chain = responder.certificate()
        responder.answer = failures(world, responder)[name]
        await world.connect()
        await world.settle(0.9 * DAY)
        assert len(responder.asked()) == 3
        assert world.status.response(chain.leaf) is None
        responder.answer = None
        await world.settle(0.2 * DAY)
        assert len(responder.asked()) == 6
        assert world.status.response(chain.leaf) is not None

    in_world(scenario, tmp_path, profile=2)


def test_what_is_known_stays_when_the_csms_fails(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        responder = Responder(world)
        chain = responder.certificate()
        await world.connect()
        await world.settle()
        responder.answer = lambda _: world.m.GetCertificateStatusResponse(status="Failed")
        await world.settle(20 * DAY)
        assert world.status.response(chain.leaf) is not None
        # Every day once it is due: not more.
        assert len(responder.asked()) <= 3 * 16

    in_world(scenario, tmp_path, profile=2)


def test_answers_survive_a_restart_and_are_not_asked_for_again(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        responder = Responder(world)
        chain = responder.certificate()
        await world.connect()
        await world.settle(DAY)
        again = await world.crash()
        assert again.status.response(chain.leaf) is not None
        await again.connect()
        await again.settle(DAY)
        assert again.sent("GetCertificateStatus") == []

    in_world(scenario, tmp_path, profile=2)


def test_answers_go_with_their_certificates(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        responder = Responder(world)
        chain = responder.certificate()
        await world.connect()
        await world.settle()
        assert sum(name.startswith("ocsp.") for name in await world.storage.state_load()) == 3
        world.store.remove(hash_data(chain.leaf, responder.pki.v2g_ca.certificate))
        world.installed.changed()
        await world.settle()
        assert not any(name.startswith("ocsp.") for name in await world.storage.state_load())

    in_world(scenario, tmp_path, profile=2)


def test_what_is_stored_and_cannot_be_read_is_asked_for(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        responder = Responder(world)
        chain = responder.certificate()
        await world.connect()
        await world.settle()
        state = await world.storage.state_load()
        name = next(each for each in state if each.startswith("ocsp."))
        world.storage.state_store({name: "rubbish!"})
        again = await world.crash()
        await again.connect()
        await again.settle()
        assert len(again.sent("GetCertificateStatus")) == 1
        assert all(again.status.response(each) for each in chain.certificates)

    in_world(scenario, tmp_path, profile=2)


def test_a_lost_link_puts_it_off(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        responder = Responder(world)
        responder.certificate()
        await world.connect()
        world.clock.call_later(0.15, world.disconnect)
        await world.settle(10)
        assert len(responder.asked()) == 2
        await world.connect()
        await world.settle()
        assert len(responder.asked()) == 4

    in_world(scenario, tmp_path, profile=2)


def test_certificates_without_responder_are_not_asked_for(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        responder = Responder(world, url=None)
        responder.certificate()
        await world.connect()
        await world.settle(10 * DAY)
        assert responder.asked() == []

    in_world(scenario, tmp_path, profile=2)
