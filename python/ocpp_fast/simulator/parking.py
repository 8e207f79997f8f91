"""The simulated cars that stand at a station over its restarts, as real ones would."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from ocpp_fast.simulator.car import Car

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ocpp_fast.restoring import Restart
    from ocpp_fast.station.session import FactWriter

__all__ = ["Parked", "Parking"]

_log = logging.getLogger(__name__)

PREFIX: Final = "simulator."


@dataclass(frozen=True, slots=True)
class Parked:
    """A car as it was when it was plugged in."""

    car: Car
    connector_id: int
    register_wh: float
    """What the meter showed then."""


class Parking:
    """Remembers, as facts `simulator.<evse>`, which cars are plugged in; costs nothing where the
    storage is not durable."""

    prefix = PREFIX

    def __init__(
        self,
        writer: Callable[[], FactWriter],
        on_restored: Callable[[Mapping[int, Parked]], None],
    ) -> None:
        """`on_restored` gets the cars of an earlier run, by EVSE."""
        self._writer = writer
        self._on_restored = on_restored

    async def restore(self, facts: Mapping[str, str], _restart: Restart, /) -> None:
        """See `DurablePart.restore`."""
        found: dict[int, Parked] = {}
        for name, fact in facts.items():
            try:
                values: dict[str, Any] = json.loads(fact)
                parked = Parked(Car(**values["car"]), values["connector"], values["register_wh"])
                found[int(name.removeprefix(PREFIX))] = parked
            except (LookupError, TypeError, ValueError) as error:
                _log.error("the fact %s cannot be read: %s", name, error)
        self._on_restored(found)

    @property
    def durable(self) -> bool:
        """Whether anything is remembered at all."""
        return self._writer().durable

    def note(self, evse_id: int, parked: Parked | None) -> None:
        """A car was plugged in; or with None there is none any more."""
        writer = self._writer()
        if not writer.durable:
            return
        fact = None
        if parked is not None:
            fact = json.dumps(
                {
                    "car": asdict(parked.car),
                    "connector": parked.connector_id,
                    "register_wh": parked.register_wh,
                }
            )
        writer.put({f"{PREFIX}{evse_id}": fact})
