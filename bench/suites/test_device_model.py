"""Reads and reports of the device model beside a model of plain dicts, memory and starts."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from bench.device_model import dicts, memory, start
from bench.device_model.models import LARGE, SMALL, Model, Paging, sized
from bench.harness import EFFORTS, Effort, Job, build_profile, environment
from bench.payloads import VERSIONS, Version, instant, message_id

SIZES = (SMALL, LARGE)
REQUESTS = LARGE // 20
"""As many for the small model, so that the frames lie in memory alike: only the model grows."""


@cache
def _model(size: int) -> Model:
    return sized(size)


@cache
def _peer(size: int) -> dicts.DictModel:
    return dicts.running(_model(size))


@cache
def _cache(size: int) -> Any:
    from bench.device_model import ours

    return ours.running(_model(size))


@pytest.fixture(scope="module", autouse=True)
def _forgotten() -> Iterator[None]:
    """Other suites do not run beside millions of objects."""
    yield
    for made in (_model, _peer, _cache):
        made.cache_clear()


def _name(candidate: str, size: int) -> str:
    return candidate if size == SMALL else f"{candidate}, {size}"


@pytest.mark.parametrize("version", VERSIONS)
def test_base_report(compare: Any, effort: Effort, version: Version) -> None:
    """Every page of a full inventory; before the large model fills the memory."""
    model = _model(SMALL)
    ids = [message_id(index) for index in range(len(model.places))]
    asked = [Paging(ids, 4_711 + index, instant(index)) for index in range(4)]
    jobs = [Job(dicts.NAME, _peer(SMALL).report, asked)]
    if build_profile() != "absent":
        from bench.device_model import ours

        jobs.append(Job(ours.NAME, ours.report(_cache(SMALL), version), asked))
    compare(
        "base report",
        jobs,
        effort,
        (dicts.NAME,),
        payload="FullInventory",
        version=version,
        variables=[len(model.places)],
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_get_variables(compare: Any, effort: Effort, version: Version) -> None:
    """Frame to frame. A batch asks for every variable of the large model once, of the small one
    ten times, in random order.
    """
    jobs: list[Job] = []
    for size in SIZES:
        frames = _model(size).get_variables(REQUESTS)
        jobs.append(Job(_name(dicts.NAME, size), _peer(size).get_variables, frames))
        if build_profile() != "absent":
            from bench.device_model import ours

            read = ours.get_variables(_cache(size), version)
            jobs.append(Job(_name(ours.NAME, size), read, frames))
        if effort is not EFFORTS["quick"] and size == SMALL:
            check = dicts.checked(_peer(size), version)
            jobs.append(Job(_name(dicts.CHECKED, size), check, frames[:250]))
    compare(
        "get variables",
        jobs,
        replace(effort, rounds=effort.rounds // 2),
        (dicts.NAME, "ocpp_fast"),
        payload="GetVariables.20",
        version=version,
        variables=[len(_model(size).places) for size in SIZES],
    )


def test_memory(benchmark: Any, effort: Effort) -> None:
    """Bytes held per variable of the large model, one fresh process per candidate."""
    names = [memory.OURS] if build_profile() != "absent" else []
    if effort is not EFFORTS["quick"]:
        names.append(memory.DICTS)
    found = benchmark.pedantic(
        lambda: {name: memory.held_per_variable(name, LARGE) for name in names},
        rounds=1,
        iterations=1,
    )
    benchmark.extra_info.update(
        operation="model memory",
        payload="variable",
        candidates=found,
        environment=environment(),
    )


@pytest.mark.skipif(build_profile() == "absent", reason="the extension is not built")
def test_start(benchmark: Any, effort: Effort) -> None:
    """A station with 128 EVSEs, from its files and with a filled database; not gated."""
    found = benchmark.pedantic(lambda: start.measure(effort.start_ups), rounds=1, iterations=1)
    benchmark.extra_info.update(operation="model start", steps=found, environment=environment())
