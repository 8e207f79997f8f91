"""What a person sees: a live table on a terminal, plain lines anywhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocpp_fast.messages import v21
    from ocpp_fast.simulator import SimulatedStation
    from ocpp_fast.station import EvseState

__all__ = ["Screen", "describe"]

_LINES = 14
"""How many of the last lines stay under the live table."""


def describe(request: Any) -> str:
    """A request in a few words, without secrets."""
    text = ""
    match type(request).__name__.removesuffix("Request"):
        case "TransactionEvent":
            text = _describe_event(request)
        case "StatusNotification":
            connector = f"{request.evse_id}/{request.connector_id}"
            text = f"connector {connector} {request.connector_status}"
        case "NotifyEvent":
            text = ", ".join(_describe_event_data(event) for event in request.event_data)
        case "BootNotification":
            station = request.charging_station
            text = f"{station.vendor_name} {station.model}, {request.reason}"
        case "MeterValues":
            text = f"EVSE {request.evse_id}, {_measured(request.meter_value)}"
        case "SecurityEventNotification":
            text = request.type
        case "SignCertificate":
            text = request.certificate_type or ""
        case _:
            pass
    return text


def _describe_event(request: v21.TransactionEventRequest) -> str:
    parts = [request.event_type, f"seqNo {request.seq_no}", request.trigger_reason]
    if request.transaction_info.charging_state is not None:
        parts.append(request.transaction_info.charging_state)
    if request.offline:
        parts.append("offline")
    if request.meter_value:
        parts.append(_measured(request.meter_value))
    return "  ".join(parts)


def _describe_event_data(event: v21.EventDataType) -> str:
    evse = event.component.evse
    where = f" {evse.id}/{evse.connector_id}" if evse else ""
    return f"{event.component.name.lower()}{where} {event.actual_value}"


def _measured(readings: Iterable[v21.MeterValueType]) -> str:
    values = list(readings)[-1].sampled_value
    shown = (
        f"{value.value:g} {value.unit_of_measure.unit if value.unit_of_measure else 'Wh'}"
        for value in values
        if value.phase is None
    )
    return ", ".join(shown)


@dataclass(slots=True)
class _Row:
    state: str = "available"
    power_w: float = 0.0
    energy_wh: float = 0.0
    soc: float | None = None


class Screen:
    """Shows lines, and on a terminal a table of the EVSEs that is kept up to date.

    Use it as a context manager; `watch` makes it show a simulated station.
    """

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self._lines: list[str] = []
        self._rows: dict[int, _Row] = {}
        self._station: SimulatedStation | None = None
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live = Live(self._render(), console=self.console, refresh_per_second=8)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.update(self._render())
            self._live.stop()

    def watch(self, station: SimulatedStation) -> None:
        """Shows this station from now on."""
        self._station = station
        self._rows = {evse_id: _Row() for evse_id in station.hardware}

    def line(self, text: str) -> None:
        """One line of what happens."""
        if self._live is None:
            self.console.print(Text(text))
            return
        self._lines = [*self._lines, text][-_LINES:]
        self._live.update(self._render())

    def on_change(self, evse_id: int, state: EvseState) -> None:
        """An EVSE has a new state."""
        self._rows.setdefault(evse_id, _Row()).state = state.value
        self.line(f"EVSE {evse_id}: {state.value}")

    def refresh(self) -> None:
        """Reads the simulated meters and cars again."""
        if self._station is None or self._live is None:
            return
        for evse_id, hardware in self._station.hardware.items():
            row = self._rows[evse_id]
            row.power_w, row.energy_wh = hardware.power_w, hardware.energy_wh
            row.soc = None if hardware.car is None else hardware.car.soc
        self._live.update(self._render())

    def _render(self) -> Group:
        table = Table("EVSE", "state", "power kW", "meter kWh", "battery", expand=False)
        for evse_id, row in self._rows.items():
            table.add_row(
                str(evse_id),
                row.state,
                f"{row.power_w / 1_000:.1f}",
                f"{row.energy_wh / 1_000:.3f}",
                "" if row.soc is None else f"{row.soc:.0%}",
            )
        return Group(*([table] if self._rows else []), Text("\n".join(self._lines)))
