"""What is killed: processes that write, and end before they are done.

Each function is the body of a process of its own. What it has made durable it says through `told`
before it goes on, so whoever kills it knows what has to be there afterwards.
"""

import asyncio
import os
import resource
import signal
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import cache
from multiprocessing.connection import Connection
from typing import Any

from ocpp_fast.clock import SystemClock
from ocpp_fast.device_model import DeviceModel, files
from ocpp_fast.messages import OcppVersion, v201
from ocpp_fast.storage import OutboxRow, Storage
from ocpp_fast.storage.sqlite import SqliteStorage

VARIABLES = 20
COMPONENT = "KilledCtrlr"


def text(number: int, variable: int) -> str:
    """What request `number` sets; of various lengths, so that rows move in their pages."""
    return f"{number}:{'x' * (number * 37 % 300 + variable)}"


def number_in(value: str) -> int:
    """The request that has set a value."""
    return int(value.partition(":")[0])


@cache
def _files() -> Any:
    return files.load(files.packaged_files(), (1, 1), tuple(OcppVersion))


async def device_model(storage: Storage) -> DeviceModel:
    """The packaged components and one with the variables that are set here."""
    model = DeviceModel(_files().copy(), storage, clock=SystemClock())
    properties = {
        f"V{number}": {
            "variable_name": f"V{number}",
            "characteristics": {"dataType": "string", "supportsMonitoring": False},
            "attributes": [{"type": "Actual", "mutability": "ReadWrite", "value": text(0, number)}],
        }
        for number in range(VARIABLES)
    }
    model.define({"name": COMPONENT, "properties": properties})
    await model.open()
    return model


def request(number: int) -> v201.SetVariablesRequest:
    """SetVariables number so-and-so."""
    return v201.SetVariablesRequest(
        set_variable_data=[
            v201.SetVariableDataType(
                attribute_value=text(number, variable),
                component=v201.ComponentType(name=COMPONENT),
                variable=v201.VariableType(name=f"V{variable}"),
            )
            for variable in range(VARIABLES)
        ]
    )


def message(number: int) -> OutboxRow:
    """Goes into the outbox before request `number`, and out after it."""
    return OutboxRow(number, f"tx-{number % 3}", "2.0.1", "TransactionEvent", b"{}" * number)


def set_variables(path: str, told: Connection, first: int) -> None:
    """Starts like a station, then sets all variables again and again; says the number of each
    request that was answered."""

    async def run() -> None:
        storage = SqliteStorage(path)
        await storage.open()
        # The WAL is copied into the database and begun anew all the time.
        await storage._run("test", "PRAGMA wal_autocheckpoint = 20")
        model = await device_model(storage)
        told.send(first - 1)
        for number in range(first, first + 100_000):
            await storage.outbox_append([message(number)])
            response: Any = await model.set_variables(request(number))
            assert {result.attribute_status for result in response.set_variable_result} == {
                "Accepted"
            }
            told.send(number)
            await storage.outbox_remove([number])

    _run(run())


def start(path: str, told: Connection) -> None:
    """Starts like a station."""

    async def run() -> None:
        storage = SqliteStorage(path)
        told.send("begins")
        await storage.open()
        await device_model(storage)
        told.send("ready")
        _die()

    _run(run())


def write(path: str, told: Connection, steps: Sequence[tuple[str, Any]]) -> None:
    """Runs verbs of the storage with an argument or a tuple of them, and two of its own: `sql` runs
    a statement; `limit` has the process killed by the first byte that is to be written beyond that
    many bytes of any file, in the middle of whatever is being written to the disk."""

    async def run() -> None:
        storage = SqliteStorage(path)
        for step, argument in steps:
            if step == "open":
                await storage.open()
            elif step == "limit":
                _kill_beyond(argument)
            elif step == "sql":
                await storage._run("test", argument)
            else:
                verb: Callable[..., Awaitable[Any]] = getattr(storage, step)
                await (verb(*argument) if isinstance(argument, tuple) else verb(argument))
            told.send(step)
        _die()

    _run(run())


def _run(body: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(body)
    except BaseException:
        traceback.print_exc()
        # The thread of a storage that was not closed would keep the process alive.
        os._exit(1)


def _kill_beyond(size: int) -> None:
    # Python ignores the signal, and would get an error instead.
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _die() -> None:
    """Without closing anything."""
    os.kill(os.getpid(), signal.SIGKILL)
