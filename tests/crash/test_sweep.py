"""The power is cut while a station charges, queues, replays, is configured, reset and restarted;
the next start finds all that is needed.

This is the short sweep, of some cuts at each scenario. `make crash` cuts at every place.

    OCPP_FAST_CRASH_SEED   another choice of cuts and of what comes of them (1)
    OCPP_FAST_CRASH_CUTS   how many for each scenario and version
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from crash.disk import Fate
from crash.recording import Op, room
from crash.scenarios import SCENARIOS
from crash.sweep import Failure, Sweep, recordings
from ocpp_fast.blocks.transactions import block
from ocpp_fast.messages import OcppVersion

SEED = os.environ.get("OCPP_FAST_CRASH_SEED", "1")
CUTS = int(os.environ.get("OCPP_FAST_CRASH_CUTS", "25"))

pytestmark = pytest.mark.timeout(300)

Recordings = Mapping[OcppVersion, Mapping[str, Sequence[Op]]]
versions = pytest.mark.parametrize("version", list(OcppVersion))


@pytest.fixture(scope="module")
def recorded(library: Path) -> Recordings:
    with room() as folder, ThreadPoolExecutor() as processes:
        done = processes.map(lambda version: recordings(library, folder, version), OcppVersion)
        return dict(zip(OcppVersion, done, strict=True))


def failures(sweep: Sweep, count: int | None = CUTS) -> list[Failure]:
    return [failure for failure in sweep.run(sweep.cuts(count)) if failure is not None]


@versions
@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_lost(
    name: str, version: OcppVersion, recorded: Recordings, memory: Path
) -> None:
    sweep = Sweep(name, version, recorded[version][name], memory, SEED)
    found = failures(sweep)
    assert not found, "\n".join([f"seed {SEED}, {len(found)} failed:", *map(str, found[:5])])
    assert sweep.restarts > CUTS // 8


# --- the sweep can fail ---------------------------------------------------------------------------


def test_a_database_that_does_not_sync_is_seen_to_lose(library: Path, memory: Path) -> None:
    """What it says is stored is on its way."""
    pragmas = ("synchronous=OFF", "wal_autocheckpoint=20")
    ops = recordings(library, memory, OcppVersion.V21, ("offline",), pragmas)["offline"]
    sweep = Sweep("offline", OcppVersion.V21, ops, memory, SEED)
    cuts = [cut for cut in sweep.cuts() if cut.fate is Fate.DROPPED][-100::5]
    found = [failure for failure in sweep.run(cuts) if failure is not None]
    assert any("was stored, then lost" in line for each in found for line in each.wrong)
    # Only what was not synced is: a killed process takes nothing along.
    kept = [cut for cut in sweep.cuts() if cut.fate is Fate.KEPT][-100::5]
    assert [failure for failure in sweep.run(kept) if failure is not None] == []


def test_a_station_that_forgets_its_transactions_is_seen(
    recorded: Recordings, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget(_: Mapping[str, str]) -> Iterator[Any]:
        """Nothing was ever running."""
        yield from ()

    monkeypatch.setattr(block, "transactions_of", forget)
    ops = recorded[OcppVersion.V21]["charge"]
    found = failures(Sweep("charge", OcppVersion.V21, ops, memory, SEED))
    assert len(found) > CUTS // 5
