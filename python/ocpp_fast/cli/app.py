"""The commands of `ocpp-fast`."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ocpp_fast import __version__
from ocpp_fast.cli.config import config
from ocpp_fast.cli.screen import Screen, describe
from ocpp_fast.cli.session import (
    SPEED,
    RunFailed,
    charge,
    deliver,
    make_station,
    wait_accepted,
    wait_until,
)
from ocpp_fast.clock import SystemClock
from ocpp_fast.csms import Csms, CsmsObserver
from ocpp_fast.errors import ConfigurationError, OcppError
from ocpp_fast.messages import OcppVersion

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from ocpp_fast.csms import StationRecord, TransactionRecord
    from ocpp_fast.simulator import SimulatedStation
    from ocpp_fast.transport.base import CloseReason

__all__ = ["app", "run"]

INCOMPLETE: Final = 1
USAGE: Final = 2
OUTSIDE: Final = 3
INTERRUPTED: Final = 130

_ACCEPT_S: Final = 15.0
_DRIVERS: Final = 2
_ENDED_S: Final = 10.0

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="OCPP 2.0.1 and 2.1: a charging station, a CSMS, and a demonstration of both.",
    epilog="Exit codes: 0 done, 1 the run did not end as it should or problems were found,"
    " 2 wrong usage, 3 no connection or port taken, 130 interrupted.",
)
app.add_typer(config, name="config")


def run() -> None:
    """Runs the command line; what goes wrong becomes one line and an exit code."""
    try:
        app()
    except RunFailed as error:
        _fail(str(error), INCOMPLETE)
    except ConfigurationError as error:
        _fail(str(error), USAGE)
    except (OcppError, OSError) as error:
        _fail(str(error), OUTSIDE)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _fail(text: str, code: int) -> None:
    print(f"ocpp-fast: {text}", file=sys.stderr)
    sys.exit(code)


def _run(work: Coroutine[Any, Any, int]) -> None:
    """Runs a command to its end, on uvloop where there is one."""
    try:
        from uvloop import new_event_loop
    except ImportError:  # Windows
        new_event_loop = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        raise typer.Exit(runner.run(work))


@app.callback(invoke_without_command=True)
def _about(
    version: Annotated[  # noqa: FBT002  # typer makes a flag of it
        bool, typer.Option("--version", help="Show the version and stop.")
    ] = False,
    log_level: Annotated[
        str | None, typer.Option(help="Log to stderr: debug, info, warning or error.")
    ] = None,
) -> None:
    if log_level is not None:
        try:
            logging.basicConfig(
                level=log_level.upper(), format="%(levelname)s %(name)s %(message)s"
            )
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    if version:
        print(f"ocpp-fast {__version__}")
        raise typer.Exit


class _Witness(CsmsObserver):
    """Shows what the CSMS receives."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def on_connected(self, station: StationRecord) -> None:
        self._screen.line(f"CSMS: {station.identity} connected, OCPP {station.version}")

    def on_disconnected(self, station: StationRecord, reason: CloseReason) -> None:
        self._screen.line(f"CSMS: {station.identity} disconnected, {reason}")

    def on_request(self, station: StationRecord, action: str, request: Any) -> None:
        self._screen.line(f"CSMS: {station.identity} {action}  {describe(request)}".rstrip())


# --- demo -----------------------------------------------------------------------------------


@app.command()
def demo(
    version: Annotated[OcppVersion, typer.Option(help="OCPP version.")] = OcppVersion.V21,
    seconds: Annotated[float, typer.Option(min=2, max=3_600, help="How long to charge.")] = 6.0,
) -> None:
    """Run a CSMS and a station with two EVSEs, and charge two cars.

    Exit code 0 means that the CSMS has received two complete transactions over a real WebSocket.
    """
    _run(_demo(version, seconds))


