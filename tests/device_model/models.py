"""Component files and requests, as short as the device model's tests want them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from ocpp_fast._core import DeviceModelCache
from ocpp_fast.messages import OcppVersion

VERSIONS: Final = tuple(OcppVersion)
ATTRIBUTES: Final = ("Actual", "Target", "MinSet", "MaxSet")
"""AttributeEnumType, in the order of its numbers."""
MUTABILITIES: Final = ("ReadOnly", "WriteOnly", "ReadWrite")
"""MutabilityEnumType, in the order of its numbers."""
DATA_TYPES: Final = (
    "string",
    "decimal",
    "integer",
    "dateTime",
    "boolean",
    "OptionList",
    "SequenceList",
    "MemberList",
)
LISTS: Final = frozenset({"OptionList", "SequenceList", "MemberList"})
MONITORS: Final = (
    "UpperThreshold",
    "LowerThreshold",
    "Delta",
    "Periodic",
    "PeriodicClockAligned",
    "TargetDelta",
    "TargetDeltaRelative",
)
"""MonitorEnumType, in the order of its numbers."""
NOW: Final = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)

TIER: Final = "OfTheTier"
"""The one variable of EVSEs and connectors that are there because a station has them."""

File = tuple[str, bytes]


# --- component files ----------------------------------------------------------------------


def attribute(
    kind: str = "Actual",
    mutability: str | None = "ReadWrite",
    value: object = None,
    **more: object,
) -> dict[str, Any]:
    """One attribute as in a component file; None leaves a member out."""
    members = {"type": kind, "mutability": mutability, "value": value, **more}
    return {name: given for name, given in members.items() if given is not None}


def variable(
    name: str,
    data_type: str = "string",
    *attributes: Mapping[str, Any],
    instance: str | None = None,
    monitoring: bool = True,
    **characteristics: object,
) -> dict[str, Any]:
    """One property of a component file. Keyword arguments of component files (`minLimit`, `unit`
    and so on) are characteristics; `monitors`, `default`, `source` stand beside them."""
    beside = {n: characteristics.pop(n) for n in ("monitors", "default") if n in characteristics}
    found: dict[str, Any] = {
        "variable_name": name,
        "characteristics": {
            "dataType": data_type,
            "supportsMonitoring": monitoring,
            **characteristics,
        },
        "attributes": list(attributes) or [attribute()],
        **beside,
    }
    if instance is not None:
        found["instance"] = instance
    return found


def component(
    name: str,
    *variables: Mapping[str, Any],
    instance: str | None = None,
    evse: object = None,
    connector: object = None,
    required: Sequence[str] | None = None,
) -> dict[str, Any]:
    """The content of one component file; the labels of its properties are numbered."""
    members = {
        "name": name,
        "instance": instance,
        "evse_id": evse,
        "connector_id": connector,
        "properties": {f"p{number}": found for number, found in enumerate(variables)},
        "required": required,
    }
    return {name: given for name, given in members.items() if given is not None}


def files(*components: Mapping[str, Any], folder: str = "custom") -> list[File]:
    """Each component as a file of its own."""
    return [
        (f"{folder}/{number}_{content.get('name')}.json", json.dumps(content).encode())
        for number, content in enumerate(components)
    ]


def tiers(*components: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The EVSEs and connectors that these components need and do not bring; at least one."""
    there = {(one["name"], one.get("evse_id"), one.get("connector_id")) for one in components}
    needed = {(one.get("evse_id") or 1, one.get("connector_id") or 1) for one in components}
    last = max((evse for evse, _ in needed), default=1)
    needed |= {(evse, 1) for evse in range(1, last + 1)}
    wanted = [("EVSE", evse, None) for evse in sorted({evse for evse, _ in needed})]
    wanted += [("Connector", evse, connector) for evse, connector in sorted(needed)]
    return [
        component(name, variable(TIER), evse=evse, connector=connector)
        for name, evse, connector in wanted
        if (name, evse, connector) not in there
    ]


def load(*components: Mapping[str, Any]) -> DeviceModelCache:
    """A model of nothing but these components and `tiers`: no version's required variables are
    asked for."""
    cache, problems = DeviceModelCache.load(files(*components, *tiers(*components)), None, ())
    assert not problems, problems
    assert cache is not None
    return cache


# --- requests -----------------------------------------------------------------------------


def component_type(version: OcppVersion, where: Mapping[str, Any] | str) -> Any:
    """A ComponentType from its name or from its members as on the wire."""
    m: Any = version.module
    members: dict[str, Any] = {"name": where} if isinstance(where, str) else dict(where)
    evse = members.pop("evse", None)
    if evse is not None:
        members["evse"] = m.EVSEType(id=evse["id"], connector_id=evse.get("connectorId"))
    return m.ComponentType(**members)


def variable_type(version: OcppVersion, which: Mapping[str, Any] | str) -> Any:
    """A VariableType from its name or from its members."""
    m: Any = version.module
    return m.VariableType(**({"name": which} if isinstance(which, str) else which))


Place = Mapping[str, Any] | str


def get_request(version: OcppVersion, *wanted: tuple[Place, Place, str | None]) -> Any:
    """A GetVariablesRequest: (component, variable, attributeType or None)."""
    m: Any = version.module
    return m.GetVariablesRequest(
        get_variable_data=[
            m.GetVariableDataType(
                component=component_type(version, where),
                variable=variable_type(version, which),
                attribute_type=kind,
            )
            for where, which, kind in wanted
        ]
    )


def set_request(version: OcppVersion, *wanted: tuple[Place, Place, str | None, str]) -> Any:
    """A SetVariablesRequest: (component, variable, attributeType or None, value)."""
    m: Any = version.module
    return m.SetVariablesRequest(
        set_variable_data=[
            m.SetVariableDataType(
                component=component_type(version, where),
                variable=variable_type(version, which),
                attribute_type=kind,
                attribute_value=value,
            )
            for where, which, kind, value in wanted
        ]
    )


def report_request(
    version: OcppVersion,
    *,
    request_id: int = 1,
    criteria: Sequence[str] | None = None,
    wanted: Iterable[tuple[Place, Place | None]] | None = None,
) -> Any:
    """A GetReportRequest."""
    m: Any = version.module
    return m.GetReportRequest(
        request_id=request_id,
        component_criteria=criteria,
        component_variable=component_variables(version, wanted),
    )


def component_variables(
    version: OcppVersion, wanted: Iterable[tuple[Place, Place | None]] | None
) -> list[Any] | None:
    """The ComponentVariableTypes of a report request."""
    m: Any = version.module
    if wanted is None:
        return None
    return [
        m.ComponentVariableType(
            component=component_type(version, where),
            variable=None if which is None else variable_type(version, which),
        )
        for where, which in wanted
    ]


# --- reports ------------------------------------------------------------------------------


def pages(
    selection: Any,
    version: OcppVersion,
    *,
    request_id: int = 7,
    max_items: int = 20,
    max_bytes: int = 100_000,
) -> Iterator[bytes]:
    """All pages of a report, as frames."""
    number = 0
    while True:
        page = selection.page(version.value, f"m{number}", request_id, NOW, max_items, max_bytes)
        if page is None:
            return
        yield page
        number += 1


def report_data(frames: Iterable[bytes]) -> list[dict[str, Any]]:
    """The items of all pages, joined."""
    return [item for frame in frames for item in json.loads(frame)[3].get("reportData", [])]
