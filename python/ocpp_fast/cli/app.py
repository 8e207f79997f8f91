"""The commands of `ocpp-fast`."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from ocpp_fast import __version__
from ocpp_fast.cli.config import config
from ocpp_fast.cli.csms import csms
from ocpp_fast.cli.demo import demo
from ocpp_fast.cli.pki import pki
from ocpp_fast.cli.queue import queue
from ocpp_fast.cli.running import one_line
from ocpp_fast.cli.station import station

__all__ = ["app", "run"]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="OCPP 2.0.1 and 2.1: a charging station, a CSMS, and a demonstration of both.",
    epilog="Exit codes: 0 done, 1 the run did not end as it should or problems were found,"
    " 2 wrong usage, 3 no connection, port taken or file not usable, 130 interrupted.",
)
for command in (demo, csms, station, pki):
    app.command()(command)
app.add_typer(config, name="config")
app.add_typer(queue, name="queue")


def run() -> None:
    """Runs the command line; what goes wrong becomes one line and an exit code."""
    one_line(app)


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
