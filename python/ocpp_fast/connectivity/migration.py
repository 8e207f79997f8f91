"""The network profiles of an older libocpp, which kept them as one JSON text, become slots.

InternalCtrlr.NetworkConnectionProfiles held a list of what SetNetworkProfile takes:
`[{"configurationSlot": 1, "connectionData": {...}}]`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, cast

from ocpp_fast.connectivity.access import SWITCHES
from ocpp_fast.connectivity.credentials import CREDENTIALS
from ocpp_fast.connectivity.rules import (
    content_objection,
    endpoint,
    profile_texts,
    value_objection,
)
from ocpp_fast.device_model.handle import DEFAULT, INTERNAL
from ocpp_fast.errors import ConfigurationError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocpp_fast.connectivity.access import Access
    from ocpp_fast.connectivity.credentials import CommonCredentials

__all__ = ["BLOB", "migrate"]

_log = logging.getLogger(__name__)

BLOB: Final = ("InternalCtrlr", "NetworkConnectionProfiles")


class _Useless(Exception):
    """An entry that cannot be taken over; the text says why, and holds no secret."""


async def migrate(access: Access, known: Sequence[int], common: CommonCredentials) -> None:
    """Takes the profiles over, in one transaction, and empties the text.

    Never when something was set in a slot at run time: what is there is newer. An entry that cannot
    be taken over, because it is malformed, has no slot, or says otherwise than the configuration of
    the station, is logged with the reason; the others are taken, and the text stays. Of a slot that
    the configuration gives the same address, only what that leaves open is taken. Raises
    `StorageError`; nothing has changed then.
    """
    number = access.find(*BLOB)
    blob = access.text(*BLOB) if number >= 0 else None
    if not blob:
        return
    if any(_set_at_run_time(access, slot) for slot in known):
        _log.info("%s.%s is not taken over: there are slots already", *BLOB)
        return
    writes: dict[int, str] = {}
    taken: set[int] = set()
    complete = True
    for place, entry in enumerate(_entries(blob)):
        try:
            slot, texts = _read(entry)
            _check(access, [each for each in known if each not in taken], slot, texts, common)
            taken.add(slot)
            if access.value(slot, "OcppCsmsUrl"):
                texts = _left_open(access.texts(slot), texts, slot, common)
            writes |= _writes(access, slot, texts)
        except _Useless as error:
            _log.error("%s.%s, entry %d is not taken over: %s", *BLOB, place, error)
            complete = False
    if complete and access.fits(number, ""):
        writes[number] = ""
    if writes:
        await access.model.write_all(writes, INTERNAL)
        _log.info("%s.%s: taken over into the slots", *BLOB)


def _set_at_run_time(access: Access, slot: int) -> bool:
    number = access.number(slot, "OcppCsmsUrl")
    return number >= 0 and access.source(number) != DEFAULT


def _entries(blob: str) -> list[object]:
    import orjson  # only for stations that have such a text

    try:
        entries: object = orjson.loads(blob)
    except ValueError:
        return [None]
    return cast("list[object]", entries) if isinstance(entries, list) else [None]


def _read(entry: object) -> tuple[int, dict[str, str]]:
    import orjson

    from ocpp_fast._core import decode_payload
    from ocpp_fast.messages import v21

    if not isinstance(entry, dict):
        raise _Useless("the text is no JSON list of objects")
    try:
        request = decode_payload(v21.SetNetworkProfileRequest, orjson.dumps(entry))
    except ValidationError as error:
        raise _Useless(f"it is no network profile: {error.code} at {error.pointer}") from None
    return request.configuration_slot, profile_texts(request.connection_data)


def _check(
    access: Access,
    free: Sequence[int],
    slot: int,
    texts: Mapping[str, str],
    common: CommonCredentials,
) -> None:
    """Raises `_Useless` for what no slot of this station can be; `free` are those that no other
    entry is for."""
    if slot not in free or access.number(slot, "OcppCsmsUrl") < 0:
        raise _Useless(f"there is no slot {slot}, or it is there twice")
    for variable, text in texts.items():
        if objection := value_objection(variable, text):
            raise _Useless(f"slot {slot}: {objection}")
    if objection := content_objection(texts, common.identity):
        raise _Useless(f"slot {slot}: {objection}")
    for switch in ("ApnEnabled", "VpnEnabled"):
        if texts[switch] == "true" and not access.supports(slot, switch):
            raise _Useless(f"slot {slot}: {switch} is ReadOnly here")


def _left_open(
    present: Mapping[str, str | None],
    texts: Mapping[str, str],
    slot: int,
    common: CommonCredentials,
) -> dict[str, str]:
    """What an entry has beyond a slot that is configured already; raises `_Useless` if the two
    contradict one another."""
    otherwise = _Useless(f"slot {slot} is configured otherwise")
    if _address(texts, common.identity) != _address(present, common.identity):
        raise otherwise
    left = dict(texts)
    for variable, shared in zip(CREDENTIALS, (common.identity, common.password), strict=True):
        holds = present[variable] or shared
        if holds and left[variable] not in ("", holds):
            raise otherwise
        if holds:
            left[variable] = ""
    return {
        variable: text
        for variable, text in left.items()
        if text and (text == "true" if variable in SWITCHES else not present[variable])
    }


def _writes(access: Access, slot: int, texts: Mapping[str, str]) -> dict[int, str]:
    """The variables to write; raises `_Useless` for what they cannot be."""
    writes: dict[int, str] = {}
    for variable, text in texts.items():
        number = access.number(slot, variable)
        if number >= 0 and access.fits(number, text):
            writes[number] = text
        elif text not in ("", "false"):
            raise _Useless(f"slot {slot}: {variable} cannot have its value")
    return writes


def _address(texts: Mapping[str, str | None], identity: str) -> tuple[int, str]:
    """Where a slot leads to; raises `_Useless`."""
    profile = int(texts["SecurityProfile"] or 0)
    try:
        address = endpoint(texts["OcppCsmsUrl"] or "", profile, texts.get("Identity") or identity)
    except ConfigurationError as error:
        raise _Useless(str(error)) from None
    return profile, address.rstrip("/")
