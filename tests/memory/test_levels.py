"""Whatever is done with messages, reference counts and memory come back to where they were."""

import copy
import enum
import gc
import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, timedelta, timezone
from typing import Final

import pytest

from ocpp_fast import _core
from ocpp_fast.errors import ValidationError
from ocpp_fast.messages import Json, v21
from sanitizer import model_exercise
from sanitizer.exercise import NOW, Case, run_frames, run_templates
from vectors.schemas import VERSIONS, all_files

SEED: Final = 1_618_033
ROUNDS: Final = 3
"""Rounds of one measurement, and rounds before that fill caches and freelists."""
MEASUREMENTS: Final = 3
"""A level that moves in all of them moves for ever; what moves once is a cache."""
BLOCKS: Final = "blocks of memory"
SLACK: Final = 30
"""How far a level may move in a round of thousands of messages: the caches of small objects go by
addresses, so they fill slowly and never twice in the same way."""
REPEATS: Final = 400
"""Repetitions of one single path, where a loss of one each time cannot be missed."""

pytestmark = [pytest.mark.memory, pytest.mark.timeout(180)]


def shared_objects() -> dict[str, object]:
    """Objects that many messages refer to, by what they are."""
    shared: dict[str, object] = {
        "None": None,
        "True": True,
        "False": False,
        "UTC": UTC,
        "empty tuple": (),
        "empty string": "",
    }
    for version in VERSIONS:
        for name in _core.type_names(version):
            type_ = _core.message_type(version, name)
            shared[f"{version} {name}"] = type_
            if issubclass(type_, enum.Enum):
                shared |= {f"{version} {name}.{member.name}": member for member in type_}
        shared |= {f"action {name}": sys.intern(name) for name in _core.actions(version)}
    return shared


class Levels:
    """References to shared objects and blocks of memory, measured without making any."""

    def __init__(self) -> None:
        self._shared = shared_objects()
        self._counts = dict.fromkeys([*self._shared, BLOCKS], 0)

    def moved(self) -> dict[str, int]:
        """How far each level is from where it was at the last call."""
        gc.collect()
        now = {name: sys.getrefcount(thing) for name, thing in self._shared.items()}
        now[BLOCKS] = sys.getallocatedblocks()
        moved = {name: count - self._counts[name] for name, count in now.items()}
        self._counts = now
        return moved


def moving(work: Callable[[], object], rounds: int, least: int) -> dict[str, list[int]]:
    """The levels that `work` moves one way by at least `least` each time that it is measured."""
    for _ in range(rounds):
        work()
    levels = Levels()
    levels.moved()
    levels.moved()
    series: list[dict[str, int]] = []
    for _ in range(MEASUREMENTS):
        for _ in range(rounds):
            work()
        series.append(levels.moved())
    moves = {name: [moved[name] for moved in series] for name in series[0]}
    return {
        name: found for name, found in moves.items() if min(found) >= least or max(found) <= -least
    }


@pytest.fixture(scope="module", autouse=True)
def _full_caches() -> None:
    """What is kept of small objects goes by texts and addresses, so places fill slowly; one that is
    taken already gives back what it takes."""
    for version in VERSIONS:
        codec = _core.Codec(version)
        for start in range(0, 40_000, 100):
            evses = ",".join(
                f'{{"component":{{"name":"C","evse":{{"id":{number}}}}},"variable":{{"name":"V"}}}}'
                for number in range(start, start + 100)
            )
            frame = f'[2,"x","GetVariables",{{"getVariableData":[{evses}]}}]'
            call = codec.decode(frame.encode())
            assert isinstance(call, _core.Call)
            codec.encode_call("x", call.payload)


@pytest.mark.parametrize("part", range(8))
def test_every_type_gives_back_what_it_takes(part: int) -> None:
    cases = [Case(file, SEED, every=23) for file in all_files()[part::8]]

    def work() -> None:
        for case in cases:
            case.run()

    assert not moving(work, ROUNDS, ROUNDS * SLACK), f"seed {SEED}"


def test_odd_frames_give_back_what_they_take() -> None:
    assert not moving(run_frames, ROUNDS, ROUNDS * SLACK)


def test_templates_give_back_what_they_take() -> None:
    assert not moving(run_templates, ROUNDS, ROUNDS * SLACK)


def test_device_models_give_back_what_they_take() -> None:
    assert not moving(model_exercise.run_model, 20, 20)


# --- one path at a time -------------------------------------------------------------------


def tried(work: Callable[[], object]) -> Callable[[], object]:
    """The same, without its error."""

    def quietly() -> object:
        with suppress(ValidationError, TypeError, ValueError):
            return work()
        return None

    return quietly


