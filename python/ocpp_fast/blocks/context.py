"""What a block may use of the rest of the station."""

from __future__ import annotations

import asyncio
import logging
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeAlias, TypeVar, cast

from ocpp_fast._core import decode_payload, encode_payload
from ocpp_fast.boot_gate import Registration, may_send
from ocpp_fast.errors import CallerError, ConnectionLost, PeerError
from ocpp_fast.messages.version import OcppVersion

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable
    from types import ModuleType

    from ocpp_fast.callbacks import Callbacks
    from ocpp_fast.config import DeviceModel
    from ocpp_fast.connection import Connection
    from ocpp_fast.delivery import Delivery
    from ocpp_fast.device_model import DeviceModel as WholeDeviceModel
    from ocpp_fast.errors import OcppError
    from ocpp_fast.ids import Ids
    from ocpp_fast.journal import Journal
    from ocpp_fast.messages import Message, v21
    from ocpp_fast.router import After
    from ocpp_fast.security.certificates import HashData
    from ocpp_fast.station_clock import StationClock

__all__ = [
    "ActiveTransactions",
    "ConnectorStates",
    "Context",
    "NotAccepted",
    "Registration",
    "SecurityLog",
    "SettingObserver",
    "Trigger",
    "number_of",
    "text_of",
]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_M = TypeVar("_M", bound="Message")

# Characters of StatusInfoType.additionalInfo.
_INFO_LENGTHS = {OcppVersion.V201: 512, OcppVersion.V21: 1024}

OTHERS: Final = "messages"
"""The lane of what only QueueAllMessages has queued."""

NO_LINK = ConnectionLost(1006, "there is no connection")


class NotAccepted(CallerError):
    """The station may not send this before its BootNotification was accepted (B02.FR.02)."""

    def __init__(self, action: str, registration: Registration) -> None:
        super().__init__(action, registration)
        self.action = action
        self.registration = registration

    def __str__(self) -> str:
        return f"{self.action} may not be sent, the registration is {self.registration}"


Trigger: TypeAlias = "Callable[[v21.EVSEType | None], After | None]"
"""Answers TriggerMessage for one kind of message (F06): gives what sends it once Accepted has been
answered, or None to answer Rejected."""


class ActiveTransactions(Protocol):
    """What other blocks may know of the transactions."""

    def active_evses(self) -> Iterable[int]:
        """The EVSEs that have a transaction."""
        ...

    def transaction_id(self, evse_id: int) -> str | None:
        """The id of the transaction on an EVSE."""
        ...

    def is_authorized(self, evse_id: int) -> bool:
        """Whether the transaction on an EVSE has had an idToken."""
        ...

    def evse_of(self, transaction_id: str) -> int | None:
        """The EVSE on which a transaction runs."""
        ...


class ConnectorStates(Protocol):
    """What other blocks may know of the connectors."""

    def usable(self, evse_id: int) -> bool:
        """Whether the EVSE has a connector that is neither Unavailable nor Faulted."""
        ...

    def occupied(self, evse_id: int) -> bool:
        """Whether an EV is plugged in at the EVSE."""
        ...


class SecurityLog(Protocol):
    """Who is told of security events, see `blocks.security.SecurityEvents`."""

    async def notify(self, kind: str, tech_info: str | None = None) -> None:
        """An event has happened; it is durable when this returns."""
        ...

    def report(self, kind: str, tech_info: str | None = None) -> None:
        """Like `notify`, for who cannot wait."""
        ...


class SettingObserver(Protocol):
    """Who must know of a SetVariables before it takes effect, or act after it was answered."""

    async def before(self, request: Message) -> None:
        """The CSMS sets these variables; nothing has changed yet. What this raises refuses the
        whole request."""
        ...

    async def after(self, request: Message, response: Message) -> After | None:
        """This is what has become of it; gives what is to be done once that was answered."""
        ...


def text_of(
    device_model: WholeDeviceModel,
    component: str,
    variable: str,
    *,
    instance: str | None = None,
    evse_id: int | None = None,
) -> str | None:
    """The value of a variable that the component files need not have; None without one. `instance`
    is the component's."""
    cache = device_model.cache
    number = cache.find(component, instance, evse_id, None, variable, None)
    return cache.value(number) if number >= 0 else None


