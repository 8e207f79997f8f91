from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from ocpp_fast.errors import ConfigurationError, ErrorCode, RequestRefused
from ocpp_fast.messages import ActionInfo, Direction, OcppVersion, actions, v21, v201
from ocpp_fast.router import Role, Router

ANSWER = v21.HeartbeatResponse(current_time=datetime(2026, 1, 1, tzinfo=UTC))


def heartbeat(request: v21.HeartbeatRequest) -> v21.HeartbeatResponse:
    return ANSWER


def csms(*tables: dict[str, Any]) -> Router:
    return Router(OcppVersion.V21, Role.CSMS, tables)


def station(*tables: dict[str, Any]) -> Router:
    return Router(OcppVersion.V21, Role.CHARGING_STATION, tables)


def refusal(router: Router, action: str, request: Any) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        router.handle(action, request)
    return caught.value


def every_action() -> Iterable[ActionInfo]:
    for version in OcppVersion:
        yield from actions(version).values()


def test_an_action_goes_to_its_handler() -> None:
    assert csms({"Heartbeat": heartbeat}).handle("Heartbeat", v21.HeartbeatRequest()) is ANSWER


def test_the_tables_of_several_blocks_are_joined() -> None:
    router = csms({"Heartbeat": heartbeat}, {"BootNotification": heartbeat})
    assert router.handles("Heartbeat")
    assert router.handles("BootNotification")
    assert not router.handles("Authorize")


def test_an_action_that_no_version_has_is_not_implemented() -> None:
    error = refusal(csms(), "Frobnicate", v21.HeartbeatRequest())
    assert error.code is ErrorCode.NOT_IMPLEMENTED


def test_an_action_without_handler_is_not_supported() -> None:
    error = refusal(csms(), "Heartbeat", v21.HeartbeatRequest())
    assert error.code is ErrorCode.NOT_SUPPORTED


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(
    "info", list(every_action()), ids=lambda info: f"{info.name}-{info.version}"
)
def test_an_action_of_the_wrong_direction_is_not_supported_and_cannot_be_handled(
    info: ActionInfo, role: Role
) -> None:
    wrong = Direction.CS_TO_CSMS if role is Role.CHARGING_STATION else Direction.CSMS_TO_CS
    if info.direction is wrong:
        with pytest.raises(ConfigurationError, match="never receives"):
            Router(info.version, role, [{info.name: heartbeat}])
        error = refusal(Router(info.version, role, []), info.name, None)
        assert error.code is ErrorCode.NOT_SUPPORTED
        assert role in error.description
    else:
        assert Router(info.version, role, [{info.name: heartbeat}]).handles(info.name)


def test_a_table_with_an_action_of_another_version_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"OCPP 2\.0\.1 has no action 'AFRRSignal'"):
        Router(OcppVersion.V201, Role.CHARGING_STATION, [{"AFRRSignal": heartbeat}])


def test_two_handlers_for_one_action_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="two handlers"):
        csms({"Heartbeat": heartbeat}, {"Heartbeat": heartbeat})


def test_what_a_handler_raises_is_the_business_of_the_caller() -> None:
    def failing(request: v21.HeartbeatRequest) -> v21.HeartbeatResponse:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        csms({"Heartbeat": failing}).handle("Heartbeat", v21.HeartbeatRequest())


def test_a_response_of_the_right_type_passes() -> None:
    csms({"Heartbeat": heartbeat}).check("Heartbeat", ANSWER)


@pytest.mark.parametrize(
    "response",
    [
        None,
        v21.HeartbeatRequest(),
        v201.HeartbeatResponse(current_time=datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_response_of_another_type_is_refused(response: Any) -> None:
    with pytest.raises(TypeError, match="Heartbeat is answered with HeartbeatResponse, not"):
        csms({"Heartbeat": heartbeat}).check("Heartbeat", response)


def test_a_send_is_answered_with_nothing() -> None:
    router = csms({"NotifyPeriodicEventStream": lambda message: None})
    router.check("NotifyPeriodicEventStream", None)
    with pytest.raises(TypeError, match="answered with nothing, not HeartbeatResponse"):
        router.check("NotifyPeriodicEventStream", ANSWER)


def test_a_station_has_no_handler_unless_a_block_brings_one() -> None:
    error = refusal(station(), "Reset", v21.ResetRequest(type=v21.ResetEnumType.IMMEDIATE))
    assert error.code is ErrorCode.NOT_SUPPORTED
    assert error.description == "Reset is not supported"


def test_a_limit_sees_the_request_and_the_length_of_its_frame() -> None:
    seen: list[tuple[object, int]] = []

    def limit(request: v21.HeartbeatRequest, size_bytes: int) -> None:
        seen.append((request, size_bytes))
        if size_bytes > 100:
            raise RequestRefused(ErrorCode.FORMAT_VIOLATION, "too long")

    router = Router(
        OcppVersion.V21, Role.CSMS, [{"Heartbeat": heartbeat}], limits={"Heartbeat": limit}
    )
    request = v21.HeartbeatRequest()
    assert router.handle("Heartbeat", request, 100) is ANSWER
    with pytest.raises(RequestRefused, match="too long"):
        router.handle("Heartbeat", request, 101)
    assert seen == [(request, 100), (request, 101)]


def test_a_limit_of_an_action_that_nobody_handles_is_not_asked() -> None:
    def limit(request: object, size_bytes: int) -> None:
        raise AssertionError(request, size_bytes)

    router = Router(OcppVersion.V21, Role.CSMS, [], limits={"Heartbeat": limit})
    with pytest.raises(RequestRefused) as caught:
        router.handle("Heartbeat", v21.HeartbeatRequest(), 1)
    assert caught.value.code is ErrorCode.NOT_SUPPORTED


def test_the_gate_is_asked_before_anybody_else() -> None:
    """B03.FR.08 binds requests that nobody handles as well."""
    asked: list[str] = []
    closed = v21.HeartbeatResponse(current_time=datetime(2026, 2, 2, tzinfo=UTC))

    def gate(action: str, request: Any) -> Any:
        assert isinstance(request, v21.HeartbeatRequest)
        asked.append(action)
        if action == "Reset":
            raise RequestRefused(ErrorCode.SECURITY_ERROR, "not now")
        return closed if action == "BootNotification" else None

    def limit(request: object, size_bytes: int) -> None:
        raise AssertionError(request, size_bytes)

    router = Router(
        OcppVersion.V21,
        Role.CSMS,
        [{"Heartbeat": heartbeat, "BootNotification": heartbeat}],
        limits={"BootNotification": limit},
        gate=gate,
    )
    assert router.handle("Heartbeat", v21.HeartbeatRequest()) is ANSWER
    assert router.handle("BootNotification", v21.HeartbeatRequest()) is closed
    assert refusal(router, "Reset", v21.HeartbeatRequest()).code is ErrorCode.SECURITY_ERROR
    assert asked == ["Heartbeat", "BootNotification", "Reset"]
