"""The messages of OCPP 2.0.1 and 2.1 as frozen, typed Python values.

    from ocpp_fast.messages import v21

    request = v21.AuthorizeRequest(
        id_token=v21.IdTokenType(id_token="04A1B2C3", type="ISO14443"),
    )

Requests, responses and datatypes bear the names of the specification and live in `v201` and
`v21`, which are imported on their own. Arguments are keyword-only and checked against the OCPP
schema (`ocpp_fast.errors.ValidationError`); attributes are snake_case, absent optional members
are None, arrays are tuples, enumerations are `StrEnum`s, date-times are aware UTC `datetime`s.
"""

from ocpp_fast._core import Message, MeterValueTemplate
from ocpp_fast.messages.json_value import Json, JsonInput
from ocpp_fast.messages.registry import ActionInfo, Direction, Framing, actions
from ocpp_fast.messages.version import OcppVersion

__all__ = [
    "ActionInfo",
    "Direction",
    "Framing",
    "Json",
    "JsonInput",
    "Message",
    "MeterValueTemplate",
    "OcppVersion",
    "actions",
]
