"""`ocpp-fast queue`: what a station keeps for its CSMS, in its SQLite file."""

from __future__ import annotations

import base64
import os
import sys
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final, cast

import orjson
import typer
from rich.console import Console
from rich.table import Table

from ocpp_fast.cli.running import INCOMPLETE, run_command
from ocpp_fast.errors import ConfigurationError, StorageDamaged
from ocpp_fast.outbox import wire_payload

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterable, Iterator, Sequence

    from ocpp_fast.storage.base import DeadLetter, OutboxRow
    from ocpp_fast.storage.sqlite import SqliteStorage
    from ocpp_fast.storage.sqlite.looking import Lane, QueueFile

__all__ = ["queue"]

_NUMBERS: Final = {"id", "seqNo", "attempts", "waiting", "dead"}
_LONG: Final = {"lane", "cause"}
_UNKNOWN_TIME: Final = "1970-01-01T00:00:00Z"
"""When messages were given up by a version that did not note it."""
_AT_ONCE: Final = 500
"""Dead letters that one transaction changes."""
_IN_USE: Final = "the station runs, or was not stopped in order: this is one moment of its queue"
_CUSTOMER_DATA: Final = "it holds idTokens and transactions: keep it as customer data"

queue = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Messages that wait for the CSMS, and dead letters: those that were given up.",
)

_File = Annotated[str, typer.Argument(metavar="FILE", help="The station's SQLite file.")]
_Limit = Annotated[int, typer.Option(min=1, help="How many to show.")]


@queue.command("list")
def list_(file: _File, limit: _Limit = 40) -> None:
    """Count what is kept, by lane and action, with the times of the oldest and the newest.

    A lane keeps its order: it is a transaction, or the name of another stream. Changes nothing.
    """
    console = _console()
    with _look(file, console) as found:
        waiting, dead = found.waiting_lanes(), found.dead_lanes()
        total, given_up = _sum(waiting), _sum(dead)
        console.print(f"{file}: {_count(total, 'message')} waiting,", end=" ")
        console.print(_count(given_up, "dead letter"))
        if undated := sum(lane.undated for lane in waiting):
            console.print(f"{undated} of them are from before the station knew the time")
        for lanes, what in ((waiting, "waiting"), (dead, "dead")):
            if lanes:
                console.print(_lanes_table(found, lanes[:limit], what))
            if len(lanes) > limit:
                rest = lanes[limit:]
                console.print(
                    f"and {_count(_sum(rest), 'message')} more, {len(rest)} lanes: --limit"
                )


@queue.command()
def dead(
    file: _File,
    lane: Annotated[str | None, typer.Option(help="Only of this lane.")] = None,
    after: Annotated[int, typer.Option(help="Only with a higher id.")] = 0,
    limit: _Limit = 100,
) -> None:
    """Show the dead letters, each with the reason why it was given up. Changes nothing."""
    console = _console()
    with _look(file, console) as found:
        letters = list(found.dead_letters(after, limit + 1, lane=lane))
    if not letters:
        console.print(f"{file}: no dead letters")
        return
    table = _table("id", "given up", "lane", "action", "seqNo", "attempts", "cause")
    for letter in letters[:limit]:
        row = letter.row
        table.add_row(
            *(str(row.row_id), _to_the_second(letter.time), row.lane, row.action),
            *(str(row.seq_no), str(row.attempts), letter.cause),
        )
    console.print(table)
    if len(letters) > limit:
        console.print(f"and more: --after {letters[limit - 1].row.row_id}")


