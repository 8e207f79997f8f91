"""What had happened at a moment of a recording: what the station had said, what the CSMS had heard
and asked for, what the world was like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crash.recording import Kind, Op, words
from crash.site import World

Event = Mapping[str, Any]
"""A TransactionEvent as on the wire."""

_CALL, _RESULT = 2, 3


@dataclass(slots=True)
class Asked:
    """A request of the CSMS."""

    action: str
    payload: Mapping[str, Any]
    answer: Mapping[str, Any] | None = None
    """None: the station had not answered."""


@dataclass(slots=True)
class History:
    """Grows with the marks of a recording."""

    world: World | None = None
    folder: str = ""
    """Where the station that lives now has its files; empty between two lives."""
    told: list[Event] = field(default_factory=list[Event])
    """Events that were stored, as the library had said."""
    asked: dict[str, Asked] = field(default_factory=dict[str, Asked])
    _sent: dict[str, Event] = field(default_factory=dict[str, Event])
    """By message id."""
    _answered: set[str] = field(default_factory=set[str])

    def add(self, op: Op) -> None:
        """Takes a mark."""
        said = words(op)
        if "now" in said:
            self.world = World.of(said)
        match said["is"]:
            case "life":
                self.folder = said["folder"]
            case "end":
                self.folder = ""
            case "told":
                self.told.append(said["event"])
            case "frame":
                self._frame(said["frame"], out=said["out"])
            case _:
                pass

    def _frame(self, frame: Sequence[Any], *, out: bool) -> None:
        kind, message_id = frame[0], frame[1]
        if kind == _CALL and out and frame[2] == "TransactionEvent":
            self._sent[message_id] = frame[3]
        elif kind == _CALL and not out:
            self.asked[message_id] = Asked(frame[2], frame[3])
        elif kind == _RESULT and not out:
            self._answered.add(message_id)
        elif kind == _RESULT and message_id in self.asked:
            self.asked[message_id].answer = frame[2]

    def heard(self, *, last: bool) -> list[Event]:
        """The events that the CSMS has got, and may have confirmed or refused. Of what it has not
        answered yet, nobody knows whether it has arrived: `last` says so."""
        return [event for number, event in self._sent.items() if last or number in self._answered]

    def requests(self, action: str) -> Iterator[Asked]:
        """What the CSMS has asked for, in its order."""
        return (asked for asked in self.asked.values() if asked.action == action)


def is_boundary(op: Op) -> bool:
    """Whether a frame was sent or received here."""
    return op.kind is Kind.MARK and words(op)["is"] == "frame"
