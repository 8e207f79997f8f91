"""The network configuration of one station without links: device model, slots, their block."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Self

from device_model.models import set_request
from ocpp_fast.blocks.context import Context
from ocpp_fast.blocks.network_profiles import NetworkProfiles
from ocpp_fast.callbacks import Callbacks
from ocpp_fast.clock import SystemClock
from ocpp_fast.config import SlotConfig, StationConfig
from ocpp_fast.connectivity.slots import NetworkSlot, Slots
from ocpp_fast.device_model.component_files import ComponentFiles
from ocpp_fast.errors import StorageError
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion
from ocpp_fast.restoring import Restart
from ocpp_fast.station_clock import StationClock
from ocpp_fast.storage import MemoryStorage, ValueRow

FILES: Final = ComponentFiles()
RESTART: Final = Restart("PowerUp", datetime(2026, 1, 1, tzinfo=UTC))
PASSWORD: Final = "a password of the station"
OTHER: Final = "another password, longer"
SLOT: Final = "NetworkConfiguration"
COMM: Final = "OCPPCommCtrlr"
PRIORITY: Final = (COMM, "NetworkConfigurationPriority")


class CutStorage(MemoryStorage):
    """Ends the process at the `cut`th verb that writes, before or after it has written, and fails
    all verbs that are named in `broken`."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: set[str] = set()
        self.verbs: list[str] = []
        self.rows: list[list[ValueRow]] = []
        self.cut: int | None = None
        self.after = False

    def values_store(self, rows: Any) -> Any:
        rows = list(rows)
        self.rows.append(rows)
        return self._verb("values_store", lambda: MemoryStorage.values_store(self, rows))

    def state_store(self, changes: Any) -> Any:
        return self._verb("state_store", lambda: MemoryStorage.state_store(self, changes))

    def _verb(self, name: str, write: Any) -> Any:
        if name in self.broken:
            raise StorageError("memory", name, "it is broken")
        self.verbs.append(name)
        if self.cut == len(self.verbs):
            if self.after:
                write()
            raise PowerCut
        return write()


class PowerCut(BaseException):
    """Nothing that comes after this happens."""


class Certificates:
    """What the certificate store would say."""

    def __init__(self, *, root: bool = True, client: bool = True) -> None:
        self.root = root
        self.client = client

    def has_csms_root(self) -> bool:
        return self.root

    def has_client_certificate(self) -> bool:
        return self.client


