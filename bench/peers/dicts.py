"""orjson with plain dicts: unchecked, or checked with jsonschema-rs or fastjsonschema."""

from collections.abc import Callable
from typing import Any

import fastjsonschema
import jsonschema_rs
import orjson

from bench.building import MESSAGE_ID, Reading, some_readings
from bench.harness import Job
from bench.payloads import CHANNELS, Case, JsonObject, Version
from bench.peers.base import Refused
from bench.reading import dict_reader
from bench.schemas import schema

Check = Callable[[JsonObject], object]


class Orjson:
    """orjson alone: no checks, no types. The yardstick of most figures."""

    name = "orjson"

    def decode(self, case: Case) -> Job:
        return Job(self.name, orjson.loads, case.frames())

    def encode(self, case: Case) -> Job:
        return Job(self.name, orjson.dumps, case.trees())

    def build(self, version: Version) -> Job:
        def build(reading: Reading) -> bytes:
            return orjson.dumps([2, MESSAGE_ID, "TransactionEvent", _body(reading)], None, _UTC_Z)

        return Job(self.name, build, some_readings(1))

    def read(self, case: Case) -> Job:
        payload = case.payload
        position = 2 if payload.kind == "response" else 3
        reader = dict_reader(
            payload,
            case.version,
            decode=f"m = loads(frame)[{position}]",
            names={"loads": orjson.loads},
        )
        return Job(self.name, reader, case.frames())


_UTC_Z = orjson.OPT_UTC_Z


def _body(reading: Reading) -> JsonObject:
    """The request as dicts; orjson writes the datetimes."""
    timestamp, seq_no, transaction_id, time_spent_charging_s, values = reading
    return {
        "eventType": "Updated",
        "timestamp": timestamp,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": seq_no,
        "offline": False,
        "cableMaxCurrent": 32,
        "transactionInfo": {
            "transactionId": transaction_id,
            "chargingState": "Charging",
            "timeSpentCharging": time_spent_charging_s,
        },
        "evse": {"id": 1, "connectorId": 1},
        "meterValue": [
            {
                "timestamp": timestamp,
                "sampledValue": [
                    _sample(value, *channel)
                    for value, channel in zip(values, _CHANNELS, strict=True)
                ],
            }
        ],
    }


_CHANNELS = [
    (
        channel.measurand,
        channel.phase,
        channel.location,
        {"unit": channel.unit}
        if channel.multiplier is None
        else {"unit": channel.unit, "multiplier": channel.multiplier},
    )
    for channel in CHANNELS
]


def _sample(
    value: float, measurand: str, phase: str | None, location: str, unit: JsonObject
) -> JsonObject:
    sample: JsonObject = {
        "value": value,
        "context": "Sample.Periodic",
        "measurand": measurand,
        "location": location,
        "unitOfMeasure": unit,
    }
    if phase is not None:
        sample["phase"] = phase
    return sample


class Checked:
    """orjson and a JSON-schema validator on the dicts."""

    def __init__(self, name: str, compile_check: Callable[[JsonObject], Check]) -> None:
        self.name = name
        self._compile_check = compile_check

    def _check(self, case: Case) -> Check:
        return self._compile_check(schema(case.version, case.payload.type_name))

    def decode(self, case: Case) -> Job:
        # A table of checks by action, as a dispatcher has one; an answer's action is known.
        checks = {case.payload.action: self._check(case)}
        if case.payload.kind == "response":

            def decode_result(frame: bytes, action: str = case.payload.action) -> Any:
                kind, _, body = orjson.loads(frame)
                if kind != 3:
                    raise Refused(kind)
                checks[action](body)
                return body

            return Job(self.name, decode_result, case.frames())

        def decode_call(frame: bytes) -> Any:
            kind, _, action, body = orjson.loads(frame)
            if kind != 2:
                raise Refused(kind)
            checks[action](body)
            return body

        return Job(self.name, decode_call, case.frames())

    def encode(self, case: Case) -> Job:
        check = self._check(case)

        def encode(tree: list[Any]) -> bytes:
            check(tree[-1])
            return orjson.dumps(tree)

        return Job(self.name, encode, case.trees())

    def build(self, version: Version) -> Job:
        check = self._compile_check(schema(version, "TransactionEventRequest"))

        def build(reading: Reading) -> bytes:
            # The validators want strings for date-times.
            text = reading.timestamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            body = _body(reading._replace(timestamp=text))
            check(body)
            return orjson.dumps([2, MESSAGE_ID, "TransactionEvent", body])

        return Job(self.name, build, some_readings(1))

    def read(self, case: Case) -> Job:
        reader = dict_reader(
            case.payload,
            case.version,
            decode="m = decode(frame)",
            names={"decode": self.decode(case).func},
        )
        return Job(self.name, reader, case.frames())


def _jsonschema_rs(schema_: JsonObject) -> Check:
    return jsonschema_rs.validator_for(schema_, validate_formats=True).validate


def _fastjsonschema(schema_: JsonObject) -> Check:
    check: Check = fastjsonschema.compile(schema_, use_default=False)
    return check


def jsonschema_rs_checked() -> Checked:
    """Exact checks by jsonschema-rs on what orjson gives."""
    return Checked("orjson + jsonschema-rs", _jsonschema_rs)


def fastjsonschema_checked() -> Checked:
    """Checks compiled to Python by fastjsonschema, on what orjson gives."""
    return Checked("orjson + fastjsonschema", _fastjsonschema)
