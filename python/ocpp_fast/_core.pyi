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

DeviceModelProblem: TypeAlias = tuple[str, str, str, str]
"""File, JSON pointer, variable, what is wrong."""

DeviceModelRow: TypeAlias = tuple[str, str, int, int, str, str, str, str | None, str]
"""A value as storage keeps it: component, its instance, EVSE, connector, variable, its instance,
attribute type, value, source. Absent instances are empty, absent ids 0."""

DeviceModelChange: TypeAlias = tuple[int, int, str | None, str, bool, DeviceModelRow | None]
"""Variable, attribute, old value (of watched variables), new value, whether it is watched, and the
row to store unless the attribute is not persistent."""

DeviceModelEvent: TypeAlias = tuple[int, int, str, bool]
"""Monitor, variable, Actual value (empty when it is WriteOnly), whether the monitor has cleared."""

@final
class DeviceModelCache:
    """The device model of one station in memory: components, variables, values, monitors.

    Variables are numbers from 0 on, attributes those of `AttributeEnumType`: 0 Actual, 1 Target, 2
    MinSet, 3 MaxSet. Names and instances compare without regard to ASCII case. Numbers of no
    variable, and attributes that a variable does not have, raise `ValueError`.
    """

    @staticmethod
    def load(
        sources: Sequence[tuple[str, bytes]],
        connectors: Sequence[int] | None,
        versions: Sequence[str],
        /,
    ) -> tuple[DeviceModelCache | None, list[DeviceModelProblem]]:
        """Reads component files, (path, content), for a station with so many connectors at EVSE 1,
        2, ...; None takes what the files say. Any problem, and there is no device model."""
    def copy(self) -> DeviceModelCache:
        """An equal device model, which shares what does not change."""
    def add(self, definition: bytes, /) -> list[DeviceModelProblem]:
        """Adds one component in the format of component files, unless there is a problem."""
    def components(self) -> list[tuple[str, str, int, int, str]]:
        """Name, instance, EVSE, connector and definition of each component, until
        `forget_definitions`."""
    def forget_definitions(self) -> None:
        """Gives the memory of `components` back."""
    def connectors(self) -> dict[int, int]:
        """How many connectors each EVSE has."""
    @property
    def variable_count(self) -> int: ...
    @property
    def memory_bytes(self) -> int:
        """Memory in use; what copies share is counted in full."""
    def find(
        self,
        component: str,
        instance: str | None,
        evse_id: int | None,
        connector_id: int | None,
        variable: str,
        variable_instance: str | None,
        /,
    ) -> int:
        """The number of a variable; -1 for an unknown component, -2 for an unknown variable."""
    def describe(
        self, variable: int, /
    ) -> tuple[
        str,
        str | None,
        int | None,
        int | None,
        str,
        str | None,
        str,
        str | None,
        float | None,
        float | None,
        str | None,
        bool,
        tuple[tuple[int, str, bool, bool], ...],
        str | None,
    ]:
        """Component, instance, EVSE, connector, variable, instance, data type, unit, minLimit,
        maxLimit, valuesList, supportsMonitoring, attributes (number, mutability, persistent,
        constant), source."""
    def value(self, variable: int, attribute: int = 0, /) -> str | None:
        """The value, also of WriteOnly attributes: it must not reach a peer or a log."""
    def source(self, variable: int, attribute: int = 0, /) -> str:
        """Where the value comes from; `default` for one of the component files."""
    def restore(self, rows: Sequence[DeviceModelRow], /) -> list[DeviceModelRow]:
        """Sets values of an earlier run; returns those that do not fit any more."""
    def default(self, variable: int, attribute: int, value: str, /) -> None:
        """Replaces a default; limits are not checked. Raises `ValueError` for a value that is
        none."""
    def check(self, variable: int, attribute: int, value: str, /) -> None:
        """Raises the `ValueError` that `write` would."""
    def write(
        self, variable: int, attribute: int, value: str, source: str, /
    ) -> DeviceModelChange | None:
        """A write of the station itself or its integrator, whatever the CSMS may do. The format is
        checked, limits of numbers are not. None if nothing has changed, or if it is neither to be
        stored nor watched. Raises `ValueError`."""
    def watch(self, variable: int, on: bool = True, /) -> None:
        """Marks a variable whose changes somebody wants to know."""
    def guard(self, variable: int, on: bool = True, /) -> None:
        """Marks a variable in whose writes by the CSMS somebody has a say."""
    def set_sizes(self, reported: int, configured: int, /) -> None:
        """ReportingValueSize and ConfigurationValueSize, in characters."""
    def get_variables(self, request: Message, /) -> Message:
        """The GetVariablesResponse to a GetVariablesRequest of either version (B06)."""
    def plan(self, request: Message, source: str, /) -> SetPlan:
        """Checks a SetVariablesRequest of either version (B05); nothing has changed yet."""
    def base_report(self, kind: int, /) -> Selection:
        """0 ConfigurationInventory, 1 FullInventory, 2 SummaryInventory (B07)."""
    def report(self, request: Message, /) -> Selection:
        """What a GetReportRequest asks for (B08)."""
    def monitored(self, request: Message, /) -> list[int] | None:
        """The variables that the componentVariable elements of a GetMonitoringReportRequest cover,
        None for all (N02.FR.08)."""
    def set_monitor(
        self,
        monitor: int,
        variable: int,
        kind: int,
        value: float,
        severity: int,
        transaction: bool,
        triggered: bool = False,
        /,
    ) -> list[DeviceModelEvent]:
        """Sets a monitor or replaces the one of that id, and evaluates it at once. `kind` counts
        UpperThreshold, LowerThreshold, Delta, Periodic, PeriodicClockAligned, TargetDelta,
        TargetDeltaRelative from 0; periodic ones never trigger here."""
    def clear_monitor(self, monitor: int, /) -> bool:
        """Forgets a monitor; False if there is none."""
    def set_transaction(self, evse_id: int, active: bool, /) -> list[DeviceModelEvent]:
        """Monitors with `transaction` are live while one runs on their EVSE; on any, for the
        station's."""
    def suspend(self, above_severity: int, /) -> list[DeviceModelEvent]:
        """From now on monitors of a higher severity number (-1: any) are not evaluated; those that
        are live again and whose variable was written meanwhile are, by the values of now (N07,
        remark)."""
    def resume(self) -> list[DeviceModelEvent]:
        """All monitors are live again, see `suspend`."""
    def take_events(self) -> list[DeviceModelEvent]:
        """What has triggered since the last call, in order."""
    @property
    def has_events(self) -> bool:
        """Whether `take_events` has something to give."""
    def value_for_peer(self, variable: int, /) -> str:
        """The Actual value; empty for a WriteOnly variable (N07.FR.10)."""
    def config_monitors(self) -> list[tuple[int, int, float, int, bool, int]]:
        """Monitors of the component files: variable, kind, value, severity, transaction, owner (0
        hard-wired, 1 preconfigured, 2 custom)."""
    def __len__(self) -> int: ...

