"""permessage-deflate (RFC 7692): what is agreed upon, and what becomes of messages.

Part 4, section 3.4 (2.0.1: 3.3) asks for it.
"""

from __future__ import annotations

import contextlib
import os
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_fast.errors import ConfigurationError
from ocpp_fast.transport.deflate import (
    Agreement,
    BadExtensions,
    Deflater,
    DeflateSettings,
    Extension,
    Inflater,
    NotDeflate,
    TooLong,
    accept_offer,
    check_response,
    offer,
    parse_extensions,
)

NAME = "permessage-deflate"
SETTINGS = DeflateSettings()
FORGETFUL = DeflateSettings(keep_context=False)
PLAIN = Agreement(15, 15, send_context=True, receive_context=True)
LIMIT = 1 << 20


# --- the header ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], []),
        ([""], []),
        ([" , ,"], []),
        (["a"], [Extension("a")]),
        (["a, b", "c"], [Extension("a"), Extension("b"), Extension("c")]),
        (["a ; p ;q = 1"], [Extension("a", (("p", None), ("q", "1")))]),
        (['a;p="12"'], [Extension("a", (("p", "12"),))]),
        ([r'a;p="1\2"'], [Extension("a", (("p", "12"),))]),
        (["a;p;p"], [Extension("a", (("p", None), ("p", None)))]),
        (["x;y=z,\tpermessage-deflate"], [Extension("x", (("y", "z"),)), Extension(NAME)]),
    ],
)
def test_headers_are_read(headers: list[str], expected: list[Extension]) -> None:
    assert parse_extensions(headers) == expected


@pytest.mark.parametrize(
    "header",
    [
        "a b",
        ";",
        "a;",
        "a;;b",
        "a;=1",
        "a;b=",
        'a;b="1',
        'a;b="1 2"',
        'a;b=""',
        "a;b=1 2",
        "ä",
        "a/b",
    ],
)
def test_what_breaks_the_grammar_is_refused(header: str) -> None:
    with pytest.raises(BadExtensions):
        parse_extensions([header])


@given(st.text(alphabet='ab;=, "\\\t1', max_size=20))
def test_reading_ends_and_raises_nothing_else(header: str) -> None:
    try:
        extensions = parse_extensions([header])
    except BadExtensions:
        return
    assert parse_extensions([", ".join(map(str, extensions))]) == extensions


# --- the agreement ---------------------------------------------------------------------------


def agreed(header: str, settings: DeflateSettings = SETTINGS) -> tuple[Agreement, str] | None:
    return accept_offer(parse_extensions([header]), settings)


@pytest.mark.parametrize(
    ("header", "agreement", "answer"),
    [
        ("", Agreement(12, 15, True, True), ""),
        ("client_max_window_bits", Agreement(12, 12, True, True), "client_max_window_bits=12"),
        ("client_max_window_bits=9", Agreement(12, 9, True, True), "client_max_window_bits=9"),
        ("client_max_window_bits=8", Agreement(12, 8, True, True), "client_max_window_bits=8"),
        ("client_max_window_bits=15", Agreement(12, 12, True, True), "client_max_window_bits=12"),
        ("server_max_window_bits=15", Agreement(12, 15, True, True), "server_max_window_bits=12"),
        ('server_max_window_bits="10"', Agreement(10, 15, True, True), "server_max_window_bits=10"),
        (
            "server_no_context_takeover",
            Agreement(12, 15, False, True),
            "server_no_context_takeover",
        ),
        (
            "client_no_context_takeover",
            Agreement(12, 15, True, False),
            "client_no_context_takeover",
        ),
    ],
)
def test_a_server_accepts(header: str, agreement: Agreement, answer: str) -> None:
    separator = "; " if header else ""
    assert agreed(f"{NAME}{separator}{header}") == (agreement, f"{NAME}{separator}{answer}")


@pytest.mark.parametrize(
    "parameters",
    [
        "unknown",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=+9",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=010",
        "client_max_window_bits; client_max_window_bits",
        "server_max_window_bits=10; server_max_window_bits=10",
        "server_no_context_takeover; server_no_context_takeover",
        "server_max_window_bits=8",  # zlib has none
    ],
)
def test_a_server_declines_an_offer_and_looks_at_the_next(parameters: str) -> None:
    assert agreed(f"{NAME}; {parameters}") is None
    assert agreed(f"{NAME}; {parameters}, x-other, {NAME}") == (
        Agreement(12, 15, True, True),
        NAME,
    )


