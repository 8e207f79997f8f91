"""What is remembered of a running transaction, as facts.

A fact is no message: it is the same whichever OCPP version the station speaks. Those of EVSE 3 are

    transaction.3         its numbers, and what has been told already; new with every event
    transaction.3.begin   the reading at its start, when the Ended event will repeat it
    meter.3               the last reading, see `checkpoints`

and `transaction.alive` is when the station was certainly running. Readings that the Ended event
repeats are no facts but rows, see `kept`.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from ocpp_fast._core import decode_payload, encode_payload
from ocpp_fast.blocks.transactions.transaction import Transaction
from ocpp_fast.messages.version import OcppVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ocpp_fast.messages import v21

__all__ = [
    "ALIVE",
    "PREFIX",
    "begin_name",
    "name_of",
    "object_of",
    "reading_of",
    "redated",
    "text_of_reading",
    "text_of_time",
    "text_of_transaction",
    "time_of",
    "transactions_of",
]

_log = logging.getLogger(__name__)

PREFIX: Final = "transaction."
ALIVE: Final = "transaction.alive"


def name_of(evse_id: int) -> str:
    """The name of the fact that holds the transaction of an EVSE."""
    return f"transaction.{evse_id}"


def begin_name(evse_id: int) -> str:
    """The name of the one that holds the reading at its start."""
    return f"transaction.{evse_id}.begin"


def text_of_time(at: datetime | None) -> str:
    """`at` is None when the station does not know the time."""
    return "" if at is None else at.astimezone(UTC).isoformat()


def time_of(text: object) -> datetime | None:
    """Raises `ValueError` for what is no such text."""
    if not text:
        return None
    at = datetime.fromisoformat(str(text))
    if at.tzinfo is None:
        raise ValueError(f"the time {text} has no offset")
    return at


def object_of(text: str) -> dict[str, Any]:
    """A fact that is a JSON object. Raises `ValueError`."""
    fact: Any = orjson.loads(text)
    if not isinstance(fact, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004  # The text is wrong, no argument.
    return fact  # pyright: ignore[reportUnknownVariableType]


def text_of_reading(reading: v21.MeterValueType) -> str:
    """A reading of either version."""
    return encode_payload(reading).decode()


def reading_of(text: str | bytes) -> v21.MeterValueType:
    """A reading, of version 2.1, which has all that 2.0.1 has. Raises `ValueError`."""
    return _decoded("MeterValueType", text)


def redated(
    reading: v21.MeterValueType, correct: Callable[[datetime], datetime]
) -> v21.MeterValueType:
    """The same reading with the right time; the very same when it has that already."""
    right = correct(reading.timestamp)
    return reading if right == reading.timestamp else reading.replace(timestamp=right)


def text_of_transaction(transaction: Transaction, at: datetime | None) -> str:
    """The fact. `at` is now."""
    token = transaction.id_token
    told: dict[str, Any] = {
        "id": transaction.transaction_id,
        "seqNo": transaction.next_seq_no,
        "state": transaction.charging_state,
        "at": text_of_time(at),
        "connector": transaction.connector_id,
        "evseTold": transaction.evse_told,
        "idToken": None if token is None else orjson.Fragment(encode_payload(token)),
        "remoteStartId": transaction.remote_start_id,
        "reservationId": transaction.reservation_id,
        "beginDue": transaction.begin_due,
        "energyLimit": transaction.energy_limit_wh,
        "refused": transaction.refused,
    }
    known = {
        name: value for name, value in told.items() if value is not None and value is not False
    }
    return orjson.dumps(known).decode()


def transactions_of(
    facts: Mapping[str, str],
) -> Iterator[tuple[Transaction, datetime | None]]:
    """The transactions of an earlier run, each with when its fact was written; of one that cannot
    be read only the log knows."""
    for name, text in facts.items():
        evse = name.removeprefix(PREFIX)
        if not evse.isdecimal():
            continue
        try:
            transaction, at = _transaction_of(int(evse), text)
        except (LookupError, TypeError, ValueError) as error:
            _log.error("the fact %s cannot be read: %r", name, error)
            continue
        begin = facts.get(begin_name(transaction.evse_id))
        try:
            transaction.begin_reading = None if begin is None else reading_of(begin)
            transaction.begin_stored = begin is not None
        except ValueError as error:
            _log.error("the fact %s.begin cannot be read: %r", name, error)
        yield transaction, at


def _transaction_of(evse_id: int, text: str) -> tuple[Transaction, datetime | None]:
    fact = object_of(text)
    token = fact.get("idToken")
    limit = fact.get("energyLimit")
    transaction = Transaction(
        str(fact["id"]),
        evse_id,
        str(fact["state"]),
        connector_id=_number(fact.get("connector")),
        id_token=None if token is None else _decoded("IdTokenType", orjson.dumps(token)),
        remote_start_id=_number(fact.get("remoteStartId")),
        reservation_id=_number(fact.get("reservationId")),
        begin_due=bool(fact.get("beginDue")),
        evse_told=bool(fact.get("evseTold")),
        next_seq_no=int(fact["seqNo"]),
        energy_limit_wh=None if limit is None else float(limit),
        refused=bool(fact.get("refused")),
        restored=True,
    )
    return transaction, time_of(fact.get("at"))


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def _decoded(name: str, text: str | bytes) -> Any:
    data = text.encode() if isinstance(text, str) else text
    return decode_payload(getattr(OcppVersion.V21.module, name), data)