@final
class SetPlan:
    """A SetVariablesRequest that was checked. One of `apply` and `fail` ends it."""

    @property
    def rows(self) -> list[DeviceModelRow]:
        """What has to be durable before `apply`."""
    @property
    def guarded(self) -> list[tuple[int, int, int, str]]:
        """Item of the request, variable, attribute and value of each guarded write."""
    def refuse(self, item: int, reason_code: str, additional_info: str = "", /) -> None:
        """Answers an item with Rejected (B05.FR.09); it is not in `rows` any more."""
    def reboot(self, item: int, /) -> None:
        """Answers an item with RebootRequired instead of Accepted."""
    def apply(
        self, everything: bool = True, /
    ) -> tuple[Message, list[DeviceModelChange], list[DeviceModelEvent]]:
        """Sets the values: the response, what has changed (with `everything` false only what is
        watched), what was triggered."""
    def fail(self, reason_code: str, additional_info: str = "", /) -> Message:
        """The response when nothing could be stored; no value changes."""

@final
class Selection:
    """The variables of one report, page by page."""

    def __len__(self) -> int: ...
    @property
    def done(self) -> bool:
        """Whether the last page was given."""
    def page(
        self,
        version: str,
        message_id: str,
        request_id: int,
        generated_at: datetime,
        max_items: int,
        max_bytes: int,
        /,
    ) -> bytes | None:
        """The next NotifyReport CALL with the values of now, None behind the last one. A page is
        longer than `max_bytes` only if a single variable is."""
