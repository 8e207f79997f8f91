"""A01: a new password, and the way back when the CSMS does not know it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from ocpp_fast.blocks.context import Registration
from ocpp_fast.errors import StorageError
from unit.blocks.security_kit import PASSWORD, World, in_world

NEW: str = "second password of CS001"
NEWER: str = "third password of CS001"


def present(world: World) -> str | None:
    """SecurityCtrlr.BasicAuthPassword."""
    value: str | None = world.model.variable("SecurityCtrlr", "BasicAuthPassword").text()
    return value


async def kept(world: World) -> str | None:
    """The password that is stored as the previous one."""
    text = (await world.storage.state_load()).get("password.previous")
    if text is None:
        return None
    password: str = json.loads(text)["password"]
    return password


def own(world: World, slot: int = 1) -> Any:
    """NetworkConfiguration.BasicAuthPassword."""
    return world.model.variable("NetworkConfiguration", "BasicAuthPassword", instance=str(slot))


@pytest.mark.parametrize("profile", [1, 2])
def test_an_accepted_password_is_logged_and_tried(tmp_path: Path, profile: int) -> None:
    """A01.FR.01, A01.FR.11, A01.FR.12: the log says that it was changed, and not to what."""

    async def scenario(world: World) -> None:
        await world.connect()
        assert await world.set("BasicAuthPassword", NEW) == "Accepted"
        assert world.reconnects == ["the password has changed"]
        assert (present(world), world.passwords.previous) == (NEW, PASSWORD)
        assert await kept(world) == PASSWORD
        (row,) = await world.log()
        assert (row.kind, row.critical) == ("ReconfigurationOfSecurityParameters", False)
        said = str(await world.log())
        assert NEW not in said
        assert PASSWORD not in said

    in_world(scenario, tmp_path, profile=profile)


def test_the_old_password_goes_with_the_first_good_link(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.connect()
        await world.set("BasicAuthPassword", NEW)
        world.disconnect()
        await world.connect()
        assert (present(world), world.passwords.previous, await kept(world)) == (NEW, None, None)

    in_world(scenario, tmp_path, profile=1)


def test_the_new_password_goes_when_the_csms_takes_the_old_one(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.connect()
        await world.set("BasicAuthPassword", NEW)
        world.disconnect()
        await world.connect(old=True)
        assert present(world) == PASSWORD
        assert (world.passwords.previous, await kept(world)) == (None, None)
        assert [row.tech_info for row in await world.log()] == [
            "BasicAuthPassword was set",
            "the CSMS refused the new BasicAuthPassword, the one before is back",
        ]
        stored = [row for row in await world.storage.values_load() if row[4] == "BasicAuthPassword"]
        assert [row[7] for row in stored] == [PASSWORD]

    in_world(scenario, tmp_path, profile=1)


def test_what_was_where_is_there_again(tmp_path: Path) -> None:
    """B09.FR.27: the slot has lost its own password to the new one; other CSMSs are not to learn
    it when it comes back."""

    async def scenario(world: World) -> None:
        world.configure("SecurityCtrlr", BasicAuthPassword=NEWER)
        own(world).set(PASSWORD)
        await world.connect()
        await world.set("BasicAuthPassword", NEW)
        own(world).set("")
        world.disconnect()
        await world.connect(old=True)
        assert (present(world), own(world).text()) == (NEWER, PASSWORD)
        assert not own(world, 2).text()
        assert await kept(world) is None

    in_world(scenario, tmp_path, profile=1)


def test_a_short_password_of_the_configuration_comes_back_too(tmp_path: Path) -> None:
    """The CSMS could not set it (A00.FR.205), but it is what works."""

    async def scenario(world: World) -> None:
        await world.connect()
        await world.set("BasicAuthPassword", NEW)
        world.disconnect()
        await world.connect(old=True)
        assert (own(world).text(), await kept(world)) == ("short", None)
        world.disconnect()
        await world.connect()
        assert world.passwords._in_use == "short"

    in_world(scenario, tmp_path, profile=1, password="short")


def test_a_password_that_cannot_be_put_back_stays_the_previous_one(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.password = "x" * 100
        await world.connect()
        await world.set("BasicAuthPassword", NEW)
        for _ in range(2):
            world.disconnect()
            await world.connect(old=True)
            assert world.passwords.previous == "x" * 100

    in_world(scenario, tmp_path, profile=1)


def test_a_link_over_another_slot_proves_nothing(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        own(world, 2).set(NEWER)
        await world.connect()
        await world.set("BasicAuthPassword", NEW)
        world.disconnect()
        await world.connect(slot=2)
        assert world.passwords.previous == PASSWORD
        world.disconnect()
        await world.connect()
        assert world.passwords.previous is None

    in_world(scenario, tmp_path, profile=1)


def test_a_previous_password_that_cannot_be_read_is_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(world: World) -> None:
        for text in ("rubbish", "{}", '{"password":"secret"}'):
            world.storage.state_store({"password.previous": text})
            again = await world.crash()
            assert again.passwords.previous is None
        assert "secret" not in caplog.text

    in_world(scenario, tmp_path, profile=1)


def test_of_two_changes_in_a_row_the_way_back_leads_to_what_has_worked(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.connect()
        await world.set("BasicAuthPassword", NEW)
        await world.set("BasicAuthPassword", NEWER)
        assert (present(world), world.passwords.previous) == (NEWER, PASSWORD)

    in_world(scenario, tmp_path, profile=1)


@pytest.mark.parametrize("bad", ["short", "x" * 65])
def test_a_refused_password_changes_nothing(tmp_path: Path, bad: str) -> None:
    """A01.FR.04 relies on it: anything but Accepted leaves the old one."""

    async def scenario(world: World) -> None:
        await world.connect()
        assert await world.set("BasicAuthPassword", bad) == "Rejected"
        assert world.reconnects == []
        assert (present(world), world.passwords.previous, await kept(world)) == (None, None, None)
        assert await world.log() == []
        # One that was accepted before is not lost by one that is refused.
        await world.set("BasicAuthPassword", NEW)
        assert await world.set("BasicAuthPassword", bad) == "Rejected"
        assert (present(world), await kept(world)) == (NEW, PASSWORD)

    in_world(scenario, tmp_path, profile=1)


@pytest.mark.parametrize("profile", [0, 3])
def test_without_passwords_in_use_nothing_is_dialled_anew(tmp_path: Path, profile: int) -> None:
    async def scenario(world: World) -> None:
        await world.connect()
        assert await world.set("BasicAuthPassword", NEW) == "Accepted"
        assert world.reconnects == []
        assert (present(world), world.passwords.previous, await kept(world)) == (NEW, None, None)
        assert await world.logged() == ["ReconfigurationOfSecurityParameters"]

    in_world(scenario, tmp_path, profile=profile)


def test_a_csms_that_keeps_the_station_pending_may_set_it(tmp_path: Path) -> None:
    """A00.FR.806."""

    async def scenario(world: World) -> None:
        await world.connect(registration=Registration.PENDING)
        assert await world.set("BasicAuthPassword", NEW) == "Accepted"
        assert (len(world.reconnects), await kept(world)) == (1, PASSWORD)

    in_world(scenario, tmp_path, profile=1)


def test_other_variables_are_no_passwords(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.connect()
        assert await world.set("OrganizationName", "Somebody") == "Accepted"
        assert await world.set("BasicAuthPassword", NEW, component="NoCtrlr") == "UnknownComponent"
        m = world.m
        other = m.SetVariableDataType(
            attribute_value=NEW,
            component=m.ComponentType(name="SecurityCtrlr", instance="2"),
            variable=m.VariableType(name="BasicAuthPassword"),
        )
        await world.ask("SetVariables", m.SetVariablesRequest(set_variable_data=[other]))
        assert (world.reconnects, await world.log(), await kept(world)) == ([], [], None)

    in_world(scenario, tmp_path, profile=1)


def test_names_compare_without_case(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.connect()
        await world.set("basicauthPASSWORD", NEW, component="SECURITYctrlr")
        assert (len(world.reconnects), await kept(world)) == (1, PASSWORD)

    in_world(scenario, tmp_path, profile=1)


def test_without_a_durable_way_back_there_is_no_new_password(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.connect()
        world.storage.broken.add("state_store")
        with pytest.raises(StorageError):
            await world.set("BasicAuthPassword", NEW)
        assert (present(world), world.passwords.previous) == (None, None)

    in_world(scenario, tmp_path, profile=1)


def test_a_storage_that_cannot_keep_the_new_one_keeps_the_old_one(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.connect()
        world.storage.broken.add("values_store")
        assert await world.set("BasicAuthPassword", NEW) == "Rejected"
        assert (present(world), world.reconnects, await kept(world)) == (None, [], None)

    in_world(scenario, tmp_path, profile=1)


class PowerCut(BaseException):
    """Nothing happens after it."""


@pytest.mark.parametrize("old", [False, True])
def test_a_power_cut_at_any_step_leaves_a_password_that_works(tmp_path: Path, old: bool) -> None:
    """A01: at each write to the storage the power fails, before it or after it; the station that
    starts again knows the password that the CSMS wants, as the present or as the previous one."""

    async def scenario(first: World) -> None:
        cuts = 0
        for step in range(100):
            world = World(first.clock, tmp_path, profile=1)
            await world.start()
            await world.connect()
            wanted, cut = await _change(world, step, takes_old=old)
            again = await world.crash()
            value = present(again)
            known = {value if value is not None else PASSWORD, again.passwords.previous}
            assert wanted & known, step
            # And whichever it is, after the next good link it is the only one.
            use_old = (value if value is not None else PASSWORD) not in wanted
            again.passwords._in_use = None
            await again.connect(old=use_old)
            assert await kept(again) is None
            value = present(again)
            assert (value if value is not None else PASSWORD) in wanted
            await again.crash()
            if not cut:
                break
            cuts += 1
        else:
            raise AssertionError("it never ends")
        assert cuts >= 4

    in_world(scenario, tmp_path, profile=1)


async def _change(world: World, step: int, *, takes_old: bool) -> tuple[set[str | None], bool]:
    """Sets a password and reconnects, with a cut at the `step`th half of a write; gives what the
    CSMS takes afterwards, and whether the power was cut."""
    left = step
    wanted: set[str | None] = {PASSWORD}

    def count() -> None:
        nonlocal left
        if left <= 0:
            left = -1
            raise PowerCut
        left -= 1

    def guard(verb: str) -> Any:
        plain = getattr(world.storage, verb)

        def run(*arguments: Any) -> Any:
            count()
            done = plain(*arguments)
            count()
            return done

        return run

    async def change() -> None:
        nonlocal wanted
        # A CSMS takes both until it has seen the answer, then, as its fate will have it, one.
        wanted = {PASSWORD, NEW}
        await world.set("BasicAuthPassword", NEW)
        wanted = {PASSWORD} if takes_old else {NEW}
        world.disconnect()
        await world.connect(old=takes_old)
        await world.model.drained()

    verbs = ("state_store", "values_store")
    for verb in verbs:
        setattr(world.storage, verb, guard(verb))
    task = asyncio.ensure_future(change())
    await asyncio.wait([task, asyncio.ensure_future(world.clock.sleep(60))])
    for verb in verbs:
        delattr(world.storage, verb)
    if left >= 0:
        await task
        return wanted, False
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return wanted, True


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.connect()
        await world.set("BasicAuthPassword", NEW)
        again = await world.crash()
        assert (present(again), again.passwords.previous) == (NEW, PASSWORD)
        await again.connect(old=True)
        assert present(again) == PASSWORD

    in_world(scenario, tmp_path, profile=2)
