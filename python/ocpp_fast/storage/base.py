"""The protocol that holds all durable state of a station: nothing else in this package writes to
a disk or expects to find anything there.

- the outbox: messages that must reach the CSMS, and dead letters;
- the facts: small texts that blocks must remember, each under a name, and the readings of running
  transactions;
- the device model: its components as the files defined them last, the values that were set at run
  time, and the monitors;
- the security log.

A user may implement `Storage` on anything that can keep bytes; `tests/unit/storage/suite.py` is
the test suite such an implementation has to pass. Every verb is one transaction: it happened as a
whole or not at all. Verbs that change something are durable when they return, that is, what they
wrote survives a power cut from then on, if `Storage.durable` is true. Verbs that are called one
after the other without waiting happen in that order.

All verbs raise `ocpp_fast.errors.StorageError`, which names the file and the verb, and
`StorageDamaged` when what is stored contradicts itself: nothing will then help but
`Storage.replace_damaged`. A verb that raised has changed nothing that a later verb could see.

In rows of the device model an absent instance is `''` and an absent EVSE or connector 0. Names and
instances of components and variables are identifierStrings: in keys they compare without regard to
the case of ASCII letters.
"""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

MAX_ROWS_PER_APPEND = 1_000
"""Most rows one `outbox_append` takes."""

MAX_ROWS_PER_LOAD = 500
"""Rows that a verb which reads in pages gives when it is not told otherwise."""

Facts = Mapping[str, str | None]
"""Changes of facts by their names; None forgets one, which may be unknown. Names compare exactly
and are `block.fact`, both parts ASCII."""

NO_FACTS: Final[Facts] = MappingProxyType({})

MAX_SECURITY_LOG_ROWS = 10_000
"""Rows of the security log; of more, the oldest are dropped (A04.FR.04)."""


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
    run: int = 0
    """0 when its times are right; else which start of the station it was since which the station
    has had no right time, see `station_clock`."""
    opens: bool = field(default=False, compare=False)
    """Whether its lane had no message before it. Not stored."""
    closes: bool = field(default=False, compare=False)
    """Whether its lane will have no message after it. Not stored."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up, kept with the reason."""

    row: OutboxRow
    cause: str
    time: str
    """When it was given up, as RFC 3339 text with its offset."""


class QueueSize(NamedTuple):
    """How much is kept for the CSMS."""

    waiting: int
    dead_letters: int


class ReadingRow(NamedTuple):
    """A meter reading that the Ended event of a running transaction will repeat."""

    transaction_id: str
    number: int
    """Order within the transaction; together with it, what the reading is stored under."""
    value: bytes
    """A MeterValueType as JSON."""


ComponentKey = tuple[str, str, int, int]
"""Component name, component instance, EVSE id, connector id."""

ValueKey = tuple[str, str, int, int, str, str, str]
"""A `ComponentKey`, then variable name, variable instance, and the name of the attribute
(`Actual`, `Target`, `MinSet`, `MaxSet`), which compares exactly."""

ValueRow = tuple[str, str, int, int, str, str, str, str | None, str]
"""A `ValueKey`, then the value as text (None: the attribute has lost its value) and its source:
`csms`, `internal`, or the integrator's own word. A plain tuple, as the Rust core makes it."""


class ComponentRow(NamedTuple):
    """One component of the device model as it was defined last."""

    component: str
    instance: str
    evse_id: int
    connector_id: int
    definition: str
    """The component in the format of component files, as JSON."""

    @property
    def key(self) -> ComponentKey:
        """What it is stored under."""
        return self[:4]


class MonitorRow(NamedTuple):
    """One variable monitor. The storage does not ask whether its variable exists."""

    monitor_id: int
    """What it is stored under."""
    component: str
    instance: str
    evse_id: int
    connector_id: int
    variable: str
    variable_instance: str
    kind: str
    """A value of `MonitorEnumType`."""
    value: float
    severity: int
    """0 to 9."""
    transaction: bool
    """Whether it is live during transactions only."""
    config: str
    """`HardWired`, `Preconfigured` or `Custom`."""
    triggered: bool
    """Whether it has triggered and not yet been cleared (N07.FR.14)."""


