"""SQL put together from constants of this package; values are always bound."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import orjson

Statement = tuple[str, Sequence[Any]]
"""SQL and the values of its parameters."""

MOST_ROWS = 1_000
"""Rows of one INSERT: with 13 columns they stay below SQLite's limit of 32,766 parameters. It is
twice as fast as one parameter that carries the rows as JSON, and as fast as `executemany`, which
would need a transaction around it."""


@lru_cache(maxsize=128)  # as many as the connection keeps prepared
def insert(
    table: str, columns: str, count: int, conflict: str = "", *, or_replace: bool = False
) -> str:
    """The INSERT of that many rows."""
    places = f"({','.join('?' * len(columns.split(',')))})"
    verb = "INSERT OR REPLACE" if or_replace else "INSERT"
    return f"{verb} INTO {table} ({columns}) VALUES {','.join([places] * count)} {conflict}"


def flat(rows: Iterable[Iterable[Any]]) -> list[Any]:
    """All values of all rows, one after the other."""
    values: list[Any] = []
    for row in rows:
        values += row
    return values


def portions(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """The rows in their order, at most `MOST_ROWS` at a time."""
    for start in range(0, len(rows), MOST_ROWS):
        yield rows[start : start + MOST_ROWS]


def json_list(values: Iterable[Any]) -> str:
    """A list as one parameter; `json_each` unpacks it inside the one statement."""
    return orjson.dumps(list(values)).decode()


def listed(columns: str) -> str:
    """The condition that these columns stand in a `json_list`: of values for one column, of
    lists for several."""
    names = columns.split(",")
    if len(names) == 1:
        return f"{columns} IN (SELECT value FROM json_each(?))"
    fields = ", ".join(f"json_extract(value, '$[{place}]')" for place in range(len(names)))
    return f"({columns}) IN (SELECT {fields} FROM json_each(?))"
