"""Everything: a `ChargePoint` with its outbox in memory, and the simple CSMS.

TransactionEvents go the way of guaranteed delivery: a batch is stored, then the outbox sends one
after the other, and forgets each when it is confirmed. MeterValues go the direct way, as they do
in a station.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from bench.link.workload import Run, messages
from ocpp_fast.callbacks import Callbacks
from ocpp_fast.charge_point import ChargePoint
from ocpp_fast.config import EvseConfig, StationConfig, Variables
from ocpp_fast.csms import Csms
from ocpp_fast.messages import Message, OcppVersion, v21
from ocpp_fast.storage import Storage
from ocpp_fast.transport.picows import WebSocketSettings

_VERSION = OcppVersion.V21
_LANE = "bench"


async def serve() -> int:
    """Starts the CSMS; its port."""
    # Compression is the CSMS's to refuse; see `ours`.
    csms = Csms(port=0, web_socket=WebSocketSettings(deflate=None))
    await csms.start()
    return csms.port


async def started(port: int, storage: Storage | None = None) -> ChargePoint:
    """A charge point that the CSMS has accepted and that has told it of its connectors."""
    config = StationConfig(
        identity="bench",
        csms_url=f"ws://127.0.0.1:{port}",
        evses=(EvseConfig(),),
        versions=(_VERSION,),
        variables=Variables(heartbeat_interval_s=86_400),
    )
    booted = asyncio.Event()
    charge_point = ChargePoint(config, callbacks(booted.set), storage=storage)
    await charge_point.start()
    await booted.wait()
    await asyncio.sleep(0.2)  # for the StatusNotifications that follow
    return charge_point


async def connect(port: int, action: str) -> tuple[list[Message], Run[Message]]:
    """The items to send, and the function that sends some of them, one after the other."""
    charge_point = await started(port)
    if action == "MeterValues":
        # What its block does; the `on_*` method samples and converts on top.
        context = charge_point._context  # pyright: ignore[reportPrivateUsage]

        async def call(batch: Iterable[Message]) -> None:
            for request in batch:
                await context.call(request, v21.MeterValuesResponse)

        return messages(action), call
    delivery = charge_point.delivery

    async def deliver(batch: Iterable[Message]) -> None:
        for request in batch:
            await delivery.post(_VERSION, action, request, _LANE)
        await delivery.drained()

    return messages(action), deliver


def callbacks(booted: Callable[[], object]) -> Callbacks:
    """Nothing is asked for; `booted` is called when the CSMS has answered."""

    async def on_boot(response: v21.BootNotificationResponse) -> None:
        booted()

    async def never(*_: Any) -> Any:
        raise AssertionError("the CSMS of the benchmark asks for nothing")

    return Callbacks(
        is_reset_allowed_callback=never,
        reset_callback=never,
        stop_transaction_callback=never,
        pause_charging_callback=never,
        remote_start_transaction_callback=never,
        boot_notification_callback=on_boot,
    )
