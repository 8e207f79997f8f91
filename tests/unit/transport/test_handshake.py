import base64

import pytest

from ocpp_fast.errors import ConfigurationError
from ocpp_fast.transport.handshake import (
    Credentials,
    check_identity,
    choose_subprotocol,
    connection_url,
    identity_in,
    offered_subprotocols,
    parse_authorization,
)


# The two examples of Part 4, section 3.1.1, and what is around them.
@pytest.mark.parametrize(
    ("endpoint", "identity", "url"),
    [
        ("ws://csms.example.com/ocpp", "CS001", "ws://csms.example.com/ocpp/CS001"),
        ("wss://csms.example.com/ocppj", "RDAM|123", "wss://csms.example.com/ocppj/RDAM%7C123"),
        ("ws://localhost:9000", "CS001", "ws://localhost:9000/CS001"),
        ("ws://localhost:9000/", "CS001", "ws://localhost:9000/CS001"),
        ("ws://localhost/a?tenant=7", "CS 1/2", "ws://localhost/a/CS%201%2F2?tenant=7"),
        ("ws://[::1]:9000/a", "Säule", "ws://[::1]:9000/a/S%C3%A4ule"),
    ],
)
def test_the_connection_url_is_the_endpoint_with_the_identity(
    endpoint: str, identity: str, url: str
) -> None:
    assert connection_url(endpoint, identity) == url
    assert identity_in(url.partition("://")[2].partition("/")[2]) == identity


@pytest.mark.parametrize("endpoint", ["http://a/b", "ws:///b", "ws://a/b#c", "", "a/b"])
def test_an_endpoint_must_be_a_websocket_url(endpoint: str) -> None:
    with pytest.raises(ConfigurationError):
        connection_url(endpoint, "CS001")


def test_an_endpoint_holds_no_credentials() -> None:
    with pytest.raises(ConfigurationError) as caught:
        connection_url("wss://CS001:geheim@csms.example/ocpp", "CS001")
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("identity", ["x", "x" * 48, "EVSE*1-2_3=4+5|6@7.8", "ladepunkt ü"])
def test_possible_identities(identity: str) -> None:
    check_identity(identity)


@pytest.mark.parametrize("identity", ["", "x" * 49, "a:b", "a\nb", "a\x00b"])
def test_impossible_identities(identity: str) -> None:
    with pytest.raises(ConfigurationError):
        check_identity(identity)


@pytest.mark.parametrize(
    ("target", "identity"),
    [
        ("/ocpp/CS001", "CS001"),
        ("/CS001", "CS001"),
        ("/a/b/c/CS%7C1?token=x/y", "CS|1"),
        ("/ocpp/", None),
        ("/", None),
        ("/ocpp/" + "x" * 49, None),
        ("/ocpp/a%3Ab", None),
        ("/ocpp/%ff", None),
        ("/ocpp/a%0Ab", None),
    ],
)
def test_the_identity_is_the_decoded_last_segment(target: str, identity: str | None) -> None:
    assert identity_in(target) == identity


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (("ocpp2.1", "ocpp2.0.1"), "ocpp2.1"),
        (("ocpp2.0.1", "ocpp2.1"), "ocpp2.0.1"),
        (("ocpp1.6", "ocpp2.0.1"), "ocpp2.0.1"),
        (("ocpp1.6",), None),
        ((), None),
    ],
)
def test_the_client_has_the_choice_of_version(offered: tuple[str, ...], chosen: str | None) -> None:
    assert choose_subprotocol(offered, ("ocpp2.1", "ocpp2.0.1")) == chosen


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("ocpp2.1, ocpp2.0.1 ,ocpp1.6", ("ocpp2.1", "ocpp2.0.1", "ocpp1.6")),
        ("ocpp2.1", ("ocpp2.1",)),
        (",, ", ()),
        (None, ()),
    ],
)
def test_the_offered_versions_keep_their_order(header: str | None, names: tuple[str, ...]) -> None:
    assert offered_subprotocols(header) == names


@pytest.mark.parametrize("password", ["secret", "with:colon", "", "grüße"])
def test_credentials_survive_the_header(password: str) -> None:
    credentials = Credentials("CS001", password)
    assert parse_authorization(credentials.header()) == credentials


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer abc",
        "Basic",
        "Basic !!!!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff:x").decode(),
    ],
)
def test_an_unreadable_authorization_counts_as_none(header: str | None) -> None:
    assert parse_authorization(header) is None


def test_the_scheme_is_read_without_regard_to_case() -> None:
    header = Credentials("CS001", "x").header().replace("Basic", "bASIC")
    assert parse_authorization(header) == Credentials("CS001", "x")


def test_a_password_does_not_show_in_logs() -> None:
    assert "hunter2" not in repr(Credentials("CS001", "hunter2"))
