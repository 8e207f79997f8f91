"""The simple CSMS has a valid answer to every request of every version."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ocpp_fast._core import decode_payload, encode_payload
from ocpp_fast.csms import Csms
from ocpp_fast.csms.answers import default_answers
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.messages import Direction, Framing, OcppVersion, actions
from ocpp_fast.router import Role, Router
from vectors.mutations import payload_text
from vectors.payloads import FULL, MINIMAL, PayloadMaker
from vectors.schemas import schema_files

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("version", OcppVersion)
@pytest.mark.parametrize("style", [MINIMAL, FULL], ids=lambda style: style.name)
def test_every_request_of_a_station_gets_a_valid_answer(version: OcppVersion, style: Any) -> None:
    answers = default_answers(version, lambda: NOW, 300)
    router = Router(version, Role.CSMS, [answers])
    for action, info in actions(version).items():
        assert (action in answers) == (info.direction is not Direction.CSMS_TO_CS)
        if action not in answers:
            continue
        payload = PayloadMaker(schema_files(version)[info.request_name], 1).make(style)
        request = decode_payload(info.request, payload_text(payload))
        response: Any = answers[action](request)
        router.check(action, response)
        if info.framing is Framing.SEND:
            assert response is None
        else:
            assert decode_payload(type(response), encode_payload(response)) == response


def test_a_handler_for_what_no_station_sends_is_a_mistake() -> None:
    for action in ("Reset", "NoSuchAction"):
        with pytest.raises(ConfigurationError, match=action):
            Csms(handlers={action: lambda *_: None})


def test_a_csms_that_is_not_started_has_no_port() -> None:
    with pytest.raises(ConfigurationError, match="not started"):
        _ = Csms().port
