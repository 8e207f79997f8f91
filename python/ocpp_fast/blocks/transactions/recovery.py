"""After a restart: what becomes of the transactions that were running (E17)."""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from ocpp_fast.blocks.readings import energy_wh
from ocpp_fast.blocks.transactions.checkpoints import time_now
from ocpp_fast.blocks.transactions.durable import redated
from ocpp_fast.callbacks import OpenTransaction, RestoredTransaction
from ocpp_fast.config import OnRestart
from ocpp_fast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.blocks.transactions.checkpoints import Checkpoints
    from ocpp_fast.blocks.transactions.transaction import Transaction
    from ocpp_fast.messages import v21
    from ocpp_fast.restoring import Restart

__all__ = [
    "HIGH_DENSITY_EVSES",
    "Recovery",
    "check_policy",
    "closed_state",
    "further",
    "interruption_s",
    "resumes",
    "stopped_reason",
]

_log = logging.getLogger(__name__)

HIGH_DENSITY_EVSES: Final = 16
"""With more EVSEs than this nobody can leave open what becomes of their transactions."""
MAX_CLOCK_STEP_S: Final = 60.0
"""By how much the clock may have been set back over a restart and still be believed."""
MAX_WAIT_FOR_TIME_S: Final = 120.0
"""How long a station that does not know the time waits for it before it decides."""


# --- the decision: no I/O, no clock ----------------------------------------------------------


def interruption_s(last_alive: datetime | None, now: datetime | None, running_s: float) -> float:
    """How long the station was down: from the last moment it recorded (E17.FR.02) to its start,
    `running_s` seconds before `now`. Infinite when one of the times is not known."""
    if last_alive is None or now is None:
        return math.inf
    down_s = (now - last_alive).total_seconds() - running_s
    return max(0.0, down_s) if down_s >= -MAX_CLOCK_STEP_S else math.inf


def resumes(policy: OnRestart | None, timeout_s: float, down_s: float) -> bool:
    """Whether a transaction goes on; else it is closed (E17.FR.10, E17.FR.20)."""
    if policy == OnRestart.CLOSE:
        return False
    if timeout_s > 0:
        return down_s <= timeout_s
    return policy == OnRestart.RESUME


def stopped_reason(boot_reason: str) -> str:
    """The ReasonEnumType of a transaction that the restart has ended: power loss, a reset that the
    CSMS wanted, or the station's own doing (E17.FR.21, E17.FR.22, B12.FR.04)."""
    reasons = {"PowerUp": "PowerLoss", "RemoteReset": "ImmediateReset"}
    return reasons.get(boot_reason, "Reboot")


def closed_state(charging_state: str) -> str:
    """The ChargingStateEnumType of one that has ended: its contactor is open."""
    return "Idle" if charging_state == "Idle" else "EVConnected"


def further(
    now: v21.MeterValueType | None, before: v21.MeterValueType | None
) -> v21.MeterValueType | None:
    """What the meter shows now, if it is known and not less than it was before: there are meters
    that lose their register with the power (J02.FR.16)."""
    if now is None or before is None:
        return now or before
    now_wh, before_wh = energy_wh(now), energy_wh(before)
    went_back = now_wh is not None and before_wh is not None and now_wh < before_wh
    return before if went_back else now


def check_policy(
    policy: OnRestart | None, evses: int, *, durable: bool, has_callback: bool
) -> None:
    """Raises `ConfigurationError` for a high-density station that leaves the decision open."""
    if durable and evses > HIGH_DENSITY_EVSES and policy is None and not has_callback:
        raise ConfigurationError(
            f"a station with more than {HIGH_DENSITY_EVSES} EVSEs has to say what becomes of its "
            "transactions after a power loss: set on_restart or give a restore_transaction_callback"
        )


# --- doing it --------------------------------------------------------------------------------


class Outcome(Protocol):
    """What can become of a transaction; see `Transactions`."""

    async def resume(self, transaction: Transaction, answer: RestoredTransaction) -> None:
        """It goes on."""
        ...

    async def close(
        self, transaction: Transaction, answer: RestoredTransaction, reason: str
    ) -> None:
        """It has ended for this ReasonEnumType."""
        ...


