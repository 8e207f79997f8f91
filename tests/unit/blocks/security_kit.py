"""The security blocks of one station, with everything around them that does not need a socket: the
device model, the certificate store in a folder, a storage, and a CSMS that is a table of functions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from ocpp_fast.blocks.certificates import Certificates, CertificateStatus
from ocpp_fast.blocks.context import Context, Registration
from ocpp_fast.blocks.provisioning import VariableAccess
from ocpp_fast.blocks.security import ClientCertificates, Passwords, SecurityEvents
from ocpp_fast.callbacks import Callbacks
from ocpp_fast.config import EvseConfig, StationConfig
from ocpp_fast.connectivity.rotation import Generation
from ocpp_fast.device_model.component_files import ComponentFiles
from ocpp_fast.errors import ConnectionLost, StorageError
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion
from ocpp_fast.restoring import Restart
from ocpp_fast.router import Reply
from ocpp_fast.security.station import StationCertificates
from ocpp_fast.security.store import CertificateStore, LeafChain, RootUse
from ocpp_fast.station_clock import StationClock
from ocpp_fast.storage import MemoryStorage, SecurityLogRow
from ocpp_fast.testing import VirtualClock, run_virtual

SERIAL: Final = "SN-0001"
PASSWORD: Final = "first password of CS001"
FILES: Final = ComponentFiles()
RESTART: Final = Restart("PowerUp", datetime(2026, 1, 1, tzinfo=UTC))
CALL_TAKES_S: Final = 0.1


class FailingStorage(MemoryStorage):
    """Fails at the verbs that `broken` names."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: set[str] = set()
        self.verbs: list[str] = []

    def state_store(self, changes: Mapping[str, str | None]) -> Any:
        self._check("state_store")
        return super().state_store(changes)

    def security_log_append(self, rows: Any) -> Any:
        self._check("security_log_append")
        return super().security_log_append(rows)

    def values_store(self, rows: Any) -> Any:
        self._check("values_store")
        return super().values_store(rows)

    def _check(self, verb: str) -> None:
        self.verbs.append(verb)
        if verb in self.broken:
            raise StorageError("memory", verb, "broken")


@dataclass
class Posted:
    """A message for guaranteed delivery."""

    version: OcppVersion
    action: str
    request: Any
    lane: str


