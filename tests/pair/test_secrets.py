"""WriteOnly values stay in the station: in no answer, report, event, log, repr or error (B06.FR.09,
B07.FR.03, B08.FR.03, N07.FR.10)."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from device_model.models import (
    attribute,
    component,
    files,
    get_request,
    load,
    set_request,
    tiers,
    variable,
)
from ocpp_fast._core import DeviceModelCache
from ocpp_fast.device_model.files import packaged_files
from ocpp_fast.device_model.guards import Refusal, Write
from ocpp_fast.errors import ConfigurationError, StorageError
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage
from pair.model_kit import SECRET, ModelSite, at_rig
from pair.station_kit import VERSIONS

versions = pytest.mark.parametrize("version", VERSIONS)

SAFE = component(
    "Safe",
    variable("Text", "string", attribute("Actual", "WriteOnly", f"{SECRET}0"), maxLimit=20),
    variable(
        "Number",
        "integer",
        attribute("Actual", "WriteOnly", "70010001"),
        attribute("Target", "WriteOnly", "70010002"),
        minLimit=70_000_000,
        maxLimit=79_999_999,
    ),
    variable(
        "Word",
        "OptionList",
        attribute("Actual", "WriteOnly", f"{SECRET}a"),
        valuesList=f"{SECRET}a,{SECRET}b",
    ),
    variable(
        "Half", "string", attribute("Actual", "ReadOnly", "x"), attribute("Target", "WriteOnly")
    ),
)
HIDDEN = (SECRET, "7001", "7002")
"""Parts of all WriteOnly values; the values list of `Word` is no secret."""


def shown(text: str) -> list[str]:
    """The secrets in a text, apart from the values list."""
    text = text.replace(f"{SECRET}a,{SECRET}b", "")
    return [part for part in HIDDEN if part in text]


class FullDisk(MemoryStorage):
    """Fails, and says with what, as a careless storage might."""

    full = False

    def values_store(self, rows: Any) -> Any:
        if self.full:
            raise StorageError("memory", "values_store", "disk full")
        return super().values_store(rows)


@versions
def test_b06_fr_09_b07_fr_03_b08_fr_03_n07_fr_10_nothing_leaves(
    version: OcppVersion, caplog: pytest.LogCaptureFixture
) -> None:
    """B06.FR.09, B07.FR.03, B08.FR.03, N07.FR.10: whatever is asked, and whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    storage = FullDisk()

    async def scenario(site: ModelSite) -> None:
        def check(write: Write) -> Any:
            logging.getLogger("test").info("%r %s", write, write)
            return Refusal("InvalidValue", "refused") if write.attribute == "Target" else None

        site.model.guard("Safe", "Number", check)
        for name, kind in (("Text", "Delta"), ("Word", "Delta"), ("Number", "UpperThreshold")):
            value = 75_000_000 if kind != "Delta" else 1
            await site.watch(name, kind, value, where="Safe")
            await site.watch(name, "Periodic", 10, where="Safe", severity=6)
        site.model.on_change(lambda change: logging.getLogger("test").info("%r", change))
        good = [("Text", f"{SECRET}1"), ("Number", "70020001"), ("Word", f"{SECRET}b")]
        bad = [("Text", f"{SECRET}-{SECRET}-{SECRET}"), ("Number", f"{SECRET}"), ("Word", SECRET)]
        wanted: list[Any] = [("Safe", name, None, value) for name, value in (*good, *bad)]
        wanted.append(("Safe", "Number", "Target", "70020002"))
        wanted.append(("Safe", "Number", None, "700100011"))
        request = set_request(version, *wanted)
        response = await site.call(request)
        statuses = [str(one.attribute_status) for one in response.set_variable_result]
        assert statuses == ["Accepted"] * 3 + ["Rejected"] * 5
        assert site.own("Text", where="Safe").get() == f"{SECRET}1"
        storage.full = True
        await site.call(set_request(version, ("Safe", "Text", None, f"{SECRET}2")))
        site.own("Text", where="Safe").set(f"{SECRET}3")
        await site.settle(30)
        storage.full = False
        for kind in (None, "Actual", "Target"):
            names = ("Text", "Number", "Word", "Half")
            response = await site.call(get_request(version, *(("Safe", n, kind) for n in names)))
            logging.getLogger("test").info("%r", response)
        for base in ("FullInventory", "ConfigurationInventory", "SummaryInventory"):
            await site.base_report(base)
        await site.report(wanted=[("Safe", None)])
        await site.monitors()
        await site.settle(30)
        assert len(site.noticed(where="Safe")) > 3
        assert all(event["actualValue"] == "" for event in site.noticed(where="Safe"))
        out = [frame for _, way, frame in site.frames if way.name == "OUT"]
        assert shown(str(out)) == []
        for thing in (site.model, site.own("Text", where="Safe"), site.model.cache):
            assert shown(repr(thing)) == []

    at_rig(scenario, version, own=[SAFE], storage=storage)
    assert len(caplog.records) > 5
    assert shown(caplog.text) == []


