"""What `run.py` lets valgrind watch. Imports little, because every import is slow there."""

import copy
import gc
import json
import os
import pickle
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ocpp_fast import _core
from ocpp_fast.errors import ValidationError
from ocpp_fast.messages import v21, v201

sys.path.append(str(Path(__file__).parents[1]))

from sanitizer.model_exercise import run_model

WRONG: Final = (object(), [object()], [], "x" * 6_000, float("nan"), 2**70, None, {"a": 1})
NOW: Final = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def main(file: Path) -> None:
    """Every case, then the parts that belong to no schema."""
    codecs = {
        (version, tolerant): _core.Codec(version, tolerant=tolerant)
        for version in ("2.0.1", "2.1")
        for tolerant in (False, True)
    }
    kept: list[_core.Message] = []
    for case in json.loads(file.read_text(encoding="utf-8")):
        pair = codecs[case["version"], False], codecs[case["version"], True]
        kept += good(case, pair[0])
        for frame in case["bad"]:
            for codec in pair:
                found = codec.decode(frame.encode("latin-1"), case.get("id"), case.get("action"))
                assert repr(found)
    templates()
    for _ in range(3):
        run_model()
    assert len(set(kept)) < len(kept)
    del kept
    gc.collect()


def good(case: dict[str, Any], codec: _core.Codec) -> Iterator[_core.Message]:
    """Good payloads: decoded, rebuilt, compared, written; wrong values at every member."""
    for text in case["good"]:
        type_ = _core.message_type(case["version"], case["name"])
        assert issubclass(type_, _core.Message)
        message = _core.decode_payload(type_, text.encode())
        again = rebuilt(message)
        assert again == message
        assert hash(again) == hash(message)
        assert repr(again) == repr(message)
        assert _core.encode_payload(again) == _core.encode_payload(message)
        yield message
        yield again
        yield message.replace()
        yield pickle.loads(pickle.dumps(message))
        yield copy.deepcopy(message)
        mistakes(message)
    if case["name"]:
        frame = codec.decode(case["frame"].encode("latin-1"), case["id"], case["action"])
        assert not isinstance(frame, _core.InvalidFrame)
        yield frame


def rebuilt(value: Any) -> Any:
    """The same value, made with constructors from the innermost out."""
    if isinstance(value, tuple):
        return [rebuilt(item) for item in value]
    if not isinstance(value, _core.Message):
        return value
    return type(value)(**{name: rebuilt(getattr(value, name)) for name in attributes(value)})


def attributes(message: _core.Message) -> list[str]:
    """The members of a message."""
    return [name for name in dir(message) if not name.startswith("_") and name != "replace"]


def mistakes(message: _core.Message) -> None:
    """One wrong value at a time."""
    members = {name: getattr(message, name) for name in attributes(message)}
    for number, name in enumerate(members):
        wrong = WRONG[number % len(WRONG)]
        with suppress(ValidationError):
            message.replace(**{name: wrong})
        with suppress(ValidationError):
            type(message)(**{**members, name: wrong})
    with suppress(TypeError):
        type(message)(**{**members, "unknown": 1})
    with suppress(ValidationError):
        type(message)()


def templates() -> None:
    """Meter values from columns of numbers, good and bad."""
    for module in (v201, v21):
        sample = module.SampledValueType(value=0, phase="L1")
        template = _core.MeterValueTemplate([sample] * 4)
        assert template.meter_value(NOW, [1, 2, 3, 4]) != template.meter_value(NOW, [1, 2, 3, 5])
        for values in ([1, 2, "x", 4], [1], None):
            with suppress(ValidationError, ValueError, TypeError):
                template.meter_value(NOW, values)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    # Taking the interpreter down is CPython's business, and noisy under valgrind.
    sys.stdout.flush()
    os._exit(0)
