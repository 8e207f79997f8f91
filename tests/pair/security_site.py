"""A site whose CSMS looks at the password or the certificate that a station comes with, without
TLS: the link is made of memory, what both ends would have to prove on it is not."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from ocpp_fast.connection import Connection
from ocpp_fast.connectivity.link import Link, Target
from ocpp_fast.csms import Csms
from ocpp_fast.csms.security import CsmsSecurity
from ocpp_fast.csms.signing import Signer
from ocpp_fast.errors import CertificateInvalid, ConnectFailed, ConnectFailure
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion
from ocpp_fast.security.authority import CertificateAuthority
from ocpp_fast.security.certificates import parse_chain
from ocpp_fast.security.csr import Subject
from ocpp_fast.security.pki import Pki
from ocpp_fast.security.rules import Purpose, judge
from ocpp_fast.security.store import CertificateStore, LeafUse, RootUse
from ocpp_fast.testing import VirtualClock, run_virtual
from ocpp_fast.transport.base import MakeListener
from pair.station_kit import QUIET, Site

PASSWORD: Final = "first password of CS001"
SERIAL: Final = "SN-0001"
IDENTITY: Final = "CS001"


class SecureSite(Site):
    """`passwords` are those that the CSMS takes; `refuse` may refuse anything else."""

    def __init__(
        self,
        clock: VirtualClock,
        version: OcppVersion = OcppVersion.V21,
        *,
        folder: Path,
        profile: int = 3,
        lifetime: timedelta = timedelta(days=90),
        **options: Any,
    ) -> None:
        self.pki = Pki(clock.now(), ocsp_url="http://ocsp.test/")
        self.authority = CertificateAuthority(
            self.pki.csms_ca, clock, v2g=self.pki.v2g_ca, lifetime=lifetime
        )
        self.signer = Signer(authority=self.authority)
        self.passwords = {PASSWORD}
        self.refuse: Callable[[Target], ConnectFailed | None] = lambda _: None
        self.targets: list[Target] = []
        """What was dialled with, successfully or not."""
        csms = Csms(
            clock=clock,
            ids=Ids(seed=2),
            heartbeat_interval_s=0,
            security=CsmsSecurity(signer=self.signer, serial_numbers={IDENTITY: SERIAL}),
        )
        scheme = "wss" if profile > 1 else "ws"
        config: dict[str, Any] = {
            "csms_url": f"{scheme}://csms.test/ocpp",
            "security_profile": profile,
            "certificates": str(folder),
            "serial_number": SERIAL,
            "password": PASSWORD if profile in {1, 2} else None,
        }
        config |= options.pop("config", {})
        super().__init__(clock, version, csms=csms, config=config, **options)
        if profile >= 2:
            self.store.install_root(RootUse.CSMS, self.pki.csms_root.pem)

    @property
    def point(self) -> Any:
        return self.station.charge_point

    @property
    def store(self) -> CertificateStore:
        store: CertificateStore = self.point.certificates.store()
        return store

    @property
    def m(self) -> Any:
        return self.version.module

    def own(self, **changes: Any) -> None:
        """Gives the station a certificate, as its maker would."""
        store = self.store
        made = store.begin_key(
            LeafUse.CHARGING_STATION, Subject(common_name=SERIAL, organization="Maker")
        )
        chain = parse_chain(self.authority.sign(made.csr, **changes))
        accepted = store.accept_signed(LeafUse.CHARGING_STATION, chain)
        store.settle(LeafUse.CHARGING_STATION, accepted.id)

    async def _open(self, make: MakeListener[Connection], target: Target) -> Link:
        self.targets.append(target)
        if (refusal := self.refuse(target)) is not None:
            self.dials += 1
            raise refusal
        if target.slot.security_profile in {1, 2} and target.password not in self.passwords:
            self.dials += 1
            raise ConnectFailed(ConnectFailure.HTTP, "HTTP 401", 401)
        if target.slot.security_profile == 3:
            self._look_at(target)
        return await super()._open(make, target)

    def _look_at(self, target: Target) -> None:
        """What a TLS server does with a client certificate."""
        if target.chain is None:
            raise ConnectFailed(ConnectFailure.CLIENT_CERTIFICATE, "no certificate")
        root = self.pki.csms_root.certificate
        try:
            judge(target.chain.chain, [root], self.clock.now(), purpose=Purpose.CLIENT)
        except CertificateInvalid as error:
            self.dials += 1
            raise ConnectFailed(ConnectFailure.CLIENT_CERTIFICATE, str(error)) from None

    async def ask(self, request: Any) -> Any:
        """The CSMS asks."""
        return await self.csms.call(IDENTITY, request)

    async def trigger(self, what: str) -> str:
        """TriggerMessage; its status."""
        response = await self.ask(self.m.TriggerMessageRequest(requested_message=what))
        return str(response.status)

    async def set(self, name: str, value: str) -> str:
        """SetVariables of one variable, `Component.Variable`; its status."""
        m = self.m
        component, variable = name.split(".")
        item = m.SetVariableDataType(
            attribute_value=value,
            component=m.ComponentType(name=component),
            variable=m.VariableType(name=variable),
        )
        response = await self.ask(m.SetVariablesRequest(set_variable_data=[item]))
        return str(response.set_variable_result[0].attribute_status)

    def security_events(self) -> list[str]:
        """Types of the events that the CSMS was told."""
        return [each["type"] for each in self.sent("SecurityEventNotification")]

    def put(self, component: str, **values: Any) -> None:
        """Sets variables from inside."""
        for name, value in values.items():
            self.point.device_model.variable(component, name).set(value)


def at_secure_site(
    scenario: Callable[[SecureSite], Coroutine[Any, Any, None]],
    folder: Path,
    version: OcppVersion = OcppVersion.V21,
    *,
    profile: int = 3,
    before: Callable[[SecureSite], None] | None = None,
    variables: Mapping[str, Any] | None = None,
    **options: Any,
) -> None:
    """Runs a scenario at such a site, in virtual time; in profile 3 with a certificate that the
    operator's authority has signed, unless `before` does something else."""

    async def run(clock: VirtualClock) -> None:
        settings = replace(QUIET, **(variables or {}))
        site = SecureSite(
            clock, version, folder=folder, profile=profile, variables=settings, **options
        )
        if before is not None:
            before(site)
        elif profile == 3:
            site.own()
        async with site:
            await site.clock.sleep(2)
            await scenario(site)

    run_virtual(run)
