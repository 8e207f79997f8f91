"""Whole messages out of frames: fragments at every byte, compressed or not, within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_fast.transport.deflate import Agreement, Deflater
from ocpp_fast.transport.reassembly import Message, Reassembly, Violation

AGREEMENT = Agreement(12, 12, send_context=True, receive_context=True)
LIMIT = 1_000


def send(
    reassembly: Reassembly, payload: bytes, cuts: list[int], *, text: bool, compressed: bool
) -> Message | None:
    """Cuts `payload` into fragments and gives what comes out after the last."""
    ends = [*sorted(cuts), len(payload)]
    parts = [payload[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    last = len(parts) - 1
    out = reassembly.start(parts[0], is_text=text, fin=not last, compressed=compressed)
    for number, part in enumerate(parts[1:], 1):
        assert out is None
        assert reassembly.open
        out = reassembly.go_on(part, fin=number == last, compressed=False)
    assert not reassembly.open
    return out


@pytest.mark.parametrize("compressed", [False, True])
def test_a_message_may_be_cut_at_every_byte(compressed: bool) -> None:
    message = b"the same message, the same message, the same message"
    reassembly, deflater = Reassembly(LIMIT, AGREEMENT), Deflater(AGREEMENT)
    for cut in range(len(message)):
        payload = deflater.compress(message) if compressed else message
        cuts = [min(cut, len(payload))]
        out = send(reassembly, payload, cuts, text=True, compressed=compressed)
        assert out == Message(message, is_text=True)


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6), st.booleans()
        ),
        max_size=6,
    )
)
def test_any_messages_cut_anywhere(messages: list[tuple[bytes, list[int], bool]]) -> None:
    reassembly, deflater = Reassembly(LIMIT, AGREEMENT), Deflater(AGREEMENT)
    for message, cuts, text in messages:
        compressed = text and bool(message)
        payload = deflater.compress(message) if compressed else message
        inside = [min(cut, len(payload)) for cut in cuts]
        out = send(reassembly, payload, inside, text=text, compressed=compressed)
        assert out == Message(message, text)


def begun() -> Reassembly:
    reassembly = Reassembly(LIMIT, AGREEMENT)
    reassembly.start(b"x" * 600, is_text=True, fin=False, compressed=False)
    return reassembly


def test_a_continuation_of_nothing() -> None:
    with pytest.raises(Violation) as caught:
        Reassembly(LIMIT, None).go_on(b"", fin=True, compressed=False)
    assert caught.value.code == 1002


@pytest.mark.parametrize("text", [True, False])
def test_a_message_within_a_message(text: bool) -> None:
    with pytest.raises(Violation) as caught:
        begun().start(b"", is_text=text, fin=True, compressed=False)
    assert caught.value.code == 1002


def test_a_reserved_bit_without_agreement() -> None:
    with pytest.raises(Violation) as caught:
        Reassembly(LIMIT, None).start(b"", is_text=True, fin=True, compressed=True)
    assert caught.value.code == 1002


def test_a_reserved_bit_in_a_continuation() -> None:
    with pytest.raises(Violation) as caught:
        begun().go_on(b"", fin=True, compressed=True)
    assert caught.value.code == 1002


def test_what_is_no_compressed_data() -> None:
    with pytest.raises(Violation) as caught:
        Reassembly(LIMIT, AGREEMENT).start(b"\xff" * 9, is_text=True, fin=True, compressed=True)
    assert caught.value.code == 1007


def test_the_bound_counts_all_fragments() -> None:
    assert begun().go_on(b"x" * 400, fin=True, compressed=False) == Message(b"x" * 1_000, True)
    with pytest.raises(Violation) as caught:
        begun().go_on(b"x" * 401, fin=False, compressed=False)
    assert caught.value.code == 1009


@pytest.mark.parametrize("cut", [0, 1, 3])
def test_the_bound_counts_inflated_bytes(cut: int) -> None:
    payload = Deflater(AGREEMENT).compress(b"x" * 1_001)
    assert len(payload) < 30
    with pytest.raises(Violation) as caught:
        send(Reassembly(LIMIT, AGREEMENT), payload, [cut], text=True, compressed=True)
    assert caught.value.code == 1009
    payload = Deflater(AGREEMENT).compress(b"x" * 1_000)
    out = send(Reassembly(LIMIT, AGREEMENT), payload, [cut], text=True, compressed=True)
    assert out == Message(b"x" * 1_000, is_text=True)
