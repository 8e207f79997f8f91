"""Block C: who may charge."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ocpp_fast.blocks.context import NotAccepted
from ocpp_fast.errors import ConnectionLost, PeerError, QueueFull

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.messages import v21
    from ocpp_fast.router import Handler

__all__ = ["Authorization"]

_log = logging.getLogger(__name__)

_NEVER_ASKED = frozenset({"Central", "NoAuthorization"})


class Authorization:
    """C01 without the local list and the cache, which come with block D and C10."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.handlers: Mapping[str, Handler] = {}

    async def validate_token(
        self,
        id_token: v21.IdTokenType,
        certificate: str | None = None,
        ocsp_data: Sequence[v21.OCSPRequestDataType] | None = None,
    ) -> v21.AuthorizeResponse:
        """Whether a token may charge; always an answer, never an error.

        Asks the CSMS (C01.FR.02), except for tokens that are accepted without asking: those of
        type NoAuthorization and Central (C02, C05.FR.01), and all while AuthCtrlr.Enabled is
        false (C01.FR.01). Without an answer of the CSMS the token is unknown; such a token is
        accepted offline when OfflineTxForUnknownIdEnabled says so (C15).
        """
        m = self._context.messages
        accepted = m.AuthorizationStatusEnumType.ACCEPTED
        unknown = m.AuthorizationStatusEnumType.UNKNOWN
        variables = self._context.device_model.variables
        if not variables.auth_enabled or id_token.type in _NEVER_ASKED:
            return self._own_answer(accepted)
        request = m.AuthorizeRequest(
            id_token=self._context.convert(id_token),
            certificate=certificate,
            iso15118_certificate_hash_data=ocsp_data,
        )
        try:
            return await self._context.call(request, m.AuthorizeResponse)
        except ConnectionLost as error:
            _log.info("a token is judged offline: %s", error)
            known = variables.offline_tx_for_unknown_id_enabled
            return self._own_answer(accepted if known else unknown)
        except (NotAccepted, PeerError, QueueFull) as error:
            _log.warning("a token was not authorized: %s", error)
            return self._own_answer(unknown)

    def _own_answer(self, status: v21.AuthorizationStatusEnumType) -> v21.AuthorizeResponse:
        m = self._context.messages
        return m.AuthorizeResponse(id_token_info=m.IdTokenInfoType(status=status))
