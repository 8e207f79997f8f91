"""What a session remembers, and when that is written."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from ocpp_fast.errors import ConfigurationError
from ocpp_fast.messages import v21, v201
from ocpp_fast.restoring import Restart
from ocpp_fast.station.machine import EvseState
from ocpp_fast.station.session import Ending, Session, Sessions, Token

FULL = Session(
    state=EvseState.CHARGING,
    connector_id=2,
    transaction_id="tx",
    bay_occupied=True,
    held=True,
    stopped_reason="Remote",
    id_token=Token("04A1", "ISO14443"),
    group_id_token=Token("G", "Central"),
    ending=Ending("StopAuthorized", "Local", Token("04A1", "ISO14443")),
)


class Writer:
    def __init__(self, *, durable: bool = True) -> None:
        self.durable = durable
        self.written: list[dict[str, str | None]] = []

    def put(self, facts: Mapping[str, str | None]) -> None:
        self.written.append(dict(facts))


def restored(writer: Writer, facts: Mapping[str, str]) -> Sessions:
    sessions = Sessions(lambda: writer)
    restart = Restart("PowerUp", datetime(2026, 1, 1, tzinfo=UTC))
    asyncio.run(sessions.restore(facts, restart))
    return sessions


@pytest.mark.parametrize(
    "session", [FULL, *(Session(state=state) for state in EvseState)], ids=lambda s: str(s.state)
)
def test_a_session_is_read_as_it_was_written(session: Session) -> None:
    assert Session.read(session.text()) == session


def test_what_is_not_there_takes_no_room() -> None:
    assert Session(state=EvseState.STOPPED).text() == '{"state":"stopped"}'


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"state": "asleep"}', '{"state": "ready", "connector_id": "1"}',
     '{"state": "ready", "unknown": 1}', '{"state": "ready", "id_token": {"id_token": "A"}}'],
)  # fmt: skip
def test_what_cannot_be_read_is_no_session(text: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigurationError):
        Session.read(text)
    sessions = restored(Writer(), {"session.1": text})
    with caplog.at_level(logging.ERROR):
        assert sessions.of(1) is None
    assert "session.1" in caplog.text


def test_only_what_has_changed_is_written() -> None:
    writer = Writer()
    sessions = restored(writer, {"session.1": FULL.text()})
    assert sessions.of(1) == FULL
    assert sessions.of(2) is None
    sessions.keep(1, FULL)
    sessions.keep(2, None)
    assert writer.written == []
    sessions.keep(2, FULL)
    sessions.keep(2, FULL)
    sessions.keep(1, None)
    sessions.keep(1, None)
    assert writer.written == [{"session.2": FULL.text()}, {"session.1": None}]
    assert sessions.of(1) is None
    assert sessions.of(2) == FULL


def test_tokens_of_both_versions_are_the_same() -> None:
    new = v21.IdTokenType(id_token="04A1", type="ISO14443")
    old: Any = v201.IdTokenType(id_token="04A1", type=v201.IdTokenEnumType.ISO14443)
    assert Token.of(new) == Token.of(old) == Token("04A1", "ISO14443")
    assert Token("04A1", "ISO14443").message() == new
    assert Token.of(None) is None
