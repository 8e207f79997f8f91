"""When a request for a certificate is sent again, and which answer belongs to which."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ocpp_fast.blocks.security.signing import BackOff, Outstanding, Request

STATION, V2G = "ChargingStationCertificate", "V2GCertificate"


def begin(outstanding: Outstanding, use: str = STATION, key: str = "k") -> Request:
    request, _ = outstanding.begin(
        use=use,
        key_id=f"{key}{outstanding.last_id + 1}",
        csr="PEM",
        common_name="N",
        organization="O",
    )
    return request


def test_the_pause_doubles_as_often_as_it_may() -> None:
    """A02.FR.17, A02.FR.18, A02.FR.19, A03.FR.17, A03.FR.18, A03.FR.19; TC_A_23_CS has one doubling
    and three requests."""
    assert [BackOff(10, 1).pause_s(sent) for sent in range(1, 5)] == [10, 20, None, None]
    assert [BackOff(30, 3).pause_s(sent) for sent in range(1, 7)] == [30, 60, 120, 240, None, None]
    assert [BackOff(30, 0).pause_s(sent) for sent in (1, 2)] == [30, None]


def test_odd_settings_end_neither_in_a_flood_nor_in_an_overflow() -> None:
    assert BackOff(None, 3).pause_s(1) is None
    assert BackOff(30, None).pause_s(1) is None
    assert BackOff(0, 3).pause_s(1) == 1
    longest = BackOff(1e6, 1e9).pause_s(1_000_000)
    assert longest is not None
    assert longest <= 1e6 * 2**20


def test_ids_are_never_used_again() -> None:
    outstanding = Outstanding()
    first = begin(outstanding)
    outstanding.drop(first)
    assert begin(outstanding).id == first.id + 1
    again = Outstanding.load(outstanding.dump())
    assert begin(again).id == first.id + 2


def test_what_is_stored_comes_back() -> None:
    outstanding = Outstanding()
    begin(outstanding)
    outstanding.put(replace(begin(outstanding, V2G), sent=3, stopped=True))
    assert Outstanding.load(outstanding.dump()) == outstanding
    assert Outstanding.load(None) == Outstanding()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"last_id":1,"requests":[{"id":1}]}', "null"])
def test_what_cannot_be_read_is_an_error_that_is_caught(text: str) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Outstanding.load(text)


def test_a_new_request_is_the_only_one_of_its_use_that_is_sent() -> None:
    outstanding = Outstanding()
    other = begin(outstanding, V2G)
    requests = [begin(outstanding) for _ in range(3)]
    assert [*outstanding.active()] == [other, requests[-1]]
    assert outstanding.is_active(STATION)
    assert outstanding.is_active(V2G)
    # The older ones may still be answered, but not for ever.
    assert outstanding.find(key_id=requests[0].key_id) is not None
    fourth, dropped = outstanding.begin(
        use=STATION, key_id="k5", csr="PEM", common_name="N", organization="O"
    )
    assert [each.id for each in dropped] == [requests[0].id]
    assert [each.id for each in outstanding.requests] == [
        other.id, requests[1].id, requests[2].id, fourth.id,
    ]  # fmt: skip


def test_an_answer_ends_its_request_and_the_older_ones() -> None:
    outstanding = Outstanding()
    first, second, third = (begin(outstanding) for _ in range(3))
    other = begin(outstanding, V2G)
    assert [each.id for each in outstanding.answered(second)] == [first.id]
    assert [each.id for each in outstanding.requests] == [third.id, other.id]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"key_id": "k1"}, True),
        ({"key_id": "k1", "use": STATION, "request_id": 1}, True),
        ({"key_id": "k1", "use": V2G}, False),
        ({"key_id": "k1", "request_id": 2}, False),
        ({"key_id": "k9"}, False),
    ],
)
def test_a_certificate_belongs_to_the_request_of_its_key(asked: Any, found: bool) -> None:
    outstanding = Outstanding()
    request = begin(outstanding)
    begin(outstanding, V2G)
    assert (outstanding.find(**asked) == request) is found


def test_what_is_gone_does_not_come_back() -> None:
    outstanding = Outstanding()
    request = begin(outstanding)
    outstanding.drop(request)
    outstanding.put(replace(request, sent=1))
    assert outstanding.requests == []
