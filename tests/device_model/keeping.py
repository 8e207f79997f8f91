"""Device models with storage that can fail, in virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from device_model.models import load
from ocpp_fast.clock import Clock, SystemClock
from ocpp_fast.config import Variables
from ocpp_fast.device_model import DeviceModel
from ocpp_fast.errors import StorageError
from ocpp_fast.storage import MemoryStorage, ValueRow


class FaultyStorage(MemoryStorage):
    """Counts what is stored, and stores nothing while it is broken."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self.stored: list[list[ValueRow]] = []
        """The rows of each call that worked."""
        self.attempts = 0

    def values_store(self, rows: Sequence[ValueRow]) -> Awaitable[None]:
        self.attempts += 1
        if self.broken:
            raise StorageError("memory", "values_store", "it is broken")
        self.stored.append(list(rows))
        return super().values_store(rows)

    def texts(self) -> dict[str, str | None]:
        """Variable name -> stored value."""
        return {row[4]: row[7] for row in self._values.values()}


def device_model(
    *components: Mapping[str, Any],
    storage: MemoryStorage | None = None,
    clock: Clock | None = None,
    overrides: Variables | None = None,
) -> DeviceModel:
    """A model of these components, see `models.load`."""
    return DeviceModel(
        load(*components),
        storage or MemoryStorage(),
        clock=clock or SystemClock(),
        overrides=overrides,
    )
