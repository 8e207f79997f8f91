"""The station as a whole: its EVSEs, the tokens presented at it, its meters."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from ocpp_fast.blocks.context import Registration
from ocpp_fast.callbacks import Callbacks
from ocpp_fast.charge_point import ChargePoint
from ocpp_fast.config import TxPoint
from ocpp_fast.device_model import Refusal
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.ids import Ids
from ocpp_fast.station.evse import EvseController
from ocpp_fast.station.machine import OFFERED, Effect, EvseState
from ocpp_fast.station.metering import MeterValueMaker
from ocpp_fast.station.session import Sessions, is_same
from ocpp_fast.station.start import EvseStart

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ocpp_fast.callbacks import OpenTransaction, RestoredTransaction
    from ocpp_fast.clock import Clock
    from ocpp_fast.config import StationConfig
    from ocpp_fast.connection import FrameLog
    from ocpp_fast.device_model import Write
    from ocpp_fast.device_model.component_files import ComponentFiles
    from ocpp_fast.dialling import Opener
    from ocpp_fast.messages import v21
    from ocpp_fast.station.hardware import EvseHardware
    from ocpp_fast.storage import Storage

__all__ = ["Station", "TokenOutcome", "TokenResult"]

_log = logging.getLogger(__name__)


class TokenResult(StrEnum):
    """What a presented token did."""

    STARTED = "started"
    """It authorized charging at an EVSE."""
    STOPPED = "stopped"
    """It ended the authorization at an EVSE."""
    WAITING = "waiting"
    """It is accepted and waits for the cable to tell which EVSE is meant."""
    REFUSED = "refused"
    """The CSMS, or the station while offline, did not accept it."""
    NO_USE = "no use"
    """It is accepted, but no EVSE can be started with it now."""


@dataclass(frozen=True, slots=True)
class TokenOutcome:
    """What came of presenting a token."""

    result: TokenResult
    evse_id: int | None = None
    status: str = "Accepted"
    """AuthorizationStatusEnumType."""


@dataclass(slots=True)
class _Waiting:
    """An accepted token that waits for an EV."""

    id_token: v21.IdTokenType
    info: v21.IdTokenInfoType
    until: float


class Station:
    """A charging station with its hardware: the `ChargePoint` and an `EvseController` per EVSE.

        async with Station(config, {1: hardware_1, 2: hardware_2}) as station:
            await station.evse(1).plugged_in()
            await station.present_token(token)

    Resets are refused unless `adapt` adds a callback for them. It restores transactions that were
    interrupted; a callback that decides otherwise should ask the station's own with
    `replace(transaction, resume=...)`, for without its answer no energy flows until a driver is
    authorized anew.
    """

    def __init__(
        self,
        config: StationConfig,
        hardware: Mapping[int, EvseHardware],
        *,
        adapt: Callable[[Callbacks], Callbacks] = lambda callbacks: callbacks,
        storage: Storage | None = None,
        clock: Clock | None = None,
        ids: Ids | None = None,
        component_files: ComponentFiles | None = None,
        opener: Opener | None = None,
        frame_log: FrameLog | None = None,
        sample_interval_s: float = 1.0,
        on_change: Callable[[int, EvseState], None] | None = None,
    ) -> None:
        """`adapt` gets the station's own callbacks and returns those to use, for example by
        `dataclasses.replace(callbacks, data_transfer_callback=...)`. `sample_interval_s` is how
        often the meters are read. `on_change` is told each new state of an EVSE. The others are
        those of `ChargePoint`.

        Raises `ConfigurationError` when the hardware does not fit the configured EVSEs.
        """
        ids = ids or Ids()
        own = Callbacks(
            is_reset_allowed_callback=self._refuse_reset,
            reset_callback=self._no_reset,
            stop_transaction_callback=self._stop_transaction,
            pause_charging_callback=self._pause_charging,
            remote_start_transaction_callback=self._remote_start,
            restore_transaction_callback=self._restore_transaction,
        )
        self.charge_point = ChargePoint(
            config,
            adapt(own),
            storage=storage,
            clock=clock,
            ids=ids,
            component_files=component_files,
            opener=opener,
            frame_log=frame_log,
        )
        self._check(hardware)
        self._clock = self.charge_point.clock
        self._sample_interval_s = sample_interval_s
        self._on_change = on_change
        maker = MeterValueMaker()
        sessions = Sessions(lambda: self.charge_point.delivery.facts)
        self.charge_point.restoring.register(sessions)
        self._evses = {
            evse_id: EvseController(
                evse_id,
                self.charge_point,
                each,
                ids=ids,
                maker=maker,
                sessions=sessions,
                on_change=self._on_evse_change,
            )
            for evse_id, each in sorted(hardware.items())
        }
        self._starts = {
            evse_id: EvseStart(each, self.charge_point, sessions, ids=ids)
            for evse_id, each in self._evses.items()
        }
        self._started = False
        # Accepted tokens that wait for a cable: no more than there are EVSEs.
        self._waiting: deque[_Waiting] = deque(maxlen=len(self._evses))

    def _check(self, hardware: Mapping[int, EvseHardware]) -> None:
        model = self.charge_point.device_model
        if sorted(hardware) != list(model.connectors):
            raise ConfigurationError(f"hardware for EVSEs 1 to {len(model.connectors)} is needed")
        if TxPoint.DATA_SIGNED in model.variables.tx_start_point:
            raise ConfigurationError("tx_start_point: DataSigned needs a meter that signs")
        if model.cache.find("TxCtrlr", None, None, None, "TxStartPoint", None) >= 0:
            model.guard("TxCtrlr", "TxStartPoint", _judge_start_point)

    async def start(self, boot_reason: str = "PowerUp") -> None:
        """Opens all contactors, which takes up to 10 seconds where one does not answer; starts the
        charge point, see `ChargePoint.start`, and reads the meters from now on.

        Then each EVSE goes on where it was interrupted (E17), or notices the EV that is there. Its
        events wait until then.
        """
        if self._started:
            raise ConfigurationError("the station was started already")
        self._started = True
        starts = self._starts.values()
        try:
            await asyncio.gather(*(each.open() for each in starts))
            await self.charge_point.start(boot_reason)
        except BaseException:
            for each in starts:
                each.let_go()
            self._started = False
            raise
        for evse_id, each in self._starts.items():
            # Tasks of their own, so that hardware that hangs holds up no other.
            self.charge_point.spawn(each.take_up(), "take up an EVSE")
            self.charge_point.spawn(self._sample_meter(self._evses[evse_id]), "sample a meter")

    async def stop(self) -> None:
        """Stops everything, see `ChargePoint.stop`. Then no energy flows any more: the contactors
        are opened, which takes up to 10 seconds where one does not answer."""
        await self.charge_point.stop()
        for each in self._starts.values():
            each.let_go()
        offering = [each for each in self._evses.values() if each.state in OFFERED]
        await asyncio.gather(*(each.actuators.move(Effect.STOP_POWER) for each in offering))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def evse(self, evse_id: int) -> EvseController:
        """One EVSE; raises `ConfigurationError` if there is none of that number."""
        try:
            return self._evses[evse_id]
        except KeyError:
            raise ConfigurationError(f"this station has no EVSE {evse_id}") from None

    # --- tokens ---------------------------------------------------------------------------

    async def present_token(
        self, id_token: v21.IdTokenType, evse_id: int | None = None
    ) -> TokenOutcome:
        """A driver presents a token, at an EVSE or (without one) at the station.

        The token that began an authorization ends it, without asking anybody (C01.FR.03,
        E07.FR.01). Any other is first authorized. It then starts, in this order: the EVSE where it
        was presented; one where an EV waits, the last plugged in first; the only EVSE of the
        station. A token of the group of a charging driver ends that charging. Else it waits
        EVConnectionTimeOut for a cable at any EVSE; its transaction, even with TxStartPoint
        Authorized, starts then.
        """
        evses = self._evses.values() if evse_id is None else (self.evse(evse_id),)
        for evse in evses:
            if evse.state in _IN_FORCE and is_same(evse.id_token, id_token):
                await evse.deauthorize("Local", id_token)
                return TokenOutcome(TokenResult.STOPPED, evse.evse_id)
        if not self._may_charge():
            return TokenOutcome(TokenResult.REFUSED, evse_id, "NotAtThisTime")
        info = (await self.charge_point.validate_token(id_token)).id_token_info
        if info.status != "Accepted":
            return TokenOutcome(TokenResult.REFUSED, evse_id, info.status)
        return await self._use(id_token, info, list(evses), evse_id)

    async def _use(
        self,
        id_token: v21.IdTokenType,
        info: v21.IdTokenInfoType,
        evses: list[EvseController],
        evse_id: int | None,
    ) -> TokenOutcome:
        allowed = [e for e in evses if not info.evse_id or e.evse_id in info.evse_id]  # C01.FR.21
        plugged = [e for e in allowed if e.state in _PLUGGED and e.can_authorize(id_token)]
        plugged.sort(key=lambda e: (e.state is not EvseState.CONNECTED, -e.plugged_at))
        for evse in plugged:
            if await evse.authorize(id_token, info.group_id_token):
                return TokenOutcome(TokenResult.STARTED, evse.evse_id)
        for evse in evses:  # C09: a token of the same group may stop
            group = info.group_id_token
            if evse.state in _IN_FORCE and group and is_same(evse.group_id_token, group):
                await evse.deauthorize("Local", id_token)
                return TokenOutcome(TokenResult.STOPPED, evse.evse_id)
        free = [e for e in allowed if e.state is EvseState.AVAILABLE]
        if not free:
            return TokenOutcome(TokenResult.NO_USE, evse_id)
        if evse_id is not None or len(self._evses) == 1:
            started = await free[0].authorize(id_token, info.group_id_token)
            result = TokenResult.STARTED if started else TokenResult.NO_USE
            return TokenOutcome(result, free[0].evse_id)
        timeout_s = self.charge_point.device_model.variables.ev_connection_timeout_s
        until = self._clock.monotonic() + timeout_s
        self._waiting.append(_Waiting(id_token, info, until))
        return TokenOutcome(TokenResult.WAITING)

    def _may_charge(self) -> bool:
        """Before it was ever accepted a station charges nobody, unless TxBeforeAcceptedEnabled
        says so (Part 2, B 1.1; B03.FR.01)."""
        accepted = self.charge_point.registration is Registration.ACCEPTED
        return accepted or self.charge_point.device_model.variables.tx_before_accepted_enabled

    def _on_evse_change(self, evse_id: int, state: EvseState) -> None:
        if self._on_change is not None:
            try:
                self._on_change(evse_id, state)
            except Exception:
                _log.exception("on_change failed")
        if state is EvseState.CONNECTED:
            self.charge_point.spawn(self._greet(self._evses[evse_id]), "greet an EV")

    async def _greet(self, evse: EvseController) -> None:
        """Uses a waiting token for an EV that has come, or none where none is needed."""
        if not self.charge_point.device_model.variables.auth_enabled and self._may_charge():
            await evse.authorize(self._no_authorization())
            return
        now = self._clock.monotonic()
        for waiting in tuple(self._waiting):
            if waiting.until <= now:  # C01.FR.26
                self._waiting.remove(waiting)
                continue
            allowed = not waiting.info.evse_id or evse.evse_id in waiting.info.evse_id
            if allowed and evse.can_authorize(waiting.id_token):
                self._waiting.remove(waiting)
                await evse.authorize(waiting.id_token, waiting.info.group_id_token)
                return

    def _no_authorization(self) -> v21.IdTokenType:
        """C02.FR.01."""
        module = self.charge_point.version.module
        return module.IdTokenType(id_token="", type="NoAuthorization")

    # --- what the CSMS wants --------------------------------------------------------------

    async def _remote_start(
        self,
        request: v21.RequestStartTransactionRequest,
        authorize: bool,  # noqa: FBT001  # the signature of the callback
    ) -> Callable[[], Awaitable[None]] | None:
        evse = self._evses[request.evse_id or 1]
        if not evse.can_authorize(request.id_token):
            return None

        async def start() -> None:
            # A task of its own: it must go on when the link that asked for it is lost.
            self.charge_point.spawn(
                self._start_remotely(evse, request, authorize=authorize), "remote start"
            )

        return start

    async def _start_remotely(
        self,
        evse: EvseController,
        request: v21.RequestStartTransactionRequest,
        *,
        authorize: bool,
    ) -> None:
        group = request.group_id_token
        if authorize:  # F01.FR.01, F02.FR.09
            info = (await self.charge_point.validate_token(request.id_token)).id_token_info
            if info.status != "Accepted":
                _log.info("the token of a remote start was answered %s", info.status)
                return
            group = info.group_id_token or group
        await evse.authorize(request.id_token, group, request.remote_start_id)

    async def _stop_transaction(self, evse_id: int, reason: v21.ReasonEnumType) -> None:
        await self.evse(evse_id).deauthorize(reason)

    async def _pause_charging(self, evse_id: int) -> None:
        await self.evse(evse_id).pause(hold=True)

    async def _restore_transaction(self, transaction: OpenTransaction) -> RestoredTransaction:
        return await self._starts[transaction.evse_id].interrupted(transaction)

    async def _refuse_reset(self, _evse_id: int | None, _kind: v21.ResetEnumType) -> bool:
        return False

    async def _no_reset(self, _evse_id: int | None, _kind: v21.ResetEnumType) -> None:
        _log.error("a reset was allowed, but there is no reset callback")

    # --- meters ---------------------------------------------------------------------------

    async def _sample_meter(self, evse: EvseController) -> None:
        while True:
            await evse.meter.sample()
            await self._clock.sleep(self._sample_interval_s)


_PLUGGED = frozenset({EvseState.CONNECTED, EvseState.STOPPED})
_IN_FORCE = frozenset(
    {
        EvseState.AUTHORIZED,
        EvseState.READY,
        EvseState.CHARGING,
        EvseState.SUSPENDED_EV,
        EvseState.SUSPENDED_EVSE,
    }
)


def _judge_start_point(write: Write) -> Refusal | None:
    """No meter that signs is supported yet."""
    if TxPoint.DATA_SIGNED in write.value:
        return Refusal("InvalidValue", "DataSigned needs a meter that signs")
    return None
