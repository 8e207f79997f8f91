"""A say in what the CSMS writes to a variable."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ocpp_fast.device_model.handle import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ocpp_fast._core import SetPlan
    from ocpp_fast.device_model.handle import VariableHandle
    from ocpp_fast.device_model.snapshot import Snapshot

__all__ = ["REBOOT_REQUIRED", "Along", "Check", "Guards", "Refusal", "Verdict", "Write"]

_log = logging.getLogger(__name__)

_MAX_INFO: Final = 512
"""Longest additionalInfo of OCPP 2.0.1, in characters."""


class Verdict(Enum):
    """What may come of a write that is not refused."""

    REBOOT_REQUIRED = "RebootRequired"


REBOOT_REQUIRED: Final = Verdict.REBOOT_REQUIRED
"""The write is accepted, and has its effect when the station starts again."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The write is answered Rejected (B05.FR.09)."""

    reason_code: str
    """One of the appendix where one fits; at most 20 characters."""
    additional_info: str = ""
    """What is longer than 512 characters is cut off."""


@dataclass(frozen=True, slots=True)
class Along:
    """The write is taken, if no other check refuses it, and these with it: all become durable, and
    come into force, together."""

    writes: tuple[tuple[int, str], ...] = field(repr=False)
    """Variables, by the numbers of the cache, and the text of their attribute Actual."""


@dataclass(frozen=True, slots=True)
class Write:
    """Somebody outside wants to write an attribute. The value has been checked already."""

    variable: VariableHandle
    attribute: str
    """AttributeEnumType."""
    text: str = field(repr=False)  # It may be a password.
    source: str
    batch: Mapping[int, str] = field(default_factory=dict[int, str], repr=False)
    """What earlier items of the same request write to guarded variables, by their numbers; refused
    ones are not in it."""

    @property
    def value(self) -> Any:
        """The value in the type of the variable."""
        return self.variable.parse(self.text)


Check: TypeAlias = "Callable[[Write], Refusal | Verdict | Along | None]"
"""Says what to do with a write: None to take it. Called on the event loop, before anything has
changed; must be quick. One that raises refuses."""


class Guards:
    """The checks of one device model.

    Of variables that blocks use (`config.Variables`) those values are refused that blocks could
    not, whatever the component files allow.
    """

    def __init__(self, snapshot: Snapshot, handle: Callable[[int], VariableHandle]) -> None:
        self._snapshot = snapshot
        self._handle = handle
        self._checks: dict[int, tuple[Check, ...]] = {}

    def add(self, numbers: Iterable[int], check: Check) -> None:
        """Asks `check` too."""
        alone = (check,)  # One for all of them: there may be many.
        for number in numbers:
            others = self._checks.get(number)
            self._checks[number] = alone if others is None else (*others, check)

    def judge(self, plan: SetPlan, source: str) -> dict[int, str]:
        """Refuses what must not be, and marks what needs a reboot. Returns what has to be written
        as well, by the numbers of the variables."""
        along: dict[int, str] = {}
        taken: dict[int, str] = {}
        for item, number, attribute, text in plan.guarded:
            write = Write(self._handle(number), ATTRIBUTES[attribute], text, source, taken)
            writes: dict[int, str] = {}
            verdict = self._verdict(write, writes)
            if isinstance(verdict, Refusal):
                plan.refuse(item, verdict.reason_code, verdict.additional_info[:_MAX_INFO])
                continue
            if verdict is not None:
                plan.reboot(item)
            if attribute == 0:
                taken[number] = text
            along |= writes
        # What the request itself sets has been weighed with all that it sets.
        return {number: text for number, text in along.items() if number not in taken}

    def _verdict(self, write: Write, along: dict[int, str]) -> Refusal | Verdict | None:
        """What the checks say; what is to be written with it goes into `along`."""
        number = write.variable.number
        if write.attribute == ATTRIBUTES[0] and (
            objection := self._snapshot.objection(number, write.text)
        ):
            return Refusal("InvalidValue", objection)
        for check in self._checks.get(number, ()):
            try:
                verdict = check(write)
            except Exception:
                _log.exception("the check of %s failed", write.variable.info)
                return Refusal("InternalError")
            if isinstance(verdict, Along):
                along.update(verdict.writes)
            elif verdict is not None:
                return verdict
        return None
