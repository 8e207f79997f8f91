"""The credentials of a station on the wire: what the CSMS sets holds from the next link on."""

import asyncio
from types import SimpleNamespace
from typing import Any

from device_model.models import set_request
from interop.raw_peer import LIMIT_S
from interop.websocket_kit import CLOCK, Listener
from ocpp_fast.config import StationConfig
from ocpp_fast.connectivity import Attempt
from ocpp_fast.connectivity.slots import Slots
from ocpp_fast.device_model.component_files import ComponentFiles
from ocpp_fast.dialling import Dialler
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage
from ocpp_fast.transport import picows
from ocpp_fast.transport.handshake import Credentials, Handshake
from ocpp_fast.transport.picows import Accepted


async def test_a01_fr_02_the_next_link_is_opened_with_what_was_set() -> None:
    seen: list[Handshake] = []

    def accept(handshake: Handshake) -> Accepted:
        seen.append(handshake)
        return Accepted(Listener)

    server = await picows.serve(accept, "127.0.0.1", 0, clock=CLOCK)
    config = StationConfig(
        identity="CS001", csms_url=f"ws://127.0.0.1:{server.port}/ocpp", password="configured"
    )
    storage = MemoryStorage()
    model = ComponentFiles().device_model(config, storage, clock=CLOCK)
    nothing: Any = SimpleNamespace(
        previous=None, configure_network_connection_profile_callback=None
    )
    dialler: Any = Dialler(
        config,
        Slots(model, config, storage),
        nothing,
        nothing,
        tls=lambda: nothing,
        variables=lambda: model.variables,
        clock=CLOCK,
    )
    await asyncio.wait_for(dialler.open(Attempt(1), Listener), LIMIT_S)
    await model.set_variables(
        set_request(
            OcppVersion.V21,
            ("SecurityCtrlr", "BasicAuthPassword", None, "0123456789abcdef"),
            ("SecurityCtrlr", "Identity", None, "CS002"),
        )
    )
    await asyncio.wait_for(dialler.open(Attempt(1), Listener), LIMIT_S)
    await server.close()
    used = [(each.path, each.credentials) for each in seen]
    assert used == [
        ("/ocpp/CS001", Credentials("CS001", "configured")),
        ("/ocpp/CS002", Credentials("CS002", "0123456789abcdef")),
    ]
