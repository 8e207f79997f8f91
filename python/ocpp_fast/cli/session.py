"""The charging run of `demo` and `station`: drivers who plug in, pay by card, charge and leave."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from ocpp_fast.blocks.context import Registration
from ocpp_fast.config import EvseConfig, StationConfig, Variables
from ocpp_fast.errors import ConnectFailed, ConnectFailure, OcppError
from ocpp_fast.simulator import Car, SimulatedStation
from ocpp_fast.station import TokenResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocpp_fast.cli.options import StationSecurity
    from ocpp_fast.cli.screen import Screen
    from ocpp_fast.clock import Clock
    from ocpp_fast.config import OnRestart
    from ocpp_fast.messages import OcppVersion

__all__ = [
    "SPEED",
    "RunFailed",
    "Unreachable",
    "charge",
    "charge_all",
    "deliver",
    "make_station",
    "pause",
    "wait_accepted",
    "wait_until",
]

SPEED: Final = 60.0
"""How many times faster than the clock the simulated cars charge."""
_DRIVERS: Final = 2
_LOOK_S: Final = 0.1
_DELIVERY_S: Final = 35.0
_REFUSALS: Final = {
    401: "the CSMS refuses the password, or misses one",
    403: "the CSMS refuses this station, or its certificate",
    404: "the CSMS does not know this station",
}
_INSECURE: Final = frozenset(
    {
        ConnectFailure.CERTIFICATE,
        ConnectFailure.CLIENT_CERTIFICATE,
        ConnectFailure.SLOT,
        ConnectFailure.TLS_CIPHER,
        ConnectFailure.TLS_VERSION,
    }
)


class RunFailed(OcppError):
    """The charging run did not go as it should."""


class Unreachable(OcppError):
    """There is no connection to the CSMS."""


def make_station(
    *,
    url: str,
    identity: str,
    versions: tuple[OcppVersion, ...],
    evses: int,
    screen: Screen,
    clock: Clock,
    security: StationSecurity | None = None,
    storage: str | None = None,
    on_restart: OnRestart | None = None,
    **options: Any,
) -> SimulatedStation:
    """A simulated station for a run of some seconds; its serial number is its identity. `options`
    are those of `SimulatedStation`."""
    measurands = ("Energy.Active.Import.Register", "Power.Active.Import", "SoC")
    config = StationConfig(
        identity=identity,
        csms_url=url,
        password=None if security is None else security.password,
        security_profile=None if security is None else security.profile,
        certificates=None if security is None else security.certificates,
        versions=versions,
        serial_number=identity[:25],
        evses=(EvseConfig(),) * evses,
        storage=storage,
        on_restart=on_restart,
        variables=Variables(
            tx_updated_interval_s=1.0,
            tx_started_measurands=measurands,
            tx_updated_measurands=measurands,
            tx_ended_measurands=measurands,
            retry_back_off_wait_minimum_s=1.0,
            retry_back_off_random_range_s=1.0,
            allow_energy_transfer_resumption=storage is not None,
        ),
    )
    station = SimulatedStation(
        config,
        clock=clock,
        speed=SPEED,
        sample_interval_s=0.5,
        on_change=screen.on_change,
        **options,
    )
    screen.watch(station)
    return station


async def wait_until(
    clock: Clock, condition: Callable[[], bool], timeout_s: float, screen: Screen
) -> bool:
    """Whether the condition came true in time; keeps the screen up to date meanwhile."""
    deadline = clock.monotonic() + timeout_s
    while not condition():
        if clock.monotonic() >= deadline:
            return False
        screen.refresh()
        await clock.sleep(_LOOK_S)
    return True


async def wait_accepted(
    station: SimulatedStation, clock: Clock, timeout_s: float, screen: Screen
) -> None:
    """Returns when the CSMS has accepted the station; raises what stands in the way."""
    point = station.charge_point

    def decided() -> bool:
        return point.registration is Registration.ACCEPTED or _is_final(point.connect_error)

    if await wait_until(clock, decided, timeout_s, screen) and point.connected:
        return
    if point.connected:
        text = f"the CSMS has not accepted the station within {timeout_s:g} s"
        raise RunFailed(f"{text} (registration: {point.registration})")
    raise Unreachable(f"{point.config.url}: {_why(point.connect_error)}")


def _why(error: OcppError | None) -> str:
    if isinstance(error, ConnectFailed) and error.http_status in _REFUSALS:
        return f"{_REFUSALS[error.http_status]} (HTTP {error.http_status})"
    return str(error or "no answer")


def _is_final(error: OcppError | None) -> bool:
    """Whether the next attempt will fail too. A station tries again all the same, a person at the
    command line had better be told."""
    return isinstance(error, ConnectFailed) and (
        error.http_status in _REFUSALS or error.failure in _INSECURE
    )


async def charge(
    station: SimulatedStation,
    evse_id: int,
    *,
    token: str,
    token_first: bool,
    seconds: float,
    screen: Screen,
    clock: Clock,
) -> str:
    """One driver's visit; returns the transactionId. Raises `RunFailed`."""
    car = Car(capacity_wh=60_000.0, energy_wh=12_000.0 * evse_id, max_power_w=22_000.0)
    for step in ("token", "car") if token_first else ("car", "token"):
        if step == "car":
            screen.line(f"EVSE {evse_id}: a driver plugs in a car")
            await station.plug_in(evse_id, car)
        else:
            screen.line(f"EVSE {evse_id}: a driver presents a card")
            outcome = await station.swipe(token, evse_id)
            if outcome.result is not TokenResult.STARTED:
                text = f"the card was not accepted: {outcome.result}, {outcome.status}"
                raise RunFailed(text)
        await pause(clock, 1.0, screen)
    transaction_id = station.evse(evse_id).transaction_id
    if transaction_id is None:
        raise RunFailed(f"no transaction has started at EVSE {evse_id}")
    await pause(clock, seconds, screen)
    screen.line(f"EVSE {evse_id}: the driver presents the card again")
    await station.swipe(token, evse_id)
    await pause(clock, 1.0, screen)
    screen.line(f"EVSE {evse_id}: the driver unplugs and leaves")
    await station.unplug(evse_id)
    return transaction_id


async def charge_all(
    station: SimulatedStation, seconds: float, screen: Screen, clock: Clock
) -> list[str]:
    """A driver at each of the first two EVSEs: one plugs in first, one presents the card first."""
    visits = [
        charge(
            station,
            evse_id,
            token=f"DEADBEEF{evse_id:02}",
            token_first=evse_id > 1,
            seconds=seconds,
            screen=screen,
            clock=clock,
        )
        for evse_id in list(station.hardware)[:_DRIVERS]
    ]
    return list(await asyncio.gather(*visits))


async def deliver(station: SimulatedStation, clock: Clock, screen: Screen) -> None:
    """Returns when the CSMS has confirmed all events; raises `RunFailed`."""
    delivery = station.charge_point.delivery
    await wait_until(clock, lambda: not delivery.waiting, _DELIVERY_S, screen)
    if delivery.waiting:
        raise RunFailed(f"{delivery.waiting} messages were not confirmed by the CSMS")
    if refused := delivery.dead - delivery.unsupported:
        raise RunFailed(f"{refused} messages were refused by the CSMS")


async def pause(clock: Clock, duration_s: float, screen: Screen) -> None:
    """Waits, and keeps the screen up to date."""
    await wait_until(clock, lambda: False, duration_s, screen)
