"""A thread with a database connection of its own: the floor of whatever writes durably."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Hop(threading.Thread, Generic[_T]):
    """A thread that writes with a connection of its own, asked as aiosqlite asks its own. WAL mode
    and synchronous FULL, as the product has them."""

    def __init__(self, path: Path, write: Callable[[sqlite3.Connection, _T], None]) -> None:
        """`write` is called in the thread; it commits what it writes."""
        super().__init__(daemon=True)
        self._path = path
        self._write = write
        self._asked: SimpleQueue[tuple[asyncio.Future[None], _T] | None] = SimpleQueue()
        self.start()

    def run(self) -> None:
        """Until `end`."""
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        get, write = self._asked.get, self._write
        while (asked := get()) is not None:
            future, what = asked
            write(connection, what)
            future.get_loop().call_soon_threadsafe(future.set_result, None)
        connection.close()

    def ask(self, what: _T) -> asyncio.Future[None]:
        """Done when all of it is on the disk."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.put_nowait((future, what))
        return future

    def end(self) -> None:
        """Closes the file."""
        self._asked.put(None)
        self.join()
