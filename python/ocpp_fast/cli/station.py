"""`ocpp-fast station`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from ocpp_fast.cli.comeback import Comeback
from ocpp_fast.cli.options import (
    Password,
    PasswordFile,
    PkiFolder,
    SecurityProfile,
    read_password,
    station_security,
)
from ocpp_fast.cli.running import run_command
from ocpp_fast.cli.screen import Screen
from ocpp_fast.cli.session import SPEED, charge_all, deliver, make_station, wait_accepted
from ocpp_fast.clock import SystemClock
from ocpp_fast.config import OnRestart
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.messages import OcppVersion

if TYPE_CHECKING:
    from ocpp_fast.cli.options import StationSecurity

__all__ = ["station"]

_TLS: Final = 2


def station(  # noqa: PLR0917  # typer reads the parameters
    url: Annotated[
        str | None,
        typer.Option(
            help="The CSMS, as ws://host:port/path.",
            show_default="with --pki port 9000 of localhost",
        ),
    ] = None,
    identity: Annotated[
        str | None,
        typer.Option("--id", help="Identity of the station.", show_default="that of --pki"),
    ] = None,
    version: Annotated[
        OcppVersion | None, typer.Option(help="Offer this version only.", show_default="both")
    ] = None,
    evses: Annotated[int, typer.Option(min=1, max=100, help="How many EVSEs.")] = 2,
    seconds: Annotated[float, typer.Option(min=2, max=3_600, help="How long to charge.")] = 6.0,
    security_profile: SecurityProfile = None,
    pki: PkiFolder = None,
    password: Password = None,
    password_file: PasswordFile = None,
    tls_certificates: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder of a certificate store.")
    ] = None,
    tls_ca: Annotated[
        str | None, typer.Option(metavar="FILE", help="PEM, roots of the CSMS's certificate.")
    ] = None,
    tls_cert: Annotated[
        str | None, typer.Option(metavar="FILE", help="PEM, the own certificate first.")
    ] = None,
    tls_key: Annotated[
        str | None, typer.Option(metavar="FILE", help="PEM, the key of --tls-cert.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="SQLite file of the durable state. A run that was killed goes on from it.",
        ),
    ] = None,
    on_restart: Annotated[
        OnRestart, typer.Option(help="What becomes of transactions of a run that was killed.")
    ] = OnRestart.RESUME,
    cars_gone: Annotated[  # noqa: FBT002  # typer makes an option of it
        bool, typer.Option("--cars-gone", help="The cars of that run have left meanwhile.")
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0, max=3_600, help="How long to wait to be accepted, in s.")
    ] = 15.0,
) -> None:
    """Connect a simulated station to any CSMS, charge one or two cars, and leave.

    With --storage, what a killed run has left comes first: its transactions go on or are closed,
    and the drivers end their visits. Exit code 0 means that the CSMS has confirmed every event of
    the transactions.
    """
    with station_security(
        profile=security_profile,
        password=read_password(password, password_file),
        pki=pki,
        certificates=tls_certificates,
        authority=tls_ca,
        chain=tls_cert,
        key=tls_key,
    ) as security:
        work = _station(
            url=_url(url, pki, security),
            identity=_identity(identity, pki),
            versions=(OcppVersion.V21, OcppVersion.V201) if version is None else (version,),
            evses=evses,
            seconds=seconds,
            security=security,
            storage=storage,
            on_restart=on_restart,
            cars_gone=cars_gone,
            wait_s=wait,
        )
        run_command(work)


def _url(url: str | None, pki: str | None, security: StationSecurity) -> str:
    if url is not None:
        return url
    if pki is None:
        raise ConfigurationError("--url: the address of the CSMS is missing")
    return f"{'ws' if (security.profile or 0) < _TLS else 'wss'}://localhost:9000"


def _identity(identity: str | None, pki: str | None) -> str:
    if identity is not None:
        return identity
    if pki is None:
        raise ConfigurationError("--id: the identity of the station is missing")
    from ocpp_fast.csms.pki_folder import read_identity

    return read_identity(pki, SystemClock())


async def _station(
    *,
    url: str,
    identity: str,
    versions: tuple[OcppVersion, ...],
    evses: int,
    seconds: float,
    security: StationSecurity,
    storage: str | None,
    on_restart: OnRestart,
    cars_gone: bool,
    wait_s: float,
) -> int:
    clock = SystemClock()
    with Screen() as screen:
        comeback = Comeback(screen)
        station = make_station(
            url=url,
            identity=identity,
            versions=versions,
            evses=evses,
            screen=screen,
            clock=clock,
            security=security,
            storage=storage,
            on_restart=None if storage is None else on_restart,
            adapt=comeback.adapt,
            cars={} if cars_gone else None,
        )
        screen.line(f"Simulated cars and meters run {SPEED:g} times faster than the clock.")
        async with station:
            await wait_accepted(station, clock, wait_s, screen)
            screen.line(f"accepted, OCPP {station.charge_point.version}")
            if await comeback.finish(station, seconds, clock):
                ids = comeback.ids
            else:
                ids = await charge_all(station, seconds, screen, clock)
            await deliver(station, clock, screen)
    screen.console.print(f"{len(ids)} transactions delivered: {', '.join(ids)}")
    return 0
