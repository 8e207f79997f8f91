"""Reading slots, and what becomes of them when a link is made over one."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from device_model.keeping import device_model
from device_model.models import component
from ocpp_fast.config import SlotConfig, StationConfig, Variables
from ocpp_fast.connectivity.slots import Slots
from ocpp_fast.errors import ConnectFailed, ConnectFailure
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage
from unit.connectivity.network_kit import (
    COMM,
    OTHER,
    PASSWORD,
    PRIORITY,
    SLOT,
    Certificates,
    CutStorage,
    Network,
    PowerCut,
    apn,
    two,
    vpn,
)

versions = pytest.mark.parametrize("version", tuple(OcppVersion))


def reason(network: Network, slot: int) -> str:
    """Why a slot is not dialled; empty if it is."""
    try:
        network.slots.read(slot)
    except ConnectFailed as error:
        assert error.failure is ConnectFailure.SLOT
        return error.detail
    return ""


# --- which there are --------------------------------------------------------------------------


async def test_b09_fr_06_there_are_two_slots() -> None:
    """B09.FR.06: at least two; one of them is set."""
    network = await Network().open()
    assert network.slots.known == (1, 2)
    assert network.slots.priority == (1,)
    assert (network.slots.active, network.slots.last_good) == (None, None)
    assert reason(network, 1) == ""
    assert reason(network, 2) == "it has no address"
    assert reason(network, 3) == "there is no such slot"


async def test_slots_of_the_configuration_are_tried_in_order() -> None:
    network = await Network(slots=two() * 3).open()
    assert network.slots.known == network.slots.priority == (1, 2, 3, 4)


def test_component_files_without_slots() -> None:
    """Then the configuration alone says which there are."""
    config = StationConfig(
        identity="CS001", csms_url="ws://one.test", password=PASSWORD,
        slots=(SlotConfig(csms_url="wss://two.test", message_timeout_s=7),),
        variables=Variables(message_timeout_s=11),
    )  # fmt: skip
    model = device_model(component("Only"), overrides=config.variables)
    slots = Slots(model, config, MemoryStorage())
    assert slots.known == slots.priority == (1, 2)
    first, second = slots.read(1), slots.read(2)
    assert (first.csms_url, first.security_profile, first.password) == (
        "ws://one.test",
        1,
        PASSWORD,
    )
    assert (second.csms_url, second.security_profile) == ("wss://two.test", 2)
    assert (first.message_timeout_s, second.message_timeout_s) == (11, 7)
    slots.connected(second)
    assert slots.active == 2
    assert model.variables.message_timeout_s == 7


# --- reading ----------------------------------------------------------------------------------


async def test_a_slot_of_the_configuration() -> None:
    network = await Network().open()
    slot = network.slots.read(1)
    assert (slot.slot, slot.csms_url, slot.security_profile) == (1, "ws://one.test/ocpp", 1)
    assert (slot.interface, slot.ocpp_transport, slot.message_timeout_s) == ("Any", "JSON", 30)
    assert (slot.identity, slot.password) == ("CS001", PASSWORD)
    assert (slot.apn, slot.vpn) == (None, None)
    assert PASSWORD not in repr(slot)


async def test_a_slot_of_the_csms_with_networks_of_its_own() -> None:
    """B09.FR.09, B09.FR.12: what SetNetworkProfile has set is what is dialled."""
    version = OcppVersion.V21
    network = await Network(version, networks=True).open()
    status = await network.send(
        2, ocpp_csms_url="new.test/x/CS9", identity="CS9", basic_auth_password=OTHER,
        apn=apn(version), vpn=vpn(version), ocpp_interface="Wireless1",
    )  # fmt: skip
    assert status == "Accepted"
    slot = network.slots.read(2)
    assert (slot.csms_url, slot.identity, slot.password) == ("ws://new.test/x", "CS9", OTHER)
    assert (slot.interface, slot.message_timeout_s) == ("Wireless1", 25)
    assert slot.apn is not None
    assert slot.vpn is not None
    assert (slot.apn.apn, slot.apn.authentication, slot.apn.sim_pin) == ("internet", "CHAP", "1234")
    assert (slot.vpn.server, slot.vpn.type, slot.vpn.key) == ("vpn.test", "IKEv2", "vpn key")


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("OcppTransport", "SOAP", "SOAP is not supported"),
        ("OcppCsmsUrl", "", "it has no address"),
        ("OcppCsmsUrl", "wss://two.test", "wss:// contradicts security profile 1"),
        ("OcppCsmsUrl", "two.test", ""),
        ("SecurityProfile", "2", "ws:// contradicts security profile 2"),
        ("SecurityProfile", "7", "there is no security profile 7"),
        ("SecurityProfile", "0", ""),  # The integrator may.
        ("Identity", "a:b", "an identity has no colon"),
        ("MessageTimeout", "0", ""),
    ],
)
async def test_why_a_slot_is_skipped(variable: str, text: str, expected: str) -> None:
    network = await Network(slots=two()).open()
    network.put(SLOT, variable, text, 2)
    found = reason(network, 2)
    assert found.startswith(expected)
    assert bool(found) is bool(expected)


@pytest.mark.parametrize("profile", [1, 2, 3])
@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("client", [False, True])
async def test_a00_fr_310_430_a_dial_asks_for_no_certificate(
    profile: int, root: bool, client: bool
) -> None:
    """A00.FR.310: without a root the handshake fails, and that is a security event.
    A00.FR.430: whether an expired client certificate will do is for the CSMS to say."""
    scheme = "wss" if profile > 1 else "ws"
    network = await Network(
        csms_url=f"{scheme}://one.test",
        security_profile=profile,
        certificates=Certificates(root=root, client=client),
    ).open()
    assert reason(network, 1) == ""


@pytest.mark.parametrize("allowed", [False, True])
async def test_profile_0_of_the_csms_needs_leave(allowed: bool) -> None:
    network = await Network().open()
    network.put(SLOT, "OcppCsmsUrl", "ws://two.test", 2)
    network.put(SLOT, "SecurityProfile", "0", 2)
    assert reason(network, 2) == ""
    network.model.variable(SLOT, "OcppCsmsUrl", instance="2").set("ws://x.test", source="csms")
    network.put("InternalCtrlr", "AllowSecurityLevelZeroConnections", str(allowed).lower())
    assert (reason(network, 2) == "") is allowed


async def test_a_password_that_comes_later_makes_it_profile_1() -> None:
    """A station that was configured with neither profile nor password has profile 0 until it is
    given a password."""
    network = await Network(password=None).open()
    slot = network.slots.read(1)
    assert (slot.security_profile, slot.password) == (0, None)
    assert await network.set("SecurityCtrlr", "BasicAuthPassword", OTHER) == "Accepted"
    slot = network.slots.read(1)
    assert (slot.security_profile, slot.password) == (1, OTHER)
    network.put(SLOT, "SecurityProfile", "0", 1)  # It is said now.
    assert network.slots.read(1).security_profile == 0
    fixed = await Network(password=None, security_profile=0).open()
    await fixed.set("SecurityCtrlr", "BasicAuthPassword", OTHER)
    assert fixed.slots.read(1).security_profile == 0


# --- identity and password --------------------------------------------------------------------


async def test_credentials_fall_back() -> None:
    """A slot's own, else SecurityCtrlr's, else the configuration's."""
    network = await Network(slots=two(identity="CS2", password=OTHER)).open()
    assert (network.slots.read(1).identity, network.slots.read(1).password) == ("CS001", PASSWORD)
    assert (network.slots.read(2).identity, network.slots.read(2).password) == ("CS2", OTHER)
    assert await network.set("SecurityCtrlr", "Identity", "CS3") == "Accepted"
    assert await network.set("SecurityCtrlr", "BasicAuthPassword", "3" * 16) == "Accepted"
    assert (network.slots.read(1).identity, network.slots.read(1).password) == ("CS3", "3" * 16)
    assert (network.slots.read(2).identity, network.slots.read(2).password) == ("CS2", OTHER)


