"""`ocpp-fast demo`: a CSMS and a station in one process."""

from __future__ import annotations

from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ocpp_fast.cli.csms import Witness
from ocpp_fast.cli.options import SecurityProfile, pki_csms, pki_station
from ocpp_fast.cli.running import INCOMPLETE, run_command
from ocpp_fast.cli.screen import Screen
from ocpp_fast.cli.session import (
    SPEED,
    charge_all,
    deliver,
    make_station,
    wait_accepted,
    wait_until,
)
from ocpp_fast.clock import SystemClock
from ocpp_fast.csms import Csms
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion

if TYPE_CHECKING:
    from ocpp_fast.csms import TransactionRecord

__all__ = ["demo"]

_ACCEPT_S: Final = 15.0
_ENDED_S: Final = 10.0
_IDENTITY: Final = "CS001"


def demo(
    version: Annotated[OcppVersion, typer.Option(help="OCPP version.")] = OcppVersion.V21,
    seconds: Annotated[float, typer.Option(min=2, max=3_600, help="How long to charge.")] = 6.0,
    security_profile: SecurityProfile = 0,
) -> None:
    """Run a CSMS and a station with two EVSEs, and charge two cars.

    Exit code 0 means that the CSMS has received two complete transactions over a real WebSocket.
    With a security profile, password and certificates are made for this run alone.
    """
    with TemporaryDirectory(prefix="ocpp-fast-pki-") as folder:
        run_command(_demo(version, seconds, security_profile or 0, folder))


async def _demo(version: OcppVersion, seconds: float, profile: int, folder: str) -> int:
    clock = SystemClock()
    if profile:
        from ocpp_fast.csms.pki_folder import write_pki

        write_pki(folder, identity=_IDENTITY, clock=clock, ids=Ids())
    with Screen() as screen:
        security = pki_csms(folder, profile, clock) if profile else None
        async with Csms(clock=clock, observer=Witness(screen), security=security) as csms:
            screen.line(f"CSMS at {csms.url}, OCPP 2.1 and 2.0.1, security profile {profile}")
            screen.line(f"Simulated cars and meters run {SPEED:g} times faster than the clock.")
            station = make_station(
                url=csms.url,
                identity=_IDENTITY,
                versions=(version,),
                evses=2,
                screen=screen,
                clock=clock,
                security=pki_station(folder, profile) if profile else None,
            )
            async with station:
                await wait_accepted(station, clock, _ACCEPT_S, screen)
                ids = await charge_all(station, seconds, screen, clock)
                await deliver(station, clock, screen)
                records = csms.stations[_IDENTITY].transactions

                def ended() -> bool:
                    return all(i in records and not records[i].problems() for i in ids)

                await wait_until(clock, ended, _ENDED_S, screen)
    return _summary([records.get(i) for i in ids], screen)


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
