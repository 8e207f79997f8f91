"""What the generator knows about the messages of one OCPP version."""

from dataclasses import dataclass
from enum import Enum, StrEnum


class Type(Enum):
    """What a member, or each item of an array, holds."""

    TEXT = "text"
    DATE_TIME = "date-time"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    ENUM = "enum"
    OBJECT = "object"
    ANY = "any"


class Secrecy(StrEnum):
    """How carefully a member has to be shown."""

    OPEN = "open"
    SECRET = "secret"  # noqa: S105 (a degree of secrecy, not a password)
    OF_VARIABLE = "of_variable"


class Direction(StrEnum):
    """Who sends an action."""

    CS_TO_CSMS = "cs_to_csms"
    CSMS_TO_CS = "csms_to_cs"
    BOTH = "both"


class Framing(StrEnum):
    """Whether an action expects an answer."""

    CALL = "call"
    SEND = "send"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A type with the limits of its schema keywords; None where the schema sets none."""

    type: Type
    ref: str | None = None
    """Name of the enumeration or object type."""
    max_length: int | None = None
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, kw_only=True)
class Field:
    """One member of an object type."""

    key: str
    """Name on the wire."""
    name: str
    """Name of the Python attribute."""
    kind: Kind
    required: bool
    is_array: bool = False
    max_items: int | None = None
    secrecy: Secrecy = Secrecy.OPEN


@dataclass(frozen=True, kw_only=True)
class ObjectType:
    """A request, a response or a datatype."""

    name: str
    fields: tuple[Field, ...]
    is_open: bool
    """Whether members beyond the fields are allowed (CustomDataType)."""

    @property
    def is_leaf(self) -> bool:
        """Whether it is small, flat and often repeated, so that equal ones are worth sharing."""
        return len(self.fields) <= MAX_LEAF_FIELDS and all(
            field.key == CUSTOM_DATA or _is_small(field) for field in self.fields
        )


@dataclass(frozen=True, kw_only=True)
class EnumType:
    """An enumeration: the values on the wire and the names of the Python members."""

    name: str
    values: tuple[str, ...]
    members: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Action:
    """One action of a version."""

    name: str
    direction: Direction
    block: str
    framing: Framing

    @property
    def request(self) -> str:
        """Name of the type that travels in the CALL or SEND."""
        return self.name if self.framing is Framing.SEND else f"{self.name}Request"

    @property
    def response(self) -> str | None:
        """Name of the type that answers it."""
        return None if self.framing is Framing.SEND else f"{self.name}Response"


@dataclass(frozen=True, kw_only=True)
class Version:
    """All messages of one OCPP version; `objects` begins with CustomDataType."""

    number: str
    module: str
    objects: tuple[ObjectType, ...]
    enums: tuple[EnumType, ...]
    actions: tuple[Action, ...]


CUSTOM_DATA = "customData"
CUSTOM_DATA_TYPE = "CustomDataType"
MAX_LEAF_FIELDS = 4
MAX_LEAF_LENGTH = 20


def _is_small(field: Field) -> bool:
    if field.is_array:
        return False
    if field.kind.type is Type.TEXT:
        return field.kind.max_length is not None and field.kind.max_length <= MAX_LEAF_LENGTH
    return field.kind.type in {Type.INTEGER, Type.NUMBER, Type.BOOLEAN, Type.ENUM}