@versions
async def test_b09_fr_28_security_ctrlr_shows_what_is_in_use(version: OcppVersion) -> None:
    """B09.FR.28, and other slots still fall back to what was set there."""
    network = await Network(version, slots=two(identity="CS2", password=OTHER)).open()
    network.connect(2)
    assert network.get("SecurityCtrlr", "Identity") == "CS2"
    assert network.get("SecurityCtrlr", "BasicAuthPassword") == OTHER
    assert (network.slots.read(1).identity, network.slots.read(1).password) == ("CS001", PASSWORD)
    network.connect(1)
    assert network.get("SecurityCtrlr", "Identity") == "CS001"
    assert network.slots.read(1).password == PASSWORD
    await network.model.close()
    assert network.storage.rows == []  # All this is in memory.
    after = await network.again()
    assert after.get("SecurityCtrlr", "Identity") == "CS001"


async def test_what_was_set_at_run_time_is_not_lost_behind_what_is_shown() -> None:
    network = await Network(slots=two(identity="CS2")).open()
    await network.set("SecurityCtrlr", "Identity", "CS3")
    network.connect(2)
    assert network.get("SecurityCtrlr", "Identity") == "CS2"
    after = await network.again()
    assert after.get("SecurityCtrlr", "Identity") == "CS3"
    assert after.slots.read(1).identity == "CS3"


