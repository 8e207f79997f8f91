"""This package's message path: `Connection` on both ends, typed messages in and out."""

from collections.abc import Iterable

from bench.link.workload import Run, messages
from ocpp_fast._core import Codec, Message
from ocpp_fast.clock import SystemClock
from ocpp_fast.connection import Connection
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion, v21
from ocpp_fast.router import Role, Router
from ocpp_fast.transport import picows
from ocpp_fast.transport.base import Transport

_VERSION = OcppVersion.V21
# The floor compresses nothing either, and a link over loopback has nothing to gain.
_PLAIN = picows.WebSocketSettings(deflate=None)


def _transaction_event(request: v21.TransactionEventRequest) -> v21.TransactionEventResponse:
    return v21.TransactionEventResponse()


def _meter_values(request: v21.MeterValuesRequest) -> v21.MeterValuesResponse:
    return v21.MeterValuesResponse()


async def serve() -> int:
    """Starts the server; its port."""
    clock, ids, codec = SystemClock(), Ids(), Codec(_VERSION)
    table = {"TransactionEvent": _transaction_event, "MeterValues": _meter_values}
    router = Router(_VERSION, Role.CSMS, [table])

    def listen(transport: Transport) -> Connection:
        return Connection(transport, router, codec, clock=clock, ids=ids)

    accepted = picows.Accepted(listen)
    server = await picows.serve(lambda _: accepted, "127.0.0.1", 0, clock=clock, settings=_PLAIN)
    return server.port


async def connect(port: int, action: str) -> tuple[list[Message], Run[Message]]:
    """The items to send, and the function that sends some of them, one after the other."""
    clock, ids, codec = SystemClock(), Ids(), Codec(_VERSION)
    router = Router(_VERSION, Role.CHARGING_STATION, [])
    connection = await picows.connect(
        f"ws://127.0.0.1:{port}/bench",
        lambda transport: Connection(transport, router, codec, clock=clock, ids=ids),
        clock=clock,
    )

    async def run(batch: Iterable[Message]) -> None:
        for message in batch:
            await connection.call(message)

    return messages(action), run
