"""What the CSMS may do with the network configuration: every guard, in both versions."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from ocpp_fast.config import SlotConfig
from ocpp_fast.connectivity.access import VARIABLES
from ocpp_fast.messages import OcppVersion
from unit.connectivity.network_kit import (
    COMM,
    OTHER,
    PRIORITY,
    SLOT,
    Certificates,
    Network,
    PowerCut,
    apn,
    two,
    vpn,
)

VERSIONS = tuple(OcppVersion)
versions = pytest.mark.parametrize("version", VERSIONS)

DOWNGRADE = "Rejected NoSecurityDowngrade"
INVALID = "Rejected InvalidNetworkConf"
ACTIVE = "Rejected ActiveNetworkConf"

NEW = {
    "OcppCsmsUrl": "ws://new.test/ocpp",
    "SecurityProfile": "1",
    "OcppInterface": "Wired0",
    "OcppTransport": "JSON",
    "OcppVersion": "OCPP21",
    "MessageTimeout": "25",
    "Identity": "CS2",
    "BasicAuthPassword": OTHER,
    "CsmsRootCertificateHashAlgorithm": "SHA256",
    "CsmsRootCertificateIssuerKeyHash": "ab",
    "CsmsRootCertificateIssuerNameHash": "cd",
    "CsmsRootCertificateSerialNumber": "1f",
    "VpnEnabled": "true",
    "VpnType": "IKEv2",
    "VpnServer": "vpn.test",
    "VpnUser": "u",
    "VpnGroup": "g",
    "VpnPassword": "p",
    "VpnKey": "k",
    "ApnEnabled": "true",
    "Apn": "internet",
    "ApnUserName": "u",
    "ApnPassword": "p",
    "SimPin": "1234",
    "PreferredNetwork": "20404",
    "UseOnlyPreferredNetwork": "true",
    "ApnAuthentication": "CHAP",
}


async def at(
    version: OcppVersion,
    profile: int = 1,
    *,
    allow: bool = False,
    certificates: Certificates | None = None,
    **options: Any,
) -> Network:
    """A station with a link over slot 1, of this security profile."""
    scheme = "wss" if profile > 1 else "ws"
    network = await Network(
        version,
        csms_url=f"{scheme}://one.test",
        security_profile=profile,
        certificates=certificates,
        **options,
    ).open()
    network.put("SecurityCtrlr", "AllowSecurityProfileDowngrade", str(allow).lower())
    await network.accept(1)
    return network


def url(profile: int, host: str = "two.test") -> str:
    return f"{'wss' if profile > 1 else 'ws'}://{host}"


def forbidden(current: int, wanted: int, *, allow: bool) -> bool:
    return wanted < current and not (allow and (current, wanted) == (3, 2))


# --- the variables of a slot ------------------------------------------------------------------


@versions
@pytest.mark.parametrize("variable", VARIABLES)
async def test_b09_fr_22_23_24_every_variable_in_every_state(
    version: OcppVersion, variable: str
) -> None:
    """B09.FR.10, B09.FR.22, B09.FR.23, B09.FR.24: of an active or listed slot none, of another
    each."""
    network = await at(version, networks=True, slots=two() * 2)
    text = NEW[variable]
    assert await network.prioritize("1,3") == "Accepted"
    assert await network.set(SLOT, variable, text, 1) == ACTIVE  # active and listed
    assert await network.set(SLOT, variable, text, 3) == ACTIVE  # listed
    assert await network.set(SLOT, variable, text, 2) == "Accepted"  # neither
    assert network.get(SLOT, variable, 2) == text
    assert (await network.again()).get(SLOT, variable, 2) == text
    assert await network.prioritize("3") == "Accepted"
    assert await network.set(SLOT, variable, text, 1) == ACTIVE  # active alone


@versions
@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("OcppCsmsUrl", "http://two.test"),
        ("OcppCsmsUrl", "ws://user@two.test"),
        ("SecurityProfile", "4"),
        ("SecurityProfile", "one"),
        ("OcppInterface", "Wired9"),
        ("OcppTransport", "SOAP"),
        ("MessageTimeout", "0"),
        ("Identity", "a:b"),
        ("Identity", "x" * 49),
        ("BasicAuthPassword", "x" * 15),
        ("BasicAuthPassword", "x" * 65),
        ("VpnType", "WireGuard"),
        ("ApnAuthentication", "MD5"),
        ("ApnEnabled", "maybe"),
    ],
)
async def test_b09_fr_25_what_is_no_value(version: OcppVersion, variable: str, text: str) -> None:
    """B09.FR.25."""
    network = await at(version, networks=True)
    before = network.get(SLOT, variable, 2)
    assert (await network.set(SLOT, variable, text, 2)).startswith("Rejected ")
    assert network.get(SLOT, variable, 2) == before


@versions
@pytest.mark.parametrize(
    ("current", "wanted", "allow"), list(product((1, 2, 3), range(4), (False, True)))
)
async def test_b09_fr_32_35_security_profile_of_a_slot(
    version: OcppVersion, current: int, wanted: int, allow: bool
) -> None:
    """B09.FR.32, B09.FR.35, by SetVariables; B09.FR.04, B09.FR.31, by SetNetworkProfile."""
    network = await at(version, current, allow=allow)
    refused = forbidden(current, wanted, allow=allow)
    expected = DOWNGRADE if refused else "Accepted"
    assert await network.set(SLOT, "SecurityProfile", str(wanted), 2) == expected
    status = await network.send(2, ocpp_csms_url=url(wanted), security_profile=wanted)
    assert status == expected
    assert (network.get(SLOT, "OcppCsmsUrl", 2) == "") is refused


@versions
@pytest.mark.parametrize("allowed", [False, True])
async def test_profile_0_over_ocpp_needs_leave(version: OcppVersion, allowed: bool) -> None:
    network = await at(version, 0, password=None)
    network.put("InternalCtrlr", "AllowSecurityLevelZeroConnections", str(allowed).lower())
    expected = "Accepted" if allowed else INVALID
    assert await network.set(SLOT, "SecurityProfile", "0", 2) == expected
    assert await network.send(2, security_profile=0) == expected
    listed = await network.set_all(
        (SLOT, "OcppCsmsUrl", 2, "ws://two.test"), (*PRIORITY, None, "1,2")
    )
    assert listed == ["Accepted", expected]


@versions
async def test_a_slot_of_the_integrator_may_be_listed_with_profile_0(version: OcppVersion) -> None:
    network = await at(version, 0, password=None, slots=two(security_profile=0))
    assert await network.prioritize("1") == "Accepted"
    assert await network.prioritize("2,1") == "Accepted"


# --- the priority -----------------------------------------------------------------------------


@versions
@pytest.mark.parametrize("value", ["1", "2", "3", "1,2", "1,3", "2,3", "1,2,3"])
async def test_b09_fr_20_taking_slots_away(version: OcppVersion, value: str) -> None:
    """B09.FR.20: whatever is in those that stay."""
    certificates = Certificates()
    network = await at(version, 2, slots=two("wss://x.test") * 2, certificates=certificates)
    certificates.root = False
    assert await network.prioritize(value) == "Accepted"
    assert network.slots.priority == tuple(map(int, value.split(",")))


@versions
@pytest.mark.parametrize("value", ["", "1,1", "9", "1,", "one", "1;2"])
async def test_what_is_no_priority(version: OcppVersion, value: str) -> None:
    """An empty list would leave nothing but the last good slot."""
    network = await at(version)
    assert (await network.prioritize(value)).startswith("Rejected ")
    assert network.slots.priority == (1,)


@versions
async def test_b09_fr_33_b10_fr_01_a_slot_that_was_set_can_be_listed(version: OcppVersion) -> None:
    """B09.FR.33, B10.FR.01, A05.FR.04: Accepted, and it counts from the next dial on."""
    network = await at(version)
    for variable in ("OcppCsmsUrl", "SecurityProfile", "MessageTimeout"):
        assert await network.set(SLOT, variable, NEW[variable], 2) == "Accepted"
    assert await network.prioritize("2,1") == "Accepted"
    assert network.slots.priority == (2, 1)
    assert (await network.again()).slots.priority == (2, 1)


@versions
@pytest.mark.parametrize(
    "texts",
    [
        {},
        {"OcppCsmsUrl": "wss://two.test"},
        {"OcppCsmsUrl": "ws://two.test", "SecurityProfile": "2"},
        {"OcppCsmsUrl": "ws://two.test", "ApnEnabled": "true"},
    ],
)
async def test_b09_fr_34_b10_fr_02_an_incomplete_slot_is_not_listed(
    version: OcppVersion, texts: dict[str, str]
) -> None:
    """B09.FR.34, B10.FR.02; additionalInfo says what is wrong."""
    network = await at(version, networks=True)
    for variable, text in {"SecurityProfile": "1", **texts}.items():
        assert await network.set(SLOT, variable, text, 2) == "Accepted"
    for value in ("2", "1,2", "2,1"):
        assert await network.prioritize(value) == INVALID
    assert network.slots.priority == (1,)


@versions
async def test_b10_fr_02_reordering_looks_at_all_of_them(version: OcppVersion) -> None:
    """B10.FR.02: any of the slots in the message."""
    certificates = Certificates()
    slots = two("wss://x.test", security_profile=3) * 2
    network = await at(version, 2, certificates=certificates, slots=slots)
    assert await network.prioritize("2,1,3") == "Accepted"
    certificates.client = False
    assert await network.prioritize("1,2,3") == INVALID
    assert network.slots.priority == (2, 1, 3)


@versions
@pytest.mark.parametrize(
    ("current", "wanted", "root", "client"),
    list(product((1, 2, 3), (1, 2, 3), (False, True), (False, True))),
)
@pytest.mark.parametrize("allow", [False, True])
async def test_a05_fr_02_03_04_08_09_10_listing(
    version: OcppVersion, current: int, wanted: int, root: bool, client: bool, allow: bool
) -> None:
    """A05.FR.02, A05.FR.03, A05.FR.04, A05.FR.08, A05.FR.09, A05.FR.10: listing a slot of another
    security profile, with and without the certificates that it needs."""
    certificates = Certificates()
    network = await at(version, current, allow=allow, certificates=certificates)
    for variable, text in (("OcppCsmsUrl", url(wanted)), ("SecurityProfile", str(wanted))):
        network.model.variable(SLOT, variable, instance="2").set(text, source="csms")
    certificates.root, certificates.client = root, client
    if forbidden(current, wanted, allow=allow):
        expected = DOWNGRADE
    elif (wanted >= 2 and not root) or (wanted == 3 > current and not client):
        expected = INVALID
    else:
        expected = "Accepted"
    assert await network.prioritize("2,1" if wanted >= current else "1,2") == expected
    # A05.FR.02, A05.FR.03: nothing else has changed.
    assert network.get("SecurityCtrlr", "SecurityProfile") == str(current)
    assert network.slots.active == 1


async def test_a05_fr_02_an_upgrade_needs_an_installed_root() -> None:
    """A05.FR.02: those of the operating system are not installed ones."""
    network = await at(OcppVersion.V21, certificates=Certificates(root=False))
    network.put("InternalCtrlr", "UseSslDefaultVerifyPaths", "true")
    assert await network.send(2, ocpp_csms_url="wss://two.test", security_profile=2) == "Accepted"
    assert await network.prioritize("2,1") == INVALID


# --- several of them in one request -----------------------------------------------------------


@versions
async def test_a_slot_may_be_set_and_listed_at_once(version: OcppVersion) -> None:
    network = await at(version)
    statuses = await network.set_all(
        (SLOT, "OcppCsmsUrl", 2, "wss://two.test"),
        (SLOT, "SecurityProfile", 2, "2"),
        (*PRIORITY, None, "2,1"),
    )
    assert statuses == ["Accepted"] * 3
    assert len(network.storage.rows) == 1


@versions
async def test_what_is_listed_first_cannot_be_changed_behind_it(version: OcppVersion) -> None:
    network = await at(version)
    assert await network.send(2) == "Accepted"
    statuses = await network.set_all(
        (*PRIORITY, None, "2,1"), (SLOT, "OcppCsmsUrl", 2, "ws://else.test")
    )
    assert statuses == ["Accepted", ACTIVE]
    assert network.get(SLOT, "OcppCsmsUrl", 2) == "ws://new.test/ocpp"


@versions
async def test_what_is_unlisted_first_can_be_changed_behind_it(version: OcppVersion) -> None:
    network = await at(version, slots=two())
    statuses = await network.set_all(
        (*PRIORITY, None, "1"), (SLOT, "OcppCsmsUrl", 2, "ws://else.test")
    )
    assert statuses == ["Accepted", "Accepted"]


@versions
async def test_a_list_that_was_refused_counts_for_nothing(version: OcppVersion) -> None:
    network = await at(version)
    statuses = await network.set_all(
        (*PRIORITY, None, "2,1"), (SLOT, "OcppCsmsUrl", 2, "ws://else.test")
    )
    assert statuses == [INVALID, "Accepted"]


# --- SetNetworkProfile ------------------------------------------------------------------------


@versions
async def test_b09_fr_01_09_all_variables_in_one_transaction(version: OcppVersion) -> None:
    """B09.FR.01, B09.FR.09, B09.FR.11: what the request does not say is emptied."""
    network = await at(version)
    network.storage.rows.clear()
    assert await network.set(SLOT, "VpnServer", "vpn.test", 2) == "Accepted"
    assert await network.send(2) == "Accepted"
    assert len(network.storage.rows) == 2
    expected = {
        "OcppCsmsUrl": "ws://new.test/ocpp", "SecurityProfile": "1", "OcppInterface": "Wired0",
        "OcppTransport": "JSON", "MessageTimeout": "25", "OcppVersion": "OCPP20",
        "ApnEnabled": "false", "VpnEnabled": "false", "VpnServer": "", "Identity": "",
        "BasicAuthPassword": "",
    }  # fmt: skip
    for run in (network, await network.again()):
        assert {name: run.get(SLOT, name, 2) or "" for name in expected} == expected
        assert run.slots.priority == (1,)  # Listing is for the CSMS to do (B10).
    assert (await network.again()).slots.read(2).password is not None


async def test_b09_fr_09_identity_and_password_of_2_1() -> None:
    """B09.FR.09, B09.FR.14."""
    network = await at(OcppVersion.V21)
    assert await network.send(2, identity="CS2", basic_auth_password=OTHER) == "Accepted"
    slot = network.slots.read(2)
    assert (slot.identity, slot.password) == ("CS2", OTHER)
    assert await network.send(2) == "Accepted"
    assert network.slots.read(2).identity == "CS001"


@versions
async def test_b09_fr_11_12_networks(version: OcppVersion) -> None:
    """B09.FR.11, B09.FR.12."""
    network = await at(version, networks=True)
    assert await network.send(2, apn=apn(version), vpn=vpn(version)) == "Accepted"
    for run in (network, await network.again()):
        assert (run.get(SLOT, "ApnEnabled", 2), run.get(SLOT, "VpnEnabled", 2)) == ("true", "true")
        assert (run.get(SLOT, "Apn", 2), run.get(SLOT, "VpnKey", 2)) == ("internet", "vpn key")
    assert await network.send(2) == "Accepted"
    slot = network.slots.read(2)
    assert (slot.apn, slot.vpn) == (None, None)
    assert not network.get(SLOT, "ApnPassword", 2)
    assert not network.get(SLOT, "VpnKey", 2)


@versions
@pytest.mark.parametrize("kind", [apn, vpn])
async def test_b09_fr_13_without_support_for_networks(version: OcppVersion, kind: Any) -> None:
    """B09.FR.13: nobody could set them up."""
    network = await at(version)
    assert await network.send(2, **{kind.__name__: kind(version)}) == INVALID
    for name in ("ApnEnabled", "VpnEnabled"):
        assert await network.set(SLOT, name, "true", 2) == "Rejected ReadOnly"


@versions
@pytest.mark.parametrize(
    "changes",
    [
        {"ocpp_transport": "SOAP"},
        {"ocpp_csms_url": ""},
        {"ocpp_csms_url": "http://new.test"},
        {"ocpp_csms_url": "wss://new.test"},
        {"message_timeout": 0},
        {"message_timeout": -1},
        {"security_profile": 4},
    ],
)
async def test_b09_fr_02_what_is_no_profile(version: OcppVersion, changes: dict[str, Any]) -> None:
    """B09.FR.02."""
    network = await at(version)
    assert await network.send(2, **changes) == INVALID
    assert network.get(SLOT, "OcppCsmsUrl", 2) == ""


@pytest.mark.parametrize("changes", [{"identity": "a:b"}, {"basic_auth_password": "short"}])
async def test_b09_fr_02_what_are_no_credentials(changes: dict[str, Any]) -> None:
    """B09.FR.02."""
    network = await at(OcppVersion.V21)
    assert await network.send(2, **changes) == INVALID


@versions
@pytest.mark.parametrize("slot", [0, 3, 999, -1])
async def test_b09_fr_05_a_slot_that_there_is_not(version: OcppVersion, slot: int) -> None:
    """B09.FR.05; TC_B_43."""
    network = await at(version)
    assert await network.send(slot) == "Rejected InvalidConfSlot"


@versions
async def test_b09_fr_03_a_storage_that_fails(version: OcppVersion) -> None:
    """B09.FR.03: Failed, and nothing is half written."""
    network = await at(version)
    network.storage.broken = {"values_store"}
    assert await network.send(2) == "Failed InternalError"
    assert network.get(SLOT, "OcppCsmsUrl", 2) == ""
    network.storage.broken = set()
    assert (await network.again()).get(SLOT, "OcppCsmsUrl", 2) == ""


@versions
async def test_the_slot_in_use_can_be_overwritten_and_the_way_back_stays(
    version: OcppVersion,
) -> None:
    """B09.FR.01, and the remark of the use case: it is used with the next connection. What was good
    is kept, durable, until the new content or another slot has proved good."""
    network = await at(version, slots=two())
    before = network.slots.read(1)
    assert await network.send(1) == "Accepted"
    assert await network.send(1, ocpp_csms_url="ws://newer.test") == "Accepted"
    for run in (network, await network.again()):
        assert run.slots.read(1).csms_url == "ws://newer.test"
        former = run.slots.read(1, former=True)
        assert former.is_former
        assert replace(former, is_former=False) == before
        assert not run.slots.read(2, former=True).is_former
        # Over the former content again: both stay.
        run.slots.connected(former)
        await run.slots.confirmed(former)
        assert run.slots.read(1, former=True).is_former
    after = await network.again()
    await after.accept(1)
    for run in (after, await after.again()):
        assert run.slots.read(1, former=True).csms_url == "ws://newer.test"
        assert run.slots.last_good == 1


@versions
async def test_another_good_slot_ends_the_former_content(version: OcppVersion) -> None:
    network = await at(version, slots=two())
    assert await network.send(1) == "Accepted"
    await network.accept(2)
    assert not (await network.again()).slots.read(1, former=True).is_former


@versions
async def test_what_is_overwritten_by_a_csms_that_has_not_accepted_the_station(
    version: OcppVersion,
) -> None:
    """A pending one may set variables (B02): the last good slot is not lost, piece by piece or as a
    whole. Nor is the only slot, before any CSMS has accepted the station."""
    network = await at(version, slots=two())
    assert await network.prioritize("2") == "Accepted"
    network.connect(2)
    assert await network.set(SLOT, "OcppCsmsUrl", "ws://else.test", 1) == ACTIVE
    assert await network.send(1) == "Accepted"
    assert network.slots.read(1, former=True).csms_url == "ws://one.test"
    await network.accept(2)
    assert await network.set(SLOT, "OcppCsmsUrl", "ws://else.test", 1) == "Accepted"

    fresh = await Network(version).open()
    fresh.connect(1)
    assert await fresh.send(1) == "Accepted"
    again = await fresh.again()
    assert again.slots.read(1, former=True).csms_url == "ws://one.test/ocpp"


@versions
async def test_the_slot_in_use_can_only_become_one_that_can_be_dialled(
    version: OcppVersion,
) -> None:
    network = await at(version, slots=two(), certificates=Certificates(root=False))
    assert await network.prioritize("2") == "Accepted"
    status = await network.send(1, ocpp_csms_url="wss://new.test", security_profile=2)
    assert status == INVALID


@versions
@pytest.mark.parametrize(("verb", "after"), list(product((1, 2), (False, True))))
async def test_a_power_cut_while_the_slot_in_use_is_overwritten(
    version: OcppVersion, verb: int, after: bool
) -> None:
    network = await at(version)
    network.storage.verbs.clear()
    network.storage.cut, network.storage.after = verb, after
    with pytest.raises(PowerCut):
        await network.send(1)
    found = await network.again()
    new = (verb, after) == (2, True)
    url = found.slots.read(1).csms_url
    assert url == ("ws://new.test/ocpp" if new else "ws://one.test")
    assert found.slots.read(1, former=True).csms_url == "ws://one.test"
    await found.accept(1)
    assert (await found.again()).slots.read(1, former=True).csms_url == url


@versions
async def test_without_a_way_back_nothing_is_overwritten(version: OcppVersion) -> None:
    """B09.FR.03."""
    network = await at(version)
    network.storage.broken = {"state_store"}
    assert await network.send(1) == "Failed InternalError"
    assert network.slots.read(1).csms_url == "ws://one.test"


async def test_a_former_content_that_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    for text in ("{", "[]", '{"slot": 1}', '{"slot": "one", "variables": {}}'):
        network = Network()
        await network.storage.state_store({"network.former": text})
        await network.open()
        assert not network.slots.read(1, former=True).is_former
        assert "cannot be read" in caplog.text


@versions
@pytest.mark.parametrize(("root", "expected"), [(True, "Accepted"), (False, INVALID)])
async def test_a_listed_slot_can_only_become_one_that_can_be_dialled(
    version: OcppVersion, root: bool, expected: str
) -> None:
    """A05.FR.02: as if it were listed now. TC_B_45 sets one that is listed already."""
    network = await at(version, slots=two(), certificates=Certificates(root=root))
    status = await network.send(2, ocpp_csms_url="wss://new.test", security_profile=2)
    assert status == expected
    assert await network.send(2) == "Accepted"


@versions
@pytest.mark.parametrize(
    ("answer", "expected"),
    [(True, "Accepted"), (False, INVALID), (None, INVALID), (RuntimeError("no"), INVALID)],
)
async def test_the_integrator_has_a_say(version: OcppVersion, answer: Any, expected: str) -> None:
    """B09.FR.01, B09.FR.02: the validate_network_profile_callback; one that fails says no."""
    asked: list[Any] = []

    async def validate(slot: int, profile: Any) -> Any:
        asked.append((slot, profile.ocpp_csms_url))
        if isinstance(answer, Exception):
            raise answer
        return answer

    network = await at(version, validate=validate)
    assert await network.send(2) == expected
    assert asked == [(2, "ws://new.test/ocpp")]
    assert await network.send(2, ocpp_transport="SOAP") == INVALID
    assert len(asked) == 1  # Only asked what could be.


async def test_what_happens_while_the_integrator_thinks() -> None:
    """The slot may have come into use meanwhile, and then has to be one that can be."""
    thinks = asyncio.Event()

    async def validate(_slot: int, _profile: Any) -> bool:
        await thinks.wait()
        return True

    certificates = Certificates(root=False)
    network = await at(OcppVersion.V21, validate=validate, certificates=certificates)
    answer = asyncio.create_task(
        network.send(2, ocpp_csms_url="wss://new.test", security_profile=2)
    )
    await asyncio.sleep(0)
    network.put(*PRIORITY, "1,2")
    thinks.set()
    assert await answer == INVALID


async def test_component_files_with_smaller_limits() -> None:
    """B09.FR.02: what does not fit its variable is refused as a whole."""
    version = OcppVersion.V21
    network = await at(version, networks=True)
    request = network.send(2, apn=apn(version, sim_pin=123456789))  # SimPin has 8 characters.
    assert await request == INVALID
    assert network.get(SLOT, "OcppCsmsUrl", 2) == ""


# --- everything together ----------------------------------------------------------------------


@versions
async def test_a_whole_upgrade_by_each_of_the_two_ways(version: OcppVersion) -> None:
    """A05.FR.04, A05.FR.05, A05.FR.06: the sequence of the use case."""
    for by_profile in (True, False):
        network = await at(version)
        if by_profile:
            status = await network.send(2, ocpp_csms_url="wss://two.test", security_profile=2)
            assert status == "Accepted"
        else:
            await network.set(SLOT, "OcppCsmsUrl", "two.test", 2)
            await network.set(SLOT, "SecurityProfile", "2", 2)
        assert await network.prioritize("2,1") == "Accepted"
        after = await network.again()
        assert after.slots.priority[0] == 2
        assert after.slots.read(2).csms_url == "wss://two.test"
        await after.accept(2)
        assert after.get(COMM, "NetworkConfigurationPriority") == "2"
        assert after.get("SecurityCtrlr", "SecurityProfile") == "2"
        assert await after.send(1) == DOWNGRADE
        assert await after.set(SLOT, "SecurityProfile", "1", 1) == DOWNGRADE
        assert await after.prioritize("2,1") == INVALID  # It is empty.


async def test_slots_cost_no_handles() -> None:
    """A process may have thousands of stations."""
    network = await Network(slots=(SlotConfig(csms_url="ws://two.test"),) * 3).open()
    assert not [h for h in network.model._handles.values() if h.info.component == SLOT]
