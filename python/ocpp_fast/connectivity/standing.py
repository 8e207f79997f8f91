"""What a good connection leaves behind: where to come back to, and how weak a slot may be."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from ocpp_fast.connectivity.access import PRIORITY, number_of
from ocpp_fast.device_model.handle import INTERNAL
from ocpp_fast.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocpp_fast.connectivity.access import Access
    from ocpp_fast.storage.base import Storage

__all__ = ["Standing"]

_log = logging.getLogger(__name__)

_LAST_GOOD: Final = "network.last_good"
_PROFILE: Final = "network.security_profile"
_FORMER: Final = "network.former"
_PRUNING: Final = "network.pruning"
"""There while slots have to be emptied that are weaker than `network.security_profile`."""


class Standing:
    """The last good slot and its security profile, durable.

    Both change in one transaction. Then the weaker slots are emptied, in another; a power cut
    between the two leaves a mark by which the next start does it. Until then the profile keeps
    them from being used.

    When the slot to come back to gets other content, what was proved good is kept as the former
    content, until there was a good link over the new one or over another slot.
    """

    def __init__(self, access: Access, storage: Storage) -> None:
        self._access = access
        self._storage = storage
        self._stored: dict[str, str] = {}
        """What the storage has."""
        self.slot: int | None = None
        """The last good one; None when there was none yet."""
        self.profile: int | None = None
        """Its security profile."""
        self.former: tuple[int, dict[str, str]] | None = None
        """A slot, and the variables it had when there was a good link over it last."""

    def open(self, state: Mapping[str, str]) -> None:
        """Takes up what an earlier run has left."""
        self._stored = dict(state)
        self.slot = number_of(self._stored.get(_LAST_GOOD))
        self.profile = number_of(self._stored.get(_PROFILE))
        self.former = _former(self._stored.get(_FORMER))

    async def complete(self, known: tuple[int, ...]) -> None:
        """Finishes what a power cut has interrupted; raises `StorageError`."""
        if self.slot is not None and _PRUNING in self._stored:
            await self._prune(self._weaker(known, self.slot), self.slot)

    async def keep(self, slot: int, texts: Mapping[str, str | None]) -> None:
        """The slot to come back to gets other content: keeps what it has. Durable when it returns;
        raises `StorageError`."""
        if self.former is not None and self.former[0] == slot:
            return  # What came after it has never proved good.
        import orjson  # only where it is used

        content = {name: text for name, text in texts.items() if text}
        text = orjson.dumps({"slot": slot, "variables": content}).decode()
        await self._store({_FORMER: text})
        self.former = slot, content

    async def confirm(
        self, slot: int, profile: int, known: tuple[int, ...], *, former: bool
    ) -> None:
        """This is the last good slot now (A05.FR.06), or its former content still is. Durable when
        it returns; when the storage fails that is logged, and done again the next time."""
        self.slot, self.profile = slot, profile
        if not former:
            self.former = None
        changes: dict[str, str | None] = {
            name: str(number)
            for name, number in ((_LAST_GOOD, slot), (_PROFILE, profile))
            if self._stored.get(name) != str(number)
        }
        if self.former is None and _FORMER in self._stored:
            changes[_FORMER] = None
        weaker = self._weaker(known, slot)
        if weaker and _PRUNING not in self._stored:
            changes[_PRUNING] = "1"
        try:
            if changes:
                await self._store(changes)
            if _PRUNING in self._stored:
                await self._prune(weaker, slot)
        except StorageError as error:
            _log.error("which network slot is good cannot be stored: %s", error)

    def _weaker(self, known: tuple[int, ...], kept: int) -> list[int]:
        value = self._access.value
        return [
            slot
            for slot in known
            if slot != kept
            and (number_of(value(slot, "SecurityProfile")) or 0) < (self.profile or 0)
            and value(slot, "OcppCsmsUrl")
        ]

    async def _prune(self, weaker: list[int], kept: int) -> None:
        """Empties slots and takes them from the list, all in one transaction."""
        if weaker:
            listed = ", ".join(map(str, weaker))
            _log.warning(
                "slots weaker than security profile %s are emptied: %s", self.profile, listed
            )
            writes: dict[int, str] = {}
            for slot in weaker:
                writes |= self._access.emptied(slot)
            left = [slot for slot in self._access.priority if slot not in weaker] or [kept]
            if (number := self._access.find(*PRIORITY)) >= 0:
                writes[number] = ",".join(map(str, left))
            await self._access.model.write_all(writes, INTERNAL)
        await self._store({_PRUNING: None})

    async def _store(self, changes: Mapping[str, str | None]) -> None:
        await self._storage.state_store(changes)
        for name, text in changes.items():
            if text is None:
                self._stored.pop(name, None)
            else:
                self._stored[name] = text


def _former(text: str | None) -> tuple[int, dict[str, str]] | None:
    """What `Standing.keep` has stored."""
    if not text:
        return None
    import orjson

    try:
        found = orjson.loads(text)
        return int(found["slot"]), {str(name): str(of) for name, of in found["variables"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        _log.exception("the former content of a network slot cannot be read")
        return None
