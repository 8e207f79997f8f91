"""Python names for the names on the wire."""

import keyword
import re
from enum import Enum
from typing import Final

# Abbreviations whose capitals do not mark the start of a word.
_WORDS: Final = {
    "SoC": "Soc",
    "soC": "soc",
    "SoH": "Soh",
    "soH": "soh",
    "RoCoF": "Rocof",
    "V2X": "V2x",
    "V2G": "V2g",
    "L2TP": "L2tp",
    "EMAIDs": "Emaids",
    "eMAID": "Emaid",
    "IKEv2": "Ikev2",
    "IPSec": "Ipsec",
    "TIme": "Time",
    "DeAuthorized": "Deauthorized",
    "Other1Ph": "Other_1ph",
    "Other3Ph": "Other_3ph",
    "Max16A": "Max_16A",
    "Over16A": "Over_16A",
}
_WORD: Final = re.compile("|".join(map(re.escape, _WORDS)))
_BOUNDARY: Final = re.compile(
    r"""  (?<=[a-z]) (?=[A-Z])              # evse|Id
        | (?<=[0-9]) (?=[A-Z][A-Za-z])      # iso15118|Certificate, level1|DCInjection, but not 16A
        | (?<=[A-Z]) (?=[A-Z][a-z])         # EV|Connected
        | [._-]                             # Energy.Active, L1-N, limit_L2
    """,
    re.VERBOSE,
)


def snake_case(key: str) -> str:
    """The attribute for a member: `evseId` becomes `evse_id`."""
    name = _words(key).lower()
    return f"{name}_" if keyword.iskeyword(name) else name


def upper_snake_case(value: str) -> str:
    """The member for an enumeration value: `SuspendedEV` becomes `SUSPENDED_EV`."""
    return _words(value).upper()


def is_field_name(name: str, taken: frozenset[str]) -> bool:
    """Whether an attribute may have that name."""
    return name.isidentifier() and not keyword.iskeyword(name) and name not in taken


def is_member_name(name: str) -> bool:
    """Whether an enumeration member may have that name."""
    return (
        name.isidentifier()
        and not keyword.iskeyword(name)
        and not name.startswith("_")
        and not hasattr(str, name)
        and name not in dir(Enum)
        and name == name.upper()
    )


def _words(name: str) -> str:
    return _BOUNDARY.sub("_", _WORD.sub(lambda match: _WORDS[match[0]], name))