@versions
@pytest.mark.parametrize(
    ("variable", "value"), [("Identity", "CS3"), ("BasicAuthPassword", "3" * 16)]
)
async def test_b09_fr_26_27_setting_it_clears_the_active_slots_own(
    version: OcppVersion, variable: str, value: str
) -> None:
    """B09.FR.26, B09.FR.27: in one transaction, and only of the active slot."""
    slots = two(identity="CS2", password=OTHER) * 2
    network = await Network(version, slots=slots).open()
    network.connect(2)
    assert await network.set("SecurityCtrlr", variable, value) == "Accepted"
    ((first, second),) = network.storage.rows
    assert (first[0], first[4], first[7]) == ("SecurityCtrlr", variable, value)
    assert (second[:2], second[4], second[7]) == ((SLOT, "2"), variable, "")
    assert network.get(SLOT, variable, 2) == ""
    assert network.get(SLOT, variable, 3) == ("CS2" if variable == "Identity" else OTHER)
    for run in (network, await network.again()):
        read = run.slots.read(2)
        assert (read.identity if variable == "Identity" else read.password) == value


async def test_setting_what_is_shown_already_makes_it_everybodys() -> None:
    """B09.FR.26: even when it is the value that the slot had of its own."""
    network = await Network(slots=two(identity="CS2")).open()
    network.connect(2)
    assert await network.set("SecurityCtrlr", "Identity", "CS2") == "Accepted"
    for run in (network, await network.again()):
        assert run.get(SLOT, "Identity", 2) == ""
        assert (run.slots.read(1).identity, run.slots.read(2).identity) == ("CS2", "CS2")


async def test_a_password_that_is_taken_back_holds_for_the_slot() -> None:
    """The way back of A01 writes SecurityCtrlr with the source of the station itself."""
    network = await Network(slots=two(password=OTHER)).open()
    network.connect(2)
    assert await network.set("SecurityCtrlr", "BasicAuthPassword", "new password, 16") == "Accepted"
    network.connect(2)
    password = network.model.variable("SecurityCtrlr", "BasicAuthPassword")
    password.set(OTHER, source="internal")
    assert network.slots.read(2).password == OTHER


async def test_a_password_that_is_taken_back_at_once_holds_for_the_slot() -> None:
    network = await Network(slots=two(password=OTHER)).open()
    network.connect(2)
    assert await network.set("SecurityCtrlr", "BasicAuthPassword", "new password, 16") == "Accepted"
    network.model.variable("SecurityCtrlr", "BasicAuthPassword").set(OTHER, source="internal")
    assert network.slots.read(2).password == OTHER


async def test_a_password_of_the_component_files() -> None:
    network = Network(password=None)
    number = network.slots.access.find("SecurityCtrlr", "BasicAuthPassword")
    network.model.cache.default(number, 0, OTHER)
    slot = (await network.open()).slots.read(1)
    assert (slot.security_profile, slot.password) == (1, OTHER)


async def test_a_refused_credential_clears_nothing() -> None:
    network = await Network(slots=two(identity="CS2", password=OTHER)).open()
    network.connect(2)
    for identity in ("a:b", "x" * 49, ""):
        status = await network.set("SecurityCtrlr", "Identity", identity)
        assert status.startswith("Rejected")
    status = await network.set("SecurityCtrlr", "BasicAuthPassword", "short")
    assert status.startswith("Rejected")
    assert (network.get(SLOT, "Identity", 2), network.get(SLOT, "BasicAuthPassword", 2)) == (
        "CS2",
        OTHER,
    )