EVSE: Final = v21.EVSEType(id=1, connector_id=2)
TOKEN: Final = v21.IdTokenType(id_token="x", type="Central")
SAMPLE: Final = v21.SampledValueType(value=1, unit_of_measure=v21.UnitOfMeasureType(unit="A"))
VALUE: Final = v21.MeterValueType(timestamp=NOW, sampled_value=[SAMPLE, SAMPLE])
TRANSFER: Final = v21.DataTransferRequest(vendor_id="x", data={"a": [1, None]})
TEMPLATE: Final = _core.MeterValueTemplate([SAMPLE] * 4)
FRAME: Final = b'[2,"i","Authorize",{"idToken":%s}]'
GOOD_TOKEN: Final = b'{"idToken":"x","type":"Central","additionalInfo":[%s,%s]}'
INFO: Final = b'{"additionalIdToken":"x","type":"y","customData":{"vendorId":"z","more":[1]}}'
CODEC: Final = _core.Codec("2.1")
TOLERANT: Final = _core.Codec("2.1", tolerant=True)


def authorize(id_token: bytes) -> Callable[[], object]:
    """Decodes an Authorize in both modes."""
    frame = FRAME % id_token
    return lambda: (CODEC.decode(frame), TOLERANT.decode(frame))


PATHS: Final[dict[str, Callable[[], object]]] = {
    "construct": lambda: v21.EVSEType(id=1, connector_id=2),
    "construct with None": lambda: v21.EVSEType(id=1, connector_id=None),
    "construct from a dict": lambda: v21.EVSEType(id=3),
    "construct from a float": lambda: v21.EVSEType(id=3.0),  # type: ignore[arg-type]
    "construct with tuples": lambda: VALUE.replace(sampled_value=(SAMPLE, SAMPLE)),
    "construct with lists": lambda: VALUE.replace(sampled_value=[SAMPLE, SAMPLE]),
    "construct with JSON": lambda: v21.CustomDataType(vendor_id="x", extra={"a": [1]}),
    "convert a time zone": lambda: VALUE.replace(
        timestamp=NOW.astimezone(timezone(timedelta(1 / 24)))
    ),
    "cut a time": lambda: VALUE.replace(timestamp=NOW.replace(microsecond=1_234)),
    "enumeration": lambda: TOKEN.replace(type="ISO14443"),
    "array: second item wrong": lambda: VALUE.replace(sampled_value=[SAMPLE, 5]),
    "array: empty": lambda: VALUE.replace(sampled_value=[]),
    "array: no array": lambda: VALUE.replace(sampled_value=SAMPLE),
    "second member wrong": lambda: v21.EVSEType(id=1, connector_id="x"),  # type: ignore[arg-type]
    "member missing": lambda: v21.EVSEType(connector_id=1),  # type: ignore[call-arg]
    "member unknown": lambda: v21.EVSEType(id=1, x=2),  # type: ignore[call-arg]
    "positional": lambda: v21.EVSEType(1),  # type: ignore[call-arg]
    "integer too large": lambda: v21.EVSEType(id=2**70),
    "number too large": lambda: SAMPLE.replace(value=10**400),
    "number not finite": lambda: SAMPLE.replace(value=float("nan")),
    "text too long": lambda: TOKEN.replace(id_token="x" * 300),
    "half a pair": lambda: TOKEN.replace(id_token="\ud800"),
    "no enumeration value": lambda: TOKEN.replace(type=5),
    "no JSON": lambda: TRANSFER.replace(data=object()),
    "extra no object": lambda: v21.CustomDataType(vendor_id="x", extra=[1]),  # type: ignore[arg-type]
    "naive": lambda: VALUE.replace(timestamp=NOW.replace(tzinfo=None)),
    "hash": lambda: (hash(VALUE), hash(TRANSFER)),
    "equal": lambda: VALUE.replace(sampled_value=[SAMPLE, SAMPLE]) == VALUE,
    "different": lambda: VALUE.replace(sampled_value=[SAMPLE]) != VALUE,
    "order": lambda: VALUE < EVSE,  # type: ignore[operator]
    "repr": lambda: (repr(VALUE), repr(TOKEN), repr(TRANSFER)),
    "pickle": lambda: pickle.loads(pickle.dumps([VALUE, TRANSFER])),
    "copy": lambda: (copy.copy(VALUE), copy.deepcopy(VALUE)),
    "encode": lambda: (_core.encode_payload(VALUE), _core.encode_payload(TRANSFER)),
    "encode a frame": lambda: CODEC.encode_call("i", TRANSFER),
    "encode an error": lambda: CODEC.encode_error("i", "GenericError", "x", Json({"a": 1})),
    "encode a wrong frame": lambda: CODEC.encode_call("i", EVSE),
    "encode with a long id": lambda: CODEC.encode_call("i" * 37, TRANSFER),
    "encode nothing": lambda: _core.encode_payload(None),  # type: ignore[arg-type]
    "template": lambda: TEMPLATE.meter_value(NOW, [1, 2.0, 3, 4]),
    "template: third wrong": lambda: TEMPLATE.meter_value(NOW, [1, 2, "x", 4]),  # type: ignore[list-item]
    "template: no time": lambda: TEMPLATE.meter_value(None, [1, 2, 3, 4]),  # type: ignore[arg-type]
    "template: too few": lambda: TEMPLATE.meter_value(NOW, [1]),
    "decode": authorize(GOOD_TOKEN % (INFO, INFO)),
    "decode: shared leaf": authorize(b'{"idToken":"x","type":"Central"}'),
    "decode: item wrong": authorize(GOOD_TOKEN % (INFO, b'{"additionalIdToken":5}')),
    "decode: item missing a member": authorize(GOOD_TOKEN % (INFO, b'{"type":"y"}')),
    "decode: item twice": authorize(GOOD_TOKEN % (INFO, b'{"type":"y","type":"y"}')),
    "decode: item broken": authorize(GOOD_TOKEN % (INFO, b'{"type":nonsense}')),
    "decode: unknown member": authorize(b'{"idToken":"x","type":"Central","z":{"a":[1]}}'),
    "decode: empty array": authorize(b'{"idToken":"x","type":"Central","additionalInfo":[]}'),
    "decode: null": authorize(b'{"idToken":"x","type":"Central","additionalInfo":null}'),
    "decode: too long": authorize(b'{"idToken":"%s","type":"Central"}' % (b"x" * 300)),
    "decode: wide": authorize('{"idToken":"ünï¢ödé","type":"Centr\\u0061l"}'.encode()),
    "decode: cut off": lambda: CODEC.decode(FRAME[:-20] + GOOD_TOKEN[:-6]),
    "decode: behind the end": lambda: CODEC.decode(FRAME % GOOD_TOKEN.replace(b"%s", INFO) + b"x"),
    "decode: no frame": lambda: CODEC.decode(b"nonsense"),
    "decode: unknown action": lambda: CODEC.decode(b'[2,"i","Nonsense",{}]'),
    "decode: unknown type": lambda: CODEC.decode(b'[9,"i",{}]'),
    "decode: error": lambda: CODEC.decode(b'[4,"i","GenericError","x",{"a":1}]'),
    "decode: stray result": lambda: CODEC.decode(b'[3,"i",{"a":1}]'),
    "decode: result": lambda: CODEC.decode(b'[3,"i",{"status":"Accepted"}]', "i", "ClearCache"),
    "decode: no buffer": lambda: CODEC.decode("text"),  # type: ignore[arg-type]
    "payload": lambda: _core.decode_payload(v21.EVSEType, b'{"id":1}'),
    "payload: wrong": lambda: _core.decode_payload(v21.EVSEType, b'{"id":"x"}'),
    "payload: no type": lambda: _core.decode_payload(int, b"{}"),  # type: ignore[type-var]
}