class SecurityLogRow(NamedTuple):
    """One line of the security log."""

    time: str
    """When it happened, as RFC 3339 text with its offset."""
    kind: str
    """The type of the event, as the appendix spells it."""
    tech_info: str | None
    critical: bool
    """Whether the CSMS is told as well (A04.FR.02)."""


class QueueStorage(Protocol):
    """The outbox, the dead letters, and the readings of running transactions."""

    async def outbox_load(
        self, after: int = 0, limit: int = MAX_ROWS_PER_LOAD, lane: str | None = None
    ) -> list[OutboxRow]:
        """The first `limit` rows that wait for delivery with a higher row id than `after`, in the
        order of their row ids. Takes no longer when there are many more, unless it is asked for
        those of one lane."""
        ...

    async def outbox_last_row_id(self) -> int:
        """The highest row id in use, dead letters included; 0 when there is none."""
        ...

    def outbox_append(self, rows: Sequence[OutboxRow], facts: Facts = NO_FACTS) -> Awaitable[None]:
        """Stores at most `MAX_ROWS_PER_APPEND` new rows, and changes facts with them.

        All rows and facts or none survive a power cut during the call; all do once it has
        returned. Without any it shows whether the storage can be written. Raises `StorageRefused`
        for what can never be stored.
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

    def outbox_bury(self, row: OutboxRow, cause: str, time: str) -> Awaitable[None]:
        """Makes a waiting row a dead letter: kept with `row.attempts`, never delivered by itself.
        It need not have been stored, when the storage had failed before."""
        ...

    async def outbox_dead_letters(
        self, after: int = 0, limit: int = MAX_ROWS_PER_LOAD
    ) -> list[DeadLetter]:
        """The first `limit` dead letters with a higher row id than `after`, in the order of their
        row ids."""
        ...

    async def outbox_requeue(self, row_ids: Iterable[int]) -> list[OutboxRow]:
        """Makes dead letters waiting rows again, with no attempts counted; returns them in order.

        Ids of no dead letter are passed over.
        """
        ...

    def outbox_discard(self, row_ids: Iterable[int]) -> Awaitable[None]:
        """Forgets dead letters for good; ids of none are passed over."""
        ...

    async def outbox_thin(self, after: int, *, transactions: bool) -> int:
        """Forgets every second droppable row of each lane with a higher row id than `after`,
        beginning with the first (E04.FR.08): TransactionEvents, or with `transactions` false all
        others. Returns how many."""
        ...

    async def outbox_holds(self, lane: str, after: int = 0) -> bool:
        """Whether a row of this lane with a higher row id than `after` waits for delivery. May
        take time that grows with the queue."""
        ...

    async def outbox_undated(
        self, after: int = 0, limit: int = MAX_ROWS_PER_LOAD
    ) -> list[OutboxRow]:
        """Like `outbox_load`, of the rows whose times are not right (`OutboxRow.run`)."""
        ...

    def outbox_redate(self, payloads: Sequence[tuple[int, bytes]]) -> Awaitable[None]:
        """Gives rows, by their ids, payloads with right times; unknown ids are passed over."""
        ...

    async def queue_size(self) -> QueueSize:
        """How many rows and dead letters there are. For people: it may count them one by one."""
        ...

    def readings_append(self, rows: Sequence[ReadingRow]) -> Awaitable[None]:
        """Adds readings of running transactions; those of a known number are replaced."""
        ...

    async def readings_load(self) -> list[ReadingRow]:
        """All readings, those of a transaction in their order."""
        ...

    def readings_thin(self, transaction_id: str) -> Awaitable[None]:
        """Forgets every second reading of a transaction after the first (E06.FR.13)."""
        ...

    def readings_remove(self, transaction_ids: Iterable[str]) -> Awaitable[None]:
        """Forgets the readings of transactions; ids of none are passed over."""
        ...


class Storage(QueueStorage, Protocol):
    """All durable state of one station. Opened once, used from one event loop."""

    @property
    def durable(self) -> bool:
        """Whether anything survives the end of the process.

        If not, verbs that are no coroutines have done what they do when the call returns;
        awaiting what it gives changes nothing more, and may be left out.
        """
        ...

    @property
    def set_aside(self) -> str | None:
        """Where the last `open` has put what it found damaged, to begin with an empty storage;
        None when it found nothing wrong.

        What is damaged is kept there, and never overwritten, for whoever wants to save what can
        be saved. All durable state begins anew.
        """
        ...

    @property
    def fault(self) -> str | None:
        """Why the last `open` found that nothing can be written: the disk is full, or read-only.

        Everything can be read then, and verbs that change something raise until they can do what
        they are for. None when it found no such reason.
        """
        ...

    async def open(self) -> None:
        """Makes the storage ready; brings an older one up to date first.

        A storage that is damaged is set aside (see `set_aside`); what can still be read of it is
        taken over. One that cannot be used for another reason, because it is newer, locked, not
        readable or has no folder, raises and stays as it is.
        """
        ...

    async def replace_damaged(
        self, rows: Iterable[OutboxRow] = (), facts: Facts = NO_FACTS
    ) -> None:
        """Sets the storage aside, which has turned out to be damaged while it was open, and goes
        on with a new one that has what could still be read of it; see `set_aside`.

        `rows` and `facts`, which the caller knows, are part of the new one and win over what was
        read. The change from one to the other is one step: a power cut during the call leaves the
        damaged one or the new one with all of it.
        """
        ...

    async def close(self) -> None:
        """Ends all work and releases the storage; nothing happens when it is not open."""
        ...

    async def components_load(self) -> list[ComponentRow]:
        """All components, ordered by their keys, in the spelling that was stored last."""
        ...

    def components_store(self, rows: Sequence[ComponentRow]) -> Awaitable[None]:
        """Adds components, or gives those that exist another definition; any number of them. Of
        rows with the same key the last one counts.

        Their values and monitors stay. A power cut during the call leaves all of them as they
        were or all as they are now.
        """
        ...

    def components_remove(self, keys: Iterable[ComponentKey]) -> Awaitable[None]:
        """Forgets components together with their values and monitors; keys of no component are
        passed over.

        A power cut during the call leaves all of this or none.
        """
        ...

    async def values_load(self) -> list[ValueRow]:
        """All values that were set at run time, in no order that can be relied on. How a key is
        spelled cannot be relied on either."""
        ...

    def values_store(self, rows: Sequence[ValueRow]) -> Awaitable[None]:
        """Adds values, or replaces those of the same key; any number of them. Of rows with the
        same key the last one counts.

        A power cut during the call leaves all of them as they were or all as they are now, which
        is what a SetVariables request needs (B05). Whether the component exists is not asked.
        """
        ...

    def values_remove(self, keys: Iterable[ValueKey]) -> Awaitable[None]:
        """Forgets values, all or none; keys of no value are passed over."""
        ...

    async def monitors_load(self) -> list[MonitorRow]:
        """All monitors, in the order of their ids."""
        ...

    def monitors_store(self, rows: Sequence[MonitorRow]) -> Awaitable[None]:
        """Adds monitors, or replaces those of the same id; any number of them. Of rows with the
        same id the last one counts.

        A power cut during the call leaves all of them as they were or all as they are now.
        """
        ...

    def monitors_remove(self, monitor_ids: Iterable[int]) -> Awaitable[None]:
        """Forgets monitors, all or none; unknown ids are passed over."""
        ...

    async def state_load(self) -> dict[str, str]:
        """All facts by their names."""
        ...

    def state_store(self, changes: Facts) -> Awaitable[None]:
        """Adds facts, or replaces those of the same name.

        A power cut during the call leaves all of them as they were or all as they are now.
        """
        ...

    def security_log_append(self, rows: Sequence[SecurityLogRow]) -> Awaitable[None]:
        """Adds rows at the end of the log, all or none, and drops the oldest beyond
        `MAX_SECURITY_LOG_ROWS` (A04.FR.04)."""
        ...

    async def security_log_load(self, limit: int) -> list[SecurityLogRow]:
        """The last `limit` rows, in the order in which they were added."""
        ...