@dataclass
class World:
    """One run of a station. A second one with the same folder and storage is its next run."""

    clock: VirtualClock
    folder: Path
    version: OcppVersion = OcppVersion.V21
    storage: FailingStorage = field(default_factory=FailingStorage)
    profile: int = 3
    password: str | None = PASSWORD
    component_config: str | None = None

    def __post_init__(self) -> None:
        config = StationConfig(
            identity="CS001",
            csms_url="wss://csms.test/ocpp",
            evses=(EvseConfig(),),
            versions=(self.version,),
            certificates=str(self.folder),
            component_config=self.component_config,
        )
        self.model = FILES.device_model(config, self.storage, clock=self.clock)
        self.tasks: set[asyncio.Task[None]] = set()
        self.posted: list[Posted] = []
        self.calls: list[Any] = []
        self.answers: dict[str, Callable[[Any], Any]] = {}
        self.reconnects: list[str] = []
        delivery: Any = self
        self.context = Context(
            clock=StationClock(self.clock),
            ids=Ids(seed=1),
            device_model=self.model,
            callbacks=Callbacks(**dict.fromkeys(_CALLBACKS)),  # type: ignore[arg-type]
            delivery=delivery,
            spawn=self.spawn,
            version=self.version,
            callback_timeout_s=5,
        )
        self.certificates = StationCertificates(config, self.clock, _no_policy)
        self.events = SecurityEvents(self.context, self.model, self.storage)
        self.passwords = Passwords(
            self.context,
            self.model,
            self.storage,
            self.events,
            common=self.common,
            reconnect=self.reconnects.append,
        )
        self.status = CertificateStatus(self.context, self.model, self.certificates, self.storage)
        self.installed = Certificates(
            self.context, self.model, self.certificates, self.events, self.status
        )
        self.client = ClientCertificates(
            self.context,
            self.model,
            self.certificates,
            self.storage,
            self.events,
            serial_number=SERIAL,
            reconnect=self.reconnects.append,
            on_changed=self.installed.changed,
        )
        self.access = VariableAccess(self.model, (self.passwords,))

    # --- what the blocks use --------------------------------------------------------------

    async def post(
        self, version: OcppVersion, action: str, request: Any, lane: str, **_: Any
    ) -> int:
        """The delivery."""
        self.posted.append(Posted(version, action, request, lane))
        return len(self.posted)

    async def call(self, request: Any) -> Any:
        """The connection."""
        self.calls.append(request)
        action = type(request).__name__.removesuffix("Request")
        await self.clock.sleep(CALL_TAKES_S)
        if self.context.connection is None:
            raise ConnectionLost(1006, "gone")
        answer = self.answers.get(action)
        result = default_answer(self.m, action) if answer is None else answer(request)
        if isinstance(result, Exception):
            raise result
        return result

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> object:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.tasks.add(task)
        return task

    def common(self) -> str | None:
        """The password of slots without one of their own."""
        value: str | None = self.model.variable("SecurityCtrlr", "BasicAuthPassword").text()
        return value if value is not None else self.password

    # --- what a test does -----------------------------------------------------------------

    @property
    def m(self) -> Any:
        """The message types of the version."""
        return self.version.module

    @property
    def store(self) -> CertificateStore:
        return self.certificates.store()

    async def start(self) -> None:
        """What a charge point does before it connects."""
        await self.model.open()
        state = await self.storage.state_load()
        for part in (self.passwords, self.client, self.status):
            mine = {name: fact for name, fact in state.items() if name.startswith(part.prefix)}
            await part.restore(mine, RESTART)
        self.installed.changed()
        self.spawn(self.model.run(), "store values")
        self.spawn(self.client.run(), "client certificates")
        self.spawn(self.status.run(), "certificate status")

    async def connect(
        self,
        *,
        registration: Registration = Registration.ACCEPTED,
        old: bool = False,
        old_root: bool = False,
        slot: int = 1,
    ) -> LeafChain | None:
        """There is a link, opened with the new credentials or the old ones."""
        chain = self.store.client_chain(old=old) if self.profile == 3 else None
        password, generation = None, None
        if self.profile in (1, 2):
            own = self.model.variable(
                "NetworkConfiguration", "BasicAuthPassword", instance=str(slot)
            ).text()
            password = self.passwords.previous if old else own or self.common()
            generation = Generation.OLD if old else Generation.NEW
        connection: Any = self
        place = SimpleNamespace(slot=slot, security_profile=self.profile)
        target = SimpleNamespace(
            slot=place, password=password, password_generation=generation, chain=chain
        )
        link: Any = SimpleNamespace(
            connection=connection, target=target, slot=place, old_root=old_root
        )
        self.context.connection = connection
        self.context.registration = registration
        self.events.connected()
        await self.passwords.connected(link)
        await self.client.connected(link)
        await self.installed.connected(link)
        if registration is Registration.ACCEPTED:
            self.accept()
        return chain

    def accept(self) -> None:
        """The CSMS has accepted the station."""
        self.context.registration = Registration.ACCEPTED
        self.client.accepted()
        self.status.refresh()

    def disconnect(self) -> None:
        self.context.connection = None

    async def settle(self, seconds: float = 1.0) -> None:
        """Lets what is under way end; what has failed fails the test."""
        await self.clock.sleep(seconds)
        for task in [each for each in self.tasks if each.done()]:
            self.tasks.discard(task)
            if not task.cancelled():
                task.result()

    async def crash(self) -> World:
        """Ends this run without a word, and begins the next one."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        again = World(
            self.clock, self.folder, self.version, self.storage, self.profile, self.password
        )
        again.answers = self.answers
        await again.start()
        return again

    async def ask(self, action: str, request: Any) -> Any:
        """The CSMS asks; what is to be done after the answer is done."""
        tables = (self.client.handlers, self.installed.handlers, self.access.handlers)
        (handler,) = [table[action] for table in tables if action in table]
        handling: Any = handler(request)
        if asyncio.iscoroutine(handling):
            handling = await handling
        if isinstance(handling, Reply):
            if handling.after is not None:
                await handling.after()
            return handling.response
        return handling

    async def trigger(self, what: str, evse: Any = None) -> str:
        """TriggerMessage; the status it is answered with."""
        after = self.client.triggers[what](evse)
        if after is None:
            return "Rejected"
        await after()
        return "Accepted"

    async def set(self, variable: str, value: str, component: str = "SecurityCtrlr") -> str:
        """SetVariables of one variable; the status."""
        m = self.m
        request = m.SetVariablesRequest(
            set_variable_data=[
                m.SetVariableDataType(
                    attribute_value=value,
                    component=m.ComponentType(name=component),
                    variable=m.VariableType(name=variable),
                )
            ]
        )
        response = await self.ask("SetVariables", request)
        return str(response.set_variable_result[0].attribute_status)

    def configure(self, component: str, **values: Any) -> None:
        """Sets variables, whatever the CSMS may do with them."""
        for name, value in values.items():
            self.model.variable(component, name).set(value)

    def sent(self, action: str) -> list[Any]:
        """The requests of an action that were sent."""
        return [each for each in self.calls if type(each).__name__ == f"{action}Request"]

    def told(self) -> list[str]:
        """The security events that the CSMS is told."""
        return [each.request.type for each in self.posted]

    async def log(self) -> list[SecurityLogRow]:
        return await self.storage.security_log_load(10_000)

    async def logged(self) -> list[str]:
        """The types in the security log."""
        return [row.kind for row in await self.log()]

    def trust(self, *roots: Any, use: RootUse = RootUse.CSMS) -> None:
        """Installs roots, given as `pki.Issued`."""
        for root in roots:
            self.store.install_root(use, root.pem)


_CALLBACKS: Final = [
    name for name, entry in Callbacks.__dataclass_fields__.items() if entry.default is not None
]


def _no_policy() -> Any:
    raise AssertionError("nothing is dialled here")


def default_answer(m: Any, action: str) -> Any:
    """What a friendly CSMS says."""
    if action == "SignCertificate":
        return m.SignCertificateResponse(status="Accepted")
    if action == "GetCertificateStatus":
        return m.GetCertificateStatusResponse(status="Failed")
    raise AssertionError(action)


def in_world(
    scenario: Callable[[World], Coroutine[Any, Any, None]], folder: Path, **options: Any
) -> None:
    """Runs a scenario in virtual time at a station that has started."""

    async def run(clock: VirtualClock) -> None:
        world = World(clock, folder, **options)
        await world.start()
        await scenario(world)
        await world.settle(0)

    run_virtual(run)