async def test_a_storage_that_fails_clears_nothing() -> None:
    network = await Network(slots=two(identity="CS2")).open()
    network.connect(2)
    network.storage.broken = {"values_store"}
    status = await network.set("SecurityCtrlr", "Identity", "CS3")
    assert status.startswith("Rejected")
    assert network.slots.read(2).identity == "CS2"
    assert network.slots.read(1).identity == "CS001"


async def test_where_a_slot_must_have_a_password_it_gets_the_same() -> None:
    """Component files of others do not let a slot's password be empty."""
    network = await Network(slots=two(password=OTHER)).open()
    network.connect(2)
    fits = network.slots.access.fits
    network.slots.access.fits = lambda number, text: bool(text) and fits(number, text)
    # Even the one that is shown: from now on it is everybody's.
    for password in (OTHER, "3" * 16):
        assert await network.set("SecurityCtrlr", "BasicAuthPassword", password) == "Accepted"
        assert [network.slots.read(slot).password for slot in (1, 2)] == [password] * 2


# --- connected --------------------------------------------------------------------------------


async def test_the_device_model_says_which_slot_is_in_use() -> None:
    network = await Network(slots=two("wss://two.test", message_timeout_s=7)).open()
    assert network.get("SecurityCtrlr", "SecurityProfile") == "1"
    network.connect(2)
    assert network.slots.active == 2
    assert network.get(COMM, "ActiveNetworkProfile") == "2"
    assert network.get("SecurityCtrlr", "SecurityProfile") == "2"
    assert network.slots.profile == 2
    assert network.model.variables.message_timeout_s == 7
    network.connect(1)
    assert network.get(COMM, "ActiveNetworkProfile") == "1"
    assert network.get("SecurityCtrlr", "SecurityProfile") == "1"
    assert network.model.variables.message_timeout_s == 30
    assert network.storage.verbs == []  # Nothing of it is durable.
    assert network.slots.last_good is None


async def test_a_link_that_was_not_accepted_closes_no_way_back() -> None:
    """The security profile counts from the moment on that the CSMS has accepted the station."""
    network = await Network(slots=two("wss://two.test")).open()
    network.connect(2)
    assert reason(network, 1) == ""
    after = await network.again()
    assert reason(after, 1) == ""
    assert after.get("SecurityCtrlr", "SecurityProfile") == "1"


# --- confirmed --------------------------------------------------------------------------------


async def test_the_last_good_slot_is_durable() -> None:
    """B10.FR.07: it is known after a restart which slot to come back to."""
    network = await Network(slots=two()).open()
    await network.accept(2)
    assert network.slots.last_good == 2
    after = await network.again()
    assert after.slots.last_good == 2
    assert after.get(COMM, "ActiveNetworkProfile") == "2"
    assert after.slots.active is None
    assert after.slots.priority == (1, 2)  # B10.FR.04: still begins with the first.


async def test_confirming_again_stores_nothing() -> None:
    network = await Network().open()
    for _ in range(3):
        await network.accept(1)
    assert network.storage.verbs == ["state_store"]


@versions
async def test_a05_fr_06_weaker_slots_are_emptied(version: OcppVersion) -> None:
    """A05.FR.06: SecurityProfile, the weaker slots and the priority."""
    slots = (
        SlotConfig(csms_url="wss://two.test", security_profile=2),
        SlotConfig(csms_url="ws://three.test", identity="CS3", password=OTHER),
        SlotConfig(csms_url="wss://four.test", security_profile=3),
    )
    network = await Network(version, slots=slots).open()
    assert await network.prioritize("2,1,3,4") == "Accepted"
    await network.accept(2)
    for run in (network, await network.again()):
        assert run.get("SecurityCtrlr", "SecurityProfile") == "2"
        assert run.slots.priority == (2, 4)
        for slot in (1, 3):
            assert reason(run, slot) == "it has no address"
            for variable in ("OcppCsmsUrl", "Identity", "BasicAuthPassword"):
                assert not run.get(SLOT, variable, slot)
        assert (reason(run, 2), reason(run, 4)) == ("", "")
    assert network.storage.verbs[1:] == ["state_store", "values_store", "state_store"]


