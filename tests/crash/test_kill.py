"""A process that is killed while it writes leaves the old rows of a verb or the new ones.

The processes are real and the signals too. They come at random times (seeded, but the machine has
its say), or at exact places: a limit on the size of files kills a process at one byte of a write,
which leaves a torn one behind.
"""

import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from dataclasses import astuple
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any

import pytest

from crash import child
from ocpp_fast.storage import ComponentRow, MonitorRow, SecurityLogRow, ValueRow
from ocpp_fast.storage.base import OutboxRow, ReadingRow
from ocpp_fast.storage.sqlite import SqliteStorage, migrations

# A clean process that has imported everything, of which the others are copies: starting one takes
# milliseconds.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["pytest", "crash.child", "ocpp_fast.storage.sqlite"])

# Every wait for a process has its own bound; there are hundreds of them in a test.
pytestmark = pytest.mark.timeout(300)

WAL_HEADER, FRAME = 32, 24 + 4_096
# A start writes one page, to see whether it can.
OPENED = WAL_HEADER + FRAME
KILLED, TOO_BIG = -signal.SIGKILL, -signal.SIGXFSZ


class Process:
    """One that runs a function of `child` until it is killed."""

    def __init__(self, body: Callable[..., None], path: Path, *arguments: Any) -> None:
        self.told, telling = processes.Pipe(duplex=False)
        self.process = processes.Process(target=body, args=(str(path), telling, *arguments))
        self.process.start()
        telling.close()

    def next(self) -> Any:
        """What it says next."""
        assert self.told.poll(20), "it says nothing"
        return self.told.recv()

    def kill(self, after_s: float) -> list[Any]:
        """Kills it after that time; what it has said and nobody has heard so far."""
        sleep(after_s)
        self.process.kill()
        return self.end()[1]

    def end(self) -> tuple[int | None, list[Any]]:
        """Waits for its end; how it ended and what it had said."""
        said: list[Any] = []
        try:
            while self.told.poll(20):
                said.append(self.told.recv())
        except EOFError:
            pass
        self.process.join(20)
        code = self.process.exitcode
        self.process.close()
        self.told.close()
        return code, said


@asynccontextmanager
async def restarted(path: Path) -> AsyncGenerator[SqliteStorage]:
    """What the next process finds. Opening it has checked the whole file."""
    storage = SqliteStorage(path)
    await storage.open()
    try:
        assert storage.set_aside is None
        yield storage
    finally:
        await storage.close()


