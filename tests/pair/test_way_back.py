"""A new password that the CSMS refuses: the station comes back with the old one, and only where it
may still use it (A01)."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from ocpp_fast.config import SlotConfig
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.certificate_kit import security_log
from pair.link_kit import (
    ATTEMPTS,
    IDENTITY,
    Dial,
    SlotSite,
    boot,
    http,
    refused,
)
from pair.station_kit import TOKEN, VERSIONS

OLD, NEW, NEWER = "old-password-0001", "new-password-0002", "newer-password-03"
versions = pytest.mark.parametrize("version", VERSIONS)
CONFIG = Path(__file__).parents[2] / "config" / "component_config"


class Gate:
    """A CSMS that knows some passwords."""

    def __init__(self, *known: str) -> None:
        self.known = {*known}
        self.seen: list[str | None] = []
        self.status = 401

    def __call__(self, dial: Dial) -> BaseException | None:
        self.seen.append(dial.target.password)
        return None if dial.target.password in self.known else http(self.status)


def at_gate(
    scenario: Callable[[SlotSite, Gate], Coroutine[Any, Any, None]],
    version: OcppVersion = OcppVersion.V21,
    *,
    storage: MemoryStorage | None = None,
    known: tuple[str, ...] = (OLD,),
    **options: Any,
) -> None:
    async def run(clock: VirtualClock) -> None:
        options.setdefault("password", OLD)
        options.setdefault("count", 1)
        site = SlotSite(clock, version, storage=storage, **options)
        gate = Gate(*known)
        site.fail = gate
        async with site:
            await scenario(site, gate)

    run_virtual(run)


async def change(site: SlotSite, password: str = NEW) -> None:
    assert await site.set("BasicAuthPassword", password, "SecurityCtrlr") == "Accepted"


# --- A01 --------------------------------------------------------------------------------------


@versions
def test_a01_the_station_reconnects_with_the_new_password(version: OcppVersion) -> None:
    """A01.FR.01, A01.FR.11, A00.FR.202, A00.FR.203: at once, and from then on with no other, even
    when somebody refuses it later."""

    async def scenario(site: SlotSite, gate: Gate) -> None:
        await site.accepted(1)
        gate.known = {NEW}
        await change(site)
        await site.clock.sleep(3)
        await site.accepted(1)
        assert gate.seen == [OLD, NEW]
        assert "ReconfigurationOfSecurityParameters" in await security_log(site)
        # Somebody in between answers 401: the old password is none of his business.
        gate.known = set()
        assert site.link is not None
        site.link.cut()
        await site.clock.sleep(300)
        gate.known = {NEW}
        await site.accepted(1)
        assert set(gate.seen[2:]) == {NEW}
        assert "password.previous" not in await site.storage.state_load()

    at_gate(scenario, version)


@versions
@pytest.mark.parametrize("status", [401, 403])
def test_a01_a_csms_that_refuses_the_new_password_gets_the_old_one(
    status: int, version: OcppVersion
) -> None:
    """A01 with a way back: the very next dial, within the first back-offs; the variable then is
    what works, also after a power cut, and the security log says so (A01.FR.11)."""
    storage = MemoryStorage()

    async def scenario(site: SlotSite, gate: Gate) -> None:
        gate.status = status
        await site.accepted(1)
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await change(site)
        began_s = site.clock.elapsed_s
        await site.until(lambda: len(site.log) == 3)
        await site.accepted(1)
        assert gate.seen == [OLD, NEW, OLD]
        assert site.clock.elapsed_s - began_s < 10
        kinds = await security_log(site)
        assert kinds.count("ReconfigurationOfSecurityParameters") >= 2
        assert "FailedToAuthenticateAtCsms" in kinds
        assert site.link is not None
        for _ in range(3):
            site.link.cut()
            await site.clock.sleep(5)
        assert gate.seen[3:] == [OLD] * 3
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(10)
        (transaction,) = site.at[1].stations[IDENTITY].transactions.values()
        assert transaction.ended_at is not None
        assert not transaction.seq_nos.missing

    async def again(site: SlotSite, gate: Gate) -> None:
        await site.accepted(1)
        assert gate.seen == [OLD]

    at_gate(scenario, version, storage=storage)
    at_gate(again, version, storage=storage)


@versions
def test_a01_while_the_csms_is_away_both_passwords_are_tried(version: OcppVersion) -> None:
    """The new password was answered Accepted, then the CSMS is gone for hours and comes back from a
    backup that knows the old one, or as it was meant to."""
    for known in (OLD, NEW):

        async def scenario(site: SlotSite, gate: Gate, known: str = known) -> None:
            await site.accepted(1)
            away = True
            site.fail = lambda dial: refused(dial) if away else gate(dial)
            await change(site)
            await site.clock.sleep(7_200)
            gate.known = {known}
            away = False
            await site.accepted(1, limit_s=300)
            assert site.log[-1].target.password == known

        at_gate(scenario, version)


def test_a01_nobody_goes_back_from_a_password_that_nobody_has_refused() -> None:
    """A01.FR.03: a CSMS that takes both for a while, and is away meanwhile, will soon take the new
    one only; a station that had gone back on its own would be locked out for good."""
    for away_s in range(5, 200, 6):

        async def scenario(site: SlotSite, gate: Gate, away_s: int = away_s) -> None:
            await site.accepted(1)
            gate.known = {OLD, NEW}
            away = True
            site.fail = lambda dial: refused(dial) if away else gate(dial)
            await change(site)
            await site.clock.sleep(away_s)
            away = False
            await site.accepted(1, limit_s=300)
            gate.known = {NEW}
            assert site.link is not None
            site.link.cut()
            await site.accepted(1, limit_s=300)
            assert site.log[-1].target.password == NEW

        at_gate(scenario)


@versions
@pytest.mark.parametrize("known", [OLD, NEW])
def test_a01_a_power_cut_after_the_answer_loses_neither_password(
    known: str, version: OcppVersion
) -> None:
    storage = MemoryStorage()

    async def scenario(site: SlotSite, gate: Gate) -> None:
        await site.accepted(1)
        site.fail = refused
        await change(site)
        # Here the power fails: the next life has the storage only.

    async def again(site: SlotSite, gate: Gate) -> None:
        await site.accepted(1, limit_s=120)
        assert gate.seen[-1] == known
        assert set(gate.seen) <= {OLD, NEW}

    at_gate(scenario, version, storage=storage)
    at_gate(again, version, storage=storage, known=(known,))


@versions
def test_a01_two_changes_before_either_was_proved(version: OcppVersion) -> None:
    """The password that has worked is the one to go back to, not one that never did."""

    async def scenario(site: SlotSite, gate: Gate) -> None:
        await site.accepted(1)
        m = site.m
        data = [
            m.SetVariableDataType(
                attribute_value=password,
                component=m.ComponentType(name="SecurityCtrlr"),
                variable=m.VariableType(name="BasicAuthPassword"),
            )
            for password in (NEW, NEWER)
        ]
        await site.ask(m.SetVariablesRequest(set_variable_data=data))
        await site.clock.sleep(60)
        await site.accepted(1)
        assert gate.seen == [OLD, NEWER, OLD]

    at_gate(scenario, version)


@versions
def test_a01_in_pending_the_new_password_is_used_too(version: OcppVersion) -> None:
    """A00.FR.806, A01.FR.05: the CSMS keeps the station Pending until its factory password is
    changed; it reconnects with the new one."""

    async def run(clock: VirtualClock) -> None:
        site = SlotSite(clock, version, count=1, password=OLD)
        gate = Gate(OLD)
        site.fail = gate
        site.csms.on("BootNotification", boot(version, clock, "Pending", 60))
        async with site:
            await site.until(lambda: site.point.registration == "Pending")
            gate.known = {NEW}
            await change(site)
            await site.until(lambda: len(site.log) == 2, limit_s=20)
            assert gate.seen == [OLD, NEW]
            site.csms.on("BootNotification", boot(version, clock, "Accepted", 0))
            await site.accepted(1)

    run_virtual(run)


@pytest.mark.parametrize("configured", [OLD, None])
def test_a01_fr_01_the_configuration_goes_before_the_default_of_the_files(
    configured: str | None, tmp_path: Path
) -> None:
    """A01.FR.01: and what was set at run time goes before both."""
    folder = tmp_path / "component_config"
    shutil.copytree(CONFIG, folder)
    (file,) = folder.rglob("SecurityCtrlr.json")
    content = json.loads(file.read_text())
    content["properties"]["BasicAuthPassword"]["attributes"][0]["value"] = NEWER
    file.write_text(json.dumps(content))

    async def run(clock: VirtualClock) -> None:
        for expected in (configured or NEWER, NEW):
            site = SlotSite(
                clock,
                count=1,
                password=configured,
                security_profile=1,
                component_config=str(folder),
            )
            if expected is NEW:
                model = site.point.device_model
                model.variable("SecurityCtrlr", "BasicAuthPassword").set(NEW)
            async with site:
                await site.accepted(1)
                assert site.log[0].target.password == expected

    run_virtual(run)


@versions
def test_b10_fr_03_a_reconnect_that_is_wanted_is_no_failed_attempt(version: OcppVersion) -> None:
    """B10.FR.03: the slot has all its attempts with the new password, though the CSMS had not
    accepted the station on the link before."""

    async def run(clock: VirtualClock) -> None:
        site = SlotSite(clock, version, password=OLD)
        site.csms.on("BootNotification", boot(version, clock, "Pending", 60))
        async with site:
            await site.until(lambda: site.point.registration == "Pending")
            site.dead = {1}
            await change(site)
            await site.accepted(2)
            assert site.slots == [1, *[1] * ATTEMPTS, 2]

    run_virtual(run)


@versions
def test_a01_the_old_password_is_told_to_no_other_csms(version: OcppVersion) -> None:
    """A01.FR.12 in spirit: slot 2 has a password of its own; a 401 there does not make the station
    tell it the password that it had at slot 1."""

    async def run(clock: VirtualClock) -> None:
        site = SlotSite(
            clock,
            version,
            password=OLD,
            own_slots=(SlotConfig(csms_url="ws://two.test/ocpp", password="password-of-two-1"),),
        )
        seen: dict[int, set[str | None]] = {1: set(), 2: set()}
        away: set[int] = set()

        def fail(dial: Dial) -> BaseException | None:
            if dial.slot in away:
                return refused(dial)
            seen[dial.slot].add(dial.target.password)
            return http(401) if dial.slot == 2 else None

        site.fail = fail
        async with site:
            await site.accepted(1)
            away.add(1)
            await change(site)
            await clock.sleep(600)
        assert seen[2] == {"password-of-two-1"}

    run_virtual(run)


@pytest.mark.parametrize("level", [logging.DEBUG])
def test_a01_fr_12_neither_password_is_logged(level: int, caplog: pytest.LogCaptureFixture) -> None:
    """A01.FR.12: at debug level, in the security log, in what is told and in a repr."""
    caplog.set_level(logging.DEBUG)
    found: list[str] = []

    async def scenario(site: SlotSite, gate: Gate) -> None:
        await site.accepted(1)
        await change(site)
        await site.until(lambda: len(site.log) == 3)
        await site.accepted(1)
        gate.known = {NEWER}
        await change(site, NEWER)
        await site.clock.sleep(20)
        await site.accepted(1)
        found.extend(str(row) for row in await site.storage.security_log_load(1_000))
        found.extend(repr(dial.target) for dial in site.log)
        found.extend(repr(dial) for dial in site.log)
        found.extend(repr(vars(site.point)[name]) for name in vars(site.point))
        found.append(repr(site.point.config))
        found.append(str(await site.storage.outbox_load()))
        assert await site.get("BasicAuthPassword", "SecurityCtrlr") is None

    at_gate(scenario)
    text = "\n".join((caplog.text, *found))
    for secret in (OLD, NEW, NEWER):
        assert secret not in text
