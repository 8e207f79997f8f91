"""What an integrator provides: the calls from the station's OCPP side into its hardware side.

All callbacks are coroutine functions. They run outside the receive loop, each within
`ChargePoint`'s `callback_timeout_s`. One that raises or takes too long is logged and counts as
if it had said no; it never stops the station. They must not block the thread.

Enumerations and messages come from the module of the OCPP version in use, `messages.v201` or
`messages.v21`; they are annotated with the types of 2.1, of which those of 2.0.1 are a subset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from ocpp_fast.connectivity.slots import NetworkSlot
    from ocpp_fast.messages import OcppVersion, v21

__all__ = ["Callbacks", "NetworkReady", "OpenTransaction", "RestoredTransaction"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkReady:
    """What became of preparing the network of a slot."""

    success: bool
    """False: this attempt has failed, without dialling."""
    interface: str | None = None
    """Name of the device or local address to dial from; None is what `StationConfig.interfaces`
    says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTransaction:
    """A transaction that was running when the station went down."""

    evse_id: int
    connector_id: int | None
    """Where its EV was connected; None before it was."""
    transaction_id: str
    charging_state: str
    """The last ChargingStateEnumType that was told."""
    id_token: v21.IdTokenType | None
    """The token that has authorized it."""
    remote_start_id: int | None
    last_reading: v21.MeterValueType | None
    """The last meter reading that is durable."""
    interrupted_s: float
    """How long ago something of it was stored for the last time, which is at most a minute more
    than the station was down."""
    refused: bool = False
    """Whether the CSMS has refused its token, and the station has not acted on it yet (E05)."""
    resume: bool
    """What `StationConfig.on_restart` and `TxCtrlr.ResumptionTimeout` say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredTransaction:
    """What becomes of such a transaction."""

    resume: bool
    """False: it has ended."""
    charging_state: str | None = None
    """The ChargingStateEnumType it is in now. None: resumed, the one it had; closed, the one in
    which the contactor is open, EVConnected or Idle."""
    meter_value: v21.MeterValueType | None = None
    """What the meter shows now; without it the last durable reading counts."""
    stopped_reason: str | None = None
    """ReasonEnumType of one that has ended; None is what the reason of the boot says (E17.FR.21,
    E17.FR.22)."""
    id_token: v21.IdTokenType | None = None
    """The token that has ended it (E07.FR.02)."""
    trigger_reason: str | None = None
    """TriggerReasonEnumType of the event; None is TxResumed or AbnormalCondition (E17.FR.14,
    E17.FR.21)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks:
    """The callbacks of one station. Those without a default have to be there."""

    is_reset_allowed_callback: Callable[[int | None, v21.ResetEnumType], Awaitable[bool]]
    """(evse_id or None for the whole station, type): may it be reset now? Asked before the
    answer; False answers Rejected (B11.FR.06, B12.FR.10)."""

    reset_callback: Callable[[int | None, v21.ResetEnumType], Awaitable[None]]
    """(evse_id or None, type): reset now. Comes after the answer and, for OnIdle, after the last
    transaction. Of an Immediate reset the transactions have been stopped already."""

    stop_transaction_callback: Callable[[int, v21.ReasonEnumType], Awaitable[None]]
    """(evse_id, reason): end the authorization of the transaction on this EVSE and stop the
    energy. Whether that ends the transaction is for TxStopPoint to say: answer with
    `on_transaction_finished` or `on_charging_state_changed`. Reasons: Remote (F03), DeAuthorized
    (E05), ImmediateReset (B12)."""

    pause_charging_callback: Callable[[int], Awaitable[None]]
    """(evse_id): stop the energy but keep the transaction (E05.FR.02, E05.FR.03); answer with
    `on_charging_state_changed(..., SuspendedEVSE)`."""

    remote_start_transaction_callback: Callable[
        [v21.RequestStartTransactionRequest, bool],
        Awaitable[Callable[[], Awaitable[None]] | None],
    ]
    """(request, whether the token has to be authorized first): a start on `request.evse_id`,
    which is always set. Decide only: return what to do once Accepted is on its way, or None to
    answer Rejected (F01, F02)."""

    data_transfer_callback: (
        Callable[[v21.DataTransferRequest], Awaitable[v21.DataTransferResponse]] | None
    ) = None
    """(request): a vendor's message from the CSMS (P01). Without it every vendor is unknown."""

    boot_notification_callback: Callable[[v21.BootNotificationResponse], Awaitable[None]] | None = (
        None
    )
    """(response): each answer to a BootNotification."""

    time_sync_callback: Callable[[datetime], Awaitable[None]] | None = None
    """(time of the CSMS, aware UTC): set the station's clock. Comes with each BootNotification
    and Heartbeat answer while ClockCtrlr.TimeSource contains Heartbeat (B01.FR.06, G02.FR.06)."""

    restore_transaction_callback: (
        Callable[[OpenTransaction], Awaitable[RestoredTransaction]] | None
    ) = None
    """(transaction): what becomes of a transaction that was interrupted, once after a restart.
    Energy must not flow before. When it fails or takes too long the policy decides. Stations with
    a durable storage and more than 16 EVSEs must give it or set `StationConfig.on_restart`."""

    configure_network_connection_profile_callback: (
        Callable[[NetworkSlot], Awaitable[NetworkReady]] | None
    ) = None
    """(slot): bring up the network that the slot wants (interface, APN, VPN), before each dial.
    Has InternalCtrlr.NetworkConfigTimeout instead of `callback_timeout_s`."""

    validate_network_profile_callback: (
        Callable[[int, v21.NetworkConnectionProfileType], Awaitable[bool]] | None
    ) = None
    """(slot, profile): may this network profile be stored there (B09.FR.01, B09.FR.02)? Without
    it, what OCPP itself can check decides."""

    connection_state_changed_callback: (
        Callable[[bool, OcppVersion | None], Awaitable[None]] | None
    ) = None
    """(connected, OCPP version): a link came to be, or is gone."""

    transaction_event_callback: Callable[[v21.TransactionEventRequest], Awaitable[None]] | None = (
        None
    )
    """(request): a TransactionEvent has been stored for delivery."""

    transaction_event_response_callback: (
        Callable[[v21.TransactionEventRequest, v21.TransactionEventResponse], Awaitable[None]]
        | None
    ) = None
    """(request, response): the CSMS has answered a TransactionEvent, possibly one of an earlier
    run of the station."""
