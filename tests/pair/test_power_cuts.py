"""The power fails after every single durable write of a switch: whatever the storage holds then,
the next life of the station comes back to a CSMS, and never over a weaker slot than it may.

Each verb of the storage is one transaction (tests/crash shows it with real processes that are
killed), so what stands between two of them is all that a power cut can leave.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from ocpp_fast.errors import ConnectFailed, ConnectFailure
from ocpp_fast.messages import OcppVersion
from ocpp_fast.security.pki import Pki
from ocpp_fast.security.store import CertificateStore, RootUse
from ocpp_fast.storage import MemoryStorage
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.link_kit import Dial, SlotSite, http, refused
from pair.station_kit import VERSIONS

OLD, NEW = "old-password-0001", "new-password-0002"
WRITES = (
    "components_remove",
    "components_store",
    "monitors_store",
    "outbox_append",
    "outbox_attempted",
    "outbox_bury",
    "outbox_discard",
    "outbox_redate",
    "outbox_remove",
    "readings_append",
    "readings_remove",
    "readings_thin",
    "security_log_append",
    "state_store",
    "values_store",
)
TOLD = frozenset({"outbox_append", "outbox_attempted", "outbox_remove"})
"""What a switch does not depend on; cuts after these are as the one before."""
versions = pytest.mark.parametrize("version", VERSIONS)


class CutStorage(MemoryStorage):
    """Keeps what a power cut would leave, after each write."""

    def __init__(self) -> None:
        super().__init__()
        self.cuts: list[tuple[str, dict[str, Any]]] = []
        for verb in WRITES:
            setattr(self, verb, self._cutting(verb, getattr(self, verb)))

    def _cutting(self, verb: str, write: Callable[..., Awaitable[Any]]) -> Any:
        def cutting(*arguments: Any, **named: Any) -> Awaitable[Any]:
            done = write(*arguments, **named)
            if verb not in TOLD:
                self.cuts.append((verb, deepcopy(self.content)))
            return done

        return cutting

    @property
    def content(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in vars(self).items()
            if name.startswith("_") and not callable(value)
        }

    @classmethod
    def after(cls, cut: dict[str, Any]) -> CutStorage:
        found = cls()
        vars(found).update(deepcopy(cut))
        return found


async def live(
    clock: VirtualClock,
    version: OcppVersion,
    storage: MemoryStorage,
    scenario: Callable[[SlotSite], Coroutine[Any, Any, None]],
    *,
    fail: Callable[[Dial], BaseException | None] = lambda _: None,
    **config: Any,
) -> SlotSite:
    """One life of a station."""
    site = SlotSite(clock, version, storage=storage, password=OLD, **config)
    site.fail = fail
    await site.station.start()
    try:
        await clock.sleep(0.5)
        await scenario(site)
    finally:
        await site.station.stop()
        for csms in site.at.values():
            await csms.stop()
    return site


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate store with a CSMS root."""
    folder = tmp_path_factory.mktemp("trust") / "store"

    async def fill(clock: VirtualClock) -> None:
        CertificateStore(folder, clock).install_root(RootUse.CSMS, Pki(clock.now()).csms_root.pem)

    run_virtual(fill)
    return folder


async def _upgrade(site: SlotSite) -> None:
    """A05: a slot of profile 2, first in the list."""
    await site.accepted(1)
    assert await site.set_profile(2, "wss://two.test/ocpp", 2) == "Accepted"
    status = await site.set("NetworkConfigurationPriority", "2,1")
    assert status in {"Accepted", "RebootRequired"}


def _no_slot_is_lost(site: SlotSite) -> None:
    error = site.point.connect_error
    assert not (isinstance(error, ConnectFailed) and error.failure is ConnectFailure.SLOT), error


