"""Block P: vendor-specific messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.messages import JsonInput, v21
    from ocpp_fast.router import Handler

__all__ = ["DataTransfer"]


class DataTransfer:
    """P01 (CSMS to station) and P02 (station to CSMS)."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.handlers: Mapping[str, Handler] = {"DataTransfer": self._on_data_transfer}

    async def data_transfer_req(
        self, vendor_id: str, message_id: str | None, data: JsonInput
    ) -> v21.DataTransferResponse:
        """P02: sends a vendor's message; raises like `Context.call`."""
        m = self._context.messages
        request = m.DataTransferRequest(vendor_id=vendor_id, message_id=message_id, data=data)
        return await self._context.call(request, m.DataTransferResponse)

    async def _on_data_transfer(self, request: v21.DataTransferRequest) -> v21.DataTransferResponse:
        """P01.FR.05: without an implementation the vendor is unknown; what is more is between
        the vendor and the CSMS (P01.FR.06, P01.FR.07)."""
        m = self._context.messages
        callback = self._context.callbacks.data_transfer_callback
        if callback is None:
            status = m.DataTransferStatusEnumType.UNKNOWN_VENDOR_ID
            return m.DataTransferResponse(status=status)
        rejected = m.DataTransferResponse(status=m.DataTransferStatusEnumType.REJECTED)
        answer = await self._context.ask(
            "data_transfer_callback", lambda: callback(request), rejected
        )
        return self._context.convert(answer)
