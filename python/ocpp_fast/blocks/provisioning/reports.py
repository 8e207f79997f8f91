"""GetBaseReport (B07) and GetReport (B08), and the NotifyReport messages that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ocpp_fast.blocks.reporting import PartedReports, max_message_bytes
from ocpp_fast.router import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocpp_fast._core import Selection
    from ocpp_fast.blocks.context import Context
    from ocpp_fast.blocks.reporting import Part
    from ocpp_fast.device_model import DeviceModel
    from ocpp_fast.messages import v21
    from ocpp_fast.router import After, Handler, Handling

__all__ = ["Reports"]

_ACTION: Final = "NotifyReport"

_BASES: Final = {"ConfigurationInventory": 0, "FullInventory": 1, "SummaryInventory": 2}

ITEMS_PER_PAGE: Final = 1_000
"""Variables in one NotifyReport; its length is the nearer bound, see `max_message_bytes`."""


class Reports:
    """Answers at once what a report will hold, then sends it page by page.

    The pages are frames made by the device model, with the values of the moment each is made.
    They may go before the station is accepted, for the CSMS has asked for them (B02.FR.02).
    """

    def __init__(self, context: Context, device_model: DeviceModel) -> None:
        self._context = context
        self._device_model = device_model
        self._reports = PartedReports(_ACTION, lambda: context.connection)
        self.handlers: Mapping[str, Handler] = {
            "GetBaseReport": self._on_get_base_report,
            "GetReport": self._on_get_report,
        }

    def _on_get_base_report(self, request: v21.GetBaseReportRequest) -> Handling:
        """B07."""
        kind = _BASES.get(request.report_base)
        if kind is None:  # B07.FR.02
            return self._base_response("NotSupported", "UnsupportedParam", request.report_base)
        if (busy := self._reports.refusal(request.request_id)) is not None:  # B07.FR.13
            return self._base_response("Rejected", *busy)
        selection = self._device_model.base_report(kind)
        if not len(selection):
            return self._base_response("EmptyResultSet", "NotFound", "there is no such variable")
        response = self._base_response("Accepted")  # B07.FR.01
        return Reply(response, self._sending(request.request_id, selection))

    def _on_get_report(self, request: v21.GetReportRequest) -> Handling:
        """B08."""
        unsupported = {*(request.component_criteria or ())} - self._supported_criteria()
        if unsupported:  # B08.FR.02
            text = ",".join(sorted(unsupported))
            return self._response("NotSupported", "UnsupportedParam", text)
        if (busy := self._reports.refusal(request.request_id)) is not None:  # B08.FR.16
            return self._response("Rejected", *busy)
        selection = self._device_model.report(request)
        if not len(selection):  # B08.FR.15
            return self._response("EmptyResultSet", "NotFound", "nothing meets the criteria")
        response = self._response("Accepted")  # B08.FR.01
        return Reply(response, self._sending(request.request_id, selection))

    def _supported_criteria(self) -> frozenset[str]:
        cache = self._device_model.cache
        number = cache.find("InternalCtrlr", None, None, None, "SupportedCriteria", None)
        text = cache.value(number) if number >= 0 else None
        if text is None:
            return frozenset(self._context.messages.ComponentCriterionEnumType)
        return frozenset(word.strip() for word in text.split(","))

    def _sending(self, request_id: int, selection: Selection) -> After:
        self._reports.promise(request_id)

        async def send() -> None:
            await self._reports.send(request_id, self._pages(request_id, selection))

        return send

    def _pages(self, request_id: int, selection: Selection) -> Iterator[Part]:
        """The same requestId in all (B07.FR.04, B08.FR.04), seqNo from 0 (B07.FR.10, B08.FR.14)."""
        context = self._context
        max_bytes = max_message_bytes(self._device_model)
        while True:
            message_id = context.ids.message_id()
            now = context.clock.now()
            frame = selection.page(
                context.version, message_id, request_id, now, ITEMS_PER_PAGE, max_bytes
            )
            if frame is None:
                return
            yield context.call_frame(message_id, _ACTION, frame, triggered=True), selection.done

    def _base_response(
        self, status: str, reason_code: str | None = None, additional_info: str | None = None
    ) -> v21.GetBaseReportResponse:
        m = self._context.messages
        return m.GetBaseReportResponse(
            status=m.GenericDeviceModelStatusEnumType(status),
            status_info=self._context.status_info(reason_code, additional_info),
        )

    def _response(
        self, status: str, reason_code: str | None = None, additional_info: str | None = None
    ) -> v21.GetReportResponse:
        m = self._context.messages
        return m.GetReportResponse(
            status=m.GenericDeviceModelStatusEnumType(status),
            status_info=self._context.status_info(reason_code, additional_info),
        )
