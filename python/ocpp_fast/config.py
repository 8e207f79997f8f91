"""What a station is configured with: its identity, its CSMS, its EVSEs and its variables.

`StationConfig` can be built in Python or read from a JSON or TOML file, in which the keys are the
field names below. All errors are `ConfigurationError`s, `station.json: /evses/0/connectors: ...`.

`DeviceModel` is the narrow port through which most of the blocks read variables;
`ocpp_fast.device_model.DeviceModel` is behind it.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from os import PathLike
from pathlib import Path
from typing import Any, Protocol, Self

from ocpp_fast._reader import read_object
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.messages.version import OcppVersion
from ocpp_fast.transport.handshake import check_identity, connection_url

MAX_EVSES = 1_000
MAX_CONNECTORS_PER_EVSE = 8
MIN_QUEUED_MESSAGES = 100
MAX_SECURITY_PROFILE = 3
TLS_PROFILE = 2
"""The first security profile with TLS."""
CLIENT_CERTIFICATE_PROFILE = 3
"""The one in which the station shows a certificate instead of a password."""
INTERFACES = (
    *(f"Wired{number}" for number in range(4)),
    *(f"Wireless{number}" for number in range(4)),
    "Any",
)
"""OcppInterfaceEnumType; 2.0.1 has no `Any`."""


class TxPoint(StrEnum):
    """A logical step of a charging session that can start or stop a transaction."""

    PARKING_BAY_OCCUPANCY = "ParkingBayOccupancy"
    EV_CONNECTED = "EVConnected"
    AUTHORIZED = "Authorized"
    DATA_SIGNED = "DataSigned"
    POWER_PATH_CLOSED = "PowerPathClosed"
    ENERGY_TRANSFER = "EnergyTransfer"


class OnRestart(StrEnum):
    """What becomes of a transaction that was running when the station lost its power."""

    RESUME = "resume"
    CLOSE = "close"


# Of ChargingStationType, in characters.
_LENGTHS = {"vendor_name": 50, "model": 20, "serial_number": 25, "firmware_version": 50}

_STANDARD_MEASURANDS = ("Energy.Active.Import.Register",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """The device-model variables that the blocks use, as one consistent snapshot.

    The comment above each group names the component; `device_model.bindings` has the variable of
    each field. Times are in seconds. All numbers are whole ones, as they are in OCPP.

    In a `StationConfig`, fields that differ from the defaults here take the place of the values in
    the component files.
    """

    # OCPPCommCtrlr
    heartbeat_interval_s: float = 300.0
    message_timeout_s: float = 30.0
    message_attempts: int = 3
    """`MessageAttempts[TransactionEvent]`"""
    message_attempt_interval_s: float = 60.0
    """`MessageAttemptInterval[TransactionEvent]`"""
    queue_all_messages: bool = False
    """Whether messages that are no TransactionEvents wait for a link as well."""
    offline_threshold_s: float = 60.0
    web_socket_ping_interval_s: float = 30.0
    """0 for never; then a link that died silently is noticed by nobody."""
    retry_back_off_wait_minimum_s: float = 2.0
    retry_back_off_random_range_s: float = 2.0
    retry_back_off_repeat_times: int = 6
    network_profile_connection_attempts: int = 3
    # InternalCtrlr
    web_socket_pong_timeout_s: float = 10.0
    """`WebsocketPongTimeout`"""
    network_config_timeout_s: float = 60.0
    """How long `configure_network_connection_profile_callback` may take."""
    message_replay_rate: int = 50
    """Most messages a second that were queued while offline; 0 for no limit."""
    meter_checkpoint_energy_wh: int = 100
    """`MeterCheckpointEnergy`: energy that a power loss may take from a transaction, beside what
    flows between two readings of its meter. Less of it means more writing to the disk."""
    # ClockCtrlr
    time_source: tuple[str, ...] = ("Heartbeat",)
    # AuthCtrlr
    auth_enabled: bool = True
    authorize_remote_start: bool = True
    offline_tx_for_unknown_id_enabled: bool = False
    # TxCtrlr
    tx_start_point: frozenset[TxPoint] = frozenset({TxPoint.POWER_PATH_CLOSED})
    tx_stop_point: frozenset[TxPoint] = frozenset({TxPoint.EV_CONNECTED, TxPoint.AUTHORIZED})
    ev_connection_timeout_s: float = 120.0
    """`EVConnectionTimeOut`"""
    stop_tx_on_invalid_id: bool = True
    max_energy_on_invalid_id_wh: float | None = None
    tx_before_accepted_enabled: bool = False
    resumption_timeout_s: float = 0.0
    """`ResumptionTimeout`: how long a transaction may be interrupted by a power loss and still be
    resumed (E17); see `StationConfig.on_restart`."""
    allow_energy_transfer_resumption: bool = False
    """Whether a resumed transaction takes energy again by itself (E17.FR.11, E17.FR.12)."""
    energy_transfer_resumption_random_range_s: float = 0.0
    """Longest random pause before it does (E17.FR.18)."""
    # SampledDataCtrlr
    tx_started_measurands: tuple[str, ...] = _STANDARD_MEASURANDS
    tx_updated_measurands: tuple[str, ...] = _STANDARD_MEASURANDS
    tx_updated_interval_s: float = 60.0
    tx_ended_measurands: tuple[str, ...] = _STANDARD_MEASURANDS
    tx_ended_interval_s: float = 0.0
    # AlignedDataCtrlr
    aligned_measurands: tuple[str, ...] = ()
    aligned_interval_s: float = 0.0
    aligned_tx_ended_measurands: tuple[str, ...] = ()
    aligned_tx_ended_interval_s: float = 0.0
    aligned_send_during_idle: bool = False

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if not isinstance(value, (int, float)):
                continue
            if value < 0:
                raise ConfigurationError(f"/{entry.name}: must not be negative, is {value}")
            if value % 1:
                raise ConfigurationError(f"/{entry.name}: must be a whole number, is {value}")
        if TxPoint.DATA_SIGNED in self.tx_stop_point:
            raise ConfigurationError("/tx_stop_point: DataSigned is no stop point")


VariableListener = Callable[[frozenset[str]], None]
"""Called with the names of the fields of `Variables` that have changed."""


class DeviceModel(Protocol):
    """What most blocks need of the device model."""

    @property
    def connectors(self) -> Mapping[int, int]:
        """How many connectors each EVSE has; EVSE ids count from 1 without a gap."""
        ...

    @property
    def variables(self) -> Variables:
        """The current values. A change makes a new object; keep none across a wait."""
        ...

    def write(self, **changes: Any) -> None:
        """Sets variables by their field names and tells the listeners.

        Raises `ConfigurationError` for a value out of range, and changes nothing then.
        """
        ...

    def subscribe(self, listener: VariableListener) -> None:
        """Calls `listener` after each change, for as long as the device model lives."""
        ...


def _check_url(url: str, identity: str) -> None:
    try:
        connection_url(url, identity)
    except ConfigurationError as error:
        raise ConfigurationError(f"/csms_url: {error}") from None


def _check_profile(url: str, profile: int | None) -> None:
    if profile is None:
        return
    if not 0 <= profile <= MAX_SECURITY_PROFILE:
        raise ConfigurationError(f"/security_profile: must be from 0 to 3, is {profile}")
    if (profile >= TLS_PROFILE) is not url.startswith("wss:"):
        scheme = "wss" if profile >= TLS_PROFILE else "ws"
        raise ConfigurationError(f"/security_profile: {profile} needs a {scheme}:// address")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvseConfig:
    """One EVSE."""

    connectors: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.connectors <= MAX_CONNECTORS_PER_EVSE:
            text = f"must be from 1 to {MAX_CONNECTORS_PER_EVSE}, is {self.connectors}"
            raise ConfigurationError(f"/connectors: {text}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotConfig:
    """One more way to a CSMS, a slot of the network configuration (B09)."""

    csms_url: str
    """`ws://` or `wss://` address of the CSMS, without the identity."""
    security_profile: int | None = None
    """See `StationConfig.security_profile`."""
    interface: str = "Any"
    """OcppInterfaceEnumType: `Wired0` to `Wired3`, `Wireless0` to `Wireless3`, `Any`."""
    message_timeout_s: float = 30.0
    identity: str | None = None
    """None is the identity of the station."""
    password: str | None = field(default=None, repr=False)
    """None is the password of the station."""

    def __post_init__(self) -> None:
        _check_url(self.csms_url, self.identity or "station")
        _check_profile(self.csms_url, self.security_profile)
        if self.interface not in INTERFACES:
            raise ConfigurationError(f"/interface: must be one of {', '.join(INTERFACES)}")
        if self.message_timeout_s < 1 or self.message_timeout_s % 1:
            raise ConfigurationError("/message_timeout_s: must be a whole number of at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class StationConfig:
    """One charging station."""

    identity: str
    """Part 4, 3.1.1: at most 48 characters, no colon."""
    csms_url: str
    """`ws://` or `wss://` address of the CSMS, without the identity."""
    vendor_name: str = "ocpp_fast"
    model: str = "ocpp_fast"
    """At most 20 characters."""
    serial_number: str | None = None
    """Of the station, at most 25 characters."""
    firmware_version: str | None = None
    password: str | None = field(default=None, repr=False)
    """For HTTP basic authentication as `identity` (security profiles 1 and 2)."""
    security_profile: int | None = None
    """0 to 3 (Part 2, A 1.3), 0 is none at all. None is what the address and the password say: 2
    for `wss`, else 1 with a password and 0 without."""
    certificates: str | None = None
    """Folder of the certificates and keys, see `ocpp_fast.security.store`. None is the folder
    `<storage>.certificates` beside the database; without a database either, they live in a
    temporary folder and are lost at the end."""
    slots: tuple[SlotConfig, ...] = ()
    """Slots 2, 3, ... of the network configuration; slot 1 is `csms_url`. They are tried in this
    order until NetworkConfigurationPriority is set at run time."""
    interfaces: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the values of OcppInterface are on this computer: `{"Wired0": "eth0"}`, the name of a
    device or a local address. `Any`, and what is not here, leave the choice to the system."""
    versions: tuple[OcppVersion, ...] = (OcppVersion.V21, OcppVersion.V201)
    """OCPP versions to offer, the preferred one first."""
    component_config: str | None = None
    """Folder of component files (`standardized/` and `custom/`); without one those that come with
    the package, for as many EVSEs as `evses` says."""
    evses: tuple[EvseConfig, ...] | None = None
    """EVSE 1, EVSE 2, ... None is what the files of `component_config` describe, or else one EVSE
    with one connector. With both, they must agree."""
    variables: Variables | None = None
    """Values in the place of those of the component files, see `Variables`."""
    storage: str | None = None
    """SQLite file of the durable state; without one nothing outlives the process."""
    on_restart: OnRestart | None = None
    """What becomes of a transaction that was running when the station lost its power, unless
    `Callbacks.restore_transaction_callback` decides. None: it is resumed within
    `TxCtrlr.ResumptionTimeout`, which is 0 at first, and else closed (E17). `resume`: the same
    where that is not 0, else resumed whenever the station is back. `close`: always closed."""
    max_queued_messages: int = 100_000
    """From how many waiting messages on Updated events are thinned (E04.FR.07)."""

    def __post_init__(self) -> None:
        if self.on_restart not in (None, *OnRestart):
            raise ConfigurationError(f"/on_restart: is neither resume nor close: {self.on_restart}")
        if self.max_queued_messages < MIN_QUEUED_MESSAGES:
            text = f"must be at least {MIN_QUEUED_MESSAGES}, is {self.max_queued_messages}"
            raise ConfigurationError(f"/max_queued_messages: {text}")
        try:
            check_identity(self.identity)
        except ConfigurationError as error:
            raise ConfigurationError(f"/identity: {error}") from None
        _check_url(self.csms_url, self.identity)
        _check_profile(self.csms_url, self.security_profile)
        if unknown := sorted(self.interfaces.keys() - set(INTERFACES)):
            known = ", ".join(INTERFACES)
            raise ConfigurationError(f"/interfaces/{unknown[0]}: is not one of {known}")
        for name, limit in _LENGTHS.items():
            value: str | None = getattr(self, name)
            if value is not None and len(value) > limit:
                raise ConfigurationError(f"/{name}: must have at most {limit} characters")
        if not self.versions or len(set(self.versions)) != len(self.versions):
            raise ConfigurationError("/versions: must name at least one version, and none twice")
        if self.evses is not None and not 1 <= len(self.evses) <= MAX_EVSES:
            raise ConfigurationError(f"/evses: must have 1 to {MAX_EVSES} entries")

    @property
    def connectors(self) -> tuple[int, ...] | None:
        """How many connectors EVSE 1, EVSE 2, ... have; None: that is in the component files."""
        if self.evses is not None:
            return tuple(evse.connectors for evse in self.evses)
        return (1,) if self.component_config is None else None

    @property
    def url(self) -> str:
        """The address to dial: the CSMS's with the percent-encoded identity behind it."""
        return connection_url(self.csms_url, self.identity)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Reads a JSON or TOML file.

        Raises `ConfigurationError` naming the file, and the path in it, of what is wrong.
        """
        import orjson  # here, because most programs never read such a file

        path = Path(path)
        try:
            content = path.read_bytes()
            if path.suffix == ".toml":
                values = tomllib.loads(content.decode())
            else:
                values = orjson.loads(content)
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}") from error
        except ValueError as error:
            raise ConfigurationError(f"{path}: {error}") from error
        try:
            return read_object(cls, values)
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}: {error}") from None
