"""The peer: a device model of plain dicts behind orjson, as a Python program would have it.

Nothing is checked, names have to be spelled as the files spell them, and nothing is stored. Each
variable keeps its row of a report ready, and the value stands in that row only.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson

from bench.device_model.models import Model, Paging, Place
from bench.payloads import JsonObject, Version
from bench.schemas import schema

NAME: Final = "dict model"
CHECKED: Final = "dict model + jsonschema-rs"

_Key = tuple[Any, ...]
_loads, _dumps = orjson.loads, orjson.dumps


class DictModel:
    """Answers GetVariables and reports everything; the fastest plain way that was found."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._rows: list[JsonObject] = []
        self._attributes: dict[_Key, JsonObject] = {}
        # Kept together, for what the last look-up did not find.
        self._components: set[_Key] = set()
        self._variables: set[_Key] = set()
        for place in places:
            row = report_row(place)
            self._rows.append(row)
            component = _component_key(place.component)
            variable = (*component, place.variable["name"], place.variable.get("instance"))
            self._components.add(component)
            self._variables.add(variable)
            for attribute in row["variableAttribute"]:
                self._attributes[*variable, attribute.get("type", "Actual")] = attribute

    def __len__(self) -> int:
        return len(self._rows)

    def write(self, place: Place, value: str) -> None:
        """Sets the Actual value of a variable."""
        variable = place.variable["name"], place.variable.get("instance")
        self._attributes[*_component_key(place.component), *variable, "Actual"]["value"] = value

    def get_variables(self, frame: bytes) -> bytes:
        """A GetVariables frame to its answer."""
        _, message_id, _, body = _loads(frame)
        return _dumps([3, message_id, self.answer(body)])

    def answer(self, body: JsonObject) -> JsonObject:
        """A GetVariables request to its response."""
        results: list[JsonObject] = []
        append, find = results.append, self._attributes.get
        for asked in body["getVariableData"]:
            component, variable = asked["component"], asked["variable"]
            kind, evse = asked.get("attributeType", "Actual"), component.get("evse")
            # The tuple is written out because a call would cost more than the look-up.
            if evse is None:
                key = (
                    component["name"],
                    component.get("instance"),
                    None,
                    None,
                    variable["name"],
                    variable.get("instance"),
                    kind,
                )
            else:
                key = (
                    component["name"],
                    component.get("instance"),
                    evse["id"],
                    evse.get("connectorId"),
                    variable["name"],
                    variable.get("instance"),
                    kind,
                )
            attribute = find(key)
            if attribute is None:
                append({"attributeStatus": self._missing(key), **asked})
            elif attribute.get("mutability") == "WriteOnly":
                append({"attributeStatus": "Rejected", **asked})
            else:
                value = attribute.get("value", "")
                append({"attributeStatus": "Accepted", "attributeValue": value, **asked})
        return {"getVariableResult": results}

    def _missing(self, key: _Key) -> str:
        if key[:-1] in self._variables:
            return "NotSupportedAttributeType"
        return "UnknownVariable" if key[:4] in self._components else "UnknownComponent"

    def report(self, paging: Paging) -> list[bytes]:
        """All pages of a full inventory, each as the frame of its NotifyReport."""
        message_ids, request_id, generated_at, max_items, _ = paging
        pages: list[bytes] = []
        rows, last = self._rows, len(self._rows) - max_items
        for number, start in enumerate(range(0, len(rows), max_items)):
            body: JsonObject = {
                "requestId": request_id,
                "generatedAt": generated_at,
                "seqNo": number,
                "tbc": start < last,
                "reportData": rows[start : start + max_items],
            }
            frame = [2, message_ids[number], "NotifyReport", body]
            pages.append(_dumps(frame, None, orjson.OPT_UTC_Z))
        return pages


def running(model: Model) -> DictModel:
    """The model with the readings of a running station."""
    made = DictModel(model.places)
    for place, value in model.readings():
        made.write(place, value)
    return made


def checked(model: DictModel, version: Version) -> Callable[[bytes], bytes]:
    """GetVariables of the same model with exact checks of request and response."""
    import jsonschema_rs

    def check_of(name: str) -> Callable[[JsonObject], None]:
        return jsonschema_rs.validator_for(schema(version, name), validate_formats=True).validate

    check_request, check_response = map(check_of, ("GetVariablesRequest", "GetVariablesResponse"))

    def get_variables(frame: bytes) -> bytes:
        _, message_id, _, body = _loads(frame)
        check_request(body)
        response = model.answer(body)
        check_response(response)
        return _dumps([3, message_id, response])

    return get_variables


def report_row(place: Place) -> JsonObject:
    """What a full inventory says of a variable: every attribute, no value of a WriteOnly one."""
    definition = place.definition
    return {
        "component": place.component,
        "variable": place.variable,
        "variableAttribute": [
            _attribute(attribute, definition.get("default"))
            for attribute in definition["attributes"]
        ],
        "variableCharacteristics": _characteristics(definition["characteristics"]),
    }


def _component_key(component: JsonObject) -> _Key:
    evse = component.get("evse", {})
    return (component["name"], component.get("instance"), evse.get("id"), evse.get("connectorId"))


def _attribute(attribute: JsonObject, default: object) -> JsonObject:
    """Like ours, leaves out what an absent member means; an unset value is an empty one."""
    kind, mutability = attribute.get("type", "Actual"), attribute.get("mutability", "ReadWrite")
    made: JsonObject = {"type": kind, "mutability": mutability}
    if attribute.get("persistent", mutability != "ReadOnly"):
        made["persistent"] = True
    if attribute.get("constant", False):
        made["constant"] = True
    if mutability != "WriteOnly":
        made["value"] = _text(attribute.get("value", default if kind == "Actual" else ""))
    return made


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _characteristics(found: JsonObject) -> JsonObject:
    made: JsonObject = {}
    for key in ("dataType", "unit", "minLimit", "maxLimit", "valuesList", "supportsMonitoring"):
        if (value := found.get(key)) is not None:
            made[key] = value
    made.setdefault("supportsMonitoring", False)
    return made