def number_of(
    device_model: WholeDeviceModel, component: str, variable: str, default: float
) -> float:
    """The value of such a variable that is a number; `default` without one."""
    text = text_of(device_model, component, variable)
    return float(text) if text else default


class _Taken(Generic[_M]):
    """The outcome of a call whose answer is taken in the callback of the socket."""

    def __init__(self, expected: type[_M], take: Callable[[_M], None]) -> None:
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._expected = expected
        self._take = take

    def done(self) -> bool:
        """See `connection.Outcome.done`."""
        return self.future.done()

    def set_result(self, result: Message, /) -> None:
        """See `connection.Outcome.set_result`."""
        if not isinstance(result, self._expected):
            self.future.set_exception(TypeError(f"answered with {type(result).__name__}"))
            return
        try:
            self._take(result)
        except Exception as error:  # Whoever waits is told; the socket's callback goes on.
            self.future.set_exception(error)
        else:
            self.future.set_result(None)

    def set_exception(self, exception: OcppError, /) -> None:
        """See `connection.Outcome.set_exception`."""
        self.future.set_exception(exception)


class Context:
    """What all blocks share. `registration` and `connection` are kept up to date by their owners,
    the provisioning block and the charge point."""

    def __init__(
        self,
        *,
        clock: StationClock,
        ids: Ids,
        device_model: DeviceModel,
        callbacks: Callbacks,
        delivery: Delivery,
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        version: OcppVersion,
        callback_timeout_s: float,
    ) -> None:
        self.clock = clock
        self.ids = ids
        self.device_model = device_model
        self.callbacks = callbacks
        self.delivery = delivery
        self.spawn = spawn
        """Runs a coroutine as a task of the station; what it raises is logged."""
        self.callback_timeout_s = callback_timeout_s
        self.registration = Registration.NONE
        self.boot_answered = asyncio.Event()
        """Not set while a BootNotification is under way: its answer may be Rejected, and nothing
        that the CSMS has triggered before may follow that (B03.FR.02)."""
        self.boot_answered.set()
        self.connection: Connection | None = None
        self.last_sent = 0.0
        """When the last CALL was answered, monotonic (G02.FR.05)."""
        self.next_event_id: Callable[[], int] = count().__next__
        """Numbers the events of all NotifyEvent messages."""
        self._module: ModuleType = version.module
        self.version = version

    def use_version(self, version: OcppVersion) -> None:
        """Makes messages of this version from now on."""
        self.version = version
        self._module = version.module

    # No return annotation on purpose: pyright infers the type of the module itself, and so checks
    # every use against the stubs of 2.1. The module of 2.0.1 has the same names where both exist.
    @property
    def messages(self):  # noqa: ANN201
        """The message types of the OCPP version in use."""
        if TYPE_CHECKING:
            from ocpp_fast.messages import v21

            return v21
        return self._module

    @property
    def online(self) -> bool:
        """Whether there is a link to the CSMS, accepted or not."""
        return self.connection is not None

    @property
    def accepted(self) -> bool:
        """Whether there is a link, and the CSMS has accepted the station."""
        return self.connection is not None and self.registration is Registration.ACCEPTED

    @property
    def facts(self) -> Journal:
        """Where facts are kept over a restart, see `restoring`."""
        return self.delivery.facts

    async def call(self, request: Message, expected: type[_M], *, triggered: bool = False) -> _M:
        """Sends a CALL that need not survive; returns its response.

        Before the station is accepted only BootNotification may go, and with `triggered` what the
        CSMS has asked for (B02.FR.02); else raises `NotAccepted`. Raises `ConnectionLost` without
        a link, and `PeerError` when the CSMS refuses or keeps silent.
        """
        action = type(request).__name__.removesuffix("Request")
        if triggered and self.registration is not Registration.ACCEPTED:
            await self.boot_answered.wait()
        connection = self._connection_for(action, triggered=triggered)
        response = await connection.call(request)
        self.last_sent = self.clock.monotonic()
        if not isinstance(response, expected):
            raise TypeError(f"{action} was answered with {type(response).__name__}")
        return response

    async def call_at_once(
        self, request: Message, expected: type[_M], take: Callable[[_M], None]
    ) -> None:
        """Like `call`, for an answer that changes what later frames mean: `take` gets it in the
        callback of the socket, before the next frame is read. Raises what `take` raises, too."""
        action = type(request).__name__.removesuffix("Request")
        connection = self._connection_for(action, triggered=False)
        taken: _Taken[_M] = _Taken(expected, take)
        connection.start_raw(action, encode_payload(request), taken)
        await taken.future
        self.last_sent = self.clock.monotonic()

    async def call_frame(
        self, message_id: str, action: str, frame: bytes, *, triggered: bool = False
    ) -> Message:
        """Like `call` for a CALL that is a whole frame already, see `Connection.call_frame`."""
        if triggered and self.registration is not Registration.ACCEPTED:
            await self.boot_answered.wait()
        connection = self._connection_for(action, triggered=triggered)
        response = await connection.call_frame(message_id, action, frame)
        self.last_sent = self.clock.monotonic()
        return response

    def _connection_for(self, action: str, *, triggered: bool) -> Connection:
        connection = self.connection
        if connection is None:
            raise NO_LINK
        if not may_send(action, self.registration, triggered=triggered):
            raise NotAccepted(action, self.registration)
        return connection

    async def attempt(self, request: Message, expected: type[_M]) -> _M | None:
        """Like `call` for a message that is only worth sending now: None when it failed."""
        try:
            return await self.call(request, expected)
        except (CallerError, ConnectionLost, PeerError) as error:
            _log.info("%s was not delivered: %s", type(request).__name__, error)
            return None

    async def inform(self, request: Message, expected: type[Message]) -> None:
        """Tells the CSMS something that is news only now, like a reading of a meter: it is sent or
        forgotten. With OCPPCommCtrlr.QueueAllMessages it is queued until it is delivered, in the
        order of all such messages; the first to be thinned then (see the variable)."""
        if not self.device_model.variables.queue_all_messages:
            await self.attempt(request, expected)
            return
        action = type(request).__name__.removesuffix("Request")
        await self.delivery.post(self.version, action, request, OTHERS, droppable=True)

    def hash_data(self, data: HashData) -> v21.CertificateHashDataType:
        """What names a certificate in messages."""
        m = self.messages
        return m.CertificateHashDataType(
            hash_algorithm=m.HashAlgorithmEnumType(data.hash_algorithm),
            issuer_name_hash=data.issuer_name_hash,
            issuer_key_hash=data.issuer_key_hash,
            serial_number=data.serial_number,
        )

    def status_info(
        self, reason_code: str | None, additional_info: str | None = None
    ) -> v21.StatusInfoType | None:
        """Why a request was not accepted: a reason code of the appendix, and a text that is cut to
        what the version in use allows. None without a reason code."""
        if reason_code is None:
            return None
        limit = _INFO_LENGTHS[self.version]
        return self.messages.StatusInfoType(
            reason_code=reason_code, additional_info=additional_info and additional_info[:limit]
        )

    def convert(self, value: _M) -> _M:
        """The same datatype in the version in use, for a value that may be of the other one.

        Raises `ValidationError` when the version in use cannot express it.
        """
        wanted = getattr(self._module, type(value).__name__)
        if isinstance(value, wanted):
            return value
        return cast("_M", decode_payload(wanted, encode_payload(value)))

    async def ask(self, name: str, question: Callable[[], Awaitable[_T]], default: _T) -> _T:
        """The answer of a callback; `default` when it raises or takes too long."""
        try:
            return await self.clock.wait_for(question(), self.callback_timeout_s)
        except TimeoutError:
            _log.error("%s took longer than %g s", name, self.callback_timeout_s)
        except Exception:  # A user's code may raise anything, and must not stop the station.
            _log.exception("%s failed", name)
        return default

    def tell(self, name: str, message: Callable[[], Awaitable[None]]) -> None:
        """Runs a callback of which nobody needs the answer."""
        self.spawn(self.ask(name, message, None), name)
