"""From one CSMS to another and back: slots, attempts, the last good one (B10), with both ends in
virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from ocpp_fast.config import StationConfig
from ocpp_fast.errors import ConfigurationError, ConnectFailed, ConnectFailure
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.link_kit import (
    ATTEMPTS,
    IDENTITY,
    SLOT_VARIABLES,
    BackOffOracle,
    Dial,
    SlotSite,
    all_dead,
    at_slots,
    boot,
    http,
    refused,
    round_robin,
)
from pair.station_kit import TOKEN, VERSIONS

versions = pytest.mark.parametrize("version", VERSIONS)


# --- B10.FR.03, B10.FR.04, B10.FR.08, B10.FR.09 -----------------------------------------------


@versions
@pytest.mark.parametrize("attempts", [1, 2, 5])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_b10_fr_03_04_08_09_after_a_start_every_entry_has_exactly_its_attempts(
    version: OcppVersion, attempts: int, count: int
) -> None:
    """B10.FR.03, B10.FR.04: from the first entry on, each so often; B10.FR.08, B10.FR.09: and
    again and again, since no slot was ever good."""
    total = 3 * attempts * count

    async def scenario(site: SlotSite) -> None:
        await site.until(lambda: len(site.log) >= total, 1e5, every_s=1)
        lap = round_robin(range(1, count + 1), attempts)
        assert site.slots[:total] == lap * 3
        # The back-off goes on from one slot to the next: it protects whatever they share.
        oracle = BackOffOracle(2, 3)
        assert site.pauses()[: total - 1] == pytest.approx([*oracle.sequence(total - 1)], abs=0.01)

    variables = replace(SLOT_VARIABLES, network_profile_connection_attempts=attempts)
    at_slots(scenario, version, before=all_dead, count=count, variables=variables)


@versions
def test_b10_fr_03_07_08_after_a_loss_the_slot_in_use_then_the_list_then_the_last_good(
    version: OcppVersion,
) -> None:
    """B10.FR.03 (errata: also when the connection is lost) and B10.FR.07, B10.FR.08: the last good
    slot first, then the list, for ever."""

    async def scenario(site: SlotSite) -> None:
        await site.accepted(2)
        assert site.slots == [1, 1, 1, 2]
        site.log.clear()
        site.dead = {1, 2, 3}
        assert site.link is not None
        site.link.cut()
        await site.until(lambda: len(site.log) >= 27, 1e4, every_s=1)
        lap = round_robin((2, 1, 3), ATTEMPTS)
        assert site.slots[:27] == lap * 3

    def before(site: SlotSite) -> None:
        site.dead = {1}

    at_slots(scenario, version, before=before, count=3)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "failure",
    [
        refused,
        lambda _: http(401),
        lambda _: http(403),
        lambda _: http(404),
        lambda _: http(503),
        lambda _: ConnectFailed(ConnectFailure.TIMEOUT, "silence"),
        lambda _: ConnectFailed(ConnectFailure.CERTIFICATE, "expired"),
        lambda _: ConnectFailed(ConnectFailure.SUBPROTOCOL, "none"),
        lambda _: RuntimeError("a bug"),
    ],
)
def test_one_dead_or_refusing_csms_costs_its_attempts_and_no_more(
    failure: Callable[[Dial], BaseException], version: OcppVersion
) -> None:
    """B10.FR.03: exactly so many attempts, then the other slot; whatever the failure."""

    async def scenario(site: SlotSite) -> None:
        await site.accepted(2)
        assert site.slots == [1] * ATTEMPTS + [2]
        assert site.boots(2) == 1
        assert await site.get("ActiveNetworkProfile") == "2"
        await site.clock.sleep(3_600)
        assert len(site.log) == ATTEMPTS + 1

    def before(site: SlotSite) -> None:
        site.fail = lambda dial: failure(dial) if dial.slot == 1 else None

    at_slots(scenario, version, before=before)


def test_a_csms_that_takes_the_link_and_drops_it_is_left_after_its_attempts() -> None:
    """Before the station was ever accepted: a load balancer without anything behind it. B10.FR.03:
    connecting fails."""

    async def scenario(site: SlotSite) -> None:
        await site.accepted(2)
        assert site.slots == [1] * ATTEMPTS + [2]

    def before(site: SlotSite) -> None:
        def drop(link: Any) -> None:
            if site.log[-1].slot == 1:
                link.right.close(1011, "no backend")

        site.opened = drop

    at_slots(scenario, before=before)


def test_the_same_after_it_had_accepted_the_station() -> None:
    """A station that is registered need not boot again, but a link on which nothing was ever
    answered proves nothing; it must not be dialled for ever while another slot is good."""

    async def scenario(site: SlotSite) -> None:
        await site.accepted(1)

        def drop(link: Any) -> None:
            if site.log[-1].slot == 1:
                link.right.close(1011, "no backend")

        site.opened = drop
        assert site.link is not None
        site.link.cut()
        await site.accepted(2, limit_s=300)

    at_slots(scenario)


@versions
@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_a_csms_that_never_accepts_does_not_become_the_last_good_one(
    version: OcppVersion, status: str
) -> None:
    """The link is good and is kept (B02, B03). But what the station comes back to, after a power
    cut too, is the slot whose CSMS has accepted it."""
    storage = MemoryStorage()

    async def scenario(site: SlotSite) -> None:
        await site.accepted(1)
        site.dead = {1}
        site.at[2].on("BootNotification", boot(version, site.clock, status, 60))
        assert site.link is not None
        site.link.cut()
        await site.until(lambda: site.log[-1].slot == 2)
        assert site.slots == [1, *[1] * ATTEMPTS, 2]
        await site.clock.sleep(1_000)
        assert site.slots[-1] == 2, "the link is kept"
        assert site.boots(2) > 3
        assert (await storage.state_load())["network.last_good"] == "1"
        site.log.clear()
        site.dead = {1, 2}
        site.link.cut()
        await site.until(lambda: len(site.log) >= 4 * ATTEMPTS, 1e4, every_s=1)
        assert site.slots.count(1) >= ATTEMPTS
        assert site.slots.count(2) >= ATTEMPTS
        site.dead = {2}
        await site.accepted(1)

    at_slots(scenario, version, storage=storage)


# --- B10.FR.10, Part 4 5.4 --------------------------------------------------------------------


@versions
def test_b10_fr_10_only_another_slot_is_booted_at_anew(version: OcppVersion) -> None:
    """B10.FR.10, and Part 4, section 5.4: over the same slot there is no second boot."""

    async def scenario(site: SlotSite) -> None:
        await site.accepted(1)
        assert site.link is not None
        for _ in range(3):
            site.link.cut()
            await site.until(lambda: site.point.connected and site.log[-1].link is site.link)
            await site.clock.sleep(3)
        assert (site.boots(1), site.boots(2)) == (1, 0)
        site.dead = {1}
        site.link.cut()
        await site.accepted(2)
        assert (site.boots(1), site.boots(2)) == (1, 1)
        site.dead = {2}
        site.link.cut()
        await site.accepted(1)
        assert (site.boots(1), site.boots(2)) == (2, 1)

    at_slots(scenario, version)


@versions
@pytest.mark.parametrize("what", ["address", "identity"])
def test_b10_fr_10_another_csms_in_the_same_slot_is_booted_at_too(
    what: str, version: OcppVersion
) -> None:
    """B10.FR.10 in its purpose: SetNetworkProfile has given the active slot another address, or the
    station has another name; who gets it at the next connection may never have heard of it."""

    async def scenario(site: SlotSite) -> None:
        await site.accepted(1)
        if what == "address":
            assert await site.set_profile(1, "ws://other.test/ocpp", 1) == "Accepted"
        else:
            assert await site.set("Identity", "CS-OTHER", "SecurityCtrlr") == "Accepted"
        assert site.boots(1) == 1
        assert site.link is not None
        site.link.cut()
        await site.until(lambda: len(site.log) == 2)
        await site.clock.sleep(2)
        target = site.log[1].target
        assert (target.slot.csms_url, target.slot.identity) == (
            ("ws://other.test/ocpp", IDENTITY)
            if what == "address"
            else ("ws://one.test/ocpp", "CS-OTHER")
        )
        assert site.boots(1) == 2

    at_slots(scenario, version, password="correct-horse-battery")


@versions
def test_nothing_but_the_boot_reaches_a_new_csms_before_it_accepts(version: OcppVersion) -> None:
    """B10.FR.10 with B02.FR.02: a transaction runs, its events wait for the acceptance."""

    async def scenario(site: SlotSite) -> None:
        await site.accepted(1)
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        site.at[2].on("BootNotification", boot(version, site.clock, "Pending", 120))
        site.dead = {1}
        assert site.link is not None
        site.link.cut()
        await site.until(lambda: site.log[-1].slot == 2)
        seen = len(site.frames)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(60)
        calls = {frame[2] for _, way, frame in site.frames[seen:] if way == "out" and frame[0] == 2}
        assert calls <= {"BootNotification"}, calls
        site.at[2].on("BootNotification", boot(version, site.clock, "Accepted", 0))
        await site.accepted(2)
        await site.clock.sleep(30)
        assert site.at[2].stations[IDENTITY].transactions

    at_slots(scenario, version)


# --- migration by the CSMS: B09, B10 ----------------------------------------------------------


async def migrate(site: SlotSite, priority: str = "2,1") -> None:
    """SetNetworkProfile for slot 2, the list, a reset (TC_B_45)."""
    assert await site.set_profile(2, "ws://new.test/ocpp", profile=1) == "Accepted"
    assert await site.set("NetworkConfigurationPriority", priority) in {
        "Accepted",
        "RebootRequired",
    }


def restarted(
    first: Callable[[SlotSite], Coroutine[Any, Any, None]],
    second: Callable[[SlotSite], Coroutine[Any, Any, None]],
    version: OcppVersion,
    *,
    before: Callable[[SlotSite], None] | None = None,
    **options: Any,
) -> None:
    """Two lives of a station, with the same storage and the same configuration."""

    async def run(clock: VirtualClock) -> None:
        storage = MemoryStorage()
        ends = None
        for scenario in (first, second):
            site = SlotSite(clock, version, storage=storage, **options)
            if ends is None:
                ends = site.at
            else:
                site.at, site.csms = ends, ends[1]
                if before is not None:
                    before(site)
            await site.station.start()
            await clock.sleep(0.5)
            await scenario(site)
            await site.station.stop()
            await clock.sleep(10)
        for csms in (ends or {}).values():
            await csms.stop()

    run_virtual(run)


@versions
def test_b09_fr_01_b10_fr_01_04_06_a_migration_that_works(version: OcppVersion) -> None:
    """B09.FR.01, B10.FR.01, B10.FR.04, B10.FR.06: the new CSMS is dialled first, at the address
    that was set, when the old link is closed; B10.FR.10: and hears a BootNotification."""

    async def first(site: SlotSite) -> None:
        await site.accepted(1)
        await migrate(site)
        assert site.log[-1].slot == 1, "nothing changes before the reset"

    async def second(site: SlotSite) -> None:
        assert not site.at[1].stations[IDENTITY].connected, "B10.FR.06"
        await site.accepted(2)
        assert [(dial.slot, dial.url) for dial in site.log] == [(2, "ws://new.test/ocpp")]
        assert site.boots(2) == 1
        assert await site.get("ActiveNetworkProfile") == "2"
        assert await site.get("NetworkConfigurationPriority") == "2,1"

    restarted(first, second, version, password="correct-horse-battery")


@versions
def test_b10_fr_03_07_a_migration_to_nowhere_ends_at_the_old_csms(version: OcppVersion) -> None:
    """B10.FR.03, B10.FR.07: exactly the attempts at the new one, then back, within stated time."""

    async def first(site: SlotSite) -> None:
        await site.accepted(1)
        await migrate(site)

    async def second(site: SlotSite) -> None:
        began_s = site.clock.elapsed_s
        await site.accepted(1, limit_s=60)
        assert site.slots == [2, 2, 2, 1]
        assert site.clock.elapsed_s - began_s <= 2 + 4 + 8 + 1
        assert site.boots(1) == 2, "after a reset"

    def dead(site: SlotSite) -> None:
        site.dead = {2}

    restarted(first, second, version, before=dead, password="correct-horse-battery")


@versions
def test_b10_fr_07_the_last_good_slot_is_tried_even_when_it_is_no_longer_listed(
    version: OcppVersion,
) -> None:
    """B10.FR.07: the list names only a CSMS that does not exist; the way back is the old one."""

    async def first(site: SlotSite) -> None:
        await site.accepted(1)
        await migrate(site, priority="2")

    async def second(site: SlotSite) -> None:
        await site.accepted(1, limit_s=120)
        assert site.slots == [2, 2, 2, 1]

    def dead(site: SlotSite) -> None:
        site.dead = {2}

    restarted(first, second, version, before=dead, password="correct-horse-battery")


@versions
def test_b10_fr_04_after_a_restart_the_first_entry_not_the_last_good(version: OcppVersion) -> None:
    """B10.FR.04: a failover in the life before does not change the order."""

    async def first(site: SlotSite) -> None:
        await site.accepted(1)
        site.dead = {1}
        assert site.link is not None
        site.link.cut()
        await site.accepted(2)

    async def second(site: SlotSite) -> None:
        await site.accepted(1)
        assert site.slots == [1]

    restarted(first, second, version)


@versions
@pytest.mark.parametrize("priority", ["2", "9", "1,9", "", "1,1", "x"])
def test_b10_fr_02_lists_with_slots_that_cannot_be_dialled_are_rejected(
    version: OcppVersion, priority: str
) -> None:
    """B10.FR.02: slot 2 is known and empty, there is no slot 9; the list stays as it was."""

    async def scenario(site: SlotSite) -> None:
        await site.accepted(1)
        status = await site.set("NetworkConfigurationPriority", priority)
        assert status not in {"Accepted", "RebootRequired"}
        assert await site.get("NetworkConfigurationPriority") == "1"

    at_slots(scenario, version, count=1)


@versions
def test_a_list_that_changes_while_nobody_answers_is_followed(version: OcppVersion) -> None:
    """The integrator gives the station another way while it is offline."""

    async def scenario(site: SlotSite) -> None:
        await site.until(lambda: len(site.log) == 4)
        model = site.point.device_model
        number = model.variable("OCPPCommCtrlr", "NetworkConfigurationPriority")
        number.set("2,1")
        site.dead = {1}
        await site.accepted(2)

    def before(site: SlotSite) -> None:
        site.dead = {1, 2}

    at_slots(scenario, version, before=before)


@versions
@pytest.mark.parametrize(
    ("config", "profile"),
    [
        ({"csms_url": "ws://one.test"}, 0),
        ({"csms_url": "ws://one.test", "password": "correct-horse-battery"}, 1),
        ({"csms_url": "ws://one.test", "security_profile": 0, "password": "x" * 16}, 0),
    ],
)
def test_a00_fr_004_the_profile_is_known_before_anything_is_sent(
    config: dict[str, Any], profile: int, version: OcppVersion
) -> None:
    """A00.FR.004, A00.FR.001: the first dial has its one security profile, and the device model
    shows it; without a password in it, none is sent."""

    async def scenario(site: SlotSite) -> None:
        await site.accepted(1)
        target = site.log[0].target
        assert target.slot.security_profile == profile
        assert (target.password is not None) is (profile == 1)
        assert await site.get("SecurityProfile", "SecurityCtrlr") == str(profile)

    at_slots(scenario, version, count=1, **config)


@pytest.mark.parametrize(
    ("url", "profile"), [("ws://one.test", 2), ("ws://one.test", 3), ("wss://one.test", 1)]
)
def test_a00_fr_004_a_profile_that_contradicts_the_address_is_none(url: str, profile: int) -> None:
    """A00.FR.004, A00.FR.312: refused when it is configured, not when it is dialled."""
    with pytest.raises(ConfigurationError, match="security_profile"):
        StationConfig(identity=IDENTITY, csms_url=url, security_profile=profile)


@versions
@pytest.mark.parametrize("count", [1, 3])
def test_a_station_without_any_slot_that_can_be_dialled_waits_for_one(
    count: int, version: OcppVersion
) -> None:
    """All slots are SOAP: nothing is dialled, nothing spins, the reason can be read; as soon as the
    integrator mends one, it is dialled within the longest back-off."""

    async def scenario(site: SlotSite) -> None:
        model = site.point.device_model
        await site.clock.sleep(3_600)
        assert not site.log
        error = site.point.connect_error
        assert isinstance(error, ConnectFailed)
        assert error.failure is ConnectFailure.SLOT
        assert "SOAP" in str(error)
        assert len(model.reads) < 3_600
        transport = model.variable("NetworkConfiguration", "OcppTransport", instance=str(count))
        transport.set("JSON")
        await site.accepted(count, limit_s=16.5)

    def before(site: SlotSite) -> None:
        model = site.point.device_model
        model.reads = []
        inner = site.point._parts.slots.read

        def counted(slot: int, **options: Any) -> Any:
            model.reads.append(slot)
            return inner(slot, **options)

        site.point._parts.slots.read = counted
        for slot in range(1, count + 1):
            model.variable("NetworkConfiguration", "OcppTransport", instance=str(slot)).set("SOAP")

    at_slots(scenario, version, before=before, count=count)


@versions
def test_a_slot_that_cannot_be_dialled_costs_no_attempt_and_no_pause(version: OcppVersion) -> None:
    """A SOAP slot in the middle of the list is skipped with a named reason (B10.FR.03 is about
    attempts, of which there are none)."""

    async def scenario(site: SlotSite) -> None:
        await site.until(lambda: len(site.log) >= 4 * ATTEMPTS, 1e4, every_s=1)
        assert site.slots[: 4 * ATTEMPTS] == round_robin((1, 3, 1, 3), ATTEMPTS)
        oracle = BackOffOracle(2, 3)
        pauses = site.pauses()[: 4 * ATTEMPTS - 1]
        assert pauses == pytest.approx([*oracle.sequence(len(pauses))], abs=0.01)

    def before(site: SlotSite) -> None:
        site.dead = {1, 3}
        model = site.point.device_model
        model.variable("NetworkConfiguration", "OcppTransport", instance="2").set("SOAP")

    at_slots(scenario, version, before=before, count=3)


# --- power cuts -------------------------------------------------------------------------------


async def _stored(storage: MemoryStorage) -> dict[str, str]:
    return await storage.state_load()


@versions
def test_the_last_good_slot_is_durable_when_it_is_told(version: OcppVersion) -> None:
    """No power cut after the acceptance can lose it."""
    storage = MemoryStorage()

    async def scenario(site: SlotSite) -> None:
        await site.accepted(2)
        assert (await _stored(storage))["network.last_good"] == "2"

    def before(site: SlotSite) -> None:
        site.dead = {1}

    at_slots(scenario, version, before=before, storage=storage)


def test_stop_during_a_switch_ends_at_every_moment() -> None:
    """Whatever the switch is doing: `stop` returns, and nothing dials after it."""

    async def run(clock: VirtualClock) -> None:
        for moment in range(0, 160, 7):
            site = SlotSite(clock)
            site.dead = {1}
            await site.station.start()
            for _ in range(moment):
                await asyncio.sleep(0)
            await clock.sleep(moment / 8)
            await clock.wait_for(site.station.stop(), 10)
            dials = len(site.log)
            await clock.sleep(1_000)
            assert len(site.log) == dials
            for csms in site.at.values():
                await csms.stop()

    run_virtual(run)