def test_a_server_accepts_nothing_where_nothing_is_offered() -> None:
    assert agreed("") is None
    assert agreed("x-webkit-deflate-frame") is None


@pytest.mark.parametrize(
    ("parameters", "agreement"),
    [
        ("", Agreement(12, 15, True, True)),
        ("server_max_window_bits=12", Agreement(12, 12, True, True)),
        ("client_max_window_bits=10", Agreement(10, 15, True, True)),
        ("client_max_window_bits=8", Agreement(8, 15, True, True)),
        ("client_max_window_bits=15", Agreement(12, 15, True, True)),
        ("server_no_context_takeover", Agreement(12, 15, True, False)),
        ("client_no_context_takeover", Agreement(12, 15, False, True)),
    ],
)
def test_a_client_takes_what_the_server_answers(parameters: str, agreement: Agreement) -> None:
    header = f"{NAME}; {parameters}" if parameters else NAME
    assert check_response(parse_extensions([header]), SETTINGS) == agreement


def test_a_client_goes_without_where_the_server_answers_nothing() -> None:
    assert check_response([], SETTINGS) is None
    assert check_response([], None) is None


@pytest.mark.parametrize(
    "header",
    [
        "x-other",
        f"{NAME}, x-other",
        f"{NAME}, {NAME}",
        f"{NAME}; unknown",
        f"{NAME}; client_max_window_bits",  # a value is what an answer is for
        f"{NAME}; server_max_window_bits=16",
        f"{NAME}; server_max_window_bits=12; server_max_window_bits=12",
        f"{NAME}; server_no_context_takeover=1",
    ],
)
def test_a_client_fails_what_it_did_not_offer(header: str) -> None:
    with pytest.raises(BadExtensions):
        check_response(parse_extensions([header]), SETTINGS)


def test_a_client_fails_what_it_did_not_offer_because_it_is_off() -> None:
    with pytest.raises(BadExtensions):
        check_response([Extension(NAME)], None)


@pytest.mark.parametrize("settings", [SETTINGS, FORGETFUL, DeflateSettings(window_bits=9)])
@pytest.mark.parametrize("other", [SETTINGS, FORGETFUL, DeflateSettings(window_bits=15)])
def test_both_ends_agree_on_the_same(settings: DeflateSettings, other: DeflateSettings) -> None:
    accepted = agreed(offer(settings), other)
    assert accepted is not None
    server, answer = accepted
    client = check_response(parse_extensions([answer]), settings)
    assert client is not None
    # What one sends the other can read.
    assert client.send_window_bits <= server.receive_window_bits
    assert server.send_window_bits <= client.receive_window_bits
    assert client.send_context <= server.receive_context
    assert server.send_context <= client.receive_context
    for sender, receiver in ((client, server), (server, client)):
        deflater, inflater = Deflater(sender), Inflater(receiver)
        for number in range(20):
            message = os.urandom(300).hex().encode() * (number % 4 + 1)
            assert inflater.inflate(deflater.compress(message), LIMIT, last=True) == message


@pytest.mark.parametrize("wrong", [{"window_bits": 8}, {"window_bits": 16}, {"from_bytes": 0}])
def test_settings_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        DeflateSettings(**wrong)


def test_with_a_window_that_zlib_has_not_nothing_is_compressed() -> None:
    assert not Deflater(Agreement(8, 15, True, True)).able
    assert Deflater(Agreement(9, 15, True, True)).able


# --- compression -----------------------------------------------------------------------------


def inflated(payload: bytes, limit: int = LIMIT) -> bytes:
    return Inflater(PLAIN).inflate(payload, limit, last=True)


@pytest.mark.parametrize(
    "payload",
    [
        # The examples of RFC 7692, section 7.2.3, all "Hello".
        bytes((0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00)),
        bytes((0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00)),
        bytes((0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00)),
        bytes((0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00)),
    ],
)
def test_the_examples_of_the_rfc(payload: bytes) -> None:
    assert inflated(payload) == b"Hello"


def test_the_second_message_refers_to_the_first() -> None:
    inflater = Inflater(PLAIN)
    first = bytes((0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00))
    second = bytes((0xF2, 0x00, 0x11, 0x00, 0x00))
    assert inflater.inflate(first, LIMIT, last=True) == b"Hello"
    assert inflater.inflate(second, LIMIT, last=True) == b"Hello"


