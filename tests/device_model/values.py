"""What is a value of a data type, judged in plain Python from the specification's text.

Written without a look at the Rust code, which it judges: Part 2, primitive data types and
VariableCharacteristicsType.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII)
"""No leading zeros, no plus sign."""
DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)
DATE_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,3})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)
MAX_VALUE: Final = 2_500


@dataclass(frozen=True)
class Characteristics:
    """Of one variable, as far as they say which values are allowed."""

    data_type: str
    min_limit: float | None = None
    max_limit: float | None = None
    values_list: str | None = None
    max_elements: int | None = None
    """Of a list; 2.1."""

    def members(self) -> dict[str, Any]:
        """The characteristics for `models.variable`, without `dataType`."""
        found = {
            "minLimit": self.min_limit,
            "maxLimit": self.max_limit,
            "valuesList": self.values_list,
            "maxElements": self.max_elements,
        }
        return {name: value for name, value in found.items() if value is not None}

    def allows(self, value: str, *, within_limits: bool = True) -> bool:
        """B05.FR.07, B05.FR.08. `within_limits=False`: what is measured may lie outside the
        limits of a number (Part 1, section 3.3)."""
        if len(value) > MAX_VALUE:
            return False
        if self.data_type in {"integer", "decimal"}:
            return self._allows_number(value, within_limits=within_limits)
        if self.data_type == "boolean":
            return value in {"true", "false"}
        if self.data_type == "dateTime":
            return _is_date_time(value)
        return self._allows_length(value) and self._allows_text(value)

    def _allows_number(self, value: str, *, within_limits: bool) -> bool:
        form = INTEGER if self.data_type == "integer" else DECIMAL
        if not form.fullmatch(value):
            return False
        if self.data_type == "integer":
            number: float = int(value)
            if not -(2**63) <= number < 2**63:
                return False
        else:
            number = float(value)
        return math.isfinite(number) and (not within_limits or self._in_range(number))

    def _allows_length(self, value: str) -> bool:
        """The limits of a string or list are limits of its length."""
        return self._in_range(len(value))

    def _in_range(self, number: float) -> bool:
        low, high = self.min_limit, self.max_limit
        return (low is None or number >= low) and (high is None or number <= high)

    def _allows_text(self, value: str) -> bool:
        if self.data_type == "string" or self.values_list is None:
            return True
        listed = [member.strip() for member in self.values_list.split(",")]
        if self.data_type == "OptionList":
            return value in listed
        members = value.split(",") if value else []
        if self.max_elements is not None and len(members) > self.max_elements:
            return False
        return set(members) <= set(listed) and len(members) == len(set(members))


FREE: Final = {
    "OptionList": Characteristics("OptionList", values_list="one,two,three"),
    "SequenceList": Characteristics("SequenceList", values_list="one,two,three"),
    "MemberList": Characteristics("MemberList", values_list="one,two,three"),
}
"""Characteristics without limits; a list has its values."""


def _is_date_time(value: str) -> bool:
    if not DATE_TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True
