"""What all commands share: exit codes, and the way that a run ends."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

import typer

from ocpp_fast.cli.session import RunFailed
from ocpp_fast.errors import ConfigurationError, OcppError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["INCOMPLETE", "one_line", "run_command"]

INCOMPLETE: Final = 1
USAGE: Final = 2
OUTSIDE: Final = 3
INTERRUPTED: Final = 130


def one_line(work: Callable[[], object]) -> None:
    """Does the work; what goes wrong becomes one line and an exit code."""
    try:
        work()
    except RunFailed as error:
        _fail(str(error), INCOMPLETE)
    except ConfigurationError as error:
        _fail(str(error), USAGE)
    except (OcppError, OSError) as error:
        _fail(str(error), OUTSIDE)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _fail(text: str, code: int) -> NoReturn:
    print(f"ocpp-fast: {text}", file=sys.stderr)
    sys.exit(code)


def run_command(work: Coroutine[Any, Any, int]) -> None:
    """Runs a command to its end, on uvloop where there is one."""
    try:
        from uvloop import new_event_loop
    except ImportError:  # Windows
        new_event_loop = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        raise typer.Exit(runner.run(work))