async def _demo(version: OcppVersion, seconds: float) -> int:
    clock = SystemClock()
    with Screen() as screen:
        async with Csms(clock=clock, observer=_Witness(screen)) as csms:
            screen.line(f"CSMS at {csms.url}, OCPP 2.1 and 2.0.1")
            screen.line(f"Simulated cars and meters run {SPEED:g} times faster than the clock.")
            station = make_station(
                url=csms.url,
                identity="CS001",
                versions=(version,),
                evses=2,
                screen=screen,
                clock=clock,
            )
            async with station:
                await wait_accepted(station, clock, _ACCEPT_S, screen)
                ids = await _charge_all(station, seconds, screen, clock)
                await deliver(station, clock, screen)
                records = csms.stations["CS001"].transactions

                def ended() -> bool:
                    return all(i in records and not records[i].problems() for i in ids)

                await wait_until(clock, ended, _ENDED_S, screen)
    return _summary([records.get(i) for i in ids], screen)


async def _charge_all(
    station: SimulatedStation, seconds: float, screen: Screen, clock: SystemClock
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


def _summary(records: list[TransactionRecord | None], screen: Screen) -> int:
    complete = True
    for record in records:
        if record is None:
            screen.console.print("A transaction never reached the CSMS.")
            complete = False
            continue
        problems = record.problems()
        complete = complete and not problems
        screen.console.print(
            f"Transaction {record.transaction_id} at EVSE {record.evse_id}: "
            f"{record.seq_nos.count} events, seqNo {record.seq_nos.first} to "
            f"{record.seq_nos.next - 1}, {record.updates_with_readings} with meter values, "
            f"{record.energy_wh or 0.0:.0f} Wh, stopped: {record.stopped_reason}: "
            f"{'complete' if not problems else ', '.join(problems)}"
        )
    return 0 if complete else INCOMPLETE


# --- csms -----------------------------------------------------------------------------------


@app.command()
def csms(
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 9000,
) -> None:
    """Serve OCPP 2.0.1 and 2.1 stations until interrupted, and print what they send."""
    _run(_csms(host, port))


async def _csms(host: str, port: int) -> int:
    screen = Screen()
    async with Csms(host=host, port=port, observer=_Witness(screen)) as csms:
        screen.line(f"CSMS at {csms.url}/<identity>, OCPP 2.1 and 2.0.1; stop with Ctrl-C")
        await asyncio.Event().wait()
    return 0


# --- station --------------------------------------------------------------------------------


@app.command()
def station(  # noqa: PLR0917  # typer reads the parameters
    url: Annotated[str, typer.Option(help="The CSMS, as ws://host:port/path.")],
    identity: Annotated[str, typer.Option("--id", help="Identity of the station.")],
    version: Annotated[
        OcppVersion | None, typer.Option(help="Offer this version only.", show_default="both")
    ] = None,
    evses: Annotated[int, typer.Option(min=1, max=100, help="How many EVSEs.")] = 2,
    seconds: Annotated[float, typer.Option(min=2, max=3_600, help="How long to charge.")] = 6.0,
    password: Annotated[
        str | None,
        typer.Option(envvar="OCPP_FAST_PASSWORD", help="For HTTP basic authentication."),
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, max=3_600, help="How long to wait to be accepted, in s.")
    ] = 15.0,
) -> None:
    """Connect a simulated station to any CSMS, charge one or two cars, and leave.

    Exit code 0 means that the CSMS has confirmed every event of the transactions.
    """
    versions = (OcppVersion.V21, OcppVersion.V201) if version is None else (version,)
    work = _station(
        url=url,
        identity=identity,
        versions=versions,
        evses=evses,
        seconds=seconds,
        password=password,
        wait_s=wait,
    )
    _run(work)


async def _station(
    *,
    url: str,
    identity: str,
    versions: tuple[OcppVersion, ...],
    evses: int,
    seconds: float,
    password: str | None,
    wait_s: float,
) -> int:
    clock = SystemClock()
    with Screen() as screen:
        station = make_station(
            url=url,
            identity=identity,
            versions=versions,
            evses=evses,
            screen=screen,
            clock=clock,
            password=password,
        )
        screen.line(f"Simulated cars and meters run {SPEED:g} times faster than the clock.")
        async with station:
            await wait_accepted(station, clock, wait_s, screen)
            screen.line(f"accepted, OCPP {station.charge_point.version}")
            ids = await _charge_all(station, seconds, screen, clock)
            await deliver(station, clock, screen)
    screen.console.print(f"{len(ids)} transactions delivered: {', '.join(ids)}")
    return 0
