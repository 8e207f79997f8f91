"""`ocpp-fast config`: component files, the description of a station's device model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from ocpp_fast.config import MAX_CONNECTORS_PER_EVSE, MAX_EVSES
from ocpp_fast.device_model.files import ComponentFilesInvalid, load, read_folder, sample_files
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.messages import OcppVersion

if TYPE_CHECKING:
    from ocpp_fast.device_model.files import Problem

__all__ = ["config"]

INVALID: Final = 1

config = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Component files: what a station consists of and how it is set.",
)


@config.command()
def check(
    folder: Annotated[str, typer.Argument(help="Folder with standardized/ and custom/.")],
    version: Annotated[
        OcppVersion | None,
        typer.Option(help="Check for this OCPP version only.", show_default="both"),
    ] = None,
) -> None:
    """Check component files; exit code 1 if there is a problem.

    Prints every problem as file, place in the file, variable and what is wrong.
    """
    console = _console()
    versions = tuple(OcppVersion) if version is None else (version,)
    try:
        model = load(read_folder(folder), versions=versions)
    except ComponentFilesInvalid as invalid:
        for problem in invalid.problems:
            console.print(_line(problem))
        files = {problem.file for problem in invalid.problems if problem.file}
        found = _count(len(invalid.problems), "problem")
        console.print(f"{found} in {_count(len(files), 'file')}" if files else found)
        raise typer.Exit(INVALID) from None
    connectors = model.connectors()
    parts = (
        _count(len(model.components()), "component"),
        _count(model.variable_count, "variable"),
        _count(len(connectors), "EVSE"),
        _count(sum(connectors.values()), "connector"),
    )
    console.print(f"{folder}: no problems; {', '.join(parts)}")


@config.command()
def init(
    folder: Annotated[str, typer.Argument(help="A folder that is empty or not there yet.")],
    evses: Annotated[
        int | None,
        typer.Option(
            min=1, max=MAX_EVSES, help="How many EVSEs.", show_default="2, described one by one"
        ),
    ] = None,
    connectors: Annotated[
        int, typer.Option(min=1, max=MAX_CONNECTORS_PER_EVSE, help="How many connectors at each.")
    ] = 1,
) -> None:
    """Write component files to start from.

    With --evses one file describes all EVSEs, and one all their connectors.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigurationError(f"{folder}: is there already, and nothing is overwritten")
    if evses is None and connectors > 1:
        evses = 2
    files = sample_files(evses, connectors)
    for path, content in files:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(content)
    console = _console()
    console.print(f"{folder}: {_count(len(files), 'component file')} written")
    console.print(f"Change them, then: ocpp-fast config check {folder}")


def _console() -> Console:
    # Long lines stay whole, so that other programs can read them.
    return Console(highlight=False, soft_wrap=True, markup=False)


def _line(problem: Problem) -> Text:
    """The same text as `str(problem)`, in colours where there are any."""
    styles = ("bold", "dim", "cyan")
    where = zip((problem.file, problem.pointer, problem.variable), styles, strict=True)
    line = Text()
    for part, style in where:
        if part:
            line.append(part, style).append(": ")
    return line.append(problem.message)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
