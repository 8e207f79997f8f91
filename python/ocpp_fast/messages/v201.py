"""The messages of OCPP 2.0.1; their annotations stand in the generated `v201.pyi`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocpp_fast import _core
from ocpp_fast.messages._lazy import find_type

if TYPE_CHECKING:
    from enum import StrEnum

__all__ = list(_core.type_names("2.0.1"))  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> type[_core.Message | StrEnum]:
    return find_type(__name__, "2.0.1", name)


def __dir__() -> list[str]:
    return __all__