async def test_an_unlisted_slot_that_proves_good_is_listed_when_no_other_is_left() -> None:
    network = await Network(slots=two("wss://two.test")).open()
    assert await network.prioritize("1") == "Accepted"
    await network.accept(2)
    assert network.slots.priority == (2,)


@pytest.mark.parametrize("allowed", [False, True])
async def test_a_slot_of_the_csms_that_is_weaker_than_the_last_good_one(allowed: bool) -> None:
    """A05.FR.06, A05.FR.08: it stays unused, unless 3 may give way to 2."""
    network = await Network(csms_url="wss://one.test", security_profile=3).open()
    network.put("SecurityCtrlr", "AllowSecurityProfileDowngrade", str(allowed).lower())
    await network.accept(1)
    for variable, text in (("OcppCsmsUrl", "wss://two.test"), ("SecurityProfile", "2")):
        network.model.variable(SLOT, variable, instance="2").set(text, source="csms")
    expected = "" if allowed else "security profile 2 is weaker than 3, the one in use"
    assert reason(network, 2) == expected
    if allowed:
        await network.accept(2)
        assert network.get("SecurityCtrlr", "SecurityProfile") == "2"
        assert reason(network, 1) == ""  # The stronger one stays.


async def test_the_integrator_may_go_back_to_a_weaker_profile() -> None:
    """A00.FR.005 is about OCPP; the configuration is another method."""
    network = await Network(csms_url="wss://one.test").open()
    await network.accept(1)
    after = await network.again(csms_url="ws://one.test")
    assert reason(after, 1) == ""
    await after.accept(1)
    assert after.get("SecurityCtrlr", "SecurityProfile") == "1"
    assert (await after.again()).slots.last_good == 1


CUTS = tuple(product((1, 2, 3), (False, True)))


@pytest.mark.parametrize(("verb", "after"), CUTS)
async def test_a_power_cut_during_an_upgrade_leaves_a_way(verb: int, after: bool) -> None:
    """A05.FR.06, at each of its three writes, before and after: the old state or the new one, and
    the next start completes it."""
    network = await Network(slots=two("wss://two.test")).open()
    await network.accept(1)
    await network.prioritize("2,1")
    network.storage.verbs.clear()
    network.storage.cut, network.storage.after = verb, after
    slot = network.connect(2)
    with pytest.raises(PowerCut):
        await network.slots.confirmed(slot)
    found = await network.again()
    if (verb, after) == (1, False):
        assert (found.slots.last_good, found.slots.priority) == (1, (2, 1))
        assert (reason(found, 1), reason(found, 2)) == ("", "")
        assert found.get("SecurityCtrlr", "SecurityProfile") == "1"
        return
    assert (found.slots.last_good, found.slots.priority) == (2, (2,))
    assert (reason(found, 1), reason(found, 2)) == ("it has no address", "")
    assert found.get("SecurityCtrlr", "SecurityProfile") == "2"
    found.storage.verbs.clear()
    await found.accept(2)
    assert found.storage.verbs == []  # Nothing is left to be done.


@pytest.mark.parametrize("verb", ["state_store", "values_store"])
async def test_a_storage_that_fails_does_it_the_next_time(
    verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    network = await Network(slots=two("wss://two.test")).open()
    network.storage.broken = {verb}
    await network.accept(2)
    assert network.slots.last_good == 2
    assert "cannot be stored" in caplog.text
    assert network.slots.priority == (1, 2)
    network.storage.broken = set()
    await network.accept(2)
    for run in (network, await network.again()):
        assert (run.slots.last_good, run.slots.priority) == (2, (2,))


async def test_a_damaged_state_is_no_state() -> None:
    storage = CutStorage()
    await storage.state_store({"network.last_good": "two", "network.security_profile": "-1"})
    network = await Network(storage=storage).open()
    assert network.slots.last_good is None
    assert reason(network, 1) == ""


def test_a_priority_without_slots_is_that_of_the_configuration() -> None:
    network = Network(slots=two())
    network.put(*PRIORITY, "")
    assert network.slots.priority == (1, 2)


async def test_files_of_another_type_do_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    network = await Network().open()
    network.slots.access.write("OCPPCommCtrlr", "ActiveNetworkProfile", "one")
    assert "ActiveNetworkProfile cannot be written" in caplog.text
    nothing: Any = network.slots.access.write("Nothing", "AtAll", "1")
    assert nothing is None
