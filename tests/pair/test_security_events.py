"""A04 and the events of A00: what the CSMS gets to hear of bad links, when, and how often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ocpp_fast.connection import Way
from ocpp_fast.connectivity.link import Target
from ocpp_fast.errors import ConnectFailed, ConnectFailure
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage
from pair.security_site import SecureSite, at_secure_site
from pair.station_kit import Site, at_site

EVENTS = [
    (ConnectFailure.CERTIFICATE, "InvalidCsmsCertificate"),
    (ConnectFailure.TLS_VERSION, "InvalidTLSVersion"),
    (ConnectFailure.TLS_CIPHER, "InvalidTLSCipherSuite"),
]


class Refusals:
    """Lets the first dials fail."""

    def __init__(self, failure: ConnectFailure, count: int) -> None:
        self.failure = failure
        self.left = count

    def __call__(self, _: Target) -> ConnectFailed | None:
        self.left -= 1
        if self.left < 0:
            return None
        return ConnectFailed(self.failure, f"refusal {self.left}")


@pytest.mark.parametrize("version", OcppVersion)
@pytest.mark.parametrize(("failure", "kind"), EVENTS)
def test_a_thousand_bad_links_are_one_event(
    tmp_path: Path, version: OcppVersion, failure: ConnectFailure, kind: str
) -> None:
    """A00.FR.310, A00.FR.316, A00.FR.323, A00.FR.413, A00.FR.419, A00.FR.426, A04.FR.01, A04.FR.02:
    told once there is a link and the station accepted, with the time at which it happened."""
    count = 1_000 if failure is ConnectFailure.CERTIFICATE else 20

    async def scenario(site: SecureSite) -> None:
        begun = site.clock.now()
        for _ in range(100):
            await site.clock.sleep(3_600)
            if site.point.connected:
                break
        assert site.dials == count + 1
        (event,) = site.sent("SecurityEventNotification")
        assert event["type"] == kind
        assert f"refusal {count - 1}" in event["techInfo"]
        assert event["timestamp"][:10] == begun.isoformat()[:10]
        assert site.calls()[:1] == ["BootNotification"]
        # It is over: the next one is news.
        site.refuse = Refusals(failure, 3)
        site.cut()
        await site.clock.sleep(120)
        assert site.security_events() == [kind, kind]
        log = await site.point._storage.security_log_load(10_000)
        assert [row.kind for row in log].count(kind) == 4
        assert sum("more times" in (row.tech_info or "") for row in log) == 2

    def refuse(site: SecureSite) -> None:
        site.refuse = Refusals(failure, count)

    at_secure_site(
        scenario,
        tmp_path,
        version,
        profile=2,
        before=refuse,
        sample_interval_s=60,
        variables={"retry_back_off_wait_minimum_s": 1, "retry_back_off_repeat_times": 5},
    )


@pytest.mark.parametrize("version", OcppVersion)
def test_no_event_goes_before_the_station_is_accepted(version: OcppVersion) -> None:
    """A04.FR.02, B02.FR.02: it waits, and is delivered then."""

    async def scenario(site: Site) -> None:
        point: Any = site.station.charge_point
        point.on_security_event("TamperDetectionActivated", "lid")
        await site.clock.sleep(5)
        assert site.sent("SecurityEventNotification") == []
        await site.clock.sleep(100)
        calls = site.calls()
        assert calls.count("SecurityEventNotification") == 1
        assert calls.index("SecurityEventNotification") > max(
            place for place, name in enumerate(calls) if name == "BootNotification"
        )

    at_site(scenario, version, boot=[("Pending", 20), ("Rejected", 20), ("Accepted", 0)])


@pytest.mark.parametrize("version", OcppVersion)
def test_an_event_survives_days_offline_and_a_restart(version: OcppVersion) -> None:
    """A04.FR.02, A04.FR.04."""
    storage = MemoryStorage()

    async def offline(site: Site) -> None:
        point: Any = site.station.charge_point
        site.cut(until_s=1e9)
        await site.clock.sleep(1)
        point.on_security_event("TamperDetectionActivated", "lid")
        point.on_security_event("InvalidMessages", "no JSON")
        await site.clock.sleep(3 * 86_400)
        assert site.sent("SecurityEventNotification") == []

    async def again(site: Site) -> None:
        await site.clock.sleep(5)
        (event,) = site.sent("SecurityEventNotification")
        assert (event["type"], event["techInfo"]) == ("TamperDetectionActivated", "lid")
        await site.clock.sleep(3_600)
        assert len(site.sent("SecurityEventNotification")) == 1
        log = [row.kind for row in await storage.security_log_load(100)]
        assert [kind for kind in log if kind != "StartupOfTheDevice"] == [
            "TamperDetectionActivated",
            "InvalidMessages",
        ]

    seldom = {"retry_back_off_wait_minimum_s": 600, "aligned_interval_s": 0}
    at_site(offline, version, storage=storage, variables=seldom, sample_interval_s=60)
    at_site(again, version, storage=storage)


def test_the_csms_confirms_each(tmp_path: Path) -> None:
    """A04.FR.03: what is answered with a CALLERROR is sent again, and then kept aside."""

    async def scenario(site: Site) -> None:
        point: Any = site.station.charge_point
        point.on_security_event("TamperDetectionActivated")
        await site.clock.sleep(10)
        assert point.delivery.waiting == 0
        assert any(
            way is Way.IN and frame[0] == 3 and frame[2] == {} for _, way, frame in site.frames
        )

    at_site(scenario)


def test_a_start_is_told() -> None:
    """A04.FR.01: StartupOfTheDevice is critical."""

    async def scenario(site: Site) -> None:
        await site.clock.sleep(5)
        assert [each["type"] for each in site.sent("SecurityEventNotification")] == [
            "StartupOfTheDevice"
        ]

    at_site(scenario, tells_start=True)
