"""One TransactionEvent to the disk, beside the bare thread hop that writes its row.

    python -m bench.durable.enqueue

Ours: `Delivery.post` of a typed event, alone, with the fact of its transaction, from the call until
it returns, which it does when both are on the disk; encoding included. The floor: one hop to a
thread that runs INSERT of the same row, made beforehand, and with it COMMIT, in a copy of the same
file; WAL mode and synchronous FULL as well. They write in turns, in random order; a ratio is taken
within a round, the median of the rounds within a process, and the median of the processes is
printed. Between two rounds the CSMS confirms, and what it has confirmed is forgotten on both sides.

Beside it: `post` without a fact, `outbox_append` alone, and the hop with the fact in the same
transaction. The disk's own speed is printed because the slower it is the smaller the ratio.
"""

import argparse
import asyncio
import contextlib
import json
import random
import shutil
import sqlite3
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import uvloop

from bench.durable import disk
from bench.durable.station import EVENT, VERSION, child, events, fact, payloads
from bench.harness import build_profile, environment, pin_to_one_core, quartiles
from bench.hop import Hop
from bench.run import RESULTS

OURS: Final = "ocpp_fast"
OURS_WITHOUT_FACT: Final = "ocpp_fast, without the fact"
STORAGE: Final = "outbox_append"
FLOOR: Final = "thread hop"
FLOOR_WITH_FACT: Final = "thread hop, with the fact"
PAYLOAD: Final = "TransactionEvent.Updated"

