"""A site of security profile 3: certificates in files, the CSMS on memory links."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from ocpp_fast.config import SlotConfig
from ocpp_fast.csms import Csms, CsmsSecurity, Signer
from ocpp_fast.errors import ConnectFailed, ConnectFailure
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion
from ocpp_fast.security.authority import CertificateAuthority
from ocpp_fast.security.pki import Pki
from ocpp_fast.security.store import CertificateStore, LeafUse, RootUse
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.link_kit import IDENTITY, Counted, Dial, SlotSite


class CertificateSite(SlotSite):
    """Security profile 3: the CSMS is on a memory link, the certificates are in files."""

    def __init__(
        self, clock: VirtualClock, version: OcppVersion, folder: Path, pki: Pki, **options: Any
    ) -> None:
        store = CertificateStore(folder, clock)
        if not folder.exists():
            store.install_root(RootUse.CSMS, pki.csms_root.pem)
            leaf = pki.station(IDENTITY)
            store.import_leaf(LeafUse.CHARGING_STATION, leaf.chain_pem, leaf.key_pem)
        self.files = store
        self.signer = Signer(authority=CertificateAuthority(pki.csms_ca, clock))
        super().__init__(
            clock,
            version,
            csms_url="wss://one.test/ocpp",
            security_profile=3,
            certificates=str(folder),
            own_slots=(SlotConfig(csms_url="wss://two.test/ocpp", security_profile=3),),
            **options,
        )
        for slot in self.at:
            self.at[slot] = Csms(
                clock=clock,
                ids=Ids(seed=slot),
                heartbeat_interval_s=0,
                observer=Counted(),
                security=CsmsSecurity(signer=self.signer),
            )
        self.csms = self.at[1]

    @property
    def shown(self) -> list[str | None]:
        """The id of the certificate of each dial."""
        return [None if dial.target.chain is None else dial.target.chain.id for dial in self.log]

    @property
    def ids_in_store(self) -> set[str]:
        return {chain.id for chain in self.files.chains(LeafUse.CHARGING_STATION)}

    async def renew(self) -> None:
        m = self.m
        response = await self.ask(
            m.TriggerMessageRequest(requested_message="SignChargingStationCertificate")
        )
        assert response.status == "Accepted"


def not_yours(_: Dial) -> BaseException:
    return ConnectFailed(ConnectFailure.CLIENT_CERTIFICATE, "the CSMS does not know it")


def with_certificates(
    scenario: Callable[[CertificateSite], Coroutine[Any, Any, None]],
    version: OcppVersion,
    folder: Path,
    *,
    before: Callable[[CertificateSite], None] | None = None,
    **options: Any,
) -> None:
    async def run(clock: VirtualClock) -> None:
        site = CertificateSite(clock, version, folder / "store", Pki(clock.now()), **options)
        if before is not None:
            before(site)
        async with site:
            await scenario(site)

    run_virtual(run)


async def security_log(site: SlotSite) -> list[str]:
    """The types of its events."""
    return [row.kind for row in await site.storage.security_log_load(1_000)]