class Recovery:
    """Decides about each restored transaction, once, and has it done."""

    def __init__(
        self,
        context: Context,
        active: Mapping[int, Transaction],
        checkpoints: Checkpoints,
        outcome: Outcome,
        *,
        policy: OnRestart | None,
    ) -> None:
        self._context = context
        self._active = active
        self._checkpoints = checkpoints
        self._outcome = outcome
        self._policy = policy
        self._boot_reason = ""
        self._started = 0.0
        self._decided: dict[int, asyncio.Event] = {}
        """Of those that were restored: whether that is dealt with."""

    def begin(self, restart: Restart) -> None:
        """The station has started, and knows again which transactions it had."""
        self._boot_reason = restart.boot_reason
        self._started = self._context.clock.monotonic()
        self._decided = {evse_id: asyncio.Event() for evse_id in self._active}

    async def recovered(self, evse_id: int) -> None:
        """See `Transactions.recovered`."""
        if (decided := self._decided.get(evse_id)) is not None:
            await decided.wait()

    async def recover(self) -> None:
        """Decides about all. When this returns, what needed no answer of anybody is durable; the
        rest follows."""
        restored = [transaction for transaction in self._active.values() if transaction.restored]
        if not restored:
            return
        if self._waits_for_time() or self._context.callbacks.restore_transaction_callback:
            self._context.spawn(self._recover(restored), "recover transactions")
        else:
            await self._recover(restored)

    async def _recover(self, restored: list[Transaction]) -> None:
        if self._waits_for_time():
            await self._time()
        down_s = self._down_s()
        timeout_s = self._context.device_model.variables.resumption_timeout_s
        resume = resumes(self._policy, timeout_s, down_s)
        _log.warning("the station was down for %g s during %d transactions", down_s, len(restored))
        # All at once: so they share one writing, and no callback waits for another.
        await asyncio.gather(*(self._settle(each, down_s, resume=resume) for each in restored))

    async def _settle(self, transaction: Transaction, down_s: float, *, resume: bool) -> None:
        there_is_one = transaction.evse_id in self._context.device_model.connectors
        policy = RestoredTransaction(resume=resume and there_is_one)
        try:
            answer = policy
            if there_is_one:
                answer = await self._ask(transaction, down_s, resume=resume)
            if not await self._done(transaction, answer or policy):
                await self._done(transaction, policy)
        except Exception:  # One that cannot be helped must not stop the others, or the station.
            _log.exception("transaction %s could not be taken up", transaction.transaction_id)
        finally:
            self._decided[transaction.evse_id].set()

    async def _done(self, transaction: Transaction, answer: RestoredTransaction) -> bool:
        """False when what was answered cannot be said in OCPP."""
        if self._active.get(transaction.evse_id) is not transaction:
            return True  # Somebody at the station knew better, and has ended it.
        try:
            await self._do(transaction, answer)
        except ValueError as error:
            _log.error("restore_transaction_callback gave what is not valid: %s", error)
            return False
        return True

    async def _do(self, transaction: Transaction, answer: RestoredTransaction) -> None:
        _log.info(
            "transaction %s of EVSE %d %s",
            transaction.transaction_id,
            transaction.evse_id,
            "goes on" if answer.resume else "has ended",
        )
        # The meter may have been read before the time was known, and the event is made after.
        if answer.meter_value is not None:
            dated = self._context.clock.dated
            answer = replace(answer, meter_value=redated(answer.meter_value, dated))
        if answer.resume:
            await self._outcome.resume(transaction, answer)
        else:
            reason = answer.stopped_reason or stopped_reason(self._boot_reason)
            await self._outcome.close(transaction, answer, reason)

    async def _ask(
        self, transaction: Transaction, down_s: float, *, resume: bool
    ) -> RestoredTransaction | None:
        """What the integrator says; None without an answer."""
        callback = self._context.callbacks.restore_transaction_callback
        if callback is None:
            return None
        token = transaction.id_token
        open_ = OpenTransaction(
            evse_id=transaction.evse_id,
            connector_id=transaction.connector_id,
            transaction_id=transaction.transaction_id,
            charging_state=transaction.charging_state,
            id_token=token and self._in_use(token),
            remote_start_id=transaction.remote_start_id,
            last_reading=self._checkpoints.last(transaction.evse_id) or transaction.begin_reading,
            interrupted_s=down_s,
            resume=resume,
            # With an allowance it may go on taking energy (E05.FR.03).
            refused=transaction.refused and transaction.energy_limit_wh is None,
        )
        return await self._context.ask(
            "restore_transaction_callback", lambda: callback(open_), None
        )

    def _in_use(self, token: v21.IdTokenType) -> v21.IdTokenType:
        """Of the version in use, unless that cannot express it."""
        try:
            return self._context.convert(token)
        except ValueError:
            return token

    # --- the time of the interruption ----------------------------------------------------------

    def _down_s(self) -> float:
        running_s = self._context.clock.monotonic() - self._started
        return interruption_s(self._checkpoints.last_alive, time_now(self._context), running_s)

    def _waits_for_time(self) -> bool:
        """Whether the decision depends on a time that is not known yet."""
        timeout_s = self._context.device_model.variables.resumption_timeout_s
        depends = timeout_s > 0 and self._policy != OnRestart.CLOSE
        return (
            depends and self._checkpoints.last_alive is not None and time_now(self._context) is None
        )

    async def _time(self) -> None:
        clock = self._context.clock
        try:
            await clock.wait_for(clock.wait_right(), MAX_WAIT_FOR_TIME_S)
        except TimeoutError:
            _log.warning("nobody has told the time; the interruption counts as a long one")
