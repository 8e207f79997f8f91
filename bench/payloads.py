"""The messages that are measured: deterministic, realistic, valid against the official schemas.

A payload is made for an index: the same index gives the same bytes, another index the same shape
with other ids, times and readings. Sizes are those of the acceptance text, as compact CALL frames
with a 36-character message id; `test_payloads.py` holds them to it.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, cast

Version = Literal["2.0.1", "2.1"]
JsonObject = dict[str, Any]

VERSIONS: Final[tuple[Version, ...]] = ("2.0.1", "2.1")
EPOCH: Final = datetime(2026, 11, 21, 9, 0, 0, 125_000, tzinfo=UTC)
VARIANTS: Final = ("compact", "shuffled", "spaced", "pretty", "shuffled+spaced")
"""`shuffled` is a random order of the keys of every object; `spaced` has a space after , and :."""


class Channel(NamedTuple):
    """One sampled value of a meter: what is measured and a typical reading."""

    measurand: str
    phase: str | None
    location: str
    unit: str
    typical: float
    multiplier: int | None = None


CHANNELS: Final = (
    Channel("Energy.Active.Import.Register", None, "Outlet", "Wh", 18_231_564.25, 0),
    Channel("Energy.Active.Import.Interval", None, "Outlet", "Wh", 92.31),
    Channel("Power.Active.Import", None, "Outlet", "W", 11_078.4),
    Channel("Power.Active.Import", "L1", "Outlet", "W", 3_692.16),
    Channel("Power.Active.Import", "L2", "Outlet", "W", 3_701.95),
    Channel("Power.Active.Import", "L3", "Outlet", "W", 3_684.29),
    Channel("Power.Offered", None, "Outlet", "W", 11_040),
    Channel("Current.Import", "L1", "Outlet", "A", 16.03),
    Channel("Current.Import", "L2", "Outlet", "A", 16.11),
    Channel("Current.Import", "L3", "Outlet", "A", 15.98),
    Channel("Current.Offered", None, "Outlet", "A", 16),
    Channel("Voltage", "L1-N", "Outlet", "V", 230.41),
    Channel("Voltage", "L2-N", "Outlet", "V", 231.56),
    Channel("Voltage", "L3-N", "Outlet", "V", 229.87),
    Channel("Frequency", None, "Inlet", "Hz", 49.98),
    Channel("SoC", None, "EV", "Percent", 57),
)
"""16 channels of a three-phase AC meter and the car; whole readings are written without point."""


def readings(index: int) -> list[float]:
    """One reading for each of `CHANNELS`, near the typical one; index 0 is the typical one."""
    rng = random.Random(index)
    return [_vary(rng, channel.typical, index) for channel in CHANNELS]


def _vary(rng: random.Random, typical: float, index: int) -> float:
    if index == 0:
        return typical
    value = typical * rng.uniform(0.97, 1.02)
    return round(value) if isinstance(typical, int) else round(value, 2)


def instant(index: int, offset_s: float = 0.0) -> datetime:
    """A time to whole milliseconds, 30 s after that of the index before."""
    return EPOCH + timedelta(seconds=30 * index + offset_s)


def wire_time(moment: datetime) -> str:
    """The date-time as stations write it: UTC, milliseconds, `Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def message_id(index: int) -> str:
    """A message id in the form of a UUID, 36 characters."""
    return _uuid(random.Random(f"message {index}"))


def transaction_id(index: int) -> str:
    """A transaction id in the form of a UUID; eight messages in a row share one."""
    return _uuid(random.Random(f"transaction {index // 8}"))


def _uuid(rng: random.Random) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _sampled_value(channel: Channel, value: float, context: str) -> JsonObject:
    row: JsonObject = {"value": value, "context": context, "measurand": channel.measurand}
    if channel.phase is not None:
        row["phase"] = channel.phase
    row["location"] = channel.location
    unit: JsonObject = {"unit": channel.unit}
    if channel.multiplier is not None:
        unit["multiplier"] = channel.multiplier
    row["unitOfMeasure"] = unit
    return row


def meter_value(index: int, offset_s: float = 0.0) -> JsonObject:
    """A MeterValueType of all 16 channels."""
    rows = zip(CHANNELS, readings(index), strict=True)
    return {
        "timestamp": wire_time(instant(index, offset_s)),
        "sampledValue": [_sampled_value(c, value, "Sample.Periodic") for c, value in rows],
    }


def transaction_updated(index: int) -> JsonObject:
    """The periodic message of a charging session: one meter value of 16 samples."""
    return {
        "eventType": "Updated",
        "timestamp": wire_time(instant(index)),
        "triggerReason": "MeterValuePeriodic",
        "seqNo": 3 + index,
        "offline": False,
        "cableMaxCurrent": 32,
        "transactionInfo": {
            "transactionId": transaction_id(index),
            "chargingState": "Charging",
            "timeSpentCharging": 1_830 + 30 * index,
        },
        "evse": {"id": 1, "connectorId": 1},
        "meterValue": [meter_value(index)],
    }


def transaction_updated_unlike(index: int) -> JsonObject:
    """The same from stations that report their samples in different orders, one after the other."""
    message = transaction_updated(index)
    samples = message["meterValue"][0]["sampledValue"]
    random.Random(f"station {index}").shuffle(samples)
    return message


def _transaction_end_point(index: int, event: str, trigger: str, context: str) -> JsonObject:
    return {
        "eventType": event,
        "timestamp": wire_time(instant(index)),
        "triggerReason": trigger,
        "seqNo": index,
        "transactionInfo": {"transactionId": transaction_id(index)},
        "evse": {"id": 1, "connectorId": 1},
        "idToken": {"idToken": f"04A2C9{index:02X}5B6480", "type": "ISO14443"},
        "meterValue": [
            {
                "timestamp": wire_time(instant(index)),
                "sampledValue": [_sampled_value(CHANNELS[0], readings(index)[0], context)],
            }
        ],
    }


def transaction_started(index: int) -> JsonObject:
    """The first message of a session, with the token and the energy register."""
    body = _transaction_end_point(index, "Started", "Authorized", "Transaction.Begin")
    body["transactionInfo"]["chargingState"] = "EVConnected"
    return body


def transaction_ended(index: int) -> JsonObject:
    """The last message of a session, with the reason and the energy register."""
    body = _transaction_end_point(index, "Ended", "EVCommunicationLost", "Transaction.End")
    body["transactionInfo"] |= {"chargingState": "Idle", "stoppedReason": "EVDisconnected"}
    return body


def meter_values(index: int) -> JsonObject:
    """Two meter values of 16 samples, outside a transaction."""
    return {"evseId": 1, "meterValue": [meter_value(2 * index), meter_value(2 * index + 1, -15)]}


def status_notification(index: int) -> JsonObject:
    """A connector's new state."""
    return {
        "timestamp": wire_time(instant(index)),
        "connectorStatus": "Available" if index % 2 else "Occupied",
        "evseId": 1 + index % 2,
        "connectorId": 1,
    }


def heartbeat(_index: int) -> JsonObject:
    """The empty request."""
    return {}


_VARIABLES: Final = (
    ("EVSE", "AvailabilityState", "Available"),
    ("EVSE", "Power", "11040"),
    ("Connector", "ConnectorType", "cType2"),
    ("Connector", "SupplyPhases", "3"),
    ("TxCtrlr", "TxStartPoint", "PowerPathClosed,Authorized"),
    ("TxCtrlr", "EVConnectionTimeOut", "60"),
    ("OCPPCommCtrlr", "HeartbeatInterval", "300"),
    ("AlignedDataCtrlr", "Measurands", "Energy.Active.Import.Register,SoC"),
    ("SampledDataCtrlr", "TxUpdatedInterval", "30"),
    ("SecurityCtrlr", "OrganizationName", "Stadtwerke Neuburg an der Donau"),
)


def _component(name: str, row: int) -> JsonObject:
    component: JsonObject = {"name": name}
    if name in {"EVSE", "Connector"}:
        component["evse"] = {"id": 1 + row % 4}
        if name == "Connector":
            component["evse"]["connectorId"] = 1
    return component


def get_variables_request(index: int) -> JsonObject:
    """A read of 20 variables."""
    rows: list[JsonObject] = []
    for row in range(20):
        component, variable, _ = _VARIABLES[(row + index) % len(_VARIABLES)]
        rows.append(
            {
                "component": _component(component, row),
                "variable": {"name": variable} | ({"instance": "Main"} if row % 5 == 4 else {}),
                "attributeType": "Actual",
            }
        )
    return {"getVariableData": rows}


def get_variables_response(index: int) -> JsonObject:
    """The answer to it: the values of 20 variables."""
    rows: list[JsonObject] = []
    for row, asked in enumerate(get_variables_request(index)["getVariableData"]):
        value = _VARIABLES[(row + index) % len(_VARIABLES)][2]
        rows.append({"attributeStatus": "Accepted", "attributeValue": value, **asked})
    return {"getVariableResult": rows}


def _report_row(row: int, index: int) -> JsonObject:
    component, variable, value = _VARIABLES[(row + index) % len(_VARIABLES)]
    characteristics: JsonObject = {"dataType": "string", "supportsMonitoring": row % 3 == 0}
    if value.isdigit():
        characteristics = {
            "unit": "W" if variable == "Power" else "s",
            "dataType": "decimal" if row % 4 == 1 else "integer",
            "minLimit": 0,
            "maxLimit": 22_080.5 if row % 4 == 1 else 86_400,
            "supportsMonitoring": True,
        }
    elif "," in value or variable in {"AvailabilityState", "ConnectorType"}:
        characteristics |= {"dataType": "OptionList", "valuesList": "Available,Faulted,Occupied"}
    return {
        "component": _component(component, row),
        "variable": {"name": variable, "instance": f"Instance-{row:04d}"},
        "variableAttribute": [
            {
                "type": "Actual",
                "value": value,
                "mutability": "ReadWrite" if row % 2 else "ReadOnly",
                "persistent": True,
                "constant": False,
            }
        ],
        "variableCharacteristics": characteristics,
    }


def notify_report(index: int) -> JsonObject:
    """One page of a base report, 100 rows."""
    return {
        "requestId": 4_711 + index,
        "generatedAt": wire_time(instant(index)),
        "seqNo": index,
        "tbc": True,
        "reportData": [_report_row(row, index) for row in range(100)],
    }


def set_charging_profile(index: int) -> JsonObject:
    """A day's profile of 24 hourly limits."""
    limits = [round(6 + 26 * abs((hour + index) % 24 - 12) / 12, 1) for hour in range(24)]
    periods = [
        {"startPeriod": 3_600 * hour, "limit": limit, "numberPhases": 3}
        for hour, limit in enumerate(limits)
    ]
    return {
        "evseId": 1,
        "chargingProfile": {
            "id": 100 + index,
            "stackLevel": 1,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Recurring",
            "recurrencyKind": "Daily",
            "validFrom": wire_time(instant(index)),
            "validTo": wire_time(instant(index, 86_400)),
            "chargingSchedule": [
                {
                    "id": 1,
                    "startSchedule": wire_time(instant(index)),
                    "duration": 86_400,
                    "chargingRateUnit": "A",
                    "chargingSchedulePeriod": periods,
                }
            ],
        },
    }


def boot_notification(_index: int) -> JsonObject:
    """The first request of a station; the vendor's name is not ASCII."""
    return {
        "reason": "PowerUp",
        "chargingStation": {
            "model": "Säule 22",
            "vendorName": "Müller & Söhne",
            "serialNumber": "MS22-004711",
            "firmwareVersion": "2.4.1",
            "modem": {"iccid": "89490200001234567890", "imsi": "262011234567890"},
        },
    }


def boot_notification_response(index: int) -> JsonObject:
    """Accepted, with the CSMS's time."""
    return {"currentTime": wire_time(instant(index)), "interval": 300, "status": "Accepted"}


def authorize(index: int) -> JsonObject:
    """A token to check."""
    return {"idToken": {"idToken": f"04A2C9{index:02X}5B6480", "type": "ISO14443"}}


def authorize_response(_index: int) -> JsonObject:
    """Accepted, with the group."""
    group = {"idToken": "FLEET-0042", "type": "Central"}
    return {"idTokenInfo": {"status": "Accepted", "groupIdToken": group}}


def heartbeat_response(index: int) -> JsonObject:
    """The CSMS's time."""
    return {"currentTime": wire_time(instant(index))}


def data_transfer(index: int) -> JsonObject:
    """A vendor's message: free JSON in a member."""
    return {
        "vendorId": "com.example.bench",
        "messageId": "Diagnostics",
        "data": {"fan": [1_200 + index, 1_180], "door": "closed", "temperature": {"board": 41.5}},
    }


Kind = Literal["request", "response"]
_Maker = Callable[[int], JsonObject]


@dataclass(frozen=True, slots=True)
class Payload:
    """A kind of message: its name in the tables, action, direction and size."""

    name: str
    action: str
    kind: Kind
    make: _Maker
    frame_bytes: int | None = None
    """Size of the compact CALL frame (requests) the acceptance text names; None: an addition."""

    @property
    def type_name(self) -> str:
        """Name of the message type, which is also that of its schema."""
        return self.action + self.kind.capitalize()


HEADLINE: Final = (
    Payload("TransactionEvent.Updated", "TransactionEvent", "request", transaction_updated, 2_557),
    Payload("TransactionEvent.Started", "TransactionEvent", "request", transaction_started, 574),
    Payload("TransactionEvent.Ended", "TransactionEvent", "request", transaction_ended, 617),
    Payload("MeterValues.2x16", "MeterValues", "request", meter_values, 4_431),
    Payload("StatusNotification", "StatusNotification", "request", status_notification, 160),
    Payload("Heartbeat", "Heartbeat", "request", heartbeat, 57),
    Payload("GetVariables.request.20", "GetVariables", "request", get_variables_request, 2_293),
    Payload("GetVariables.response.20", "GetVariables", "response", get_variables_response, 3_501),
    Payload("NotifyReport.100", "NotifyReport", "request", notify_report, 34_556),
    Payload("SetChargingProfile.24", "SetChargingProfile", "request", set_charging_profile, 1_679),
)
"""The messages the figures speak of."""

SMALL: Final = (
    Payload("BootNotification", "BootNotification", "request", boot_notification),
    Payload(
        "BootNotification.response", "BootNotification", "response", boot_notification_response
    ),
    Payload("Authorize", "Authorize", "request", authorize),
    Payload("Authorize.response", "Authorize", "response", authorize_response),
    Payload("Heartbeat.response", "Heartbeat", "response", heartbeat_response),
    Payload("TransactionEvent.response", "TransactionEvent", "response", heartbeat),
    Payload("DataTransfer", "DataTransfer", "request", data_transfer),
)
"""Everyday small messages, so that "any message" is not only the big ones."""

UNLIKE: Final = Payload(
    "TransactionEvent.Updated.unlike",
    "TransactionEvent",
    "request",
    transaction_updated_unlike,
)
"""Several of these in turn defeat whatever is remembered of the last message."""

PAYLOADS: Final = {payload.name: payload for payload in HEADLINE + SMALL}


@dataclass(frozen=True, slots=True)
class Case:
    """Messages of one kind, version and way of writing, ready to be measured.

    `count` messages with the indices from 0 up; one message is the usual benchmark, several keep
    a branch predictor from learning one frame by heart.
    """

    payload: Payload
    version: Version
    variant: str = "compact"
    count: int = 1

    @property
    def name(self) -> str:
        """Name for tables and test ids."""
        many = f" x{self.count}" if self.count > 1 else ""
        return f"{self.payload.name} {self.version} {self.variant}{many}"

    def ids(self) -> list[str]:
        """The message ids of the frames. All answers carry the id of the one open call."""
        if self.payload.kind == "response":
            return [message_id(0)] * self.count
        return [message_id(index) for index in range(self.count)]

    def bodies(self) -> list[JsonObject]:
        """The payloads as plain dicts, in the variant's key order."""
        made = [self.payload.make(index) for index in range(self.count)]
        if "shuffled" not in self.variant:
            return made
        rng = random.Random(f"{self.payload.name} {self.version}")
        return [cast("JsonObject", _shuffled(body, rng)) for body in made]

    def trees(self) -> list[list[Any]]:
        """The frames as plain lists."""
        return [self.tree(i, body) for i, body in zip(self.ids(), self.bodies(), strict=True)]

    def tree(self, id_: str, body: object) -> list[Any]:
        """One frame around a payload: CALL or CALLRESULT."""
        if self.payload.kind == "response":
            return [3, id_, body]
        return [2, id_, self.payload.action, body]

    def frames(self) -> list[bytes]:
        """The frames as bytes, written in the case's variant."""
        return [write(tree, self.variant) for tree in self.trees()]


def _shuffled(value: object, rng: random.Random) -> object:
    if isinstance(value, dict):
        members = list(cast("JsonObject", value).items())
        rng.shuffle(members)
        return {key: _shuffled(member, rng) for key, member in members}
    if isinstance(value, list):
        return [_shuffled(item, rng) for item in cast("list[object]", value)]
    return value


def write(tree: object, variant: str = "compact") -> bytes:
    """A frame as UTF-8 JSON in one of `VARIANTS` (the key order is the tree's)."""
    if variant == "pretty":
        text = json.dumps(tree, ensure_ascii=False, indent=2)
    elif "spaced" in variant:
        text = json.dumps(tree, ensure_ascii=False)
    else:
        text = json.dumps(tree, ensure_ascii=False, separators=(",", ":"))
    return text.encode()
