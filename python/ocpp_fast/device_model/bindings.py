"""Which variable of the device model stands behind each field of `config.Variables`.

The one table of that kind: blocks read fields, the CSMS and the component files know variables.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from ocpp_fast.config import TxPoint, Variables

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BINDINGS", "SWITCHES", "Binding"]


@dataclass(frozen=True, slots=True)
class Kind:
    """How a field and the text of its variable are made of one another."""

    parse: Callable[[str], Any]
    """Raises `ValueError` for a text that the field cannot hold."""
    format: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Binding:
    """One field and the variable behind it, always its attribute Actual."""

    field: str
    component: str
    variable: str
    instance: str | None
    """Of the variable."""
    kind: Kind
    default: Any
    """What the field is while the variable has no value."""

    def parse(self, text: str | None) -> Any:
        """The field for a value; raises `ValueError`. Absent values have the default, for lists
        an empty text is an empty list."""
        if text is None or (not text and self.kind not in _LISTS):
            return self.default
        return self.kind.parse(text)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for part in text.split(",") if (word := part.strip()))


def _points(text: str) -> frozenset[TxPoint]:
    return frozenset(TxPoint(word) for word in _words(text))


def _points_text(points: frozenset[TxPoint]) -> str:
    return ",".join(point for point in TxPoint if point in points)


# `Variables` has whole numbers only, in fields of both types.
SECONDS: Final = Kind(float, lambda value: str(int(value)))
COUNT: Final = Kind(int, lambda value: str(int(value)))
FLAG: Final = Kind(_flag, lambda value: "true" if value else "false")
WORDS: Final = Kind(_words, ",".join)
POINTS: Final = Kind(_points, _points_text)
_LISTS: Final = (WORDS, POINTS)

_TABLE: Final[tuple[tuple[str, str, str, str | None, Kind], ...]] = (
    ("heartbeat_interval_s", "OCPPCommCtrlr", "HeartbeatInterval", None, SECONDS),
    ("message_timeout_s", "OCPPCommCtrlr", "MessageTimeout", "Default", SECONDS),
    ("message_attempts", "OCPPCommCtrlr", "MessageAttempts", "TransactionEvent", COUNT),
    (
        "message_attempt_interval_s",
        "OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent", SECONDS,
    ),
    ("queue_all_messages", "OCPPCommCtrlr", "QueueAllMessages", None, FLAG),
    ("offline_threshold_s", "OCPPCommCtrlr", "OfflineThreshold", None, SECONDS),
    ("web_socket_ping_interval_s", "OCPPCommCtrlr", "WebSocketPingInterval", None, SECONDS),
    ("retry_back_off_wait_minimum_s", "OCPPCommCtrlr", "RetryBackOffWaitMinimum", None, SECONDS),
    ("retry_back_off_random_range_s", "OCPPCommCtrlr", "RetryBackOffRandomRange", None, SECONDS),
    ("retry_back_off_repeat_times", "OCPPCommCtrlr", "RetryBackOffRepeatTimes", None, COUNT),
    (
        "network_profile_connection_attempts",
        "OCPPCommCtrlr", "NetworkProfileConnectionAttempts", None, COUNT,
    ),
    ("web_socket_pong_timeout_s", "InternalCtrlr", "WebsocketPongTimeout", None, SECONDS),
    ("network_config_timeout_s", "InternalCtrlr", "NetworkConfigTimeout", None, SECONDS),
    ("message_replay_rate", "InternalCtrlr", "MessageReplayRate", None, COUNT),
    ("meter_checkpoint_energy_wh", "InternalCtrlr", "MeterCheckpointEnergy", None, COUNT),
    ("time_source", "ClockCtrlr", "TimeSource", None, WORDS),
    ("auth_enabled", "AuthCtrlr", "Enabled", None, FLAG),
    ("authorize_remote_start", "AuthCtrlr", "AuthorizeRemoteStart", None, FLAG),
    ("offline_tx_for_unknown_id_enabled", "AuthCtrlr", "OfflineTxForUnknownIdEnabled", None, FLAG),
    ("tx_start_point", "TxCtrlr", "TxStartPoint", None, POINTS),
    ("tx_stop_point", "TxCtrlr", "TxStopPoint", None, POINTS),
    ("ev_connection_timeout_s", "TxCtrlr", "EVConnectionTimeOut", None, SECONDS),
    ("stop_tx_on_invalid_id", "TxCtrlr", "StopTxOnInvalidId", None, FLAG),
    ("max_energy_on_invalid_id_wh", "TxCtrlr", "MaxEnergyOnInvalidId", None, SECONDS),
    ("tx_before_accepted_enabled", "TxCtrlr", "TxBeforeAcceptedEnabled", None, FLAG),
    ("resumption_timeout_s", "TxCtrlr", "ResumptionTimeout", None, SECONDS),
    ("allow_energy_transfer_resumption", "TxCtrlr", "AllowEnergyTransferResumption", None, FLAG),
    (
        "energy_transfer_resumption_random_range_s",
        "TxCtrlr", "EnergyTransferResumptionRandomRange", None, SECONDS,
    ),
    ("tx_started_measurands", "SampledDataCtrlr", "TxStartedMeasurands", None, WORDS),
    ("tx_updated_measurands", "SampledDataCtrlr", "TxUpdatedMeasurands", None, WORDS),
    ("tx_updated_interval_s", "SampledDataCtrlr", "TxUpdatedInterval", None, SECONDS),
    ("tx_ended_measurands", "SampledDataCtrlr", "TxEndedMeasurands", None, WORDS),
    ("tx_ended_interval_s", "SampledDataCtrlr", "TxEndedInterval", None, SECONDS),
    ("aligned_measurands", "AlignedDataCtrlr", "Measurands", None, WORDS),
    ("aligned_interval_s", "AlignedDataCtrlr", "Interval", None, SECONDS),
    ("aligned_tx_ended_measurands", "AlignedDataCtrlr", "TxEndedMeasurands", None, WORDS),
    ("aligned_tx_ended_interval_s", "AlignedDataCtrlr", "TxEndedInterval", None, SECONDS),
    ("aligned_send_during_idle", "AlignedDataCtrlr", "SendDuringIdle", None, FLAG),
)  # fmt: skip

_DEFAULTS: Final = Variables()

BINDINGS: Final[dict[str, Binding]] = {
    row[0]: Binding(*row, default=getattr(_DEFAULTS, row[0])) for row in _TABLE
}
"""Field name -> its binding; one for each field."""

SWITCHES: Final[dict[str, dict[str, Any]]] = {
    "SampledDataCtrlr": {
        "tx_started_measurands": (),
        "tx_updated_measurands": (),
        "tx_updated_interval_s": 0.0,
        "tx_ended_measurands": (),
        "tx_ended_interval_s": 0.0,
    },
    "AlignedDataCtrlr": {
        "aligned_measurands": (),
        "aligned_interval_s": 0.0,
        "aligned_tx_ended_measurands": (),
        "aligned_tx_ended_interval_s": 0.0,
    },
}
"""Component -> what its fields are while its variable Enabled is false."""

if BINDINGS.keys() != {entry.name for entry in fields(Variables)}:
    raise AssertionError("a field of Variables has no variable, or a variable no field")
