"""`ocpp-fast queue`: what is kept is shown, exported, queued again or forgotten; looking changes
nothing."""

import asyncio
import json
import shutil
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import pytest

from ocpp_fast.cli.app import run
from ocpp_fast.outbox import wire_payload
from ocpp_fast.storage import OutboxRow
from ocpp_fast.storage.sqlite import SqliteStorage, looking, migrations

TOKEN = "04E23A91B25C80"
GIVEN_UP = "2026-11-21T10:00:00Z"
CAUSE = "InternalError: [not] today"  # no markup of rich
LAST = len(migrations())


def event(row_id: int, lane: str = "tx-1", **changes: object) -> OutboxRow:
    # A number that Python would write in another way.
    payload = (
        b'{"eventType":"Updated","timestamp":"2026-11-21T09:%02d:00+01:00","seqNo":%d,'
        b'"meterValue":1.50,"idToken":{"idToken":"%s"}}' % (row_id % 60, row_id, TOKEN.encode())
    )
    row = OutboxRow(row_id, lane, "2.1", "TransactionEvent", payload, seq_no=row_id)
    for name, value in changes.items():
        setattr(row, name, value)
    return row


def alarm(row_id: int, lane: str = "security-9") -> OutboxRow:
    payload = b'{"type":"SettingSystemTime","timestamp":"2026-11-21T09:30:00Z"}'
    return OutboxRow(row_id, lane, "2.1", "SecurityEventNotification", payload)


WAITING = [event(1), event(2), event(3, "tx-2"), alarm(9), event(10, "tx-2", run=3)]
DEAD = [event(4, attempts=5, offline=True), alarm(5), event(6, "tx-2", attempts=2)]


async def _fill(path: Path, waiting: Iterable[OutboxRow], dead: Iterable[OutboxRow]) -> None:
    storage = SqliteStorage(path)
    await storage.open()
    await storage.outbox_append([*waiting, *dead])
    for row in dead:
        await storage.outbox_bury(row, CAUSE, GIVEN_UP)
    await storage.close()


def filled(
    path: Path, waiting: Iterable[OutboxRow] = WAITING, dead: Iterable[OutboxRow] = DEAD
) -> Path:
    asyncio.run(_fill(path, waiting, dead))
    return path


def filled_by(version: int, path: Path) -> Path:
    """A file as an earlier version has left it, which knew neither runs nor times of dying."""
    if version == LAST:
        return filled(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for number, script in migrations()[:version]:
            connection.executescript(f"{script};PRAGMA user_version = {number};")
        for row in [*WAITING, *DEAD]:
            connection.execute(
                "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (row.row_id, row.lane, row.version, row.action, row.payload, row.seq_no,
                 row.droppable, row.offline, row.attempts, CAUSE if row in DEAD else None),
            )  # fmt: skip
    return path


async def _kept(path: Path) -> tuple[list[OutboxRow], list[int]]:
    storage = SqliteStorage(path)
    await storage.open()
    try:
        return (
            await storage.outbox_load(),
            [letter.row.row_id for letter in await storage.outbox_dead_letters()],
        )
    finally:
        await storage.close()


def kept(path: Path) -> tuple[list[OutboxRow], list[int]]:
    """What waits, and the ids of what is dead."""
    return asyncio.run(_kept(path))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Output:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        self.lines = [line.rstrip() for line in out.splitlines()]

    def rows(self) -> list[list[str]]:
        return [line.split() for line in self.lines]


