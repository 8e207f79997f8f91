"""Security events: which the CSMS is told, which are only kept, and how often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ocpp_fast.blocks.security import CRITICAL, DATABASE_CORRUPTED
from ocpp_fast.blocks.security.events import STORAGE_FAILED
from ocpp_fast.errors import ConnectFailed, ConnectFailure, ConnectionLost
from ocpp_fast.messages import OcppVersion
from unit.blocks.security_kit import FailingStorage, World, in_world

BAD_LINKS = [
    (ConnectFailure.CERTIFICATE, None, "InvalidCsmsCertificate", True),
    (ConnectFailure.TLS_VERSION, None, "InvalidTLSVersion", True),
    (ConnectFailure.TLS_CIPHER, None, "InvalidTLSCipherSuite", True),
    (ConnectFailure.CLIENT_CERTIFICATE, None, "FailedToAuthenticateAtCsms", False),
    (ConnectFailure.HTTP, 401, "FailedToAuthenticateAtCsms", False),
    (ConnectFailure.HTTP, 403, "FailedToAuthenticateAtCsms", False),
]


@pytest.mark.parametrize("version", OcppVersion)
def test_a_critical_event_is_posted_and_logged(tmp_path: Path, version: OcppVersion) -> None:
    """A04.FR.01, A04.FR.02, A04.FR.04: with guaranteed delivery, in the version of the link."""

    async def scenario(world: World) -> None:
        await world.events.notify("TamperDetectionActivated", "the\nlid  is\x00 open")
        (posted,) = world.posted
        assert (posted.version, posted.action) == (version, "SecurityEventNotification")
        assert type(posted.request) is world.m.SecurityEventNotificationRequest
        assert posted.request.timestamp == world.clock.now()
        assert posted.request.tech_info == "the lid is open"
        (row,) = await world.log()
        assert row == (
            "2026-01-01T00:00:00+00:00", "TamperDetectionActivated", "the lid is open", True,
        )  # fmt: skip

    in_world(scenario, tmp_path, version=version)


def test_another_event_is_only_logged(tmp_path: Path) -> None:
    """A04.FR.04: also events that are not critical are stored."""

    async def scenario(world: World) -> None:
        await world.events.notify("InvalidMessages", "no JSON")
        await world.events.notify("InvalidMessages")
        assert world.posted == []
        assert [(row.kind, row.tech_info, row.critical) for row in await world.log()] == [
            ("InvalidMessages", "no JSON", False),
            ("InvalidMessages", None, False),
        ]

    in_world(scenario, tmp_path)


def test_long_texts_are_cut_to_what_the_message_holds(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.events.notify("x" * 80, "y" * 300)
        (posted,) = world.posted
        assert (len(posted.request.type), len(posted.request.tech_info)) == (50, 255)

    in_world(scenario, tmp_path)


def test_events_of_ones_own_are_told_unless_they_are_not_critical(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.events.notify("LidOpened")
        await world.events.notify("LidMoved", critical=False)
        await world.events.notify("InvalidMessages", critical=True)
        assert world.told() == ["LidOpened", "InvalidMessages"]
        assert await world.logged() == ["LidOpened", "LidMoved", "InvalidMessages"]

    in_world(scenario, tmp_path)


def test_the_table_has_every_event_of_the_appendix_once() -> None:
    """A04.FR.01: 21 types, of which 5 are not critical, and two of our own."""
    assert len(CRITICAL) == 23
    assert {name for name, critical in CRITICAL.items() if not critical} == {
        "AttemptedReplayAttacks",
        "CsmsFailedToAuthenticate",
        "FailedToAuthenticateAtCsms",
        "InvalidMessages",
        "ReconfigurationOfSecurityParameters",
    }
    assert all(len(name) <= 50 for name in CRITICAL)
    assert CRITICAL[DATABASE_CORRUPTED]
    assert CRITICAL[STORAGE_FAILED]


@pytest.mark.parametrize(("failure", "status", "kind", "critical"), BAD_LINKS)
def test_a_refused_link_raises_its_event_once(
    tmp_path: Path, failure: ConnectFailure, status: int | None, kind: str, critical: bool
) -> None:
    """A00.FR.310, A00.FR.316, A00.FR.323, A00.FR.413, A00.FR.419, A00.FR.426: and a thousand bad
    dials are one event, until there was a link."""

    async def scenario(world: World) -> None:
        for number in range(1_000):
            error = ConnectFailed(failure, f"it is bad\nfor the {number}th time", status)
            world.events.connect_failed(error)
        await world.settle()
        (first, *_) = await world.log()
        assert first.kind == kind
        assert first.tech_info == f"cannot connect ({failure}): it is bad for the 0th time"
        assert world.told() == [kind] * critical
        assert len(await world.log()) == 1

        world.events.connected()
        await world.settle()
        repeats = (await world.log())[1]
        assert (repeats.kind, repeats.tech_info) == (kind, "came 999 more times")
        world.events.connect_failed(ConnectFailed(failure, "again", status))
        world.events.connected()
        await world.settle()
        assert world.told() == [kind, kind] * critical
        assert len(await world.log()) == 3

    in_world(scenario, tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        ConnectFailed(ConnectFailure.NETWORK, "nobody there"),
        ConnectFailed(ConnectFailure.TLS, "odd"),
        ConnectFailed(ConnectFailure.HTTP, "no such station", 404),
        ConnectFailed(ConnectFailure.SLOT, "slot 2: SOAP"),
        ConnectionLost(1006, "gone"),
    ],
    ids=str,
)
def test_other_failures_are_no_matter_of_security(tmp_path: Path, error: Any) -> None:
    async def scenario(world: World) -> None:
        world.events.connect_failed(error)
        await world.settle()
        assert await world.log() == []

    in_world(scenario, tmp_path)


def test_causes_are_forgotten_one_by_one(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        for _ in range(3):
            await world.events.notify("MemoryExhaustion", "RAM", cause="ram")
            await world.events.notify("MemoryExhaustion", "flash", cause="flash")
        world.events.connected()  # has nothing to do with these
        world.events.over("ram")
        world.events.over("never known")
        await world.events.notify("MemoryExhaustion", "RAM again", cause="ram")
        await world.events.notify("MemoryExhaustion", "flash", cause="flash")
        await world.settle()
        assert [each.request.tech_info for each in world.posted] == ["RAM", "flash", "RAM again"]

    in_world(scenario, tmp_path)


def test_made_up_causes_do_not_pile_up(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        for number in range(1_000):
            await world.events.notify("MemoryExhaustion", cause=str(number))
        assert len(world.events._standing) <= 100

    in_world(scenario, tmp_path)


def test_types_can_be_switched_off_one_by_one(tmp_path: Path) -> None:
    """For a CSMS that does not take them; the log has them all the same."""

    async def scenario(world: World) -> None:
        world.configure("InternalCtrlr", SecurityEventsNotTold="StartupOfTheDevice, LidOpened")
        await world.events.notify("StartupOfTheDevice")
        await world.events.notify("LidOpened")
        await world.events.notify("ResetOrReboot")
        assert world.told() == ["ResetOrReboot"]
        world.configure("InternalCtrlr", SecurityEventsNotTold="*")
        await world.events.notify("ResetOrReboot")
        assert world.told() == ["ResetOrReboot"]
        assert len(await world.log()) == 4
        world.configure("InternalCtrlr", SecurityEventsNotTold="")
        await world.events.notify("LidOpened")
        assert world.told() == ["ResetOrReboot", "LidOpened"]

    in_world(scenario, tmp_path)


def test_types_can_be_switched_on_one_by_one(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.configure("InternalCtrlr", SecurityEventsTold="InvalidMessages")
        await world.events.notify("InvalidMessages")
        await world.events.notify("AttemptedReplayAttacks")
        assert world.told() == ["InvalidMessages"]
        world.configure("InternalCtrlr", SecurityEventsTold="*")
        await world.events.notify("AttemptedReplayAttacks")
        assert world.told() == ["InvalidMessages", "AttemptedReplayAttacks"]

    in_world(scenario, tmp_path)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("PowerUp", "StartupOfTheDevice"),
        ("Unknown", "StartupOfTheDevice"),
        ("ApplicationReset", "ResetOrReboot"),
        ("LocalReset", "ResetOrReboot"),
        ("RemoteReset", "ResetOrReboot"),
        ("ScheduledReset", "ResetOrReboot"),
        ("Triggered", "ResetOrReboot"),
        ("Watchdog", "ResetOrReboot"),
        ("FirmwareUpdate", "FirmwareUpdated"),
    ],
)
def test_a_start_is_told_by_its_reason(tmp_path: Path, reason: str, kind: str) -> None:
    async def scenario(world: World) -> None:
        await world.events.started(reason)
        assert world.told() == [kind]

    in_world(scenario, tmp_path)


def test_a_damaged_database_is_told(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.events.storage_set_aside("/data/station.db.corrupt-1")
        (posted,) = world.posted
        assert posted.request.type == DATABASE_CORRUPTED
        assert posted.request.tech_info == "kept as /data/station.db.corrupt-1"

    in_world(scenario, tmp_path)


def test_a_failing_log_keeps_no_event_from_the_csms(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.storage.broken.add("security_log_append")
        await world.events.notify("ResetOrReboot")
        assert world.told() == ["ResetOrReboot"]

    in_world(scenario, tmp_path, storage=FailingStorage())
