"""ocpp_fast: the message path of this project."""

from datetime import datetime
from typing import Any

from bench.building import (
    MESSAGE_ID,
    Reading,
    Vocabulary,
    meter_value_maker,
    request_maker,
    some_readings,
)
from bench.harness import Job
from bench.payloads import Case, JsonObject, Version, message_id
from bench.peers.base import Refused
from bench.reading import typed_reader
from bench.schemas import attribute, referenced, schema
from ocpp_fast._core import Call, CallResult, Codec, InvalidFrame, MeterValueTemplate, message_type


class OcppFast:
    """The codec, in strict mode."""

    name = "ocpp_fast"

    def _open_call(self, case: Case) -> tuple[str, ...]:
        """What the decoder is told about the CALL that waits, if the case is its answer."""
        if case.payload.kind == "response":
            return (message_id(0), case.payload.action)
        return ()

    def decode(self, case: Case) -> Job:
        codec = Codec(case.version)
        return Job(self.name, codec.decode, case.frames(), after=self._open_call(case))

    def encode(self, case: Case) -> Job:
        """Of messages made with their constructors."""
        name = case.payload.type_name
        root = schema(case.version, name)
        messages = [_constructed(case.version, root, name, root, body) for body in case.bodies()]
        return self._encoding(case, messages, self.name)

    def encode_decoded(self, case: Case) -> Job:
        """Of messages that came out of the decoder, as a relay has them."""
        messages = [accepted(frame) for frame in self.decode(case).results()]
        return self._encoding(case, messages, f"{self.name} decoded")

    def _encoding(self, case: Case, messages: list[Any], name: str) -> Job:
        codec = Codec(case.version)
        encode = codec.encode_result if case.payload.kind == "response" else codec.encode_call
        return Job(name, encode, messages, before=(message_id(0),))

    def build(self, version: Version) -> Job:
        words = _words(version)
        return self._built(version, words, meter_value_maker(words), self.name)

    def build_with_template(self, version: Version) -> Job:
        """The same request with the bulk constructor for its meter value."""
        words = _words(version)
        sample, unit_type = words.types("SampledValueType"), words.types("UnitOfMeasureType")
        context = words.member("ReadingContextEnumType", "Sample.Periodic")
        template = MeterValueTemplate(
            [
                sample(
                    value=0,
                    context=context,
                    measurand=measurand,
                    phase=phase,
                    location=location,
                    unit_of_measure=unit_type(unit=unit, multiplier=multiplier),
                )
                for measurand, phase, location, unit, multiplier in words.channels()
            ]
        )
        return self._built(version, words, template.meter_value, f"{self.name} template")

    def _built(self, version: Version, words: Vocabulary, meter_value: Any, name: str) -> Job:
        make, encode = request_maker(words, meter_value), Codec(version).encode_call

        def build(reading: Reading) -> bytes:
            return encode(MESSAGE_ID, make(reading))

        return Job(name, build, some_readings(1))

    def read(self, case: Case) -> Job:
        open_call = self._open_call(case)
        names: dict[str, Any] = {"decode": Codec(case.version).decode}
        decode = "m = decode(frame).payload"
        if open_call:
            decode = "m = decode(frame, open_id, open_action).payload"
            names |= {"open_id": open_call[0], "open_action": open_call[1]}
        reader = typed_reader(case.payload, case.version, decode=decode, names=names, absent=None)
        return Job(self.name, reader, case.frames())


def _words(version: Version) -> Vocabulary:
    return Vocabulary(
        types=lambda name: message_type(version, name),
        member=lambda enum, value: message_type(version, enum)(value),  # pyright: ignore[reportCallIssue]
        absent=None,
    )


def _constructed(
    version: Version, root: JsonObject, name: str, node: JsonObject, body: JsonObject
) -> Any:
    """A message or datatype built from a payload in wire spelling, nested ones first."""
    members: dict[str, Any] = {}
    for key, value in body.items():
        child = node["properties"][key]
        members[attribute(key)] = _member(version, root, child, value)
    return message_type(version, name)(**members)


def _member(version: Version, root: JsonObject, child: JsonObject, value: Any) -> Any:
    if child.get("type") == "array":
        return [_member(version, root, child["items"], item) for item in value]
    target = referenced(child)
    if target is not None:
        definition = root["definitions"][target]
        if "enum" in definition:
            return message_type(version, target)(value)  # pyright: ignore[reportCallIssue]
        return _constructed(version, root, target, definition, value)
    return datetime.fromisoformat(value) if child.get("format") == "date-time" else value


def accepted(frame: object) -> Any:
    """The payload of a decoded CALL or CALLRESULT; raises `Refused` for anything else."""
    if isinstance(frame, InvalidFrame):
        raise Refused(f"{frame.code} at {frame.pointer!r}: {frame.cause}")
    if not isinstance(frame, Call | CallResult):
        raise Refused(repr(frame))
    if frame.payload is None:
        raise Refused("answer to no open call")
    return frame.payload
