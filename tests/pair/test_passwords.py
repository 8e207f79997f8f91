"""A01: the CSMS gives the station another password, and keeps its word or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ocpp_fast.messages import OcppVersion
from pair.security_site import PASSWORD, SecureSite, at_secure_site

NEW = "second password of CS001"


def present(site: SecureSite) -> str | None:
    value: str | None = site.point.device_model.variable(
        "SecurityCtrlr", "BasicAuthPassword"
    ).text()
    return value


@pytest.mark.parametrize("version", OcppVersion)
@pytest.mark.parametrize("profile", [1, 2])
def test_the_station_comes_back_with_the_new_password(
    tmp_path: Path, version: OcppVersion, profile: int
) -> None:
    """A01.FR.01, A01.FR.11; TC_A_09_CS: answered first, then dialled anew, without a boot."""

    async def scenario(site: SecureSite) -> None:
        site.passwords = {PASSWORD, NEW}
        assert await site.set("SecurityCtrlr.BasicAuthPassword", NEW) == "Accepted"
        site.passwords = {NEW}  # A01.FR.03
        await site.clock.sleep(5)
        assert [target.password for target in site.targets] == [PASSWORD, NEW]
        assert site.point.connected
        assert len(site.sent("BootNotification")) == 1
        await site.clock.sleep(600)
        assert site.dials == 2
        # Cut off, it knows which one it is.
        site.cut()
        await site.clock.sleep(60)
        assert site.targets[-1].password == NEW
        assert site.point.connected

    at_secure_site(scenario, tmp_path, version, profile=profile)


@pytest.mark.parametrize("profile", [1, 2])
def test_a_csms_that_forgets_its_word_gets_the_old_one(tmp_path: Path, profile: int) -> None:
    """The station is back within two dials, with the password that works, and keeps to it."""

    async def scenario(site: SecureSite) -> None:
        assert await site.set("SecurityCtrlr.BasicAuthPassword", NEW) == "Accepted"
        await site.clock.sleep(30)
        assert [target.password for target in site.targets] == [PASSWORD, NEW, PASSWORD]
        assert site.point.connected
        assert present(site) == PASSWORD
        site.cut()
        await site.clock.sleep(60)
        assert site.targets[-1].password == PASSWORD
        assert len(site.targets) == 4
        # FailedToAuthenticateAtCsms is not critical, so the CSMS is not told.
        assert site.security_events() == []
        log = await site.point._storage.security_log_load(100)
        assert "FailedToAuthenticateAtCsms" in [row.kind for row in log]
        assert PASSWORD not in str(log)
        assert NEW not in str(log)

    at_secure_site(scenario, tmp_path, profile=profile)


def test_what_waits_for_delivery_goes_over_the_next_link(tmp_path: Path) -> None:
    """A01, scenario step 3: queued messages are stored."""

    async def scenario(site: SecureSite) -> None:
        site.passwords = {PASSWORD, NEW}
        await site.charge_without_end(1)
        assert await site.set("SecurityCtrlr.BasicAuthPassword", NEW) == "Accepted"
        await site.charge(10, evse_id=2)
        await site.clock.sleep(30)
        assert [each.ended_at is not None for each in site.transactions] == [False, True]
        numbers: dict[str, list[int]] = {}
        for event in site.sent("TransactionEvent"):
            transaction = event["transactionInfo"]["transactionId"]
            numbers.setdefault(transaction, []).append(event["seqNo"])
        assert all(each == [*range(len(each))] for each in numbers.values())
        assert site.dials == 2

    at_secure_site(scenario, tmp_path, profile=1)


def test_a_refused_password_leaves_the_link_alone(tmp_path: Path) -> None:
    """A01.FR.04."""

    async def scenario(site: SecureSite) -> None:
        assert await site.set("SecurityCtrlr.BasicAuthPassword", "short") == "Rejected"
        await site.clock.sleep(60)
        assert site.dials == 1

    at_secure_site(scenario, tmp_path, profile=1)


def test_the_csms_may_be_away_when_the_new_password_is_to_be_tried(tmp_path: Path) -> None:
    async def scenario(site: SecureSite) -> None:
        site.passwords = {PASSWORD, NEW}
        assert await site.set("SecurityCtrlr.BasicAuthPassword", NEW) == "Accepted"
        site.passwords = {NEW}
        site.cut(until_s=3_600)
        await site.clock.sleep(7_200)
        assert site.point.connected
        assert site.targets[-1].password == NEW
        assert present(site) == NEW
        assert site.point._parts.passwords.previous is None

    at_secure_site(scenario, tmp_path, profile=2)