def test_without_context_no_message_refers_to_another() -> None:
    agreement = Agreement(12, 12, send_context=False, receive_context=False)
    deflater, inflater = Deflater(agreement), Inflater(agreement)
    message = b"said before " * 20
    once = deflater.compress(message)
    assert deflater.compress(message) == once
    for _ in range(2):
        assert inflater.inflate(once, LIMIT, last=True) == message
    with pytest.raises(NotDeflate):  # a reference to what was forgotten
        inflater.inflate(bytes((0xF2, 0x00, 0x11, 0x00, 0x00)), LIMIT, last=True)


@given(st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=8), st.data())
def test_any_message_survives_cut_anywhere(messages: list[bytes], data: st.DataObject) -> None:
    agreement = Agreement(9, 9, send_context=True, receive_context=True)
    deflater, inflater = Deflater(agreement), Inflater(agreement)
    for message in messages:
        payload = deflater.compress(message)
        cut = data.draw(st.integers(0, len(payload)))
        whole = inflater.inflate(payload[:cut], LIMIT, last=False)
        whole += inflater.inflate(payload[cut:], LIMIT, last=True)
        assert whole == message


def test_messages_of_stations_become_small() -> None:
    """The figures that made the defaults: 4 KB of memory of what was said are enough."""
    message = b'{"measurand":"Energy.Active.Import.Register","value":%d,"unit":"Wh"}' * 30
    for bits, bound in ((12, 140), (15, 140)):
        deflater = Deflater(Agreement(bits, bits, True, True))
        deflater.compress(message % ((1,) * 30))
        assert len(deflater.compress(message % ((2,) * 30))) < bound


@pytest.mark.parametrize("size", [1_000, LIMIT])
def test_a_message_at_the_bound_passes_and_one_beyond_it_does_not(size: int) -> None:
    deflater = Deflater(PLAIN)
    assert inflated(deflater.compress(b"x" * size), size) == b"x" * size
    with pytest.raises(TooLong):
        inflated(Deflater(PLAIN).compress(b"x" * (size + 1)), size)


@pytest.mark.parametrize("bits", range(9, 16))
def test_noise_grows_by_no_more_than_is_allowed_for(bits: int) -> None:
    """By `PicowsTransport`, whose bound is for what is on the wire as well."""
    deflater = Deflater(Agreement(bits, 15, True, True))
    for size in (128, 1_000, 30_000, 300_000):
        assert len(deflater.compress(os.urandom(size))) <= size + (size >> 4) + 16


def test_a_bomb_takes_no_memory() -> None:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(stream.compress(b"\0" * LIMIT) for _ in range(200)) + stream.flush()
    assert len(bomb) < LIMIT < 200 * LIMIT
    tracemalloc.start()
    try:
        with pytest.raises(TooLong):
            inflated(bomb, LIMIT)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * LIMIT


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff\xff\xff",
        bytes((0xF2, 0x00, 0x11, 0x00, 0x00)),  # refers to what never was
        bytes((0x03, 0x00)) * 20,  # one end of a stream after the other
        b"\x06",
    ],
)
def test_what_is_no_compressed_data(payload: bytes) -> None:
    with pytest.raises(NotDeflate):
        inflated(payload)


def test_many_ends_of_streams_cost_no_time() -> None:
    with pytest.raises(NotDeflate):
        inflated(bytes((0x03, 0x00)) * 500_000)


def test_a_stream_that_ended_is_followed_by_another() -> None:
    inflater = Inflater(PLAIN)
    for number in range(20):
        text = b"message %d " % number * 9
        stream = zlib.compressobj(6, zlib.DEFLATED, -15)
        payload = stream.compress(text) + stream.flush(zlib.Z_FINISH) + b"\0"
        assert inflater.inflate(payload, LIMIT, last=True) == text


@given(st.binary(max_size=200))
def test_anything_at_all_is_inflated_or_refused(payload: bytes) -> None:
    with contextlib.suppress(NotDeflate, TooLong):
        assert len(inflated(payload, 500)) <= 500


def test_nothing_is_held_by_an_end_that_compresses_nothing() -> None:
    """Thousands of links are open in one process."""
    tracemalloc.start()
    try:
        kept = [(Deflater(PLAIN), Inflater(PLAIN)) for _ in range(100)]
        assert tracemalloc.get_traced_memory()[0] / len(kept) < 400
    finally:
        tracemalloc.stop()
