"""The protocol that holds all durable state of a station: nothing else in this package writes to
a disk or expects to find anything there.

- the outbox: messages that must reach the CSMS, and dead letters;
- the device model: its components as the files defined them last, the values that were set at run
  time, and the monitors;
- the state: small facts that blocks must remember, each under a name;
- the security log.

A user may implement `Storage` on anything that can keep bytes; `tests/unit/storage/suite.py` is
the test suite such an implementation has to pass. Every verb is one transaction: it happened as a
whole or not at all. Verbs that change something are durable when they return, that is, what they
wrote survives a power cut from then on, if `Storage.durable` is true. Verbs that are called one
after the other without waiting happen in that order.

All verbs raise `ocpp_fast.errors.StorageError`, which names the file and the verb. A verb that
raised has changed nothing that a later verb could see.

In rows of the device model an absent instance is `''` and an absent EVSE or connector 0. Names and
instances of components and variables are identifierStrings: in keys they compare without regard to
the case of ASCII letters.
"""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

MAX_ROWS_PER_APPEND = 1_000
"""Most rows one `outbox_append` takes."""

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


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up, kept with the reason."""

    row: OutboxRow
    cause: str


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


class Storage(Protocol):
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

    async def open(self) -> None:
        """Makes the storage ready; brings an older one up to date first.

        A storage that is damaged is set aside (see `set_aside`). One that cannot be used for
        another reason, because it is newer, locked, not readable or has no folder, raises and
        stays as it is.
        """
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

    def state_store(self, changes: Mapping[str, str | None]) -> Awaitable[None]:
        """Adds facts, or replaces those of the same name; None forgets one, which may be unknown.
        Names compare exactly and are `block.fact`, both parts ASCII.

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
