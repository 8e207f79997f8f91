"""A journal with a storage under a test's control."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from ocpp_fast.errors import StorageError
from ocpp_fast.journal import Journal
from ocpp_fast.journal.hanging import FINISH_S
from ocpp_fast.storage import OutboxRow
from ocpp_fast.testing import VirtualClock
from unit.storage.faulty import FaultyStorage

_S = TypeVar("_S", bound=FaultyStorage)


def row(row_id: int, lane: str = "tx") -> OutboxRow:
    return OutboxRow(row_id, lane, "2.1", "TransactionEvent", b"{}")


class JournalSite(Generic[_S]):
    """A journal, its storage, and what they have said."""

    def __init__(
        self, clock: VirtualClock, storage: _S, *, says: Callable[[StorageError], str] = str
    ) -> None:
        """`says` is what is noted of an error."""
        self.clock = clock
        self.storage = storage
        self.told: list[tuple[int, bool]] = []
        self.health: list[str | None] = []
        self.memory: dict[int, OutboxRow] = {}
        self.journal = Journal(
            storage,  # type: ignore[arg-type]
            clock,
            on_stored=self._stored,
            rows=self.memory.values,
            on_health=lambda error: self.health.append(error and says(error)),
        )

    def _stored(self, row: OutboxRow, stored: bool) -> None:
        is_news = (row.row_id, not stored) not in self.told
        self.told.append((row.row_id, stored))
        if is_news:
            self.memory[row.row_id] = row

    def delivered(self, *row_ids: int) -> None:
        """The CSMS has confirmed them."""
        for row_id in row_ids:
            self.memory.pop(row_id, None)
        self.journal.confirm(row_ids)

    @property
    def stored(self) -> list[int]:
        """Ids of the rows that a power cut would leave."""
        return sorted(self.storage.inner._rows)

    @property
    def facts(self) -> dict[str, str]:
        """The facts that it would."""
        return self.storage.inner._state

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Journal]:
        """The writer at work."""
        self.journal.start()
        writing = asyncio.create_task(self.journal.run())
        try:
            yield self.journal
        finally:
            self.journal.finish()
            await asyncio.wait_for(writing, FINISH_S + 1)
