"""Frames that must be refused (and some that must not): what each candidate's checks are worth.

A ratio of speeds means nothing without this table.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from bench.harness import Job
from bench.payloads import PAYLOADS, Case, JsonObject, Version, write
from bench.peers.base import Peer

_Change = Callable[[JsonObject], None]


@dataclass(frozen=True, slots=True)
class BadFrame:
    """A change to TransactionEvent Updated; `valid` marks what a validator must accept."""

    name: str
    change: _Change | None = None
    replace: tuple[bytes, bytes] | None = None
    valid: bool = False

    def frame(self, version: Version) -> bytes:
        """The changed frame."""
        case = Case(PAYLOADS["TransactionEvent.Updated"], version)
        (tree,) = case.trees()
        body = deepcopy(tree[-1])
        if self.change is not None:
            self.change(body)
        frame = write([*tree[:-1], body])
        if self.replace is not None:
            changed = frame.replace(*self.replace, 1)
            if changed == frame:
                raise ValueError(f"{self.name}: nothing to replace")
            return changed
        return frame


def _set(*path: Any, value: Any) -> _Change:
    def change(body: JsonObject) -> None:
        place: Any = body
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


def _drop(key: str) -> _Change:
    return lambda body: body.pop(key)


_SAMPLE: Final = ("meterValue", 0, "sampledValue", 3)
_CUSTOM_DATA: Final = {"vendorId": "com.example", "extra": [1, 2]}

BAD_FRAMES: Final = (
    BadFrame("missing required member", _drop("transactionInfo")),
    BadFrame("value outside the enumeration", _set(*_SAMPLE, "measurand", value="Temperature")),
    BadFrame("string for an integer", _set("seqNo", value="4")),
    BadFrame("too long string", _set("transactionInfo", "transactionId", value="t" * 37)),
    BadFrame("unknown member, top level", _set("surprise", value=1)),
    BadFrame("unknown member, deep", _set(*_SAMPLE, "surprise", value=1)),
    BadFrame("bool for an integer", _set("seqNo", value=True)),
    BadFrame("1.5 for an integer", _set("seqNo", value=1.5)),
    BadFrame("empty array", _set("meterValue", value=[])),
    BadFrame("customData without vendorId", _set("customData", value={"a": 1})),
    BadFrame("null for an optional member", _set("cableMaxCurrent", value=None)),
    BadFrame("bad date-time", _set("timestamp", value="2026-13-01T09:00:00Z")),
    BadFrame("text for a date-time", _set("timestamp", value="yesterday")),
    BadFrame("duplicate key", replace=(b'"seqNo":3', b'"seqNo":3,"seqNo":4')),
    BadFrame("NaN", replace=(b"16.03", b"NaN")),
    BadFrame("lone surrogate", replace=(b'"unit":"Hz"', b'"unit":"\\ud800"')),
    BadFrame("broken UTF-8", replace=(b'"unit":"Hz"', b'"unit":"\xff\xfe"')),
    BadFrame("unchanged", valid=True),
    BadFrame("17.0 for an integer", _set("seqNo", value=17.0), valid=True),
    BadFrame("customData with more members", _set("customData", value=_CUSTOM_DATA), valid=True),
    BadFrame("offset other than Z", replace=(b'.125Z"', b'.125+01:00"'), valid=True),
)


def verdict(job: Job, bad: BadFrame, version: Version) -> str:
    """`caught` or `missed` for a bad frame, `accepted` or `refused` for a valid one."""
    try:
        result = job.once(bad.frame(version))
        refused = type(result).__name__ == "InvalidFrame"
    except Exception:
        refused = True
    if bad.valid:
        return "refused" if refused else "accepted"
    return "caught" if refused else "missed"


def table(peers: tuple[Peer, ...], version: Version) -> dict[str, dict[str, str]]:
    """For each candidate that decodes: the verdict on each frame."""
    case = Case(PAYLOADS["TransactionEvent.Updated"], version)
    jobs = [job for peer in peers if (job := peer.decode(case)) is not None]
    return {
        job.candidate: {bad.name: verdict(job, bad, version) for bad in BAD_FRAMES} for job in jobs
    }
