"""The command `ocpp-fast`.

Exit codes: 0 done; 1 the run did not end as it should, or what was checked has problems; 2 wrong
usage; 3 the outside world is in the way (no connection, port taken, bad file, missing package);
130 interrupted.
"""

import sys

__all__ = ["main"]


def main() -> None:
    """Runs the command line; never returns."""
    try:
        from ocpp_fast.cli.app import run
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich"}:
            raise
        print(
            "ocpp-fast needs its command-line packages: pip install 'ocpp-fast[cli]'",
            file=sys.stderr,
        )
        sys.exit(3)
    run()
