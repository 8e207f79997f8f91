"""What a slot may be: pure rules."""

from __future__ import annotations

from itertools import product

import pytest

from ocpp_fast.connectivity.rules import (
    Apn,
    Vpn,
    apn_of,
    content_objection,
    endpoint,
    forbids,
    profile_texts,
    slot_numbers,
    value_objection,
    vpn_of,
)
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.messages import OcppVersion
from unit.connectivity.network_kit import apn, profile, vpn


@pytest.mark.parametrize(
    ("url", "profile", "expected"),
    [
        ("ws://h/ocpp", 0, "ws://h/ocpp"),
        ("ws://h/ocpp", 1, "ws://h/ocpp"),
        ("wss://h:8443/ocpp?a=b", 2, "wss://h:8443/ocpp?a=b"),
        ("wss://h", 3, "wss://h"),
        # The scheme is missing.
        ("h:9000/ocpp", 1, "ws://h:9000/ocpp"),
        ("h", 2, "wss://h"),
        ("[::1]:9000", 3, "wss://[::1]:9000"),
        # The identity stands at the end.
        ("ws://h/ocpp/CS001", 1, "ws://h/ocpp"),
        ("ws://h/ocpp/CS001/", 1, "ws://h/ocpp"),
        ("ws://h/CS001", 1, "ws://h"),
        ("h/ocpp/CS001?a=b", 2, "wss://h/ocpp?a=b"),
        ("ws://h/ocpp/CS0011", 1, "ws://h/ocpp/CS0011"),
        ("ws://h/CS001/ocpp", 1, "ws://h/CS001/ocpp"),
    ],
)
def test_addresses(url: str, profile: int, expected: str) -> None:
    assert endpoint(url, profile, "CS001") == expected


def test_an_identity_at_the_end_may_be_encoded() -> None:
    assert endpoint("ws://h/a%20b", 1, "a b") == "ws://h"


@pytest.mark.parametrize(
    ("url", "profile", "reason"),
    [
        ("", 1, "no address"),
        ("wss://h", 1, "wss:// contradicts security profile 1, which needs ws://"),
        ("ws://h", 2, "ws:// contradicts security profile 2, which needs wss://"),
        ("http://h", 1, "not a ws:// or wss:// URL"),
        ("ws://", 1, "not a ws:// or wss:// URL"),
        ("ws://h:port", 1, "not a ws:// or wss:// URL"),
        ("ws://[::1", 1, "not a ws:// or wss:// URL"),
        ("ws://h/a b", 1, "spaces"),
        ("ws://h/a\n", 1, "control"),
        ("ws://user:secret@h", 1, "user or password"),
        ("user:secret@h", 1, "user or password"),
        ("ws://h/#part", 1, "not a ws"),
        ("ws://h/" + "x" * 2_000, 1, "more than 2000"),
    ],
)
def test_what_is_no_address(url: str, profile: int, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        endpoint(url, profile, "CS001")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("current", "wanted"), list(product(range(4), repeat=2)))
@pytest.mark.parametrize("allow", [False, True])
def test_a05_fr_08_09_10_downgrades(current: int, wanted: int, allow: bool) -> None:
    """A00.FR.005, A05.FR.08, A05.FR.09, A05.FR.10: the only way down is from 3 to 2."""
    expected = wanted < current and not (allow and (current, wanted) == (3, 2))
    assert forbids(current, wanted, allow_downgrade=allow) is expected


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("1,2", (1, 2)), (" 2 , 1 ", (2, 1)), ("", ()), (None, ()), ("a,3,-1,²", (3,)), ("1,1", (1,))],
)
def test_lists_of_slots(text: str | None, numbers: tuple[int, ...]) -> None:
    assert slot_numbers(text) == numbers


GOOD = {"OcppCsmsUrl": "ws://h", "SecurityProfile": "1", "OcppTransport": "JSON"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"OcppTransport": None, "OcppInterface": None, "Identity": ""}, None),
        ({"OcppTransport": "SOAP"}, "SOAP is not supported"),
        ({"OcppCsmsUrl": ""}, "it has no address"),
        ({"OcppCsmsUrl": None}, "it has no address"),
        ({"SecurityProfile": "2"}, "contradicts"),
        ({"SecurityProfile": "4"}, "there is no security profile 4"),
        ({"SecurityProfile": None}, None),
        ({"OcppInterface": "Wired9"}, "must be one of"),
        ({"Identity": "a:b"}, "colon"),
        ({"Identity": "x" * 49}, "48"),
        ({"ApnEnabled": "true"}, "no Apn"),
        ({"ApnEnabled": "true", "Apn": "internet"}, None),
        ({"VpnEnabled": "true"}, "no VpnServer"),
        ({"VpnEnabled": "true", "VpnServer": "h"}, None),
        ({"BasicAuthPassword": "short", "MessageTimeout": "0"}, None),  # It can be dialled.
    ],
)
def test_the_content_of_a_slot(changes: dict[str, str | None], reason: str | None) -> None:
    objection = content_objection({**GOOD, **changes}, "CS001")
    if reason is None:
        assert objection is None
    else:
        assert objection is not None
        assert reason in objection


