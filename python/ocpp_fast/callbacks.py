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

__all__ = ["Callbacks", "NetworkReady"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkReady:
    """What became of preparing the network of a slot."""

    success: bool
    """False: this attempt has failed, without dialling."""
    interface: str | None = None
    """Name of the device or local address to dial from; None is what `StationConfig.interfaces`
    says."""


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
