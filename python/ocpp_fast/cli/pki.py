"""`ocpp-fast pki`: certificates and passwords for development."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from ocpp_fast.clock import SystemClock
from ocpp_fast.ids import Ids
from ocpp_fast.transport.handshake import check_identity

__all__ = ["pki"]


def pki(
    folder: Annotated[
        str, typer.Argument(metavar="DIR", help="A folder that is empty or not there yet.")
    ],
    identity: Annotated[str, typer.Option("--id", help="Identity of the station.")] = "CS001",
    host: Annotated[
        list[str] | None,
        typer.Option(
            help="Name or address of the CSMS; repeat it for several.",
            show_default="localhost, 127.0.0.1, ::1",
        ),
    ] = None,
) -> None:
    """Make a public key infrastructure for development: a CSMS, a station, a car's contract.

    Its private keys lie in the folder without a password; it is not for the field.
    """
    from ocpp_fast.csms.pki_folder import HOSTS, write_pki

    check_identity(identity)
    write_pki(folder, identity=identity, clock=SystemClock(), ids=Ids(), hosts=host or HOSTS)
    place = shlex.quote(folder)
    url = "" if host is None else f" --url wss://{host[0]}:9000"
    print(f"{folder}: certificates, keys and a password written")
    for profile in (2, 3):
        options = f"--pki {place} --security-profile {profile}"
        print(f"ocpp-fast csms {options} & ocpp-fast station {options}{url}; kill $!")