@pytest.mark.parametrize(
    ("variable", "good", "bad"),
    [
        ("OcppCsmsUrl", ("", "h", "ws://h", "wss://h/x"), ("ws://", "ftp://h", "ws://a@h", "a b")),
        ("SecurityProfile", ("0", "3"), ("4", "-1", "", "two", "²")),
        ("OcppInterface", ("Wired0", "Wireless3", "Any"), ("Wired4", "")),
        ("OcppTransport", ("JSON",), ("SOAP", "")),
        ("MessageTimeout", ("1", "600"), ("0", "-1", "")),
        ("Identity", ("", "CS001", "x" * 48), ("a:b", "x" * 49, "a\tb")),
        ("BasicAuthPassword", ("", "x" * 16, "x" * 64), ("x", "x" * 15)),
        ("ApnAuthentication", ("", "PAP", "CHAP", "NONE", "AUTO"), ("MD5",)),
        ("VpnType", ("", "IKEv2", "IPSec", "L2TP", "PPTP"), ("WireGuard",)),
        ("Apn", ("", "anything"), ()),
    ],
)
def test_single_values(variable: str, good: tuple[str, ...], bad: tuple[str, ...]) -> None:
    """B09.FR.23, B09.FR.25."""
    assert [text for text in good if value_objection(variable, text) is not None] == []
    assert [text for text in bad if value_objection(variable, text) is None] == []


def test_networks_are_typed_and_keep_their_secrets() -> None:
    texts: dict[str, str | None] = {
        "ApnEnabled": "true", "Apn": "internet", "ApnUserName": "", "ApnPassword": "secret-1",
        "SimPin": "0042", "PreferredNetwork": "20404", "UseOnlyPreferredNetwork": "true",
        "ApnAuthentication": "PAP", "VpnEnabled": "true", "VpnServer": "vpn.test", "VpnUser": "u",
        "VpnGroup": "g", "VpnPassword": "secret-2", "VpnKey": "secret-3", "VpnType": "L2TP",
    }  # fmt: skip
    of_apn, of_vpn = apn_of(texts), vpn_of(texts)
    assert of_apn is not None
    assert of_vpn is not None
    assert (of_apn.apn, of_apn.authentication, of_apn.user_name) == ("internet", "PAP", None)
    assert (of_apn.password, of_apn.sim_pin, of_apn.preferred_network) == (
        "secret-1",
        "0042",
        "20404",
    )
    assert of_apn.use_only_preferred_network
    assert (of_vpn.server, of_vpn.type, of_vpn.user, of_vpn.group) == ("vpn.test", "L2TP", "u", "g")
    assert (of_vpn.password, of_vpn.key) == ("secret-2", "secret-3")
    assert "secret" not in f"{of_apn}{of_vpn}"
    assert "0042" not in str(of_apn)
    off = {**texts, "ApnEnabled": "false", "VpnEnabled": None}
    assert (apn_of(off), vpn_of(off)) == (None, None)


def test_networks_come_as_they_were_set() -> None:
    """What SetNetworkProfile says, as variables, and what these say to the integrator."""
    version = OcppVersion.V21
    texts: dict[str, str | None] = {
        **profile_texts(profile(version, apn=apn(version), vpn=vpn(version)))
    }
    of_apn, of_vpn = apn_of(texts), vpn_of(texts)
    assert of_apn == Apn(
        apn="internet", authentication="CHAP", user_name="user", password="apn secret",
        sim_pin="1234", preferred_network="20404", use_only_preferred_network=True,
    )  # fmt: skip
    assert of_vpn == Vpn(
        server="vpn.test", type="IKEv2", user="u", group="g", password="vpn secret", key="vpn key"
    )
    bare = profile(
        version,
        apn=version.module.APNType(apn="internet", apn_authentication="AUTO"),
        vpn=vpn(version, group=None),
    )
    texts = {**profile_texts(bare)}
    assert apn_of(texts) == Apn(apn="internet", authentication="AUTO")
    found = vpn_of(texts)
    assert found is not None
    assert found.group is None
