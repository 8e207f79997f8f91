"""A01: a new password for HTTP basic authentication, with the old one as the way back."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from ocpp_fast.blocks.context import text_of
from ocpp_fast.connectivity.rotation import Generation
from ocpp_fast.device_model.handle import INTERNAL
from ocpp_fast.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.blocks.security.events import SecurityEvents
    from ocpp_fast.connectivity.link import Link
    from ocpp_fast.device_model import DeviceModel
    from ocpp_fast.messages import Message
    from ocpp_fast.restoring import Restart
    from ocpp_fast.router import After
    from ocpp_fast.storage.base import Storage

__all__ = ["Passwords"]

_log = logging.getLogger(__name__)

PREVIOUS: Final = "password.previous"
"""Name of the durable fact."""
_COMPONENT: Final = "SecurityCtrlr"
_SLOT: Final = "NetworkConfiguration"
_VARIABLE: Final = "BasicAuthPassword"


@dataclass(frozen=True, slots=True)
class _Kept:
    """What there was before a change, so that it can be again."""

    password: str = field(repr=False)
    """That of the link."""
    common: str | None = field(repr=False)
    """What slots without a password of their own had."""
    slot: int
    """The slot of the link."""
    is_own: bool
    """Whether that slot had one of its own."""


class Passwords:
    """Sees to it that the station never has only a password that the CSMS refuses.

    The password is SecurityCtrlr.BasicAuthPassword (A01.FR.01). When the CSMS sets it, the one that
    the link in use was opened with becomes the previous one, durable before the new one is. The
    answer goes out, then the station reconnects with the new one. Both are kept until a link was
    opened with either, which is then the password; where two are known, the dialler tries the other
    one when the CSMS has refused the first. No more than two are ever kept: a password that has
    never worked is not worth it.

    In profiles without a password nothing is dialled anew, and there is no previous one.
    """

    prefix = "password."

    def __init__(
        self,
        context: Context,
        device_model: DeviceModel,
        storage: Storage,
        events: SecurityEvents,
        *,
        common: Callable[[], str | None],
        reconnect: Callable[[str], None],
    ) -> None:
        """`common` is the password of slots that have none of their own; `reconnect` closes the
        link, for the reason given, and dials again at once."""
        self._context = context
        self._device_model = device_model
        self._storage = storage
        self._events = events
        self._common = common
        self._reconnect = reconnect
        self._in_use: str | None = None
        """The password of the link, and its slot."""
        self._slot = 0
        self._kept: _Kept | None = None
        self._kept_for: Message | None = None
        """The request that it is kept for, until that is accepted."""

    @property
    def previous(self) -> str | None:
        """The password that worked before the present one, which has not proved good yet; None
        when there is nothing to go back to."""
        return None if self._kept is None else self._kept.password

    async def restore(self, facts: Mapping[str, str], _restart: Restart) -> None:
        """See `DurablePart.restore`."""
        text = facts.get(PREVIOUS)
        if text is not None:
            try:
                self._kept = _Kept(**orjson.loads(text))
            except (TypeError, ValueError):  # Without the text, which is a password.
                _log.error("the previous password cannot be read")

    async def connected(self, link: Link) -> None:
        """There is a link: if it was opened with the old password or the new one, that is the
        password from now on. One over a slot with a password of its own proves nothing."""
        target = link.target
        self._in_use, self._slot = target.password, link.slot.slot
        if self._kept is None or target.password is None:
            return
        if target.password_generation is Generation.OLD:
            if await self._go_back(self._kept):
                await self._forget()
        elif target.password == self._common():
            await self._forget()

    # --- SetVariables, see `SettingObserver` ----------------------------------------------

    async def before(self, request: Message) -> None:
        """Keeps the old password before there is a new one. A failing storage refuses the
        request: without a way back there is no way forward."""
        if self._place_in(request) is None or self._kept is not None or self._in_use is None:
            return
        own = text_of(self._device_model, _SLOT, _VARIABLE, instance=str(self._slot))
        kept = _Kept(self._in_use, self._common(), self._slot, own == self._in_use)
        await self._storage.state_store({PREVIOUS: orjson.dumps(asdict(kept)).decode()})
        self._kept, self._kept_for = kept, request

    async def after(self, request: Message, response: Message) -> After | None:
        """Notes the change (A01.FR.11), and reconnects."""
        place = self._place_in(request)
        if place is None:
            return None
        is_new, self._kept_for = self._kept_for is request, None
        result: Any = response
        if result.set_variable_result[place].attribute_status != "Accepted":
            if is_new:
                await self._forget()
            return None
        # Without the password (A01.FR.12).
        await self._events.notify("ReconfigurationOfSecurityParameters", f"{_VARIABLE} was set")
        if self._in_use is None:
            return None

        async def act() -> None:
            self._reconnect("the password has changed")

        return act

    def _place_in(self, request: Message) -> int | None:
        """Where the request sets the password; None if it does not."""
        data: Any = request
        for place, item in enumerate(data.set_variable_data):
            component, variable = item.component, item.variable
            if (
                component.name.lower() == _COMPONENT.lower()
                and variable.name.lower() == _VARIABLE.lower()
                and component.evse is None
                and not component.instance
                and not variable.instance
            ):
                return place
        return None

    # --- inside ---------------------------------------------------------------------------

    async def _go_back(self, kept: _Kept) -> bool:
        """The CSMS has refused the new password and taken the old one: puts back what was where.
        False if that cannot be."""
        _log.warning("the CSMS does not know the new password, the old one stays")
        if kept.is_own:
            is_back = await self._put_back(_SLOT, str(kept.slot), kept.password)
            if kept.common is not None:
                await self._put_back(_COMPONENT, None, kept.common)
        else:
            # One that the configuration has given may be shorter than the CSMS may set.
            is_back = await self._put_back(_COMPONENT, None, kept.password)
            is_back = is_back or await self._put_back(_SLOT, str(kept.slot), kept.password)
        await self._events.notify(
            "ReconfigurationOfSecurityParameters",
            f"the CSMS refused the new {_VARIABLE}, the one before is back",
        )
        return is_back

    async def _put_back(self, component: str, instance: str | None, password: str) -> bool:
        try:
            variable = self._device_model.variable(component, _VARIABLE, instance=instance)
            await variable.store(password, source=INTERNAL)
        except ConfigurationError as error:
            _log.warning("the old password cannot be put back there: %s", error)
            return False
        except StorageError as error:  # It holds all the same, and is stored later.
            _log.error("the old password cannot be stored: %s", error)
        return True

    async def _forget(self) -> None:
        """There is one password again."""
        self._kept = None
        try:
            await self._storage.state_store({PREVIOUS: None})
        except StorageError as error:  # The next start finds it, and proves it wrong again.
            _log.error("the previous password cannot be forgotten: %s", error)
