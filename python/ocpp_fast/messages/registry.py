"""What each OCPP version says about its actions: who sends them, and with which messages."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, cast

from ocpp_fast import _core
from ocpp_fast.messages.version import OcppVersion

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ActionInfo", "Direction", "Framing", "actions"]


class Direction(StrEnum):
    """Who may send an action."""

    CS_TO_CSMS = "cs_to_csms"
    """The charging station."""
    CSMS_TO_CS = "csms_to_cs"
    """The CSMS."""
    BOTH = "both"
    """Either side."""


class Framing(StrEnum):
    """How an action travels."""

    CALL = "call"
    """As a CALL, which the receiver answers."""
    SEND = "send"
    """As a SEND, which nobody answers (OCPP 2.1)."""


class ActionInfo(NamedTuple):
    """One action of one OCPP version."""

    name: str
    version: OcppVersion
    direction: Direction
    block: str
    """Letter of its functional block, `A` to `S`."""
    framing: Framing
    request_name: str
    """Name of the type that a CALL or SEND of this action carries."""
    response_name: str | None
    """Name of the type that answers it; None for a SEND."""

    @property
    def request(self) -> type[_core.Message]:
        """The type that a CALL or SEND of this action carries, made when first asked for."""
        return self._message(self.request_name)

    @property
    def response(self) -> type[_core.Message] | None:
        """The type that answers it, made when first asked for; None for a SEND."""
        return None if self.response_name is None else self._message(self.response_name)

    def _message(self, name: str) -> type[_core.Message]:
        return cast("type[_core.Message]", _core.message_type(self.version, name))


@cache
def actions(version: OcppVersion) -> Mapping[str, ActionInfo]:
    """All actions of a version, by name."""
    version = OcppVersion(version)
    return MappingProxyType(
        {
            name: ActionInfo(
                name=name,
                version=version,
                direction=Direction(direction),
                block=block,
                framing=Framing.SEND if response is None else Framing.CALL,
                request_name=request,
                response_name=response,
            )
            for name, (direction, block, request, response) in _core.actions(version).items()
        }
    )
