"""What blocks find again after a restart: each registers its durable part here.

A durable part is a set of facts (`Storage.state_store`) whose names begin with the part's prefix.
Whoever registers is asked at each start, before the station does anything, and takes part in the
crash sweep (tests/crash), which knows the prefixes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ocpp_fast.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["DurablePart", "Restart", "Restoring"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Restart:
    """The start for which something is restored."""

    boot_reason: str
    """BootReasonEnumType; PowerUp after a power loss."""
    at: datetime
    """When it was."""


class DurablePart(Protocol):
    """Something that remembers facts over a restart."""

    @property
    def prefix(self) -> str:
        """How the names of its facts begin, with the dot: `transaction.`."""
        ...

    async def restore(self, facts: Mapping[str, str], restart: Restart, /) -> None:
        """Takes up the facts of an earlier run, under their full names; there may be none.

        What it cannot read it logs with the name of the fact, and goes on without it. Nothing else
        of the station runs yet. Writes last, so that a storage which fails at that, and raises
        `StorageError`, leaves it restored.
        """
        ...


class Restoring:
    """All durable parts of a station, in the order in which they are restored."""

    def __init__(self) -> None:
        self._parts: list[DurablePart] = []

    @property
    def prefixes(self) -> tuple[str, ...]:
        """How the names of all known facts begin."""
        return tuple(part.prefix for part in self._parts)

    def register(self, part: DurablePart) -> None:
        """Adds a part; raises `ConfigurationError` for a prefix that is taken."""
        for taken in self.prefixes:
            if taken.startswith(part.prefix) or part.prefix.startswith(taken):
                raise ConfigurationError(f"facts {part.prefix}* and {taken}* overlap")
        self._parts.append(part)

    async def restore_all(self, facts: Mapping[str, str], restart: Restart) -> None:
        """Gives each part its facts. One that cannot take them, or cannot store what follows from
        them, stops no other; its facts stay stored for the next start."""
        for part in self._parts:
            mine = {name: fact for name, fact in facts.items() if name.startswith(part.prefix)}
            try:
                await part.restore(mine, restart)
            except StorageError as error:
                _log.error("restoring %s* is completed by the next start: %s", part.prefix, error)
            except (ArithmeticError, LookupError, TypeError, ValueError):
                _log.exception("the facts %s* could not be restored", part.prefix)
