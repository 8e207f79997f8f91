"""What can still be read of a damaged database, row by row.

A damaged page takes the rows on it, or below it, out of reach; a search that begins behind them
does not touch it. So each table is read until it fails, the first place behind the damage that can
be read is looked for, and so on to the end.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from ocpp_fast.storage.base import OutboxRow
from ocpp_fast.storage.sqlite.rows import COLUMNS, values_of
from ocpp_fast.storage.sqlite.statements import insert

_MOST_GAPS = 1_000
"""Damaged places in one table that are looked behind; each takes up to 4,000 searches."""

_FIRST, _LAST = -(2**63), 2**63 - 1

_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "INTEGER": int,
    "TEXT": str,
    "BLOB": bytes,
    "REAL": (float, int),
}


def decoded(text: bytes) -> str:
    """A bit that has turned in the middle of a text is nothing that a check of the file finds. The
    text is read as far as it can be; whoever wanted it sees that it makes no sense."""
    return text.decode(errors="replace")


class _Column(NamedTuple):
    name: str
    kind: type | tuple[type, ...]
    optional: bool


def copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """All rows that can be read of the tables that `target` has; it has the schema of the version
    that `source` had. Rows that make no sense are left out."""
    source.text_factory = decoded
    with suppress(sqlite3.Error):
        # What is wrong with one line of the schema then leaves the other tables alone.
        source.execute("PRAGMA writable_schema = 1")
    for table in _tables(target):
        columns = _columns(target, table)
        names = ", ".join(column.name for column in columns)
        sql = insert(table, names, 1, or_replace=True)
        for row in _readable(source, table, names):
            if all(_fits(value, column) for value, column in zip(row, columns, strict=True)):
                with suppress(sqlite3.IntegrityError):
                    target.execute(sql, row)


def put(
    target: sqlite3.Connection, rows: Iterable[OutboxRow], facts: Mapping[str, str | None]
) -> None:
    """What is known without the file, and newer; into a database of the last version."""
    for row in rows:
        target.execute(insert("outbox", COLUMNS, 1, or_replace=True), values_of(row))
    for name, value in facts.items():
        if value is None:
            target.execute("DELETE FROM state WHERE name = ?", (name,))
        else:
            target.execute(insert("state", "name, value", 1, or_replace=True), (name, value))


def _tables(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return [name for (name,) in found]


def _columns(connection: sqlite3.Connection, table: str) -> list[_Column]:
    found = connection.execute(f"PRAGMA table_info({table})").fetchall()
    # SQLite has the key of a table by rows for required, whatever it says.
    return [
        _Column(name, _KINDS[kind], not (required or key))
        for _, name, kind, required, _, key in found
    ]


def _fits(value: Any, column: _Column) -> bool:
    return column.optional if value is None else isinstance(value, column.kind)


def _readable(
    connection: sqlite3.Connection, table: str, columns: str
) -> Iterator[tuple[Any, ...]]:
    """The rows in the order of their rowids."""
    sql = f"SELECT rowid, {columns} FROM {table} NOT INDEXED WHERE rowid >= ? ORDER BY rowid"
    start: int | None = _FIRST
    for _ in range(_MOST_GAPS):
        if start is None:
            return
        # Python asks for the next row before it gives one: the last in front of the damage comes
        # when it is asked for alone.
        for limit in ("", "LIMIT 1"):
            try:
                for rowid, *row in connection.execute(f"{sql} {limit}", (start,)):
                    if not isinstance(rowid, int) or rowid < start:
                        break  # The pages lead in a circle.
                    start = rowid + 1
                    yield tuple(row)
                else:
                    if not limit:
                        return
            except sqlite3.Error:
                pass
        start = _behind(connection, table, start)


def _steps() -> Iterator[int]:
    """Longer and longer ones, each by about a sixty-fourth."""
    yield from range(64)
    for octave in range(57):
        yield from range(64 << octave, 128 << octave, 1 << octave)


def _behind(connection: sqlite3.Connection, table: str, start: int) -> int | None:
    """The lowest rowid from which on can be read again; None when there is none."""
    damaged = start
    sql = f"SELECT rowid FROM {table} NOT INDEXED WHERE rowid >= ? ORDER BY rowid LIMIT 1"

    def is_readable(place: int) -> bool:
        try:
            found = connection.execute(sql, (place,)).fetchone()
        except sqlite3.Error:
            return False
        return found is None or found[0] >= place

    # Where there is damage at both ends, the rows between are not to be jumped over.
    for step in _steps():
        place = max(start, 0) + step
        if place > _LAST:
            return None
        if is_readable(place):
            break
        damaged = place
    else:
        return None
    while place - damaged > 1:
        middle = (place + damaged) // 2
        if is_readable(middle):
            place = middle
        else:
            damaged = middle
    return place