@pytest.mark.parametrize("path", PATHS)
def test_each_path_gives_back_what_it_takes(path: str) -> None:
    work = tried(PATHS[path])
    assert not moving(work, REPEATS, REPEATS // 4)


def test_mistakes_with_a_device_model_give_back_what_they_take() -> None:
    cache = model_exercise.model()
    assert not moving(lambda: model_exercise.mistakes(cache), REPEATS // 2, REPEATS // 8)


def whole_report(version: str) -> object:
    """A report of a fresh model, to its last page."""
    return [*model_exercise.pages(model_exercise.model().base_report(1), version)]


CACHE: Final = model_exercise.model()
GET, SET, REPORT, MONITORING = model_exercise.BOTH[1][1]
MODEL_PATHS: Final[dict[str, Callable[[], object]]] = {
    "load": model_exercise.model,
    "copy": CACHE.copy,
    "get": lambda: CACHE.get_variables(GET),
    "plan dropped": lambda: CACHE.plan(SET, "csms"),
    "plan applied": lambda: CACHE.plan(SET, "csms").apply(),
    "plan failed": lambda: CACHE.plan(SET, "csms").fail("InternalError", "disk full"),
    "plan with rows": lambda: (plan := CACHE.plan(SET, "csms"), plan.rows, plan.guarded),
    "report": lambda: whole_report("2.1"),
    "report dropped": lambda: CACHE.base_report(1).page("2.1", "m", 1, NOW, 1, 500),
    "custom report": lambda: CACHE.report(REPORT),
    "monitored": lambda: CACHE.monitored(MONITORING),
    "write": lambda: (
        CACHE.write(model_exercise.MODE, 0, "on", "x"),
        CACHE.write(model_exercise.MODE, 0, "off", "y"),
    ),
    "describe": lambda: CACHE.describe(0),
    "restore": lambda: CACHE.restore([model_exercise.ROW] * 2),
    "monitors": lambda: model_exercise.monitors(CACHE),
}


def test_paths_of_a_device_model_give_back_what_they_take() -> None:
    """All in turn: what one of them loses in each round is not missed either."""

    def work() -> None:
        for path in MODEL_PATHS.values():
            path()

    assert not moving(work, REPEATS // 2, REPEATS // 8), [*MODEL_PATHS]
