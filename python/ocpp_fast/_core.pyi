"""The Rust message path: frames, validation and the frozen message types."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Self, TypeAlias, TypeVar, final

from ocpp_fast.messages.json_value import Json

__version__: str
build_profile: str
"""`release`, or `debug` for a build that is slow and must not be measured."""

_M = TypeVar("_M", bound=Message)

class Message:
    """Base of every request, response and datatype: a frozen value, see `ocpp_fast.messages`."""

    def replace(self, **changes: Any) -> Self:
        """A copy with some members changed, checked like a new one; raises `ValidationError`."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: dict[int, Any], /) -> Self: ...

@final
class Deviation(Message):
    """Something a tolerant decoder let pass: where, which code strict mode would answer, why."""

    def __new__(cls, *, pointer: str, code: str, cause: str, value: Json | None = None) -> Self: ...
    @property
    def pointer(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def cause(self) -> str: ...
    @property
    def value(self) -> Json | None:
        """The member or value that was set aside, where there is one."""

@final
class Call(Message):
    """A request that wants an answer (message type 2)."""

    @property
    def message_id(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def payload(self) -> Message: ...
    @property
    def deviations(self) -> tuple[Deviation, ...]: ...

@final
class Send(Message):
    """A message without answer (message type 6, OCPP 2.1)."""

    @property
    def message_id(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def payload(self) -> Message: ...
    @property
    def deviations(self) -> tuple[Deviation, ...]: ...

@final
class CallResult(Message):
    """An answer (message type 3)."""

    @property
    def message_id(self) -> str: ...
    @property
    def payload(self) -> Message | None:
        """The response; None when `message_id` is not that of the open call."""
    @property
    def deviations(self) -> tuple[Deviation, ...]: ...

@final
class CallError(Message):
    """A refusal of a CALL (message type 4)."""

    @property
    def message_id(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def details(self) -> Json | None: ...

@final
class CallResultError(Message):
    """A refusal of a CALLRESULT (message type 5, OCPP 2.1)."""

    @property
    def message_id(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def details(self) -> Json | None: ...

@final
class InvalidFrame(Message):
    """What could not be accepted, and everything needed to answer it."""

    @property
    def message_type(self) -> int | None: ...
    @property
    def message_id(self) -> str:
        """The id of the frame, `-1` when it cannot be read."""
    @property
    def action(self) -> str | None: ...
    @property
    def code(self) -> str:
        """An RPC framework error code (Part 4, section 4.3)."""
    @property
    def pointer(self) -> str:
        """JSON pointer into the payload; empty for the payload itself or the frame."""
    @property
    def cause(self) -> str: ...

Frame: TypeAlias = Call | CallResult | CallError | CallResultError | Send | InvalidFrame

@final
class Codec:
    """Frames of one OCPP version, to typed messages and back.

    `tolerant` keeps and reports (as `Deviation`s) unknown members, over-long strings, null for an
    absent optional member and empty optional arrays; everything else is as in strict mode.
    `tolerant_encode` lets over-long strings out again, which strict encoding refuses. Frames of
    more than `max_frame_bytes` (1 MiB by default) are refused unread.
    """

    def __new__(
        cls,
        version: str,
        *,
        tolerant: bool = False,
        tolerant_encode: bool = False,
        max_frame_bytes: int = ...,
    ) -> Self: ...
    @property
    def version(self) -> str: ...
    def decode(
        self,
        frame: bytes | bytearray | memoryview,
        open_id: str | None = None,
        open_action: str | None = None,
        /,
    ) -> Frame:
        """One frame, parsed, validated and typed in one pass; never raises for bad input.

        `open_id` and `open_action` name the CALL that waits for its answer.
        """
    def encode_call(self, message_id: str, request: Message, /) -> bytes: ...
    def encode_send(self, message_id: str, message: Message, /) -> bytes: ...
    def encode_call_raw(self, message_id: str, action: str, payload: bytes, /) -> bytes:
        """A CALL around a payload that `encode_payload` made earlier."""
    def encode_result(self, message_id: str, response: Message, /) -> bytes: ...
    def encode_error(
        self, message_id: str, code: str, description: str = "", details: Json | None = None, /
    ) -> bytes: ...
    def encode_result_error(
        self, message_id: str, code: str, description: str = "", details: Json | None = None, /
    ) -> bytes: ...

@final
class MeterValueTemplate:
    """Builds MeterValues of one fixed set of sampled values from numbers alone."""

    def __new__(cls, sampled_values: Sequence[Any], /) -> Self: ...
    def meter_value(self, timestamp: datetime, values: Sequence[float], /) -> Any: ...

def encode_payload(message: Message, /) -> bytes:
    """The JSON object of one message or datatype."""

def decode_payload(type_: type[_M], data: bytes | bytearray | memoryview, /) -> _M:
    """Parses and validates the JSON object of one message or datatype; raises `ValidationError`."""

def message_type(version: str, name: str, /) -> type[Message | StrEnum]:
    """The type of that name; raises `AttributeError`."""

def type_names(version: str, /) -> tuple[str, ...]:
    """Names of all types and enumerations of a version, sorted."""

def actions(version: str, /) -> Mapping[str, tuple[str, str, str, str | None]]:
    """For each action its direction, block letter, request type and response type."""