@pytest.fixture
def path() -> Generator[Path]:
    """In memory if the machine has such a folder. A process that is killed takes nothing along that
    it has handed to the system, so it is all the same, and a disk is slow and moody."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    place = memory if os.access(memory, os.W_OK) else None
    with TemporaryDirectory(prefix="ocpp-fast-", dir=place) as folder:
        yield Path(folder) / "station.db"


# --- at random times ----------------------------------------------------------------------------


async def test_set_variables_leaves_old_or_new_values(path: Path) -> None:
    """B05: a station is killed 40 times while its CSMS sets 20 variables, and started again."""
    chance = random.Random("SetVariables")
    last = interrupted = 0
    for _ in range(40):
        station = Process(child.set_variables, path, last + 1)
        assert station.next() == last
        begun, requests = perf_counter(), chance.randrange(1, 6)
        for _ in range(requests):
            last = station.next()
        said = station.kill(chance.random() * (perf_counter() - begun) / requests)
        last = said[-1] if said else last
        async with restarted(path) as storage:
            values = [row for row in await storage.values_load() if row[0] == child.COMPONENT]
            (found,) = {child.number_in(value or "") for *_, value, _ in values}
            assert found in {last, last + 1}
            assert {(row[4], row[7], row[8]) for row in values} == {
                (f"V{variable}", child.text(found, variable), "csms")
                for variable in range(child.VARIABLES)
            }
            # A message is stored before each request, and goes after the answer.
            waiting = await storage.outbox_load()
            assert waiting in ([], [child.message(last)], [child.message(last + 1)])
            assert waiting != [] or found == last
            await storage.outbox_remove([row.row_id for row in waiting])
        interrupted += waiting != []
        last = found
    # Otherwise nothing was ever killed in the middle.
    assert interrupted > 5


async def test_a_first_start_leaves_all_components_or_none(path: Path) -> None:
    chance = random.Random("start")
    async with restarted(path) as storage:
        await child.device_model(storage)
        expected = await storage.components_load()
        assert len(expected) > 20
    found: list[int] = []
    after_s = 0.005
    # As often as it takes to see both, and near the moment at which the one becomes the other,
    # which comes when the computer pleases.
    while len(found) < 20 or (len({*found}) < 2 and len(found) < 200):
        fresh = path.with_name(f"{len(found)}.db")
        station = Process(child.start, fresh)
        assert station.next() == "begins"
        said = station.kill(after_s)
        async with restarted(fresh) as storage:
            components = await storage.components_load()
            assert components in ([], expected)
            assert components or not said
            # What was begun is completed.
            await child.device_model(storage)
            assert await storage.components_load() == expected
        fresh.unlink()
        found.append(len(components))
        after_s *= chance.uniform(0.3, 1.0) if components else chance.uniform(1.0, 3.0)
    assert {*found} == {0, len(expected)}


# --- at every place of a write ------------------------------------------------------------------


def values(word: str) -> list[ValueRow]:
    """Those that a SetVariables request of 20 sets, spread over a table of 2,000."""
    return [
        ("EVSE", "", 100 * number, 0, "Power", "", "Target", f"{word}-{number}", "csms")
        for number in range(1, 21)
    ]


OTHER_VALUES: list[ValueRow] = [
    ("EVSE", "", number, 0, "Power", "", "Target", "other", "csms")
    for number in range(1, 2_001)
    if number % 100
]
COMPONENTS = [ComponentRow("EVSE", "", evse, 0, f'"{evse}"' * 300) for evse in range(1, 200)]
MONITORS = [
    MonitorRow(number, "EVSE", "", 1, 0, "Power", "", "Delta", 1.0, 5, False, "Custom", False)
    for number in range(1, 300)
]

WAITING = [child.message(number) for number in range(300, 400)]
DEAD = [child.message(number) for number in range(500, 520)]
READINGS = [ReadingRow(f"tx-{number % 3}", number, b"x" * 300) for number in range(60)]
STATE = {f"block.fact-{number}": "old" * 400 for number in range(20)}
SECURITY_LOG = [
    SecurityLogRow(f"2026-01-01T00:00:00.{number:06}Z", "ResetOrReboot", "x" * 100, True)
    for number in range(10_000)
]


async def prepare(path: Path) -> None:
    """A database in use, closed as it should be: all is in the file, there is no WAL."""
    async with restarted(path) as storage:
        await storage.components_store(COMPONENTS[:100])
        await storage.values_store(OTHER_VALUES + values("old"))
        await storage.monitors_store(MONITORS[:100])
        await storage.outbox_append([child.message(1), *WAITING])
        for row in DEAD:
            await storage.outbox_bury(row, "no", "2026-01-01T00:00:00Z")
        await storage.readings_append(READINGS)
        await storage.state_store(STATE)
        # One short of being full.
        await storage.security_log_append(SECURITY_LOG[1:])


async def state(storage: SqliteStorage) -> tuple[Any, ...]:
    """All that is stored."""
    return (
        await storage.components_load(),
        sorted(await storage.values_load()),
        await storage.monitors_load(),
        await storage.outbox_load(),
        await storage.outbox_dead_letters(),
        await storage.readings_load(),
        await storage.state_load(),
        await storage.security_log_load(len(SECURITY_LOG)),
    )


NEW_COMPONENTS = [
    ComponentRow("EVSE", "", evse, 0, f'"new {evse}"' * 300) for evse in range(50, 200)
]
VERBS: dict[str, tuple[str, Any]] = {
    "values": ("values_store", values("new")),
    "value removed": ("values_remove", [row[:7] for row in values("old")]),
    "components": ("components_store", NEW_COMPONENTS),
    "components removed": ("components_remove", [row.key for row in COMPONENTS[:60]]),
    "monitors": ("monitors_store", [row._replace(value=2.0) for row in MONITORS]),
    # More than one statement takes: a transaction of three.
    "all values": ("values_store", [(*row[:7], "new", "csms") for row in OTHER_VALUES * 2]),
    "outbox": ("outbox_append", [child.message(number) for number in range(2, 200)]),
    "outbox with facts": (
        "outbox_append",
        (
            [child.message(number) for number in range(2, 40)],
            {**dict.fromkeys(STATE, "new" * 300), "block.fact-3": None, "block.other": "new"},
        ),
    ),
    "outbox removed": ("outbox_remove", [row.row_id for row in WAITING]),
    "dead letter": ("outbox_bury", (WAITING[50], "no", "2026-01-01T00:00:00Z")),
    "requeued": ("outbox_requeue", [row.row_id for row in DEAD]),
    "corrected times": ("outbox_redate", [(row.row_id, b"new" * 200) for row in WAITING]),
    "readings": ("readings_append", [row._replace(value=b"new" * 200) for row in READINGS]),
    "readings removed": ("readings_remove", ["tx-0", "tx-2"]),
    # Facts are replaced, forgotten and added in one transaction.
    "state": (
        "state_store",
        {**dict.fromkeys(STATE, "new"), "block.fact-3": None, "block.other": "new" * 400},
    ),
    "security log": ("security_log_append", SECURITY_LOG[:40]),
}


def places(size: int, chance: random.Random) -> Sequence[int]:
    """Where to break off a WAL of that size: near the beginning, near the end, around the bounds of
    its frames, and anywhere."""
    ends = range(WAL_HEADER, size + 1, FRAME)
    frames = {*ends[:2], *ends[-2:], *chance.sample(ends, 2)}
    near = {end + by for end in frames for by in (-1, 0, 24)}
    anywhere = {chance.randrange(size) for _ in range(4)}
    return sorted(place for place in near | anywhere | {0, size - 1} if 0 <= place < size)


@pytest.mark.parametrize("name", VERBS)
async def test_a_torn_write_leaves_the_old_rows(path: Path, name: str) -> None:
    """Whatever the byte at which the process is killed, and all rows once the verb is done."""
    await prepare(path)
    work = path.with_name("work")
    database, wal = work / path.name, work / f"{path.name}-wal"

    async def run(limit: int | None) -> tuple[int | None, list[Any], int, tuple[Any, ...]]:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        shutil.copy(path, work)
        limits = [] if limit is None else [("limit", limit)]
        steps = [("open", None), *limits, VERBS[name]]
        code, said = Process(child.write, database, steps).end()
        assert said[: len(limits) + 1] == [step for step, _ in steps[:-1]]
        size = wal.stat().st_size
        async with restarted(database) as storage:
            return code, said[len(limits) + 1 :], size, await state(storage)

    async with restarted(path) as storage:
        old = await state(storage)
    code, said, size, new = await run(None)
    assert (code, said) == (KILLED, [VERBS[name][0]])
    assert new != old
    for limit in places(size, random.Random(name)):
        code, said, reached, found = await run(limit)
        assert (code, said, reached) == (TOO_BIG, [], max(limit, OPENED)), limit
        assert found == old, limit
    assert (await run(size))[::3] == (KILLED, new)


async def test_a_checkpoint_that_is_broken_off_loses_nothing(path: Path) -> None:
    """The WAL is copied into the database, which grows; the process is killed while it does."""
    await prepare(path)
    start = path.stat().st_size
    async with restarted(path) as storage:
        await storage.components_store(NEW_COMPONENTS)
        new = await state(storage)
    grown = path.stat().st_size
    path.unlink()
    chance = random.Random("checkpoint")
    for limit in sorted(chance.randrange(start, grown) for _ in range(12)):
        await prepare(path)
        steps = [
            ("open", None),
            ("components_store", NEW_COMPONENTS),
            ("limit", limit),
            ("sql", "PRAGMA wal_checkpoint(TRUNCATE)"),
        ]
        code, said = Process(child.write, path, steps).end()
        assert (code, said) == (TOO_BIG, [step for step, _ in steps[:-1]])
        assert start <= path.stat().st_size <= limit
        async with restarted(path) as storage:
            assert await state(storage) == new
        path.unlink()


async def test_a_migration_that_is_broken_off_is_done_again(path: Path) -> None:
    """From the first version, which had the outbox alone, and from nothing."""
    chance = random.Random("migration")
    messages = [child.message(number) for number in range(1, 4)]
    codes: set[int | None] = set()
    for limit in [0, 1, 4_095, 4_096, *(chance.randrange(200_000) for _ in range(16))]:
        is_old = chance.random() < 0.5
        if is_old:
            make_old(path, messages)
        code, _ = Process(child.write, path, [("limit", limit), ("open", None)]).end()
        codes.add(code)
        async with restarted(path) as storage:
            assert await storage.outbox_load() == (messages if is_old else [])
            await storage.values_store(values("new"))
            assert sorted(await storage.values_load()) == sorted(values("new"))
        path.unlink()
    assert codes == {TOO_BIG, KILLED}


def make_old(path: Path, rows: Sequence[OutboxRow]) -> None:
    """A database as the first version made it."""
    old = sqlite3.connect(path, isolation_level=None)
    old.execute("PRAGMA journal_mode = WAL")
    old.executescript(f"BEGIN; {migrations()[0][1]}; PRAGMA user_version = 1; COMMIT;")
    old.executemany(
        "INSERT INTO outbox VALUES (?,?,?,?,?,?,?,?,?,NULL)", [astuple(row)[:9] for row in rows]
    )
    old.close()
