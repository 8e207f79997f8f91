"""Durable state: what it is (`base`), in memory (`memory`) and in SQLite (`sqlite`).

Nothing here imports SQLite; `ocpp_fast.storage.sqlite` is imported only when it is used.
"""

from ocpp_fast.storage.base import (
    ComponentKey,
    ComponentRow,
    MonitorRow,
    OutboxRow,
    SecurityLogRow,
    Storage,
    ValueKey,
    ValueRow,
)
from ocpp_fast.storage.memory import MemoryStorage

__all__ = [
    "ComponentKey",
    "ComponentRow",
    "MemoryStorage",
    "MonitorRow",
    "OutboxRow",
    "SecurityLogRow",
    "Storage",
    "ValueKey",
    "ValueRow",
]
