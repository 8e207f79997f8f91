"""What tests of monitoring ask and read, at the site of `model_kit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from ocpp_fast.messages import OcppVersion
from pair.model_kit import ModelSite, items

V21: Final = OcppVersion.V21
TEMP_A: Final = {"name": "Temp", "instance": "A"}
Told: TypeAlias = tuple[str, str, bool]
TEMP_B: Final = {"name": "Temp", "instance": "B"}


def listed(reports: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
    """Every monitor that a report names, by its id, with what it watches."""
    found: dict[int, dict[str, Any]] = {}
    for item in items(reports, "monitor"):
        assert item["variableMonitoring"], "no element without monitors"
        for one in item["variableMonitoring"]:
            assert one["id"] not in found
            found[one["id"]] = {
                **one,
                "of": (item["component"]["name"], item["variable"]["name"]),
            }
    return found


async def of_the_rig(site: ModelSite, **filters: Any) -> dict[int, dict[str, Any]]:
    """The monitors of our own component, with the filters of a GetMonitoringReport."""
    _, reports = await site.monitors(77, **filters)
    return {number: one for number, one in listed(reports).items() if one["of"][0] == "Rig"}


def kinds(monitors: Mapping[int, Mapping[str, Any]]) -> set[str]:
    return {one["type"] for one in monitors.values()}


async def one_of_each(site: ModelSite) -> None:
    """Monitors of every type on `Level`, beside those of the maker."""
    wanted: list[dict[str, Any]] = [
        {"which": "Level", "type": kind, "value": 90}
        for kind in ("UpperThreshold", "LowerThreshold", "Delta", "Periodic")
    ]
    wanted[1]["value"] = -90
    wanted.append({"which": "Level", "type": "PeriodicClockAligned", "value": 900})
    if site.version is V21:
        wanted.append({"which": "Level", "type": "TargetDelta", "value": 90})
        wanted.append({"which": "Level", "type": "TargetDeltaRelative", "value": 90})
    results = await site.set_monitors(*wanted)
    assert {str(one.status) for one in results} == {"Accepted"}


async def three_owners(site: ModelSite) -> tuple[int, int, int]:
    """Ids of a hard-wired, a preconfigured and a custom monitor."""
    custom = await site.watch("Level", "UpperThreshold", 10)
    found = {one["of"][1]: number for number, one in (await of_the_rig(site)).items()}
    return found["Fixed"], found["Alarm"], custom.id


async def names(site: ModelSite) -> set[str]:
    return {one["of"][1] for one in (await of_the_rig(site)).values()}


def told(site: ModelSite, which: str, where: str = "Rig") -> list[Told]:
    """(trigger, actualValue, cleared) of each event about a variable."""
    return [
        (event["trigger"], event["actualValue"], event.get("cleared", False))
        for event in site.noticed(which, where)
    ]


async def write(site: ModelSite, which: str, *values: Any, **more: Any) -> None:
    """One value after the other, each with time for its event."""
    for value in values:
        site.own(which).set(value, **more)
        await site.settle(1)
