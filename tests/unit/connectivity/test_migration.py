"""The network profiles of an older libocpp become slots, once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ocpp_fast.errors import StorageError
from unit.connectivity.network_kit import (
    OTHER,
    PASSWORD,
    SLOT,
    CutStorage,
    Network,
    PowerCut,
    two,
)

BLOB = ("InternalCtrlr", "NetworkConnectionProfiles")


def entry(slot: int = 2, **changes: Any) -> dict[str, Any]:
    """As libocpp wrote it."""
    data: dict[str, Any] = {
        "messageTimeout": 20,
        "ocppCsmsUrl": "ws://old.test/ocpp",
        "ocppInterface": "Wired1",
        "ocppTransport": "JSON",
        "ocppVersion": "OCPP20",
        "securityProfile": 1,
        **changes,
    }
    return {"configurationSlot": slot, "connectionData": data}


async def opened(blob: Any, **options: Any) -> Network:
    """A station whose component files have the text."""
    network = Network(**options)
    text = blob if isinstance(blob, str) else json.dumps(blob)
    number = network.model.cache.find(BLOB[0], None, None, None, BLOB[1], None)
    network.model.cache.default(number, 0, text)
    return await network.open()


async def test_all_entries_become_slots_and_the_text_is_emptied() -> None:
    network = await opened([
        entry(2, identity="CS2", basicAuthPassword=OTHER),
        entry(3, ocppCsmsUrl="old.test/three/CS001", securityProfile=0),
    ], slots=two("ws://a.test") * 2)  # fmt: skip
    # Slots 2 and 3 are configured otherwise here.
    assert network.get(*BLOB)
    assert network.slots.read(2).csms_url == "ws://a.test"

    network = await opened([entry(2, identity="CS2", basicAuthPassword=OTHER)])
    slot = network.slots.read(2)
    assert (slot.csms_url, slot.security_profile) == ("ws://old.test/ocpp", 1)
    assert (slot.interface, slot.message_timeout_s) == ("Wired1", 20)
    assert (slot.identity, slot.password) == ("CS2", OTHER)
    assert network.get(*BLOB) == ""
    assert len(network.storage.rows) == 1  # One transaction.
    after = await network.again()
    assert after.slots.read(2) == slot


async def test_a_profile_0_of_the_text_is_the_integrators() -> None:
    network = await opened([entry(2, securityProfile=0)])
    assert network.slots.read(2).security_profile == 0


async def test_networks_are_taken_over() -> None:
    apn = {"apn": "internet", "apnAuthentication": "PAP", "simPin": 42}
    vpn = {"server": "v", "user": "u", "password": "p", "key": "k", "type": "PPTP"}
    network = await opened([entry(2, apn=apn, vpn=vpn)], networks=True)
    slot = network.slots.read(2)
    assert slot.apn is not None
    assert slot.vpn is not None
    assert (slot.apn.apn, slot.apn.sim_pin, slot.vpn.type) == ("internet", "42", "PPTP")


@pytest.mark.parametrize("blob", ["", "[]"])
async def test_nothing_to_take_over(blob: str) -> None:
    network = await opened(blob)
    assert network.slots.known == (1, 2)
    assert not network.get(SLOT, "OcppCsmsUrl", 2)
    assert network.get(*BLOB) == ""


async def test_never_when_a_slot_was_set_at_run_time() -> None:
    """What is there is newer; and the text is not lost."""
    storage = CutStorage()
    first = await Network(storage=storage).open()
    assert await first.send(2) == "Accepted"
    network = await opened([entry(2)], storage=storage)
    assert network.slots.read(2).csms_url == "ws://new.test/ocpp"
    assert network.get(*BLOB)


async def test_once() -> None:
    network = await opened([entry(2)])
    assert await network.send(2) == "Accepted"
    after = await opened([entry(2)], storage=network.storage)
    assert after.slots.read(2).csms_url == "ws://new.test/ocpp"
    assert after.get(*BLOB) == ""  # As it was emptied, whatever the file says.


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (entry(7), "there is no slot 7"),
        (entry(2, ocppTransport="SOAP"), "SOAP is not supported"),
        (entry(2, securityProfile=2), "contradicts security profile 2"),
        (entry(2, ocppCsmsUrl=""), "no address"),
        (entry(2, messageTimeout=0), "MessageTimeout"),
        (entry(2, identity="a:b"), "no colon"),
        (entry(2, basicAuthPassword="secret 123"), "at least 16"),
        (entry(2, ocppInterface="Wired9", basicAuthPassword="secret 1234567890"), "at /connection"),
        (entry(2, apn={"apn": "a", "apnAuthentication": "PAP"}), "ApnEnabled is ReadOnly"),
        ({"configurationSlot": 2}, "no network profile"),
        ({"connectionData": {"basicAuthPassword": "secret"}}, "no network profile"),
        ("secret", "no JSON list of objects"),
        (None, "no JSON list of objects"),
    ],
)
async def test_a_malformed_entry_is_reported_and_not_lost(
    bad: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    good = entry(3, ocppCsmsUrl="ws://three.test", basicAuthPassword=OTHER)
    text = json.dumps([bad, good])
    network = await opened(text, slots=two("ws://two.test") + two("ws://three.test"))
    assert network.get(*BLOB) == text
    assert "entry 0" in caplog.text
    assert "secret" not in caplog.text
    assert OTHER not in caplog.text
    network = await opened(json.dumps([bad]))
    assert reason in caplog.text
    assert network.get(*BLOB) == json.dumps([bad])
    assert not network.get(SLOT, "OcppCsmsUrl", 2)


async def test_good_entries_are_taken_beside_bad_ones() -> None:
    text = json.dumps([entry(7), entry(2)])
    network = await opened(text)
    assert network.slots.read(2).csms_url == "ws://old.test/ocpp"
    assert network.get(*BLOB) == text
    after = await opened(text, storage=network.storage)
    assert after.get(*BLOB) == text


async def test_a_slot_that_is_there_twice(caplog: pytest.LogCaptureFixture) -> None:
    network = await opened([entry(2), entry(2, ocppCsmsUrl="ws://else.test")])
    assert network.slots.read(2).csms_url == "ws://old.test/ocpp"
    assert "twice" in caplog.text
    assert network.get(*BLOB)


@pytest.mark.parametrize("blob", ["{", "{}", "1", '"text"', "null"])
async def test_what_is_no_list_stays(blob: str, caplog: pytest.LogCaptureFixture) -> None:
    network = await opened(blob)
    assert "no JSON list" in caplog.text
    assert network.get(*BLOB) == blob


# --- a slot that the configuration has --------------------------------------------------------

ONE = {"ocppCsmsUrl": "ws://one.test/ocpp/CS001"}


async def test_of_a_configured_slot_only_what_is_left_open_is_taken() -> None:
    network = await opened([entry(1, **ONE, basicAuthPassword=OTHER)], password=None,
                           security_profile=1)  # fmt: skip
    assert network.slots.read(1).password == OTHER
    assert network.get(*BLOB) == ""
    url = network.model.variable(SLOT, "OcppCsmsUrl", instance="1")
    assert url.source() == "default"  # The configuration still says where it leads to.


async def test_a_configured_slot_with_tls_is_the_same() -> None:
    blob = [entry(1, ocppCsmsUrl="wss://one.test", securityProfile=2, messageTimeout=99)]
    network = await opened(blob, csms_url="wss://one.test")
    assert network.get(*BLOB) == ""
    assert network.slots.read(1).message_timeout_s == 30
    network = await opened(blob, csms_url="wss://one.test", security_profile=3)
    assert network.get(*BLOB)


@pytest.mark.parametrize(
    "changes",
    [
        {"ocppCsmsUrl": "ws://localhost:9000"},
        {"basicAuthPassword": OTHER},
        {"identity": "CS002"},
    ],
)
async def test_a_configured_slot_is_not_contradicted(
    changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Such as by the profile that libocpp's own sample files bring."""
    network = await opened([entry(1, **{**ONE, **changes})])
    slot = network.slots.read(1)
    assert (slot.csms_url, slot.password) == ("ws://one.test/ocpp", PASSWORD)
    assert "slot 1 is configured otherwise" in caplog.text
    assert network.get(*BLOB)


# --- faults -----------------------------------------------------------------------------------


async def test_a_storage_that_fails_changes_nothing() -> None:
    storage = CutStorage()
    storage.broken = {"values_store"}
    with pytest.raises(StorageError):
        await opened([entry(2)], storage=storage)
    storage.broken = set()
    network = await opened([entry(2)], storage=storage)
    assert network.slots.read(2).csms_url == "ws://old.test/ocpp"


@pytest.mark.parametrize("after", [False, True])
async def test_a_power_cut_leaves_all_of_it_or_nothing(after: bool) -> None:
    storage = CutStorage()
    storage.cut, storage.after = 1, after
    with pytest.raises(PowerCut):
        await opened([entry(2)], storage=storage)
    storage.cut = None
    network = await opened([entry(2)], storage=storage)
    assert network.slots.read(2).csms_url == "ws://old.test/ocpp"
    assert network.get(*BLOB) == ""


async def test_the_csms_cannot_write_the_text() -> None:
    """It would be a way past all that is asked of a slot."""
    network = await Network().open()
    assert await network.set(*BLOB, json.dumps([entry(2)])) == "Rejected ReadOnly"
    assert network.get(*BLOB) == ""
