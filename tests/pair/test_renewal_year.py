"""Thirteen months of certificates, in virtual time: a CSMS that answers late, refuses, forgets, and
sends what is expired, foreign or for another key; and a network that fails in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import pytest

from ocpp_fast.connectivity.link import Target
from ocpp_fast.errors import ConnectFailed, ConnectFailure
from ocpp_fast.messages import OcppVersion
from ocpp_fast.security.authority import CertificateAuthority
from ocpp_fast.security.certificates import fingerprint, parse_chain
from ocpp_fast.security.pki import Pki
from ocpp_fast.security.store import LeafUse
from pair.security_site import SERIAL, SecureSite, at_secure_site

DAY = 86_400.0
MONTHS = 13
LIFETIME = timedelta(days=50)
"""Of a certificate: it is renewed after 20 days, which is often in 13 months."""


class Moody:
    """Each SignCertificate meets the next of these moods; every third one is good."""

    def __init__(self, site: SecureSite) -> None:
        self.site = site
        self.good: set[str] = set()
        """Fingerprints of what was rightly signed."""
        self.bad: list[str] = []
        """The chains that should never be used."""
        self.moods: dict[str, int] = {}
        other = Pki(site.clock.now())
        self.foreign = CertificateAuthority(other.csms_ca, site.clock, lifetime=LIFETIME)
        self._moods: Iterator[str] = cycle(
            (
                "good",
                "expired", "late", "good",
                "foreign", "refused", "good",
                "silent", "another key", "good",
                "rubbish", "future", "good",
                "unusable", "good",
            )
        )  # fmt: skip
        self.unusable: set[str] = set()
        """Good ones that the CSMS refuses all the same, once they are used."""
        site.csms.on("SignCertificate", self._sign)
        site.refuse = self._refuse

    def _refuse(self, target: Target) -> ConnectFailed | None:
        if target.chain is not None and target.chain.id in self.unusable:
            return ConnectFailed(ConnectFailure.CLIENT_CERTIFICATE, "not known")
        return None

    def _sign(self, station: Any, request: Any) -> Any:
        mood = next(self._moods)
        self.moods[mood] = self.moods.get(mood, 0) + 1
        site, signer = self.site, self.site.signer
        signer.refuse, signer.silent = mood == "refused", mood == "silent"
        signer.delay_s = 40_000.0 if mood == "late" else 5.0
        now = site.clock.now()
        chains: dict[str, Callable[[str], str]] = {
            "expired": lambda csr: self._bad(
                site.authority.sign(
                    csr, not_before=now - timedelta(days=9), not_after=now - timedelta(days=1)
                )
            ),
            "future": lambda csr: self._bad(
                site.authority.sign(csr, not_before=now + timedelta(days=1))
            ),
            "foreign": lambda csr: self._bad(self.foreign.sign(csr)),
            "another key": lambda _: self._bad(
                site.pki.station(
                    SERIAL, organization="Example Operator", not_after=now + LIFETIME
                ).chain_pem
            ),
            "rubbish": lambda _: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        }
        make = chains.get(mood, site.authority.sign)
        chain = make(request.csr)
        if make == site.authority.sign:
            name = fingerprint(parse_chain(chain).leaf)
            (self.unusable if mood == "unusable" else self.good).add(name)
        signer.forge = lambda _: chain
        return self._signing(station, request)

    def _signing(self, station: Any, request: Any) -> Any:
        """What the CSMS would have done by itself."""
        from ocpp_fast.csms.signing import Signing

        csms: Any = self.site.csms
        signing = Signing(csms, csms._security, self.site.signer, self.site.clock)
        return signing.handlers()["SignCertificate"](station, request)

    def _bad(self, chain: str) -> str:
        self.bad.append(fingerprint(parse_chain(chain).leaf))
        return chain


@pytest.mark.timeout(120)
@pytest.mark.parametrize("version", OcppVersion)
def test_thirteen_months(tmp_path: Path, version: OcppVersion) -> None:
    """A02.FR.06, A02.FR.07, A02.FR.10, A02.FR.28, A02.FR.29, A03.FR.02, A03.FR.06, A03.FR.07,
    A03.FR.10, A03.FR.24, A03.FR.25: a station whose certificates are renewed a dozen times is never
    without a good one, whatever the CSMS sends, and never uses a bad one."""
    used: list[str] = []
    starts: list[datetime] = []

    async def scenario(site: SecureSite) -> None:
        moody = Moody(site)
        first = site.targets[0].chain
        assert first is not None
        moody.good.add(first.id)
        for day in range(MONTHS * 30):
            if day % 17 == 3:
                site.cut(until_s=DAY / 3)
            await site.clock.sleep(DAY)
            chain = site.store.client_chain()
            assert chain is not None, day
            assert site.point.connected, day
            # What the link of today was opened with, and what the station would dial with now.
            last = site.targets[-1].chain
            assert last is not None
            assert last.id in moody.good, day
            for each in (last.chain.leaf, chain.chain.leaf):
                assert each.not_valid_before_utc <= site.clock.now() <= each.not_valid_after_utc
            assert not {each.id for each in site.store.chains(LeafUse.CHARGING_STATION)} & {
                *moody.bad
            }, day
            if not used or used[-1] != last.id:
                used.append(last.id)
                starts.append(site.clock.now())
        _count(site, moody)

    at_secure_site(
        scenario,
        tmp_path,
        version,
        lifetime=LIFETIME,
        sample_interval_s=DAY,
        variables={
            "retry_back_off_wait_minimum_s": 60,
            "retry_back_off_repeat_times": 5,
            "aligned_interval_s": 0,
        },
    )
    # A renewal every three to five weeks.
    assert len(used) >= 11
    gaps = [(later - earlier).days for earlier, later in pairwise(starts[1:])]
    assert max(gaps) < 50


def _count(site: SecureSite, moody: Moody) -> None:
    """All moods have had their turn, and each refusal was told once."""
    assert {*moody.moods} >= {
        "good", "expired", "late", "foreign", "refused", "silent", "another key", "rubbish",
        "future", "unusable",
    }  # fmt: skip
    told = site.security_events()
    wrong = ("expired", "foreign", "another key", "rubbish", "future")
    assert told.count("InvalidChargingStationCertificate") == sum(
        moody.moods.get(mood, 0) for mood in wrong
    )
    assert told.count("DiscardedRenewedClientCertificate") == moody.moods["unusable"]
    assert {*told} == {"InvalidChargingStationCertificate", "DiscardedRenewedClientCertificate"}
    # Not a flood: a look every 12 hours, and no more than one certificate is asked for at a time.
    assert len(site.sent("SignCertificate")) < 100
    # A key for each certificate that there is, and for each request that may still be answered.
    keys = [*(site.store.folder and Path(site.store.folder) / "keys").glob("*.key")]  # type: ignore[union-attr]
    assert len(keys) <= 5
