"""The OCPP versions of this package."""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["OcppVersion"]


class OcppVersion(StrEnum):
    """An OCPP version, equal to its number as a string."""

    V201 = "2.0.1"
    V21 = "2.1"

    @property
    def subprotocol(self) -> str:
        """Its name in the WebSocket handshake, such as `ocpp2.0.1`."""
        return f"ocpp{self.value}"

    @property
    def module(self) -> ModuleType:
        """The module with its message types: `ocpp_fast.messages.v201` or `.v21`."""
        return import_module(f"ocpp_fast.messages.{self.name.lower()}")

    @classmethod
    def from_subprotocol(cls, subprotocol: str) -> OcppVersion:
        """The version of a WebSocket subprotocol; raises `ValueError` for any other."""
        for version in cls:
            if version.subprotocol == subprotocol:
                return version
        raise ValueError(f"{subprotocol!r} is none of the subprotocols of this package")
