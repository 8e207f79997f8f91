"""msgspec typed: the frame, then the payload into Structs with the schema's constraints.

The strongest thing a Python user can assemble today. Encoding does not check; the variant that
does, by decoding again what it wrote, is a candidate of its own.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from bench.building import (
    MESSAGE_ID,
    Reading,
    Vocabulary,
    meter_value_maker,
    request_maker,
    some_readings,
)
from bench.harness import Job
from bench.payloads import Case, Version
from bench.peers.msgspec_models import model, models
from bench.reading import typed_reader

_CALL = msgspec.json.Decoder(tuple[int, str, str, msgspec.Raw])
_CALL_RESULT = msgspec.json.Decoder(tuple[int, str, msgspec.Raw])

_DECODE_CALL = "head = decode_head(frame)\nm = decoders[head[2]](head[3])"
_DECODE_RESULT = "head = decode_head(frame)\nm = decoders[action](head[2])"


class MsgspecTyped:
    """Structs as most people would write them (`tracked`), or without cyclic garbage collection."""

    def __init__(self, *, tracked: bool = True, rechecked: bool = False) -> None:
        self._tracked = tracked
        self._rechecked = rechecked
        self.name = "msgspec"
        if not tracked:
            self.name += " gc=False"
        if rechecked:
            self.name += ", re-decoded"

    def _model(self, case: Case) -> type[msgspec.Struct]:
        return model(case.version, case.payload.type_name, tracked=self._tracked)

    def _decoders(self, case: Case) -> dict[str, Callable[[msgspec.Raw], Any]]:
        return {case.payload.action: msgspec.json.Decoder(self._model(case)).decode}

    def decode(self, case: Case) -> Job | None:
        if self._rechecked:
            return None
        return Job(self.name, self._decode_frame(case), case.frames())

    def _decode_frame(self, case: Case) -> Callable[[bytes], Any]:
        decoders, action = self._decoders(case), case.payload.action
        if case.payload.kind == "response":
            decode_result = _CALL_RESULT.decode

            def from_result(frame: bytes) -> Any:
                _, _, raw = decode_result(frame)
                return decoders[action](raw)

            return from_result

        decode_call = _CALL.decode

        def from_call(frame: bytes) -> Any:
            _, _, called, raw = decode_call(frame)
            return decoders[called](raw)

        return from_call

    def encode(self, case: Case) -> Job:
        built = [
            msgspec.json.decode(msgspec.json.encode(body), type=self._model(case))
            for body in case.bodies()
        ]
        trees = [case.tree(id_, body) for id_, body in zip(case.ids(), built, strict=True)]
        encode = msgspec.json.Encoder().encode
        if not self._rechecked:
            return Job(self.name, encode, trees)
        decode = msgspec.json.Decoder(self._model(case)).decode

        def checked(tree: list[Any]) -> bytes:
            body = encode(tree[-1])
            decode(body)
            return encode([*tree[:-1], msgspec.Raw(body)])

        return Job(self.name, checked, trees)

    def build(self, version: Version) -> Job:
        types = models(version, "TransactionEventRequest", tracked=self._tracked)
        words = Vocabulary(
            types=types.__getitem__, member=lambda _, value: value, absent=msgspec.UNSET
        )
        make = request_maker(words, meter_value_maker(words))
        encode = msgspec.json.Encoder().encode
        decode = msgspec.json.Decoder(types["TransactionEventRequest"]).decode

        def build(reading: Reading) -> bytes:
            return encode((2, MESSAGE_ID, "TransactionEvent", make(reading)))

        def build_checked(reading: Reading) -> bytes:
            body = encode(make(reading))
            decode(body)
            return encode((2, MESSAGE_ID, "TransactionEvent", msgspec.Raw(body)))

        return Job(self.name, build_checked if self._rechecked else build, some_readings(1))

    def read(self, case: Case) -> Job | None:
        if self._rechecked:
            return None
        is_result = case.payload.kind == "response"
        reader = typed_reader(
            case.payload,
            case.version,
            decode=_DECODE_RESULT if is_result else _DECODE_CALL,
            names={
                "decode_head": (_CALL_RESULT if is_result else _CALL).decode,
                "decoders": self._decoders(case),
                "action": case.payload.action,
            },
            absent=msgspec.UNSET,
        )
        return Job(self.name, reader, case.frames())
