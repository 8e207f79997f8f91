"""Everything that can be done with a message, for leak checks and for valgrind.

Used by tests/memory and, under valgrind, by tests/sanitizer/run.
"""

import copy
import pickle
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from ocpp_fast import _core
from ocpp_fast.errors import ValidationError
from ocpp_fast.messages import v21, v201
from vectors import subject
from vectors.construction import constructed, keywords
from vectors.frames import ALL_BAD, OPEN_ACTION, OPEN_ID, raw
from vectors.mutations import Mutator
from vectors.payloads import FULL, MINIMAL, RANDOM, PayloadMaker
from vectors.schemas import VERSIONS, SchemaFile

NOW: Final = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


class Case:
    """One schema: its good payloads, and one broken payload for each kind of mistake."""

    def __init__(self, file: SchemaFile, seed: int, *, every: int) -> None:
        """`every`: one mutation in so many is kept, beside the first of each kind."""
        maker = PayloadMaker(file, seed)
        self.file = file
        self.payloads = [maker.make(style) for style in (FULL, MINIMAL, RANDOM)]
        self.texts = [orjson.dumps(payload) for payload in self.payloads]
        kinds: set[str] = set()
        self.broken: list[bytes] = []
        for number, mutation in enumerate(Mutator(file, self.payloads[0]).mutations()):
            if mutation.kind not in kinds or number % every == 0:
                kinds.add(mutation.kind)
                if len(mutation.text) < 20_000:
                    self.broken.append(subject.frame(file, mutation.text))

    def run(self) -> None:
        """Builds, keeps, shares and frees."""
        kept = [message for text in self.texts for message in self.good(text)]
        for payload in self.payloads:
            kept.append(constructed(self.file, payload))
            self.mistakes(payload)
        assert len(set(kept)) < len(kept), "equal messages are one in a set"
        del kept
        self.refusals()

    def good(self, text: bytes) -> Iterator[_core.Message]:
        """A payload in a frame and alone, and what can be made of it."""
        message = subject.decoded(self.file, text)
        yield message
        again = _core.decode_payload(type(message), text)
        assert (again == message, again != message) == (True, False)
        yield again
        yield message.replace()
        for name in attributes(message):
            value = getattr(message, name)
            yield message.replace(**{name: value})
            del value
        assert copy.deepcopy([message])[0] is message
        yield pickle.loads(pickle.dumps(message))
        assert repr(message) == repr(again)
        assert _core.encode_payload(message) == _core.encode_payload(again)
        assert subject.encoded(self.file, message)
        assert subject.decode(self.file, text, tolerant=True) == subject.decode(self.file, text)

    def mistakes(self, payload: dict[str, Any]) -> None:
        """Constructors and replace that refuse half-way."""
        type_ = subject.payload_type(self.file.version, self.file.name)
        arguments = keywords(self.file, payload)
        for name in arguments:
            for wrong in ("x" * 12_000, object(), [object()], [], float("nan"), 2**70, True):
                with suppress(ValidationError):
                    type_(**{**arguments, name: wrong})
                with suppress(ValidationError):
                    type_(**arguments).replace(**{name: wrong})
        for broken in ({**arguments, "unknown": 1}, {"unknown": 1}):
            with suppress(TypeError):
                type_(**broken)
        with suppress(ValidationError):
            type_()

    def refusals(self) -> None:
        """Frames that are refused, at whatever place of the payload."""
        for frame in self.broken:
            for tolerant in (False, True):
                codec = subject.codec(self.file.version, tolerant=tolerant)
                found = codec.decode(frame, subject.MESSAGE_ID, self.file.action)
                assert repr(found)


def attributes(message: _core.Message) -> list[str]:
    """The members of a message."""
    return [name for name in dir(message) if not name.startswith("_") and name != "replace"]


def run_frames() -> None:
    """The odd frames, decoded, printed and pickled."""
    for bad in ALL_BAD:
        for version in VERSIONS:
            found = subject.codec(version).decode(raw(bad.frame), OPEN_ID, OPEN_ACTION)
            assert pickle.loads(pickle.dumps(found)) == found


def run_templates() -> None:
    """Meter values from columns of numbers, good and bad."""
    for module in (v201, v21):
        samples = [module.SampledValueType(value=0, phase="L1") for _ in range(16)]
        template = _core.MeterValueTemplate(samples)
        values = [template.meter_value(NOW, range(16)) for _ in range(4)]
        assert len(set(values)) == 1
        for wrong in ([float("nan")] * 16, ["x"] * 16, [1.0] * 15, None):
            with suppress(ValidationError, ValueError, TypeError):
                template.meter_value(NOW, wrong)  # type: ignore[arg-type]
        with suppress(ValidationError):
            template.meter_value(datetime(2026, 1, 1), range(16))  # noqa: DTZ001 - refused
