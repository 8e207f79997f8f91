"""A row of the outbox, and the columns that it is kept in."""

from collections.abc import Sequence
from typing import Any, Final

from ocpp_fast.storage.base import OutboxRow

COLUMNS: Final = "row_id, lane, version, action, payload, seq_no, droppable, offline, attempts, run"
"""Of the table of what waits; that of dead letters has them too."""


def values_of(row: OutboxRow) -> tuple[Any, ...]:
    """What stands in `COLUMNS`."""
    return (
        row.row_id, row.lane, row.version, row.action, row.payload, row.seq_no, row.droppable,
        row.offline, row.attempts, row.run,
    )  # fmt: skip


def row_of(values: Sequence[Any]) -> OutboxRow:
    """The row of which this stands in `COLUMNS`."""
    row_id, lane, version, action, payload, seq_no, droppable, offline, attempts, run = values
    return OutboxRow(
        row_id=row_id,
        lane=lane,
        version=version,
        action=action,
        payload=payload,
        seq_no=seq_no,
        droppable=bool(droppable),
        offline=bool(offline),
        attempts=attempts,
        run=run,
    )
