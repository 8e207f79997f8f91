"""Registration at the CSMS (B01 to B03)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from ocpp_fast.boot_gate import TRIGGER, Registration, Verdict, may_trigger, verdict
from ocpp_fast.errors import (
    ConfigurationError,
    ConnectionLost,
    ErrorCode,
    OcppError,
    RequestRefused,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from ocpp_fast.blocks.context import Context, Trigger
    from ocpp_fast.config import StationConfig
    from ocpp_fast.messages import Message, v21
    from ocpp_fast.router import After, Handler, Handling

__all__ = ["Provisioning"]

_log = logging.getLogger(__name__)

OWN_INTERVAL_S: Final = 60.0
"""Pause before the next BootNotification when the CSMS named none (B02.FR.07, B03.FR.05) or did
not answer (B01, error handling 2); up to half as much is added by chance."""


class Provisioning:
    """Registers the station, and answers what must not pass before it is accepted.

    Once accepted, the station stays so over lost connections: it boots again only when it is
    started again (Part 4, section 5.4), or comes back over another slot (B10.FR.10).
    """

    def __init__(
        self,
        context: Context,
        config: StationConfig,
        *,
        on_registration: Callable[[], None],
        learn: Callable[[datetime], None] = lambda _: None,
    ) -> None:
        """`on_registration` is called when `Context.registration` has changed; `learn` gets the
        time of each answer, before."""
        self._context = context
        self._config = config
        self._on_registration = on_registration
        self._learn = learn
        self.handlers: Mapping[str, Handler] = {}
        self.triggers: Mapping[str, Trigger] = {"BootNotification": self._on_trigger}
        self._boot_reason = "PowerUp"
        self._not_before = 0.0
        self._triggered = asyncio.Event()

    def set_boot_reason(self, reason: str) -> None:
        """Why the station has started; raises `ConfigurationError` for no BootReasonEnumType."""
        try:
            self._context.messages.BootReasonEnumType(reason)
        except ValueError:
            raise ConfigurationError(f"{reason!r} is no reason to boot") from None
        self._boot_reason = reason

    def begin_anew(self) -> None:
        """The station has turned to another CSMS, which did not ask for any pause (B10.FR.10)."""
        self._context.registration = Registration.NONE
        self._not_before = 0.0
        self._on_registration()

    async def register(self) -> None:
        """Sends BootNotifications until one is accepted; to be cancelled when the link is lost.

        Keeps the interval of the last answer also over connections (B02.FR.04, B03.FR.02).
        """
        context = self._context
        while context.registration is not Registration.ACCEPTED:
            triggered = await self._pause()
            reason = "Triggered" if triggered else self._boot_reason
            try:
                await self._boot(reason)
            except ConnectionLost:
                return
            except OcppError as error:
                _log.warning("BootNotification failed: %s", error)
                self._wait(0.0)

    async def _boot(self, reason: str) -> None:
        context = self._context
        m = context.messages
        config = self._config
        request = m.BootNotificationRequest(
            reason=m.BootReasonEnumType(reason),  # B01.FR.09
            charging_station=m.ChargingStationType(
                model=config.model,
                vendor_name=config.vendor_name,
                serial_number=config.serial_number,
                firmware_version=config.firmware_version,
            ),
        )
        context.boot_answered.clear()
        try:
            await context.call_at_once(request, m.BootNotificationResponse, self._take)
        finally:
            context.boot_answered.set()

    def _take(self, response: v21.BootNotificationResponse) -> None:
        """The answer of the CSMS. Comes before the next frame is looked at, which may be a request
        that the CSMS sent right behind it."""
        context = self._context
        _log.info("the CSMS answered the boot with %s", response.status)
        context.registration = Registration(response.status)
        if context.registration is Registration.ACCEPTED:
            if response.interval > 0:  # B01.FR.04, G02.FR.01
                context.device_model.write(heartbeat_interval_s=float(response.interval))
        else:
            self._wait(float(response.interval))
        self.sync_time(response.current_time)
        if (callback := context.callbacks.boot_notification_callback) is not None:
            context.tell("boot_notification_callback", lambda: callback(response))
        self._on_registration()

    def sync_time(self, time: datetime) -> None:
        """The CSMS says what time it is (B01.FR.06, G02.FR.06): a clock that cannot be right
        follows, and the integrator is told if the CSMS is a time source."""
        self._learn(time)
        callback = self._context.callbacks.time_sync_callback
        if callback is not None and "Heartbeat" in self._context.device_model.variables.time_source:
            self._context.tell("time_sync_callback", lambda: callback(time))

    def _wait(self, interval_s: float) -> None:
        """Sets the earliest time of the next BootNotification (B02.FR.04, B02.FR.08)."""
        if interval_s <= 0:
            interval_s = OWN_INTERVAL_S * (1 + self._context.ids.random() / 2)
        self._not_before = self._context.clock.monotonic() + interval_s

    async def _pause(self) -> bool:
        """Waits until the next BootNotification may go; true if the CSMS asked for it now."""
        clock = self._context.clock
        delay = self._not_before - clock.monotonic()
        self._triggered.clear()
        if delay <= 0:
            return False
        try:
            await clock.wait_for(self._triggered.wait(), delay)
        except TimeoutError:
            return False
        return True

    def _on_trigger(self, _evse: v21.EVSEType | None) -> After | None:
        """F06.FR.17: a BootNotification can be triggered only before one was accepted."""
        if not may_trigger("BootNotification", self._context.registration):
            return None

        async def send() -> None:
            self._triggered.set()

        return send

    def answer_early(self, action: str, request: Message) -> Handling:
        """What a request of the CSMS is answered before the CSMS has accepted the station: None to
        let it pass, see `boot_gate`.

        Raises `RequestRefused` with SecurityError for what must not be answered (B03.FR.08).
        """
        registration = self._context.registration
        if registration is Registration.ACCEPTED:
            return None
        requested: str | None = None
        if action == TRIGGER:
            trigger: v21.TriggerMessageRequest = request  # pyright: ignore[reportAssignmentType]
            requested = trigger.requested_message
        found = verdict(action, registration, requested)
        if found is Verdict.HANDLE:
            return None
        if found is Verdict.REJECT:  # B02.FR.05
            return self._rejected(action)
        text = f"the registration of this station is {registration}"
        raise RequestRefused(ErrorCode.SECURITY_ERROR, text)

    def _rejected(self, action: str) -> Message:
        m = self._context.messages
        status = m.RequestStartStopStatusEnumType.REJECTED
        if action == "RequestStartTransaction":
            return m.RequestStartTransactionResponse(status=status)
        return m.RequestStopTransactionResponse(status=status)