class Network:
    """One run of a station. `again` is the next one, with the same storage."""

    def __init__(
        self,
        version: OcppVersion = OcppVersion.V21,
        *,
        storage: CutStorage | None = None,
        certificates: Certificates | None = None,
        validate: Any = None,
        networks: bool = False,
        **config: Any,
    ) -> None:
        self.version = version
        self.storage = storage or CutStorage()
        self.certificates = certificates or Certificates()
        self._options: dict[str, Any] = {"validate": validate, "networks": networks, **config}
        settings: dict[str, Any] = {
            "identity": "CS001",
            "csms_url": "ws://one.test/ocpp",
            "password": PASSWORD,
            **config,
        }
        self.config = StationConfig(**settings)
        clock = SystemClock()
        self.model = FILES.device_model(self.config, self.storage, clock=clock, networks=networks)
        self.slots = Slots(self.model, self.config, self.storage, self.certificates)
        nobody: Any = None
        context = Context(
            clock=StationClock(clock),
            ids=Ids(1),
            device_model=self.model,
            callbacks=Callbacks(
                is_reset_allowed_callback=nobody,
                reset_callback=nobody,
                stop_transaction_callback=nobody,
                pause_charging_callback=nobody,
                remote_start_transaction_callback=nobody,
                validate_network_profile_callback=validate,
            ),
            delivery=nobody,
            spawn=nobody,
            version=version,
            callback_timeout_s=1,
        )
        self.profiles = NetworkProfiles(context, self.model, self.slots)

    async def open(self) -> Self:
        await self.storage.open()
        await self.model.open()
        await self.slots.restore(await self.storage.state_load(), RESTART)
        return self

    async def again(self, **config: Any) -> Network:
        """What a restart finds. Nothing that was not stored survives."""
        storage, self.storage.cut = self.storage, None
        options = {**self._options, **config}
        return await Network(
            self.version, storage=storage, certificates=self.certificates, **options
        ).open()

    # --- as the station sees it ---------------------------------------------------------------

    def get(self, component: str, variable: str, slot: int | None = None) -> str | None:
        instance = None if slot is None else str(slot)
        return self.model.variable(component, variable, instance=instance).text()

    def put(self, component: str, variable: str, text: str, slot: int | None = None) -> None:
        """The integrator writes."""
        instance = None if slot is None else str(slot)
        self.model.variable(component, variable, instance=instance).set(text)

    def connect(self, slot: int) -> NetworkSlot:
        """There is a link over a slot."""
        read = self.slots.read(slot)
        self.slots.connected(read)
        return read

    async def accept(self, slot: int) -> None:
        """There is a link over a slot, and the CSMS has accepted the station."""
        await self.slots.confirmed(self.connect(slot))

    # --- as the CSMS sees it ------------------------------------------------------------------

    async def set_all(self, *wanted: tuple[str, str, int | None, str]) -> list[str]:
        """SetVariables: (component, variable, slot, value); the statuses with the reason codes."""
        items = (
            (name if slot is None else {"name": name, "instance": str(slot)}, variable, None, text)
            for name, variable, slot, text in wanted
        )
        response: Any = await self.model.set_variables(set_request(self.version, *items))
        found: list[str] = []
        for result in response.set_variable_result:
            info = result.attribute_status_info
            code = "" if info is None else f" {info.reason_code}"
            found.append(f"{result.attribute_status}{code}")
        return found

    async def set(self, component: str, variable: str, text: str, slot: int | None = None) -> str:
        (status,) = await self.set_all((component, variable, slot, text))
        return status

    async def prioritize(self, text: str) -> str:
        """Sets NetworkConfigurationPriority."""
        return await self.set(*PRIORITY, text)

    async def send(self, slot: int, **changes: Any) -> str:
        """SetNetworkProfile; status and reason code."""
        m: Any = self.version.module
        handler: Any = self.profiles.handlers["SetNetworkProfile"]
        request = m.SetNetworkProfileRequest(
            configuration_slot=slot, connection_data=profile(self.version, **changes)
        )
        response = await handler(request)
        info = response.status_info
        return f"{response.status}" + ("" if info is None else f" {info.reason_code}")


def profile(version: OcppVersion, **changes: Any) -> Any:
    """A NetworkConnectionProfileType."""
    m: Any = version.module
    members: dict[str, Any] = {
        "ocpp_version": "OCPP20",
        "ocpp_transport": "JSON",
        "ocpp_csms_url": "ws://new.test/ocpp",
        "message_timeout": 25,
        "security_profile": 1,
        "ocpp_interface": "Wired0",
        **changes,
    }
    return m.NetworkConnectionProfileType(**members)


def apn(version: OcppVersion, **changes: Any) -> Any:
    members: Mapping[str, Any] = {
        "apn": "internet", "apn_authentication": "CHAP", "apn_user_name": "user",
        "apn_password": "apn secret", "sim_pin": 1234, "preferred_network": "20404",
        "use_only_preferred_network": True, **changes,
    }  # fmt: skip
    m: Any = version.module
    return m.APNType(**members)


def vpn(version: OcppVersion, **changes: Any) -> Any:
    members: Mapping[str, Any] = {
        "server": "vpn.test", "user": "u", "password": "vpn secret", "key": "vpn key",
        "type": "IKEv2", "group": "g", **changes,
    }  # fmt: skip
    m: Any = version.module
    return m.VPNType(**members)


def two(url: str = "ws://two.test/ocpp", **more: Any) -> tuple[SlotConfig, ...]:
    """One further slot."""
    return (SlotConfig(csms_url=url, **more),)