@queue.command()
def export(
    file: _File,
    output: Annotated[
        str | None,
        typer.Option(metavar="NEW", help="Write to this new file.", show_default="stdout"),
    ] = None,
    waiting: Annotated[  # noqa: FBT002  # typer makes a flag of it
        bool, typer.Option("--waiting", help="What waits, instead of the dead letters.")
    ] = False,
    lane: Annotated[str | None, typer.Option(help="Only of this lane.")] = None,
) -> None:
    """Write dead letters as JSON lines, payloads as they went over the wire. Changes nothing.

    They hold idTokens and transactions, which are customer data. Of a file that is damaged, or was
    set aside for that: all that stands before the damage, and then exit code 1.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    with _look(file, console) as found, _open_new(output) as target:
        written = 0
        lines = _waiting_lines(found, lane) if waiting else _dead_lines(found, lane)
        try:
            for line in lines:
                target.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
                written += 1
        except BrokenPipeError:  # whoever read it has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(INCOMPLETE) from None
        except StorageDamaged as error:
            console.print(f"{file}: damaged after {_count(written, 'message')}: {error.cause}")
            raise typer.Exit(INCOMPLETE) from None
    console.print(f"{_count(written, 'message')} written; {_CUSTOMER_DATA}")


@queue.command()
def requeue(
    file: _File,
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", help="As `queue dead` shows them.")
    ] = None,
    lane: Annotated[str | None, typer.Option(help="All dead letters of this lane.")] = None,
    everything: Annotated[  # noqa: FBT002  # typer makes a flag of it
        bool, typer.Option("--all", help="All dead letters.")
    ] = False,
) -> None:
    """Let dead letters wait for delivery again; the station sends them after its next start.

    The station must not run. Each goes to its old place in its lane, with no attempts counted.
    """
    if sum((bool(ids), lane is not None, everything)) != 1:
        raise ConfigurationError("name dead letters by their ids, or by --lane, or --all")
    run_command(_requeue(file, _chosen(file, ids, lane)))


@queue.command()
def discard(
    file: _File,
    ids: Annotated[list[int], typer.Argument(metavar="ID...", help="As `queue dead` shows them.")],
    yes: Annotated[  # noqa: FBT002  # typer makes a flag of it
        bool, typer.Option("--yes", help="Do it.")
    ] = False,
) -> None:
    """Forget dead letters for good; nobody can bill them afterwards. The station must not run."""
    chosen = _chosen(file, ids, None)
    if not yes:
        text = f"{_count(len(chosen), 'dead letter')} would be gone for good"
        raise ConfigurationError(f"{text}; export first, then say --yes")
    run_command(_discard(file, chosen))


# --- looking ----------------------------------------------------------------------------------


def _open(file: str) -> QueueFile:
    from ocpp_fast.storage.sqlite.looking import QueueFile

    return QueueFile(file)


@contextmanager
def _look(file: str, console: Console) -> Generator[QueueFile]:
    with _open(file) as found:
        if found.in_use:
            console.print(f"{file}: {_IN_USE}")
        yield found


def _lanes_table(found: QueueFile, lanes: Sequence[Lane], what: str) -> Table:
    table = _table("lane", "action", what, "oldest", "newest")
    for lane in lanes:
        times = (_time_of(found.row(row_id, dead=what == "dead")) for row_id in lane[3:5])
        table.add_row(lane.lane, lane.action, str(lane.messages), *times)
    return table


def _time_of(row: OutboxRow | None) -> str:
    """When the message was made, as it says itself; empty when it does not say."""
    payload: Any = None
    with suppress(orjson.JSONDecodeError):  # damaged
        payload = orjson.loads(b"null" if row is None else row.payload)
    if not isinstance(payload, dict):
        return ""
    members = cast("dict[str, Any]", payload)
    return _to_the_second(members.get("timestamp") or members.get("generatedAt") or "")


def _to_the_second(time: str) -> str:
    """In UTC; what is no time stays as it is."""
    if time == _UNKNOWN_TIME:
        return "unknown"
    try:
        return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    except ValueError:
        return time


def _dead_lines(found: QueueFile, lane: str | None) -> Iterator[dict[str, Any]]:
    for letter in found.dead_letters(lane=lane):
        yield _line(letter.row, letter)


def _waiting_lines(found: QueueFile, lane: str | None) -> Iterator[dict[str, Any]]:
    for row in found.waiting(lane=lane):
        yield _line(row)


def _line(row: OutboxRow, letter: DeadLetter | None = None) -> dict[str, Any]:
    line: dict[str, Any] = {
        "id": row.row_id,
        "lane": row.lane,
        "seq_no": row.seq_no,
        "version": row.version,
        "action": row.action,
        "attempts": row.attempts,
    }
    if letter is not None:
        line |= {"cause": letter.cause, "time": letter.time}
    payload = wire_payload(row)
    try:
        orjson.loads(payload)
    except orjson.JSONDecodeError:  # damaged; nothing is hidden
        return {**line, "payload_base64": base64.b64encode(payload).decode()}
    # Byte for byte: reading and writing it anew would change its numbers.
    return {**line, "payload": orjson.Fragment(payload)}


@contextmanager
def _open_new(path: str | None) -> Generator[BinaryIO]:
    """Where to write to; a file only its owner can read."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(f"{path}: is there already, and nothing is overwritten") from None
    with os.fdopen(descriptor, "wb") as target:
        yield target


# --- changing ---------------------------------------------------------------------------------


def _chosen(file: str, ids: Sequence[int] | None, lane: str | None) -> list[int]:
    """Ids of dead letters: all of them, or of a lane, or those given, which must all be there."""
    with _open(file) as found:
        there = found.dead_ids(lane)
    if not ids:
        return there
    if missing := sorted(set(ids).difference(there)):
        raise ConfigurationError(f"{file}: no dead letter {', '.join(map(str, missing))}")
    return sorted(set(ids))


@asynccontextmanager
async def _storage(file: str) -> AsyncGenerator[SqliteStorage]:
    """The file, to be changed. Raises `ConfigurationError` when the station runs, and
    `StorageDamaged`: a damaged one would be set aside, which is for the station to do."""
    from ocpp_fast.storage.sqlite import SqliteStorage
    from ocpp_fast.storage.sqlite.looking import check_unused

    check_unused(file)
    with _open(file) as found:
        found.check_whole()
    storage = SqliteStorage(file)
    await storage.open()
    try:
        yield storage
    finally:
        await storage.close()


async def _requeue(file: str, ids: Sequence[int]) -> int:
    count = 0
    async with _storage(file) as storage:
        for start in range(0, len(ids), _AT_ONCE):
            count += len(await storage.outbox_requeue(ids[start : start + _AT_ONCE]))
    _console().print(f"{file}: {_count(count, 'message')} will be sent after the next start")
    return 0


async def _discard(file: str, ids: Sequence[int]) -> int:
    async with _storage(file) as storage:
        await storage.outbox_discard(ids)
    _console().print(f"{file}: {_count(len(ids), 'dead letter')} forgotten")
    return 0


# --- how it looks -----------------------------------------------------------------------------


def _console() -> Console:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    if not console.is_terminal:  # Lines stay whole, so that other programs can read them.
        console.width = 10_000
    return console


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(
            name,
            justify="right" if name in _NUMBERS else "left",
            no_wrap=name not in _LONG,
            overflow="fold",
        )
    return table


def _sum(lanes: Iterable[Lane]) -> int:
    return sum(lane.messages for lane in lanes)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
