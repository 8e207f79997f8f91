"""What is sent over the link, and what one process reports."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from bench.payloads import PAYLOADS, Case, message_id
from ocpp_fast._core import Call, Codec

VERSION: Final = "2.1"
VARIANTS: Final = 64
"""Different messages in turn, so that no cache or branch predictor learns one by heart."""
WORKLOADS: Final = {
    "TransactionEvent": "TransactionEvent.Updated",
    "MeterValues": "MeterValues.2x16",
}
"""Action to the payload that is sent for it, over and over."""
ANSWER: Final = b'[3,"' + message_id(0).encode() + b'",{}]'
"""The floor's answer to every call: the size of ours, the content of nobody's interest."""


_Item = TypeVar("_Item")

Run: TypeAlias = Callable[[Iterable[_Item]], Awaitable[None]]
"""Sends each item when the one before has been answered; returns when all have been."""


class Usage(NamedTuple):
    """What one process used from its first measured call to its last."""

    calls: int
    wall_s: float
    cpu_s: float


def frames(action: str) -> list[bytes]:
    """CALL frames ready to be sent."""
    return Case(PAYLOADS[WORKLOADS[action]], VERSION, count=VARIANTS).frames()


def messages(action: str) -> list[Any]:
    """The same as typed messages."""
    codec = Codec(VERSION)
    calls = [codec.decode(frame) for frame in frames(action)]
    return [call.payload for call in calls if isinstance(call, Call)]