Queue = Callable[..., Output]


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Queue:
    def run_it(*arguments: object) -> Output:
        monkeypatch.setattr(sys, "argv", ["ocpp-fast", "queue", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run()
        out, err = capfd.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Output(code or 0, out, err)

    return run_it


# --- list and dead ----------------------------------------------------------------------------


def test_counts_by_lane_and_action_with_oldest_and_newest(tmp_path: Path, queue: Queue) -> None:
    file = filled(tmp_path / "station.db")
    found = queue("list", file)
    assert found.code == 0
    assert found.lines[:2] == [
        f"{file}: 5 messages waiting, 3 dead letters",
        "1 of them are from before the station knew the time",
    ]
    assert found.rows()[2:] == [
        ["lane", "action", "waiting", "oldest", "newest"],
        ["tx-1", "TransactionEvent", "2", "2026-11-21T08:01:00Z", "2026-11-21T08:02:00Z"],
        ["tx-2", "TransactionEvent", "2", "2026-11-21T08:03:00Z", "2026-11-21T08:10:00Z"],
        ["security-9", "SecurityEventNotification", "1", *["2026-11-21T09:30:00Z"] * 2],
        ["lane", "action", "dead", "oldest", "newest"],
        ["tx-1", "TransactionEvent", "1", *["2026-11-21T08:04:00Z"] * 2],
        ["security-9", "SecurityEventNotification", "1", *["2026-11-21T09:30:00Z"] * 2],
        ["tx-2", "TransactionEvent", "1", *["2026-11-21T08:06:00Z"] * 2],
    ]
    assert TOKEN not in found.out


def test_list_shows_a_part_and_says_how_much_more_there_is(tmp_path: Path, queue: Queue) -> None:
    rows = [event(1), event(2, "tx-2"), event(3, "tx-2"), event(4, "tx-3")]
    file = filled(tmp_path / "station.db", rows, ())
    found = queue("list", file, "--limit", 1)
    assert [row[0] for row in found.rows()[1:3]] == ["lane", "tx-1"]
    assert found.lines[3:] == ["and 3 messages more, 2 lanes: --limit"]


@pytest.mark.parametrize("payload", [b"{}", b"[1]", b"{", b'{"timestamp":"soon"}', b"\xff"])
def test_a_message_without_a_time_is_listed(payload: bytes, tmp_path: Path, queue: Queue) -> None:
    file = filled(tmp_path / "station.db", [event(1, payload=payload)], ())
    found = queue("list", file)
    assert found.code == 0
    assert found.rows()[2][:3] == ["tx-1", "TransactionEvent", "1"]


def test_nothing_kept_is_nothing_listed(tmp_path: Path, queue: Queue) -> None:
    file = filled(tmp_path / "station.db", (), ())
    assert queue("list", file).lines == [f"{file}: 0 messages waiting, 0 dead letters"]
    assert queue("dead", file).lines == [f"{file}: no dead letters"]
    assert queue("export", file).out == ""


def test_dead_letters_with_their_causes(tmp_path: Path, queue: Queue) -> None:
    file = filled(tmp_path / "station.db")
    found = queue("dead", file)
    cause = CAUSE.split()
    assert found.rows() == [
        ["id", "given", "up", "lane", "action", "seqNo", "attempts", "cause"],
        ["4", GIVEN_UP, "tx-1", "TransactionEvent", "4", "5", *cause],
        ["5", GIVEN_UP, "security-9", "SecurityEventNotification", "0", "0", *cause],
        ["6", GIVEN_UP, "tx-2", "TransactionEvent", "6", "2", *cause],
    ]
    assert TOKEN not in found.out
    assert [row[0] for row in queue("dead", file, "--lane", "tx-2").rows()] == ["id", "6"]
    found = queue("dead", file, "--limit", 2)
    assert [row[0] for row in found.rows()] == ["id", "4", "5", "and"]
    assert found.lines[-1] == "and more: --after 5"
    assert [row[0] for row in queue("dead", file, "--after", 5).rows()] == ["id", "6"]


# --- export -----------------------------------------------------------------------------------


def test_payloads_are_exported_as_they_went_over_the_wire(tmp_path: Path, queue: Queue) -> None:
    found = queue("export", filled(tmp_path / "station.db"))
    assert found.code == 0
    lines = [json.loads(line) for line in found.lines]
    assert [line.pop("payload") for line in lines] == [json.loads(wire_payload(r)) for r in DEAD]
    for line, row in zip(found.lines, DEAD, strict=True):
        assert line.endswith(f'"payload":{wire_payload(row).decode()}}}')
    assert '"payload":{"offline":true,"eventType"' in found.lines[0]
    assert lines[0] == {
        "id": 4,
        "lane": "tx-1",
        "seq_no": 4,
        "version": "2.1",
        "action": "TransactionEvent",
        "attempts": 5,
        "cause": CAUSE,
        "time": GIVEN_UP,
    }
    assert "3 messages written" in found.err
    assert "customer data" in found.err


def test_what_waits_is_exported_as_well(tmp_path: Path, queue: Queue) -> None:
    file = filled(tmp_path / "station.db")
    lines = [json.loads(line) for line in queue("export", file, "--waiting").lines]
    assert [line["id"] for line in lines] == [row.row_id for row in WAITING]
    assert not any("cause" in line for line in lines)
    lines = [json.loads(line) for line in queue("export", file, "--lane", "tx-2").lines]
    assert [line["id"] for line in lines] == [6]
    lines = queue("export", file, "--waiting", "--lane", "tx-2").lines
    assert [json.loads(line)["id"] for line in lines] == [3, 10]


def test_a_new_file_is_its_owners_alone(tmp_path: Path, queue: Queue) -> None:
    file, output = filled(tmp_path / "station.db"), tmp_path / "dead.jsonl"
    assert queue("export", file, "--output", output).out == ""
    assert len(output.read_bytes().splitlines()) == len(DEAD)
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    found = queue("export", file, "--waiting", "--output", output)
    assert found.code == 2
    assert "nothing is overwritten" in found.err
    assert len(output.read_bytes().splitlines()) == len(DEAD)


def test_many_pages_are_exported_once_and_in_order(tmp_path: Path, queue: Queue) -> None:
    # Not all in a row, and a whole number of pages, and not.
    rows = [event(2 * number, f"tx-{number % 3}") for number in range(1, 1_001)]
    file = filled(tmp_path / "station.db", rows, ())
    lines = queue("export", file, "--waiting").lines
    assert [json.loads(line)["id"] for line in lines] == [row.row_id for row in rows]
    lines = queue("export", file, "--waiting", "--lane", "tx-1").lines
    assert len(lines) == 334


def test_a_damaged_text_hides_nothing(tmp_path: Path, queue: Queue) -> None:
    file = filled(tmp_path / "station.db")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE dead_letter SET cause = CAST(x'41ff42' AS TEXT), time = 'soon'")
        connection.commit()
    assert [json.loads(line)["cause"] for line in queue("export", file).lines] == ["A\ufffdB"] * 3
    found = queue("dead", file)
    assert [(row[1], row[-1]) for row in found.rows()[1:]] == [("soon", "A\ufffdB")] * 3


def test_a_damaged_payload_hides_nothing(tmp_path: Path, queue: Queue) -> None:
    file = filled(tmp_path / "station.db", (), [event(1, payload=b'{"a":\xff}')])
    (line,) = queue("export", file).lines
    assert json.loads(line)["payload_base64"] == "eyJhIjr/fQ=="


# --- looking changes nothing ------------------------------------------------------------------


@pytest.mark.parametrize("version", range(1, LAST + 1))
@pytest.mark.parametrize("command", ["list", "dead", "export"])
def test_files_of_all_versions_are_read_and_left_alone(
    command: str, version: int, tmp_path: Path, queue: Queue
) -> None:
    file = filled_by(version, tmp_path / "a #%?.db")
    before = contents(tmp_path)
    found = queue(command, file)
    assert found.code == 0
    assert contents(tmp_path) == before
    match command:
        case "list":
            assert "5 messages waiting, 3 dead letters" in found.out
            assert ("before the station knew" in found.out) is (version == LAST)
        case "dead":
            assert len(found.lines) == 4
            assert (GIVEN_UP in found.out) is (version == LAST)
            assert found.out.count(" unknown ") == (0 if version == LAST else 3)
        case _:
            assert [json.loads(line)["id"] for line in found.lines] == [4, 5, 6]


def test_after_a_power_cut_the_wal_is_read_and_left_alone(tmp_path: Path, queue: Queue) -> None:
    file = filled(tmp_path / "running.db", WAITING[:1], ())
    copy = tmp_path / "cut" / "station.db"
    copy.parent.mkdir()
    with closing(sqlite3.connect(file)) as station:
        station.execute("DELETE FROM outbox")
        station.commit()
        for part in ("", "-wal"):
            shutil.copyfile(f"{file}{part}", f"{copy}{part}")
    before = contents(copy.parent)
    found = queue("list", copy)
    assert found.lines == [
        f"{copy}: the station runs, or was not stopped in order: this is one moment of its queue",
        f"{copy}: 0 messages waiting, 0 dead letters",
    ]
    after = contents(copy.parent)
    after.pop("station.db-shm")  # the index of the WAL, which the next start makes anew
    assert after == before


# --- requeue and discard ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "ids"),
    [(("4", "6"), [4, 6]), (("--lane", "tx-2"), [6]), (("--all",), [4, 5, 6]),
     (("--lane", "none"), [])],
)  # fmt: skip
@pytest.mark.parametrize("version", [3, LAST])
def test_dead_letters_wait_again_in_their_old_place(
    chosen: tuple[str, ...], ids: list[int], version: int, tmp_path: Path, queue: Queue
) -> None:
    file = filled_by(version, tmp_path / "station.db")
    found = queue("requeue", file, *chosen)
    number = "1 message" if len(ids) == 1 else f"{len(ids)} messages"
    assert found.lines == [f"{file}: {number} will be sent after the next start"]
    waiting, dead = kept(file)
    assert [row.row_id for row in waiting] == sorted([1, 2, 3, 9, 10, *ids])
    assert dead == [row.row_id for row in DEAD if row.row_id not in ids]
    assert [row.attempts for row in waiting if row.row_id in ids] == [0] * len(ids)
    assert [row.payload for row in waiting if row.row_id == 4] == [DEAD[0].payload] * (4 in ids)


def test_many_are_requeued(tmp_path: Path, queue: Queue) -> None:
    rows = [event(number) for number in range(1, 1_001)]
    file = filled_by(3, tmp_path / "station.db")
    with closing(sqlite3.connect(file)) as connection:
        connection.executemany(
            "INSERT INTO outbox SELECT ?, lane, version, action, payload, seq_no, droppable,"
            " offline, attempts, cause FROM outbox WHERE row_id = 4",
            [(100 + row.row_id,) for row in rows],
        )
        connection.commit()
    found = queue("dead", file, "--limit", 700)
    assert (len(found.lines), found.lines[-1]) == (702, "and more: --after 797")
    assert "1,003 messages will be sent" in queue("requeue", file, "--all").out
    assert kept(file)[1] == []


def test_discarding_needs_a_yes(tmp_path: Path, queue: Queue) -> None:
    file = filled(tmp_path / "station.db")
    before = contents(tmp_path)
    found = queue("discard", file, 4, 6)
    assert found.code == 2
    assert "2 dead letters would be gone for good" in found.err
    assert "--yes" in found.err
    assert contents(tmp_path) == before
    assert queue("discard", file, 6, 4, 4, "--yes").lines == [f"{file}: 2 dead letters forgotten"]
    waiting, dead = kept(file)
    assert [row.row_id for row in waiting] == [row.row_id for row in WAITING]
    assert dead == [5]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("requeue {}", "by their ids, or by --lane, or --all"),
        ("requeue {} 4 --all", "by their ids, or by --lane, or --all"),
        ("requeue {} --lane tx-1 --all", "by their ids, or by --lane, or --all"),
        ("requeue {} 4 1 77", "no dead letter 1, 77"),
        ("discard {} 4 77 --yes", "no dead letter 77"),
        ("discard {} 1 --yes", "no dead letter 1"),
    ],
)
def test_what_is_not_meant_changes_nothing(
    arguments: str, why: str, tmp_path: Path, queue: Queue
) -> None:
    file = filled(tmp_path / "station.db")
    before = contents(tmp_path)
    found = queue(*arguments.format(file).split())
    assert (found.code, found.out) == (2, "")
    (line,) = found.err.splitlines()
    assert why in line
    assert contents(tmp_path) == before