@versions
@pytest.mark.parametrize("second_is_dead", [False, True])
def test_a05_fr_05_06_an_upgrade_survives_a_power_cut_after_each_write(
    second_is_dead: bool, version: OcppVersion, trusting: Path
) -> None:
    """A05.FR.05, A05.FR.06, B10.FR.04, B10.FR.07: before the new CSMS has accepted the station it
    comes back to the old one if need be; after that the weaker slot is gone, however often the
    power failed on the way."""

    async def run(clock: VirtualClock) -> None:
        storage = CutStorage()
        config: dict[str, Any] = {"certificates": str(trusting), "count": 1}

        def dead(dial: Dial) -> BaseException | None:
            return refused(dial) if dial.slot == 2 and second_is_dead else None

        await live(clock, version, storage, _upgrade, **config)

        async def switched(site: SlotSite) -> None:
            await site.accepted(2)
            await clock.sleep(5)

        await live(clock, version, storage, switched, **config)
        cuts = storage.cuts
        assert len(cuts) > 8
        ends: set[int] = set()
        for verb, cut in cuts:
            good = cut["_state"].get("network.last_good")

            async def back(site: SlotSite, good: str | None = good) -> None:
                if second_is_dead and good == "2":
                    # There is no way back to a weaker one; it goes on trying.
                    await clock.sleep(200)
                    assert len(site.log) > 5
                    assert set(site.slots) == {2}
                    return
                await site.until(lambda: site.point.registration == "Accepted", 200)
                await clock.sleep(5)
                slot = site.log[-1].slot
                ends.add(slot)
                assert await site.get("ActiveNetworkProfile") == str(slot)
                profile = {1: "1", 2: "2"}[slot]
                assert await site.get("SecurityProfile", "SecurityCtrlr") == profile
                if slot == 2:
                    assert await site.get("NetworkConfigurationPriority") == "2"
                    url = site.point.device_model.variable(
                        "NetworkConfiguration", "OcppCsmsUrl", instance="1"
                    )
                    assert not url.get()
                if good == "2":
                    assert set(site.slots) == {2}

            site = await live(clock, version, CutStorage.after(cut), back, fail=dead, **config)
            _no_slot_is_lost(site)
            assert all(
                dial.url.startswith("wss:") is (dial.target.slot.security_profile >= 2)
                for dial in site.log
            ), verb
        assert ends == ({1} if second_is_dead else {1, 2})

    run_virtual(run)


async def _change(site: SlotSite, wanted: set[str], to: str) -> None:
    """A new password; after it the CSMS takes this one only."""
    await site.accepted(1)
    assert await site.set("BasicAuthPassword", NEW, "SecurityCtrlr") == "Accepted"
    wanted.clear()
    wanted.add(to)
    await site.clock.sleep(30)
    await site.accepted(1)


@versions
@pytest.mark.parametrize("known", [OLD, NEW])
def test_a01_a_new_password_survives_a_power_cut_after_each_write(
    known: str, version: OcppVersion
) -> None:
    """A01: whichever of the two passwords the CSMS knows, after a cut at any write the station gets
    in, with no third dial of a password that was refused."""

    async def run(clock: VirtualClock) -> None:
        cuts: list[tuple[str, dict[str, Any]]] = []
        for refuses in (False, True):
            storage = CutStorage()
            wanted = {OLD}
            await live(
                clock,
                version,
                storage,
                lambda site, wanted=wanted, to=OLD if refuses else NEW: _change(site, wanted, to),
                fail=lambda dial, wanted=wanted: (
                    None if dial.target.password in wanted else http(401)
                ),
                count=1,
            )
            cuts += storage.cuts
            assert "password.previous" not in storage.content["_state"]
        assert len(cuts) > 8
        for _, cut in cuts:
            values = " ".join(str(row) for row in cut["_values"].values())
            passwords = {OLD if NEW not in values else NEW}
            if (previous := cut["_state"].get("password.previous")) is not None:
                passwords |= {one for one in (OLD, NEW) if one in previous}
            if known not in passwords:
                # Settled: the other one is proved wrong and forgotten, or not there yet.
                assert len(passwords) == 1
                continue

            async def back(site: SlotSite) -> None:
                await site.until(lambda: site.point.registration == "Accepted", 100)
                await clock.sleep(1)
                assert site.log[-1].target.password == known
                assert len(site.log) <= 2

            await live(
                clock,
                version,
                CutStorage.after(cut),
                back,
                fail=lambda dial: None if dial.target.password == known else http(401),
                count=1,
            )

    run_virtual(run)
