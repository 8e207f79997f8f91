"""What one dial is made with: slot, network, password, client certificate."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from typing import Any

import pytest

from ocpp_fast.callbacks import Callbacks, NetworkReady
from ocpp_fast.config import StationConfig, Variables
from ocpp_fast.connectivity import Attempt, Generation
from ocpp_fast.connectivity.link import Link, Target
from ocpp_fast.connectivity.slots import NetworkSlot
from ocpp_fast.dialling import Dialler
from ocpp_fast.errors import ConnectFailed, ConnectFailure
from ocpp_fast.testing import VirtualClock, run_virtual

NEW, OLD = Generation.NEW, Generation.OLD
SLOT = NetworkSlot(
    slot=1,
    csms_url="ws://csms.test/ocpp",
    security_profile=1,
    interface="Wired0",
    ocpp_transport="JSON",
    message_timeout_s=30.0,
    identity="CS001",
    password="new password 123",
    apn=None,
    vpn=None,
)
REFUSED = ConnectFailed(ConnectFailure.HTTP, "401 Unauthorized", 401)


class FakeSlots:
    last_good = None

    def __init__(self, slot: NetworkSlot, password: str | None) -> None:
        self.slot = slot
        self.common = self
        self.password = password

    def read(self, slot: int, *, former: bool = False) -> NetworkSlot:
        if slot != self.slot.slot:
            raise ConnectFailed(ConnectFailure.SLOT, f"slot {slot}: empty")
        return self.slot


class FakePasswords:
    previous: str | None = None


class FakeTls:
    def client_chain(self, *, old: bool) -> str:
        return "old chain" if old else "new chain"


class Scene:
    """A dialler whose WebSockets open, or fail as `error` says."""

    def __init__(
        self,
        clock: VirtualClock,
        *,
        slot: NetworkSlot = SLOT,
        interfaces: dict[str, str] | None = None,
        configure: Any = None,
        password: str | None = SLOT.password,
    ) -> None:
        self.targets: list[Target] = []
        self.error: ConnectFailed | None = None
        self.passwords = FakePasswords()
        callbacks: Any = object.__new__(Callbacks)
        object.__setattr__(callbacks, "configure_network_connection_profile_callback", configure)
        slots: Any = FakeSlots(slot, password)
        tls: Any = FakeTls()
        self.dialler = Dialler(
            StationConfig(identity="CS001", csms_url="ws://h", interfaces=interfaces or {}),
            slots,
            self.passwords,
            callbacks,
            tls=lambda: tls,
            variables=lambda: Variables(network_config_timeout_s=5),
            clock=clock,
            opener=self._open,
        )

    async def _open(self, _make: object, target: Target) -> Link:
        self.targets.append(target)
        if self.error is not None:
            raise self.error
        connection: Any = object()
        return Link(connection, target)

    async def dial(self, generation: Generation = NEW, slot: int = 1) -> Target | ConnectFailed:
        make: Any = None
        try:
            return (await self.dialler.open(Attempt(slot, generation), make)).target
        except ConnectFailed as error:
            return error

    async def passwords_of(self, *generations: Generation) -> list[str | None]:
        for generation in generations:
            await self.dial(generation)
        return [target.password for target in self.targets]


def test_a00_fr_203_302_the_password_of_the_slot_goes_with_every_dial() -> None:
    """A00.FR.203, A00.FR.302: in profiles 1 and 2, and in no other."""

    async def scenario(clock: VirtualClock) -> None:
        for profile, wanted in ((0, None), (1, SLOT.password), (2, SLOT.password), (3, None)):
            scene = Scene(clock, slot=replace(SLOT, security_profile=profile))
            assert await scene.passwords_of(NEW, OLD) == [wanted, wanted]

    run_virtual(scenario)


def test_a02_fr_28_the_client_certificate_follows_the_lap() -> None:
    """A02.FR.28, A03.FR.24: profile 3 alone takes one, the old one in laps of the old one."""

    async def scenario(clock: VirtualClock) -> None:
        scene = Scene(clock, slot=replace(SLOT, security_profile=3))
        await scene.dial(NEW)
        await scene.dial(OLD)
        assert [target.chain for target in scene.targets] == ["new chain", "old chain"]
        plain = Scene(clock)
        await plain.dial(OLD)
        assert plain.targets[0].chain is None

    run_virtual(scenario)


def test_a01_a_refused_password_gives_the_turn_to_the_other() -> None:
    """A01: as long as there is one to go back to; the next refusal gives the turn back."""

    async def scenario(clock: VirtualClock) -> None:
        scene = Scene(clock)
        scene.passwords.previous = "old password 123"
        scene.error = REFUSED
        tried = await scene.passwords_of(NEW, NEW, NEW)
        assert tried == [SLOT.password, "old password 123", SLOT.password]

    run_virtual(scenario)


def test_a01_no_other_failure_gives_the_turn_away() -> None:
    """A01.FR.03: the CSMS is to take the new password and no other; as long as it has not refused
    that, going back would lock the station out."""

    async def scenario(clock: VirtualClock) -> None:
        scene = Scene(clock)
        scene.passwords.previous = "old password 123"
        scene.error = ConnectFailed(ConnectFailure.NETWORK, "nobody there")
        tried = await scene.passwords_of(NEW, NEW, OLD)
        assert tried == [SLOT.password] * 3

    run_virtual(scenario)


def test_a01_with_one_password_a_refusal_changes_nothing() -> None:
    async def scenario(clock: VirtualClock) -> None:
        scene = Scene(clock)
        scene.error = REFUSED
        assert await scene.passwords_of(NEW, OLD, NEW) == [SLOT.password] * 3
        # Nor does it count later, when there are two.
        scene.passwords.previous = "old password 123"
        assert (await scene.passwords_of(NEW))[-1] == SLOT.password

    run_virtual(scenario)


def test_no_other_csms_learns_the_old_password() -> None:
    """A01: it was replaced in SecurityCtrlr; a slot with a password of its own has never had it."""

    async def scenario(clock: VirtualClock) -> None:
        scene = Scene(clock, password="of SecurityCtrlr")
        scene.passwords.previous = "old password 123"
        scene.error = REFUSED
        assert await scene.passwords_of(NEW, NEW, OLD) == [SLOT.password] * 3

    run_virtual(scenario)


def test_which_password_it_was_is_known() -> None:
    async def scenario(clock: VirtualClock) -> None:
        scene = Scene(clock)
        scene.passwords.previous = "old password 123"
        scene.error = REFUSED
        await scene.dial(NEW)
        await scene.dial(NEW)
        assert [target.password_generation for target in scene.targets] == [NEW, OLD]

    run_virtual(scenario)


def test_no_password_shows_in_a_repr() -> None:
    async def scenario(clock: VirtualClock) -> None:
        scene = Scene(clock)
        target = await scene.dial()
        assert "new password" not in repr(target)

    run_virtual(scenario)


def test_the_interface_of_the_slot_is_the_device_of_the_configuration() -> None:
    async def scenario(clock: VirtualClock) -> None:
        scene = Scene(clock, interfaces={"Wired0": "eth7", "Wireless0": "wwan0"})
        await scene.dial()
        other = Scene(clock, interfaces={"Wireless0": "wwan0"})
        await other.dial()
        assert [scene.targets[0].interface, other.targets[0].interface] == ["eth7", None]

    run_virtual(scenario)


@pytest.mark.parametrize(
    ("named", "wanted"), [("10.0.0.7", "10.0.0.7"), (None, "eth7")], ids=["named", "not named"]
)
def test_the_integrator_makes_the_network_ready(named: str | None, wanted: str) -> None:
    async def scenario(clock: VirtualClock) -> None:
        asked: list[NetworkSlot] = []

        async def configure(slot: NetworkSlot) -> NetworkReady:
            asked.append(slot)
            return NetworkReady(success=True, interface=named)

        scene = Scene(clock, interfaces={"Wired0": "eth7"}, configure=configure)
        target = await scene.dial()
        assert isinstance(target, Target)
        assert target.interface == wanted
        assert asked == [SLOT]

    run_virtual(scenario)


async def _says_no(_slot: NetworkSlot) -> NetworkReady:
    return NetworkReady(success=False)


async def _raises(_slot: NetworkSlot) -> NetworkReady:
    raise RuntimeError("a bug")


async def _hangs(_slot: NetworkSlot) -> NetworkReady:
    await asyncio.Event().wait()
    raise AssertionError


async def _forgets(_slot: NetworkSlot) -> Any:
    return None


@pytest.mark.parametrize("configure", [_says_no, _raises, _hangs, _forgets])
def test_without_a_network_nothing_is_dialled(configure: Any) -> None:
    async def scenario(clock: VirtualClock) -> None:
        scene = Scene(clock, configure=configure)
        error = await scene.dial()
        assert isinstance(error, ConnectFailed)
        assert error.failure is ConnectFailure.INTERFACE
        assert scene.targets == []
        assert clock.elapsed_s == (5 if configure is _hangs else 0)

    run_virtual(scenario)


def test_a00_fr_204_205_303_304_user_and_password_on_the_wire(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A00.FR.204, A00.FR.205, A00.FR.303, A00.FR.304: the user is the identity as the URL has it,
    the password goes as UTF-8, encoded in no other way than basic authentication does."""
    dialled: list[tuple[str, Any]] = []

    async def connect(url: str, _make: object, **options: Any) -> object:
        dialled.append((url, options["credentials"]))
        return object()

    monkeypatch.setattr("ocpp_fast.transport.picows.connect", connect)

    async def scenario(clock: VirtualClock) -> None:
        slot = replace(SLOT, identity="CS 1/ä", password="pässwörd of 18 ch")
        scene = Scene(clock, slot=slot)
        scene.dialler._opener = scene.dialler._open_web_socket
        await scene.dial()

    run_virtual(scenario)
    ((url, credentials),) = dialled
    assert url == "ws://csms.test/ocpp/CS%201%2F%C3%A4"
    kind, _, token = credentials.header().partition(" ")
    assert kind == "Basic"
    assert base64.b64decode(token) == "CS 1/ä:pässwörd of 18 ch".encode()


def test_a_slot_of_no_use_is_not_dialled() -> None:
    async def scenario(clock: VirtualClock) -> None:
        scene = Scene(clock)
        error = await scene.dial(slot=2)
        assert isinstance(error, ConnectFailed)
        assert error.failure is ConnectFailure.SLOT
        assert scene.targets == []

    run_virtual(scenario)
