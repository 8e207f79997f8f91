"""The protocol that holds all durable state of a station.

A user may implement `Storage` on anything that can keep bytes; `tests/unit/storage/suite.py` is
the test suite such an implementation has to pass. Every verb is one transaction: it happened as a
whole or not at all. Verbs that change something are durable when they return, that is, what they
wrote survives a power cut from then on, if `Storage.durable` is true.

All verbs raise `ocpp_fast.errors.StorageError`, which names the file and the verb. A verb that
raised has changed nothing that a later verb could see.
"""

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

MAX_ROWS_PER_APPEND = 1_000
"""Most rows one `outbox_append` takes."""


@dataclass(slots=True, eq=True)
class OutboxRow:
    """One message that must reach the CSMS."""

    row_id: int
    """Order of creation, counted by the outbox; never used twice while a row is stored."""
    lane: str
    """Messages of one lane are delivered in the order of their row ids: a transactionId, or the
    name of another stream that must stay in order."""
    version: str
    """The OCPP version `payload` was made for: `2.0.1` or `2.1`."""
    action: str
    payload: bytes
    """The JSON object of the request, without its `offline` member."""
    seq_no: int = 0
    droppable: bool = False
    """Whether E04.FR.07 allows to drop it when memory runs low."""
    offline: bool = False
    """Whether the message has to say `offline: true` (E04.FR.03, E11.FR.07)."""
    attempts: int = 0
    """Failed deliveries so far (E13.FR.02)."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up, kept with the reason."""

    row: OutboxRow
    cause: str


class Storage(Protocol):
    """All durable state of one station. Opened once, used from one event loop."""

    @property
    def durable(self) -> bool:
        """Whether anything survives the end of the process.

        If not, the verbs of the outbox that change something have done it when the call
        returns; awaiting what it gives changes nothing more, and may be left out.
        """
        ...

    async def open(self) -> None:
        """Makes the storage ready; brings an older one up to date first."""
        ...

    async def close(self) -> None:
        """Ends all work and releases the storage; nothing happens when it is not open."""
        ...

    async def outbox_load(self) -> list[OutboxRow]:
        """All rows that wait for delivery, in the order of their row ids."""
        ...

    async def outbox_last_row_id(self) -> int:
        """The highest row id in use, dead letters included; 0 when there is none."""
        ...

    def outbox_append(self, rows: Sequence[OutboxRow]) -> Awaitable[None]:
        """Stores at most `MAX_ROWS_PER_APPEND` new rows.

        All rows or none survive a power cut during the call; all do once it has returned.
        """
        ...

    def outbox_remove(self, row_ids: Iterable[int]) -> Awaitable[None]:
        """Forgets rows that the CSMS has confirmed, or that were thinned out; unknown ids are
        passed over.

        A power cut during the call leaves all of them or none: they are then delivered again and
        the CSMS recognises them by transactionId and seqNo.
        """
        ...

    def outbox_attempted(self, row_id: int, attempts: int) -> Awaitable[None]:
        """Notes how often delivery of a row has failed so far."""
        ...

    def outbox_mark_offline(self) -> Awaitable[None]:
        """Sets `offline` on every row that waits for delivery (E11.FR.07)."""
        ...

    def outbox_bury(self, row_id: int, attempts: int, cause: str) -> Awaitable[None]:
        """Makes a waiting row a dead letter: kept with the number of its attempts, never
        delivered by itself."""
        ...

    async def outbox_dead_letters(self) -> list[DeadLetter]:
        """All dead letters, in the order of their row ids."""
        ...

    async def outbox_requeue(self, row_ids: Iterable[int]) -> list[OutboxRow]:
        """Makes dead letters waiting rows again, with no attempts counted; returns them in order.

        Ids of no dead letter are passed over.
        """
        ...
