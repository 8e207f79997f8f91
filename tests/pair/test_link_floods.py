"""Thousands of bad dials and lost links: bounded events, bounded memory, nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from ocpp_fast.errors import ConnectFailed, ConnectFailure
from ocpp_fast.messages import OcppVersion
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.link_kit import Dial, SlotSite, boot, http
from pair.station_kit import TOKEN, VERSIONS

versions = pytest.mark.parametrize("version", VERSIONS)

BAD: dict[str, tuple[Callable[[int], BaseException], str, bool]] = {
    "certificate": (
        lambda n: ConnectFailed(ConnectFailure.CERTIFICATE, f"serial number {n} is not ours"),
        "InvalidCsmsCertificate",
        True,
    ),
    "version": (
        lambda n: ConnectFailed(ConnectFailure.TLS_VERSION, f"TLS 1.{n % 2}"),
        "InvalidTLSVersion",
        True,
    ),
    "cipher": (
        lambda n: ConnectFailed(ConnectFailure.TLS_CIPHER, f"suite {n}"),
        "InvalidTLSCipherSuite",
        True,
    ),
    "client certificate": (
        lambda n: ConnectFailed(ConnectFailure.CLIENT_CERTIFICATE, f"alert {n}"),
        "FailedToAuthenticateAtCsms",
        False,
    ),
    "401": (lambda _: http(401), "FailedToAuthenticateAtCsms", False),
}
"""What fails -> its event in the appendix, and whether that is critical."""


def _is_bad(site: SlotSite, make: Callable[[int], BaseException]) -> Callable[[Dial], Any]:
    return lambda _: make(len(site.log))


@pytest.mark.parametrize(
    ("cause", "version"),
    [*((cause, OcppVersion.V21) for cause in BAD), ("certificate", OcppVersion.V201)],
)
def test_a00_fr_316_310_323_a04_fr_02_a_thousand_bad_dials_are_one_event(
    cause: str, version: OcppVersion
) -> None:
    """A00.FR.316, A00.FR.419: once for repeated failures; A04.FR.01, A04.FR.02: queued, told when
    the CSMS has accepted the station and not before; A04.FR.04: in the log, the others too."""
    make, kind, critical = BAD[cause]

    async def run(clock: VirtualClock) -> None:
        site = SlotSite(clock, version, count=1)
        site.fail = _is_bad(site, make)
        async with site:
            await site.until(lambda: len(site.log) >= 1_000, 1e6, every_s=20)
            queued = [row.action for row in await site.storage.outbox_load()]
            assert queued.count("SecurityEventNotification") <= 2
            site.csms.on("BootNotification", boot(version, clock, "Pending", 60))
            site.fail = lambda _: None
            await site.until(lambda: site.point.registration == "Pending", 1e3)
            await clock.sleep(30)
            assert not site.sent("SecurityEventNotification"), "B02.FR.02"
            site.csms.on("BootNotification", boot(version, clock, "Accepted", 0))
            await site.accepted(1)
            await clock.sleep(5)
            told = Counter(event["type"] for event in site.sent("SecurityEventNotification"))
            assert told == ({"StartupOfTheDevice": 1} | ({kind: 1} if critical else {}))
            log = await site.storage.security_log_load(10_000)
            assert 1 <= len([row for row in log if row.kind == kind]) <= 2
            (event,) = [row for row in log if row.kind == kind][:1]
            assert event.tech_info
            assert "\n" not in event.tech_info
            # What comes after a good link is news.
            assert site.link is not None
            site.fail = _is_bad(site, make)
            site.link.cut()
            await clock.sleep(600)
            site.fail = lambda _: None
            await site.accepted(1)
            await clock.sleep(5)
            told = Counter(event["type"] for event in site.sent("SecurityEventNotification"))
            assert told[kind] == (2 if critical else 0)

    run_virtual(run)


@versions
def test_causes_that_take_turns_are_an_event_each_and_no_more(version: OcppVersion) -> None:
    """Somebody in between who changes the way in which he breaks TLS from dial to dial."""

    async def run(clock: VirtualClock) -> None:
        site = SlotSite(clock, version, count=1)
        makers = [make for make, _, _ in BAD.values()]
        site.fail = lambda _: makers[len(site.log) % len(makers)](len(site.log))
        async with site:
            await site.until(lambda: len(site.log) >= 1_000, 1e6, every_s=20)
            queued = [row.action for row in await site.storage.outbox_load()]
            assert queued.count("SecurityEventNotification") <= 4
            log = await site.storage.security_log_load(10_000)
            assert len(log) <= 8

    run_virtual(run)


def test_failures_that_are_no_matter_of_security_are_no_event() -> None:
    async def run(clock: VirtualClock) -> None:
        site = SlotSite(clock, count=1)
        failures = [f for f in ConnectFailure if f not in {
            ConnectFailure.CERTIFICATE, ConnectFailure.TLS_VERSION, ConnectFailure.TLS_CIPHER,
            ConnectFailure.CLIENT_CERTIFICATE, ConnectFailure.SLOT,
        }]  # fmt: skip
        site.fail = lambda _: ConnectFailed(failures[len(site.log) % len(failures)], "x")
        async with site:
            await site.until(lambda: len(site.log) >= 50, 1e6, every_s=20)
            log = await site.storage.security_log_load(10_000)
            assert {row.kind for row in log} == {"StartupOfTheDevice"}

    run_virtual(run)


def _survey() -> Counter[str]:
    gc.collect()
    return Counter(type(one).__name__ for one in gc.get_objects())


@pytest.mark.timeout(180)
@pytest.mark.parametrize("charging", [False, True])
def test_two_thousand_reconnects_leave_nothing(charging: bool) -> None:
    """No task, no object; the log is told one line for each loss."""

    async def run(clock: VirtualClock) -> None:
        site = SlotSite(clock, count=1)
        async with site:
            await site.accepted(1)
            if charging:
                await site.station.plug_in(1)
                await site.station.swipe(TOKEN, 1)

            async def flap(times: int) -> None:
                for number in range(times):
                    assert site.link is not None
                    if number % 3:
                        site.link.cut()
                    else:
                        site.link.right.close(1001, "")
                    await clock.sleep(3)
                    site.log.clear()
                    site.frames.clear()

            await flap(200)
            await clock.sleep(30)
            tasks = len(asyncio.all_tasks())
            before = _survey()
            await flap(2_000)
            await clock.sleep(30)
            after = _survey()
            assert len(asyncio.all_tasks()) == tasks
            more = {
                name: after[name] - before[name]
                for name in after
                if after[name] - before[name] > 100
            }
            assert not more, more
            assert site.point.connected

    logging.getLogger("ocpp_fast").setLevel(logging.CRITICAL)
    try:
        run_virtual(run)
    finally:
        logging.getLogger("ocpp_fast").setLevel(logging.NOTSET)


@pytest.mark.timeout(180)
def test_two_thousand_failed_dials_leave_nothing() -> None:
    async def run(clock: VirtualClock) -> None:
        site = SlotSite(clock)
        site.fail = lambda dial: http(503)

        async def dials(times: int) -> None:
            count = 0
            while count < times:
                await site.until(lambda: len(site.log) > 20, 1e6, every_s=20)
                count += len(site.log)
                site.log.clear()

        async with site:
            await dials(200)
            tasks = len(asyncio.all_tasks())
            before = _survey()
            await dials(2_000)
            after = _survey()
            assert len(asyncio.all_tasks()) == tasks
            more = {
                name: after[name] - before[name]
                for name in after
                if after[name] - before[name] > 50
            }
            assert not more, more

    logging.getLogger("ocpp_fast").setLevel(logging.CRITICAL)
    try:
        run_virtual(run)
    finally:
        logging.getLogger("ocpp_fast").setLevel(logging.NOTSET)