_BATCH: Final = 5
_LANE: Final = "e626dc01-334b-4cc7-654f-000000000001"
_INSERT: Final = (
    "INSERT INTO outbox (row_id, lane, version, action, payload, seq_no, droppable, offline,"
    " attempts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_FACT: Final = "INSERT OR REPLACE INTO state (name, value) VALUES (?, ?)"

_Statements = Sequence[tuple[str, Sequence[Any]]]


def _write(connection: sqlite3.Connection, statements: _Statements) -> None:
    if len(statements) == 1:  # a transaction by itself
        connection.execute(*statements[0])
        return
    connection.execute("BEGIN IMMEDIATE")
    for statement in statements:
        connection.execute(*statement)
    connection.execute("COMMIT")


class Candidate:
    """How one candidate writes event number n, and how it forgets all that it wrote."""

    write: Callable[[int], Awaitable[Any]]
    forget: Callable[[], Awaitable[Any]]


class _Bare(Candidate):
    """The floor: rows and facts made beforehand."""

    def __init__(self, path: Path, *, with_fact: bool) -> None:
        self._hop = Hop(path, _write)
        self._payloads = payloads()
        self._facts = [next(iter(fact(1, n).items())) for n in range(len(self._payloads))]
        self._with_fact = with_fact
        self.end = self._hop.end

    async def write(self, number: int) -> None:
        place = number % len(self._payloads)
        row = (number + 1, _LANE, VERSION, EVENT, self._payloads[place], number, True, False, 0)
        statements: list[tuple[str, Sequence[Any]]] = [(_INSERT, row)]
        if self._with_fact:
            statements.append((_FACT, self._facts[place]))
        await self._hop.ask(statements)

    async def forget(self) -> None:
        await self._hop.ask([("DELETE FROM outbox", ())])


class _Storage(Candidate):
    """`outbox_append`, with row and fact made beforehand."""

    def __init__(self, storage: Any) -> None:
        from ocpp_fast.storage.base import OutboxRow

        self._storage, self._row = storage, OutboxRow
        self._payloads = payloads()
        self._facts = [fact(1, number) for number in range(len(self._payloads))]
        self._ids: list[int] = []

    async def write(self, number: int) -> None:
        place = number % len(self._payloads)
        row = self._row(number + 1, _LANE, VERSION, EVENT, self._payloads[place], number)
        self._ids.append(number + 1)
        await self._storage.outbox_append((row,), self._facts[place])

    async def forget(self) -> None:
        await self._storage.outbox_remove(self._ids)
        self._ids.clear()


class _Answering:
    """A link whose other end answers when it is told to."""

    def __init__(self) -> None:
        from ocpp_fast.messages import OcppVersion, v21

        self.version = OcppVersion.V21
        self._response = v21.TransactionEventResponse()
        self._asked: list[Any] = []

    def start_raw(self, action: str, payload: bytes, outcome: Any) -> None:
        self._asked.append(outcome)

    def answer_all(self) -> None:
        while self._asked:
            self._asked.pop().set_result(self._response)


class _Ours(Candidate):
    """`Delivery.post`."""

    def __init__(self, delivery: Any, storage: Any, link: _Answering, *, with_fact: bool) -> None:
        self._delivery, self._storage, self._link = delivery, storage, link
        self._with_fact = with_fact
        self._events = events()
        self._facts = [fact(1, number) for number in range(len(self._events))]
        self._version = link.version

    async def write(self, number: int) -> None:
        place = number % len(self._events)
        await self._delivery.post(
            self._version,
            EVENT,
            self._events[place],
            _LANE,
            seq_no=number,
            droppable=True,
            facts=self._facts[place] if self._with_fact else None,
        )

    async def forget(self) -> None:
        self._link.answer_all()
        # What is read comes after what is to be removed.
        waiting, _ = await self._delivery.facts.read(self._storage.queue_size)
        assert not waiting


async def _storage(closing: contextlib.AsyncExitStack, path: Path) -> Any:
    from ocpp_fast.storage.sqlite import SqliteStorage

    storage = SqliteStorage(path)
    await storage.open()
    closing.push_async_callback(storage.close)
    return storage


async def _delivery(closing: contextlib.AsyncExitStack, storage: Any, link: _Answering) -> Any:
    from ocpp_fast.clock import SystemClock
    from ocpp_fast.delivery import Delivery
    from ocpp_fast.outbox import RetryPolicy

    delivery = Delivery(
        storage,
        SystemClock(),
        retry=lambda: RetryPolicy(attempts=3, interval_s=60.0),
        on_delivered=lambda row, response: None,
    )
    await delivery.restore()
    writing = asyncio.create_task(delivery.write())

    async def finish() -> None:
        delivery.finish()
        await writing

    closing.push_async_callback(finish)
    delivery.attach(link)
    delivery.release(open_=True)
    return delivery


async def measure(rounds: int) -> dict[str, Any]:
    """All candidates in turns, each with a file of its own."""
    with TemporaryDirectory(prefix="enqueue-", dir=RESULTS) as folder:
        paths = {name: Path(folder) / f"{number}.db" for number, name in enumerate(_NAMES)}
        async with contextlib.AsyncExitStack() as closing:
            await _storage(closing, paths[OURS])
        for name in _NAMES[1:]:
            shutil.copyfile(paths[OURS], paths[name])
        async with contextlib.AsyncExitStack() as closing:
            candidates: dict[str, Candidate] = {
                STORAGE: _Storage(await _storage(closing, paths[STORAGE])),
            }
            for name in (OURS, OURS_WITHOUT_FACT):
                storage, link = await _storage(closing, paths[name]), _Answering()
                delivery = await _delivery(closing, storage, link)
                candidates[name] = _Ours(delivery, storage, link, with_fact=name == OURS)
            for name in (FLOOR, FLOOR_WITH_FACT):
                candidates[name] = bare = _Bare(paths[name], with_fact=name != FLOOR)
                closing.callback(bare.end)
            times = await _in_turns(candidates, rounds)
        _assert_equal(paths)
    return {
        name: {
            "us": round(statistics.median(found), 1),
            "ratio": quartiles([a / b for a, b in zip(found, times[FLOOR], strict=True)]),
        }
        for name, found in times.items()
    } | {"disk": disk.measure()}


_NAMES: Final = (OURS, OURS_WITHOUT_FACT, STORAGE, FLOOR, FLOOR_WITH_FACT)
_WITHOUT_FACT: Final = (OURS_WITHOUT_FACT, FLOOR)


async def _in_turns(candidates: dict[str, Candidate], rounds: int) -> dict[str, list[float]]:
    """Microseconds of one event, for each round the mean of a batch; the first rounds warm up."""
    rng = random.Random("enqueue")
    times: dict[str, list[float]] = {name: [] for name in candidates}
    warm_up = rounds // 10
    for start in range(0, (warm_up + rounds) * _BATCH, _BATCH):
        for name in rng.sample(list(candidates), len(candidates)):
            write = candidates[name].write
            began = time.perf_counter_ns()
            for number in range(start, start + _BATCH):
                await write(number)
            times[name].append((time.perf_counter_ns() - began) / _BATCH / 1000)
            await candidates[name].forget()
    for candidate in candidates.values():
        await candidate.write(0)
    return {name: found[warm_up:] for name, found in times.items()}


def _assert_equal(paths: dict[str, Path]) -> None:
    """All files hold the last event, and those that store its fact the same fact."""
    found = {name: _content(path) for name, path in paths.items()}
    rows, facts = found[FLOOR_WITH_FACT]
    assert len(rows) == len(facts) == 1, found
    assert found == {name: (rows, [] if name in _WITHOUT_FACT else facts) for name in _NAMES}, found


def _content(path: Path) -> tuple[list[Any], list[Any]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT lane, version, action, payload, seq_no, offline FROM outbox")
    facts = connection.execute("SELECT name, value FROM state WHERE name LIKE 'transaction.%'")
    content = (rows.fetchall(), facts.fetchall())
    connection.close()
    return content


def main() -> None:
    """Measures in fresh processes and prints the medians as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=150, help="in each process")
    parser.add_argument("--here", type=int, metavar="ROUNDS", help="in this process, no other")
    options = parser.parse_args()
    disk.need_a_disk()
    if options.here is not None:
        pin_to_one_core()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(json.dumps(runner.run(measure(options.here))))
        return
    if build_profile() != "release":
        raise SystemExit(f"ocpp_fast._core is {build_profile()}: nothing is measured")
    runs = [
        child("bench.durable.enqueue", "--here", str(options.rounds))
        for _ in range(options.processes)
    ]
    found = {
        name: {
            "us": statistics.median(run[name]["us"] for run in runs),
            "ratio": statistics.median(run[name]["ratio"]["median"] for run in runs),
            "ratio_of_processes": [run[name]["ratio"] for run in runs],
        }
        for name in _NAMES
    }
    disks = [run["disk"] for run in runs]
    print(json.dumps({PAYLOAD: found, "disk": disks, "environment": environment()}, indent=1))


if __name__ == "__main__":
    main()
