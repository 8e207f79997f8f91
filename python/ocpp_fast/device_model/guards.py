"""A say in what the CSMS writes to a variable."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ocpp_fast.device_model.handle import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocpp_fast._core import SetPlan
    from ocpp_fast.device_model.handle import VariableHandle
    from ocpp_fast.device_model.snapshot import Snapshot

__all__ = ["REBOOT_REQUIRED", "Check", "Guards", "Refusal", "Verdict", "Write"]

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
class Write:
    """Somebody outside wants to write an attribute. The value has been checked already."""

    variable: VariableHandle
    attribute: str
    """AttributeEnumType."""
    text: str = field(repr=False)  # It may be a password.
    source: str

    @property
    def value(self) -> Any:
        """The value in the type of the variable."""
        return self.variable.parse(self.text)


Check: TypeAlias = "Callable[[Write], Refusal | Verdict | None]"
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

    def add(self, number: int, check: Check) -> None:
        """Asks `check` too."""
        self._checks[number] = (*self._checks.get(number, ()), check)

    def judge(self, plan: SetPlan, source: str) -> None:
        """Refuses what must not be, and marks what needs a reboot."""
        for item, number, attribute, text in plan.guarded:
            verdict = self._verdict(number, attribute, text, source)
            if isinstance(verdict, Refusal):
                plan.refuse(item, verdict.reason_code, verdict.additional_info[:_MAX_INFO])
            elif verdict is not None:
                plan.reboot(item)

    def _verdict(
        self, number: int, attribute: int, text: str, source: str
    ) -> Refusal | Verdict | None:
        if attribute == 0 and (objection := self._snapshot.objection(number, text)):
            return Refusal("InvalidValue", objection)
        write = Write(self._handle(number), ATTRIBUTES[attribute], text, source)
        for check in self._checks.get(number, ()):
            try:
                verdict = check(write)
            except Exception:
                _log.exception("the check of %s failed", write.variable.info)
                return Refusal("InternalError")
            if verdict is not None:
                return verdict
        return None
