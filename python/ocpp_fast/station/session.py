"""What a charging session must find again after a restart, and where that is kept."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Final, Protocol, Self

from ocpp_fast._reader import read_object
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.messages import v21
from ocpp_fast.restoring import Restart
from ocpp_fast.station.machine import EvseState

__all__ = ["Ending", "FactWriter", "Session", "Sessions", "Token", "is_same"]

_log = logging.getLogger(__name__)

PREFIX: Final = "session."


@dataclass(frozen=True, slots=True)
class Token:
    """As much of a token as is compared (C01.FR.25)."""

    id_token: str
    type: str

    @classmethod
    def of(cls, token: v21.IdTokenType | None) -> Self | None:
        """That of a message, of either OCPP version."""
        return None if token is None else cls(token.id_token, str(token.type))

    def message(self) -> v21.IdTokenType:
        """As a message of 2.1, whose type may be any text."""
        return v21.IdTokenType(id_token=self.id_token, type=self.type)


def is_same(one: v21.IdTokenType | None, other: v21.IdTokenType | None) -> bool:
    """C01.FR.25: value and type count, and the value without regard to case."""
    if one is None or other is None or one.type != other.type:
        return False
    return one.id_token.lower() == other.id_token.lower()


@dataclass(frozen=True, slots=True)
class Ending:
    """How a transaction is being ended."""

    trigger: str
    """TriggerReasonEnumType."""
    stopped_reason: str
    """ReasonEnumType."""
    id_token: Token | None = None
    """The token that has ended it (E07.FR.02)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The charging session of one EVSE, beside what the transaction itself remembers."""

    state: EvseState
    connector_id: int | None = None
    """Where the EV is plugged in."""
    transaction_id: str | None = None
    """The transaction it belongs to; None when that has ended and the EV is still there."""
    bay_occupied: bool = False
    held: bool = False
    """Whether no energy may flow before a driver is authorized anew."""
    stopped_reason: str | None = None
    """Why the authorization has ended, while the transaction goes on."""
    id_token: Token | None = None
    group_id_token: Token | None = None
    ending: Ending | None = None
    """What the Ended event says that is about to be made."""

    def text(self) -> str:
        """The fact, without the members that have their default."""
        import orjson  # only where there is a durable storage

        values = {name: value for name in _NAMES if (value := getattr(self, name))}
        return orjson.dumps(values).decode()

    @classmethod
    def read(cls, text: str) -> Self:
        """The session of a fact. Raises `ConfigurationError`."""
        import orjson

        try:
            values = orjson.loads(text)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        return read_object(cls, values)


_NAMES: Final = tuple(entry.name for entry in fields(Session))


class FactWriter(Protocol):
    """Where facts are made durable, `delivery.facts` of the charge point."""

    @property
    def durable(self) -> bool:
        """Whether any of it outlives the process."""
        ...

    def put(self, facts: Mapping[str, str | None]) -> None:
        """Makes them durable soon, at the latest together with the next event."""
        ...


class Sessions:
    """The durable sessions of a station, one fact `session.<evse>` for each that has one.

    Nothing is written, nor even put together, where the storage is not durable.
    """

    prefix = PREFIX

    def __init__(self, writer: Callable[[], FactWriter]) -> None:
        self._writer = writer
        self._sessions: dict[int, Session | None] = {}
        """As they are durable, or soon will be; what is not here was not read yet."""
        self._facts: Mapping[str, str] = {}
        """Of the earlier run."""

    @property
    def durable(self) -> bool:
        """Whether it is worth telling of a session."""
        return self._writer().durable

    async def restore(self, facts: Mapping[str, str], _restart: Restart, /) -> None:
        """See `DurablePart.restore`."""
        self._facts, self._sessions = facts, {}

    def of(self, evse_id: int) -> Session | None:
        """The session of an EVSE as it was remembered last; None when it has none that can be
        read."""
        if evse_id not in self._sessions:
            fact = self._facts.get(f"{PREFIX}{evse_id}")
            self._sessions[evse_id] = None if fact is None else self._read(evse_id, fact)
        return self._sessions[evse_id]

    def keep(self, evse_id: int, session: Session | None) -> None:
        """Remembers a session, or with None that there is none."""
        if session != self.of(evse_id):
            self._sessions[evse_id] = session
            self._writer().put({f"{PREFIX}{evse_id}": None if session is None else session.text()})

    @staticmethod
    def _read(evse_id: int, fact: str) -> Session | None:
        try:
            return Session.read(fact)
        except ConfigurationError as error:
            # Never with its text: there are tokens in it.
            _log.error("the fact %s%d cannot be read (%s)", PREFIX, evse_id, type(error).__name__)
            return None
