"""One dial and the link that came of it, with what they were made with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocpp_fast.connection import Connection
    from ocpp_fast.connectivity.rotation import Generation
    from ocpp_fast.connectivity.slots import NetworkSlot
    from ocpp_fast.security.store import LeafChain

__all__ = ["Link", "Target"]


@dataclass(frozen=True, slots=True)
class Target:
    """What one dial is made with."""

    slot: NetworkSlot
    password: str | None = field(default=None, repr=False)
    """For HTTP basic authentication; None is to connect without."""
    password_generation: Generation | None = None
    """Which password that is; None for none."""
    chain: LeafChain | None = None
    """The client certificate of security profile 3."""
    interface: str | None = None
    """Name of the device or local address to dial from; None leaves it to the system."""


@dataclass(frozen=True, slots=True)
class Link:
    """An open link."""

    connection: Connection
    target: Target
    old_root: bool = False
    """Whether the CSMS was trusted by virtue of a root that is on its way out (M05.FR.13)."""

    @property
    def slot(self) -> NetworkSlot:
        """The slot of the network configuration that is in use."""
        return self.target.slot