# --- a station that runs ----------------------------------------------------------------------


async def _while_open(file: Path, work: Callable[[], Output]) -> Output:
    storage = SqliteStorage(file)
    await storage.open()
    try:
        await storage.outbox_append([event(20)])
        return await asyncio.to_thread(work)
    finally:
        await storage.close()


def test_a_running_station_is_looked_at(tmp_path: Path, queue: Queue) -> None:
    file = filled(tmp_path / "station.db")
    found = asyncio.run(_while_open(file, lambda: queue("list", file)))
    assert found.lines[1] == f"{file}: 6 messages waiting, 3 dead letters"
    assert "the station runs" in found.lines[0]
    found = asyncio.run(_while_open(tmp_path / "new.db", lambda: queue("export", file)))
    assert len(found.lines) == 3


@pytest.mark.parametrize("arguments", [("requeue", 4), ("requeue", "--all"), ("discard", 4)])
def test_a_running_station_is_not_touched(
    arguments: tuple[object, ...], tmp_path: Path, queue: Queue
) -> None:
    file = filled(tmp_path / "station.db")
    command, *chosen = arguments
    yes = ["--yes"] if command == "discard" else []
    found = asyncio.run(_while_open(file, lambda: queue(command, file, *chosen, *yes)))
    assert (found.code, found.out) == (2, "")
    assert found.err == f"ocpp-fast: {file}: is in use; stop the station first\n"
    assert kept(file)[1] == [4, 5, 6]


