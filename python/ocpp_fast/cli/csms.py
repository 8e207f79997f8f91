"""`ocpp-fast csms`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ocpp_fast.cli.options import (
    Password,
    PasswordFile,
    PkiFolder,
    SecurityProfile,
    csms_security,
    read_password,
)
from ocpp_fast.cli.running import run_command
from ocpp_fast.cli.screen import Screen, describe
from ocpp_fast.clock import SystemClock
from ocpp_fast.csms import Csms, CsmsObserver

if TYPE_CHECKING:
    from ocpp_fast.csms import CsmsSecurity, StationRecord
    from ocpp_fast.errors import ConnectFailed
    from ocpp_fast.transport.base import CloseReason

__all__ = ["Witness", "csms"]


class Witness(CsmsObserver):
    """Shows what the CSMS receives."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def on_connected(self, station: StationRecord) -> None:
        self._screen.line(f"CSMS: {station.identity} connected, OCPP {station.version}")

    def on_disconnected(self, station: StationRecord, reason: CloseReason) -> None:
        self._screen.line(f"CSMS: {station.identity} disconnected, {reason}")

    def on_refused(self, identity: str, status: int, reason: str) -> None:
        self._screen.line(f"CSMS: {identity} refused with {status}, {reason}")

    def on_tls_refused(self, error: ConnectFailed) -> None:
        self._screen.line(f"CSMS: a client refused in the TLS handshake, {error.detail}")

    def on_request(self, station: StationRecord, action: str, request: Any) -> None:
        self._screen.line(f"CSMS: {station.identity} {action}  {describe(request)}".rstrip())


def csms(  # noqa: PLR0917  # typer reads the parameters
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 9000,
    security_profile: SecurityProfile = None,
    pki: PkiFolder = None,
    password: Password = None,
    password_file: PasswordFile = None,
    tls_cert: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="PEM, the own certificate first. Once or twice (EC, RSA)."
        ),
    ] = None,
    tls_key: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="PEM, for each --tls-cert its key.")
    ] = None,
    tls_client_ca: Annotated[
        str | None, typer.Option(metavar="FILE", help="PEM, roots of the stations' certificates.")
    ] = None,
) -> None:
    """Serve OCPP 2.0.1 and 2.1 stations until interrupted, and print what they send.

    All stations have the same password, unless --pki says otherwise.
    """
    security = csms_security(
        profile=security_profile,
        password=read_password(password, password_file),
        pki=pki,
        chains=tls_cert or (),
        keys=tls_key or (),
        client_roots=tls_client_ca,
        clock=SystemClock(),
    )
    run_command(_csms(host, port, security))


async def _csms(host: str, port: int, security: CsmsSecurity) -> int:
    screen = Screen()
    witness = Witness(screen)
    async with Csms(host=host, port=port, observer=witness, security=security) as csms:
        profile = f"security profile {security.profile}"
        where = f"{csms.url}/<identity>"
        screen.line(f"CSMS at {where}, OCPP 2.1 and 2.0.1, {profile}; stop with Ctrl-C")
        await asyncio.Event().wait()
    return 0
