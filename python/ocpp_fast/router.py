"""Which handler answers which action.

The blocks bring tables `{action: handler}`; the router joins them and decides what happens to
an action that nobody answers. It does not know connections, frames or time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from ocpp_fast.errors import ConfigurationError, ErrorCode, RequestRefused
from ocpp_fast.messages import Direction, Message, OcppVersion, actions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from ocpp_fast.messages import ActionInfo

__all__ = ["After", "Gate", "Handler", "Handling", "Limit", "Reply", "Role", "Router"]

After: TypeAlias = "Callable[[], Awaitable[None]]"
"""What is done once the answer is on its way."""


class Role(StrEnum):
    """Which side of the link this program is."""

    CHARGING_STATION = "charging station"
    CSMS = "CSMS"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with something to be done after it: reply first, act after (FR.05).

    `after` starts when the answer has been handed to the transport, in a task of the
    connection. It does not start when there is no link any more to take the answer, for then
    the peer does not know that it was accepted. When it raises, that is logged and no more.
    """

    response: Message
    after: After | None = None


Handling: TypeAlias = "Message | Reply | None"
"""What a handler gives: the response, or nothing for a SEND."""

Handler: TypeAlias = "Callable[[Any], Handling | Awaitable[Handling]]"
"""Takes the typed request, gives the typed response.

A plain function is answered within the same pass of the event loop and costs no task: right
whenever the answer needs no waiting. A coroutine function gets a task of its own and a time
limit. Either may raise `RequestRefused` to answer with a CALLERROR of its choice; any other
exception is logged and answered with InternalError.
"""

Gate: TypeAlias = "Callable[[str, Any], Handling]"
"""Looks at an action and its typed request before anything else: gives None to let it pass, or what
it is answered; may raise `RequestRefused`."""

Limit: TypeAlias = "Callable[[Any, int], None]"
"""Looks at a typed request and the length of its frame in bytes before the handler is asked; raises
`RequestRefused` when either is more than this side takes (B06.FR.16, B06.FR.17 and the like)."""


_UNLIMITED: Mapping[str, Limit] = MappingProxyType({})


class Router:
    """The handlers of one side of one link, or of many links that share them.

    `gate` is asked about every request, `limits` are those of some actions. Raises
    `ConfigurationError` for an action that the version does not have or that this role never
    receives, and for an action that stands in two tables.
    """

    __slots__ = ("_actions", "_gate", "_handlers", "_limits", "_responses", "role", "version")

    def __init__(
        self,
        version: OcppVersion,
        role: Role,
        tables: Iterable[Mapping[str, Handler]],
        *,
        limits: Mapping[str, Limit] = _UNLIMITED,
        gate: Gate | None = None,
    ) -> None:
        self.version = version
        self.role = role
        self._actions: Mapping[str, ActionInfo] = actions(version)
        self._handlers: dict[str, Handler] = {}
        self._limits = limits
        self._gate = gate
        # Filled when an action is first answered: looking a type up may have to make it.
        self._responses: dict[str, type[Message] | None] = {}
        for table in tables:
            for action, handler in table.items():
                self._add(action, handler)

    def handle(
        self, action: str, request: Message, size_bytes: int = 0
    ) -> Handling | Awaitable[Handling]:
        """What the handler of `action` gives for `request`, or the awaitable of it.

        `size_bytes` is the length of the frame it came in. Raises whatever the handler raises, and
        `RequestRefused` when there is none, NotImplemented for an action of no version's,
        NotSupported for one that this side does not handle (Part 4, section 4.3), or when the
        action's limit refuses the request. What the gate does not let pass is not even looked for.
        """
        if self._gate is not None and (answer := self._gate(action, request)) is not None:
            return answer
        handler = self._handlers.get(action)
        if handler is None:
            raise self._refusal(action)
        if self._limits and (limit := self._limits.get(action)) is not None:
            limit(request, size_bytes)
        return handler(request)

    def check(self, action: str, response: Message | None) -> None:
        """Raises `TypeError` unless `response` is of the type that answers `action`.

        `action` must be one that `handle` has a handler for.
        """
        try:
            expected = self._responses[action]
        except KeyError:
            expected = self._responses[action] = self._actions[action].response
        if type(response) is not expected and not (expected is None and response is None):
            wanted = "nothing" if expected is None else expected.__name__
            raise TypeError(f"{action} is answered with {wanted}, not {type(response).__name__}")

    def handles(self, action: str) -> bool:
        """Whether there is a handler for `action`."""
        return action in self._handlers

    def _add(self, action: str, handler: Handler) -> None:
        info = self._actions.get(action)
        if info is None:
            raise ConfigurationError(f"OCPP {self.version} has no action {action!r}")
        if not self._receives(info):
            raise ConfigurationError(f"a {self.role} never receives {action}")
        if action in self._handlers:
            raise ConfigurationError(f"{action} has two handlers")
        self._handlers[action] = handler

    def _receives(self, info: ActionInfo) -> bool:
        other_way = (
            Direction.CS_TO_CSMS if self.role is Role.CHARGING_STATION else Direction.CSMS_TO_CS
        )
        return info.direction is not other_way

    def _refusal(self, action: str) -> RequestRefused:
        info = self._actions.get(action)
        if info is None:
            return RequestRefused(ErrorCode.NOT_IMPLEMENTED, f"{action} is not known")
        if not self._receives(info):
            text = f"{action} is not for a {self.role}"
        else:
            text = f"{action} is not supported"
        return RequestRefused(ErrorCode.NOT_SUPPORTED, text)