@pytest.mark.parametrize(
    ("arguments", "waiting", "dead"),
    [("requeue {} 4 6", [1, 2, 3, 4, 6, 9, 10, 20, 21], [5]),
     ("discard {} 4 6 --yes", [1, 2, 3, 9, 10, 20, 21], [5])],
)  # fmt: skip
def test_a_station_that_starts_in_between_loses_nothing(
    arguments: str, waiting: list[int], dead: list[int],
    tmp_path: Path, queue: Queue, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """After it was found that none runs. It knows nothing of what was changed, until it starts
    anew."""
    file = filled(tmp_path / "station.db")
    monkeypatch.setattr(looking, "check_unused", lambda path: None)

    async def run_both() -> None:
        station = SqliteStorage(file)
        await station.open()
        await station.outbox_append([event(20)])
        found = await asyncio.to_thread(queue, *arguments.format(file).split())
        assert found.code == 0
        await station.outbox_append([event(21)])
        assert [row.row_id for row in await station.outbox_load()] == waiting
        await station.close()

    asyncio.run(run_both())
    rows, letters = kept(file)
    assert ([row.row_id for row in rows], letters) == (waiting, dead)


# --- files that are none ----------------------------------------------------------------------


def _missing(path: Path) -> None:
    pass


def _folder(path: Path) -> None:
    path.mkdir()


def _text(path: Path) -> None:
    path.write_text("not a database at all" * 100, encoding="utf-8")


def _empty(path: Path) -> None:
    path.touch()


def _another(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipe (name TEXT)")


def _newer(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {LAST + 1}")


@pytest.mark.parametrize("command", ["list", "dead", "export", "requeue --all", "discard 4 --yes"])
@pytest.mark.parametrize(
    ("make", "code", "why"),
    [
        (_missing, 2, "there is no such file"),
        (_folder, 2, "there is no such file"),
        (_text, 3, "file is not a database"),
        (_empty, 2, "is not the storage of a station"),
        (_another, 2, "is not the storage of a station"),
        (_newer, 3, f"its version {LAST + 1} is newer than {LAST}"),
    ],
)
def test_a_file_that_is_none_is_one_line(
    make: Callable[[Path], None], code: int, why: str, command: str, tmp_path: Path, queue: Queue
) -> None:
    file = tmp_path / "station.db"
    make(file)
    before = contents(tmp_path) if file.is_file() else {}
    name, *rest = command.split()
    found = queue(name, file, *rest)
    assert (found.code, found.out) == (code, "")
    (line,) = found.err.splitlines()
    assert line.startswith(f"ocpp-fast: {file}: ")
    assert why in line
    assert (contents(tmp_path) if file.is_file() else {}) == before


def damaged(path: Path) -> Path:
    """Readable up to its dead letter 150."""
    rows = [event(n, payload=b'{"a":"<%d>%s"}' % (n, b"x" * 3_000)) for n in range(1, 201)]
    filled(path, (), rows)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM")  # no old copies of rows
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    content = bytearray(path.read_bytes())
    page = content.index(b"<150>") // size * size
    content[page : page + 200] = b"\xa5" * 200
    path.write_bytes(content)
    return path


def test_of_a_damaged_file_what_can_be_read_is_exported(tmp_path: Path, queue: Queue) -> None:
    file = damaged(tmp_path / "station.db.corrupt-1")
    found = queue("export", file)
    assert found.code == 1
    assert len(found.err.splitlines()) == 1
    assert [json.loads(line)["id"] for line in found.lines] == [*range(1, 150)]
    assert f"{file}: damaged after 149 messages: " in found.err


def damaged_elsewhere(path: Path) -> Path:
    """The queue can be read; another table cannot."""
    filled(path)
    with closing(sqlite3.connect(path)) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'device_monitor'"
        ).fetchone()
    content = bytearray(path.read_bytes())
    content[(root - 1) * size : (root - 1) * size + 200] = b"\xa5" * 200
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("make", [damaged, damaged_elsewhere])
@pytest.mark.parametrize("arguments", ["requeue {} --all", "discard {} 4 --yes"])
def test_a_damaged_file_is_not_set_aside_by_hand(
    arguments: str, make: Callable[[Path], Path], tmp_path: Path, queue: Queue
) -> None:
    file = make(tmp_path / "station.db")
    before = contents(tmp_path)
    found = queue(*arguments.format(file).split())
    assert (found.code, found.out) == (3, "")
    assert len(found.err.splitlines()) == 1
    assert contents(tmp_path) == before
