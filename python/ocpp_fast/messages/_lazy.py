"""Message types that are made when they are first touched (PEP 562)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ocpp_fast import _core

if TYPE_CHECKING:
    from enum import StrEnum

__all__ = ["find_type"]


def find_type(module: str, version: str, name: str) -> type[_core.Message | StrEnum]:
    """The type `name` of an OCPP version, which from now on is a plain attribute of `module`."""
    try:
        found = _core.message_type(version, name)
    except AttributeError:
        raise AttributeError(f"module {module!r} has no attribute {name!r}") from None
    setattr(sys.modules[module], name, found)
    return found