@versions
def test_what_the_standard_makes_write_only_is_not_in_the_repr_of_messages(
    version: OcppVersion,
) -> None:
    """By the name of the variable: of the message alone nobody knows what a vendor's own holds."""
    cache, problems = load_packaged()
    assert not problems
    names = {
        info[4]
        for info in map(cache.describe, range(cache.variable_count))
        if any(mutability == "WriteOnly" for _, mutability, _, _ in info[12])
    }
    assert names >= {"BasicAuthPassword", "ApnPassword", "VpnPassword", "VpnKey", "SimPin"}
    for name in names:
        for spelling in (name, name.lower(), name.upper()):
            request = set_request(version, ("Any", spelling, None, SECRET))
            assert SECRET not in f"{request!r} {request}", name


def load_packaged() -> tuple[DeviceModelCache, list[Any]]:
    cache, problems = DeviceModelCache.load(packaged_files(), [1], ("2.0.1", "2.1"))
    assert cache is not None, problems
    return cache, problems


def test_errors_of_our_own_writes_keep_secrets() -> None:
    cache = load(SAFE)
    number = cache.find("Safe", None, None, None, "Word", None)
    with pytest.raises(ValueError, match=r".") as caught:
        cache.write(number, 0, f"{SECRET}-wrong", "internal")
    assert shown(f"{caught.value!r} {caught.value}") == []

    async def scenario(site: ModelSite) -> None:
        with pytest.raises(ConfigurationError) as caught:
            site.own("Number", where="Safe").set(f"{SECRET}9")
        assert shown(f"{caught.value!r} {caught.value}") == []

    at_rig(scenario, own=[SAFE])


def test_problems_of_component_files_keep_secrets() -> None:
    """What `ocpp-fast config check` prints may go into a ticket."""
    bad = component(
        "Safe",
        variable("Text", "string", attribute("Actual", "WriteOnly", f"{SECRET}-long"), maxLimit=5),
        variable("Number", "integer", attribute("Actual", "WriteOnly", SECRET)),
        variable("Word", "OptionList", attribute("Actual", "WriteOnly", SECRET), valuesList="a,b"),
        variable("Other", "boolean", attribute("Actual", "WriteOnly"), default=SECRET),
    )
    _, problems = DeviceModelCache.load(files(bad, *tiers(bad)), None, ())
    assert len(problems) == 4
    assert shown(str(problems)) == []


@versions
def test_the_password_stays_here(version: OcppVersion, caplog: pytest.LogCaptureFixture) -> None:
    """SecurityCtrlr.BasicAuthPassword, set by the CSMS and used for the next connection."""
    caplog.set_level(logging.DEBUG)

    async def scenario(site: ModelSite) -> None:
        new = f"{SECRET}-{SECRET}-2"
        status = await site.put("SecurityCtrlr", "BasicAuthPassword", new)
        assert status in {"Accepted", "RebootRequired"}
        assert await site.get("SecurityCtrlr", "BasicAuthPassword") == ("Rejected", None)
        await site.base_report("FullInventory")
        site.cut()
        await site.settle(60)
        assert SECRET not in str([frame for _, way, frame in site.frames if way.name == "OUT"])
        assert SECRET not in repr(site.station.charge_point)

    at_rig(scenario, version)
    assert SECRET not in caplog.text
