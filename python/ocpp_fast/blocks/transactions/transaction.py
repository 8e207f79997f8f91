"""One transaction: its sequence numbers, and what its events have told the CSMS already."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.clock import Timer
    from ocpp_fast.messages import v21

__all__ = ["MAX_KEPT_READINGS", "Transaction", "droppable"]

MAX_KEPT_READINGS: Final = 1_000
"""Most readings that are kept for the Ended event; see `Transaction.keep`."""

# E12.FR.04, J02.FR.12: of the Updated events only these carry nothing but a reading.
_DROPPABLE: Final = frozenset({"MeterValueClock", "MeterValuePeriodic"})


@dataclass(slots=True)
class Transaction:
    """The state of a running transaction.

    A member of an event that is to be sent only once is told by the first event after it is
    known, whatever that event is about (Part 2, E 1.5).
    """

    transaction_id: str
    evse_id: int
    charging_state: str
    connector_id: int | None = None
    """Where the EV is connected; None before it is."""
    id_token: v21.IdTokenType | None = None
    """The token that has authorized the transaction, once it has."""
    remote_start_id: int | None = None
    """To be told by the next event (F01.FR.25)."""
    reservation_id: int | None = None
    """To be told by the next event (E03.FR.03)."""
    begin_due: bool = False
    """Whether the Transaction.Begin readings are still to be told (E01.FR.17)."""
    evse_told: bool = False
    next_seq_no: int = 0
    begin_reading: v21.MeterValueType | None = None
    """The Transaction.Begin reading that the Ended event repeats."""
    begin_stored: bool = False
    """Whether the storage has it."""
    kept_readings: list[v21.MeterValueType] = field(default_factory=list["v21.MeterValueType"])
    """What comes after it in the Ended event, without the last one."""
    kept_number: int = 0
    """The number of the next one."""
    kept_stride: int = 1
    """Only those are kept whose number is a multiple of this."""
    energy_limit_wh: float | None = None
    """Meter reading at which a token that is no longer accepted may take no more (E05.FR.03)."""
    limit_reached: bool = False
    """Whether the meter has shown it."""
    refused: bool = False
    """Whether the CSMS has not accepted the token that was told last (E05)."""
    restored: bool = False
    """Whether it comes from before a restart, and nobody has yet decided what becomes of it."""
    timers: list[Timer] = field(default_factory=list["Timer"])
    """What repeats while it runs."""

    def event(
        self,
        context: Context,
        event_type: str,
        trigger: str,
        timestamp: datetime,
        *,
        meter_value: list[v21.MeterValueType] | None = None,
        id_token: v21.IdTokenType | None = None,
        stopped_reason: str | None = None,
    ) -> v21.TransactionEventRequest:
        """The next event of this transaction; it counts as told when this returns.

        Takes the next seqNo: 0 for the first, then without a gap in the order of creation, not of
        sending (E01.FR.07).
        """
        messages = context.messages
        evse = None
        if not self.evse_told and self.connector_id is not None:  # E01.FR.16
            evse = messages.EVSEType(id=self.evse_id, connector_id=self.connector_id)
        if self.remote_start_id is not None:  # F01.FR.19, F02.FR.21
            trigger = "RemoteStart"
        request = messages.TransactionEventRequest(
            event_type=messages.TransactionEventEnumType(event_type),
            timestamp=timestamp,
            trigger_reason=messages.TriggerReasonEnumType(trigger),  # E01.FR.15
            seq_no=self.next_seq_no,
            transaction_info=messages.TransactionType(
                transaction_id=self.transaction_id,
                charging_state=messages.ChargingStateEnumType(self.charging_state),
                stopped_reason=(
                    None if stopped_reason is None else messages.ReasonEnumType(stopped_reason)
                ),
                remote_start_id=self.remote_start_id,
            ),
            evse=evse,
            id_token=id_token,
            reservation_id=self.reservation_id,
            meter_value=meter_value or None,
        )
        self.next_seq_no += 1
        self.evse_told = self.evse_told or evse is not None
        self.remote_start_id = self.reservation_id = None
        return request

    def keep(self, reading: v21.MeterValueType) -> bool:
        """Keeps a reading for the Ended event; false when it is one of those that go.

        Of too many every second one after the first goes, and of those to come as well, so that
        the whole transaction is covered evenly (E06.FR.13, J02.FR.20).
        """
        number = self.kept_number
        self.kept_number += 1
        if number % self.kept_stride == 0 and len(self.kept_readings) >= MAX_KEPT_READINGS:
            del self.kept_readings[1::2]
            self.kept_stride *= 2
        if number % self.kept_stride:
            return False
        self.kept_readings.append(reading)
        return True

    def stop_timers(self) -> None:
        """Ends what is timed for this transaction."""
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()


def droppable(request: v21.TransactionEventRequest) -> bool:
    """Whether an event may be dropped when memory runs low (E04.FR.07, E12.FR.04): not if it is
    the one that tells what is told only once."""
    return (
        request.event_type == "Updated"
        and request.trigger_reason in _DROPPABLE
        and request.evse is None
        and request.id_token is None
        and request.reservation_id is None
    )
